# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""After all other tests of the AWS roles: that the operator whom the policies limit used every grant of them.

Two lists that are never added up: what the playbooks did, and what these tests do with the operator's keys.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from localcloud.grants import granted, unused
from localcloud.operator_user import USER, documents
from tests.integration.provision.conftest import Account
from tests.policies import Credentials, Host, Use

OTHERS = {file.stem for file in Path(__file__).parent.glob("test_*.py")} - {Path(__file__).stem}
REPOSITORY = {"repositoryName": "academy-api"}
# What no playbook does here, and why: images are built and pushed on the whole cloud alone, moto makes no service's own
# role by itself, and what mends a change that AWS's other tools can make and moto cannot.
ELSEWHERE: dict[tuple[str, str], Use] = {}


def used(operator_grants: dict[str, dict[str, Any]], kind: str = "used") -> list[Any]:
    return [grants[kind] for grants in operator_grants.values()]


@pytest.fixture(scope="module")
def operator(account: Account) -> Host:
    keys = json.loads(account.operator.read_text(encoding="utf-8"))
    return Host(Credentials(keys["aws_access_key"], keys["aws_secret_key"]), account.url)


def test_every_grant_is_used_by_the_playbooks_or_known_not_to_be(operator_grants: dict[str, dict[str, Any]]) -> None:
    if lacking := OTHERS - set(operator_grants):
        pytest.skip(f"only after all of them: {', '.join(sorted(lacking))}")
    ours = {USER: dict(documents())}
    assert granted(ours)
    found = unused(ours, *used(operator_grants))
    assert found == {(USER, statement, action) for statement, action in ELSEWHERE}


def test_what_they_do_not_use_works_all_the_same(account: Account, operator: Host) -> None:
    refused = [(grant, operator.error(use)) for grant, use in ELSEWHERE.items() if operator.is_denied(use)]
    assert refused == []
    exercised = account.grants()["exercised"][USER]
    assert {(statement, action) for statement, actions in exercised.items() for action in actions} >= set(ELSEWHERE)

# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The operator whom the published policies limit, on a control plane of moto's."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from localcloud.api import Api
from localcloud.operator_user import USER, Keys, documents, ensure_operator_user


@pytest.fixture
def api() -> Iterator[Api]:
    api = Api()
    yield api
    iam = api.backends("iam")
    iam.users.clear()
    for arn in [arn for arn in iam.managed_policies if ":policy/operator-policy-" in arn]:
        del iam.managed_policies[arn]


def test_the_user_has_the_published_policies_and_one_key(api: Api) -> None:
    keys = ensure_operator_user(api)
    user = api.backends("iam").get_user(USER)
    assert {policy.name for policy in user.managed_policies.values()} == set(documents())
    assert [key.access_key_id for key in user.access_keys] == [keys.access_key]
    assert keys.access_key.startswith("AKIA")
    assert not user.policies


def test_it_is_made_once(api: Api) -> None:
    assert ensure_operator_user(api) == ensure_operator_user(api)


def test_nobody_else_reads_the_keys(tmp_path: Path) -> None:
    file, keys = tmp_path / "keys.json", Keys("AKIA1", "secret")
    file.write_text("of a cloud that is gone")
    file.chmod(0o644)
    keys.write(file)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert Keys.read(file) == keys

# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every rule: with it the bad call is refused as AWS does, without it moto lets it pass; the near miss passes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import pytest
from botocore.exceptions import ClientError

from localcloud import settings, strict
from tests import support
from tests.unit.localcloud.strict import cases_compute, cases_data, cases_delivery, cases_identity, cases_models
from tests.unit.localcloud.strict.world import REGION, Attempt, Case, World

CASES = [
    *cases_compute.CASES, *cases_data.CASES, *cases_delivery.CASES, *cases_identity.CASES, *cases_models.CASES,
]  # fmt: skip
RULES = {rule.identifier: rule for rule in strict.RULES}


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(settings, "API_PORT", 0)
        patch.setattr(settings, "REGION", REGION)
        world = World()
        yield world
        world.api.stop()


def refusal(attempt: Attempt, world: World) -> tuple[str, str] | None:
    """Operation and error code with which a call fails, if it does."""
    try:
        attempt(world)
    except ClientError as error:
        return error.operation_name, error.response["Error"]["Code"]
    return None


def operations(rule: str) -> set[str]:
    return {name.partition(".")[2] for name in RULES[rule].operations}


@pytest.mark.filterwarnings("ignore:Exception.")  # moto tells which codes the service's model lacks
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.rule)
def test_a_rule_refuses_what_moto_accepts(world: World, case: Case) -> None:
    with_rule = refusal(case.bad, world)
    assert with_rule is not None
    assert with_rule[1] == case.code
    assert operations(case.rule) & {with_rule[0], "*"}

    world.disabled.add(case.rule)
    try:
        without_rule = refusal(case.bad, world)
    finally:
        world.disabled.clear()
    assert (without_rule and without_rule[1]) == case.moto
    assert case.moto != case.code

    assert refusal(case.good, world) is None


def test_every_rule_has_a_case() -> None:
    assert {case.rule for case in CASES} == set(RULES)


def test_rules_have_one_name_each_and_say_where_they_are_known_from() -> None:
    assert max(Counter(rule.identifier for rule in strict.RULES).values()) == 1
    assert all(rule.source.strip() and rule.refuses.strip() for rule in strict.RULES)
    assert len(strict.RULES) >= 40


def test_the_documentation_shows_the_rules() -> None:
    """`python -m localcloud.strict` prints what belongs there."""
    assert strict.table() in (support.ROOT / "docs/localcloud.md").read_text(encoding="utf-8")

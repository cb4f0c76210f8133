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
from tests.unit.localcloud.strict import (
    cases_again,
    cases_compute,
    cases_data,
    cases_delivery,
    cases_identity,
    cases_models,
    cases_young,
)
from tests.unit.localcloud.strict.world import REGION, Attempt, Case, World

CASES = [
    *cases_compute.CASES, *cases_data.CASES, *cases_delivery.CASES, *cases_identity.CASES, *cases_models.CASES,
    *cases_young.CASES,
]  # fmt: skip
# Operations in which a rule looks on and refuses nothing.
LOOKS_ON = {
    ("sqs-deleted-recently", "DeleteQueue"),  # notes when
    ("ec2-new-instance-profile", "CreateInstanceProfile"),  # notes when
    ("lambda-new-role", "CreateRole"),  # notes when
}
# Operations in which moto keeps a rule itself, other than in those of the rule's cases.
KEPT_BY_MOTO = {
    ("iam-trust-action", "UpdateAssumeRolePolicy"),
    ("iam-trust-json", "UpdateAssumeRolePolicy"),
    ("iam-trust-resource", "UpdateAssumeRolePolicy"),
    ("sqs-maximum-message-size", "CreateQueue"),
}
REFUSED: dict[Attempt, tuple[str, str] | None] = {}
RULES = {rule.identifier: rule for rule in strict.RULES}


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(settings, "API_PORT", 0)
        patch.setattr(settings, "REGION", REGION)
        world = World()
        yield world
        world.api.stop()
        # Buckets are of no region.
        world.api.backends("s3").reset()


def refusal(attempt: Attempt, world: World) -> tuple[str, str] | None:
    """Operation and error code with which a call fails, if it does."""
    try:
        attempt(world)
    except ClientError as error:
        return error.operation_name, error.response["Error"]["Code"]
    return None


def recorded(attempt: Attempt, world: World) -> tuple[str, str] | None:
    """The same for a bad call, which counts once for all tests."""
    if attempt not in REFUSED:
        REFUSED[attempt] = refusal(attempt, world)
    return REFUSED[attempt]


def operations(rule: str) -> set[str]:
    return {name.partition(".")[2] for name in RULES[rule].operations}


@pytest.mark.filterwarnings("ignore:Exception.")  # moto tells which codes the service's model lacks
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.rule)
def test_a_rule_refuses_what_moto_accepts(world: World, case: Case) -> None:
    with_rule = recorded(case.bad, world)
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


@pytest.mark.filterwarnings("ignore:Exception.")
@pytest.mark.parametrize(("rule", "bad"), cases_again.CASES, ids=[rule for rule, _ in cases_again.CASES])
def test_a_rule_refuses_it_in_another_operation_too(world: World, rule: str, bad: Attempt) -> None:
    codes = {case.code for case in CASES if case.rule == rule}
    with_rule = recorded(bad, world)
    assert with_rule is not None
    assert with_rule[1] in codes
    world.disabled.add(rule)
    try:
        without_rule = refusal(bad, world)
    finally:
        world.disabled.clear()
    kept = without_rule is not None and without_rule[1] in codes
    assert kept == ((rule, with_rule[0]) in KEPT_BY_MOTO)


@pytest.mark.filterwarnings("ignore:Exception.")
def test_a_rule_refuses_in_every_operation_that_it_names(world: World) -> None:
    attempts = [*((case.rule, case.bad) for case in CASES), *cases_again.CASES]
    seen = {(rule, told[0]) for rule, bad in attempts for told in [recorded(bad, world)] if told is not None}
    named = {(rule, operation) for rule in RULES for operation in operations(rule) - {"*"}}
    assert sorted(named - seen) == sorted(LOOKS_ON)


def test_rules_have_one_name_each_and_say_where_they_are_known_from() -> None:
    assert max(Counter(rule.identifier for rule in strict.RULES).values()) == 1
    assert all(rule.source.strip() and rule.refuses.strip() for rule in strict.RULES)
    assert len(strict.RULES) >= 40


def test_the_documentation_shows_the_rules() -> None:
    """`python -m localcloud.strict` prints what belongs there."""
    assert strict.table() in (support.ROOT / "docs/localcloud.md").read_text(encoding="utf-8")

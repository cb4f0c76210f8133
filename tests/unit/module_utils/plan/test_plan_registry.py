# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which image repositories have to be created or updated."""

from __future__ import annotations

from typing import Any

import pytest

from plugins.module_utils.plan.registry import ROLE, lifecycle_policy
from tests.unit.rows import row

POLICY = lifecycle_policy(14)
(RULE,) = POLICY["rules"]
TAGS = {"Project": "a", "Role": "registry"}
GOOD: dict[str, Any] = {
    "image_tag_mutability": "IMMUTABLE",
    "scan_on_push": True,
    "lifecycle_policy": POLICY,
    "tags": {**TAGS, "aws:cloudformation:stack-name": "theirs"},
}
INPUTS = {
    "services": {"api": row("a-api")},
    "registry_untagged_expiry_days": 14,
    "aws_region": "ap-northeast-2",
    "aws_account_id": "123456789012",
    "deployment_tags": {"Project": "a"},
}
REPOSITORY = {"repositories": {"lifecycle_policy": POLICY}}
TAGGED = {"tags": {"arn": "arn:aws:ecr:ap-northeast-2:123456789012:repository/a-api", "tags": TAGS}}


def test_a_repository_as_it_should_be_is_left_alone() -> None:
    found = {"a-api": GOOD, "foreign": {**GOOD, "image_tag_mutability": "MUTABLE"}}
    assert ROLE.decide(INPUTS, {"repositories": found}).changes == []


def test_a_missing_repository_is_created_and_tagged() -> None:
    (change,) = ROLE.decide(INPUTS, {"repositories": {}}).changes
    assert (change.verb, change.apply) == ("create", {**REPOSITORY, **TAGGED})


def test_only_images_without_a_tag_expire() -> None:
    assert [rule["selection"]["tagStatus"] for rule in POLICY["rules"]] == ["untagged"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"image_tag_mutability": "MUTABLE"}, "image_tag_mutability: MUTABLE -> IMMUTABLE"),
        ({"scan_on_push": False}, "scan_on_push: false -> true"),
        ({"lifecycle_policy": None}, "lifecycle_policy: null -> {"),
        ({"lifecycle_policy": {"rules": [{**RULE, "action": {"type": "keep"}}]}}, "lifecycle_policy: {"),
        ({"lifecycle_policy": {"rules": [RULE, {**RULE, "rulePriority": 2}]}}, "lifecycle_policy: {"),
    ],
)
def test_whatever_differs_is_a_reason(change: dict[str, Any], words: str) -> None:
    (updated,) = ROLE.decide(INPUTS, {"repositories": {"a-api": {**GOOD, **change}}}).changes
    assert words in updated.reason
    assert updated.apply == REPOSITORY


@pytest.mark.parametrize("tags", [{}, {**TAGS, "Foreign": "x"}, {**TAGS, "Project": "b"}])
def test_other_tags_alone_are_updated_alone(tags: dict[str, str]) -> None:
    (updated,) = ROLE.decide(INPUTS, {"repositories": {"a-api": {**GOOD, "tags": tags}}}).changes
    assert updated.apply == TAGGED

# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which image repositories have to be made or mended."""

from __future__ import annotations

from typing import Any

import pytest

from plugins.module_utils.registry import repository_changes, untagged_repositories

RULE = {
    "rulePriority": 1,
    "selection": {"tagStatus": "untagged", "countType": "sinceImagePushed", "countUnit": "days", "countNumber": 14},
    "action": {"type": "expire"},
}
POLICY = {"rules": [RULE]}
TAGS = {"Project": "a"}
GOOD: dict[str, Any] = {
    "image_tag_mutability": "IMMUTABLE",
    "scan_on_push": False,
    "lifecycle_policy": POLICY,
    "tags": {**TAGS, "aws:cloudformation:stack-name": "theirs"},
}


def test_a_repository_as_it_should_be_is_left_alone() -> None:
    found = {"a-api": GOOD, "foreign": {**GOOD, "image_tag_mutability": "MUTABLE"}}
    assert repository_changes(["a-api"], POLICY, found) == []
    assert untagged_repositories(["a-api"], TAGS, found) == []


def test_a_missing_repository_is_made_and_tagged() -> None:
    assert repository_changes(["a-api"], POLICY, {}) == [{"name": "a-api", "reason": "missing"}]
    assert untagged_repositories(["a-api"], TAGS, {}) == ["a-api"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"image_tag_mutability": "MUTABLE"}, "image tag mutability: MUTABLE -> IMMUTABLE"),
        ({"scan_on_push": True}, "scan on push: True -> False"),
        ({"lifecycle_policy": None}, "lifecycle policy: null -> {"),
        ({"lifecycle_policy": {"rules": [{**RULE, "action": {"type": "keep"}}]}}, "lifecycle policy: {"),
        ({"lifecycle_policy": {"rules": [RULE, {**RULE, "rulePriority": 2}]}}, "lifecycle policy: {"),
    ],
)
def test_whatever_differs_is_a_reason(change: dict[str, Any], words: str) -> None:
    (mended,) = repository_changes(["a-api"], POLICY, {"a-api": {**GOOD, **change}})
    assert words in mended["reason"]


@pytest.mark.parametrize("tags", [{}, {**TAGS, "Foreign": "x"}, {"Project": "b"}])
def test_other_tags_are_mended(tags: dict[str, str]) -> None:
    assert untagged_repositories(["a-api"], TAGS, {"a-api": {**GOOD, "tags": tags}}) == ["a-api"]

# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which tags of a resource are anybody's to set."""

from __future__ import annotations

import pytest

from plugins.module_utils.tags import deployment_tags, own_tags, shown_findings, standing_tags


@pytest.mark.parametrize(
    ("found", "own"),
    [
        ({}, {}),
        ({"Project": "academy"}, {"Project": "academy"}),
        ({"aws:backup:source-resource": "x", "Project": "academy"}, {"Project": "academy"}),
        ({"awsome": "x", "Project": "aws:x"}, {"awsome": "x", "Project": "aws:x"}),
    ],
)
def test_own_tags(found: dict[str, str], own: dict[str, str]) -> None:
    assert own_tags(found) == own


def test_a_deployments_tags_are_told_from_those_that_stand() -> None:
    standing = {"Project": "academy", "release": "x", "Foreign": "x"}
    passing = {"HoldUntil": "2026-01-31T09:30:00Z", "Release": "3f8a1c0d94b2"}
    found = {**standing, **passing, "aws:backup:source-resource": "x"}
    assert standing_tags(found) == standing
    assert deployment_tags(found) == passing


@pytest.mark.parametrize("key", ["cost center", "a/b", ".", "..", "_index", "비용"])
def test_what_the_metadata_service_cannot_show_is_refused(key: str) -> None:
    assert shown_findings({"Project": "academy", "aws:cost-center.x_index,1=+@": "x"}) == []
    (found,) = shown_findings({"Project": "academy", key: "x"})
    assert found.text_en.startswith("deployment_tags: keys must be of letters, digits and +-=.,_:@")
    assert f"found {key}. " in found.text_en

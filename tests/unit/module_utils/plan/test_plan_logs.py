# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which log groups have to be created or updated."""

from __future__ import annotations

from typing import Any

import pytest

from plugins.module_utils.plan.logs import ROLE
from tests.unit.rows import row

TAGS = {"Project": "a", "Role": "logs"}
GOOD: dict[str, Any] = {"retention_days": 14, "tags": TAGS}
OTHERS = dict.fromkeys(("/a/starter", "/aws/rds/instance/a-db/postgresql", "/aws/rds/instance/a-db/upgrade"), GOOD)
INPUTS = {
    "services": {"x": row(log_group="/a/x")},
    "starter_log_group": "/a/starter",
    "database_identifier": "a-db",
    "logs_retention_days": 14,
    "deployment_name": "a",
    "deployment_tags": {"Project": "a"},
}


@pytest.mark.parametrize(
    ("found", "reasons"),
    [
        ({}, ["missing"]),
        ({"/a/x": GOOD}, []),
        ({"/a/xy": GOOD}, ["missing"]),
        ({"/a/x": {**GOOD, "retention_days": 30}}, ["retention_days: 30 -> 14"]),
        ({"/a/x": {**GOOD, "retention_days": None}}, ["retention_days: for ever -> 14"]),
        (
            {"/a/x": GOOD, "/aws/rds/instance/a-db/upgrade": {**GOOD, "retention_days": None}},
            ["retention_days: for ever -> 14"],
        ),
        ({"/a/x": {**GOOD, "tags": {}}}, ["tags: Project none -> a, Role none -> logs"]),
        ({"/a/x": {**GOOD, "tags": {**TAGS, "aws:cloudformation:stack-name": "x"}}}, []),
    ],
)
def test_groups_that_are_not_as_they_should_be(found: dict[str, Any], reasons: list[str]) -> None:
    changes = ROLE.decide(INPUTS, {"log_groups": {**OTHERS, **found}}).changes
    assert [change.reason for change in changes] == reasons
    assert all(change.apply == {"log_groups": GOOD} for change in changes)


def test_the_groups_of_the_deployment_are_read_and_those_of_its_database() -> None:
    assert ROLE.reads(INPUTS) == {"log_group_prefixes": ["/a/", "/aws/rds/instance/a-db/"]}


def test_the_groups_that_the_database_writes_to_are_made_before_it_writes() -> None:
    changes = ROLE.decide(INPUTS, {"log_groups": {"/a/x": GOOD, "/a/starter": GOOD}}).changes
    assert [(change.resource, change.verb) for change in changes] == [
        ("/aws/rds/instance/a-db/postgresql", "create"),
        ("/aws/rds/instance/a-db/upgrade", "create"),
    ]

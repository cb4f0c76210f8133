# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is refused about a database's inputs."""

from __future__ import annotations

from typing import Any

import pytest

from plugins.module_utils.database_rules import RULES, password_findings, smallest_maximum
from plugins.module_utils.findings import Finding, texts
from tests.unit.inputs import PASSWORD

INPUTS: dict[str, Any] = {
    "database_identifier": "academy-db",
    "database_name": "academy",
    "database_instance_class": "db.t4g.micro",
    "database_port": 5432,
    "database_allocated_storage_gib": 20,
    "database_max_allocated_storage_gib": 100,
    "database_backup_retention_days": 7,
    "database_subnet_group_name": "academy-db-subnets",
    "database_security_group": "rds-academy-sg",
    "database_master_username": "academy_user",
    "database_password": PASSWORD,
}


def findings(change: dict[str, Any]) -> list[Finding]:
    return [finding for rule in RULES for finding in rule.findings({**INPUTS, **change})]


def test_good_inputs_have_no_problem() -> None:
    assert findings({}) == []


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("database_identifier", "Academy-DB"),
        ("database_identifier", "academy--db"),
        ("database_identifier", "academy-"),
        ("database_identifier", "a" * 64),
        ("database_name", "1st"),
        ("database_name", "User"),
        ("database_name", "template1"),
        ("database_instance_class", "t4g.micro"),
        ("database_instance_class", "db.t4g.mirco"),
        ("database_instance_class", "db.t2.micro"),
        ("database_port", 1149),
        ("database_port", 65536),
        ("database_allocated_storage_gib", 19),
        ("database_max_allocated_storage_gib", 21),
        ("database_backup_retention_days", 6),
        ("database_backup_retention_days", 36),
        ("database_subnet_group_name", "Academy"),
    ],
)
def test_input_problems(variable: str, value: Any) -> None:
    (finding,) = findings({variable: value})
    assert finding.text_en.startswith(f"{variable}: must be ")
    assert str(value) in finding.found


def test_little_room_to_grow_is_no_error() -> None:
    (finding,) = findings({"database_max_allocated_storage_gib": 25})
    assert (finding.severity, finding.found) == ("warning", "25")


def test_what_is_missing_keeps_no_other_rule_from_being_asked() -> None:
    given = {"database_name": "1st", "database_max_allocated_storage_gib": 1}
    assert [finding.subject for rule in RULES for finding in rule.findings(given)] == ["database_name"]


@pytest.mark.parametrize(("allocated", "maximum"), [(20, 22), (21, 24), (100, 110), (30, 33)])
def test_smallest_maximum(allocated: int, maximum: int) -> None:
    assert smallest_maximum(allocated) == maximum


NAMES = ("academy-db", "academy-db-subnets-A1")


@pytest.mark.parametrize(
    ("username", "password", "variable"),
    [
        ("academy_user", "short", "database_password"),
        ("admin", PASSWORD, "database_master_username"),
        ("academy_user", "db-subnets-A1", "database_password"),
    ],
)
def test_user_and_password_are_refused_by_the_names_of_their_variables(
    username: str, password: str, variable: str
) -> None:
    problems = texts(password_findings(password, username, *NAMES))
    assert problems
    assert all(problem.startswith(f"{variable}: ") and password not in problem for problem in problems)


def test_a_good_password_has_no_problem() -> None:
    assert password_findings(PASSWORD, "academy_user", *NAMES) == []


@pytest.mark.parametrize("name", ["database_identifier", "database_name", "database_security_group"])
def test_a_password_is_no_part_of_any_name(name: str) -> None:
    assert "password_in_a_name" in {finding.id for finding in findings({name: f"a-{PASSWORD}"})}

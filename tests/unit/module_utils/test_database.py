# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The database as it should be: what is refused, what is changed, what stays as RDS made it."""

from __future__ import annotations

from typing import Any

import pytest

from plugins.module_utils.database import (
    desired,
    desired_engine_version,
    differences,
    input_problems,
    password_problems,
    readiness,
    refusals,
    settled,
    smallest_maximum,
    subnet_group_changes,
)

WANTED: dict[str, Any] = {
    "db_instance_identifier": "academy-db",
    "db_instance_class": "db.t4g.micro",
    "db_name": "academy",
    "engine_major": 16,
    "port": 5432,
    "master_username": "academy_user",
    "allocated_storage": 20,
    "max_allocated_storage": 100,
    "storage_type": "gp3",
    "storage_encrypted": True,
    "multi_az": False,
    "publicly_accessible": False,
    "backup_retention_period": 7,
    "copy_tags_to_snapshot": True,
    "deletion_protection": True,
    "auto_minor_version_upgrade": True,
    "vpc_security_group_ids": ["sg-1"],
    "tags": {"Project": "academy"},
}
CURRENT: dict[str, Any] = {
    **{key: value for key, value in WANTED.items() if key not in {"engine_major", "port", "vpc_security_group_ids"}},
    "engine_version": "16.11",
    "db_instance_status": "available",
    "endpoint": {"address": "academy-db.example.com", "port": 5432},
    "vpc_security_groups": [{"vpc_security_group_id": "sg-1", "status": "active"}],
    "pending_modified_values": {},
}


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ("available", "ready"),
        ("storage-optimization", "ready"),
        ("creating", "busy"),
        ("modifying", "busy"),
        ("stopped", "broken"),
        ("incompatible-network", "broken"),
        ("inaccessible-encryption-credentials", "broken"),
    ],
)
def test_readiness(status: str, expected: str) -> None:
    assert readiness(status) == expected


def test_there_is_nothing_to_wait_for_where_there_is_nothing() -> None:
    assert settled([])
    assert settled([CURRENT])
    assert not settled([{**CURRENT, "db_instance_status": "creating"}])


def test_good_inputs_have_no_problem() -> None:
    assert input_problems(WANTED) == []


@pytest.mark.parametrize(
    ("change", "variable"),
    [
        ({"db_instance_identifier": "Academy-DB"}, "database_identifier"),
        ({"db_instance_identifier": "academy--db"}, "database_identifier"),
        ({"db_instance_identifier": "academy-"}, "database_identifier"),
        ({"db_instance_identifier": "a" * 64}, "database_identifier"),
        ({"db_name": "1st"}, "database_name"),
        ({"db_name": "User"}, "database_name"),
        ({"db_name": "template1"}, "database_name"),
        ({"db_instance_class": "t4g.micro"}, "database_instance_class"),
        ({"db_instance_class": "db.t4g.mirco"}, "database_instance_class"),
        ({"allocated_storage": 19}, "database_allocated_storage_gib"),
        ({"max_allocated_storage": 21}, "database_max_allocated_storage_gib"),
        ({"backup_retention_period": 6}, "database_backup_retention_days"),
        ({"backup_retention_period": 36}, "database_backup_retention_days"),
    ],
)
def test_input_problems(change: dict[str, Any], variable: str) -> None:
    (problem,) = input_problems({**WANTED, **change})
    assert problem.startswith(f"{variable}: must be ")


NAMES = ["academy-db", "academy-db-subnets-A1"]


@pytest.mark.parametrize(
    ("username", "password", "variable"),
    [
        ("academy_user", "short", "database_password"),
        ("admin", "AcaDmY.x~y-z_12", "database_master_username"),
        ("academy_user", "db-subnets-A1", "database_password"),
    ],
)
def test_user_and_password_are_refused_by_the_names_of_their_variables(
    username: str, password: str, variable: str
) -> None:
    problems = password_problems(password, username, NAMES)
    assert problems
    assert all(problem.startswith(f"{variable}: ") and password not in problem for problem in problems)


def test_a_good_password_has_no_problem() -> None:
    assert password_problems("AcaDmY.x~y-z_12", "academy_user", NAMES) == []


@pytest.mark.parametrize(("allocated", "maximum"), [(20, 22), (21, 24), (100, 110), (30, 33)])
def test_smallest_maximum(allocated: int, maximum: int) -> None:
    assert smallest_maximum(allocated) == maximum


@pytest.mark.parametrize(
    ("current", "key", "value"),
    [
        ({}, "allocated_storage", 20),
        ({"allocated_storage": 32}, "allocated_storage", 32),
        ({"allocated_storage": 10}, "allocated_storage", 20),
        ({}, "backup_retention_period", 7),
        ({"backup_retention_period": 1}, "backup_retention_period", 7),
        ({"backup_retention_period": 35}, "backup_retention_period", 35),
        ({"pending_modified_values": {"backup_retention_period": 14}}, "backup_retention_period", 14),
        ({}, "multi_az", False),
        ({"multi_az": True}, "multi_az", True),
        ({"pending_modified_values": {"multi_az": True}}, "multi_az", True),
    ],
)
def test_nothing_becomes_less_than_it_is(current: dict[str, Any], key: str, value: object) -> None:
    assert desired(current, WANTED)[key] == value


@pytest.mark.parametrize(("current", "version"), [({}, "16"), ({"engine_version": "16.11"}, "16.11")])
def test_the_minor_version_stays(current: dict[str, Any], version: str) -> None:
    assert desired_engine_version(current, 16) == version


def test_nothing_is_refused_and_nothing_differs_where_there_is_nothing_yet() -> None:
    assert refusals({}, WANTED) == differences({}, WANTED) == []


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"allocated_storage": 64},
        {"allocated_storage": 97},
        {"engine_version": "16.99"},
        {"backup_retention_period": 35},
        {"multi_az": True},
        {"tags": {"Project": "academy", "aws:backup:source-resource": "x"}},
        {"endpoint": {}},
    ],
    ids=["as wanted", "grown", "nearly full", "upgraded", "longer backups", "second zone", "AWS's tags", "no endpoint"],
)
def test_what_goes_beyond_what_is_wanted_is_neither_refused_nor_undone(change: dict[str, Any]) -> None:
    current = {**CURRENT, **change}
    assert refusals(current, WANTED) == differences(current, WANTED) == []


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"engine_version": "15.15"}, "database_engine_major"),
        ({"engine_version": "17.1"}, "database_engine_major"),
        ({"db_name": "postgres"}, "database_name"),
        ({"master_username": "root"}, "database_master_username"),
        ({"storage_encrypted": False}, "storage encryption"),
        ({"endpoint": {"port": 5433}}, "database_port"),
        ({"db_instance_class": "db.t4g.small"}, "database_instance_class"),
        ({"db_instance_class": "db.r7g.xlarge"}, "database_instance_class"),
        ({"db_instance_class": "db.r7g.16xlarge"}, "database_instance_class"),
        ({"db_instance_status": "stopped"}, "found stopped"),
        ({"allocated_storage": 97, "max_allocated_storage": 200}, "database_max_allocated_storage_gib"),
    ],
)
def test_refusals(change: dict[str, Any], word: str) -> None:
    (problem,) = refusals({**CURRENT, **change}, WANTED)
    assert word in problem


@pytest.mark.parametrize(
    ("change", "difference"),
    [
        ({"backup_retention_period": 1}, "backup_retention_period: 1 -> 7"),
        ({"publicly_accessible": True}, "publicly_accessible: True -> False"),
        ({"deletion_protection": False}, "deletion_protection: False -> True"),
        ({"db_instance_class": "db.t4g.nano"}, "db_instance_class: db.t4g.nano -> db.t4g.micro"),
        ({"max_allocated_storage": None}, "max_allocated_storage: None -> 100"),
        ({"allocated_storage": 10}, "allocated_storage: 10 -> 20"),
        ({"vpc_security_groups": []}, "vpc_security_group_ids: [] -> ['sg-1']"),
        ({"tags": {}}, "tags: {} -> {'Project': 'academy'}"),
    ],
)
def test_differences(change: dict[str, Any], difference: str) -> None:
    assert differences({**CURRENT, **change}, WANTED) == [difference]


def test_a_change_that_waits_for_the_maintenance_window_is_asked_for_once() -> None:
    current = {
        **CURRENT,
        "db_instance_class": "db.t4g.small",
        "pending_modified_values": {"db_instance_class": "db.t4g.micro"},
    }
    assert refusals(current, WANTED) == differences(current, WANTED) == []


GROUP: dict[str, Any] = {
    "name": "academy-db-subnets",
    "description": "Subnets of academy-db",
    "subnet_ids": ["subnet-b", "subnet-a"],
    "tags": {"Project": "academy"},
}
FOUND_GROUP = {**GROUP, "subnet_ids": ["subnet-a", "subnet-b"], "tags": {"Project": "academy", "aws:x": "theirs"}}


def test_a_subnet_group_as_it_should_be_is_left_alone() -> None:
    assert subnet_group_changes(GROUP, FOUND_GROUP) == []


@pytest.mark.parametrize(
    ("found", "reason"),
    [
        (None, "missing"),
        ({**FOUND_GROUP, "description": "?"}, "description: ? -> Subnets of academy-db"),
        ({**FOUND_GROUP, "subnet_ids": ["subnet-a"]}, "subnets: ['subnet-a'] -> ['subnet-a', 'subnet-b']"),
        ({**FOUND_GROUP, "tags": {}}, "tags: {} -> {'Project': 'academy'}"),
    ],
)
def test_a_subnet_group_that_differs(found: dict[str, Any] | None, reason: str) -> None:
    assert subnet_group_changes(GROUP, found) == [{**GROUP, "reason": reason}]


def test_backups_of_an_instance_that_is_named_become_shorter() -> None:
    current = {**CURRENT, "backup_retention_period": 14}
    assert desired(current, WANTED, ["academy-db"])["backup_retention_period"] == 7
    assert differences(current, WANTED, ["academy-db"]) == ["backup_retention_period: 14 -> 7"]
    assert differences(current, WANTED, ["academy-b-db"]) == []


def test_the_class_of_an_instance_that_is_named_becomes_smaller() -> None:
    current = {**CURRENT, "db_instance_class": "db.t4g.large"}
    (problem,) = refusals(current, WANTED, ["academy-b-db"])
    assert '-e \'{"database_allow_smaller_class": ["academy-db"]}\'' in problem
    assert refusals(current, WANTED, ["academy-db"]) == []
    assert differences(current, WANTED) == ["db_instance_class: db.t4g.large -> db.t4g.micro"]

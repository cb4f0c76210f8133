# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The database as it should be: what is refused, what is changed, what stays as RDS made it."""

from __future__ import annotations

from typing import Any

import pytest

from plugins.module_utils.plan import Change, Plan, applied, diff, lines
from plugins.module_utils.plan.database import ROLE, refusals, wanted_instance
from tests.unit.module_utils.test_database_rules import INPUTS as RULED

INPUTS: dict[str, Any] = {
    **RULED,
    "database_engine_major": 16,
    "database_allow_smaller_class": [],
    "database_allow_shorter_backups": [],
    "database_apply_immediately": False,
    "database_wait_minutes": 40,
    "deployment_tags": {"Project": "academy"},
}
TAGS = {"Project": "academy", "Role": "database"}
CURRENT: dict[str, Any] = {
    "db_instance_identifier": "academy-db",
    "db_instance_class": "db.t4g.micro",
    "db_instance_status": "available",
    "db_name": "academy",
    "engine_version": "16.11",
    "endpoint": {"address": "academy-db.example.com", "port": 5432},
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
    "engine_lifecycle_support": "open-source-rds-extended-support-disabled",
    "vpc_security_groups": [{"vpc_security_group_id": "sg-1", "status": "active"}],
    "db_parameter_groups": [{"db_parameter_group_name": "academy-db-postgres16", "parameter_apply_status": "in-sync"}],
    "enabled_cloudwatch_logs_exports": ["postgresql", "upgrade"],
    "pending_modified_values": {},
    "tags": TAGS,
}
GROUP: dict[str, Any] = {
    "description": "Subnets of academy-db",
    "subnet_ids": ["subnet-b", "subnet-a"],
    "tags": {**TAGS, "aws:x": "theirs"},
}
PARAMETERS: dict[str, Any] = {
    # Somebody's own, and what everybody has.
    "parameters": {"rds.force_ssl": "1", "log_min_duration_statement": "500", "max_connections": "40"},
    "tags": {**TAGS, "aws:x": "theirs"},
}
LOGS = "/aws/rds/instance/academy-db/"
FOUND: dict[str, Any] = {
    "network": {"vpc_id": "vpc-1", "subnets": [{"subnet_id": "subnet-a"}, {"subnet_id": "subnet-b"}]},
    "security_groups": {"rds-academy-sg": {"group_id": "sg-1"}},
    "db_instance": CURRENT,
    "db_subnet_group": GROUP,
    "db_parameter_group": PARAMETERS,
    "log_groups": {f"{LOGS}postgresql": {}, f"{LOGS}upgrade": {}},
}
NOTHING = {**FOUND, "db_instance": None, "db_subnet_group": None, "db_parameter_group": None}


def decided(change: dict[str, Any], **inputs: Any) -> Plan:
    """What is decided about an instance that differs in something."""
    return ROLE.decide({**INPUTS, **inputs}, {**FOUND, "db_instance": {**CURRENT, **change}})


def only_change(plan: Plan) -> Change:
    assert [*plan.refusals, *plan.missing, *plan.unsettled] == []
    (change,) = plan.changes
    return change


def item(plan: Plan) -> dict[str, Any]:
    """What the task gets."""
    (found,) = applied(plan.changes, ROLE.applies)["instances"]
    return found


def is_left_alone(plan: Plan) -> bool:
    return [*plan.refusals, *plan.changes, *plan.missing, *plan.unsettled, *plan.pending] == []


def test_an_instance_as_it_should_be_is_left_alone() -> None:
    assert is_left_alone(decided({}))


def test_a_missing_database_is_created_in_its_subnet_group() -> None:
    plan = ROLE.decide(INPUTS, NOTHING)
    assert [(change.resource, change.verb) for change in plan.changes] == [
        ("academy-db-subnets", "create"),
        ("academy-db-postgres16", "create"),
        ("academy-db", "create"),
    ]
    assert plan.changes[0].apply == {
        "subnet_groups": {
            "description": "Subnets of academy-db",
            "subnet_ids": ["subnet-a", "subnet-b"],
            "tags": TAGS,
        }
    }
    assert plan.changes[1].apply == {
        "parameter_groups": {
            "family": "postgres16",
            "description": "Parameters of academy-db, postgres16",
            "parameters": {"rds.force_ssl": "1"},
            "tags": TAGS,
        }
    }
    wanted = {
        "engine_version": "16",
        "security_group_ids": ["sg-1"],
        "multi_az": False,
        "parameter_group": "academy-db-postgres16",
        "exported_logs": ["postgresql", "upgrade"],
        "reason": "missing",
    }
    assert [name for name, value in wanted.items() if item(plan)[name] != value] == []
    assert (plan.refusals, plan.missing, plan.notices, plan.changes[2].why) == ([], [], [], "guide §2")


def test_the_paid_extension_of_support_is_switched_off_alone_and_after_the_creation() -> None:
    change = only_change(decided({"engine_lifecycle_support": "open-source-rds-extended-support"}))
    assert (change.reason, change.apply) == ("extended_support: true -> false", {"supports": {}})
    assert "supports" in ROLE.decide(INPUTS, NOTHING).changes[-1].apply
    assert "supports" not in only_change(decided({"deletion_protection": False})).apply


def test_the_password_is_in_no_plan() -> None:
    for plan in (ROLE.decide(INPUTS, NOTHING), decided({"backup_retention_period": 1, "storage_encrypted": False})):
        assert plan.changes
        told = [plan, lines(plan.changes, "database"), *map(diff, plan.changes), applied(plan.changes, ROLE.applies)]
        assert INPUTS["database_password"] not in str(told)


@pytest.mark.parametrize("status", ["creating", "modifying", "backtracking"])
def test_an_instance_that_has_not_settled_is_not_judged(status: str) -> None:
    plan = decided({"db_instance_status": status, "engine_version": "17.1", "backup_retention_period": 1})
    (unsettled,) = plan.unsettled
    assert unsettled.text_en.startswith("academy-db: must settle")
    assert [word for word in (status, "database_wait_minutes (40)") if word not in unsettled.text_en] == []
    assert (plan.refusals, plan.changes, plan.missing) == ((), (), ())


def test_of_a_broken_instance_nothing_else_is_judged() -> None:
    plan = decided({"db_instance_status": "stopped", "engine_version": "17.1", "backup_retention_period": 1})
    (broken,) = plan.refusals
    assert broken.text_en.startswith("academy-db: must be available, found stopped. See its events (aws rds describe-")
    assert plan.changes == ()


def test_a_missing_security_group_is_told_with_what_makes_it() -> None:
    plan = ROLE.decide(INPUTS, {**NOTHING, "security_groups": {}})
    (missing,) = plan.missing
    assert missing.text_en == (
        "database_security_group: rds-academy-sg must exist in vpc-1, found none. Run the network role first "
        "(--tags network), or correct the name."
    )
    assert (len(plan.changes), item(plan)["security_group_ids"]) == (3, [])


def test_a_missing_log_group_is_told_before_rds_makes_one_that_forgets_nothing() -> None:
    plan = ROLE.decide(INPUTS, {**FOUND, "log_groups": {f"{LOGS}upgrade": {}}})
    (missing,) = plan.missing
    assert missing.text_en == (
        f"log group {LOGS}postgresql: must exist before academy-db writes to it, because RDS would make one that keeps "
        "its logs for ever, found none. Run the logs role first (--tags logs)."
    )
    assert len(ROLE.decide(INPUTS, {**NOTHING, "log_groups": {}}).missing) == 2


def test_everything_that_is_decided_of_is_read() -> None:
    assert ROLE.reads(INPUTS) == {
        "vpc_id": None,
        "subnet_ids": None,
        "minimum_zones": 2,
        "security_group_names": ["rds-academy-sg"],
        "db_subnet_group_name": "academy-db-subnets",
        "db_parameter_group_name": "academy-db-postgres16",
        "db_instance_identifier": "academy-db",
        "log_group_prefixes": [LOGS],
    }


@pytest.mark.parametrize(
    ("current", "key", "value"),
    [
        ({}, "allocated_storage_gib", 20),
        ({"allocated_storage": 32}, "allocated_storage_gib", 32),
        ({"allocated_storage": 10}, "allocated_storage_gib", 20),
        ({}, "backup_retention_days", 7),
        ({"backup_retention_period": 1}, "backup_retention_days", 7),
        ({"backup_retention_period": 35}, "backup_retention_days", 35),
        ({"pending_modified_values": {"backup_retention_period": 14}}, "backup_retention_days", 14),
        ({}, "multi_az", False),
        ({"multi_az": True}, "multi_az", True),
        ({"pending_modified_values": {"multi_az": True}}, "multi_az", True),
    ],
)
def test_nothing_becomes_less_than_it_is(current: dict[str, Any], key: str, value: object) -> None:
    assert wanted_instance(INPUTS, current)[key] == value


def test_the_minor_version_stays() -> None:
    assert item(decided({"deletion_protection": False}))["engine_version"] == "16.11"


@pytest.mark.parametrize(
    "change",
    [
        {"allocated_storage": 64},
        {"allocated_storage": 97},
        {"engine_version": "16.99"},
        {"backup_retention_period": 35},
        {"multi_az": True},
        {"tags": {**TAGS, "aws:backup:source-resource": "x"}},
        {"endpoint": {}},
        {"db_instance_class": "db.t4g.small", "pending_modified_values": {"db_instance_class": "db.t4g.micro"}},
        {"enabled_cloudwatch_logs_exports": ["iam-db-auth-error", "upgrade", "postgresql"]},
        {
            "enabled_cloudwatch_logs_exports": ["upgrade"],
            "pending_modified_values": {"pending_cloudwatch_logs_exports": {"log_types_to_enable": ["postgresql"]}},
        },
    ],
    ids=[
        "grown",
        "nearly full",
        "upgraded",
        "longer backups",
        "second zone",
        "AWS's tags",
        "no endpoint",
        "waits for the maintenance window",
        "exports more",
        "begins to export",
    ],
)
def test_what_rds_did_or_will_do_is_neither_refused_nor_undone(change: dict[str, Any]) -> None:
    assert is_left_alone(decided(change))


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"engine_version": "16"}, []),
        ({"engine_version": "16.9"}, [("engine_version", "16.9", "16")]),
        ({"engine_version": "16", "allocated_storage": 45}, [("allocated_storage_gib", 45, 20)]),
    ],
)
def test_what_rds_moves_by_itself_is_expected(change: dict[str, Any], expected: list[tuple[str, Any, Any]]) -> None:
    found = [different for moved in decided(change).expected for different in moved.differences]
    assert [tuple(different) for different in found] == expected


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"engine_version": "15.15"}, ["database_engine_major: wanted 16", "found 15.15"]),
        ({"engine_version": "17.1"}, ["database_engine_major"]),
        ({"db_name": "postgres"}, ["database_name: wanted academy", "found postgres"]),
        ({"master_username": "root"}, ["database_master_username"]),
        ({"storage_encrypted": False}, ["storage encryption"]),
        ({"endpoint": {"port": 5433}}, ["database_port: wanted 5432", "found 5433"]),
        ({"db_instance_class": "db.t4g.small"}, ["database_instance_class: wanted db.t4g.micro", "db.t4g.small"]),
        ({"db_instance_class": "db.r7g.xlarge"}, ["database_instance_class"]),
        ({"db_instance_class": "db.r7g.16xlarge"}, ["database_instance_class"]),
        (
            {"allocated_storage": 97, "max_allocated_storage": 200},
            ["database_max_allocated_storage_gib: must be", "that is 107 or more, found 100"],
        ),
    ],
)
def test_refusals(change: dict[str, Any], words: list[str]) -> None:
    (finding,) = decided(change).refusals
    assert [word for word in words if word not in finding.text_en] == []


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"backup_retention_period": 1}, "backup_retention_days: 1 -> 7"),
        ({"publicly_accessible": True}, "publicly_accessible: true -> false"),
        ({"deletion_protection": False}, "deletion_protection: false -> true"),
        ({"db_instance_class": "db.t4g.nano"}, "instance_class: db.t4g.nano -> db.t4g.micro"),
        ({"max_allocated_storage": None}, "max_allocated_storage_gib: none -> 100"),
        ({"allocated_storage": 10}, "allocated_storage_gib: 10 -> 20"),
        ({"vpc_security_groups": []}, 'security_groups: [] -> ["rds-academy-sg"]'),
        (
            {"vpc_security_groups": [{"vpc_security_group_id": "sg-2"}]},
            'security_groups: ["sg-2"] -> ["rds-academy-sg"]',
        ),
        ({"tags": {}}, "tags: Project none -> academy, Role none -> database"),
        (
            {"db_parameter_groups": [{**CURRENT["db_parameter_groups"][0], "db_parameter_group_name": "theirs"}]},
            "parameter_group: theirs -> academy-db-postgres16",
        ),
        (
            {"enabled_cloudwatch_logs_exports": ["iam-db-auth-error"]},
            'exported_logs: ["iam-db-auth-error"] -> ["iam-db-auth-error", "postgresql", "upgrade"]',
        ),
        (
            {"pending_modified_values": {"pending_cloudwatch_logs_exports": {"log_types_to_disable": ["upgrade"]}}},
            'exported_logs: ["postgresql"] -> ["postgresql", "upgrade"]',
        ),
    ],
)
def test_whatever_differs_is_a_reason(change: dict[str, Any], reason: str) -> None:
    updated = only_change(decided(change))
    assert (updated.resource, updated.verb, updated.reason) == ("academy-db", "update", reason)


@pytest.mark.parametrize(
    ("change", "waiting"),
    [
        ({"db_instance_class": "db.t4g.nano", "deletion_protection": False}, "instance_class"),
        ({"db_instance_class": "db.t4g.nano", "allocated_storage": 10}, "instance_class, allocated_storage_gib"),
        ({"storage_type": "gp2"}, "storage_type"),
        ({"backup_retention_period": 0}, "backup_retention_days"),
        ({"backup_retention_period": 1}, ""),
        ({"tags": {}}, ""),
    ],
)
def test_what_waits_for_the_maintenance_window_is_told(change: dict[str, Any], waiting: str) -> None:
    told = lines(decided(change).changes, "database")
    words = f"not before the next maintenance window: {waiting}, as database_apply_immediately is false"
    assert [line for line in told if (words in line) != bool(waiting)] == []
    assert "window" not in "".join(lines(decided(change, database_apply_immediately=True).changes, "database"))


def restarted(status: str, name: str = "academy-db-postgres16") -> dict[str, Any]:
    return {"db_parameter_groups": [{"db_parameter_group_name": name, "parameter_apply_status": status}]}


def test_another_parameter_group_is_attached_and_the_restart_left_to_somebody() -> None:
    (line,) = lines(decided(restarted("in-sync", "default.postgres16")).changes, "database")
    assert "(guide §2; not before somebody restarts it: what parameter_group says; --tags database)" in line
    assert "restart" not in "".join(lines(decided({"deletion_protection": False}).changes, "database"))


def test_parameters_that_wait_for_a_restart_are_told_in_every_run_and_are_no_change() -> None:
    plan = decided(restarted("pending-reboot"))
    assert is_left_alone(plan)
    (notice,) = plan.notices
    assert notice.severity == "warning"
    assert notice.text_en == (
        "academy-db: must be restarted for what its parameter group academy-db-postgres16 says to hold, and is never "
        "restarted here, whatever the variables say, found pending-reboot. When a minute's interruption does no harm: "
        "aws rds reboot-db-instance --db-instance-identifier academy-db."
    )
    assert [decided(restarted(status)).notices for status in ("in-sync", "applying")] == [[], []]
    # Another group goes before anybody restarts for it.
    assert decided(restarted("pending-reboot", "theirs")).notices == []


def test_the_next_major_version_has_a_parameter_group_of_its_own() -> None:
    plan = ROLE.decide({**INPUTS, "database_engine_major": 15}, NOTHING)
    assert plan.changes[1].resource == "academy-db-postgres15"
    assert plan.changes[1].apply["parameter_groups"]["family"] == "postgres15"
    assert item(plan)["parameter_group"] == "academy-db-postgres15"


@pytest.mark.parametrize(
    ("found", "reason"),
    [
        (None, "missing"),
        ({**PARAMETERS, "parameters": {"rds.force_ssl": "0"}}, "parameters: rds.force_ssl 0 -> 1"),
        ({**PARAMETERS, "parameters": {}}, "parameters: rds.force_ssl none -> 1"),
        ({**PARAMETERS, "tags": {}}, "tags: Project none -> academy, Role none -> database"),
    ],
)
def test_a_parameter_group_that_differs(found: dict[str, Any] | None, reason: str) -> None:
    updated = only_change(ROLE.decide(INPUTS, {**FOUND, "db_parameter_group": found}))
    assert (updated.resource, updated.reason) == ("academy-db-postgres16", reason)
    # Of somebody's own parameters nothing is said, so that they stay.
    assert updated.apply["parameter_groups"]["parameters"] == {"rds.force_ssl": "1"}


@pytest.mark.parametrize(
    ("found", "reason"),
    [
        (None, "missing"),
        ({**GROUP, "description": "?"}, "description: ? -> Subnets of academy-db"),
        ({**GROUP, "subnet_ids": ["subnet-a"]}, 'subnet_ids: ["subnet-a"] -> ["subnet-a", "subnet-b"]'),
        ({**GROUP, "tags": {}}, "tags: Project none -> academy, Role none -> database"),
    ],
)
def test_a_subnet_group_that_differs(found: dict[str, Any] | None, reason: str) -> None:
    updated = only_change(ROLE.decide(INPUTS, {**FOUND, "db_subnet_group": found}))
    assert (updated.resource, updated.reason, [*updated.apply]) == ("academy-db-subnets", reason, ["subnet_groups"])


def test_backups_of_an_instance_that_is_named_become_shorter() -> None:
    longer = {"backup_retention_period": 14}
    updated = only_change(decided(longer, database_allow_shorter_backups=["academy-db"]))
    assert updated.reason == "backup_retention_days: 14 -> 7"
    assert decided(longer, database_allow_shorter_backups=["academy-b-db"]).changes == []


def test_the_class_of_an_instance_that_is_named_becomes_smaller() -> None:
    larger = {"db_instance_class": "db.t4g.large"}
    (finding,) = decided(larger, database_allow_smaller_class=["academy-b-db"]).refusals
    assert '-e \'{"database_allow_smaller_class": ["academy-db"]}\'' in finding.text_en
    updated = only_change(decided(larger, database_allow_smaller_class=["academy-db"]))
    assert updated.reason == "instance_class: db.t4g.large -> db.t4g.micro"


def test_every_refusal_is_told_at_once() -> None:
    change = {"engine_version": "15.15", "db_name": "postgres", "db_instance_class": "db.t4g.large"}
    assert [finding.subject for finding in refusals(INPUTS, {**CURRENT, **change})] == [
        "database_name",
        "database_engine_major",
        "database_instance_class",
    ]

# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The database as it should be, given what it already is: never smaller, never older, never less protected.

Storage that autoscaling added, minor versions that RDS installed, longer backups and a second zone are no difference.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ..consent import consented_names
from ..database import (
    EXPORTED_LOGS,
    database_log_groups,
    log_group_prefix,
    parameter_family,
    parameter_group_name,
    readiness,
)
from ..database_rules import RULES, smallest_maximum
from ..findings import Finding, Words
from ..network import MINIMUM_ZONES
from ..tags import own_tags, role_tags
from . import Change, Difference, Plan, Role, Values, compare

WHY = "guide §2"
ALLOW_SMALLER_CLASS = "database_allow_smaller_class"
ALLOW_SHORTER_BACKUPS = "database_allow_shorter_backups"
# Paid for by the hour once a major's own support has ended, and on unless it is switched off.
EXTENDED_SUPPORT = "extended_support"
SUPPORT_DISABLED = "open-source-rds-extended-support-disabled"
# What the instance's own parameter group says. Everything else in it is anybody's to set.
PARAMETERS = {"rds.force_ssl": "1"}
PARAMETER_GROUP = "parameter_group"
# Instance classes end in one of these, or in a number and xlarge.
CLASS_SIZES = ("nano", "micro", "small", "medium", "large", "xlarge")
# What RDS changes in the maintenance window unless it is asked to do so at once; backups only where there are none.
WAITING = {"allocated_storage_gib", "instance_class", "storage_type"}
# Why RDS may differ from the inventory without any harm.
GROWN = "RDS enlarges it as needed, up to database_max_allocated_storage_gib"
UPGRADED = "RDS installs minor versions by itself"


def reads(inputs: Values) -> Values:
    return {
        "vpc_id": inputs.get("vpc_id"),
        "subnet_ids": inputs.get("subnet_ids"),
        "minimum_zones": MINIMUM_ZONES,
        "security_group_names": [inputs["database_security_group"]],
        "db_subnet_group_name": inputs["database_subnet_group_name"],
        "db_parameter_group_name": _parameter_group(inputs),
        "log_group_prefixes": [log_group_prefix(inputs["database_identifier"])],
        "db_instance_identifier": inputs["database_identifier"],
    }


def _parameter_group(inputs: Values) -> str:
    return parameter_group_name(inputs["database_identifier"], inputs["database_engine_major"])


def unsettled_findings(inputs: Values, now: Values | None) -> list[Finding]:
    """An instance that RDS is changing at the moment."""
    status = now["db_instance_status"] if now else "available"
    if readiness(status) != "busy":
        return []
    return [
        Finding(
            "database_settling",
            inputs["database_identifier"],
            status,
            Words(
                f"must settle before it is judged, within database_wait_minutes ({inputs['database_wait_minutes']})",
                f"판단하기 전에 database_wait_minutes({inputs['database_wait_minutes']}분) 안에 변경이 끝나야 합니다",
            ),
            Words(
                "See its events in the RDS console, and run again once it is available.",
                "RDS 콘솔에서 이벤트를 확인하고 available이 되면 다시 실행하십시오.",
            ),
        )
    ]


def missing_findings(inputs: Values, found: Values) -> list[Finding]:
    """What other roles make: the security group, and the log groups."""
    return [*_security_group_findings(inputs, found), *_log_group_findings(inputs, found)]


def _log_group_findings(inputs: Values, found: Values) -> list[Finding]:
    return [
        Finding(
            "database_log_group",
            f"log group {name}",
            "none",
            Words(
                f"must exist before {inputs['database_identifier']} writes to it, because RDS would make one that "
                "keeps its logs for ever",
                f"{inputs['database_identifier']}이(가) 기록하기 전에 있어야 합니다. 없으면 RDS가 로그를 영구 보관하는 "
                "그룹을 만듭니다",
            ),
            Words("Run the logs role first (--tags logs).", "logs 역할을 먼저 실행하십시오(--tags logs)."),
        )
        for name in database_log_groups(inputs["database_identifier"])
        if name not in found["log_groups"]
    ]


def _security_group_findings(inputs: Values, found: Values) -> list[Finding]:
    name, vpc_id = inputs["database_security_group"], found["network"]["vpc_id"]
    if name in found["security_groups"]:
        return []
    return [
        Finding(
            "database_security_group",
            "database_security_group",
            "none",
            Words(f"{name} must exist in {vpc_id}", f"{vpc_id}에 {name} 보안 그룹이 있어야 합니다"),
            Words(
                "Run the network role first (--tags network), or correct the name.",
                "network 역할을 먼저 실행하거나(--tags network) 이름을 고치십시오.",
            ),
        )
    ]


def _major(version: str) -> int:
    return int(version.split(".", maxsplit=1)[0])


def _class_size(instance_class: str) -> int:
    """A number by which classes compare, whatever their family; 0 for one that is not understood."""
    size = instance_class.rpartition(".")[2]
    if size in CLASS_SIZES:
        return CLASS_SIZES.index(size) + 1
    factor = size.removesuffix("xlarge")
    return len(CLASS_SIZES) - 1 + int(factor) if factor.isdecimal() else 0


def _under_way(now: Values) -> dict[str, Any]:
    """The instance as it will be once everything that was asked for is done."""
    return {**now, **{key: value for key, value in now.get("pending_modified_values", {}).items() if value}}


def _exported_logs(now: Values) -> set[str]:
    """The kinds of logs that go to CloudWatch, once what was asked for is done."""
    pending = now.get("pending_modified_values", {}).get("pending_cloudwatch_logs_exports", {})
    kinds = {*now.get("enabled_cloudwatch_logs_exports", []), *pending.get("log_types_to_enable", [])}
    return kinds - {*pending.get("log_types_to_disable", [])}


def wanted_instance(inputs: Values, now: Values) -> dict[str, Any]:
    """What is wanted, and no less than there is. Of an instance that is named, backups may become shorter."""
    coming = _under_way(now)
    named = consented_names(inputs[ALLOW_SHORTER_BACKUPS], ALLOW_SHORTER_BACKUPS)
    kept_days = 0 if inputs["database_identifier"] in named else int(coming.get("backup_retention_period", 0))
    return {
        "engine_major": inputs["database_engine_major"],
        "database_name": inputs["database_name"],
        "master_username": inputs["database_master_username"],
        "port": inputs["database_port"],
        "instance_class": inputs["database_instance_class"],
        "allocated_storage_gib": max(inputs["database_allocated_storage_gib"], int(coming.get("allocated_storage", 0))),
        "max_allocated_storage_gib": inputs["database_max_allocated_storage_gib"],
        "storage_type": "gp3",
        # Only a new instance can be encrypted.
        "storage_encrypted": True,
        "multi_az": bool(coming.get("multi_az")),
        # The API's own default is true.
        "publicly_accessible": False,
        "backup_retention_days": max(inputs["database_backup_retention_days"], kept_days),
        "copy_tags_to_snapshot": True,
        "deletion_protection": True,
        "auto_minor_version_upgrade": True,
        EXTENDED_SUPPORT: False,
        PARAMETER_GROUP: _parameter_group(inputs),
        # Somebody may want more of them.
        "exported_logs": sorted({*EXPORTED_LOGS, *_exported_logs(now)}),
        "security_groups": [inputs["database_security_group"]],
        "tags": role_tags(inputs["deployment_tags"], "database"),
    }


def found_instance(inputs: Values, now: Values, groups: Mapping[str, str]) -> dict[str, Any]:
    """The instance in the same words; what is under way counts as done. Security groups that are known have a name."""
    coming = _under_way(now)
    ids = [group["vpc_security_group_id"] for group in coming.get("vpc_security_groups", [])]
    return {
        "engine_major": _major(now["engine_version"]),
        "database_name": now.get("db_name"),
        "master_username": now.get("master_username"),
        # Without an endpoint nothing is known about it.
        "port": now.get("endpoint", {}).get("port", inputs["database_port"]),
        "instance_class": coming["db_instance_class"],
        "allocated_storage_gib": coming.get("allocated_storage"),
        "max_allocated_storage_gib": coming.get("max_allocated_storage"),
        "storage_type": coming.get("storage_type"),
        "storage_encrypted": now.get("storage_encrypted"),
        "multi_az": bool(coming.get("multi_az")),
        "publicly_accessible": coming.get("publicly_accessible"),
        "backup_retention_days": coming.get("backup_retention_period"),
        "copy_tags_to_snapshot": coming.get("copy_tags_to_snapshot"),
        "deletion_protection": coming.get("deletion_protection"),
        "auto_minor_version_upgrade": coming.get("auto_minor_version_upgrade"),
        EXTENDED_SUPPORT: coming.get("engine_lifecycle_support") != SUPPORT_DISABLED,
        PARAMETER_GROUP: ", ".join(group["db_parameter_group_name"] for group in now["db_parameter_groups"]),
        "exported_logs": sorted(_exported_logs(now)),
        "security_groups": sorted(groups.get(group_id, group_id) for group_id in ids),
        "tags": own_tags(now.get("tags", {})),
    }


# What no modification can change, by the variable that wants it.
FIXED = {
    "database_name": "database_name",
    "master_username": "database_master_username",
    "storage_encrypted": "storage encryption",
}


def broken_findings(name: str, now: Values | None) -> list[Finding]:
    """An instance that cannot be changed without help."""
    status = now["db_instance_status"] if now else "available"
    if readiness(status) != "broken":
        return []
    events = f"aws rds describe-events --source-type db-instance --source-identifier {name}"
    return [
        Finding(
            "database_broken",
            name,
            status,
            Words("must be available", "available 상태여야 합니다"),
            Words(
                f"See its events ({events}), repair or start it, and run again.",
                f"이벤트({events})를 보고 복구하거나 시작한 뒤 다시 실행하십시오.",
            ),
        )
    ]


def _fixed_findings(name: str, wanted: Values, found: Values) -> list[Finding]:
    return [
        Finding(
            "database_fixed",
            variable,
            str(found[field]),
            Words(
                f"wanted {wanted[field]}, but RDS cannot change it on the existing instance {name}, and none is ever "
                "replaced here, whatever the variables say",
                f"{wanted[field]}을(를) 원하지만 RDS는 기존 인스턴스 {name}에서 바꿀 수 없고, 어떤 변수로도 인스턴스를 "
                "교체하지 않습니다",
            ),
            Words(
                "Set the variable to what it is, or restore a snapshot into a new instance.",
                "변수를 현재 값으로 맞추거나 스냅샷을 새 인스턴스로 복원하십시오.",
            ),
        )
        for field, variable in FIXED.items()
        if found[field] != wanted[field]
    ]


def _human_findings(name: str, now: Values, wanted: Values, found: Values) -> list[Finding]:
    """What RDS can change, and only a human does."""
    rules = [
        (
            "engine_major",
            now["engine_version"],
            Words(
                f"wanted {wanted['engine_major']}, but a major upgrade of {name} is never done in passing",
                f"{wanted['engine_major']}을(를) 원하지만 {name}의 메이저 업그레이드는 자동으로 하지 않습니다",
            ),
            Words(
                "Upgrade it yourself after a snapshot, then set the variable.",
                "스냅샷을 만든 뒤 직접 업그레이드하고 변수를 맞추십시오.",
            ),
        ),
        (
            "port",
            found["port"],
            Words(
                f"wanted {wanted['port']}, but changing the port of {name} cuts off every application at once, and no "
                "variable allows that",
                f"{wanted['port']}을(를) 원하지만 {name}의 포트를 바꾸면 모든 애플리케이션이 바로 끊깁니다. "
                "이를 허용하는 변수는 없습니다",
            ),
            Words(
                "Set the variable to what it is, or change the port by hand.",
                "변수를 현재 값으로 맞추거나 포트를 직접 바꾸십시오.",
            ),
        ),
    ]
    return [
        Finding(f"database_{field}", f"database_{field}", str(told), rule, remedy)
        for field, told, rule, remedy in rules
        if found[field] != wanted[field]
    ]


def _class_findings(inputs: Values, wanted: Values, found: Values) -> list[Finding]:
    name, larger = inputs["database_identifier"], found["instance_class"]
    named = consented_names(inputs[ALLOW_SMALLER_CLASS], ALLOW_SMALLER_CLASS)
    if name in named or _class_size(wanted["instance_class"]) >= _class_size(larger):
        return []
    command = f'-e \'{{"{ALLOW_SMALLER_CLASS}": ["{name}"]}}\''
    return [
        Finding(
            "database_class_smaller",
            "database_instance_class",
            larger,
            Words(
                f"wanted {wanted['instance_class']}, but {name} is larger and never made smaller in passing",
                f"{wanted['instance_class']}을(를) 원하지만 {name}이(가) 더 크며 자동으로 줄이지 않습니다",
            ),
            Words(
                f"Set the variable to what it is or, if that is meant, name the instance: {command}.",
                f"변수를 현재 값으로 맞추십시오. 의도한 것이면 인스턴스를 지정하십시오: {command}.",
            ),
        )
    ]


def _grown_findings(name: str, wanted: Values, found: Values) -> list[Finding]:
    """A limit of autoscaling that storage has reached meanwhile."""
    storage, maximum = wanted["allocated_storage_gib"], wanted["max_allocated_storage_gib"]
    least = smallest_maximum(storage)
    if maximum == found["max_allocated_storage_gib"] or maximum >= least:
        return []
    return [
        Finding(
            "database_storage_grown",
            "database_max_allocated_storage_gib",
            str(maximum),
            Words(
                f"must be at least 10 % above the {storage} GiB that {name} has by now, that is {least} or more",
                f"{name}의 현재 용량 {storage} GiB보다 10 % 이상 커야 하므로 {least} 이상이어야 합니다",
            ),
            Words(f"Set {least} or more.", f"{least} 이상으로 설정하십시오."),
        )
    ]


def refusals(inputs: Values, now: Values) -> list[Finding]:
    """What the instance is and can only become by a human decision."""
    name = inputs["database_identifier"]
    wanted, found = wanted_instance(inputs, now), found_instance(inputs, now, {})
    return [
        *_fixed_findings(name, wanted, found),
        *_human_findings(name, now, wanted, found),
        *_class_findings(inputs, wanted, found),
        *_grown_findings(name, wanted, found),
    ]


def _waits(different: Difference) -> bool:
    if different.field == "backup_retention_days":
        return not different.before
    return different.field in WAITING


def _why(change: Change, inputs: Values) -> str:
    """Who demands it, and what of an existing instance does not change at once."""
    if change.verb == "create":
        return WHY
    told, waiting = WHY, ", ".join(different.field for different in change.differences if _waits(different))
    if waiting and not inputs["database_apply_immediately"]:
        told += f"; not before the next maintenance window: {waiting}, as database_apply_immediately is false"
    if any(different.field == PARAMETER_GROUP for different in change.differences):
        told += f"; not before somebody restarts it: what {PARAMETER_GROUP} says"
    return told


def instance_changes(inputs: Values, found: Values) -> list[Change]:
    now = found["db_instance"] or {}
    ids = {name: group["group_id"] for name, group in found["security_groups"].items()}
    wanted = wanted_instance(inputs, now)
    instance = {
        **wanted,
        # RDS cannot go back behind what automatic upgrades installed. A new instance gets the major's default minor.
        "engine_version": str(now.get("engine_version") or wanted["engine_major"]),
        "subnet_group_name": inputs["database_subnet_group_name"],
        "security_group_ids": [ids[name] for name in wanted["security_groups"] if name in ids],
        "apply_immediately": inputs["database_apply_immediately"],
    }
    as_found = found_instance(inputs, now, {group_id: name for name, group_id in ids.items()}) if now else None

    def apply(differing: frozenset[str]) -> dict[str, Values]:
        # The module that creates instances knows nothing of support.
        items: dict[str, Values] = {"supports": {}} if EXTENDED_SUPPORT in differing else {}
        return {**items, "instances": instance} if differing - {EXTENDED_SUPPORT} else items

    changes = compare(inputs["database_identifier"], wanted, as_found, WHY, apply)
    return [replace(change, why=_why(change, inputs)) for change in changes]


def parameter_group_changes(inputs: Values, found: Values) -> list[Change]:
    group = {"parameters": PARAMETERS, "tags": role_tags(inputs["deployment_tags"], "database")}
    now = found["db_parameter_group"]
    if now is not None:
        kept = {name: value for name, value in now["parameters"].items() if name in PARAMETERS}
        now = {"parameters": kept, "tags": own_tags(now["tags"])}
    family = parameter_family(inputs["database_engine_major"])
    item = {**group, "family": family, "description": f"Parameters of {inputs['database_identifier']}, {family}"}
    return compare(_parameter_group(inputs), group, now, WHY, lambda _: {"parameter_groups": item})


def restart_findings(inputs: Values, now: Values | None) -> list[Finding]:
    """Parameters that hold only once the instance has been restarted, which interrupts every application."""
    name, waiting = inputs["database_identifier"], (_parameter_group(inputs), "pending-reboot")
    command = f"aws rds reboot-db-instance --db-instance-identifier {name}"
    return [
        Finding(
            "database_restart",
            name,
            group["parameter_apply_status"],
            Words(
                f"must be restarted for what its parameter group {group['db_parameter_group_name']} says to hold, and "
                "is never restarted here, whatever the variables say",
                f"파라미터 그룹 {group['db_parameter_group_name']}의 값이 적용되려면 재시작해야 하며, 어떤 변수로도 "
                "여기서는 재시작하지 않습니다",
            ),
            Words(
                f"When a minute's interruption does no harm: {command}.",
                f"1분쯤 중단되어도 괜찮을 때 실행하십시오: {command}.",
            ),
            "warning",
        )
        for group in (now or {}).get("db_parameter_groups", [])
        if (group["db_parameter_group_name"], group["parameter_apply_status"]) == waiting
    ]


def subnet_group_changes(inputs: Values, found: Values) -> list[Change]:
    group = {
        "description": f"Subnets of {inputs['database_identifier']}",
        "subnet_ids": sorted(subnet["subnet_id"] for subnet in found["network"]["subnets"]),
        "tags": role_tags(inputs["deployment_tags"], "database"),
    }
    now = found["db_subnet_group"]
    if now is not None:
        now = {**now, "subnet_ids": sorted(now["subnet_ids"]), "tags": own_tags(now["tags"])}
    return compare(inputs["database_subnet_group_name"], group, now, WHY, lambda _: {"subnet_groups": group})


def expected_changes(inputs: Values, now: Values | None) -> list[Change]:
    """What RDS moves by itself: storage that has grown, and the minor version."""
    if now is None:
        return []
    moved = (
        ("allocated_storage_gib", now["allocated_storage"], inputs["database_allocated_storage_gib"], GROWN),
        ("engine_version", now["engine_version"], str(inputs["database_engine_major"]), UPGRADED),
    )
    return [
        Change(inputs["database_identifier"], "update", (Difference(name, before, after),), why)
        for name, before, after, why in moved
        if before > after
    ]


def decide(inputs: Values, found: Values) -> Plan:
    """Nothing is judged until the instance has settled, and nothing changes where it is broken."""
    now = found["db_instance"]
    unsettled = unsettled_findings(inputs, now)
    if unsettled:
        return Plan(unsettled=unsettled)
    missing = missing_findings(inputs, found)
    broken = broken_findings(inputs["database_identifier"], now)
    if broken:
        return Plan(broken, missing=missing)
    changes = [
        *subnet_group_changes(inputs, found),
        *parameter_group_changes(inputs, found),
        *instance_changes(inputs, found),
    ]
    refused = refusals(inputs, now) if now else []
    return Plan(
        refused,
        changes,
        missing=missing,
        notices=restart_findings(inputs, now),
        expected=expected_changes(inputs, now),
    )


ROLE = Role(reads, decide, applies=("subnet_groups", "parameter_groups", "instances", "supports"), rules=RULES)

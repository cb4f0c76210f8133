# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The database as it should be, given what it already is: never smaller, never older, never less protected."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from .changes import MISSING, reason, with_reasons
from .consent import consented_names
from .findings import NOT_SHOWN, Finding, Severity, Words, texts
from .rds_password import KOREAN, RESERVED_BY_POSTGRESQL, RESERVED_BY_RDS, check
from .rds_password import Finding as RuleBroken
from .tags import own_tags

SMALLEST_STORAGE_GIB = 20
LARGEST_STORAGE_GIB = 65536
FEWEST_BACKUP_DAYS = 7
MOST_BACKUP_DAYS = 35
LOWEST_PORT = 1150
HIGHEST_PORT = 65535

IDENTIFIER = re.compile(r"(?=.{1,63}$)[a-z](-?[a-z0-9])*")
DATABASE_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,62}")
# There from the beginning (facts 1.6), so that they cannot be created.
EXISTING_DATABASES = frozenset({"template0", "template1"})
# The T classes that run PostgreSQL 15 and newer are these two; the rest is judged by its form.
INSTANCE_CLASS = re.compile(r"db\.(t3|t4g|[a-su-z][a-z]*\d+[a-z-]*)\.(micro|small|medium|large|(\d+)?xlarge)")
# Instance classes end in one of these, or in a number and xlarge.
CLASS_SIZES = ("nano", "micro", "small", "medium", "large", "xlarge")

READY = {
    "available",
    "backing-up",
    "configuring-enhanced-monitoring",
    "configuring-log-exports",
    "storage-optimization",
}
BROKEN = {"deleting", "failed", "restore-error", "stopped", "stopping", "storage-full", "storage-config-upgrade-failed"}


def readiness(status: str) -> Literal["ready", "busy", "broken"]:
    """Whether an instance can be changed now, later, or not without help."""
    if status in READY:
        return "ready"
    return "broken" if status in BROKEN or status.startswith(("incompatible-", "inaccessible-")) else "busy"


def settled(instances: Sequence[Mapping[str, Any]]) -> bool:
    """Whether there is nothing left to wait for, be it because there is nothing at all."""
    return all(readiness(instance["db_instance_status"]) != "busy" for instance in instances)


def smallest_maximum(allocated_gib: int) -> int:
    """RDS wants the limit of storage autoscaling at least a tenth above what is allocated."""
    return -(-allocated_gib * 11 // 10)


def recommended_maximum(allocated_gib: int) -> int:
    """Below this RDS reports that growing is hardly possible (facts 1.8)."""
    return -(-allocated_gib * 126 // 100)


def input_findings(wanted: Mapping[str, Any]) -> list[Finding]:
    """Everything about the inputs that RDS refuses, or the guide forbids, or that is not wise."""
    allocated, maximum = wanted["allocated_storage"], wanted["max_allocated_storage"]
    backups, port = wanted["backup_retention_period"], wanted["port"]
    identifier, name = wanted["db_instance_identifier"], wanted["db_name"]
    instance_class = wanted["db_instance_class"]
    least = smallest_maximum(max(allocated, SMALLEST_STORAGE_GIB))
    rules = [
        (
            "database_identifier",
            bool(IDENTIFIER.fullmatch(identifier)),
            identifier,
            Words(
                "must be 1 to 63 lower-case letters, digits and single hyphens, beginning with a letter and not ending "
                "in a hyphen",
                "영문 소문자, 숫자, 하이픈(연속 불가) 1~63자, 문자로 시작하고 하이픈으로 끝나지 않아야 합니다",
            ),
            Words("Rename it, such as academy-db.", "예: academy-db 처럼 이름을 바꾸십시오."),
        ),
        (
            "database_name",
            bool(DATABASE_NAME.fullmatch(name)),
            name,
            Words(
                "must be 1 to 63 letters, digits and underscores, beginning with a letter",
                "영문자, 숫자, 밑줄 1~63자이고 문자로 시작해야 합니다",
            ),
            Words("Rename it, such as academy.", "예: academy 처럼 이름을 바꾸십시오."),
        ),
        (
            "database_name",
            name.lower() not in RESERVED_BY_POSTGRESQL | RESERVED_BY_RDS | EXISTING_DATABASES,
            name,
            Words(
                "must be no reserved word of PostgreSQL, and no database that RDS has already",
                "PostgreSQL 예약어나 RDS에 이미 있는 데이터베이스 이름일 수 없습니다",
            ),
            Words("Rename it, such as academy.", "예: academy 처럼 이름을 바꾸십시오."),
        ),
        (
            "database_instance_class",
            bool(INSTANCE_CLASS.fullmatch(instance_class)),
            instance_class,
            Words(
                "must be db.<family>.<size>, of a family that runs PostgreSQL 15 and newer",
                "db.<제품군>.<크기> 형식이고 PostgreSQL 15 이상을 지원하는 제품군이어야 합니다",
            ),
            Words("The guide says db.t4g.micro.", "가이드는 db.t4g.micro입니다."),
        ),
        (
            "database_port",
            LOWEST_PORT <= port <= HIGHEST_PORT,
            port,
            Words(f"must be {LOWEST_PORT} to {HIGHEST_PORT}", f"{LOWEST_PORT}~{HIGHEST_PORT} 범위여야 합니다"),
            Words("Set 5432.", "5432로 설정하십시오."),
        ),
        (
            "database_allocated_storage_gib",
            SMALLEST_STORAGE_GIB <= allocated <= LARGEST_STORAGE_GIB,
            allocated,
            Words(
                f"must be {SMALLEST_STORAGE_GIB} to {LARGEST_STORAGE_GIB} GiB for gp3",
                f"gp3는 {SMALLEST_STORAGE_GIB}~{LARGEST_STORAGE_GIB} GiB여야 합니다",
            ),
            Words("The guide says 20 or 30.", "가이드는 20 또는 30입니다."),
        ),
        (
            "database_max_allocated_storage_gib",
            least <= maximum <= LARGEST_STORAGE_GIB,
            maximum,
            Words(
                "must be at least 10 % above database_allocated_storage_gib, that is "
                f"{least} or more, and {LARGEST_STORAGE_GIB} at most",
                f"database_allocated_storage_gib보다 10 % 이상 커야 하므로 {least} 이상, "
                f"{LARGEST_STORAGE_GIB} 이하여야 합니다",
            ),
            Words("The guide says 50 to 100.", "가이드는 50~100입니다."),
        ),
        (
            "database_backup_retention_days",
            FEWEST_BACKUP_DAYS <= backups <= MOST_BACKUP_DAYS,
            backups,
            Words(
                f"must be {FEWEST_BACKUP_DAYS} to {MOST_BACKUP_DAYS}: the guide forbids fewer, and no variable allows "
                "them",
                f"{FEWEST_BACKUP_DAYS}~{MOST_BACKUP_DAYS}일이어야 합니다(가이드는 그 미만을 금지합니다)",
            ),
            Words(f"Set {FEWEST_BACKUP_DAYS} or more.", f"{FEWEST_BACKUP_DAYS} 이상으로 설정하십시오."),
        ),
    ]
    findings = [
        Finding(variable, variable, str(found) or "nothing", rule, remedy)
        for variable, holds, found, rule, remedy in rules
        if not holds
    ]
    if least <= maximum < recommended_maximum(allocated):
        findings.append(
            Finding(
                "database_max_allocated_storage_recommended",
                "database_max_allocated_storage_gib",
                str(maximum),
                Words(
                    f"should be 26 % above what is allocated, that is {recommended_maximum(allocated)} or more",
                    f"할당량보다 26 % 이상, 즉 {recommended_maximum(allocated)} 이상을 권장합니다",
                ),
                Words(
                    "RDS grows in steps; the guide says 50 to 100.", "RDS는 단계적으로 늘립니다. 가이드는 50~100입니다."
                ),
                "warning",
            )
        )
    return findings


def input_problems(wanted: Mapping[str, Any]) -> list[str]:
    """Everything about the inputs that RDS refuses, or the guide forbids."""
    return texts(input_findings(wanted))


# What the rules of a user name and password are called in the inventory.
VARIABLES = {"master_username": "database_master_username", "master_password": "database_password"}
# What to do about any of them.
REMEDIES = {
    "master_username": Words(
        "Set database_master_username, such as academy_user; DB_USER follows it.",
        "database_master_username을 예: academy_user로 설정하십시오. DB_USER는 자동으로 따라갑니다.",
    ),
    "master_password": Words(
        "Put another one into the vault (vault_database_password): 16 and more letters, digits and ._~- pass.",
        "볼트의 vault_database_password를 바꾸십시오. 영문, 숫자, ._~- 16자 이상이면 어디서나 통과합니다.",
    ),
}


def password_findings(password: str, username: str, names: Sequence[str]) -> list[Finding]:
    """What is wrong with the master user and password between RDS and an env file; never the password itself."""
    judged = check(username, password)
    severities: tuple[tuple[Severity, Sequence[RuleBroken]], ...] = (
        ("error", judged.violations),
        ("warning", judged.cautions),
    )
    findings = [
        Finding(
            broken.rule,
            VARIABLES[broken.subject],
            NOT_SHOWN,
            Words(broken.message.partition("; ")[0], KOREAN[broken.rule]),
            REMEDIES[broken.subject],
            severity,
        )
        for severity, found in severities
        for broken in found
    ]
    if any(password and password in name for name in names):
        findings.append(
            Finding(
                "password_in_a_name",
                "database_password",
                NOT_SHOWN,
                Words(
                    "must be no part of any resource's name, because Ansible masks it wherever it appears and would "
                    "garble that name",
                    "리소스 이름의 일부일 수 없습니다. Ansible이 같은 글자를 모두 가려 이름이 깨집니다",
                ),
                REMEDIES["master_password"],
            )
        )
    return findings


def password_problems(password: str, username: str, names: Sequence[str]) -> list[str]:
    """The same as sentences, without what is only not wise."""
    return texts(password_findings(password, username, names))


def _major(version: str) -> int:
    return int(version.split(".", maxsplit=1)[0])


def _class_size(instance_class: str) -> int:
    """A number by which classes compare, whatever their family; 0 for one that is not understood."""
    size = instance_class.rpartition(".")[2]
    if size in CLASS_SIZES:
        return CLASS_SIZES.index(size) + 1
    factor = size.removesuffix("xlarge")
    return len(CLASS_SIZES) - 1 + int(factor) if factor.isdecimal() else 0


def _under_way(current: Mapping[str, Any]) -> dict[str, Any]:
    """The instance as it will be once everything that was asked for is done."""
    return {**current, **{key: value for key, value in current.get("pending_modified_values", {}).items() if value}}


def desired(
    current: Mapping[str, Any], wanted: Mapping[str, Any], shorter_backups: Sequence[str] = ()
) -> dict[str, Any]:
    """What is wanted, and no less than there is: storage that autoscaling added, backups, a second zone.

    Of an instance that is named, backups may become shorter.
    """
    now = _under_way(current)
    named = consented_names(shorter_backups, "database_allow_shorter_backups")
    kept = 0 if wanted["db_instance_identifier"] in named else int(now.get("backup_retention_period", 0))
    return {
        **wanted,
        "allocated_storage": max(wanted["allocated_storage"], int(now.get("allocated_storage", 0))),
        "backup_retention_period": max(wanted["backup_retention_period"], kept),
        "multi_az": wanted["multi_az"] or bool(now.get("multi_az")),
    }


def desired_engine_version(current: Mapping[str, Any], wanted_major: int) -> str:
    """What automatic upgrades installed stays: RDS cannot go back. A new instance gets the major's default minor."""
    return str(current.get("engine_version") or wanted_major)


# Differences that no modification can remove.
FIXED = {
    "db_name": "database_name",
    "master_username": "database_master_username",
    "storage_encrypted": "storage encryption",
}

MENDABLE = (
    "allocated_storage",
    "auto_minor_version_upgrade",
    "backup_retention_period",
    "copy_tags_to_snapshot",
    "db_instance_class",
    "deletion_protection",
    "max_allocated_storage",
    "multi_az",
    "publicly_accessible",
    "storage_type",
)


def refusals(current: Mapping[str, Any], wanted: Mapping[str, Any], smaller_class: Sequence[str] = ()) -> list[str]:
    """What the instance is and can only become by a human decision. Empty for an instance yet to be created.

    An instance that is named may get a smaller class.
    """
    if not current:
        return []
    name = wanted["db_instance_identifier"]
    status = current["db_instance_status"]
    if readiness(status) == "broken":
        return [
            f"{name}: must be available, found {status}. See its events (aws rds describe-events --source-type "
            f"db-instance --source-identifier {name}), mend or start it, and run again."
        ]
    problems = [
        f"{variable}: wanted {wanted[key]}, but {name} has {current.get(key)}, which RDS cannot change on an existing "
        "instance, and none is ever replaced here, whatever the variables say. Set the variable to what it is, or "
        "restore a snapshot into a new instance."
        for key, variable in FIXED.items()
        if current.get(key) != wanted[key]
    ]
    version, major = str(current["engine_version"]), wanted["engine_major"]
    if _major(version) != major:
        problems.append(
            f"database_engine_major: wanted {major}, but {name} runs {version}. A major upgrade is never done in "
            "passing: upgrade it yourself after a snapshot, then set the variable."
        )
    port = current.get("endpoint", {}).get("port", wanted["port"])
    if port != wanted["port"]:
        problems.append(
            f"database_port: wanted {wanted['port']}, but {name} listens on {port}. Changing it cuts off every "
            "application at once, and no variable allows that: set this one to what it is, or change it by hand."
        )
    instance_class = _under_way(current)["db_instance_class"]
    named = consented_names(smaller_class, "database_allow_smaller_class")
    if name not in named and _class_size(wanted["db_instance_class"]) < _class_size(instance_class):
        problems.append(
            f"database_instance_class: wanted {wanted['db_instance_class']}, but {name} is a larger {instance_class}. "
            "It is never made smaller in passing: set the variable to what it is or, if that is meant, name the "
            f'instance: -e \'{{"database_allow_smaller_class": ["{name}"]}}\'.'
        )
    storage, maximum = desired(current, wanted)["allocated_storage"], wanted["max_allocated_storage"]
    if maximum != current.get("max_allocated_storage") and maximum < smallest_maximum(storage):
        problems.append(
            f"database_max_allocated_storage_gib: must be at least 10 % above the {storage} GiB that {name} has "
            f"by now, that is {smallest_maximum(storage)} or more, found {maximum}."
        )
    return problems


def differences(
    current: Mapping[str, Any], wanted: Mapping[str, Any], shorter_backups: Sequence[str] = ()
) -> list[str]:
    """What has to be changed, as sentences; what is under way counts as done."""
    if not current:
        return []
    now, should_be = _under_way(current), desired(current, wanted, shorter_backups)
    groups = {group["vpc_security_group_id"] for group in now.get("vpc_security_groups", [])}
    comparisons = [
        *((key, now.get(key), should_be[key]) for key in MENDABLE),
        ("vpc_security_group_ids", sorted(groups), sorted(wanted["vpc_security_group_ids"])),
        ("tags", own_tags(now.get("tags", {})), dict(wanted["tags"])),
    ]
    return [f"{key}: {found} -> {should}" for key, found, should in comparisons if found != should]


def subnet_group_changes(wanted: Mapping[str, Any], found: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    """The subnet group with the reason, if it is not as it should be."""
    if found is None:
        return with_reasons([(wanted, MISSING)])
    why = reason(
        [
            ("description", found["description"], wanted["description"]),
            ("subnets", sorted(found["subnet_ids"]), sorted(wanted["subnet_ids"])),
            ("tags", own_tags(found["tags"]), dict(wanted["tags"])),
        ]
    )
    return with_reasons([(wanted, why)])

# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What RDS refuses about a database's inputs, what the guide forbids, and what is not wise."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

from .findings import NOT_SHOWN, Finding, Severity, Words
from .name_rules import subnet_group_name_findings
from .plan import Rule
from .rds_password import KOREAN, RESERVED_BY_POSTGRESQL, RESERVED_BY_RDS, check
from .rds_password import Finding as RuleBroken

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
# Of the T families of today these two run PostgreSQL 15 and newer; those to come, and all others, are judged by form.
FAMILIES = r"t3|t4g|t([5-9]|\d\d)[a-z-]*|[a-su-z][a-z]*\d+[a-z-]*"
INSTANCE_CLASS = re.compile(rf"db\.({FAMILIES})\.(micro|small|medium|large|(\d+)?xlarge)")


def smallest_maximum(allocated_gib: int) -> int:
    """RDS wants the limit of storage autoscaling at least a tenth above what is allocated."""
    return -(-allocated_gib * 11 // 10)


def recommended_maximum(allocated_gib: int) -> int:
    """Below this RDS reports that growing is hardly possible (facts 1.8)."""
    return -(-allocated_gib * 126 // 100)


def _rule(variable: str, holds: Callable[[Any], object], rule: Words, remedy: Words) -> Rule:
    """A rule about one input alone."""

    def findings(value: Any) -> list[Finding]:
        return [] if holds(value) else [Finding(variable, variable, str(value) or "nothing", rule, remedy)]

    return Rule(findings, (variable,))


def maximum_findings(allocated: int, maximum: int) -> list[Finding]:
    """Whether storage can grow by itself."""
    variable = "database_max_allocated_storage_gib"
    least, recommended = smallest_maximum(max(allocated, SMALLEST_STORAGE_GIB)), recommended_maximum(allocated)
    if not least <= maximum <= LARGEST_STORAGE_GIB:
        return [
            Finding(
                variable,
                variable,
                str(maximum),
                Words(
                    "must be at least 10 % above database_allocated_storage_gib, that is "
                    f"{least} or more, and {LARGEST_STORAGE_GIB} at most",
                    f"database_allocated_storage_gib보다 10 % 이상 커야 하므로 {least} 이상, "
                    f"{LARGEST_STORAGE_GIB} 이하여야 합니다",
                ),
                Words("The guide says 50 to 100.", "가이드는 50~100입니다."),
            )
        ]
    if maximum >= recommended:
        return []
    return [
        Finding(
            "database_max_allocated_storage_recommended",
            variable,
            str(maximum),
            Words(
                f"should be 26 % above what is allocated, that is {recommended} or more",
                f"할당량보다 26 % 이상, 즉 {recommended} 이상을 권장합니다",
            ),
            Words("RDS grows in steps; the guide says 50 to 100.", "RDS는 단계적으로 늘립니다. 가이드는 50~100입니다."),
            "warning",
        )
    ]


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


def password_findings(password: str, username: str, *names: str) -> list[Finding]:
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


DATABASE_NAME_RULES = (
    _rule(
        "database_name",
        DATABASE_NAME.fullmatch,
        Words(
            "must be 1 to 63 letters, digits and underscores, beginning with a letter",
            "영문자, 숫자, 밑줄 1~63자이고 문자로 시작해야 합니다",
        ),
        Words("Rename it, such as academy.", "예: academy 처럼 이름을 바꾸십시오."),
    ),
    _rule(
        "database_name",
        lambda value: value.lower() not in RESERVED_BY_POSTGRESQL | RESERVED_BY_RDS | EXISTING_DATABASES,
        Words(
            "must be no reserved word of PostgreSQL, and no database that RDS has already",
            "PostgreSQL 예약어나 RDS에 이미 있는 데이터베이스 이름일 수 없습니다",
        ),
        Words("Rename it, such as academy.", "예: academy 처럼 이름을 바꾸십시오."),
    ),
)

RULES = (
    _rule(
        "database_identifier",
        IDENTIFIER.fullmatch,
        Words(
            "must be 1 to 63 lower-case letters, digits and single hyphens, beginning with a letter and not ending "
            "in a hyphen",
            "영문 소문자, 숫자, 하이픈(연속 불가) 1~63자, 문자로 시작하고 하이픈으로 끝나지 않아야 합니다",
        ),
        Words("Rename it, such as academy-db.", "예: academy-db 처럼 이름을 바꾸십시오."),
    ),
    *DATABASE_NAME_RULES,
    _rule(
        "database_instance_class",
        INSTANCE_CLASS.fullmatch,
        Words(
            "must be db.<family>.<size>, of a family that runs PostgreSQL 15 and newer",
            "db.<제품군>.<크기> 형식이고 PostgreSQL 15 이상을 지원하는 제품군이어야 합니다",
        ),
        Words("The guide says db.t4g.micro.", "가이드는 db.t4g.micro입니다."),
    ),
    _rule(
        "database_port",
        lambda value: LOWEST_PORT <= value <= HIGHEST_PORT,
        Words(f"must be {LOWEST_PORT} to {HIGHEST_PORT}", f"{LOWEST_PORT}~{HIGHEST_PORT} 범위여야 합니다"),
        Words("Set 5432.", "5432로 설정하십시오."),
    ),
    _rule(
        "database_allocated_storage_gib",
        lambda value: SMALLEST_STORAGE_GIB <= value <= LARGEST_STORAGE_GIB,
        Words(
            f"must be {SMALLEST_STORAGE_GIB} to {LARGEST_STORAGE_GIB} GiB for gp3",
            f"gp3는 {SMALLEST_STORAGE_GIB}~{LARGEST_STORAGE_GIB} GiB여야 합니다",
        ),
        Words("The guide says 20 or 30.", "가이드는 20 또는 30입니다."),
    ),
    _rule(
        "database_backup_retention_days",
        lambda value: FEWEST_BACKUP_DAYS <= value <= MOST_BACKUP_DAYS,
        Words(
            f"must be {FEWEST_BACKUP_DAYS} to {MOST_BACKUP_DAYS}: the guide forbids fewer, and no variable allows them",
            f"{FEWEST_BACKUP_DAYS}~{MOST_BACKUP_DAYS}일이어야 합니다(가이드는 그 미만을 금지합니다)",
        ),
        Words(f"Set {FEWEST_BACKUP_DAYS} or more.", f"{FEWEST_BACKUP_DAYS} 이상으로 설정하십시오."),
    ),
    Rule(subnet_group_name_findings, ("database_subnet_group_name",)),
    Rule(maximum_findings, ("database_allocated_storage_gib", "database_max_allocated_storage_gib")),
    Rule(
        password_findings,
        (
            "database_password",
            "database_master_username",
            "database_identifier",
            "database_name",
            "database_security_group",
            "database_subnet_group_name",
        ),
    ),
)

# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an instance is called in other services, what its status says, and what its refusal of a password means."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Literal

from .findings import Words

READY = {
    "available",
    "backing-up",
    "configuring-enhanced-monitoring",
    "configuring-log-exports",
    "storage-optimization",
}
BROKEN = {"deleting", "failed", "restore-error", "stopped", "stopping", "storage-full", "storage-config-upgrade-failed"}


# What PostgreSQL on RDS writes into CloudWatch Logs, each into a log group of its own; nobody asks it for more here.
EXPORTED_LOGS = ("postgresql", "upgrade")


def log_group_prefix(identifier: str) -> str:
    return f"/aws/rds/instance/{identifier}/"


def database_log_groups(identifier: str) -> list[str]:
    """The groups that RDS writes to, and makes for ever where they are missing."""
    return [log_group_prefix(identifier) + kind for kind in EXPORTED_LOGS]


def parameter_family(engine_major: int) -> str:
    """What a parameter group must be of to fit that major version."""
    return f"postgres{engine_major}"


def parameter_group_name(identifier: str, engine_major: int) -> str:
    """With its family, so that the group of the next major version may stand next to it."""
    return f"{identifier}-{parameter_family(engine_major)}"


def readiness(status: str) -> Literal["ready", "busy", "broken"]:
    """Whether an instance can be changed now, later, or not without help."""
    if status in READY:
        return "ready"
    return "broken" if status in BROKEN or status.startswith(("incompatible-", "inaccessible-")) else "busy"


# As PostgreSQL says it, whatever client it tells. It says the same of a user that it does not know.
PASSWORD_REFUSED = re.compile(r'password authentication failed for user "?([^"\s]*)')


def refused_password(output: Iterable[str], identifier: str, region: str) -> str:
    """Why an application's password is refused, by its output, and how to align the two; nothing where it is not."""
    refused = next((found for line in output if (found := PASSWORD_REFUSED.search(line))), None)
    if refused is None:
        return ""
    command = (
        f"aws rds modify-db-instance --region {region} --db-instance-identifier {identifier} --apply-immediately "
        "--cli-input-json file:///dev/stdin"
    )
    typed = '{"MasterUserPassword": "..."}'
    told = Words(
        f"The database refuses the password of {refused[1]}. RDS takes database_password when {identifier} is created "
        "and never again from here, so one of the two was changed since. Put the one that RDS has into the vault "
        f"(vault_database_password), or give RDS the vault's in its console or by `{command}`, which reads {typed} "
        "from the keyboard, so that it stands in no history. Then run again.",
        f"데이터베이스가 {refused[1]}의 비밀번호를 거부합니다. database_password는 {identifier}을(를) 만들 때만 RDS에 "
        "전달되므로, 그 뒤 둘 중 하나가 바뀌었습니다. RDS의 비밀번호를 볼트(vault_database_password)에 넣거나, 볼트의 "
        f"비밀번호를 콘솔에서 또는 `{command}`로(키보드로 {typed} 입력, 기록에 없음) "
        "RDS에 설정한 뒤 다시 실행하십시오.",
    )
    return "".join(f"{words}\n" for words in told)

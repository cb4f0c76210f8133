# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""One log group for each container, the starter's, and those that the database writes to."""

from __future__ import annotations

from ..database import database_log_groups, log_group_prefix
from ..services import ROWS, log_groups
from ..tags import own_tags, role_tags
from . import Plan, Role, Values, compare

WHY = "guide §11.1"


def reads(inputs: Values) -> Values:
    return {"log_group_prefixes": [f"/{inputs['deployment_name']}/", log_group_prefix(inputs["database_identifier"])]}


def decide(inputs: Values, found: Values) -> Plan:
    wanted = {"retention_days": inputs["logs_retention_days"], "tags": role_tags(inputs["deployment_tags"], "logs")}
    databases = database_log_groups(inputs["database_identifier"])
    changes = []
    for name in [*log_groups(inputs["services"]), inputs["starter_log_group"], *databases]:
        now = found["log_groups"].get(name)
        if now is not None:
            now = {"retention_days": now["retention_days"] or "for ever", "tags": own_tags(now["tags"])}
        changes += compare(name, wanted, now, WHY, lambda _: {"log_groups": wanted})
    return Plan(changes=changes)


ROLE = Role(reads, decide, applies=("log_groups",), rules=(ROWS,))

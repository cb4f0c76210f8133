# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The starter: which workers it serves, and its function and schedule as they should be against what AWS has."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.academy.deploy.plugins.module_utils.names import function_arn, rule_arn

from .changes import MISSING, reason, with_reasons
from .policies import as_text
from .tags import own_tags

SETTINGS_VARIABLE = "STARTER"
STATEMENT_ID = "InvokeBySchedule"
SCHEDULER = "events.amazonaws.com"
INVOKE = "lambda:InvokeFunction"

# What aws_state_info calls the settings of a function.
SETTINGS = (
    "description",
    "runtime",
    "handler",
    "role",
    "timeout_seconds",
    "memory_mib",
    "architecture",
    "environment",
    "code_sha256",
)

Function = dict[str, Any]


def starter_workers(services: Mapping[str, Mapping[str, Any]], groups: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """Of each service whose hosts stop themselves: the queues that it empties, and its hosts in the inventory.

    Not of each kind of host: of one kind, some may serve another's queues too, and only those are started for it.
    """
    return {
        service: {"queues": list(needs["receives_from"]), "hosts": list(groups[service])}
        for service, needs in services.items()
        if needs["stops_itself"] and groups.get(service)
    }


def starter_settings(workers: Mapping[str, Mapping[str, Any]], deployment_name: str, grace_seconds: int) -> str:
    """What the function is told, in the one variable that it reads."""
    groups = [
        {"name": name, "queues": worker["queues"], "hosts": worker["hosts"], "grace_seconds": grace_seconds}
        for name, worker in workers.items()
    ]
    return json.dumps({"deployment": deployment_name, "groups": groups}, separators=(",", ":"))


def invoke_statement(name: str, region: str, account_id: str) -> dict[str, Any]:
    """The one statement of the function's policy, as Lambda writes it: our schedule may invoke it, and nobody else."""
    return {
        "Sid": STATEMENT_ID,
        "Effect": "Allow",
        "Principal": {"Service": SCHEDULER},
        "Action": INVOKE,
        "Resource": function_arn(name, region, account_id),
        "Condition": {"ArnLike": {"AWS:SourceArn": rule_arn(name, region, account_id)}},
    }


# --- what has to be made or mended ----------------------------------------------------------------------------------


def function_changes(wanted: Function, tags: Mapping[str, str], now: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    """The function if it is not as it should be, with the reason."""
    if now is None:
        return [{**wanted, "reason": MISSING}]
    comparisons = [(setting, _shown(now[setting]), _shown(wanted[setting])) for setting in SETTINGS]
    return with_reasons([(wanted, reason([*comparisons, ("tags", own_tags(now["tags"]), dict(tags))]))])


def _shown(value: Any) -> Any:
    return as_text(value) if isinstance(value, Mapping) else value


def other_settings_changes(
    name: str, log_group: str, retries: int, now: Mapping[str, Any] | None
) -> list[dict[str, Any]]:
    """The function if it writes its log elsewhere or is tried again; a new one is so until it is told."""
    found = now or {"log_group": MISSING, "retries": MISSING}
    why = reason([("log group", found["log_group"], log_group), ("retries", found["retries"], retries)])
    return with_reasons([({"name": name}, why)])


def permission_changes(
    statement: Mapping[str, Any], now: Mapping[str, Any] | None
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The statements to be taken away because they are not ours word for word, and ours if it is not there."""
    found = (now or {}).get("statements", [])
    foreign = [one for one in found if as_text(one) != as_text(statement)]
    removed = [{"name": one["Sid"], "reason": "not ours"} for one in foreign]
    return removed, with_reasons([({"name": statement["Sid"]}, "" if len(foreign) < len(found) else MISSING)])


def schedule_changes(wanted: Mapping[str, Any], target_arn: str, now: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    """The rule if it is not as it should be, or invokes something else."""
    if now is None:
        return [{**wanted, "reason": MISSING}]
    targets = [{"Id": wanted["name"], "Arn": target_arn}]
    return with_reasons(
        [
            (
                wanted,
                reason(
                    [
                        ("description", now["description"], wanted["description"]),
                        ("schedule", now["schedule"], wanted["schedule"]),
                        ("state", now["state"], wanted["state"]),
                        ("event pattern", now["event_pattern"], None),
                        ("role", now["role"], None),
                        ("targets", as_text(now["targets"]), as_text(targets)),
                    ]
                ),
            )
        ]
    )

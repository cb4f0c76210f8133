# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The starter: a function that its schedule, and nobody else, invokes every minute."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from ..names import function_arn, role_arn, role_name, rule_arn, starter_name
from ..policies import as_text
from ..services import ROWS, starter_workers
from ..tags import own_tags, role_tags
from . import Change, Difference, Plan, Role, Values, compare
from .identity import STARTER

WHY = "guide §8.2, §9"
DESCRIPTION = "Starts workers that stopped themselves when jobs wait for them"
RUNTIME = "python3.13"
HANDLER = "academy_starter.handler.handler"
SCHEDULE = "rate(1 minute)"
# The next minute tries again. Lambda's own tries, two by default, would look at the queues at the same time as it.
RETRIES = 0
SETTINGS_VARIABLE = "STARTER"
STATEMENT_ID = "InvokeBySchedule"
SCHEDULER = "events.amazonaws.com"
INVOKE = "lambda:InvokeFunction"


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


def reads(inputs: Values) -> Values:
    name = starter_name(inputs["deployment_name"])
    return {"function_names": [name], "schedule_names": [name]}


def wanted_function(inputs: Values) -> dict[str, Any]:
    """What the module that creates functions sets."""
    deployment, workers = inputs["deployment_name"], starter_workers(inputs["services"], inputs["groups"])
    return {
        "description": DESCRIPTION,
        "runtime": RUNTIME,
        "handler": HANDLER,
        "role": role_arn(role_name(deployment, STARTER), inputs["aws_account_id"]),
        "timeout_seconds": inputs["starter_timeout_seconds"],
        "memory_mib": inputs["starter_memory_mib"],
        "architecture": inputs["starter_architecture"],
        "environment": {SETTINGS_VARIABLE: starter_settings(workers, deployment, inputs["starter_grace_seconds"])},
        "code_sha256": inputs["code_sha256"],
        "tags": role_tags(inputs["deployment_tags"], STARTER),
    }


def function_changes(inputs: Values, now: Values | None) -> list[Change]:
    name, function = starter_name(inputs["deployment_name"]), wanted_function(inputs)
    settings = {"log_group": inputs["starter_log_group"], "retries": RETRIES}

    def apply(differing: frozenset[str]) -> dict[str, Values]:
        items: dict[str, Values] = {"functions": {"name": name, **function}} if differing & function.keys() else {}
        return {**items, "settings": {"name": name, **settings}} if differing & settings.keys() else items

    if now is not None:
        now = {**now, "tags": own_tags(now["tags"])}
    return compare(f"function {name}", {**function, **settings}, now, WHY, apply)


def permission_changes(inputs: Values, statements: Sequence[Values]) -> list[Change]:
    """Lambda changes no statement: what is not ours word for word is taken away before ours is added."""
    name, where = starter_name(inputs["deployment_name"]), (inputs["aws_region"], inputs["aws_account_id"])
    wanted = invoke_statement(name, *where)
    found = {statement["Sid"]: statement for statement in statements}

    def permission(sid: str) -> dict[str, Any]:
        return {
            "name": name,
            "statement_id": sid,
            "action": INVOKE,
            "principal": SCHEDULER,
            "source_arn": rule_arn(name, *where),
        }

    def resource(sid: str) -> str:
        return f"permission {sid} of function {name}"

    foreign = [
        Change(
            resource(sid),
            "remove",
            (Difference("statement", as_text(statement), None),),
            WHY,
            {"removed_permissions": permission(sid)},
        )
        for sid, statement in found.items()
        if sid != STATEMENT_ID
    ]
    ours = permission(STATEMENT_ID)
    other = {"statement": as_text(found[STATEMENT_ID])} if STATEMENT_ID in found else None
    return foreign + compare(
        resource(STATEMENT_ID),
        {"statement": as_text(wanted)},
        other,
        WHY,
        lambda _: {"removed_permissions": ours, "permissions": ours} if other else {"permissions": ours},
    )


def rule_changes(inputs: Values, now: Values | None) -> list[Change]:
    name, where = starter_name(inputs["deployment_name"]), (inputs["aws_region"], inputs["aws_account_id"])
    target, arn = function_arn(name, *where), rule_arn(name, *where)
    rule = {
        "description": DESCRIPTION,
        "schedule": SCHEDULE,
        "state": "ENABLED" if inputs["starter_enabled"] else "DISABLED",
    }
    tags = role_tags(inputs["deployment_tags"], STARTER)
    wanted = {
        **rule,
        "event_pattern": None,
        "role": None,
        "targets": as_text([{"Id": name, "Arn": target}]),
        "tags": tags,
    }

    def apply(differing: frozenset[str]) -> dict[str, Values]:
        # The module that creates rules gives them no tags.
        items: dict[str, Values] = {"tags": {"name": name, "arn": arn, "tags": tags}} if "tags" in differing else {}
        return {**items, "rules": {"name": name, **rule, "function_arn": target}} if differing - {"tags"} else items

    if now is not None:
        now = {**now, "targets": as_text(now["targets"]), "tags": own_tags(now["tags"])}
    return compare(f"schedule rule {name}", wanted, now, WHY, apply)


def decide(inputs: Values, found: Values) -> Plan:
    name = starter_name(inputs["deployment_name"])
    function = found["functions"].get(name)
    return Plan(
        changes=[
            *function_changes(inputs, function),
            *permission_changes(inputs, function["statements"] if function else []),
            *rule_changes(inputs, found["schedules"].get(name)),
        ]
    )


ROLE = Role(
    reads,
    decide,
    applies=("functions", "settings", "removed_permissions", "permissions", "rules", "tags"),
    rules=(ROWS,),
    has_code=True,
    has_hosts=True,
)

# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What of the starter's function, its permissions and its schedule has to be created, updated or removed."""

from __future__ import annotations

import json
from typing import Any

import pytest

from plugins.module_utils.plan import Change, applied
from plugins.module_utils.plan.starter import ROLE, invoke_statement, starter_settings
from roles.starter.files.academy_starter.decisions import Group, read_settings
from tests.unit.rows import ROWS

WORKERS = {
    "video_worker": {"queues": ["videos"], "hosts": ["v1", "v2"]},
    "ai_worker": {"queues": ["lite", "basic"], "hosts": ["v2"]},
}
NAME = "academy-starter"
INPUTS: dict[str, Any] = {
    "services": ROWS,
    "groups": {"api": ["a"], "video_worker": ["v1", "v2"], "ai_worker": ["v2"]},
    "starter_grace_seconds": 180,
    "starter_log_group": "/academy/starter",
    "starter_enabled": True,
    "starter_architecture": "arm64",
    "starter_memory_mib": 256,
    "starter_timeout_seconds": 45,
    "deployment_name": "academy",
    "aws_region": "ap-northeast-2",
    "aws_account_id": "123456789012",
    "deployment_tags": {"Project": "academy"},
    "code_sha256": "abc=",
}
TAGS = {"Project": "academy", "Role": "starter"}
STACK = {"aws:cloudformation:stack-name": "theirs"}
ARN = "arn:aws:lambda:ap-northeast-2:123456789012:function:academy-starter"
RULE_ARN = "arn:aws:events:ap-northeast-2:123456789012:rule/academy-starter"
DESCRIPTION = "Starts workers that stopped themselves when jobs wait for them"
FUNCTION: dict[str, Any] = {
    "description": DESCRIPTION,
    "runtime": "python3.13",
    "handler": "academy_starter.handler.handler",
    "role": "arn:aws:iam::123456789012:role/academy-starter-role",
    "timeout_seconds": 45,
    "memory_mib": 256,
    "architecture": "arm64",
    "environment": {"STARTER": starter_settings(WORKERS, "academy", 180)},
    "code_sha256": "abc=",
    "tags": TAGS,
}
SETTINGS = {"log_group": "/academy/starter", "retries": 0}
OURS = invoke_statement(NAME, "ap-northeast-2", "123456789012")
FOREIGN = {**OURS, "Sid": "theirs"}
RULE = {"description": DESCRIPTION, "schedule": "rate(1 minute)", "state": "ENABLED"}
TARGET = {"Id": NAME, "Arn": ARN}
FUNCTION_NOW = {**FUNCTION, **SETTINGS, "tags": {**TAGS, **STACK}, "statements": [OURS]}
RULE_NOW = {**RULE, "event_pattern": None, "role": None, "targets": [TARGET], "tags": {**TAGS, **STACK}}
APPLIED_FUNCTION = {"functions": {"name": NAME, **FUNCTION}}
APPLIED_SETTINGS = {"settings": {"name": NAME, **SETTINGS}}
APPLIED_RULE = {"rules": {"name": NAME, **RULE, "function_arn": ARN}}
APPLIED_TAGS = {"tags": {"name": NAME, "arn": RULE_ARN, "tags": TAGS}}


def changes(
    function: dict[str, Any] | None = FUNCTION_NOW, rule: dict[str, Any] | None = RULE_NOW, **inputs: Any
) -> list[Change]:
    found = {"functions": {NAME: function} if function else {}, "schedules": {NAME: rule} if rule else {}}
    return list(ROLE.decide({**INPUTS, **inputs}, found).changes)


def test_what_the_function_is_told_is_what_it_reads() -> None:
    found = read_settings(starter_settings(WORKERS, "academy", 180))
    assert found.deployment == "academy"
    assert found.groups == (
        Group("video_worker", ("videos",), ("v1", "v2"), 180),
        Group("ai_worker", ("lite", "basic"), ("v2",), 180),
    )


def test_the_settings_fit_into_what_lambda_takes() -> None:
    """Four kilobytes, for names as long as they may be."""
    many = {f"kind-{n}": {"queues": ["q" * 80] * 3, "hosts": ["h" * 60] * 3} for n in range(5)}
    assert len(json.dumps({"STARTER": starter_settings(many, "academy", 180)})) < 4096


def test_function_and_rule_are_read_by_their_name() -> None:
    assert ROLE.reads(INPUTS) == {"function_names": [NAME], "schedule_names": [NAME]}


def test_a_starter_as_it_should_be_is_left_alone() -> None:
    assert changes() == []


def test_on_an_empty_account_everything_is_created() -> None:
    found = changes(None, None)
    assert [(change.resource, change.verb, change.apply) for change in found] == [
        ("function academy-starter", "create", {**APPLIED_FUNCTION, **APPLIED_SETTINGS}),
        (
            "permission InvokeBySchedule of function academy-starter",
            "create",
            {
                "permissions": {
                    "name": NAME,
                    "statement_id": "InvokeBySchedule",
                    "action": "lambda:InvokeFunction",
                    "principal": "events.amazonaws.com",
                    "source_arn": RULE_ARN,
                }
            },
        ),
        ("schedule rule academy-starter", "create", {**APPLIED_RULE, **APPLIED_TAGS}),
    ]
    # The tasks name what AWS knows, not what the plan calls it.
    items = applied(found, ROLE.applies)
    assert {item["name"] for loop in items.values() for item in loop} == {NAME}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"description": "?"}, "description: ? -> Starts"),
        ({"runtime": "python3.12"}, "runtime: python3.12 -> python3.13"),
        ({"handler": "x.y"}, "handler: x.y -> academy_starter.handler.handler"),
        ({"role": "arn:other"}, "role: arn:other -> arn:aws:iam"),
        ({"timeout_seconds": 3}, "timeout_seconds: 3 -> 45"),
        ({"memory_mib": 128}, "memory_mib: 128 -> 256"),
        ({"architecture": "x86_64"}, "architecture: x86_64 -> arm64"),
        ({"environment": {}}, "environment: STARTER none -> "),
        ({"code_sha256": "def="}, "code_sha256: def= -> abc="),
        ({"tags": {}}, "tags: Project none -> academy, Role none -> starter"),
    ],
)
def test_a_function_that_differs(change: dict[str, Any], reason: str) -> None:
    (updated,) = changes({**FUNCTION_NOW, **change})
    assert reason in updated.reason
    assert updated.apply == APPLIED_FUNCTION


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"log_group": "/aws/lambda/x"}, "log_group: /aws/lambda/x -> /academy/starter"),
        ({"retries": 2}, "retries: 2 -> 0"),
    ],
)
def test_a_function_that_writes_elsewhere_or_is_tried_again(change: dict[str, Any], reason: str) -> None:
    (updated,) = changes({**FUNCTION_NOW, **change})
    assert (updated.reason, updated.apply) == (reason, APPLIED_SETTINGS)


@pytest.mark.parametrize(
    ("statements", "verbs", "removed", "added"),
    [
        ([OURS], [], [], []),
        ([{**OURS, "Action": ["lambda:InvokeFunction"]}], [], [], []),
        ([], ["create"], [], ["InvokeBySchedule"]),
        ([OURS, FOREIGN, {**FOREIGN, "Sid": "more"}], ["remove", "remove"], ["theirs", "more"], []),
        ([FOREIGN], ["remove", "create"], ["theirs"], ["InvokeBySchedule"]),
        # Of the same name, and wider: removed first, because Lambda changes none.
        ([{**OURS, "Condition": {}}], ["update"], ["InvokeBySchedule"], ["InvokeBySchedule"]),
        ([{**OURS, "Principal": "*"}], ["update"], ["InvokeBySchedule"], ["InvokeBySchedule"]),
    ],
)
def test_permissions(statements: list[dict[str, Any]], verbs: list[str], removed: list[str], added: list[str]) -> None:
    found = changes({**FUNCTION_NOW, "statements": statements})
    assert [change.verb for change in found] == verbs
    items = applied(found, ROLE.applies)
    names = {name: [item["statement_id"] for item in loop] for name, loop in items.items() if loop}
    wanted = {"removed_permissions": removed, "permissions": added}
    assert names == {name: loop for name, loop in wanted.items() if loop}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"description": ""}, "description:  -> Starts"),
        ({"schedule": "rate(1 hour)"}, "schedule: rate(1 hour) -> rate(1 minute)"),
        ({"state": "DISABLED"}, "state: DISABLED -> ENABLED"),
        ({"event_pattern": "{}"}, "event_pattern: {} -> "),
        ({"role": "arn:role"}, "role: arn:role -> "),
        ({"targets": []}, "targets: [] -> "),
        ({"targets": [{**TARGET, "Input": "{}"}]}, '"Input":["{}"]'),
    ],
)
def test_a_rule_that_differs(change: dict[str, Any], reason: str) -> None:
    (updated,) = changes(rule={**RULE_NOW, **change})
    assert reason in updated.reason
    assert updated.apply == APPLIED_RULE


@pytest.mark.parametrize("tags", [{}, {**TAGS, "Foreign": "x"}])
def test_a_rule_with_other_tags_alone_is_tagged_alone(tags: dict[str, str]) -> None:
    (updated,) = changes(rule={**RULE_NOW, "tags": tags})
    assert updated.apply == APPLIED_TAGS


def test_a_starter_that_is_not_enabled_keeps_its_function() -> None:
    (updated,) = changes(starter_enabled=False)
    assert updated.reason == "state: ENABLED -> DISABLED"

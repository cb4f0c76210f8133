# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whom the starter serves, and what of its function and schedule has to be made or mended."""

from __future__ import annotations

import json
from typing import Any

import pytest

from plugins.module_utils.starter import (
    function_changes,
    invoke_statement,
    other_settings_changes,
    permission_changes,
    schedule_changes,
    starter_settings,
    starter_workers,
)
from roles.starter.files.academy_starter.decisions import Group, read_settings

SERVICES: dict[str, Any] = {
    "api": {"receives_from": [], "stops_itself": False},
    "messaging_worker": {"receives_from": ["messages"], "stops_itself": False},
    "video_worker": {"receives_from": ["videos"], "stops_itself": True},
    "ai_worker": {"receives_from": ["lite", "basic"], "stops_itself": True},
    "later_worker": {"receives_from": ["later"], "stops_itself": True},
}
GROUPS: dict[str, list[str]] = {
    "api": ["a"],
    "messaging_worker": ["m"],
    "video_worker": ["v1", "v2"],
    "ai_worker": ["v2"],
    "later_worker": [],
}
WORKERS = {
    "video_worker": {"queues": ["videos"], "hosts": ["v1", "v2"]},
    "ai_worker": {"queues": ["lite", "basic"], "hosts": ["v2"]},
}


def test_it_serves_the_services_whose_hosts_stop_themselves_each_with_its_own_queues_and_hosts() -> None:
    assert starter_workers(SERVICES, GROUPS) == WORKERS


def test_what_the_function_is_told_is_what_it_reads() -> None:
    found = read_settings(starter_settings(WORKERS, "academy", 180))
    assert found.deployment == "academy"
    assert found.groups == (
        Group("video_worker", ("videos",), ("v1", "v2"), 180),
        Group("ai_worker", ("lite", "basic"), ("v2",), 180),
    )


FUNCTION: dict[str, Any] = {
    "name": "academy-starter",
    "description": "Starts",
    "runtime": "python3.13",
    "handler": "academy_starter.handler.handler",
    "role": "arn:aws:iam::123456789012:role/academy-starter-role",
    "timeout_seconds": 45,
    "memory_mib": 256,
    "architecture": "arm64",
    "environment": {"STARTER": "{}"},
    "code_sha256": "abc=",
}
TAGS = {"Project": "academy"}
NOW = {
    **FUNCTION,
    "tags": {**TAGS, "aws:cloudformation:stack-name": "theirs"},
    "log_group": "/academy/starter",
    "retries": 0,
}


def test_a_function_as_it_should_be_is_left_alone() -> None:
    assert function_changes(FUNCTION, TAGS, NOW) == []
    assert other_settings_changes("academy-starter", "/academy/starter", 0, NOW) == []


def test_a_missing_function_is_made() -> None:
    assert function_changes(FUNCTION, TAGS, None) == [{**FUNCTION, "reason": "missing"}]
    (change,) = other_settings_changes("academy-starter", "/academy/starter", 0, None)
    assert change["reason"] == "log group: missing -> /academy/starter; retries: missing -> 0"


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
        ({"environment": {}}, "environment: {} -> "),
        ({"code_sha256": "def="}, "code_sha256: def= -> abc="),
        ({"tags": {}}, "tags: {} -> {'Project': 'academy'}"),
    ],
)
def test_a_function_that_differs(change: dict[str, Any], reason: str) -> None:
    (mended,) = function_changes(FUNCTION, TAGS, {**NOW, **change})
    assert reason in mended["reason"]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"log_group": "/aws/lambda/x"}, "log group: /aws/lambda/x -> /academy/starter"),
        ({"retries": 2}, "retries: 2 -> 0"),
    ],
)
def test_a_function_that_writes_elsewhere_or_is_tried_again(change: dict[str, Any], reason: str) -> None:
    (found,) = other_settings_changes("academy-starter", "/academy/starter", 0, {**NOW, **change})
    assert found["reason"] == reason


OURS = invoke_statement("academy-starter", "ap-northeast-2", "123456789012")
FOREIGN = {**OURS, "Sid": "theirs"}


@pytest.mark.parametrize(
    ("statements", "taken", "given"),
    [
        ([OURS], [], []),
        ([{**OURS, "Action": ["lambda:InvokeFunction"]}], [], []),
        ([], [], ["InvokeBySchedule"]),
        ([OURS, FOREIGN], ["theirs"], []),
        ([FOREIGN], ["theirs"], ["InvokeBySchedule"]),
        # Of the same name, and wider: taken away first, because Lambda changes none.
        ([{**OURS, "Condition": {}}], ["InvokeBySchedule"], ["InvokeBySchedule"]),
        ([{**OURS, "Principal": "*"}], ["InvokeBySchedule"], ["InvokeBySchedule"]),
    ],
)
def test_permissions(statements: list[dict[str, Any]], taken: list[str], given: list[str]) -> None:
    removed, added = permission_changes(OURS, {"statements": statements})
    assert ([change["name"] for change in removed], [change["name"] for change in added]) == (taken, given)


def test_without_function_its_permission_is_missing() -> None:
    assert permission_changes(OURS, None) == ([], [{"name": "InvokeBySchedule", "reason": "missing"}])


RULE = {"name": "academy-starter", "description": "Starts", "schedule": "rate(1 minute)", "state": "ENABLED"}
ARN = "arn:aws:lambda:ap-northeast-2:123456789012:function:academy-starter"
RULE_NOW = {**RULE, "event_pattern": None, "role": None, "targets": [{"Id": "academy-starter", "Arn": ARN}]}


def test_a_rule_as_it_should_be_is_left_alone_and_a_missing_one_made() -> None:
    assert schedule_changes(RULE, ARN, RULE_NOW) == []
    assert schedule_changes(RULE, ARN, None) == [{**RULE, "reason": "missing"}]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"description": ""}, "description:  -> Starts"),
        ({"schedule": "rate(1 hour)"}, "schedule: rate(1 hour) -> rate(1 minute)"),
        ({"state": "DISABLED"}, "state: DISABLED -> ENABLED"),
        ({"event_pattern": "{}"}, "event pattern: {} -> None"),
        ({"role": "arn:role"}, "role: arn:role -> None"),
        ({"targets": []}, "targets: [] -> "),
        ({"targets": [{"Id": "academy-starter", "Arn": ARN, "Input": "{}"}]}, '"Input":["{}"]'),
    ],
)
def test_a_rule_that_differs(change: dict[str, Any], reason: str) -> None:
    (mended,) = schedule_changes(RULE, ARN, {**RULE_NOW, **change})
    assert reason in mended["reason"]


def test_the_settings_fit_into_what_lambda_takes() -> None:
    """Four kilobytes, for names as long as they may be."""
    many = {f"kind-{n}": {"queues": ["q" * 80] * 3, "hosts": ["h" * 60] * 3} for n in range(5)}
    assert len(json.dumps({"STARTER": starter_settings(many, "academy", 180)})) < 4096

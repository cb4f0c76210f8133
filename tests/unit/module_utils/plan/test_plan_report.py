# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The report over all plans: what it calls clean, and what it never does."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from plugins.module_utils.findings import Finding, Words
from plugins.module_utils.plan import Change, Difference, Plan, merged
from plugins.module_utils.plan.report import (
    Entry,
    account_entries,
    deployment_entries,
    host_entries,
    plan_entries,
    report,
    states_of,
    unknown_entry,
)

CREATE = Change("queue", "create", (), "guide §3")
UPDATE = Change("queue", "update", (Difference("size", 1, 2), Difference("color", "red", "blue")), "guide §3")
REMOVE = Change("queue", "remove", (), "guide §3")
FINDING = Finding("id", "variable", "9", Words("must be less", "작아야 합니다"), Words("Change it.", "바꾸십시오."))
SLEEPING = {
    "state": "stopped",
    "instance_id": "i-1",
    "release": "new",
    "held_until": "",
    "may_be_stopped": True,
    "wanted": "new",
    "why": "",
    "aws_region": "ap-northeast-2",
}
WAKE = "(guide §6.2; --limit worker-1 -e wake_workers=true)"


def told(*entries: Entry) -> dict[str, Any]:
    return report([*entries], [])


@pytest.mark.parametrize(
    ("plan", "status", "lines"),
    [
        (Plan(), "clean", ["", "clean: all that was compared is as it should be"]),
        (
            Plan(changes=[CREATE, REMOVE]),
            "differs",
            [
                "+ queue: create (guide §3; --tags queues)",
                "- queue: remove (guide §3; --tags queues)",
                "",
                "differs: 1 to create, 1 to remove",
            ],
        ),
        (
            Plan(changes=[UPDATE]),
            "differs",
            [
                "~ queue: size: 1 -> 2 (guide §3; --tags queues)",
                "~ queue: color: red -> blue (guide §3; --tags queues)",
                "",
                "differs: 1 to update",
            ],
        ),
        (
            Plan([FINDING]),
            "differs",
            [
                "! variable: must be less, found 9. Change it.",
                "  variable: 작아야 합니다 (현재 값: 9). 바꾸십시오.",
                "",
                "differs: 1 refused",
            ],
        ),
        (
            Plan([replace(FINDING, severity="warning")]),
            "clean",
            [
                "",
                "To be seen to in time:",
                "  variable: must be less, found 9. Change it.",
                "  variable: 작아야 합니다 (현재 값: 9). 바꾸십시오.",
                "",
                "clean: 1 to be seen to in time",
            ],
        ),
        (
            Plan(unsettled=[FINDING]),
            "unknown",
            [
                "",
                "Could not be compared:",
                "? variable: must be less, found 9. Change it.",
                "  variable: 작아야 합니다 (현재 값: 9). 바꾸십시오.",
                "",
                "unknown: 1 not compared",
            ],
        ),
        (
            Plan(pending=[CREATE, UPDATE, Change("queue", "update", (), "guide §3")]),
            "unknown",
            [
                "",
                "Could not be compared:",
                "? queue: being created",
                "? queue: size: 1 -> 2; color: red -> blue, which is not done yet",
                "",
                "unknown: 2 not compared",
            ],
        ),
        (
            Plan(expected=[UPDATE]),
            "clean",
            [
                "",
                "Expected, so there is nothing to do:",
                "  queue: size 1 instead of 2, color red instead of blue (guide §3)",
                "",
                "clean: all that was compared is as it should be",
            ],
        ),
    ],
)
def test_a_plan_is_told_line_by_line_and_the_last_line_begins_with_the_status(
    plan: Plan, status: str, lines: list[str]
) -> None:
    found = told(*plan_entries("queues", plan))
    assert (found["status"], found["text"]) == (status, lines)
    assert found["summary"] == lines[-1]


def test_what_is_missing_is_refused_unless_something_is_to_be_created() -> None:
    missing = plan_entries("alarms", Plan(missing=[FINDING]))
    assert told(*missing)["refused"][0]["id"] == "id"
    assert told(*missing, *plan_entries("instance", Plan(changes=[UPDATE])))["refused"] != []
    assert told(*missing, *plan_entries("instance", Plan(changes=[CREATE])))["refused"] == []


def test_what_lies_on_a_host_is_told_with_the_host() -> None:
    (entry,) = plan_entries("docker", Plan(changes=[CREATE]), "api-1")
    assert (entry["host"], entry["lines"]) == ("api-1", ["+ api-1: queue: create (guide §3; --tags docker)"])
    (refused,) = plan_entries("docker", Plan([FINDING]), "api-1")
    assert refused["lines"][0].startswith("! api-1: variable: must be less")


def test_what_could_not_be_compared_never_passes_and_hides_no_difference() -> None:
    unread = unknown_entry("AWS", "expired")
    assert told(unread)["text"] == [
        "",
        "Could not be compared:",
        "? AWS: expired",
        "",
        "unknown: 1 not compared",
    ]
    both = told(unread, *plan_entries("docker", Plan(changes=[CREATE]), "api-1"))
    assert (both["status"], both["summary"]) == ("differs", "differs: 1 to create, 1 not compared")


def test_credentials_of_another_account_compare_nothing() -> None:
    caller = {"account": "123456789012", "arn": "arn:aws:iam::123456789012:user/a"}
    assert account_entries(caller, "123456789012") == []
    (entry,) = account_entries(caller, "000000000000")
    assert (entry["kind"], told(entry)["status"]) == ("unknown", "unknown")
    assert "aws_account_id is 000000000000" in entry["lines"][0]


@pytest.mark.parametrize(
    ("seen", "status", "line"),
    [
        ({}, "clean", "  worker-1: stopped; what lies on it is compared once it runs"),
        ({"release": "old"}, "differs", f"~ worker-1: release: old -> new {WAKE}"),
        ({"release": ""}, "differs", f"~ worker-1: release: none -> new {WAKE}"),
        (
            {"may_be_stopped": False},
            "differs",
            "! worker-1: must be running (instance_may_be_stopped is false), found stopped. Start it: aws ec2 "
            "start-instances --region ap-northeast-2 --instance-ids i-1.",
        ),
        ({"state": "running", "why": "timed out"}, "unknown", "? worker-1: timed out"),
        ({"state": "stopping"}, "unknown", "? worker-1: is stopping; compare again once it runs or is stopped"),
    ],
)  # fmt: skip
def test_a_host_that_was_not_read_is_told_by_what_aws_knows(seen: dict[str, Any], status: str, line: str) -> None:
    found = told(*host_entries("worker-1", {**SLEEPING, **seen}))
    assert found["status"] == status
    assert line in found["text"]


@pytest.mark.parametrize(
    ("seen", "status", "lines"),
    [
        ({}, "clean", []),
        ({"release": "old"}, "differs", ["~ api-1: release: old -> new (guide §6.2; --limit api-1)"]),
        (
            {"held_until": "2026-01-31T09:30:00Z"},
            "clean",
            [
                "  api-1: held until 2026-01-31T09:30:00Z by a run that goes on, or that was interrupted; "
                "this ends by itself"
            ],
        ),
    ],
)
def test_what_deployments_leave_on_a_running_host_is_told(seen: dict[str, Any], status: str, lines: list[str]) -> None:
    entries = deployment_entries("api-1", {**SLEEPING, "state": "running", **seen})
    assert [line for entry in entries for line in entry["lines"]] == lines
    assert told(*entries)["status"] == status


def test_a_running_host_without_an_address_says_which_inventory_to_name() -> None:
    (entry,) = host_entries("worker-1", {**SLEEPING, "state": "running"})
    assert "-i inventories/<name>" in entry["lines"][0]


def test_a_host_has_the_state_of_its_own_instance() -> None:
    inputs = {"inventory_hostname": "api-1", "deployment_name": "academy", "instance_may_be_stopped": False}
    tags = {"Name": "api-1", "Project": "academy", "Release": "abc", "HoldUntil": "2026-01-31T09:30:00Z"}
    own = {"instance_id": "i-1", "state": {"name": "running"}, "tags": tags}
    foreign = {"instance_id": "i-2", "state": {"name": "stopped"}, "tags": {**tags, "Project": "other"}}
    states = states_of({"hosts": {"api-1": inputs}}, {"instances": [foreign, own]})
    assert states == {
        "api-1": {
            "state": "running",
            "instance_id": "i-1",
            "release": "abc",
            "held_until": "2026-01-31T09:30:00Z",
            "may_be_stopped": False,
        }
    }
    assert states_of({}, {}) == {}


@pytest.mark.parametrize(
    ("reads", "together"),
    [
        ([{"a": None}, {}], {}),
        ([{"names": ["a", "b"]}, {"names": ["b", "c"]}], {"names": ["a", "b", "c"]}),
        ([{"minimum_zones": 1}, {"minimum_zones": 2}, {"minimum_zones": 1}], {"minimum_zones": 2}),
        ([{"prefix": "a"}, {"prefix": "a"}], {"prefix": "a"}),
        (
            [{"filters": {"name": ["a"], "project": "p"}}, {"filters": {"name": ["b"]}}],
            {"filters": {"name": ["a", "b"]}},
        ),
    ],
)
def test_what_several_roles_read_is_read_at_once(reads: list[dict[str, Any]], together: dict[str, Any]) -> None:
    assert merged(reads) == together


def test_two_answers_to_one_question_are_an_error() -> None:
    with pytest.raises(ValueError, match="prefix"):
        merged([{"prefix": "a"}, {"prefix": "b"}])

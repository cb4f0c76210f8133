# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which alarms there should be, and what of them has to be made or mended."""

from __future__ import annotations

from typing import Any

import pytest

from plugins.module_utils.alarms import (
    FOREIGN,
    SETTINGS,
    Alarm,
    alarm_changes,
    alarm_problems,
    desired_alarms,
    email_subscriptions,
    missing_instances,
    topic_changes,
    topic_policy,
    untagged_alarms,
)

TOPIC = "arn:aws:sns:ap-northeast-2:123456789012:academy-alarms"
HOST = "academy-video-worker-1"
INSTANCES = [{"instance_id": "i-1", "tags": {"Name": HOST}}]
JOB = {"name": "academy-video-jobs", "visibility_timeout_seconds": 10800, "max_receive_count": 3}
LIMITS: dict[str, Any] = {"hours": 12, "waiting_min_seconds": 3600, "topic": TOPIC}
WANTED = desired_alarms([JOB], [HOST], INSTANCES, **LIMITS)
DEAD_LETTERS, WAITING, RUNNING = WANTED


def found(alarm: Alarm, **change: Any) -> dict[str, dict[str, Any]]:
    """An alarm as CloudWatch tells it."""
    told = {name: alarm[setting] for setting, name in SETTINGS.items()}
    dimensions = [{"Name": name, "Value": value} for name, value in alarm["dimensions"].items()]
    now = {**told, "Dimensions": dimensions, "ActionsEnabled": True, "InsufficientDataActions": [], **change}
    return {alarm["name"]: now}


def test_dead_letters_are_counted_where_they_lie() -> None:
    assert DEAD_LETTERS["name"] == "academy-video-jobs-dlq-not-empty"
    assert DEAD_LETTERS["dimensions"] == {"QueueName": "academy-video-jobs-dlq"}
    assert DEAD_LETTERS["metric_name"] == "ApproximateNumberOfMessagesVisible"
    assert DEAD_LETTERS["alarm_actions"] == DEAD_LETTERS["ok_actions"] == [TOPIC]


@pytest.mark.parametrize(
    ("visibility_seconds", "threshold"), [(10800, 21600.0), (1801, 3602.0), (300, 3600.0), (0, 3600.0)]
)
def test_a_job_is_reported_after_two_tries_and_no_sooner_than_it_may_have_to_wait(
    visibility_seconds: int, threshold: float
) -> None:
    job = {**JOB, "visibility_timeout_seconds": visibility_seconds}
    (_, alarm) = desired_alarms([job], [], [], **LIMITS)
    assert alarm["name"] == "academy-video-jobs-waiting-too-long"
    assert alarm["dimensions"] == {"QueueName": "academy-video-jobs"}
    assert (alarm["metric_name"], alarm["statistic"]) == ("ApproximateAgeOfOldestMessage", "Maximum")
    assert alarm["threshold"] == threshold


def test_a_host_is_reported_after_as_many_full_hours() -> None:
    assert RUNNING["name"] == "academy-video-worker-1-running-too-long"
    assert RUNNING["dimensions"] == {"InstanceId": "i-1"}
    assert (RUNNING["metric_name"], RUNNING["statistic"]) == ("StatusCheckFailed", "SampleCount")
    assert (RUNNING["period"], RUNNING["evaluation_periods"]) == (3600, 12)
    assert RUNNING["treat_missing_data"] == "notBreaching"


@pytest.mark.parametrize(
    ("minutes", "reported"),
    [(60, True), (58, True), (50, False), (30, False), (3, False)],
)
def test_only_who_runs_through_an_hour_is_reported(minutes: int, reported: bool) -> None:
    """Its status is told once a minute."""
    assert RUNNING["comparison"] == "GreaterThanOrEqualToThreshold"
    assert (minutes >= RUNNING["threshold"]) == reported


def test_a_host_without_an_instance() -> None:
    (alarm,) = desired_alarms([], [HOST], [], **LIMITS)
    assert alarm["dimensions"] == {"InstanceId": "not-created-yet"}
    assert missing_instances([HOST], []) == [HOST]
    assert missing_instances([HOST], INSTANCES) == []


@pytest.mark.parametrize("hours", [1, 12, 168])
def test_hours_that_cloudwatch_can_look_back(hours: int) -> None:
    assert alarm_problems(WANTED, ["ops@example.com"], hours) == []


@pytest.mark.parametrize(
    ("names", "emails", "hours", "word"),
    [
        ([HOST], [], 0, "alarms_worker_running_hours"),
        ([HOST], [], 169, "168"),
        ([HOST], ["ops"], 12, "alarms_emails"),
        (["x" * 250], [], 12, "deployment_name"),
    ],
)
def test_problems(names: list[str], emails: list[str], hours: int, word: str) -> None:
    (problem,) = alarm_problems(desired_alarms([], names, [], **LIMITS), emails, hours)
    assert word in problem


def test_alarms_as_they_should_be_are_left_alone() -> None:
    assert alarm_changes(WANTED, found(DEAD_LETTERS) | found(WAITING) | found(RUNNING)) == []


def test_missing_alarms_are_made_and_none_is_replaced() -> None:
    assert [(change["reason"], change["replace"]) for change in alarm_changes(WANTED, {})] == [("missing", False)] * 3


@pytest.mark.parametrize("name", [*SETTINGS.values(), *FOREIGN])
def test_every_property_is_mended(name: str) -> None:
    (change,) = alarm_changes([RUNNING], found(RUNNING, **{name: ["other"]}))
    assert change["reason"].startswith(f"{name}: ")
    assert change["replace"] == (name == "Metrics")


@pytest.mark.parametrize(
    ("drift", "replace"),
    [({"Dimensions": [{"Name": "InstanceId", "Value": "i-gone"}]}, False), ({"ActionsEnabled": False}, True)],
)
def test_what_the_module_does_not_look_at_is_made_anew(drift: dict[str, Any], replace: bool) -> None:
    (change,) = alarm_changes([RUNNING], found(RUNNING, **drift))
    assert change["replace"] == replace


TAGS = {"Project": "academy"}
POLICY = topic_policy(TOPIC, "123456789012")
MAIL = {"protocol": "email", "endpoint": "ops@example.com", "confirmed": True}
NOW: dict[str, Any] = {"policy": POLICY, "subscriptions": [MAIL], "tags": TAGS}


@pytest.mark.parametrize(
    ("now", "reason"),
    [
        (NOW, None),
        ({**NOW, "subscriptions": [{**MAIL, "confirmed": False}]}, None),
        # It runs out by itself, and cannot be removed before.
        ({**NOW, "subscriptions": [MAIL, {**MAIL, "endpoint": "x@example.com", "confirmed": False}]}, None),
        ({**NOW, "tags": {**TAGS, "aws:cloudformation:stack-name": "x"}}, None),
        (None, "missing"),
        ({**NOW, "subscriptions": []}, "subscriptions: [] ->"),
        ({**NOW, "subscriptions": [MAIL, {**MAIL, "endpoint": "x@example.com"}]}, "subscriptions: "),
        ({**NOW, "policy": {}}, "policy: "),
        ({**NOW, "policy": None}, "policy: "),
        ({**NOW, "tags": {}}, "tags: "),
    ],
)
def test_the_topic(now: dict[str, Any] | None, reason: str | None) -> None:
    changes = topic_changes("academy-alarms", POLICY, ["ops@example.com"], TAGS, now)
    assert [change["reason"].startswith(str(reason)) for change in changes] == ([True] if reason else [])


def test_addresses_are_subscribed_by_mail() -> None:
    assert email_subscriptions(["ops@example.com"]) == [{"protocol": "email", "endpoint": "ops@example.com"}]


@pytest.mark.parametrize(
    ("now", "untagged"),
    [
        ({}, True),
        (found(RUNNING, tags=TAGS), False),
        (found(RUNNING, tags={**TAGS, "aws:cloudformation:stack-name": "x"}), False),
        (found(RUNNING, tags={**TAGS, "Foreign": "x"}), True),
        (found(RUNNING, tags={}), True),
        # Made anew, it has none.
        (found(RUNNING, tags=TAGS, ActionsEnabled=False), True),
    ],
)
def test_which_alarms_have_to_be_tagged(now: dict[str, dict[str, Any]], untagged: bool) -> None:
    assert untagged_alarms([RUNNING], TAGS, now) == ([RUNNING["name"]] if untagged else [])

# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which alarms there should be, and what of them has to be created, updated or replaced."""

from __future__ import annotations

from typing import Any

import pytest

from plugins.module_utils.findings import Finding
from plugins.module_utils.plan import Change
from plugins.module_utils.plan.alarms import (
    FOREIGN,
    ROLE,
    SETTINGS,
    Alarm,
    alarm_changes,
    topic_changes,
    topic_policy,
    wanted_alarms,
)
from tests.unit.rows import ROWS

TOPIC = "arn:aws:sns:ap-northeast-2:123456789012:academy-alarms"
HOST = "academy-video-worker-1"
IDS = {HOST: "i-1"}
INSTANCES: list[dict[str, Any]] = [{"instance_id": "i-1", "tags": {"Name": HOST, "Project": "academy"}}]
JOB = {"name": "academy-video-jobs", "visibility_timeout_seconds": 10800, "max_receive_count": 3}
INPUTS: dict[str, Any] = {
    "queues_jobs": {"video": JOB},
    "services": ROWS,
    "groups": {"instances": [HOST], "video_worker": [HOST]},
    "alarms_worker_running_hours": 12,
    "alarms_job_waiting_min_seconds": 3600,
    "alarms_emails": ["ops@example.com"],
    "alarms_starter_invoked": True,
    "aws_region": "ap-northeast-2",
    "aws_account_id": "123456789012",
    "deployment_name": "academy",
    "deployment_tags": {"Project": "academy"},
}
TAGS = {"Project": "academy", "Role": "alarms"}
STACK = {"aws:cloudformation:stack-name": "theirs"}
DEAD_LETTERS, WAITING, RUNNING, FAILING, SILENT = wanted_alarms(INPUTS, IDS)
RUNNING_SETTINGS = {key: value for key, value in RUNNING.items() if key != "name"}
TAGGED = {
    "arn": "arn:aws:cloudwatch:ap-northeast-2:123456789012:alarm:academy-video-worker-1-running-too-long",
    "tags": TAGS,
}
POLICY = topic_policy(TOPIC, "123456789012")
MAIL = {"protocol": "email", "endpoint": "ops@example.com", "confirmed": True, "deleted": False}
TOPIC_NOW: dict[str, Any] = {"policy": POLICY, "subscriptions": [MAIL], "tags": TAGS}


def told(alarm: Alarm, **change: Any) -> dict[str, Any]:
    """An alarm as CloudWatch tells it."""
    settings = {name: alarm[setting] for setting, name in SETTINGS.items()}
    dimensions = [{"Name": name, "Value": value} for name, value in alarm["dimensions"].items()]
    now = {"Dimensions": dimensions, "ActionsEnabled": True, "InsufficientDataActions": [], "tags": TAGS}
    return {**settings, **now, **change}


def running(**change: Any) -> Change:
    (found,) = alarm_changes(INPUTS, RUNNING, told(RUNNING, **change))
    return found


def state(**change: Any) -> dict[str, Any]:
    alarms = {alarm["name"]: told(alarm) for alarm in (DEAD_LETTERS, WAITING, RUNNING, FAILING, SILENT)}
    return {"alarms": alarms, "topics": {TOPIC: TOPIC_NOW}, "instances": INSTANCES, **change}


# --- the inputs -----------------------------------------------------------------------------------------------------


def refusals(**inputs: Any) -> list[Finding]:
    return [finding for rule in ROLE.rules for finding in rule.findings({**INPUTS, **inputs})]


@pytest.mark.parametrize("hours", [1, 12, 168])
def test_hours_that_cloudwatch_can_look_back(hours: int) -> None:
    assert refusals(alarms_worker_running_hours=hours) == []


@pytest.mark.parametrize(
    ("inputs", "words"),
    [
        ({"alarms_worker_running_hours": 0}, "alarms_worker_running_hours: CloudWatch looks back at 1 to 168"),
        ({"alarms_worker_running_hours": 169}, "found 169"),
        ({"alarms_emails": ["ops", "ops@example.com"]}, "alarms_emails: must be e-mail addresses, found 'ops'"),
        ({"groups": {"instances": ["x" * 250]}}, "deployment_name"),
        ({"queues_jobs": {"video": {**JOB, "name": "x" * 239}}}, "-waiting-too-long: CloudWatch allows names of 255"),
        ({"queues_jobs": {"video": {**JOB, "name": "x" * 239}}}, "found 256"),
    ],
)
def test_what_cloudwatch_and_sns_refuse_is_refused(inputs: dict[str, Any], words: str) -> None:
    assert any(words in finding.text_en for finding in refusals(**inputs))


def test_the_rules_are_about_the_names_that_the_alarms_get() -> None:
    """Each alarm's name made too long by the least, one at a time."""
    queue, host = "q" * (255 - len("-waiting-too-long")), "h" * (255 - len("-running-too-long"))
    inputs = {"queues_jobs": {"video": {**JOB, "name": queue}}, "groups": {"instances": [host]}}
    assert max(len(alarm["name"]) for alarm in wanted_alarms({**INPUTS, **inputs}, {})) == 255
    assert refusals(**inputs) == []
    assert len(refusals(**{**inputs, "groups": {"instances": [f"{host}h"]}})) == 1


# --- the alarms -----------------------------------------------------------------------------------------------------


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
    (_, alarm, *_) = wanted_alarms({**INPUTS, "queues_jobs": {"video": job}, "groups": {}}, {})
    assert alarm["name"] == "academy-video-jobs-waiting-too-long"
    assert alarm["dimensions"] == {"QueueName": "academy-video-jobs"}
    assert (alarm["metric_name"], alarm["statistic"]) == ("ApproximateAgeOfOldestMessage", "Maximum")
    assert alarm["threshold"] == threshold


def test_a_host_is_reported_after_as_many_full_hours() -> None:
    assert RUNNING["name"] == "academy-video-worker-1-running-too-long"
    assert RUNNING["dimensions"] == {"InstanceId": "i-1"}
    assert (RUNNING["metric_name"], RUNNING["statistic"]) == ("StatusCheckFailed", "SampleCount")
    assert (RUNNING["period_seconds"], RUNNING["evaluation_periods"]) == (3600, 12)
    assert RUNNING["treat_missing_data"] == "notBreaching"


@pytest.mark.parametrize(
    ("minutes", "reported"),
    [(60, True), (58, True), (50, False), (30, False), (3, False)],
)
def test_only_who_runs_through_an_hour_is_reported(minutes: int, reported: bool) -> None:
    """Its status is told once a minute."""
    assert RUNNING["comparison"] == "GreaterThanOrEqualToThreshold"
    assert (minutes >= RUNNING["threshold"]) == reported


def test_a_starter_that_fails_or_is_not_invoked_is_reported() -> None:
    for alarm, metric in ((FAILING, "Errors"), (SILENT, "Invocations")):
        assert (alarm["namespace"], alarm["metric_name"], alarm["statistic"]) == ("AWS/Lambda", metric, "Sum")
        assert alarm["dimensions"] == {"FunctionName": "academy-starter"}
    # One failure in a minute is nothing, and no data at all is what a starter gives that nobody invokes.
    assert (FAILING["evaluation_periods"], FAILING["treat_missing_data"]) == (3, "notBreaching")
    assert (SILENT["comparison"], SILENT["treat_missing_data"]) == ("LessThanThreshold", "breaching")


def test_a_starter_that_shall_not_be_invoked_is_not_missed() -> None:
    inputs = {**INPUTS, "alarms_starter_invoked": False}
    (change,) = ROLE.decide(inputs, state()).changes
    assert (change.resource, change.verb, change.apply) == ("academy-starter-not-invoked", "remove", {"removed": {}})
    rest = {name: alarm for name, alarm in state()["alarms"].items() if name != SILENT["name"]}
    assert ROLE.decide(inputs, state(alarms=rest)).changes == []


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({}, None),
        ({"confirmed": False}, "nobody has answered"),
        ({"confirmed": False, "deleted": True}, "unsubscribed"),
        # Who is not on our list is none of our business.
        ({"confirmed": False, "endpoint": "x@example.com"}, None),
    ],
)
def test_whom_no_alarm_reaches_is_named_in_every_run_and_nothing_is_changed(
    change: dict[str, Any], words: str | None
) -> None:
    subscriptions = [MAIL | change, *([MAIL] if "endpoint" in change else [])]
    plan = ROLE.decide(INPUTS, state(topics={TOPIC: {**TOPIC_NOW, "subscriptions": subscriptions}}))
    assert (list(plan.changes), plan.is_empty) == ([], True)
    assert [(notice.found, notice.severity) for notice in plan.notices] == (
        [("ops@example.com", "warning")] if words else []
    )
    assert all(str(words) in notice.text_en and TOPIC in notice.text_en for notice in plan.notices)


# --- what has to be done --------------------------------------------------------------------------------------------


def test_alarms_as_they_should_be_are_left_alone() -> None:
    plan = ROLE.decide(INPUTS, state())
    assert (list(plan.refusals), list(plan.changes)) == ([], [])


def test_on_an_empty_account_topic_and_alarms_are_created_and_none_is_replaced() -> None:
    plan = ROLE.decide(INPUTS, state(alarms={}, topics={}))
    assert [(change.verb, [*change.apply]) for change in plan.changes] == [
        ("create", ["topics"]),
        *[("create", ["alarms", "tags"])] * 5,
    ]
    assert plan.changes[3].apply == {"alarms": RUNNING_SETTINGS, "tags": TAGGED}


def test_a_host_without_an_instance_is_missing_by_name_and_its_alarms_are_planned() -> None:
    plan = ROLE.decide({**INPUTS, "groups": {"instances": ["b", HOST, "a"]}}, state())
    (missing,) = plan.missing
    assert missing.text_en == (
        "a, b: must exist to be watched, found no instance. Create them: playbooks/provision.yml --tags instance."
    )
    assert [change.apply["alarms"]["dimensions"] for change in plan.changes] == [{"InstanceId": "not-created-yet"}] * 2


def test_hosts_are_read_whether_they_run_or_not() -> None:
    assert ROLE.reads(INPUTS) == {
        "alarm_prefix": "academy-",
        "topic_arns": [TOPIC],
        "instance_filters": {
            "tag:Name": [HOST],
            "instance-state-name": ["pending", "running", "stopping", "stopped"],
        },
    }


def test_an_instance_of_another_deployment_is_not_watched() -> None:
    (own,) = INSTANCES
    foreign = {**own, "instance_id": "i-foreign", "tags": {**own["tags"], "Project": "other"}}
    assert ROLE.decide(INPUTS, state(instances=[own, foreign])) == ROLE.decide(INPUTS, state())
    assert [finding.found for finding in ROLE.decide(INPUTS, state(instances=[foreign])).missing] == ["no instance"]


@pytest.mark.parametrize(("field", "name"), [*SETTINGS.items(), *FOREIGN.items()])
def test_every_property_is_updated(field: str, name: str) -> None:
    change = running(**{name: ["other"]})
    assert change.reason.startswith(f"{field}: ")
    assert ("removed" in change.apply) == (name == "Metrics")
    assert change.apply["alarms"] == RUNNING_SETTINGS


@pytest.mark.parametrize(
    ("drift", "apply"),
    [
        ({"Dimensions": [{"Name": "InstanceId", "Value": "i-gone"}]}, {"alarms": RUNNING_SETTINGS}),
        # Created again, it has no tags.
        ({"ActionsEnabled": False}, {"removed": {}, "alarms": RUNNING_SETTINGS, "tags": TAGGED}),
    ],
)
def test_what_the_module_does_not_look_at_is_created_again(drift: dict[str, Any], apply: dict[str, Any]) -> None:
    change = running(**drift)
    assert (change.verb, change.apply) == ("update", apply)


@pytest.mark.parametrize("tags", [{}, {**TAGS, "Foreign": "x"}])
def test_other_tags_alone_are_updated_alone(tags: dict[str, str]) -> None:
    assert running(tags=tags).apply == {"tags": TAGGED}


def test_the_tags_that_aws_keeps_are_left_alone() -> None:
    assert alarm_changes(INPUTS, RUNNING, told(RUNNING, tags={**TAGS, **STACK})) == []


@pytest.mark.parametrize(
    ("now", "reason"),
    [
        (TOPIC_NOW, None),
        ({**TOPIC_NOW, "subscriptions": [{**MAIL, "confirmed": False}]}, None),
        # It runs out by itself, and cannot be removed before.
        ({**TOPIC_NOW, "subscriptions": [MAIL, {**MAIL, "endpoint": "x@example.com", "confirmed": False}]}, None),
        ({**TOPIC_NOW, "tags": {**TAGS, **STACK}}, None),
        (None, "missing"),
        ({**TOPIC_NOW, "subscriptions": []}, "subscriptions: [] ->"),
        ({**TOPIC_NOW, "subscriptions": [MAIL, {**MAIL, "endpoint": "x@example.com"}]}, "subscriptions: "),
        ({**TOPIC_NOW, "policy": {}}, "policy: "),
        ({**TOPIC_NOW, "policy": None}, "policy: "),
        ({**TOPIC_NOW, "tags": {}}, "tags: "),
    ],
)
def test_the_topic(now: dict[str, Any] | None, reason: str | None) -> None:
    changes = topic_changes(INPUTS, now)
    assert [change.reason.startswith(str(reason)) for change in changes] == ([True] if reason else [])
    topic = {
        "name": "academy-alarms",
        "policy": POLICY,
        "subscriptions": [{"protocol": "email", "endpoint": "ops@example.com"}],
        "tags": TAGS,
    }
    assert all(change.apply == {"topics": topic} for change in changes)

# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""When schedules are due, whom they may invoke, and that they do."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import pytest

from localcloud.schedules import Agenda, Schedules, interval_seconds, may_invoke, scheduled_event
from tests.support import wait_until
from tests.unit.localcloud.functions.conftest import Cloud

RULE = "arn:aws:events:ap-northeast-2:123456789012:rule/every-minute"
FUNCTION = "arn:aws:lambda:ap-northeast-2:123456789012:function:tried"
# A scheduled minute of these tests.
MINUTE = 0.2


@pytest.mark.parametrize(
    ("expression", "seconds"),
    [
        ("rate(1 minute)", 10),
        ("rate(5 minutes)", 50),
        ("rate(1 hour)", 600),
        ("rate(2 days)", 28800),
        ("cron(0 12 * * ? *)", None),
    ],
)
def test_intervals(expression: str, seconds: float | None) -> None:
    assert interval_seconds(expression, 10) == seconds


def test_a_rule_is_due_one_interval_after_it_was_seen_and_then_after_each() -> None:
    agenda, rules = Agenda(10), {"a": "rate(1 minute)", "b": "rate(2 minutes)", "c": "cron(0 12 * * ? *)"}
    found = {now: agenda.due(rules, now) for now in range(0, 41, 5)}
    assert {now: due for now, due in found.items() if due} == {10: ["a"], 20: ["a", "b"], 30: ["a"], 40: ["a", "b"]}


def test_a_rule_that_was_away_or_changed_starts_anew() -> None:
    agenda = Agenda(10)
    assert agenda.due({"a": "rate(1 minute)"}, 0) == []
    assert agenda.due({}, 9) == []
    assert agenda.due({"a": "rate(1 minute)"}, 11) == []
    assert agenda.due({"a": "rate(2 minutes)"}, 21) == []
    assert agenda.due({"a": "rate(2 minutes)"}, 41) == ["a"]


def test_missed_times_are_not_made_up_for() -> None:
    agenda = Agenda(10)
    agenda.due({"a": "rate(1 minute)"}, 0)
    assert agenda.due({"a": "rate(1 minute)"}, 100) == ["a"]
    assert agenda.due({"a": "rate(1 minute)"}, 101) == ["a"]
    assert agenda.due({"a": "rate(1 minute)"}, 102) == []


STATEMENT: dict[str, Any] = {
    "Sid": "x",
    "Effect": "Allow",
    "Principal": {"Service": "events.amazonaws.com"},
    "Action": "lambda:InvokeFunction",
    "Resource": FUNCTION,
    "Condition": {"ArnLike": {"AWS:SourceArn": RULE}},
}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, True),
        ({"Condition": {}}, True),
        ({"Condition": {"ArnLike": {"AWS:SourceArn": RULE.replace("every-minute", "*")}}}, True),
        ({"Condition": {"ArnLike": {"AWS:SourceArn": f"{RULE}-2"}}}, False),
        ({"Condition": {"StringEquals": {"AWS:SourceAccount": "123456789012"}}}, True),
        ({"Condition": {"StringEquals": {"AWS:SourceAccount": "000000000000"}}}, False),
        ({"Condition": {"StringEquals": {"aws:PrincipalOrgID": "o-1"}}}, False),
        ({"Principal": {"Service": "sns.amazonaws.com"}}, False),
        ({"Principal": {"AWS": "events.amazonaws.com"}}, False),
        ({"Action": "lambda:GetFunction"}, False),
        ({"Effect": "Deny"}, False),
    ],
)
def test_who_may_invoke(change: dict[str, Any], expected: bool) -> None:
    assert may_invoke([{**STATEMENT, **change}], RULE) is expected


def test_without_policy_nobody_may_invoke() -> None:
    assert not may_invoke([], RULE)


def test_the_event_names_its_rule() -> None:
    event = scheduled_event(RULE, datetime(2026, 1, 31, 9, 30, tzinfo=UTC))
    assert (event["resources"], event["time"], event["detail-type"]) == (
        [RULE],
        "2026-01-31T09:30:00Z",
        "Scheduled Event",
    )


@contextmanager
def schedules(cloud: Cloud) -> Iterator[None]:
    running = Schedules(cloud.api, cloud.functions, MINUTE)
    running.start()
    yield
    running.stop()


def make_rule(cloud: Cloud, *, allowed: bool = True, **target: str) -> None:
    cloud.create("import json\ndef handler(event, context): print('event', json.dumps(event))")
    events = cloud.client("events")
    events.put_rule(Name="every-minute", ScheduleExpression="rate(1 minute)")
    events.put_targets(Rule="every-minute", Targets=[{"Id": "tried", "Arn": FUNCTION, **target}])
    if allowed:
        cloud.client("lambda").add_permission(
            FunctionName="tried",
            StatementId="x",
            Action="lambda:InvokeFunction",
            Principal="events.amazonaws.com",
            SourceArn=RULE,
        )


def invocations(cloud: Cloud) -> list[Any]:
    return [json.loads(line.removeprefix("event ")) for line in cloud.log() if line.startswith("event ")]


def test_an_enabled_rule_invokes_its_function_again_and_again(cloud: Cloud) -> None:
    make_rule(cloud)
    with schedules(cloud):
        wait_until(lambda: len(invocations(cloud)) >= 3, "three invocations")
        cloud.client("events").disable_rule(Name="every-minute")
        time.sleep(1.5)
        seen = len(invocations(cloud))
        time.sleep(1.5)
        assert len(invocations(cloud)) == seen
        cloud.client("events").enable_rule(Name="every-minute")
        wait_until(lambda: len(invocations(cloud)) > seen, "another invocation")
    assert invocations(cloud)[0]["resources"] == [RULE]


def test_a_target_s_own_input_is_the_event(cloud: Cloud) -> None:
    make_rule(cloud, Input='{"hello": "world"}')
    with schedules(cloud):
        wait_until(lambda: invocations(cloud) != [], "an invocation")
    assert invocations(cloud)[0] == {"hello": "world"}


def test_a_rule_without_permission_is_refused_and_that_is_logged(
    cloud: Cloud,
    caplog: pytest.LogCaptureFixture,
) -> None:
    make_rule(cloud, allowed=False)
    with caplog.at_level(logging.WARNING), schedules(cloud):
        wait_until(lambda: f"{RULE} may not invoke tried" in caplog.text, "the log says so")
    assert cloud.log() == []


def test_a_rule_whose_function_is_gone_goes_on(
    cloud: Cloud,
    caplog: pytest.LogCaptureFixture,
) -> None:
    make_rule(cloud)
    code = "def handler(event, context): raise ValueError('on purpose')"
    with caplog.at_level(logging.WARNING), schedules(cloud):
        wait_until(lambda: invocations(cloud) != [], "an invocation")
        cloud.client("lambda").delete_function(FunctionName="tried")
        wait_until(lambda: "may not invoke tried" in caplog.text, "the log says so")
        cloud.create(code)
        cloud.client("lambda").add_permission(
            FunctionName="tried", StatementId="x", Action="lambda:InvokeFunction", Principal="events.amazonaws.com"
        )
        wait_until(lambda: "on purpose" in caplog.text, "the log says so")

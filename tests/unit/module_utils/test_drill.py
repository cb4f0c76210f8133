# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""When a drill is refused, and what it tells."""

from __future__ import annotations

from typing import Any

import pytest

from plugins.module_utils.drill import drill_refusals, drill_report, drill_table
from plugins.module_utils.messages import LONGEST_BYTES, MessageError, message_text

HOST, QUEUE = "academy-video-worker-1", "academy-video-jobs"
INSTANCES = [{"tags": {"Name": HOST}}]


def queue(**numbers: str) -> dict[str, Any]:
    return {QUEUE: {"attributes": {"ApproximateNumberOfMessages": "0", **numbers}}}


def test_an_empty_queue_and_a_host_are_enough() -> None:
    assert drill_refusals([HOST], [QUEUE], INSTANCES, queue()) == []


@pytest.mark.parametrize(
    ("instances", "queues", "word"),
    [
        ([], queue(), HOST),
        (INSTANCES * 2, queue(), "found 2"),
        (INSTANCES, {}, "must exist"),
        (INSTANCES, queue(ApproximateNumberOfMessages="1"), "1 visible"),
        (INSTANCES, queue(ApproximateNumberOfMessagesNotVisible="2"), "2 in flight"),
        (INSTANCES, queue(ApproximateNumberOfMessagesDelayed="3"), "3 delayed"),
    ],
)
def test_refusals(instances: list[dict[str, Any]], queues: dict[str, Any], word: str) -> None:
    (problem,) = drill_refusals([HOST], [QUEUE], instances, queues)
    assert word in problem


ABOUT = {"worker": "video_worker", "instance_ids": {HOST: "i-1"}, "job_id": "drill-1"}
AT = "2026-11-24T15:00:00.000Z"


def report(ok: bool, hosts: list[str], reason: str = "") -> dict[str, Any]:
    steps = [{"name": name, "at": AT, "seconds": 5.0} for name in (["starting", "stopped"] if ok else ["starting"])]
    watched = {"ok": ok, "reason": reason, "hosts": hosts, "steps": steps}
    return drill_report(ABOUT, AT, {"verdict": "pass", "checks": []}, {"watched": watched, "timeline": []})


def test_a_report_begins_with_the_message_and_names_who_did_it() -> None:
    told = report(True, [HOST])
    assert [step["name"] for step in told["steps"]] == ["sent", "starting", "stopped"]
    assert (told["ok"], told["host"], told["instance_id"], told["job_id"]) == (True, HOST, "i-1", "drill-1")
    table = drill_table(told)
    assert len(table) == 5
    assert "호스트가 스스로 정지함" in table[3]
    assert HOST in table[-1]


def test_a_failure_ends_with_its_reason() -> None:
    told = report(False, [], "'starting' did not come")
    assert (told["ok"], told["host"], told["instance_id"]) == (False, None, None)
    assert drill_table(told)[-1].endswith("'starting' did not come")


@pytest.mark.parametrize(
    ("body", "text"),
    [("as it is", "as it is"), ({"id": "작업"}, '{"id": "작업"}'), ([1, 2], "[1, 2]"), (7, "7")],
)
def test_message_text(body: Any, text: str) -> None:
    assert message_text(body) == text


@pytest.mark.parametrize("body", ["", "x" * (LONGEST_BYTES + 1), "작" * (LONGEST_BYTES // 2)])
def test_bodies_that_sqs_refuses(body: str) -> None:
    with pytest.raises(MessageError, match="1048576"):
        message_text(body)

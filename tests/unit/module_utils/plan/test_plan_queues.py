# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The queues to be made, and what SQS would refuse."""

from __future__ import annotations

from typing import Any

import pytest

from plugins.module_utils.findings import texts
from plugins.module_utils.plan import Change
from plugins.module_utils.plan.queues import ROLE, queue_findings
from plugins.module_utils.queues import with_dead_letter_queues

VIDEO: dict[str, Any] = {"name": "academy-video-jobs", "visibility_timeout_seconds": 10800, "max_receive_count": 3}
INPUTS: dict[str, Any] = {
    "queues_jobs": {"video": VIDEO},
    "queues_retention_days": 4,
    "queues_dead_letter_retention_days": 14,
    "queues_receive_wait_seconds": 20,
    "queues_allow_shorter_retention": [],
    "aws_region": "ap-northeast-2",
    "aws_account_id": "123456789012",
    "deployment_tags": {"Project": "academy"},
}
TAGS = {"Project": "academy", "Role": "queues"}
COMMON: dict[str, Any] = {"receive_wait_seconds": 20, "tags": TAGS}
DEAD_LETTERS: dict[str, Any] = {"name": "academy-video-jobs-dlq", "retention_seconds": 1209600, **COMMON}
JOBS: dict[str, Any] = {
    "name": "academy-video-jobs",
    "retention_seconds": 345600,
    "visibility_timeout_seconds": 10800,
    "redrive_policy": {
        "deadLetterTargetArn": "arn:aws:sqs:ap-northeast-2:123456789012:academy-video-jobs-dlq",
        "maxReceiveCount": 3,
    },
    **COMMON,
}


def queue_problems(jobs: dict[str, Any], *days_and_seconds: int) -> list[str]:
    return texts(queue_findings(jobs, *days_and_seconds))


def changes(found: dict[str, Any], **inputs: Any) -> list[Change]:
    return [*ROLE.decide({**INPUTS, **inputs}, {"queues": found}).changes]


def test_dead_letter_queues_come_first_and_keep_longer() -> None:
    assert [change.apply for change in changes({})] == [{"queues": DEAD_LETTERS}, {"queues": JOBS}]
    assert ROLE.reads(INPUTS) == {"queue_names": [DEAD_LETTERS["name"], JOBS["name"]]}


def test_good_queues_have_no_problem() -> None:
    assert queue_problems({"video": VIDEO}, 4, 14, 20) == []


@pytest.mark.parametrize(
    ("change", "arguments", "word"),
    [
        ({"name": "academy video"}, (4, 14, 20), "queues_jobs.video.name"),
        ({"name": "x" * 77}, (4, 14, 20), "queues_jobs.video.name"),
        ({"visibility_timeout_seconds": 43201}, (4, 14, 20), "queues_jobs.video.visibility_timeout_seconds"),
        ({"max_receive_count": 0}, (4, 14, 20), "queues_jobs.video.max_receive_count"),
        ({}, (14, 14, 20), "queues_dead_letter_retention_days"),
        ({}, (4, 15, 20), "queues_dead_letter_retention_days"),
        ({}, (4, 14, 21), "queues_receive_wait_seconds"),
    ],
)
def test_queue_problems(change: dict[str, Any], arguments: tuple[int, int, int], word: str) -> None:
    (problem,) = queue_problems({"video": {**VIDEO, **change}}, *arguments)
    assert word in problem


def test_two_kinds_of_job_cannot_share_a_queue() -> None:
    (problem,) = queue_problems({"video": VIDEO, "ai": VIDEO}, 4, 14, 20)
    assert "more than once" in problem


def found(name: str = JOBS["name"], attributes: dict[str, str] | None = None, **change: Any) -> dict[str, Any]:
    """Both queues as they should be, but for what is changed about one of them."""
    queues: dict[str, dict[str, Any]] = {
        queue["name"]: {
            "attributes": {
                "MessageRetentionPeriod": str(queue["retention_seconds"]),
                "ReceiveMessageWaitTimeSeconds": "20",
                "VisibilityTimeout": str(queue.get("visibility_timeout_seconds", 30)),
                "ApproximateNumberOfMessages": "7",
            },
            "redrive_policy": queue.get("redrive_policy"),
            "tags": {**TAGS, "aws:cloudformation:stack-name": "theirs"},
        }
        for queue in (DEAD_LETTERS, JOBS)
    }
    now = queues[name]
    return {**queues, name: {**now, "attributes": {**now["attributes"], **(attributes or {})}, **change}}


REDRIVE = JOBS["redrive_policy"]


@pytest.mark.parametrize(
    "now",
    [
        found(),
        found(redrive_policy={**REDRIVE, "maxReceiveCount": "3"}),
        found(DEAD_LETTERS["name"], {"VisibilityTimeout": "60"}),
    ],
    ids=["as wanted", "a number told as text", "a setting that the queue does not name"],
)
def test_queues_as_they_should_be_are_left_alone(now: dict[str, Any]) -> None:
    assert changes(now) == []


@pytest.mark.parametrize(
    ("now", "reason"),
    [
        (found(attributes={"VisibilityTimeout": "30"}), "visibility_timeout_seconds: 30 -> 10800"),
        (found(attributes={"MessageRetentionPeriod": "60"}), "retention_seconds: 60 -> 345600"),
        (found(attributes={"ReceiveMessageWaitTimeSeconds": "0"}), "receive_wait_seconds: 0 -> 20"),
        (found(DEAD_LETTERS["name"], {"MessageRetentionPeriod": "60"}), "retention_seconds: 60 -> 1209600"),
        (found(DEAD_LETTERS["name"], tags={}), "tags: Project none -> academy"),
        (found(tags={**TAGS, "Foreign": "x"}), "tags: Foreign x -> none"),
        (found(redrive_policy=None), "redrive_policy: {} -> {"),
        (found(redrive_policy={**REDRIVE, "maxReceiveCount": 4}), '"maxReceiveCount":["4"]'),
        (found(redrive_policy={**REDRIVE, "deadLetterTargetArn": "elsewhere"}), "elsewhere"),
    ],
)
def test_whatever_differs_is_a_reason(now: dict[str, Any], reason: str) -> None:
    (updated,) = changes(now)
    assert reason in updated.reason


def test_each_queue_with_its_dead_letter_queue() -> None:
    assert with_dead_letter_queues(["a", "b"]) == ["a", "a-dlq", "b", "b-dlq"]


@pytest.mark.parametrize(
    ("attributes", "allowed", "words"),
    [
        (
            {"ApproximateNumberOfMessages": "1"},
            [],
            ["found 1 messages", '{"queues_allow_shorter_retention": ["academy-video-jobs"]}'],
        ),
        ({"ApproximateNumberOfMessagesNotVisible": "2"}, ["other"], ["found 2 messages"]),
        ({"ApproximateNumberOfMessagesDelayed": "3"}, ["academy-video-jobs"], []),
        ({"ApproximateNumberOfMessages": "0"}, [], []),
        ({"ApproximateNumberOfMessages": "1", "MessageRetentionPeriod": "3600"}, [], []),
    ],
)
def test_a_shorter_retention_needs_the_name_of_a_queue_that_holds_messages(
    attributes: dict[str, str], allowed: list[str], words: list[str]
) -> None:
    now = found(attributes={"ApproximateNumberOfMessages": "0", "MessageRetentionPeriod": "864000", **attributes})
    plan = ROLE.decide({**INPUTS, "queues_allow_shorter_retention": allowed}, {"queues": now})
    told = [finding.text_en for finding in plan.refusals]
    assert len(told) == bool(words)
    assert all(word in told[0] for word in words)

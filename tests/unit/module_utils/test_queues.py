# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The queues to be made, and what SQS would refuse."""

from __future__ import annotations

from typing import Any

import pytest

from plugins.module_utils.queues import (
    desired_queues,
    queue_changes,
    queue_problems,
    retention_refusals,
    with_dead_letter_queues,
)

VIDEO: dict[str, Any] = {"name": "academy-video-jobs", "visibility_timeout_seconds": 10800, "max_receive_count": 3}


def test_dead_letter_queues_come_first_and_keep_longer() -> None:
    dead_letters, jobs = desired_queues([VIDEO], 4, 14, "ap-northeast-2", "123456789012")
    assert dead_letters == {"name": "academy-video-jobs-dlq", "retention_seconds": 1209600}
    assert jobs == {
        "name": "academy-video-jobs",
        "retention_seconds": 345600,
        "visibility_timeout_seconds": 10800,
        "redrive_policy": {
            "deadLetterTargetArn": "arn:aws:sqs:ap-northeast-2:123456789012:academy-video-jobs-dlq",
            "maxReceiveCount": 3,
        },
    }


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


DEAD_LETTERS, JOBS = desired_queues([VIDEO], 4, 14, "ap-northeast-2", "123456789012")
TAGS = {"Project": "academy"}


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
    assert queue_changes([DEAD_LETTERS, JOBS], 20, TAGS, now) == []


def test_missing_queues_are_made_in_their_order() -> None:
    changes = queue_changes([DEAD_LETTERS, JOBS], 20, TAGS, {})
    assert changes == [{**DEAD_LETTERS, "reason": "missing"}, {**JOBS, "reason": "missing"}]


@pytest.mark.parametrize(
    ("now", "reason"),
    [
        (found(attributes={"VisibilityTimeout": "30"}), "VisibilityTimeout: 30 -> 10800"),
        (found(attributes={"MessageRetentionPeriod": "60"}), "MessageRetentionPeriod: 60 -> 345600"),
        (found(attributes={"ReceiveMessageWaitTimeSeconds": "0"}), "ReceiveMessageWaitTimeSeconds: 0 -> 20"),
        (found(DEAD_LETTERS["name"], {"MessageRetentionPeriod": "60"}), "MessageRetentionPeriod: 60 -> 1209600"),
        (found(DEAD_LETTERS["name"], tags={}), "tags: {} -> {'Project': 'academy'}"),
        (found(tags={**TAGS, "Foreign": "x"}), "tags: {'Project': 'academy', 'Foreign': 'x'} -> "),
        (found(redrive_policy=None), "RedrivePolicy: {} -> {"),
        (found(redrive_policy={**REDRIVE, "maxReceiveCount": 4}), '"maxReceiveCount":["4"]'),
        (found(redrive_policy={**REDRIVE, "deadLetterTargetArn": "elsewhere"}), "elsewhere"),
    ],
)
def test_whatever_differs_is_a_reason(now: dict[str, Any], reason: str) -> None:
    (mended,) = queue_changes([DEAD_LETTERS, JOBS], 20, TAGS, now)
    assert reason in mended["reason"]


def test_each_queue_with_its_dead_letter_queue() -> None:
    assert with_dead_letter_queues(["a", "b"]) == ["a", "a-dlq", "b", "b-dlq"]


@pytest.mark.parametrize(
    ("attributes", "allowed", "words"),
    [
        (
            {"ApproximateNumberOfMessages": "1"},
            [],
            ["holds 1 messages", '{"queues_allow_shorter_retention": ["jobs"]}'],
        ),
        ({"ApproximateNumberOfMessagesNotVisible": "2"}, ["other"], ["holds 2 messages"]),
        ({"ApproximateNumberOfMessagesDelayed": "3"}, ["jobs"], []),
        ({"ApproximateNumberOfMessages": "0"}, [], []),
        ({"ApproximateNumberOfMessages": "1", "MessageRetentionPeriod": "3600"}, [], []),
    ],
)
def test_a_shorter_retention_needs_the_name_of_a_queue_that_holds_messages(
    attributes: dict[str, str], allowed: list[str], words: list[str]
) -> None:
    found = {"jobs": {"attributes": {"MessageRetentionPeriod": "86400", **attributes}}}
    problems = retention_refusals([{"name": "jobs", "retention_seconds": 3600}], found, allowed)
    assert len(problems) == bool(words)
    assert all(word in problems[0] for word in words)


def test_a_queue_yet_to_be_made_loses_nothing() -> None:
    assert retention_refusals([{"name": "jobs", "retention_seconds": 3600}], {}, []) == []

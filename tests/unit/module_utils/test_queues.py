# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The queues to be made, and what SQS would refuse."""

from __future__ import annotations

from typing import Any

import pytest

from plugins.module_utils.queues import desired_queues, queue_problems

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

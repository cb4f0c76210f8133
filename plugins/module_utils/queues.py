# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The queues as the guide wants them, each with its dead letter queue."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ansible_collections.academy.deploy.plugins.module_utils.names import DEAD_LETTER_SUFFIX, queue_arn

from .changes import MISSING, reason, with_reasons
from .policies import as_text
from .tags import own_tags

SECONDS_PER_DAY = 86400
LONGEST_VISIBILITY_SECONDS = 43200
LONGEST_WAIT_SECONDS = 20
LONGEST_RETENTION_DAYS = 14
NAME = re.compile(r"[A-Za-z0-9_-]{1,80}")


def _job_problems(key: str, job: Mapping[str, Any]) -> list[str]:
    where = f"queues_jobs.{key}"
    name, visibility, receives = job["name"], job["visibility_timeout_seconds"], job["max_receive_count"]
    rules = [
        (
            bool(NAME.fullmatch(name + DEAD_LETTER_SUFFIX)),
            f"{where}.name: '{name}' with '{DEAD_LETTER_SUFFIX}' must be 1 to 80 letters, digits, '-' or '_'. "
            "Rename it.",
        ),
        (
            0 <= visibility <= LONGEST_VISIBILITY_SECONDS,
            f"{where}.visibility_timeout_seconds: SQS allows 0 to {LONGEST_VISIBILITY_SECONDS}, found {visibility}. "
            "Set it to the longest time a job may take.",
        ),
        (
            1 <= receives <= 1000,
            f"{where}.max_receive_count: SQS allows 1 to 1000, found {receives}. Set how often a job is tried.",
        ),
    ]
    return [message for holds, message in rules if not holds]


def queue_problems(
    jobs: Mapping[str, Mapping[str, Any]], retention_days: int, dead_letter_retention_days: int, wait_seconds: int
) -> list[str]:
    """Everything that SQS would refuse, or that would lose a message."""
    problems = [problem for key, job in jobs.items() for problem in _job_problems(key, job)]
    names = [job["name"] for job in jobs.values()]
    problems += [
        f"queues_jobs: '{name}' is named more than once; two kinds of job cannot share a queue. Rename one."
        for name in sorted({name for name in names if names.count(name) > 1})
    ]
    if not 1 <= retention_days < dead_letter_retention_days <= LONGEST_RETENTION_DAYS:
        problems.append(
            "queues_retention_days and queues_dead_letter_retention_days: a dead letter's age counts from its first "
            f"sending, so 1 <= retention < dead letter retention <= {LONGEST_RETENTION_DAYS} days must hold, "
            f"found {retention_days} and {dead_letter_retention_days}."
        )
    if not 0 <= wait_seconds <= LONGEST_WAIT_SECONDS:
        problems.append(
            f"queues_receive_wait_seconds: SQS allows 0 to {LONGEST_WAIT_SECONDS}, found {wait_seconds}. Use 20."
        )
    return problems


def with_dead_letter_queues(names: Iterable[str]) -> list[str]:
    """Each queue, and the one that its failed messages go to."""
    return [found for name in names for found in (name, name + DEAD_LETTER_SUFFIX)]


def desired_queues(
    jobs: Iterable[Mapping[str, Any]],
    retention_days: int,
    dead_letter_retention_days: int,
    region: str,
    account_id: str,
) -> list[dict[str, Any]]:
    """All queues in the order of their creation: a redrive policy may only name a queue that exists."""
    jobs = list(jobs)
    dead_letter_queues = [
        {"name": job["name"] + DEAD_LETTER_SUFFIX, "retention_seconds": dead_letter_retention_days * SECONDS_PER_DAY}
        for job in jobs
    ]
    queues = [
        {
            "name": job["name"],
            "retention_seconds": retention_days * SECONDS_PER_DAY,
            "visibility_timeout_seconds": job["visibility_timeout_seconds"],
            "redrive_policy": {
                "deadLetterTargetArn": queue_arn(job["name"] + DEAD_LETTER_SUFFIX, region, account_id),
                "maxReceiveCount": job["max_receive_count"],
            },
        }
        for job in jobs
    ]
    return dead_letter_queues + queues


MESSAGE_COUNTS = (
    "ApproximateNumberOfMessages",
    "ApproximateNumberOfMessagesNotVisible",
    "ApproximateNumberOfMessagesDelayed",
)


def message_count(attributes: Mapping[str, str]) -> int:
    """All messages of a queue: waiting, in flight, delayed."""
    return sum(int(attributes.get(count, 0)) for count in MESSAGE_COUNTS)


def retention_refusals(
    wanted: Sequence[Mapping[str, Any]], found: Mapping[str, Mapping[str, Any]], allowed: Sequence[str]
) -> list[str]:
    """Why a queue that holds messages must not keep them for a shorter time: SQS deletes those that are older."""
    problems = []
    for queue in wanted:
        name, attributes = queue["name"], found.get(queue["name"], {}).get("attributes", {})
        now, messages = int(attributes.get("MessageRetentionPeriod", 0)), message_count(attributes)
        if name not in allowed and messages and queue["retention_seconds"] < now:
            problems.append(
                f"{name}: {queue['retention_seconds']} s of retention wanted, but it holds {messages} messages and "
                f"keeps them for {now} s. SQS deletes at once what is older. Let them be worked off, or save them; if "
                f'they may be lost, name the queue: -e \'{{"queues_allow_shorter_retention": ["{name}"]}}\'.'
            )
    return problems


# What SQS calls the settings that a queue may name.
ATTRIBUTES = {
    "retention_seconds": "MessageRetentionPeriod",
    "visibility_timeout_seconds": "VisibilityTimeout",
}


def _redrive(policy: Mapping[str, Any] | None) -> str:
    """SQS keeps the number as it came, as a number or as text."""
    return as_text({key: str(value) for key, value in (policy or {}).items()})


def queue_changes(
    wanted: Sequence[Mapping[str, Any]],
    wait_seconds: int,
    tags: Mapping[str, str],
    found: Mapping[str, Mapping[str, Any]],
) -> list[dict[str, Any]]:
    """Each queue that is not as it should be, with the reason; a setting that a queue does not name is left alone."""
    return with_reasons((queue, _queue_reason(queue, wait_seconds, tags, found.get(queue["name"]))) for queue in wanted)


def _queue_reason(
    queue: Mapping[str, Any], wait_seconds: int, tags: Mapping[str, str], now: Mapping[str, Any] | None
) -> str:
    if now is None:
        return MISSING
    settings = {attribute: queue[setting] for setting, attribute in ATTRIBUTES.items() if setting in queue}
    settings["ReceiveMessageWaitTimeSeconds"] = wait_seconds
    comparisons: list[tuple[str, Any, Any]] = [
        (attribute, now["attributes"].get(attribute), str(value)) for attribute, value in settings.items()
    ]
    if "redrive_policy" in queue:
        comparisons.append(("RedrivePolicy", _redrive(now["redrive_policy"]), _redrive(queue["redrive_policy"])))
    return reason([*comparisons, ("tags", own_tags(now["tags"]), dict(tags))])

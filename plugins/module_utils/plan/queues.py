# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The queues as the guide wants them, each with its dead letter queue."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ..consent import consented_names
from ..findings import Finding, Words
from ..names import DEAD_LETTER_SUFFIX, queue_arn
from ..policies import as_text
from ..queues import message_count
from ..tags import own_tags, role_tags
from . import Change, Plan, Role, Rule, Values, compare

WHY = "guide §3"
SECONDS_PER_DAY = 86400
LONGEST_VISIBILITY_SECONDS = 43200
LONGEST_WAIT_SECONDS = 20
LONGEST_RETENTION_DAYS = 14
NAME = re.compile(r"[A-Za-z0-9_-]{1,80}")


# What each kind of job must say, and of which type.
JOB_INPUTS = {"name": str, "visibility_timeout_seconds": int, "max_receive_count": int}


def _malformed_job(where: str, job: Any) -> list[Finding]:
    """What keeps the rules below from being asked at all."""
    if not isinstance(job, Mapping):
        return [
            Finding(
                "queue_malformed",
                where,
                type(job).__name__,
                Words("must be a mapping", "매핑이어야 합니다"),
                Words(f"Write {', '.join(JOB_INPUTS)} below it.", f"그 아래에 {', '.join(JOB_INPUTS)}를 쓰십시오."),
            )
        ]
    return [
        Finding(
            "queue_malformed",
            f"{where}.{key}",
            "nothing" if job.get(key) is None else type(job[key]).__name__,
            Words(
                f"must be {'text' if kind is str else 'a whole number'}",
                f"{'문자열' if kind is str else '정수'}이어야 합니다",
            ),
            Words("Write it as in the guide's queues.yml.", "guide의 queues.yml과 같이 쓰십시오."),
        )
        for key, kind in JOB_INPUTS.items()
        if not isinstance(job.get(key), kind) or isinstance(job[key], bool)
    ]


def _job_findings(key: str, job: Any) -> list[Finding]:
    where = f"queues_jobs.{key}"
    malformed = _malformed_job(where, job)
    if malformed:
        return malformed
    name, visibility, receives = job["name"], job["visibility_timeout_seconds"], job["max_receive_count"]
    rules = [
        (
            "name",
            bool(name and NAME.fullmatch(name + DEAD_LETTER_SUFFIX)),
            f"'{name}'",
            Words(
                f"with '{DEAD_LETTER_SUFFIX}' it must be 1 to 80 letters, digits, '-' or '_'",
                f"'{DEAD_LETTER_SUFFIX}'를 붙여 영문자, 숫자, '-', '_' 1~80자여야 합니다",
            ),
            Words("Rename it.", "이름을 바꾸십시오."),
        ),
        (
            "visibility_timeout_seconds",
            0 <= visibility <= LONGEST_VISIBILITY_SECONDS,
            str(visibility),
            Words(
                f"SQS allows 0 to {LONGEST_VISIBILITY_SECONDS}", f"SQS는 0~{LONGEST_VISIBILITY_SECONDS}초만 허용합니다"
            ),
            Words("Set it to the longest time a job may take.", "작업 하나의 최대 시간으로 설정하십시오."),
        ),
        (
            "max_receive_count",
            1 <= receives <= 1000,
            str(receives),
            Words("SQS allows 1 to 1000", "SQS는 1~1000만 허용합니다"),
            Words("Set how often a job is tried.", "작업을 몇 번 시도할지 설정하십시오."),
        ),
    ]
    return [
        Finding(f"queue_{setting}", f"{where}.{setting}", found, rule, remedy)
        for setting, holds, found, rule, remedy in rules
        if not holds
    ]


def queue_findings(
    jobs: Mapping[str, Any], retention_days: int, dead_letter_retention_days: int, wait_seconds: int
) -> list[Finding]:
    """Everything that SQS would refuse, or that would lose a message."""
    findings = [finding for key, job in jobs.items() for finding in _job_findings(key, job)]
    names = [job.get("name") for job in jobs.values() if isinstance(job, Mapping)]
    findings += [
        Finding(
            "queue_shared",
            "queues_jobs",
            f"'{name}' more than once",
            Words("two kinds of job cannot share a queue", "두 종류의 작업이 큐 하나를 함께 쓸 수 없습니다"),
            Words("Rename one.", "하나의 이름을 바꾸십시오."),
        )
        for name in sorted({name for name in names if isinstance(name, str) and names.count(name) > 1})
    ]
    if not 1 <= retention_days < dead_letter_retention_days <= LONGEST_RETENTION_DAYS:
        findings.append(
            Finding(
                "queue_retention",
                "queues_retention_days and queues_dead_letter_retention_days",
                f"{retention_days} and {dead_letter_retention_days}",
                Words(
                    "a dead letter's age counts from its first sending, so 1 <= retention < dead letter retention <= "
                    f"{LONGEST_RETENTION_DAYS} days must hold",
                    "DLQ 메시지의 나이는 처음 보낸 때부터 세므로 1 <= 보존일 < DLQ 보존일 <= "
                    f"{LONGEST_RETENTION_DAYS}이어야 합니다",
                ),
                Words("Leave them out: 4 and 14 then hold.", "두 변수를 빼면 4와 14가 적용됩니다."),
            )
        )
    if not 0 <= wait_seconds <= LONGEST_WAIT_SECONDS:
        findings.append(
            Finding(
                "queue_wait",
                "queues_receive_wait_seconds",
                str(wait_seconds),
                Words(f"SQS allows 0 to {LONGEST_WAIT_SECONDS}", f"SQS는 0~{LONGEST_WAIT_SECONDS}초만 허용합니다"),
                Words("Use 20.", "20을 쓰십시오."),
            )
        )
    return findings


def reads(inputs: Values) -> Values:
    return {"queue_names": [queue["name"] for queue in wanted_queues(inputs)]}


def wanted_queues(inputs: Values) -> list[dict[str, Any]]:
    """All queues in the order of their creation: a redrive policy may only name a queue that exists."""
    jobs = inputs["queues_jobs"].values()
    dead_letter_queues = [
        {
            "name": job["name"] + DEAD_LETTER_SUFFIX,
            "retention_seconds": inputs["queues_dead_letter_retention_days"] * SECONDS_PER_DAY,
        }
        for job in jobs
    ]
    queues = [
        {
            "name": job["name"],
            "retention_seconds": inputs["queues_retention_days"] * SECONDS_PER_DAY,
            "visibility_timeout_seconds": job["visibility_timeout_seconds"],
            "redrive_policy": {
                "deadLetterTargetArn": queue_arn(
                    job["name"] + DEAD_LETTER_SUFFIX, inputs["aws_region"], inputs["aws_account_id"]
                ),
                "maxReceiveCount": job["max_receive_count"],
            },
        }
        for job in jobs
    ]
    return dead_letter_queues + queues


def retention_findings(queue: Values, now: Values, inputs: Values) -> list[Finding]:
    """Why a queue that holds messages must not keep them for a shorter time: SQS deletes those that are older."""
    name, wanted = queue["name"], queue["retention_seconds"]
    kept, messages = int(now["attributes"].get("MessageRetentionPeriod", 0)), message_count(now["attributes"])
    consent = "queues_allow_shorter_retention"
    if wanted >= kept or not messages or name in consented_names(inputs[consent], consent):
        return []
    command = f'-e \'{{"{consent}": ["{name}"]}}\''
    return [
        Finding(
            "queue_retention_shorter",
            name,
            f"{messages} messages",
            Words(
                f"{wanted} s of retention wanted, and it keeps messages for {kept} s: SQS deletes at once what is "
                "older",
                f"보존 기간을 {kept}초에서 {wanted}초로 줄이면 SQS가 그보다 오래된 메시지를 바로 삭제합니다",
            ),
            Words(
                f"Let them be worked off, or save them; if they may be lost, name the queue: {command}.",
                f"메시지를 처리하거나 저장하십시오. 잃어도 된다면 큐를 지정하십시오: {command}.",
            ),
        )
    ]


def _redrive(policy: Values | None) -> str:
    """SQS keeps the number as it came, as a number or as text."""
    return as_text({key: str(value) for key, value in (policy or {}).items()})


def _comparable(queue: Values) -> dict[str, Any]:
    fields = {key: value for key, value in queue.items() if key != "name"}
    return {**fields, "redrive_policy": _redrive(queue["redrive_policy"])} if "redrive_policy" in queue else fields


def _found(now: Values) -> dict[str, Any]:
    attributes = now["attributes"]
    return {
        "retention_seconds": int(attributes["MessageRetentionPeriod"]),
        "visibility_timeout_seconds": int(attributes["VisibilityTimeout"]),
        "receive_wait_seconds": int(attributes["ReceiveMessageWaitTimeSeconds"]),
        "redrive_policy": _redrive(now["redrive_policy"]),
        "tags": own_tags(now["tags"]),
    }


def _changes(queue: Values, now: Values | None) -> list[Change]:
    """A setting that a queue does not name is left alone."""
    return compare(queue["name"], _comparable(queue), _found(now) if now else None, WHY, lambda _: {"queues": queue})


def decide(inputs: Values, found: Values) -> Plan:
    refusals: list[Finding] = []
    changes: list[Change] = []
    for wanted in wanted_queues(inputs):
        queue = {
            **wanted,
            "receive_wait_seconds": inputs["queues_receive_wait_seconds"],
            "tags": role_tags(inputs["deployment_tags"], "queues"),
        }
        now = found["queues"].get(queue["name"])
        if now is not None:
            refusals += retention_findings(queue, now, inputs)
        changes += _changes(queue, now)
    return Plan(refusals, changes)


ROLE = Role(
    reads,
    decide,
    applies=("queues",),
    rules=(
        Rule(
            queue_findings,
            (
                "queues_jobs",
                "queues_retention_days",
                "queues_dead_letter_retention_days",
                "queues_receive_wait_seconds",
            ),
        ),
    ),
)

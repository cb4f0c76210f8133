# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The function: reads queues and hosts, starts what is to be started, ends holds, and says in its log what it did.

A host that cannot be started does not keep the next from being tried, nor a group that cannot be served the others from
being served; what was not expected is raised at the end, so that Lambda counts it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache, partial
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

from .decisions import (
    PASSING,
    STATES,
    Depth,
    Group,
    Instance,
    decide,
    depth_of,
    ended_holds,
    log_line,
    read_settings,
    states,
)

SETTINGS_VARIABLE = "STARTER"
HOLD_TAG = "HoldUntil"
# SQS has said both.
NO_QUEUE = frozenset({"AWS.SimpleQueueService.NonExistentQueue", "QueueDoesNotExist"})
DEPTH_ATTRIBUTES = [
    "ApproximateNumberOfMessages",
    "ApproximateNumberOfMessagesNotVisible",
    "ApproximateNumberOfMessagesDelayed",
]
# The next minute tries again: better that than a service that does not answer and takes the others' time.
CLIENT_CONFIG = Config(connect_timeout=3, read_timeout=5, retries={"total_max_attempts": 2})

Instances = dict[str, Instance]


class StarterError(RuntimeError):
    """Something that was not expected went wrong; the log has said what."""


# What is kept as long as Lambda keeps the process.
@cache
def client(service: str) -> Any:
    return boto3.client(service, config=CLIENT_CONFIG)  # type: ignore[call-overload]


@cache
def queue_url(name: str) -> str:
    return str(client("sqs").get_queue_url(QueueName=name)["QueueUrl"])


def handler(event: Any, context: Any) -> None:
    """What Lambda calls."""
    settings = read_settings(os.environ[SETTINGS_VARIABLE])
    now = datetime.now(UTC)
    instances = read_instances(settings.deployment)
    failed = [
        what
        for what, work in [
            *((group.name, partial(_serve, group, instances, now)) for group in settings.groups),
            *((host.name, partial(_end_hold, host)) for host in ended_holds(instances.values(), now)),
        ]
        if not _succeeds(what, work)
    ]
    if failed:
        raise StarterError(f"{', '.join(failed)}: see the lines above")


def _succeeds(what: str, work: Callable[[], None]) -> bool:
    try:
        work()
    except Exception as error:  # whatever it is, the next one's turn comes
        _log(what=what, action="failed", reason=f"{type(error).__name__}: {error}")
        return False
    return True


def read_instances(deployment: str) -> Instances:
    """All hosts of the deployment by their ids, those that are gone left out."""
    filters = [{"Name": "tag:Project", "Values": [deployment]}, {"Name": "instance-state-name", "Values": [*STATES]}]
    pages = client("ec2").get_paginator("describe_instances").paginate(Filters=filters)
    found = (
        instance for page in pages for reservation in page["Reservations"] for instance in reservation["Instances"]
    )
    return {instance.instance_id: instance for instance in map(_instance, found)}


def _instance(found: dict[str, Any]) -> Instance:
    tags = {tag["Key"]: tag["Value"] for tag in found.get("Tags", [])}
    return Instance(
        instance_id=found["InstanceId"],
        name=tags.get("Name", ""),
        state=found["State"]["Name"],
        launched=found["LaunchTime"],
        hold_until=tags.get(HOLD_TAG),
        reason=found.get("StateReason", {}).get("Message", ""),
    )


def read_depth(queues: Iterable[str]) -> tuple[Depth, list[str]]:
    """The messages of several queues together, and which queues do not exist."""
    depth, missing = Depth(), []
    for queue in queues:
        try:
            url = queue_url(queue)
            answer = client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=DEPTH_ATTRIBUTES)
        except ClientError as error:
            if _code(error) not in NO_QUEUE:
                raise
            missing.append(queue)
        else:
            depth += depth_of(answer["Attributes"])
    return depth, missing


def _serve(group: Group, instances: Instances, now: datetime) -> None:
    depth, missing = read_depth(group.queues)
    for queue in missing:
        _log(group=group.name, action="none", reason=f"queue {queue} does not exist")
    decision = decide(group, depth, instances.values(), now)
    seen = {
        "group": group.name,
        "visible": depth.visible,
        "in_flight": depth.in_flight,
        "delayed": depth.delayed,
        "states": states(group, instances.values()),
    }
    # It is tried again, and somebody is told: no start in vain without a word.
    failed = [host.name for host in decision.candidates if host.fell_back]
    for host in decision.candidates:
        if host.fell_back:
            _log(group=group.name, action="fell back", host=host.name, instance=host.instance_id, reason=host.reason)
    for host in decision.candidates:
        error = _error_of_start(host)
        if error is None:
            # A host may serve two groups, whose second must not start it again.
            instances[host.instance_id] = replace(host, state="pending", launched=now)
            _log(**seen, action="start", host=host.name, instance=host.instance_id, reason=decision.reason)
            break
        _log(group=group.name, action="refused", host=host.name, instance=host.instance_id, reason=str(error))
        if _code(error) not in PASSING:
            failed.append(host.name)
    else:
        reason = "EC2 starts none of them now: again in a minute" if decision.candidates else decision.reason
        _log(**seen, action="none", reason=reason)
    if failed:
        raise StarterError(f"EC2 does not start {', '.join(dict.fromkeys(failed))}")


def _error_of_start(host: Instance) -> ClientError | None:
    """Start a host; nothing where EC2 does, or why it does not."""
    try:
        client("ec2").start_instances(InstanceIds=[host.instance_id])
    except ClientError as error:
        return error
    return None


def _end_hold(host: Instance) -> None:
    # With its value: one that was renewed meanwhile stays.
    tag = {"Key": HOLD_TAG, "Value": host.hold_until}
    client("ec2").delete_tags(Resources=[host.instance_id], Tags=[tag])
    _log(host=host.name, instance=host.instance_id, action="end hold", reason=f"held until {host.hold_until}")


def _code(error: ClientError) -> str:
    return str(error.response["Error"]["Code"])


def _log(**content: Any) -> None:
    print(log_line(**content), flush=True)

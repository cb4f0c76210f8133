# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which worker is started, and which hold is over: decided from what was read, without AWS and without a clock."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

# What is gone is not read.
STATES = ("pending", "running", "stopping", "stopped")
STARTED = ("pending", "running")

# Another host may be free, and if none is, the next minute comes: the state was another by now, there is no capacity,
# or the Spot request is not ready yet (EC2 alone starts what EC2 itself interrupted).
PASSING = frozenset(
    {
        "IncorrectInstanceState",
        "IncorrectSpotRequestState",
        "InsufficientHostCapacity",
        "InsufficientInstanceCapacity",
        "InvalidInstanceID.NotFound",
        "SpotMaxPriceTooLow",
    }
)
# Why EC2 stopped a host again whose start it had accepted: mostly, whoever started it may not use the key of a volume.
FELL_BACK = frozenset({"Client.InternalError", "Client.VolumeLimitExceeded", "Server.InternalError"})


@dataclass(frozen=True)
class Group:
    """Workers that serve the same queues; its hosts, by their Name tags, are the most that ever run."""

    name: str
    queues: tuple[str, ...]
    hosts: tuple[str, ...]
    grace_seconds: int


@dataclass(frozen=True)
class Settings:
    """What the function is told."""

    deployment: str
    groups: tuple[Group, ...]


@dataclass(frozen=True)
class Depth:
    """The messages of a queue, or of several: to be had, being worked on, not to be had yet."""

    visible: int = 0
    in_flight: int = 0
    delayed: int = 0

    def __add__(self, other: Depth) -> Depth:
        return Depth(self.visible + other.visible, self.in_flight + other.in_flight, self.delayed + other.delayed)


@dataclass(frozen=True)
class Instance:
    """A host as EC2 sees it; launched is when it was started last, reason why it is as it is: <code>: <text>."""

    instance_id: str
    name: str
    state: str
    launched: datetime
    hold_until: str | None = None
    reason: str = ""

    @property
    def fell_back(self) -> bool:
        """Whether its last start came to nothing."""
        return self.state == "stopped" and self.reason.partition(":")[0] in FELL_BACK


@dataclass(frozen=True)
class Decision:
    """What is done for a group: one of the candidates is started, the first that EC2 lets start."""

    candidates: tuple[Instance, ...]
    reason: str


def read_settings(text: str) -> Settings:
    """The function's one variable."""
    content = json.loads(text)
    return Settings(
        deployment=content["deployment"],
        groups=tuple(
            Group(group["name"], tuple(group["queues"]), tuple(group["hosts"]), int(group["grace_seconds"]))
            for group in content["groups"]
        ),
    )


def members(group: Group, instances: Iterable[Instance]) -> list[Instance]:
    """The instances of a group, in the order of its hosts."""
    found = [instance for instance in instances if instance.name in group.hosts]
    return sorted(found, key=lambda instance: (group.hosts.index(instance.name), instance.instance_id))


def is_starting(instance: Instance, grace_seconds: int, now: datetime) -> bool:
    """Whether a host was started and has not had the time to ask for a message yet."""
    if instance.state == "pending":
        return True
    return instance.state == "running" and now - instance.launched < timedelta(seconds=grace_seconds)


def decide(group: Group, depth: Depth, instances: Iterable[Instance], now: datetime) -> Decision:
    """One more host, as long as more messages are to be had than hosts are about to ask for one.

    A message in flight has its worker, and will be to be had again if that one fails; a delayed one is not due.
    """
    hosts = members(group, instances)
    starting = sum(is_starting(host, group.grace_seconds, now) for host in hosts)
    started = [host for host in hosts if host.state in STARTED]
    # Who was started longest ago comes first: one that stops as soon as it is started does not keep the others down.
    stopped = tuple(sorted((host for host in hosts if host.state == "stopped"), key=lambda host: host.launched))
    if not depth.visible:
        return Decision((), "no message to be had")
    if depth.visible <= starting:
        return Decision((), f"{starting} starting already")
    if len(started) >= len(group.hosts):
        return Decision((), f"all {len(started)} started already")
    if not stopped:
        stopping = sum(host.state == "stopping" for host in hosts)
        return Decision((), f"{stopping} still stopping, none stopped: again in a minute")
    return Decision(stopped, f"{depth.visible} to be had, {starting} starting")


def states(group: Group, instances: Iterable[Instance]) -> dict[str, str]:
    """Each host's state, for the log; that of a host without instance is missing."""
    found: dict[str, str] = dict.fromkeys(group.hosts, "missing")
    found.update({instance.name: instance.state for instance in members(group, instances)})
    return found


def is_over(hold_until: str, now: datetime) -> bool:
    """Whether a hold has ended. One that nobody can read counts as ended: it would keep its host running for ever."""
    try:
        end = datetime.fromisoformat(hold_until.strip().replace("Z", "+00:00"))
    except ValueError:
        return True
    return (end if end.tzinfo else end.replace(tzinfo=UTC)) <= now


def ended_holds(instances: Iterable[Instance], now: datetime) -> list[Instance]:
    """The hosts whose hold is over."""
    return [instance for instance in instances if instance.hold_until is not None and is_over(instance.hold_until, now)]


def log_line(**content: Any) -> str:
    """One line that people can grep and CloudWatch can query."""
    return json.dumps(content, ensure_ascii=False)


def depth_of(attributes: Mapping[str, str]) -> Depth:
    """What SQS says of a queue itself; its metrics at CloudWatch can be a quarter of an hour late."""
    return Depth(
        visible=int(attributes["ApproximateNumberOfMessages"]),
        in_flight=int(attributes["ApproximateNumberOfMessagesNotVisible"]),
        delayed=int(attributes["ApproximateNumberOfMessagesDelayed"]),
    )

# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which hosts a run starts, which it keeps awake while it configures them, and which it leaves as they are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from .tags import RELEASE_TAG

# The tag's value, in UTC.
HOLD_FORMAT = "%Y-%m-%dT%H:%M:%SZ"
# What must be left of a hold when the workers' turn comes: pulling an image and getting healthy take their time.
LEFT_MIN = timedelta(minutes=30)
# Or on their way there: a host that is about to stop cannot be configured, and cannot be started yet.
ASLEEP = ("pending", "stopping", "stopped")
NO_RELEASE = "none"
# EC2's answers to a start that comes too soon: the instance is still stopping, or its Spot request does not know yet
# that it has stopped.
TOO_SOON = ("IncorrectInstanceState", "IncorrectSpotRequestState")
# Why an instance stopped that EC2 itself interrupted, which gets the same answer for as long as EC2 wants.
INTERRUPTED = "Server.SpotInstance"


def hold_until(now: datetime, minutes: int) -> str:
    """The tag of a host that is held from now on, which is in UTC, for so many minutes."""
    return (now + timedelta(minutes=minutes)).strftime(HOLD_FORMAT)


def hold_end(value: str) -> datetime:
    """When a hold ends. Raises ValueError where the tag is no time."""
    return datetime.strptime(value, HOLD_FORMAT).replace(tzinfo=UTC)


def hold_epoch(value: str) -> int:
    """The same for the host, in seconds since 1970."""
    return int(hold_end(value).timestamp())


def hold_runs_out(value: str, now: datetime) -> bool:
    """Whether a hold, now in UTC, may end before its host is configured."""
    return hold_end(value) - now.replace(tzinfo=UTC) < LEFT_MIN


def wake_plan(hosts: Sequence[str], seen: Mapping[str, Mapping[str, Any]], release: str, wake: bool) -> dict[str, Any]:
    """What becomes of each host, by what the inventory last saw of it.

    - hold: it runs and might stop itself in the middle of its configuration
    - wake: it stopped itself, and is to be started and held
    - left: it does not run, and is left as it is
    - behind: of those, the workers that have another release, with that release
    """
    states = {host: seen[host].get("aws_state", {}).get("name", "absent") for host in hosts}
    workers = [host for host in hosts if seen[host]["instance_may_be_stopped"]]
    woken = [host for host in workers if wake and states[host] in ASLEEP]
    left = [host for host in hosts if states[host] != "running" and host not in woken]
    releases = {
        host: seen[host].get("aws_tags", {}).get(RELEASE_TAG, NO_RELEASE)
        for host in left
        if host in workers and states[host] in ASLEEP
    }
    return {
        "hold": [host for host in workers if states[host] == "running"],
        "wake": woken,
        "left": left,
        "behind": {host: found for host, found in releases.items() if found != release},
    }


def is_too_soon(refusal: str, instance: Mapping[str, Any]) -> bool:
    """Whether EC2, which refused to start the stopped instance, will do so in a moment."""
    reason = str((instance.get("state_reason") or {}).get("code"))
    return any(code in refusal for code in TOO_SOON) and not reason.startswith(INTERRUPTED)


def heartbeats(lines: Sequence[str]) -> dict[str, bool]:
    """The containers that were found alive, and whether each has a job.

    A line is a finding, `alive` or `busy`, and the directory that is named after the container.
    """
    found = [line.partition(" ") for line in lines]
    busy = {directory for finding, _, directory in found if finding == "busy"}
    return {directory.rpartition("/")[2]: directory in busy for _, _, directory in found}


def containers_on(
    hosts: Sequence[str], groups: Mapping[str, Sequence[str]], containers: Mapping[str, str]
) -> list[str]:
    """The containers, by service, that these hosts run: a service is the group of its hosts."""
    return [name for service, name in containers.items() if set(hosts) & set(groups.get(service, []))]


def is_brought_up(services: Sequence[str], run_tags: Sequence[str], skip_tags: Sequence[str]) -> bool:
    """Whether a run with these tags brings up all of a host's services, each of which is the tag of its role."""
    return not set(services) & set(skip_tags) and ("all" in run_tags or set(services) <= set(run_tags))

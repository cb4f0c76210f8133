# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Until when a host is held awake, which workers are alive there, and which services a run with some tags brings up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from .lines import lines

# The tag's value, in UTC.
HOLD_FORMAT = "%Y-%m-%dT%H:%M:%SZ"
# A lease, which the run renews. With the minute after which the starter looks at the latest, a host is free within ten.
LEASE = timedelta(minutes=9)
# One restart, or an old one, says nothing of a job.
RESTARTS_MIN = 3
RESTART_WINDOW_SECONDS = 300


def hold_time(now: datetime) -> str:
    """Until when a host is held that is held from now on, which is in UTC: the tag's value."""
    return (now.replace(tzinfo=UTC) + LEASE).strftime(HOLD_FORMAT)


def to_renew(holds: Mapping[str, str], begun: str, now: datetime) -> list[str]:
    """The instances that a run holds, of all that are held: those of an earlier run end by themselves.

    A run that began at `begun` has set no end before a lease from then on. A longer hold is somebody's own.
    """
    earliest = hold_time(hold_end(begun))
    # As text, because what is no time is nobody's; of one format and zone it has the order of time.
    return sorted(instance for instance, until in holds.items() if earliest <= until < hold_time(now))


def hold_end(value: str) -> datetime:
    """When a hold ends, by its tag. Raises ValueError where the tag is no time."""
    return datetime.strptime(value, HOLD_FORMAT).replace(tzinfo=UTC)


def heartbeats(found: str) -> dict[str, bool]:
    """The containers that were found alive, and whether each has a job.

    A line is a finding, `alive` or `busy`, and the directory that is named after the container.
    """
    findings = [line.partition(" ") for line in lines(found)]
    busy = {directory for finding, _, directory in findings if finding == "busy"}
    return {directory.rpartition("/")[2]: directory in busy for _, _, directory in findings}


def is_restarted(container: Mapping[str, Any]) -> bool:
    """Whether Docker restarts it again and again, by what host_state_info tells: how often, and since when it runs."""
    seconds = container["running_seconds"]
    lately = container["status"] == "restarting" or (seconds is not None and seconds < RESTART_WINDOW_SECONDS)
    return bool(lately and container["restart_count"] >= RESTARTS_MIN)


def is_brought_up(roles: Sequence[str], run_tags: Sequence[str], skip_tags: Sequence[str]) -> bool:
    """Whether a run with these tags runs all of the roles of a host's services."""
    return not set(roles) & set(skip_tags) and ("all" in run_tags or set(roles) <= set(run_tags))

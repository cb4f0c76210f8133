# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Until when a host is held awake, which workers are alive there, and which services a run with some tags brings up."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from .lines import lines

# The tag's value, in UTC.
HOLD_FORMAT = "%Y-%m-%dT%H:%M:%SZ"
# What must be left of a hold when the workers' turn comes: pulling an image and getting healthy take their time.
LEFT_MIN = timedelta(minutes=30)


class HoldTime(NamedTuple):
    """When a hold ends, for the tag and for the host, and from when on it is renewed."""

    held_until: str
    held_until_seconds: int
    renew_at_seconds: int


def hold_time(now: datetime, minutes: int) -> HoldTime:
    """Of a host that is held from now on, which is in UTC, for so many minutes."""
    end = now.replace(tzinfo=UTC, microsecond=0) + timedelta(minutes=minutes)
    return HoldTime(end.strftime(HOLD_FORMAT), int(end.timestamp()), int((end - LEFT_MIN).timestamp()))


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


def is_brought_up(roles: Sequence[str], run_tags: Sequence[str], skip_tags: Sequence[str]) -> bool:
    """Whether a run with these tags runs all of the roles of a host's services."""
    return not set(roles) & set(skip_tags) and ("all" in run_tags or set(roles) <= set(run_tags))

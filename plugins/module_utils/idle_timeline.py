# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Seeing hosts start for a job and stop after it: a timeline, reduced from samples of hosts and queues."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

STARTING, RUNNING, TAKEN, PROCESSED, STOPPED = "starting", "running", "taken", "processed", "stopped"
JOB_STEPS = (STARTING, RUNNING, TAKEN, PROCESSED, STOPPED)
STOP_STEPS = (STOPPED,)


@dataclass(frozen=True)
class Sample:
    """One reading: the states of the hosts by name, and the queues' messages, all of them together."""

    at: float
    states: Mapping[str, str]
    visible: int
    in_flight: int
    delayed: int
    dead: int

    @property
    def waiting(self) -> int:
        return self.visible + self.in_flight + self.delayed


@dataclass(frozen=True)
class Limits:
    """How long each step may take after the one before, and how long a queue must look empty to be it.

    The numbers of SQS are approximate: for a moment they may leave a message out.
    """

    timeout_seconds: float
    settle_seconds: float = 0.0
    step_timeouts_seconds: Mapping[str, float] = field(default_factory=dict)

    def of(self, step: str) -> float:
        return self.step_timeouts_seconds.get(step, self.timeout_seconds)


@dataclass(frozen=True)
class Timeline:
    """What the samples so far tell. It is over when every step came, or when a reason says that it went wrong."""

    steps: Mapping[str, float]
    events: tuple[tuple[float, str], ...]
    missing: tuple[str, ...]
    reason: str = ""
    hosts: tuple[str, ...] = ()

    @property
    def over(self) -> bool:
        return not self.missing or bool(self.reason)


def follow(samples: Sequence[Sample], steps: Sequence[str], limits: Limits, since: float) -> Timeline:
    """Reduce all samples to the steps that came, in their order. A later step says that those before it came too."""
    reached: dict[str, float] = {}
    started: list[str] = []
    empty_since: float | None = None
    reason = ""
    for sample in samples:
        started += [
            name for name, state in sample.states.items() if name not in started and state in ("pending", "running")
        ]
        # Nobody can have taken the message while no host ran: an empty queue then means that it is not visible yet.
        empty = sample.waiting == 0 and RUNNING in reached
        empty_since = (sample.at if empty_since is None else empty_since) if empty else None
        settled = empty_since is not None and (sample.at - empty_since >= limits.settle_seconds or _asleep(sample))
        came = _shown(sample, samples[0], settled, quiet=settled or PROCESSED in reached or PROCESSED not in steps)
        for step in steps[: steps.index(came) + 1] if came in steps else []:
            # When the queue first looked empty, not when it had looked so for long enough.
            at = empty_since if step == PROCESSED and empty_since is not None else sample.at
            reached.setdefault(step, max([at, *reached.values()]))
        missing = [step for step in steps if step not in reached]
        reason = _failed(sample, samples[0]) or (_late(sample, missing[0], reached, limits, since) if missing else "")
        if reason or not missing:
            break
    return Timeline(
        steps=reached,
        events=tuple(_events(samples)),
        missing=tuple(step for step in steps if step not in reached),
        reason=reason,
        hosts=tuple(started),
    )


def _asleep(sample: Sample) -> bool:
    return set(sample.states.values()) <= {"stopped"}


def _shown(sample: Sample, first: Sample, settled: bool, *, quiet: bool) -> str | None:
    """The last step that this sample shows; hosts have stopped for good only when nothing is left to be done."""
    states = set(sample.states.values())
    shown = {
        STOPPED: quiet and _asleep(sample),
        PROCESSED: settled,
        TAKEN: sample.in_flight > first.in_flight,
        RUNNING: "running" in states,
        STARTING: "pending" in states,
    }
    return next((step for step, is_shown in shown.items() if is_shown), None)


def _failed(sample: Sample, first: Sample) -> str:
    if gone := sorted(name for name, state in sample.states.items() if state in ("shutting-down", "terminated")):
        return f"{', '.join(gone)} was terminated"
    if sample.dead > first.dead:
        return f"the dead letter queue grew from {first.dead} to {sample.dead}: the job failed"
    return ""


def _late(sample: Sample, step: str, reached: Mapping[str, float], limits: Limits, since: float) -> str:
    if sample.at - max(reached.values(), default=since) < limits.of(step):
        return ""
    after = f"'{list(reached)[-1]}'" if reached else "the beginning"
    return (
        f"'{step}' did not come within {limits.of(step):g} s after {after}; last seen: "
        f"{', '.join(_described(sample, None))}"
    )


def _described(sample: Sample, before: Sample | None) -> list[str]:
    """What is different from the sample before, or all of it."""
    changes = [
        f"{name} {state}" for name, state in sample.states.items() if before is None or before.states.get(name) != state
    ]
    messages = [f"{sample.visible} visible, {sample.in_flight} in flight, {sample.delayed} delayed, {sample.dead} dead"]
    same = before is not None and (sample.visible, sample.in_flight, sample.delayed, sample.dead) == (
        before.visible, before.in_flight, before.delayed, before.dead,
    )  # fmt: skip
    return changes + ([] if same else messages)


def _events(samples: Sequence[Sample]) -> list[tuple[float, str]]:
    return [
        (sample.at, text)
        for number, sample in enumerate(samples)
        for text in _described(sample, samples[number - 1] if number else None)
    ]


def iso(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


def parse_iso(text: str) -> float:
    """Seconds since 1970 of a time such as 2026-11-24T15:00:00Z."""
    found = datetime.fromisoformat(text)
    if found.tzinfo is None:
        raise ValueError(f"'{text}' names no time zone; end it with Z")
    return found.timestamp()


def watched(timeline: Timeline, since: float) -> dict[str, Any]:
    """The timeline for machines."""

    def moment(at: float) -> dict[str, Any]:
        return {"at": iso(at), "seconds": round(at - since, 1)}

    return {
        "ok": not timeline.missing and not timeline.reason,
        "reason": timeline.reason,
        "hosts": list(timeline.hosts),
        "steps": [{"name": name, **moment(at)} for name, at in timeline.steps.items()],
        "timeline": [{**moment(at), "event": event} for at, event in timeline.events],
    }

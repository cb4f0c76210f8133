# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What samples of hosts and queues tell: steps, their times, and why one did not come."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from plugins.module_utils.idle_timeline import (
    JOB_STEPS,
    STOP_STEPS,
    Limits,
    Sample,
    Timeline,
    follow,
    iso,
    parse_iso,
    watched,
)

LIMITS = Limits(timeout_seconds=100, settle_seconds=10)


def sample(
    at: float, state: str, visible: int = 0, in_flight: int = 0, *, dead: int = 0, other: str = "stopped"
) -> Sample:
    return Sample(at, {"one": state, "two": other}, visible, in_flight, 0, dead)


ROUND_TRIP = [
    sample(0, "stopped", visible=1),
    sample(5, "pending", visible=1),
    sample(20, "running", visible=1),
    sample(30, "running", in_flight=1),
    sample(40, "running"),
    sample(45, "running"),
    sample(50, "running"),
    sample(60, "stopping"),
    sample(70, "stopped"),
]


def job(samples: Sequence[Sample], limits: Limits = LIMITS) -> Timeline:
    return follow(samples, JOB_STEPS, limits, 0)


def test_a_round_trip() -> None:
    timeline = job(ROUND_TRIP)
    assert timeline.steps == {"starting": 5, "running": 20, "taken": 30, "processed": 40, "stopped": 70}
    assert (timeline.missing, timeline.reason, timeline.hosts, timeline.over) == ((), "", ("one",), True)


@pytest.mark.parametrize("seen", range(1, len(ROUND_TRIP)))
def test_it_is_over_only_in_the_end_and_never_takes_back_a_step(seen: int) -> None:
    timeline = job(ROUND_TRIP[:seen])
    assert not timeline.over
    assert timeline.steps.items() <= job(ROUND_TRIP).steps.items()


@pytest.mark.parametrize(
    ("samples", "steps"),
    [
        # Steps between two readings came no later than those after them.
        ([sample(0, "stopped", 1), sample(9, "running", 0, 1)], {"starting": 9, "running": 9, "taken": 9}),
        # Before a host runs, a queue that looks empty only does not show its message yet.
        ([sample(0, "stopped"), sample(20, "pending"), sample(40, "running")], {"starting": 20, "running": 40}),
        # For a moment the numbers leave the message out.
        (
            [sample(0, "running", 1), sample(1, "running"), sample(9, "running", 1), sample(12, "running")],
            {"starting": 0, "running": 0},
        ),
        # Stopped with the job still there is not the end.
        (
            [sample(0, "running", 1), sample(1, "running", 0, 1), sample(2, "stopped", 1)],
            {"starting": 0, "running": 0, "taken": 1},
        ),
        # Another host than the first may take it.
        (
            [sample(0, "stopped", 1), sample(1, "stopped", 1, other="pending")],
            {"starting": 1},
        ),
    ],
)
def test_steps(samples: list[Sample], steps: dict[str, float]) -> None:
    assert job(samples).steps == steps


def test_a_host_that_stopped_with_an_empty_queue_has_done_the_job() -> None:
    timeline = job([sample(0, "stopped", 1), sample(9, "running", 1), sample(50, "stopped")])
    assert timeline.over
    assert not timeline.reason


def test_all_hosts_that_started_must_stop() -> None:
    both = [*ROUND_TRIP[:-1], sample(70, "stopped", other="running")]
    assert job(both).missing == ("stopped",)
    assert job(both).hosts == ("one", "two")


@pytest.mark.parametrize(
    ("samples", "words"),
    [
        (
            [sample(0, "stopped", 1), sample(100, "stopped", 1)],
            ["'starting'", "100 s after the beginning", "1 visible"],
        ),
        (
            [sample(0, "pending", 1), sample(99, "pending", 1), sample(100, "pending", 1)],
            ["'running'", "after 'starting'", "one pending"],
        ),
        ([*ROUND_TRIP[:7], sample(140, "running")], ["'stopped'", "after 'processed'", "one running"]),
        ([*ROUND_TRIP[:4], sample(35, "running", dead=1)], ["dead letter queue grew from 0 to 1"]),
        ([*ROUND_TRIP[:4], sample(35, "shutting-down", 0, 1)], ["one was terminated"]),
    ],
)
def test_reasons(samples: list[Sample], words: list[str]) -> None:
    timeline = job(samples)
    assert timeline.over
    assert [word for word in words if word not in timeline.reason] == []


def test_a_step_may_have_a_limit_of_its_own() -> None:
    slow = [sample(0, "stopped", 1), sample(150, "stopped", 1)]
    assert not job(slow, Limits(100, 10, {"starting": 200})).over
    assert job(slow, Limits(200, 10, {"starting": 100})).reason


def test_a_limit_counts_from_the_step_before() -> None:
    assert not job([sample(0, "stopped", 1), sample(50, "pending", 1), sample(149, "pending", 1)]).over


def test_dead_letters_from_before_are_not_of_this_job() -> None:
    assert not job([sample(0, "stopped", 1, dead=7), sample(1, "pending", 1, dead=7)]).reason


@pytest.mark.parametrize(
    ("states", "over"),
    [(["stopped"], True), (["running", "stopping", "stopped"], True), (["running", "stopping"], False)],
)
def test_without_a_job_only_the_stop_counts(states: list[str], over: bool) -> None:
    timeline = follow([sample(at, state, 1) for at, state in enumerate(states)], STOP_STEPS, LIMITS, 0)
    assert timeline.over == over
    assert set(timeline.steps) == ({"stopped"} if over else set())


def test_the_timeline_tells_each_change_once() -> None:
    told = watched(job(ROUND_TRIP), 0)
    events = [(event["seconds"], event["event"]) for event in told["timeline"]]
    assert events == [
        (0, "one stopped"),
        (0, "two stopped"),
        (0, "1 visible, 0 in flight, 0 delayed, 0 dead"),
        (5, "one pending"),
        (20, "one running"),
        (30, "0 visible, 1 in flight, 0 delayed, 0 dead"),
        (40, "0 visible, 0 in flight, 0 delayed, 0 dead"),
        (60, "one stopping"),
        (70, "one stopped"),
    ]
    assert told["steps"][0] == {"name": "starting", "at": "1970-01-01T00:00:05.000Z", "seconds": 5}
    assert told["ok"]


def test_times_are_written_and_read_alike() -> None:
    assert parse_iso(iso(1795532400.25)) == 1795532400.25
    with pytest.raises(ValueError, match="time zone"):
        parse_iso("2026-11-24T15:00:00")

# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which worker is started: tables of what is seen and what is decided, and then a long simulated life."""

from __future__ import annotations

import random
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from roles.starter.files.academy_starter.decisions import (
    Depth,
    Group,
    Instance,
    decide,
    depth_of,
    ended_holds,
    is_over,
    read_settings,
    states,
)

NOW = datetime(2026, 1, 31, 9, 30, tzinfo=UTC)
GRACE = 180
GROUP = Group("video-worker", ("jobs",), ("one", "two"), GRACE)


def host(name: str, state: str, *, seconds_ago: int = 3600, instance_id: str | None = None) -> Instance:
    return Instance(instance_id or f"i-{name}", name, state, NOW - timedelta(seconds=seconds_ago))


def chosen(depth: Depth, *hosts: Instance, group: Group = GROUP) -> tuple[list[str], str]:
    decision = decide(group, depth, hosts, NOW)
    return [candidate.instance_id for candidate in decision.candidates], decision.reason


ONE_STOPPED, TWO_STOPPED = host("one", "stopped"), host("two", "stopped")


@pytest.mark.parametrize(
    ("depth", "hosts", "candidates"),
    [
        # Nothing to do, whatever is in flight or not due yet.
        (Depth(), [ONE_STOPPED, TWO_STOPPED], []),
        (Depth(in_flight=5), [ONE_STOPPED, TWO_STOPPED], []),
        (Depth(delayed=5), [ONE_STOPPED, TWO_STOPPED], []),
        # From none to one; the inventory's order, not EC2's.
        (Depth(visible=1), [TWO_STOPPED, ONE_STOPPED], ["i-one", "i-two"]),
        # Who was started longest ago.
        (Depth(visible=1), [ONE_STOPPED, host("two", "stopped", seconds_ago=3601)], ["i-two", "i-one"]),
        # One is on its way already.
        (Depth(visible=1), [host("one", "pending"), TWO_STOPPED], []),
        (Depth(visible=1), [host("one", "running", seconds_ago=GRACE - 1), TWO_STOPPED], []),
        # It is busy: it had the time to ask.
        (Depth(visible=1, in_flight=1), [host("one", "running", seconds_ago=GRACE), TWO_STOPPED], ["i-two"]),
        # More than it can take.
        (Depth(visible=2), [host("one", "pending"), TWO_STOPPED], ["i-two"]),
        # No more than there are.
        (Depth(visible=9), [host("one", "running"), host("two", "running")], []),
        (Depth(visible=9), [host("one", "pending"), host("two", "pending")], []),
        # Stopping ones cannot be started yet, and do not keep another from being started.
        (Depth(visible=1), [host("one", "stopping"), TWO_STOPPED], ["i-two"]),
        (Depth(visible=1), [host("one", "stopping"), host("two", "stopping")], []),
        (Depth(visible=1), [host("one", "running"), host("two", "stopping")], []),
        # Missing ones.
        (Depth(visible=1), [], []),
        (Depth(visible=1), [TWO_STOPPED], ["i-two"]),
        # Other groups' hosts.
        (Depth(visible=1), [host("three", "stopped")], []),
        # A namesake counts as one of the two.
        (
            Depth(visible=9),
            [host("one", "running"), host("one", "running", instance_id="i-one-b"), TWO_STOPPED],
            [],
        ),
    ],
)
def test_decisions(depth: Depth, hosts: list[Instance], candidates: list[str]) -> None:
    assert chosen(depth, *hosts)[0] == candidates


@pytest.mark.parametrize(
    ("depth", "hosts", "reason"),
    [
        (Depth(), [ONE_STOPPED], "no message to be had"),
        (Depth(visible=1), [host("one", "pending"), TWO_STOPPED], "1 starting already"),
        (Depth(visible=3), [host("one", "running"), host("two", "pending")], "all 2 started already"),
        (Depth(visible=1), [host("one", "stopping")], "1 still stopping, none stopped: again in a minute"),
        (Depth(visible=3), [host("one", "pending"), TWO_STOPPED], "3 to be had, 1 starting"),
    ],
)
def test_reasons(depth: Depth, hosts: list[Instance], reason: str) -> None:
    assert chosen(depth, *hosts)[1] == reason


def test_a_flapping_queue_starts_one_host_and_no_second() -> None:
    """Approximate numbers come and go; what started counts until its grace is over."""
    hosts, started = [ONE_STOPPED, TWO_STOPPED], []
    for minute, visible in enumerate([1, 0, 1]):
        now = NOW + timedelta(minutes=minute)
        for candidate in decide(GROUP, Depth(visible), hosts, now).candidates[:1]:
            started.append(candidate.name)
            hosts = [
                replace(one, state="running", launched=now) if one.name == candidate.name else one for one in hosts
            ]
    assert started == ["one"]


def test_states_name_the_missing() -> None:
    assert states(GROUP, [TWO_STOPPED]) == {"one": "missing", "two": "stopped"}


@pytest.mark.parametrize(
    ("hold_until", "expected"),
    [
        ("2026-01-31T09:29:59Z", True),
        ("2026-01-31T09:30:00Z", True),
        ("2026-01-31T09:30:01Z", False),
        ("2026-01-31T18:30:01+09:00", False),
        ("2026-01-31T09:30:01", False),  # UTC, where nothing else is said
        ("2026-01-31T09:29:59", True),
        ("", True),
        ("tomorrow", True),
        ("9999999999", True),
    ],
)
def test_a_hold_is_over_at_its_time_and_when_nobody_can_read_it(hold_until: str, expected: bool) -> None:
    assert is_over(hold_until, NOW) is expected


def test_only_the_holds_that_are_over_end() -> None:
    held = replace(ONE_STOPPED, hold_until="2026-01-31T10:00:00Z")
    forgotten = replace(TWO_STOPPED, hold_until="2026-01-31T09:00:00Z")
    assert ended_holds([held, forgotten, host("three", "running")], NOW) == [forgotten]


def test_settings_are_read_from_one_variable() -> None:
    text = (
        '{"deployment": "academy", "groups": [{"name": "video-worker", "queues": ["jobs"], "hosts": ["one", "two"], '
        '"grace_seconds": 180}]}'
    )
    settings = read_settings(text)
    assert (settings.deployment, settings.groups) == ("academy", (GROUP,))


def test_queues_are_added_up() -> None:
    attributes = {
        "ApproximateNumberOfMessages": "1",
        "ApproximateNumberOfMessagesNotVisible": "2",
        "ApproximateNumberOfMessagesDelayed": "3",
    }
    assert depth_of(attributes) + depth_of(attributes) == Depth(2, 4, 6)


# --- a long life --------------------------------------------------------------------------------------------------

STEP = 5
TICK = 60
POLL = 20
IDLE_POLLS = 5
VISIBILITY = 3600


@dataclass
class Worker:
    """A host with one worker, which takes one message at a time and stops its host after five empty polls."""

    name: str
    state: str = "stopped"
    until: int = 0  # when the state is over
    launched: int = 0
    empty_polls: int = 0
    next_poll: int = 0
    job_ends: int | None = None
    starts: int = 0

    def seen(self) -> Instance:
        return Instance(f"i-{self.name}", self.name, self.state, NOW + timedelta(seconds=self.launched))


@dataclass
class World:
    """A queue, its workers, and a starter that looks every minute; time is in seconds."""

    random: random.Random
    workers: list[Worker]
    visible: int = 0
    hidden: list[int] = field(default_factory=list)  # when each comes back, of workers that died
    sent: int = 0
    served: int = 0
    at: int = 0

    def step(self) -> None:
        self.at += STEP
        back = [moment for moment in self.hidden if moment <= self.at]
        self.visible += len(back)
        self.hidden = [moment for moment in self.hidden if moment > self.at]
        for worker in self.workers:
            self._live(worker)
        assert self.sent == self.served + self.visible + len(self.hidden) + self._in_work()

    def _in_work(self) -> int:
        return sum(worker.job_ends is not None for worker in self.workers)

    def _live(self, worker: Worker) -> None:
        if worker.state in {"pending", "stopping"} and self.at >= worker.until:
            worker.state = {"pending": "running", "stopping": "stopped"}[worker.state]
            worker.next_poll = self.at + self.random.randrange(10, 60)
            worker.empty_polls = 0
        if worker.state != "running" or self.at < worker.next_poll:
            return
        if worker.job_ends is not None:
            self._work(worker)
        elif self.visible:
            self.visible -= 1
            worker.empty_polls = 0
            worker.job_ends = self.at + self.random.randrange(30, 1200)
        else:
            worker.empty_polls += 1
            worker.next_poll = self.at + POLL
            if worker.empty_polls == IDLE_POLLS:
                worker.state, worker.until = "stopping", self.at + self.random.randrange(20, 150)

    def _work(self, worker: Worker) -> None:
        assert worker.job_ends is not None
        if self.random.random() < 0.0005:  # killed, and started again by Docker; the message comes back in an hour
            self.hidden.append(self.at + VISIBILITY)
            worker.job_ends = None
        elif self.at >= worker.job_ends:
            self.served += 1
            worker.job_ends = None

    def tick(self, group: Group) -> None:
        """What the handler does, with an EC2 that has no capacity now and then."""
        seen = [worker.seen() for worker in self.workers]
        depth = Depth(self.visible, self._in_work() + len(self.hidden))
        decision = decide(group, depth, seen, NOW + timedelta(seconds=self.at))
        for candidate in decision.candidates:
            worker = next(worker for worker in self.workers if worker.name == candidate.name)
            assert worker.state == "stopped"
            assert self.visible > 0
            if self.random.random() < 0.2:
                continue
            worker.state, worker.until = "pending", self.at + self.random.randrange(5, 60)
            worker.launched = self.at
            worker.starts += 1
            break
        assert sum(worker.state in {"pending", "running"} for worker in self.workers) <= len(group.hosts)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("names", [("one",), ("one", "two"), ("one", "two", "three")])
def test_a_hundred_times_started_and_stopped(seed: int, names: tuple[str, ...]) -> None:
    world = World(random.Random(seed), [Worker(name) for name in names])
    group = replace(GROUP, hosts=names)

    def go_on(until: Any, limit: int) -> None:
        end = world.at + limit
        while not until():
            assert world.at < end, "it does not come to an end"
            world.step()
            if world.at % TICK == 0:
                world.tick(group)

    while sum(worker.starts for worker in world.workers) < 100:
        arriving = world.random.choice([0, 1, 1, 1, 2, 5])
        world.sent += arriving
        world.visible += arriving
        pause = world.at + world.random.randrange(600, 7200)
        go_on(lambda pause=pause: world.at >= pause, 7300)
    # Every message is served in the end, and then every host stops.
    go_on(lambda: world.served == world.sent, 48 * 3600)
    go_on(lambda: all(worker.state == "stopped" for worker in world.workers), 3600)
    assert sum(worker.starts for worker in world.workers) >= 100

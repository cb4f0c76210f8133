# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which hosts a run holds, starts, configures, leaves and releases, and what it says of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from plugins.module_utils.reachability import Command
from plugins.module_utils.rollout import (
    ANSWER,
    COMPARED,
    CONTAINERS,
    INSTANCE,
    STARTED,
    WORKERS,
    Host,
    Run,
    decide,
    nobody_report,
)
from plugins.module_utils.services import rows
from tests.unit.rows import ROWS

RELEASE = "new"
HOST = "academy-video-worker-1"
OTHER = "academy-other-1"
COMMAND = Command("inventories/production", "ap-northeast-2")
SILENT = "Failed to connect to the host via ssh: ssh: connect to host 203.0.113.5 port 22: Connection timed out"
DENIED = "Failed to connect to the host via ssh: ec2-user@203.0.113.5: Permission denied (publickey)."
GROUPS = {"all": ["a", "b", "c"], "api": ["a"], "messaging_worker": ["a"], "video_worker": ["b", "c"]}
BUSY = "alive /run/academy/a\nbusy /run/academy/a"
WORKS = {"status": "running", "restart_count": 0, "running_seconds": 5}
RESTARTED = {**WORKS, "restart_count": 7}
RUN = Run(RELEASE, groups=GROUPS, services=rows(ROWS))


def variables(state: str | None = "running", *, worker: bool = True) -> dict[str, Any]:
    """What is read of a host; nothing of AWS's where there is no instance."""
    aws = {} if state is None else {"aws_state": {"name": state}, "aws_instance_id": "i-1", "aws_tags": {"Name": HOST}}
    known = {"instance_may_be_stopped": worker, "inventory_dir": COMMAND.inventory, "aws_region": COMMAND.region}
    return {**known, **aws}


def host(state: str = "running", *, name: str = HOST, worker: bool = True, answers: bool = True, **tags: str) -> Host:
    return Host(name, worker, state, "i-1", tags=tags, command=COMMAND, has_answered=answers and state == "running")


def lists(decided: dict[str, Any], *keys: str) -> set[str]:
    """Those of the lists in which the host is."""
    return {key for key in keys if HOST in decided[key]}


@pytest.mark.parametrize(
    ("found", "answers", "was_asked"),
    [
        ({}, False, False),
        ({ANSWER: {"elapsed": 1}}, True, True),
        ({ANSWER: {"failed": False, "elapsed": 1}}, True, True),
        ({ANSWER: {"failed": True, "msg": SILENT}}, False, True),
    ],
)
def test_which_hosts_answer(found: dict[str, Any], answers: bool, was_asked: bool) -> None:
    seen = Host.of(HOST, {**variables(), **found})
    assert (seen.answers, seen.was_asked) == (answers, was_asked)


def test_a_host_that_has_stopped_since_it_answered_answers_no_more() -> None:
    assert not Host.of(HOST, {**variables("stopped"), ANSWER: {"elapsed": 1}}).answers


@pytest.mark.parametrize(
    ("found", "becomes"),
    [
        ({}, {}),
        ({COMPARED: {"roles": []}}, {"is_settled": True}),
        ({COMPARED: {"roles": ["swap"]}}, {}),
        # It was not compared.
        ({COMPARED: {"skipped": True}}, {}),
        ({COMPARED: {"unreachable": True}}, {}),
        ({STARTED: {"instances": []}}, {"is_started": True}),
        ({WORKERS: {"stdout": f"{BUSY}\nalive /run/academy/b"}}, {"has_job": True}),
        ({WORKERS: {"stdout": "alive /run/academy/a"}}, {}),
        ({WORKERS: {"stdout": BUSY}, CONTAINERS: {"skipped": True}}, {"has_job": True}),
        ({WORKERS: {"stdout": BUSY}, CONTAINERS: {"containers": {"a": WORKS}}}, {"has_job": True}),
        ({WORKERS: {"stdout": BUSY}, CONTAINERS: {"containers": {"a": RESTARTED}}}, {}),
        ({WORKERS: {"stdout": BUSY}, CONTAINERS: {"containers": {"b": RESTARTED}}}, {"has_job": True}),
        ({WORKERS: {"stdout": "busy /a\nbusy /b"}, CONTAINERS: {"containers": {"a": RESTARTED}}}, {"has_job": True}),
        # Passed over, or not to be had.
        ({WORKERS: {"skipped": True}}, {}),
        ({INSTANCE: {"instances": [{"state": {"name": "running"}}]}}, {}),
        ({INSTANCE: {"instances": [{"state": {"name": "stopping"}}]}}, {"has_stopped": True}),
    ],
)
def test_what_the_results_of_the_roles_say(found: dict[str, Any], becomes: dict[str, bool]) -> None:
    told = ("is_settled", "is_started", "has_job", "has_stopped")
    seen = Host.of(HOST, {**variables(), **found})
    assert {name: getattr(seen, name) for name in told} == {**dict.fromkeys(told, False), **becomes}


def test_a_host_that_must_always_run_has_not_stopped_itself() -> None:
    stopped: dict[str, Any] = {INSTANCE: {"instances": [{"state": {"name": "stopped"}}]}}
    assert not Host.of(HOST, {**variables(worker=False), **stopped}).has_stopped


def test_a_host_without_an_instance_is_absent() -> None:
    assert Host.of(HOST, variables(None)) == Host(HOST, True, command=COMMAND)


HOLD, START, LEFT = "to_hold", "to_start", "left"


@pytest.mark.parametrize(
    ("seen", "wake", "becomes", "behind"),
    [
        (host(), False, HOLD, None),
        (host(), True, HOLD, None),
        (replace(host(), is_settled=True), True, "", None),
        (host(HoldUntil="2026-01-31T09:30:00Z"), False, HOLD, None),
        (host(answers=False), True, "", None),
        (host(worker=False), False, "", None),
        (host(worker=False), True, "", None),
        (host("stopped", Release="old"), False, LEFT, "old"),
        (host("stopped"), False, LEFT, "none"),
        (host("stopped", Release=RELEASE), False, LEFT, None),
        (host("stopping", Release="old"), False, LEFT, "old"),
        (host("pending", Release="old"), False, LEFT, "old"),
        (host("stopped", Release="old"), True, START, None),
        # Its release says nothing of its settings.
        (host("stopped", Release=RELEASE), True, START, None),
        (host("stopping"), True, START, None),
        (host("pending"), True, START, None),
        (host("absent"), False, LEFT, None),
        (host("absent"), True, LEFT, None),
        # A human's business.
        (host("stopped", worker=False, Release="old"), True, LEFT, None),
    ],
)
def test_what_becomes_of_a_host(seen: Host, wake: bool, becomes: str, behind: str | None) -> None:
    decided = decide(replace(RUN, starts_workers=wake), [seen, host(name=OTHER, worker=False)], [])
    told = "\n".join(decided["notes"])
    decided[LEFT] = [HOST] if f"left as they are: {HOST}" in told else []
    assert lists(decided, HOLD, START, LEFT) == ({becomes} if becomes else set())
    assert (f"Behind release {RELEASE}: {HOST} has {behind}." in told) == (behind is not None)
    assert (RELEASE in told) == (behind is not None)


def test_of_a_run_that_ships_no_release_nobody_is_behind() -> None:
    (told,) = decide(replace(RUN, release=""), [host("stopped", Release="old")], [])["notes"]
    assert told == f"Not running, so left as they are: {HOST}"


@pytest.mark.parametrize(
    ("seen", "checks", "is_down"),
    [
        (host("stopped", worker=False), False, True),
        (host("absent", worker=False), False, True),
        (host("stopped", worker=False), True, False),
        (host("stopped"), False, False),
        (host(worker=False, answers=False), False, False),
    ],
)
def test_a_host_that_must_always_run_is_missed(seen: Host, checks: bool, is_down: bool) -> None:
    assert decide(replace(RUN, checks=checks), [seen], [])["down"] == ([HOST] if is_down else [])


def test_hosts_are_named_in_the_order_of_their_names() -> None:
    left, behind = decide(RUN, [host("stopped", name="b"), host("stopped", name="a")], [])["notes"]
    assert left.endswith(": a, b")
    assert ": a has none, b has none. " in behind


@pytest.mark.parametrize(
    ("hosts", "containers"),
    [
        ([], []),
        (["a"], ["academy-api", "academy-messaging-worker"]),
        (["b", "c"], ["academy-video-worker"]),
        (["c", "a"], ["academy-api", "academy-messaging-worker", "academy-video-worker"]),
    ],
)
def test_what_is_started_needs_the_images_of_all_that_runs_there(hosts: list[str], containers: list[str]) -> None:
    asleep = [host("stopped", name=name) for name in hosts]
    assert decide(replace(RUN, starts_workers=True), asleep, [])["images"] == containers


@pytest.mark.parametrize(
    ("change", "is_in"),
    [
        ({}, set()),
        ({"has_answered": False}, {"to_ask"}),
        ({"has_answered": False, "silence": SILENT}, set()),
        ({"is_started": True}, {"to_ask"}),
        ({"has_answered": False, "state": "stopped"}, set()),
    ],
)
def test_a_host_is_asked_again_where_it_was_started(change: dict[str, Any], is_in: set[str]) -> None:
    decided = decide(RUN, [replace(host(), **change)], [])
    assert lists(decided, "to_ask") == is_in


@pytest.mark.parametrize(
    ("seen", "interrupts", "is_in"),
    [
        (host(), False, {"to_read", "to_configure"}),
        (host(), True, {"to_configure"}),
        (host(worker=False), False, {"to_configure"}),
        (replace(host(), has_job=True), False, {"to_read", "busy"}),
        # What needs nothing is left to its job, and no word is lost about it.
        (replace(host(), is_settled=True), False, {"settled"}),
        (replace(host(), is_settled=True), True, {"settled"}),
        # It has stopped since.
        (replace(host("stopped"), is_settled=True), False, set()),
        (host(answers=False), False, set()),
        (host("stopped"), False, set()),
    ],
)
def test_a_host_with_a_job_is_left(seen: Host, interrupts: bool, is_in: set[str]) -> None:
    decided = decide(replace(RUN, interrupts_jobs=interrupts), [seen], [])
    assert lists(decided, "to_read", "busy", "settled", "to_configure") == is_in


@pytest.mark.parametrize(
    ("asked", "up", "releases", "tags", "waits"),
    [
        (["api-1", "api-2", HOST], ["api-1", HOST], {}, ["all"], False),
        (["api-1", HOST], [HOST], {}, ["all"], True),
        (["api-1", HOST], [HOST], {"api-1": "old"}, ["all"], True),
        # An earlier run has brought the database to it.
        (["api-1", HOST], [HOST], {"api-1": RELEASE}, ["all"], False),
        (["api-1", HOST], [HOST], {"api-1": "old", "api-2": RELEASE}, ["all"], False),
        # Nobody asked for the API: --limit, --tags.
        ([HOST], [HOST], {"api-1": "old"}, ["all"], False),
        (["api-1", HOST], [HOST], {}, ["video_worker"], False),
    ],
)
def test_workers_wait_for_the_database(
    asked: Sequence[str], up: Sequence[str], releases: dict[str, str], tags: Sequence[str], waits: bool
) -> None:
    api_hosts = [
        host(name=name, worker=False, answers=name in up, **({"Release": releases[name]} if name in releases else {}))
        for name in ("api-1", "api-2")
    ]
    hosts = [*(found for found in api_hosts if found.name in up), *([host()] if HOST in up else [])]
    run = replace(RUN, asked=asked, tags=tags)
    decided = decide(run, hosts, api_hosts)
    assert (HOST in decided["waiting"]) == waits
    assert (HOST in decided["to_note"]) != waits
    # A host that is left alone because of a job is named for that.
    busy = [replace(found, has_job=found.name == HOST) for found in hosts]
    assert HOST not in decide(run, busy, api_hosts)["waiting"]
    assert HOST not in decide(run, busy, api_hosts)["to_note"]


@pytest.mark.parametrize(
    ("seen", "tags", "skip_tags", "is_noted"),
    [
        (host(name="c"), ["all"], [], True),
        (host(name="c", Release="old"), ["video_worker"], [], True),
        (host(name="c", Release=RELEASE), ["all"], [], False),
        (host(name="c", Release="old"), ["swap"], [], False),
        (host(name="c", Release="old"), ["all"], ["video_worker"], False),
        (host(name="a", Release="old"), ["api"], [], False),
        (host(name="c", answers=False), ["all"], [], False),
        (host("stopped", name="c"), ["all"], [], False),
    ],
)
def test_the_release_is_noted_where_all_services_have_it(
    seen: Host, tags: list[str], skip_tags: list[str], is_noted: bool
) -> None:
    decided = decide(replace(RUN, tags=tags, skip_tags=skip_tags), [seen], [])
    assert decided["to_note"] == ([seen.name] if is_noted else [])


@pytest.mark.parametrize(
    ("seen", "tags", "skip_tags", "shipped"),
    [
        (host(name="a"), ["all"], [], ["academy-api", "academy-messaging-worker"]),
        # Whether it has it already or not: what a run says it ships, is what it sees to.
        (host(name="a", Release=RELEASE), ["api"], [], ["academy-api"]),
        (host(name="a"), ["all"], ["api"], ["academy-messaging-worker"]),
        (host(name="a"), ["swap"], [], []),
        (host(name="a", answers=False), ["all"], [], []),
        (replace(host(name="c"), has_job=True), ["all"], [], []),
        (host("stopped", name="c"), ["all"], [], []),
    ],
)
def test_what_a_run_ships_is_what_it_brings_up(
    seen: Host, tags: list[str], skip_tags: list[str], shipped: list[str]
) -> None:
    assert decide(replace(RUN, tags=tags, skip_tags=skip_tags), [seen], [])["ships"] == shipped


@pytest.mark.parametrize(
    ("seen", "checks", "is_in"),
    [
        (host(), False, set()),
        (host(HoldUntil="2026-01-31T09:30:00Z"), False, {"to_release"}),
        (host("stopped", HoldUntil="yesterday"), False, {"to_release"}),
        (replace(host(answers=False, HoldUntil="2026-01-31T09:30:00Z"), silence=SILENT), False, {"to_release"}),
        (host(HoldUntil="2026-01-31T09:30:00Z"), True, set()),
    ],
)
def test_whichever_run_held_a_host_it_is_released(seen: Host, checks: bool, is_in: set[str]) -> None:
    assert lists(decide(replace(RUN, checks=checks), [seen], []), "to_release") == is_in


@pytest.mark.parametrize(
    ("change", "is_unreached", "may_be_stopping"),
    [
        ({"has_answered": True}, False, False),
        ({}, False, False),
        ({"silence": SILENT}, True, False),
        ({"silence": DENIED}, True, True),
        ({"silence": DENIED, "has_stopped": True}, False, False),
    ],
)
def test_what_is_said_of_a_host_that_does_not_answer(
    change: dict[str, Any], is_unreached: bool, may_be_stopping: bool
) -> None:
    decided = decide(RUN, [replace(host(answers=False), **change)], [])
    assert list(decided["unreached"]) == ([HOST] if is_unreached else [])
    assert all(f"{HOST} (i-1)" in text and f"--limit {HOST}" in text for text in decided["unreached"].values())
    assert decided["may_be_stopping"] == ([HOST] if may_be_stopping else [])


def test_where_no_host_answers_those_that_were_reached_all_the_same_get_their_own_lines() -> None:
    hosts = [replace(host(name=name, answers=False), silence=said) for name, said in (("a", SILENT), ("b", DENIED))]
    report = nobody_report(hosts, "203.0.113.9", [])
    assert "[ERROR] a, b: no running host answers on SSH" in report
    assert "[ERROR] b (i-1)" in report
    assert "[ERROR] a (i-1)" not in report
    report = nobody_report(hosts[:1], "203.0.113.9", [])
    assert f"in {COMMAND.inventory}/group_vars/all/environment.yml" in report

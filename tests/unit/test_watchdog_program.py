# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""When a worker host powers itself off, minute by minute; what it reads; and how it waits for a Spot notice."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from roles.watchdog.files import academy_watchdog as watchdog
from roles.watchdog.files.academy_watchdog import Beat, Container, Memory, Metadata, Seen, Settings

# What a worker shows in a minute: its container, and its heartbeat.
Shown = tuple[Container | None, Beat | None]
Course = Callable[[int], Shown]
LOOKS = range(200)


def settings(count: int = 1, **changes: Any) -> Settings:
    """As the role's defaults have it."""
    values: dict[str, Any] = {
        "heartbeat_files": {f"worker-{number}": f"/nowhere/{number}" for number in range(count)},
        "broken_seconds": 15 * 60,
        "grace_seconds": 10 * 60,
        "heartbeat_seconds": 180,
        "restart_window_seconds": 5 * 60,
        "idle_polls": 5,
        "release_seconds": 90,
        "scratch_directory": "",
        "leftover_seconds": 3600,
    }
    return Settings(**{**values, **changes})


def course(
    status: str | None = "running",
    beats: str | None = None,
    *,
    restarts: Callable[[int], int] = lambda _: 0,
    started: Callable[[int], str] = lambda _: "09:00",
    hangs_after: int = 999,
    polls: Callable[[int], int] = lambda _: 5,
) -> Course:
    """A worker's course; its heartbeat changes every minute until it hangs."""

    def shown(minute: int) -> Shown:
        container = None if status is None else Container(status, restarts(minute), started(minute))
        beat = None if beats is None else Beat(float(min(minute, hangs_after)), beats, polls(minute))
        return container, beat

    return shown


def dies_every(minutes: int) -> Course:
    return course(restarts=lambda minute: minute // minutes)


def change(minute: int, before: Course, after: Course) -> Course:
    return lambda now: before(now) if now < minute else after(now)


def off_at(
    *courses: Course,
    hold: range = range(0),
    silent: range = range(0),
    looks: Iterable[int] = LOOKS,
    **changes: Any,
) -> int | None:
    """The minute in which the host is powered off; Docker is silent and the host held in some of them."""
    wanted = settings(len(courses), **changes)
    memory: Memory | None = None
    for minute in looks:
        shown = dict(zip(wanted.heartbeat_files, [show(minute) for show in courses], strict=True))
        quiet = minute in silent
        seen = Seen(
            now=86400.0 + minute * 60,
            hold="held" if minute in hold else "",
            hold_tag="soon" if minute in hold else "",
            docker="Docker does not answer" if quiet else "",
            containers={name: found for name, (found, _) in shown.items() if found and not quiet},
            beats={name: beat for name, (_, beat) in shown.items() if beat},
        )
        decision, memory = watchdog.decide(wanted, seen, memory)
        # It goes through a file between two looks.
        memory = watchdog.parse_memory(json.dumps(asdict(memory)))
        assert memory is not None
        if decision.power_off:
            return minute
    return None


RUNNING, EXITED, BUSY, IDLE = course(), course("exited"), course(beats="busy"), course(beats="idle")
# Idle for less than the threshold, and refused its stop: then it counts anew.
WAITING, REFUSED = course(beats="idle", polls=lambda _: 4), course(beats="idle", polls=lambda minute: minute % 6)
ALWAYS = LOOKS


@pytest.mark.parametrize(
    ("worker", "minute"),
    [
        pytest.param(RUNNING, None, id="no heartbeat file"),
        pytest.param(BUSY, None, id="works"),
        pytest.param(WAITING, None, id="short jobs between the looks"),
        pytest.param(IDLE, 16, id="idle, and has not stopped its host"),
        pytest.param(REFUSED, 20, id="idle, refused its stop again and again"),
        pytest.param(change(10, IDLE, change(11, BUSY, IDLE)), 26, id="work begins the idle time anew"),
        pytest.param(change(10, IDLE, change(11, BUSY, WAITING)), None, id="idle before its last work"),
        pytest.param(change(10, IDLE, change(11, RUNNING, IDLE)), 26, id="no heartbeat does, too"),
        pytest.param(change(10, IDLE, course(beats="unheard of")), None, id="says what nobody knows after it was idle"),
        pytest.param(course(beats="unheard of"), None, id="says what nobody knows"),
        *[
            pytest.param(course(status), 15, id=status or "absent")
            for status in (None, "created", "exited", "paused", "dead", "restarting", "removing")
        ],
        pytest.param(course("exited", "busy"), 15, id="exited, whatever its heartbeat says"),
        pytest.param(change(5, EXITED, RUNNING), None, id="repaired in time"),
        pytest.param(change(10, EXITED, change(11, RUNNING, EXITED)), 26, id="an interruption begins the count anew"),
        pytest.param(course(restarts=lambda minute: minute), 16, id="restarted every minute"),
        pytest.param(dies_every(4), 19, id="restarted every four minutes"),
        *[
            pytest.param(dies_every(every), off, id=f"dies every {every} minutes")
            for every, off in ((7, 24), (8, 27), (15, 48), (30, 93), (59, 180))
        ],
        pytest.param(course(restarts=lambda minute: min(minute // 8, 2)), None, id="died twice, and lives"),
        pytest.param(
            change(17, dies_every(8), course(beats="idle", polls=lambda _: 4)),
            None,
            id="died twice, and gives a sign of life",
        ),
        pytest.param(
            change(22, dies_every(8), course(restarts=lambda minute: (minute - 22) // 8)),
            49,
            id="died twice, and is started by hand",
        ),
        pytest.param(course(restarts=lambda minute: int(minute > 3)), None, id="restarted once"),
        pytest.param(course(restarts=lambda minute: 99 - minute), None, id="counted anew after a start by hand"),
        pytest.param(course(beats="busy", restarts=lambda minute: minute // 4), 19, id="has a job that it never ends"),
        pytest.param(course(beats="busy", restarts=lambda minute: int(minute > 3)), None, id="works, restarted once"),
        pytest.param(course(beats="busy", restarts=lambda minute: minute // 7), None, id="ends a job between restarts"),
        pytest.param(
            course(beats="busy", restarts=lambda minute: minute, started=str, hangs_after=0),
            16,
            id="restarted, the heartbeat is from before",
        ),
        pytest.param(
            course(beats="busy", restarts=lambda minute: minute, started=str, hangs_after=1),
            16,
            id="restarted after a sign of life",
        ),
        pytest.param(course(beats="busy", hangs_after=0), 19, id="an old heartbeat, three minutes of patience"),
        pytest.param(course(beats="busy", hangs_after=5), 24, id="hung while it worked"),
        pytest.param(course(beats="idle", hangs_after=5), 24, id="hung while it was idle"),
        pytest.param(
            course(beats="busy", hangs_after=0, started=lambda minute: str(minute >= 18)),
            37,
            id="started by hand, which takes three minutes again",
        ),
    ],
)
def test_one_worker(worker: Course, minute: int | None) -> None:
    assert off_at(worker) == minute


@pytest.mark.parametrize(
    ("workers", "minute"),
    [
        pytest.param([EXITED, EXITED], 15, id="both broken"),
        pytest.param([EXITED, course(restarts=lambda minute: minute)], 16, id="broken in different ways"),
        pytest.param([EXITED, RUNNING], None, id="one runs"),
        pytest.param([EXITED, BUSY], None, id="one works"),
        pytest.param([EXITED, IDLE], 16, id="broken beside idle"),
        pytest.param([EXITED, WAITING], None, id="broken beside one not idle for long enough"),
        pytest.param([IDLE, IDLE], 10, id="both idle, as soon as the grace is over"),
        pytest.param([IDLE, change(30, BUSY, IDLE)], 30, id="both idle at last"),
        pytest.param([IDLE, BUSY], None, id="one idle, one works"),
        pytest.param([IDLE, RUNNING], None, id="one idle, one without heartbeat"),
        pytest.param([IDLE, WAITING], None, id="one not idle for long enough"),
        pytest.param([IDLE, course(beats="idle", hangs_after=0)], 19, id="a heartbeat from before the boot is none"),
    ],
)
def test_two_workers(workers: list[Course], minute: int | None) -> None:
    assert off_at(*workers) == minute


@pytest.mark.parametrize(
    ("worker", "conditions", "minute"),
    [
        pytest.param(RUNNING, {"silent": ALWAYS}, 15, id="Docker does not answer"),
        pytest.param(RUNNING, {"silent": range(5, 12)}, None, id="Docker is restarted"),
        pytest.param(BUSY, {"silent": ALWAYS}, None, id="works on without Docker"),
        pytest.param(IDLE, {"silent": ALWAYS}, 16, id="idle without Docker"),
        pytest.param(course(beats="busy", hangs_after=20), {"silent": ALWAYS}, 39, id="hangs without Docker"),
        pytest.param(EXITED, {"hold": ALWAYS}, None, id="held"),
        pytest.param(EXITED, {"hold": range(20)}, 35, id="a hold's end begins the count"),
        pytest.param(EXITED, {"hold": range(14, 15)}, 30, id="a short hold does, too"),
        pytest.param(IDLE, {"hold": ALWAYS}, None, id="idle and held"),
        pytest.param(IDLE, {"hold": range(20)}, 35, id="idle, a hold's end begins the count"),
        pytest.param(REFUSED, {"hold": range(14, 15)}, 32, id="idle, a short hold does, too"),
        pytest.param(EXITED, {"broken_seconds": 0}, 10, id="not soon after the boot"),
        pytest.param(IDLE, {"broken_seconds": 0}, 10, id="idle, not soon after the boot"),
        pytest.param(IDLE, {"looks": [*range(8), *range(11, 30)]}, 26, id="idle, a gap begins it anew"),
        pytest.param(EXITED, {"looks": [*range(8), *range(11, 30)]}, 26, id="a gap between looks begins it anew"),
        pytest.param(EXITED, {"looks": [*range(8), *range(10, 30)]}, 15, id="a look may be late"),
        pytest.param(EXITED, {"looks": [0, 1000, 1001, 1014, 1015]}, None, id="never by two looks far apart"),
    ],
)
def test_conditions(worker: Course, conditions: dict[str, Any], minute: int | None) -> None:
    assert off_at(worker, **conditions) == minute


def test_idle_workers_are_held_too() -> None:
    assert off_at(IDLE, IDLE, hold=range(20)) == 20


def test_it_says_why_and_how_long_still() -> None:
    seen = Seen(0, "", "", {"worker-0": Container("exited", 0, "")}, {})
    first, memory = watchdog.decide(settings(2), seen, None)
    assert first.text == "powers off in 15 minutes: worker-0 is exited; worker-1 does not exist"
    later, _ = watchdog.decide(settings(2), Seen(61, "", "", {}, {}), memory)
    assert later.text == "powers off in 14 minutes: worker-0 does not exist; worker-1 does not exist"
    held, _ = watchdog.decide(settings(2), Seen(0, "held until 9", "", {}, {}), None)
    assert held.text == "stays on, held until 9: worker-0 does not exist; worker-1 does not exist"
    assert held.broken


def test_it_says_that_a_single_worker_has_not_stopped_its_host() -> None:
    looks = [
        Seen(60.0 * n, "", "", {"worker-0": Container("running", 0, "")}, {"worker-0": Beat(n, "idle", 5 - n)})
        for n in range(3)
    ]
    wanted = settings(1, idle_polls=4)
    _, memory = watchdog.decide(wanted, looks[0], None)
    idle, memory = watchdog.decide(wanted, looks[1], memory)
    assert idle.text == "powers off in 15 minutes: worker-0 is idle and has not stopped this host"
    waits, _ = watchdog.decide(wanted, looks[2], memory)
    assert waits.text == "powers off in 14 minutes: worker-0 waits for work and has not stopped this host"
    assert not idle.broken


# --- what jobs have left ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("courses", "silent", "jobless"),
    [
        ([IDLE], False, True),
        ([WAITING], False, True),
        ([EXITED], False, True),
        ([course(None)], False, True),
        ([IDLE, EXITED], False, True),
        ([BUSY], False, False),
        ([IDLE, BUSY], False, False),
        # It may have one, for all that is known.
        ([RUNNING], False, False),
        ([course(beats="busy", hangs_after=0)], False, False),
        ([course(beats="idle", hangs_after=0)], False, False),
        ([course("restarting")], False, False),
        ([course("paused")], False, False),
        ([EXITED], True, False),
    ],
)
def test_who_has_no_job_is_known_or_has_one(courses: list[Course], silent: bool, jobless: bool) -> None:
    wanted = settings(len(courses))
    memory: Memory | None = None
    decision = watchdog.Decision(False, False, "")
    for minute in range(10):
        shown = dict(zip(wanted.heartbeat_files, [show(minute) for show in courses], strict=True))
        seen = Seen(
            now=minute * 60.0,
            hold="",
            docker="Docker does not answer" if silent else "",
            containers={name: found for name, (found, _) in shown.items() if found and not silent},
            beats={name: beat for name, (_, beat) in shown.items() if beat},
        )
        decision, memory = watchdog.decide(wanted, seen, memory)
    assert decision.jobless is jobless


NOW, OLD = 1_000_000, 10_000


def leave(path: Path, at: int, *, directory: bool = False) -> Path:
    if directory:
        path.mkdir()
    else:
        path.write_text("x", encoding="utf-8")
    os.utime(path, (at, at))
    return path


def test_what_nobody_has_written_to_for_long_is_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    elsewhere = leave(tmp_path / "elsewhere", OLD)
    place = tmp_path / "transcode"
    place.mkdir()
    leave(place / "old", OLD)
    leave(place / "new", NOW)
    job = leave(place / "job", OLD, directory=True)
    (job / "link").symlink_to(elsewhere)
    leave(job / "part", OLD)
    running = leave(place / "running", OLD, directory=True)
    leave(running / "below", NOW, directory=True)
    (place / "link").symlink_to(elsewhere)
    os.mkfifo(place / "pipe")
    for path in (place / "link", job / "link", place / "pipe"):
        os.utime(path, (OLD, OLD), follow_symlinks=False)
    for path in (job, running):
        os.utime(path, (OLD, OLD))
    watchdog.remove_leftovers(str(place), NOW - 1)
    # The root disk's, where the data disk is not mounted.
    assert (place / "old").exists()
    monkeypatch.setattr(os.path, "ismount", lambda path: path == str(place))
    watchdog.remove_leftovers(str(place), NOW - 1)
    assert {path.name for path in place.iterdir()} == {"new", "running", "pipe"}
    assert elsewhere.exists()
    assert "removed 3 files and directories" in capsys.readouterr().out
    watchdog.remove_leftovers(str(place), NOW - 1)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(("worker", "removed"), [(IDLE, True), (BUSY, False)])
def test_a_look_removes_them_while_nobody_has_a_job(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, worker: Course, removed: bool
) -> None:
    left = leave(tmp_path / "left", OLD)
    monkeypatch.setattr(os.path, "ismount", lambda _: True)
    monkeypatch.setattr(watchdog, "read_settings", lambda: settings(scratch_directory=str(tmp_path)))
    monkeypatch.setattr(watchdog, "write_memory", lambda _: None)
    name = "worker-0"
    before = watchdog.decide(settings(), Seen(0, "", "", {}, {}), None)[1]
    monkeypatch.setattr(watchdog, "parse_memory", lambda _: before)
    container, beat = worker(1)
    assert container is not None
    assert beat is not None
    seen = Seen(60, "", "", {name: container}, {name: beat})
    before = watchdog.decide(settings(), seen, before)[1]
    container, beat = worker(2)
    assert container is not None
    assert beat is not None
    monkeypatch.setattr(watchdog, "read_hold", lambda *_: "")
    monkeypatch.setattr(watchdog, "read_host", lambda *_: Seen(120, "", "", {name: container}, {name: beat}))
    watchdog.look()
    assert left.exists() is not removed


# --- what it reads ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tag", "reason"),
    [
        ("", ""),
        ("2026-01-31T09:29:59Z", ""),
        # A run that ended without a word: what is left of its lease is over.
        ("2026-01-31T09:30:00Z", ""),
        ("2026-01-31T09:30:01Z", "held until 2026-01-31T09:30:01Z"),
        ("soon", "held: the tag HoldUntil must be a time"),
        ("2026-02-30T00:00:00Z", "held: the tag HoldUntil must be a time"),
        ("1769851800", "held: the tag HoldUntil must be a time"),
    ],
)
def test_a_hold_ends_and_an_unreadable_one_holds(tag: str, reason: str) -> None:
    found = watchdog.hold_reason(tag, 1769851800)
    assert found.startswith(reason) if reason else found == ""


def test_the_hold_is_what_the_metadata_service_says_and_what_it_said_last_where_it_is_silent() -> None:
    tag = "2026-01-31T09:30:00Z"
    answers = [(200, tag), (404, ""), (500, "")]
    with serving(Service(answers, "tags/instance/HoldUntil")) as service:
        found = [watchdog.read_hold(Metadata(service.url), "before") for _ in range(3)]
    assert found == [tag, "", "before"]
    assert watchdog.read_hold(Metadata(service.url), tag) == tag


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        "{}",
        '{"at": "soon", "state": "busy", "empty_polls": 0}',
        '{"at": 1, "state": "busy"}',
        "[" * 5000,
    ],
)
def test_what_no_worker_wrote_is_no_heartbeat(content: str) -> None:
    assert watchdog.parse_beat(content) is None


def test_a_heartbeat_is_read_from_a_plain_file_only(tmp_path: Path) -> None:
    file = tmp_path / "heartbeat.json"
    file.write_text('{"state": "busy", "at": 7, "empty_polls": 0, "more": 1}', encoding="utf-8")
    assert watchdog.read_beat(str(file)) == Beat(7.0, "busy", 0)
    (tmp_path / "link").symlink_to(file)
    os.mkfifo(tmp_path / "pipe")
    for name in ("link", "pipe", "none", "."):
        assert watchdog.read_beat(str(tmp_path / name)) is None


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"workers": {"a": {}}}'])
def test_what_another_version_remembered_is_forgotten(content: str) -> None:
    assert watchdog.parse_memory(content) is None


def test_a_missing_configuration_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(watchdog, "CONFIGURATION", str(tmp_path / "watchdog.json"))
    with pytest.raises(SystemExit):
        watchdog.read_settings()
    assert "--tags watchdog" in capsys.readouterr().out
    (tmp_path / "watchdog.json").write_text(json.dumps(asdict(settings(2))), encoding="utf-8")
    assert watchdog.read_settings() == settings(2)


def test_containers_are_what_docker_has_started() -> None:
    shim = "/usr/bin/containerd-shim-runc-v2"
    processes = [
        (1, 0, ["/sbin/init"]),
        (10, 1, [shim, "-namespace", "moby", "-id", "a"]),
        (11, 10, ["python", "-m", "apps.workers"]),
        (12, 11, ["ffmpeg"]),
        (20, 1, [shim, "-namespace", "k8s.io", "-id", "b"]),
        (21, 20, ["pause"]),
        (30, 2, [""]),
    ]
    assert watchdog.container_processes(processes) == [11]


@pytest.mark.parametrize("arguments", [[], ["unknown"], ["look", "notice"]])
def test_it_says_how_it_is_called(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert watchdog.main(arguments) == 2
    assert "{look|notice|release}" in capsys.readouterr().err


# --- the Spot notice --------------------------------------------------------------------------------------------------


class Service:
    """A metadata service that forgets its tokens, and fails."""

    def __init__(self, answers: list[tuple[int, str]], path: str) -> None:
        self.answers = answers
        self.tokens = 0
        service = self

        class Handler(BaseHTTPRequestHandler):
            def do_PUT(self) -> None:
                known = self.path == "/latest/api/token" and self.headers["X-aws-ec2-metadata-token-ttl-seconds"]
                service.tokens += 1
                self._send(200 if known else 400, f"token-{service.tokens}")

            def do_GET(self) -> None:
                right = self.headers["X-aws-ec2-metadata-token"] == f"token-{service.tokens}"
                known = self.path == f"/latest/meta-data/{path}"
                self._send(*(service.answers.pop(0) if right and known else (400, "")))

            def _send(self, status: int, text: str) -> None:
                self.send_response(status)
                self.end_headers()
                self.wfile.write(text.encode())

            def log_message(self, *_: Any) -> None:
                """Say nothing."""

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/latest"
        threading.Thread(target=self.server.serve_forever, args=[0.05], daemon=True).start()


@contextmanager
def serving(service: Service) -> Iterator[Service]:
    yield service
    service.server.shutdown()
    service.server.server_close()


def test_it_asks_until_there_is_a_notice(capsys: pytest.CaptureFixture[str]) -> None:
    pauses: list[float] = []
    answers = [(status, '{"action": "stop"}') for status in (404, 404, 401, 404, 500, 500, 200)]
    with serving(Service(answers, "spot/instance-action")) as service:
        assert watchdog.await_notice(Metadata(service.url), pauses.append) == '{"action": "stop"}'
    assert (service.answers, service.tokens) == ([], 2)
    assert pauses == [5.0] * 6
    assert capsys.readouterr().out.count("does not answer") == 1

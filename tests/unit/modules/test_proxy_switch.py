# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Traffic moved from server to server, by a real HAProxy.

By this machine's own one, and by that of Amazon Linux's version where it is there too, as `haproxy-3.0`.
"""

from __future__ import annotations

import http.client
import json
import os
import re
import shutil
import signal
import socket
import stat
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest
from ansible.module_utils.testing import patch_module_args

from plugins.module_utils.proxy import configuration, serving
from plugins.module_utils.proxy_socket import ask, read_servers
from plugins.modules import proxy_switch

PROGRAMS = [found for name in ("haproxy", "haproxy-3.0") if (found := shutil.which(name))]
pytestmark = [
    pytest.mark.skipif(not PROGRAMS, reason="HAProxy is not installed: the embedded cloud installs it"),
    pytest.mark.usefixtures("haproxy"),
]

START_SECONDS = 10
STUCK_SECONDS = 20


class Server(ThreadingHTTPServer):
    request_queue_size = 128
    daemon_threads = True
    block_on_close = False

    def __init__(self, name: str) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.name = name
        self.ended = Event()

    def handle_error(self, request: object, client_address: object) -> None:
        """Whoever asked was cut off."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def do_GET(self) -> None:
        if self.path == "/slow":
            time.sleep(1)
        elif self.path == "/stuck":
            self.server.ended.wait(STUCK_SECONDS)
        body = self.server.name.encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: Any) -> None:
        """Nobody reads it."""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Place:
    """A HAProxy in front of two servers."""

    def __init__(self, directory: Path, servers: dict[str, int]) -> None:
        self.directory = directory
        self.path = directory / "haproxy.cfg"
        self.socket = directory / "stats"
        self.port = free_port()
        self.servers = servers
        self.path.write_text(self.text("blue"))

    def text(self, server: str) -> str:
        return configuration(self.port, self.servers, server, socket=str(self.socket))

    @contextmanager
    def running(self) -> Iterator[subprocess.Popen[bytes]]:
        text = self.path.read_text()
        if os.geteuid():
            text = re.sub(r"    (user|group|chroot) .*\n", "", text)
        started = self.directory / "started.cfg"
        started.write_text(text)
        quiet = subprocess.DEVNULL
        with subprocess.Popen(["haproxy", "-db", "-f", str(started)], stdout=quiet, stderr=quiet) as process:
            try:
                until(self.answers, START_SECONDS)
                yield process
            finally:
                process.kill()

    def answers(self) -> bool:
        try:
            return bool(self.states())
        except OSError:
            return False

    def states(self) -> dict[str, str]:
        return {name: shown.state for name, shown in read_servers(str(self.socket)).items()}

    def get(self, path: str = "/") -> str:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=STUCK_SECONDS)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.read().decode() if answer.status == 200 else f"status {answer.status}"
        except http.client.RemoteDisconnected:
            return "no answer"
        finally:
            connection.close()

    def begin(self, pool: ThreadPoolExecutor, path: str) -> Future[str]:
        """A request that a server has when this returns."""
        before = self.sessions()
        asked = pool.submit(self.get, path)
        until(lambda: self.sessions() > before)
        return asked

    def sessions(self) -> int:
        return sum(shown.sessions for shown in read_servers(str(self.socket)).values())


def until(is_so: Callable[[], bool], seconds: float = 5) -> None:
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.fixture(params=PROGRAMS, ids=[os.path.basename(program) for program in PROGRAMS])
def haproxy(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "haproxy").symlink_to(request.param)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    with ExitStack() as stack:
        servers = [stack.enter_context(Server(name)) for name in ("blue", "green")]
        for server in servers:
            Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
            stack.callback(server.shutdown)
            stack.callback(server.ended.set)
        yield Place(tmp_path, {server.name: server.server_port for server in servers})


@pytest.fixture
def switch(place: Place, capsys: pytest.CaptureFixture[str]) -> Callable[..., dict[str, Any]]:
    def run(server: str, *, check: bool = False, **options: Any) -> dict[str, Any]:
        asked = {
            "server": server, "servers": place.servers, "port": place.port, "path": str(place.path),
            "socket": str(place.socket), "drain_seconds": 5, "_ansible_check_mode": check,
            "_ansible_remote_tmp": str(place.directory), "_ansible_keep_remote_files": False, **options,
        }  # fmt: skip
        capsys.readouterr()
        with patch_module_args(asked), pytest.raises(SystemExit):
            proxy_switch.main()
        answer: dict[str, Any] = json.loads(capsys.readouterr().out)
        return answer

    return run


Switch = Callable[..., dict[str, Any]]


class Client:
    """Sends one request after the other over one connection, and never opens another one."""

    def __init__(self, port: int, path: str) -> None:
        self._path = path
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=STUCK_SECONDS)
        self._connection.connect()
        self._connection.auto_open = 0

    def run(self, ended: Event) -> list[str]:
        answers: list[str] = []
        while not ended.is_set():
            try:
                self._connection.request("GET", self._path)
                answer = self._connection.getresponse()
                body = answer.read().decode()
            except (OSError, http.client.HTTPException) as error:
                return [*answers, repr(error)]
            answers.append(body if answer.status == 200 else f"status {answer.status}")
            time.sleep(0.003)
        self._connection.close()
        return answers


def test_no_request_fails_while_servers_change(place: Place, switch: Switch) -> None:
    ended = Event()
    with place.running(), ThreadPoolExecutor() as pool:
        clients = [Client(place.port, path) for path in ["/"] * 3 + ["/slow"]]
        asked = [pool.submit(client.run, ended) for client in clients]
        try:
            switched = [switch(server) for server in ("green", "blue", "green")]
        finally:
            ended.set()
        answers = [answer for each in asked for answer in each.result()]
    assert [(each["changed"], each["drained"], each["sessions_left"]) for each in switched] == [
        (True, ["blue"], 0), (True, ["green"], 0), (True, ["blue"], 0),
    ]  # fmt: skip
    assert set(answers) == {"blue", "green"}
    assert len(answers) > 200


def test_a_request_that_is_sent_while_the_configuration_is_read_again_is_answered(place: Place) -> None:
    with place.running() as process:
        connection = http.client.HTTPConnection("127.0.0.1", place.port, timeout=STUCK_SECONDS)
        for answered, will_close in ((False, False), (True, True)):
            if answered:
                # What a reload sends to the process that was there before.
                process.send_signal(signal.SIGUSR1)
                until(lambda: not place.answers())
            connection.request("GET", "/")
            answer = connection.getresponse()
            assert (answer.read(), answer.will_close) == (b"blue", will_close)
        connection.close()


def test_a_slow_request_is_waited_for(place: Place, switch: Switch, monkeypatch: pytest.MonkeyPatch) -> None:
    waiting: list[dict[str, str]] = []
    drain = proxy_switch.Runtime.drain

    def observed(runtime: proxy_switch.Runtime, servers: list[str], seconds: float) -> tuple[dict[str, int], float]:
        waiting.append(place.states())
        return drain(runtime, servers, seconds)

    monkeypatch.setattr(proxy_switch.Runtime, "drain", observed)
    with place.running(), ThreadPoolExecutor() as pool:
        slow = place.begin(pool, "/slow")
        done = switch("green")
        # Nobody new went there meanwhile.
        assert waiting == [{"blue": "drain", "green": "ready"}]
        assert place.states() == {"blue": "maint", "green": "ready"}
        assert place.get() == "green"
    assert slow.result() == "blue"
    assert done["sessions_left"] == 0
    assert 0.5 < done["drain_seconds_taken"] < 2
    assert serving(place.path.read_text()) == "green"
    assert stat.S_IMODE(place.path.stat().st_mode) == 0o644


def test_what_does_not_end_is_cut_off(place: Place, switch: Switch) -> None:
    with place.running(), ThreadPoolExecutor() as pool:
        stuck = [place.begin(pool, "/stuck") for _ in range(2)]
        done = switch("green", drain_seconds=1)
        # The first is what HAProxy 2 does, the second what HAProxy 3 does.
        assert {each.result(timeout=2) for each in stuck} in ({"status 502"}, {"no answer"})
        assert place.states() == {"blue": "maint", "green": "ready"}
    assert done["sessions_left"] == 2
    assert 1 <= done["drain_seconds_taken"] < 2


def test_a_run_that_was_killed_is_made_up_for(place: Place, switch: Switch) -> None:
    with place.running():
        # Behind the configuration, and behind the first orders.
        place.path.write_text(place.text("green"))
        for order in ("", "set server api/green state ready; set server api/blue state drain"):
            ask(str(place.socket), order)
            done = switch("green")
            assert (done["changed"], done["drained"]) == (True, ["blue"])
            assert place.states() == {"blue": "maint", "green": "ready"}
            ask(str(place.socket), "set server api/blue state ready; set server api/green state maint")
    with place.running():
        # What it was started with says so already.
        written = place.path.stat()
        done = switch("green")
        assert place.path.stat() == written
        assert (done["changed"], done["drained"], done["drain_seconds_taken"]) == (False, [], 0.0)
        assert done["diff"]["before"] == done["diff"]["after"]


class Killed(BaseException):
    """As by a signal that nobody can catch."""


@pytest.mark.parametrize("reboots", [False, True], ids=["", "and the host rebooted"])
@pytest.mark.parametrize("call", range(6))
def test_a_run_that_was_killed_at_any_step_leaves_the_recorded_one_serving(
    place: Place, switch: Switch, monkeypatch: pytest.MonkeyPatch, call: int, reboots: bool
) -> None:
    """Before the configuration is there, after it, and before and after each time that HAProxy was told something."""
    with ExitStack() as proxy:
        proxy.enter_context(place.running())
        seen: list[str] = []
        with monkeypatch.context() as patch:
            for at, name in ((proxy_switch, "write"), (proxy_switch.Runtime, "order")):
                patch.setattr(at, name, killing(getattr(at, name), seen, call))
            with pytest.raises(Killed):
                switch("green")
        recorded = serving(place.path.read_text())
        assert recorded == ("green" if call else "blue")
        if reboots:
            proxy.close()
            proxy.enter_context(place.running())
            assert place.get() == recorded
        # Whatever it leads to meanwhile, somebody answers.
        assert place.get() in place.servers
        assert recorded is not None
        switch(recorded)
        others = dict.fromkeys(place.servers, "maint")
        assert place.states() == {**others, recorded: "ready"}
        assert place.get() == recorded


def killing(function: Callable[..., object], seen: list[str], call: int) -> Callable[..., object]:
    """The same, until so many of the moments before and after a call of one like it have passed."""

    def moment() -> None:
        seen.append("")
        if len(seen) > call:
            raise Killed

    def run(*arguments: Any, **named: Any) -> object:
        moment()
        found = function(*arguments, **named)
        moment()
        return found

    return run


def test_check_mode_only_says_what_would_change(place: Place, switch: Switch) -> None:
    with place.running():
        done = switch("green", check=True)
        assert place.states() == {"blue": "ready", "green": "maint"}
        assert switch("blue", check=True)["changed"] is False
    assert (done["changed"], done["serving"], done["drained"], done["sessions_left"]) == (True, "green", ["blue"], 0)
    assert (done["diff"]["before"], done["diff"]["after"]) == (place.text("blue"), place.text("green"))
    assert place.path.read_text() == place.text("blue")


def test_check_mode_needs_no_proxy(place: Place, switch: Switch) -> None:
    place.path.unlink()
    done = switch("green", check=True)
    assert (done["changed"], done["drained"], done["diff"]["before"]) == (True, [], "")
    assert not place.path.exists()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"servers": {"blue": 1, "red": 2}, "server": "red"}, "does not have the servers blue (127.0.0.1:1), red"),
        ({"server": "red"}, "red is none of the servers"),
        ({"servers": {"blue": "x"}, "server": "blue"}, "invalid literal"),
    ],
)
def test_what_cannot_be_is_refused(place: Place, switch: Switch, options: dict[str, Any], said: str) -> None:
    with place.running():
        done = switch(**options)
    assert done["failed"]
    assert said in done["msg"]
    assert place.path.read_text() == place.text("blue")


def test_where_no_proxy_runs_nothing_changes(place: Place, switch: Switch) -> None:
    done = switch("green")
    assert done["failed"]
    assert "systemctl restart haproxy" in done["msg"]
    assert place.path.read_text() == place.text("blue")


def test_a_configuration_that_haproxy_refuses_is_not_written(
    place: Place, switch: Switch, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = place.text("green").replace("mode http\n", "mode nonsense\n")
    monkeypatch.setattr(proxy_switch, "configuration", lambda *_, **__: refused)
    with place.running():
        done = switch("green")
        assert place.states() == {"blue": "ready", "green": "maint"}
    assert done["failed"]
    assert "unknown proxy mode 'nonsense'" in done["msg"]
    assert place.path.read_text() == place.text("blue")

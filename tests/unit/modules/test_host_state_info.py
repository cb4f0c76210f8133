# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What counts as the answer of an address, and what of Docker and of proxies, asked of real servers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socketserver import BaseRequestHandler, StreamRequestHandler, ThreadingUnixStreamServer
from threading import Thread
from types import SimpleNamespace
from typing import Any

import pytest

from plugins.modules import host_state_info
from plugins.modules.host_state_info import answers, read_disks, read_docker, read_proxy

FOREIGN = "elsewhere.example.com"
HEALTHY = '{"status": "healthy", "release": "1a2b3c4"}'
PAGES = {
    "/health": (200, HEALTHY),
    "/health?deep=1": (200, '{"status": "healthy", "deep": true}'),
    "/sick": (200, '{"status": "sick"}'),
    "/unavailable": (503, HEALTHY),
    "/moved": (301, HEALTHY),
    "/text": (200, "healthy"),
    "/list": (200, "[]"),
}


class Server(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        status, body = PAGES[self.path]
        if self.headers["Host"] == FOREIGN:
            status = 400
        self.send_response(status)
        if status == 301:
            self.send_header("Location", "/health")
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, format: str, *arguments: Any) -> None:
        """Nobody reads it."""


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Server) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(
    ("page", "expected", "is_answer"),
    [
        ("/health", {"status": "healthy"}, True),
        ("/health", {}, True),
        ("/health", {"status": "healthy", "deep": True}, False),
        ("/health?deep=1", {"deep": True}, True),
        ("/sick", {"status": "healthy"}, False),
        ("/unavailable", {"status": "healthy"}, False),
        # Where a redirect leads to is nobody's answer here.
        ("/moved", {"status": "healthy"}, False),
        ("/text", {}, False),
        ("/list", {}, False),
    ],
)
def test_what_answers(address: str, page: str, expected: dict[str, Any], is_answer: bool) -> None:
    assert answers(address + page, {}, expected) is is_answer


def test_it_is_asked_with_the_headers_that_are_given(address: str) -> None:
    found = [answers(f"{address}/health", {"Host": host}, {}) for host in ("api.example.com", FOREIGN)]
    assert found == [True, False]


def test_where_nobody_listens_nothing_answers() -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), Server) as server:
        port = server.server_port
    assert answers(f"http://127.0.0.1:{port}/health", {}, {}) is False


# --- sockets ---------------------------------------------------------------------------------------------------------

SERVERS = "# pxname,svname,qcur,scur,status,type,addr,\napi,blue,0,3,no check,2,127.0.0.1:8001,\n\n"
CONTAINER: dict[str, Any] = {
    "Image": "sha256:1",
    "RestartCount": 0,
    "Config": {"Image": "academy-api"},
    "HostConfig": {
        "Memory": 0, "MemorySwap": 0, "RestartPolicy": {"Name": "no"}, "PortBindings": None, "Binds": None,
        "LogConfig": {"Type": "none", "Config": None},
    },
    "State": {"Status": "exited", "Running": False, "ExitCode": 0, "OOMKilled": False, "StartedAt": "", "Pid": 0},
    "Mounts": [],
}  # fmt: skip
DOCKER: dict[str, Any] = {
    "/containers/json?all=true": [{"Id": "c1"}, {"Id": "c2"}, {"Id": "c3"}, {"Id": "gone"}],
    "/containers/c1/json": {**CONTAINER, "Id": "c1", "Name": "/academy-api-blue"},
    "/containers/c2/json": {**CONTAINER, "Id": "c2", "Name": "/academy-api-green"},
    "/containers/c3/json": {**CONTAINER, "Id": "c3", "Name": "/other"},
    "/containers/c1/stats?stream=false&one-shot=true": {
        "memory_stats": {"usage": 900, "stats": {"inactive_file": 200}}
    },
}


class Engine(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        body = json.dumps(DOCKER.get(self.path, {})).encode()
        self.send_response(200 if self.path in DOCKER else 404)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: Any) -> None:
        """Nobody reads it."""


class Proxy(StreamRequestHandler):
    def handle(self) -> None:
        asked = self.rfile.readline()
        self.wfile.write(SERVERS.encode() if asked == b"show stat -1 4 -1\n" else b"Unknown command\n")


@contextmanager
def listening(path: Path, handler: type[BaseRequestHandler]) -> Iterator[str]:
    with ThreadingUnixStreamServer(str(path), handler) as server:
        server.daemon_threads = True
        server.block_on_close = False
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield str(path)
        server.shutdown()
        thread.join()


def test_a_proxy_shows_its_servers(tmp_path: Path) -> None:
    with listening(tmp_path / "stats", Proxy) as path:
        assert read_proxy(path) == {"blue": {"state": "ready", "sessions": 3, "port": 8001}}
    # The socket is left, and nobody listens.
    assert read_proxy(path) == {}


def test_where_no_proxy_was_there_are_no_servers(tmp_path: Path) -> None:
    assert read_proxy(str(tmp_path / "stats")) == {}


def test_a_socket_of_somebody_else_is_no_proxy(tmp_path: Path) -> None:
    with listening(tmp_path / "docker", Engine) as path, pytest.raises(ValueError, match="HAProxy shows no servers"):
        read_proxy(path)


def test_room_is_told_of_directories_that_are_there(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    disk = SimpleNamespace(f_frsize=4096, f_blocks=1000, f_bfree=300, f_bavail=250)
    monkeypatch.setattr("os.statvfs", {str(tmp_path): disk}.__getitem__)
    found = read_disks([str(tmp_path), str(tmp_path / "missing")])
    assert found == {str(tmp_path): {"size_bytes": 4096000, "available_bytes": 1024000}}


def test_memory_is_told_of_the_containers_that_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = {"containers": True, "variables": [], "repositories": [], "memory_of": ["academy-api-blue", "missing"]}
    with listening(tmp_path / "docker", Engine) as path:
        monkeypatch.setattr(host_state_info, "DOCKER_SOCKET", path)
        found = read_docker(asked)["containers"]
    assert {name: container["memory_used_bytes"] for name, container in found.items()} == {
        "academy-api-blue": 700,
        "academy-api-green": None,
        "other": None,
    }

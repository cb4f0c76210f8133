# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What counts as the answer of an address, asked of a real server."""

from __future__ import annotations

from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest

from plugins.modules.host_state_info import answers

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

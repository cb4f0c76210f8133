# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A proxy that lets nothing through and remembers who asked: proof that no call leaves for a real account."""

from __future__ import annotations

import socketserver
import threading
from types import TracebackType
from typing import Self


class Trap:
    """Answers every proxy request with 403 and keeps its first line."""

    def __init__(self) -> None:
        self.requests: list[str] = []
        trap = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                trap.requests.append(self.rfile.readline().decode("latin-1").strip())
                self.wfile.write(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")

        self._server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def environment(self) -> dict[str, str]:
        """Environment that sends every request but those to the loopback interface into the trap."""
        url = f"http://127.0.0.1:{self._server.server_address[1]}"
        names = {"HTTP_PROXY": url, "HTTPS_PROXY": url, "NO_PROXY": "127.0.0.1,localhost"}
        return names | {name.lower(): value for name, value in names.items()}

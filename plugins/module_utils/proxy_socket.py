# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Talks to a running HAProxy over its socket. Decides nothing."""

from __future__ import annotations

import socket

from .proxy import BACKEND, ServerState, parse_servers

TIMEOUT_SECONDS = 10
SHOW_SERVERS = "show stat -1 4 -1"


def ask(path: str, line: str) -> str:
    """What HAProxy says to a line, which may hold several orders. An OSError where nobody listens."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(TIMEOUT_SECONDS)
        connection.connect(path)
        connection.sendall(f"{line}\n".encode())
        said = b""
        while True:
            part = connection.recv(65536)
            if not part:
                return said.decode("utf-8", "replace")
            said += part


def read_servers(path: str, backend: str = BACKEND) -> dict[str, ServerState]:
    return parse_servers(ask(path, SHOW_SERVERS), backend=backend)

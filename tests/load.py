# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Clients that never let a server rest, and count what it owes them: no library that tries again on its own."""

from __future__ import annotations

import contextlib
import http.client
import json
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

CLIENTS = 6
PAUSE_SECONDS = 0.02
# Whoever waits longer has gone away.
LATE_SECONDS = 5


@dataclass
class Load:
    """What was answered, by release, and what was lost: refused, reset, cut short, late or not 200."""

    releases: Counter[str] = field(default_factory=Counter)
    lost: list[str] = field(default_factory=list)


@contextlib.contextmanager
def constant(host: str, port: int, path: str) -> Iterator[Load]:
    """Ask over connections that are kept, within the block."""
    load, over = Load(), threading.Event()

    def ask() -> None:
        connection = http.client.HTTPConnection(host, port, timeout=LATE_SECONDS)
        with contextlib.closing(connection):
            while not over.wait(PAUSE_SECONDS):
                began = time.monotonic()
                try:
                    connection.request("GET", path)
                    answer = connection.getresponse()
                    body = answer.read()
                    if answer.status != http.client.OK:
                        load.lost.append(f"status {answer.status}")
                    else:
                        load.releases[json.loads(body)["release"]] += 1
                    if time.monotonic() - began > LATE_SECONDS:
                        load.lost.append("late")
                except (OSError, http.client.HTTPException) as error:
                    load.lost.append(repr(error))
                    connection.close()

    clients = [threading.Thread(target=ask) for _ in range(CLIENTS)]
    for client in clients:
        client.start()
    try:
        yield load
    finally:
        over.set()
        for client in clients:
            client.join()

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
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from tests.leaks import SECRETS_DIR

READERS = 4
PAUSE_SECONDS = 0.05
# How long a slow client keeps half of its request back.
SLOW_SECONDS = 1
# Whoever waits longer has gone away.
LATE_SECONDS = 5
LECTURE = json.dumps({"title": "written while a release was replaced"}).encode()


@dataclass
class Load:
    """What was answered, by release and to whom, and what was lost: refused, reset, cut short, late or an error.

    Changes are the moments (time.monotonic) at which another release answered than before, and which.
    """

    releases: Counter[str] = field(default_factory=Counter)
    changes: list[tuple[float, str]] = field(default_factory=list)
    answered: Counter[str] = field(default_factory=Counter)
    lost: list[str] = field(default_factory=list)

    @property
    def count(self) -> int:
        return self.answered.total() + len(self.lost)

    def note(self, release: str) -> None:
        if not self.changes or self.changes[-1][1] != release:
            self.changes.append((time.monotonic(), release))
        self.releases[release] += 1

    def seconds_until(self, release: str, since: float) -> float:
        """From that moment (time.monotonic) to the first answer of a release that did not answer then."""
        return next(moment for moment, other in self.changes if moment > since and other == release) - since


def worker_token() -> str:
    """With which the embedded cloud's API lets write."""
    return (SECRETS_DIR / "worker_token").read_text(encoding="utf-8").strip()


def read(connection: http.client.HTTPConnection) -> None:
    connection.request("GET", "/health")


def post(connection: http.client.HTTPConnection, token: str, seconds: float) -> None:
    """Create a lecture; half of it comes so much later."""
    connection.putrequest("POST", "/api/lectures")
    for name, value in (("Authorization", f"Bearer {token}"), ("Content-Length", str(len(LECTURE)))):
        connection.putheader(name, value)
    connection.endheaders(LECTURE[:10])
    time.sleep(seconds)
    connection.send(LECTURE[10:])


@contextlib.contextmanager
def constant(host: str, port: int, *, one_reader: bool = False) -> Iterator[Load]:
    """Read from and write to the API over connections that are kept, within the block; or one client alone reads."""
    load, over, token = Load(), threading.Event(), worker_token()

    def ask(kind: str, send: Callable[[http.client.HTTPConnection], None], allowance_seconds: float) -> None:
        connection = http.client.HTTPConnection(host, port, timeout=LATE_SECONDS)
        with contextlib.closing(connection):
            while not over.wait(PAUSE_SECONDS):
                began = time.monotonic()
                try:
                    send(connection)
                    answer = connection.getresponse()
                    body = answer.read()
                    if answer.status >= http.client.BAD_REQUEST:
                        load.lost.append(f"{kind}: status {answer.status}")
                        continue
                    load.answered[kind] += 1
                    if kind == "read":
                        load.note(json.loads(body)["release"])
                    if time.monotonic() - began > LATE_SECONDS + allowance_seconds:
                        load.lost.append(f"{kind}: late")
                except (OSError, http.client.HTTPException) as error:
                    load.lost.append(f"{kind}: {error!r}")
                    connection.close()

    def write(seconds: float) -> Callable[[http.client.HTTPConnection], None]:
        return lambda connection: post(connection, token, seconds)

    writers = [("write", write(0), 0.0), ("slow write", write(SLOW_SECONDS), SLOW_SECONDS)]
    asked = [("read", read, 0.0)] * (1 if one_reader else READERS) + ([] if one_reader else writers)
    clients = [threading.Thread(target=ask, args=one) for one in asked]
    for client in clients:
        client.start()
    try:
        yield load
    finally:
        over.set()
        for client in clients:
            client.join()

# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Container ends, as the engine reports them on its own socket: no child process that could outlive the cloud."""

from __future__ import annotations

import http.client
import json
import logging
import os
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from localcloud.shell import socket_url

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ContainerEnd:
    """A container's first process ended."""

    label: str  # the value of the label that was asked for
    exit_code: int
    at: int  # in nanoseconds since the epoch


def parse_end(line: str, label: str) -> ContainerEnd:
    """One line of the engine's event stream."""
    event = json.loads(line)
    attributes = event["Actor"]["Attributes"]
    return ContainerEnd(attributes[label], int(attributes["exitCode"]), event["timeNano"])


class ContainerEnds:
    """Calls back, in a thread of its own, whenever a container with a label ends."""

    def __init__(self, label: str, callback: Callable[[ContainerEnd], None]) -> None:
        self._label = label
        self._callback = callback
        self._connection = _EngineConnection()

    def start(self) -> None:
        filters = json.dumps({"label": [self._label], "event": ["die"], "type": ["container"]})
        self._connection.request("GET", f"/events?{urlencode({'filters': filters})}")
        answer = self._connection.getresponse()
        threading.Thread(target=self._read, args=[answer], name="container-ends", daemon=True).start()

    def stop(self) -> None:
        if self._connection.sock is not None:
            self._connection.sock.shutdown(socket.SHUT_RDWR)

    def _read(self, answer: http.client.HTTPResponse) -> None:
        try:
            while line := answer.readline():
                self._report(line.decode())
        except (OSError, http.client.HTTPException) as error:
            log.info("the engine's event stream ended: %r", error)

    def _report(self, line: str) -> None:
        try:
            self._callback(parse_end(line, self._label))
        except Exception:
            log.exception("could not use the engine's event %s", line)


class _EngineConnection(http.client.HTTPConnection):
    """HTTP on the engine's socket."""

    sock: Any

    def __init__(self) -> None:
        super().__init__("localhost")

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.connect(socket_url(os.environ).removeprefix("unix://"))

# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The HAProxy processes: one that serves, and those before it, which finish what they have begun."""

from __future__ import annotations

import logging
import socket
import subprocess
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from localcloud.balancer.config import Files, Server, Servers, configuration, contents, orders
from localcloud.balancer.place import Place
from localcloud.balancer.state import Balancer

log = logging.getLogger(__name__)

START_SECONDS: Final = 300.0
END_SECONDS: Final = 5.0
POLL_SECONDS: Final = 0.02
ORDER_SECONDS: Final = 10.0


@dataclass(frozen=True)
class Running:
    """A process and the socket at which it takes orders."""

    process: subprocess.Popen[bytes]
    socket: Path


class ProxyError(RuntimeError):
    """HAProxy did not take what it was told."""


class Proxy:
    """What HAProxy serves, brought from one state to the next. For one thread."""

    def __init__(self, place: Place, directory: Path, log_file: Path | None = None, second: float = 1.0) -> None:
        self._place = place
        self._files = Files(directory)
        self._log_file = log_file
        self._second = second
        self._running: list[Running] = []  # the last one serves
        self._text = ""
        self._servers: dict[str, Sequence[Server]] = {}
        self._number = 0

    def apply(self, balancers: Sequence[Balancer], servers: Mapping[str, Sequence[Server]]) -> None:
        """Serve this state: by orders where only servers differ, else by a new process that takes over."""
        self._forget_ended()
        text = self._text_without_servers(balancers)
        if text == self._text and self._is_alive():
            self._order(self._running, servers)
        elif any(balancer.listeners for balancer in balancers):
            self._start(balancers, servers)
            self._order(self._running[:-1], servers)
            self._text = text
        else:
            self.stop()
        self._servers = dict(servers)

    @property
    def has_begun(self) -> bool:
        """Whether anything was ever served, and so may have to end."""
        return self._number > 0

    def stop(self) -> None:
        """End all of them."""
        for running in self._running:
            running.process.terminate()
        deadline = time.monotonic() + END_SECONDS
        for running in self._running:
            try:
                running.process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                running.process.kill()
                running.process.wait()
        self._running.clear()
        self._text = ""

    def _text_without_servers(self, balancers: Sequence[Balancer]) -> str:
        return configuration(balancers, {}, self._files, Path("socket"), self._second)

    def _is_alive(self) -> bool:
        return bool(self._running) and self._running[-1].process.poll() is None

    def _forget_ended(self) -> None:
        for running in self._running:
            if running.process.poll() is not None:
                running.socket.unlink(missing_ok=True)
        self._running = [running for running in self._running if running.process.returncode is None]

    def _start(self, balancers: Sequence[Balancer], servers: Servers) -> None:
        self._number += 1
        path = self._files.directory / f"{self._number}.sock"
        for file, content in contents(balancers, self._files).items():
            _write(file, content)
        text = configuration(balancers, servers, self._files, path, self._second)
        written = self._files.directory / "haproxy.cfg"
        _write(written, text.encode())
        before = self._running[-1] if self._is_alive() else None
        taking_over = ["-x", str(before.socket), "-sf", str(before.process.pid)] if before else []
        output = self._log_file.open("ab") if self._log_file else subprocess.DEVNULL
        try:
            process = subprocess.Popen(
                self._place.command("haproxy", "-db", "-f", str(written), *taking_over),
                stdin=subprocess.DEVNULL, stdout=output, stderr=output, cwd="/",
            )  # fmt: skip
        finally:
            if not isinstance(output, int):
                output.close()
        running = Running(process, path)
        deadline = time.monotonic() + START_SECONDS
        while not _answers(path):
            if process.poll() is not None or time.monotonic() > deadline:
                process.kill()
                process.wait()
                raise ProxyError(f"HAProxy does not start with {written} (exit {process.returncode})")
            time.sleep(POLL_SECONDS)
        self._running.append(running)

    def _order(self, processes: Iterable[Running], servers: Servers) -> None:
        """Tell processes of what has changed; one that finishes what it has begun may send one request more."""
        said = [
            line
            for group in sorted({*self._servers, *servers})
            for line in orders(group, self._servers.get(group, ()), servers.get(group, ()))
        ]
        for running in processes if said else ():
            try:
                order(running.socket, said)
            except OSError:
                if running is self._running[-1]:
                    raise


def order(path: Path, lines: Iterable[str]) -> None:
    """Give a running HAProxy orders."""
    said = ask(path, ";".join(lines))
    # It says of a new address that it has changed; anything else is a refusal.
    refusals = [line for line in said.splitlines() if line and "changed" not in line and "no need" not in line]
    if refusals:
        log.warning("HAProxy says: %s", "; ".join(refusals))


def ask(path: Path, line: str) -> str:
    """What a running HAProxy says to one line."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(ORDER_SECONDS)
        connection.connect(str(path))
        connection.sendall(f"{line}\n".encode())
        said = b""
        while part := connection.recv(65536):
            said += part
    return said.decode()


def _answers(path: Path) -> bool:
    try:
        return "Pid:" in ask(path, "show info")
    except OSError:
        return False


def _write(file: Path, content: bytes) -> None:
    """Write a file, as nobody but the proxy may read it, unless it is there."""
    if file.exists() and file.read_bytes() == content:
        return
    file.parent.mkdir(parents=True, exist_ok=True)
    new = file.with_name(f"{file.name}.new")
    new.touch(mode=0o600)
    new.write_bytes(content)
    new.replace(file)

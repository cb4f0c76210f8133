# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Running the machine's own tools."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from localcloud import settings

DEFAULT_SOCKET: Final = Path("/var/run/docker.sock")


class CommandError(RuntimeError):
    """A tool of the machine failed; says which, and what it said."""


class EngineError(RuntimeError):
    """The machine cannot run the embedded cloud's engine; the message says what to do about it."""


def socket_url(environment: Mapping[str, str]) -> str:
    """The engine of this machine. Loop devices and bind mounts need it to be local, so another one is refused."""
    url = environment.get("DOCKER_HOST") or f"unix://{DEFAULT_SOCKET}"
    if not url.startswith("unix://"):
        raise EngineError(
            f"DOCKER_HOST is {url}, but the embedded cloud gives its hosts disks of this machine and therefore needs "
            "the engine of this machine. Unset DOCKER_HOST, or point it at a unix:// socket."
        )
    return url


def run(*command: str, timeout: float | None = 300, text: str | None = None) -> str:
    """Run a command, with a text as its input if given; returns its standard output without surrounding white space."""
    stdin = subprocess.DEVNULL if text is None else None
    try:
        done = subprocess.run(
            command, stdin=stdin, input=text, capture_output=True, text=True, timeout=timeout, check=False
        )
    except FileNotFoundError:
        raise CommandError(f"{command[0]} is not installed on this machine") from None
    except subprocess.TimeoutExpired:
        raise CommandError(f"{' '.join(command)}: no end after {timeout:.0f} s") from None
    if done.returncode:
        said = (done.stderr or done.stdout).strip() or "it said nothing"
        raise CommandError(f"{' '.join(command)} (exit {done.returncode}): {said}")
    return done.stdout.strip()


def succeeds(*command: str, timeout: float | None = 300) -> bool:
    """Whether a command can be run and exits with 0."""
    try:
        run(*command, timeout=timeout)
    except CommandError:
        return False
    return True


def docker_command(*arguments: str, host: str | None = None) -> list[str]:
    """Docker's client for the machine's engine, or the one at `host`. The option outranks DOCKER_CONTEXT."""
    return ["docker", f"--host={host or socket_url(os.environ)}", *arguments]


def docker(*arguments: str, host: str | None = None, timeout: float | None = 300, text: str | None = None) -> str:
    """Run Docker's client against the machine's engine, or the one at `host`."""
    return run(*docker_command(*arguments, host=host), timeout=timeout, text=text)


def docker_succeeds(*arguments: str, host: str | None = None) -> bool:
    """Whether Docker's client exits with 0."""
    return succeeds(*docker_command(*arguments, host=host))


def labels(kind: str, **more: str) -> list[str]:
    """The arguments that mark a Docker object as the embedded cloud's own."""
    marks = {settings.LABEL: settings.LABEL_VALUE, settings.LABEL_KIND: kind, **more}
    return [f"--label={name}={value}" for name, value in marks.items()]

# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Containers of the services image: what AWS runs for its customers and moto only pretends."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import Protocol

from localcloud import settings
from localcloud.shell import CommandError, docker, labels

POLL_SECONDS = 0.2

# What a Docker engine needs to run inside a container: no more than that, so not --privileged.
NESTED_ENGINE_OPTIONS = (
    "--init",
    "--cap-add=ALL",
    "--cap-drop=SYS_RESOURCE",
    "--security-opt=seccomp=unconfined",
    "--security-opt=apparmor=unconfined",
    "--security-opt=systempaths=unconfined",
    "--device-cgroup-rule=a *:* rwm",
    "--cgroupns=host",
    "--volume=/sys/fs/cgroup:/sys/fs/cgroup:rw",
    "--tmpfs=/run",
)


@dataclass(frozen=True)
class Service:
    """One container at a fixed address of the VPC, kept up by Docker's restart policy."""

    name: str
    kind: str
    image: str
    address: IPv4Address
    command: Sequence[str]
    options: Sequence[str] = ()
    volume: str | None = None  # where its data lies inside; on a Docker volume with the container's name

    def create(self) -> None:
        """Make it anew and start it; data that its volume holds already stay."""
        self.remove_container()
        docker(
            "run",
            "--detach",
            f"--name={self.name}",
            f"--hostname={self.name}",
            *labels(self.kind),
            f"--network={settings.NETWORK_NAME}",
            f"--ip={self.address}",
            f"--dns={settings.RESOLVER}",
            "--restart=unless-stopped",
            "--log-opt=max-size=10m",
            *self.mounts(),
            *self.options,
            self.image,
            *self.command,
        )

    def create_volume(self) -> None:
        docker("volume", "create", *labels(self.kind), self.name)

    def mounts(self) -> list[str]:
        return [f"--volume={self.name}:{self.volume}"] if self.volume else []

    def remove(self) -> None:
        """Remove container and data."""
        self.remove_container()
        docker("volume", "rm", "--force", self.name)

    def remove_container(self) -> None:
        # With --force a container that is not there is no error.
        docker("rm", "--force", "--volumes", self.name)

    def log(self, lines: int = 15) -> str:
        return docker("logs", f"--tail={lines}", self.name)


def wait_until(is_ready: Callable[[], bool], what: str, timeout_seconds: float) -> None:
    """Wait for something that a service does soon after its start."""
    deadline = time.monotonic() + timeout_seconds
    while not is_ready():
        if time.monotonic() > deadline:
            raise CommandError(f"{what}: not within {timeout_seconds:.0f} s")
        time.sleep(POLL_SECONDS)


class Starting(Protocol):
    """Something that takes its time to start."""

    def start(self) -> None: ...


class Together:
    """Components that start at the same time; what they run is removed with all other containers, by label."""

    def __init__(self, *components: Starting) -> None:
        self._components = components

    def start(self) -> None:
        with ThreadPoolExecutor(len(self._components)) as pool:
            for started in [pool.submit(component.start) for component in self._components]:
                started.result()

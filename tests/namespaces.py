# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The cloud's network in small: network namespaces for the machine, for those on its bridge, and for the world.

Nothing listens for long and no process runs in them: a thread that has entered one opens a socket there.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import socket
import struct
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path
from typing import Final, TypeVar

from localcloud import engine, machine, settings
from localcloud.shell import run

CLONE_NEWNET: Final = 0x40000000
PATIENCE_SECONDS: Final = 0.25
WORLD: Final = IPv4Address("203.0.113.2")
WORLD_GATEWAY: Final = IPv4Address("203.0.113.1")
NAMESPACES: Final = Path("/run/netns")
PREFIX: Final = f"academy-{os.getpid()}"
OPEN, SILENT = "open", "silent"

T = TypeVar("T")


@dataclass(frozen=True)
class Place:
    """A network namespace and where in it somebody is at home."""

    namespace: str
    address: IPv4Address

    def inside(self, do: Callable[[], T]) -> T:
        """Do something in there, in a thread of its own."""

        def enter_and_do() -> T:
            descriptor = os.open(NAMESPACES / self.namespace, os.O_RDONLY)
            try:
                if ctypes.CDLL(None, use_errno=True).setns(descriptor, CLONE_NEWNET):
                    raise OSError(ctypes.get_errno(), f"cannot enter {self.namespace}")
            finally:
                os.close(descriptor)
            return do()

        with ThreadPoolExecutor(1) as pool:
            return pool.submit(enter_and_do).result()

    def listen(self, port: int) -> socket.socket:
        """The kernel answers who connects; nobody needs to accept."""
        return self.inside(lambda: socket.create_server(("", port)))

    def connect(self, to: Place, port: int, *, source: IPv4Address | None = None, mark: int = 0) -> str:
        """What becomes of a new connection: open, silent, or what the other side says."""

        def attempt() -> str:
            with socket.socket() as client:
                client.settimeout(PATIENCE_SECONDS)
                client.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, mark)
                client.bind((str(source or self.address), 0))
                return outcome(lambda: client.connect((str(to.address), port)))

        return self.inside(attempt)

    def ping(self, to: Place) -> str:
        """What becomes of an echo request."""

        def attempt() -> str:
            with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP) as client:
                client.settimeout(PATIENCE_SECONDS)
                head = struct.pack("!BBHHH", 8, 0, 0, 1, 1)
                checksum = 0xFFFF - sum(struct.unpack("!4H", head)) % 0xFFFF
                client.sendto(struct.pack("!BBHHH", 8, 0, checksum, 1, 1), (str(to.address), 0))
                return outcome(lambda: client.recv(1024))

        return self.inside(attempt)


def outcome(attempt: Callable[[], object]) -> str:
    try:
        attempt()
    except TimeoutError:
        return SILENT
    except OSError as error:
        return str(error)
    return OPEN


@dataclass(frozen=True)
class Network:
    """All places. The machine is the bridge's gateway, and the way to the world."""

    machine: Place
    world: Place
    hosts: tuple[Place, ...]

    def load(self, text: str) -> None:
        """Give the machine's firewall its rules, as the cloud does."""
        run("ip", "netns", "exec", self.machine.namespace, "nft", "--file", "-", text=text)


@contextlib.contextmanager
def network(*addresses: IPv4Address) -> Iterator[Network]:
    """The machine with its bridge and the world, and a host at each address."""
    engine.install_packages(engine.missing_packages({name: machine.PROGRAMS[name] for name in ("ip", "nft")}), print)
    home = Place(f"{PREFIX}-machine", settings.GATEWAY)
    world = Place(f"{PREFIX}-world", WORLD)
    hosts = tuple(Place(f"{PREFIX}-{address}", address) for address in addresses)
    mounted_before = _is_mounted()
    try:
        for place in (home, world, *hosts):
            run("ip", "netns", "add", place.namespace)
            run("ip", "-n", place.namespace, "link", "set", "lo", "up")
        bridge = ("type", "bridge", "nf_call_iptables", "1", "nf_call_ip6tables", "1")
        run("ip", "-n", home.namespace, "link", "add", settings.BRIDGE, *bridge)
        run("ip", "-n", home.namespace, "link", "set", settings.BRIDGE, "up")
        for address in (f"{home.address}/16", *(f"{address}/32" for address in settings.BRIDGE_ADDRESSES)):
            run("ip", "-n", home.namespace, "address", "add", address, "dev", settings.BRIDGE)
        for number, host in enumerate(hosts):
            _plug(home, f"veth{number}", host, "16", settings.GATEWAY)
            run("ip", "-n", home.namespace, "link", "set", f"veth{number}", "master", settings.BRIDGE)
        _plug(home, "world", world, "24", WORLD_GATEWAY)
        run("ip", "-n", home.namespace, "address", "add", f"{WORLD_GATEWAY}/24", "dev", "world")
        home.inside(lambda: Path("/proc/sys/net/ipv4/ip_forward").write_text("1"))
        yield Network(home, world, hosts)
    finally:
        for place in (home, world, *hosts):
            if (NAMESPACES / place.namespace).exists():
                run("ip", "netns", "delete", place.namespace)
        # The first namespace of a machine mounts the directory upon itself, and the last one leaves it so.
        if _is_mounted() and not mounted_before:
            run("umount", str(NAMESPACES))
            NAMESPACES.rmdir()


def _is_mounted() -> bool:
    mounts = Path("/proc/self/mounts").read_text(encoding="utf-8")
    return any(line.split()[1] == str(NAMESPACES) for line in mounts.split("\n") if line)


def _plug(home: Place, port: str, place: Place, prefix: str, gateway: IPv4Address) -> None:
    run(
        "ip",
        "-n",
        home.namespace,
        "link",
        "add",
        port,
        "type",
        "veth",
        "peer",
        "name",
        "eth0",
        "netns",
        place.namespace,
    )
    run("ip", "-n", home.namespace, "link", "set", port, "up")
    run("ip", "-n", place.namespace, "address", "add", f"{place.address}/{prefix}", "dev", "eth0")
    run("ip", "-n", place.namespace, "link", "set", "eth0", "up")
    run("ip", "-n", place.namespace, "route", "add", "default", "via", str(gateway))

# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the load balancers are: a network namespace on the cloud's bridge that has their private addresses."""

from __future__ import annotations

import ctypes
import json
import os
import signal
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path
from typing import Final

from localcloud import settings
from localcloud.operator_machine import end, processes_in
from localcloud.shell import run, succeeds

NAMESPACE: Final = settings.BALANCER_DIR / "net"
INTERFACE: Final = "eth0"
CLONE_NEWNET: Final = 0x40000000


@dataclass(frozen=True)
class Place:
    """A network namespace by its file."""

    namespace: Path = NAMESPACE

    def command(self, *words: str) -> list[str]:
        """A command, to be run in there; the process that is started becomes it."""
        return ["nsenter", f"--net={self.namespace}", *words]

    def enter(self) -> None:
        """Move the calling thread there, for good."""
        descriptor = os.open(self.namespace, os.O_RDONLY)
        try:
            if ctypes.CDLL(None, use_errno=True).setns(descriptor, CLONE_NEWNET):
                raise OSError(ctypes.get_errno(), f"cannot enter {self.namespace}")
        finally:
            os.close(descriptor)

    def addresses(self) -> set[IPv4Address]:
        shown = json.loads(run(*self.command("ip", "-json", "-4", "address", "show", "dev", INTERFACE)) or "[]")
        return {IPv4Address(one["local"]) for link in shown for one in link.get("addr_info", [])}

    def have(self, wanted: Iterable[IPv4Address]) -> None:
        """Have these addresses and no others."""
        wanted, there = set(wanted), self.addresses()
        length = settings.VPC_CIDR.prefixlen
        # Without this all others would go with the first one.
        lines = ["echo 1 >/proc/sys/net/ipv4/conf/all/promote_secondaries"]
        for verb, addresses in (("add", wanted - there), ("delete", there - wanted)):
            lines += [f"ip address {verb} {address}/{length} dev {INTERFACE}" for address in sorted(addresses)]
        if wanted:
            lines.append(f"ip route replace default via {settings.GATEWAY}")
        run(*self.command("sh", "-ec", "\n".join(lines)))


def make() -> None:
    """Make the place, without any address yet, and plug it into the bridge."""
    settings.BALANCER_DIR.mkdir(parents=True, exist_ok=True)
    NAMESPACE.touch()
    run("unshare", f"--net={NAMESPACE}", "true")
    wire = settings.BALANCER_INTERFACE
    run("ip", "link", "add", wire, "type", "veth", "peer", "name", INTERFACE, "netns", str(NAMESPACE))
    run("ip", "link", "set", wire, "master", settings.BRIDGE)
    run("ip", "link", "set", wire, "up")
    script = f"""
    echo 1 >/proc/sys/net/ipv6/conf/all/disable_ipv6 2>/dev/null || true
    ip link set lo up
    ip link set {INTERFACE} up
    """
    run(*Place(NAMESPACE).command("sh", "-ec", script))


def remove() -> None:
    """End the proxies, and take the wire away; the files and the namespace go with all others."""
    end(lambda: processes_in(NAMESPACE), (signal.SIGKILL,))
    if succeeds("ip", "link", "show", settings.BALANCER_INTERFACE):
        run("ip", "link", "delete", settings.BALANCER_INTERFACE)

# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from localcloud import machine, operator_machine, settings
from localcloud.balancer import place
from localcloud.machine import MachineError, commented_rules, mounts_below, overlapping_routes
from localcloud.shell import CommandError
from tests.support import ROOT


@pytest.mark.parametrize(
    ("route", "overlapping"),
    [
        ({"dst": "default", "dev": "eth0"}, []),
        ({"dst": "192.0.2.0/24", "dev": "eth0"}, []),
        ({"dst": "172.17.0.0/16", "dev": "docker0"}, []),
        ({"dst": "172.31.0.0/16", "dev": settings.BRIDGE}, []),
        ({"dst": "172.31.7.0/24", "dev": "tun0"}, ["172.31.7.0/24 on tun0"]),
        ({"dst": "172.16.0.0/12", "dev": "tun0"}, ["172.16.0.0/12 on tun0"]),
        ({"dst": "172.31.9.9", "dev": "eth0"}, ["172.31.9.9 on eth0"]),
        ({"dst": "172.16.0.0/12", "type": "blackhole"}, ["172.16.0.0/12 on no interface"]),
    ],
)
def test_a_route_that_the_network_would_hide_is_named(route: dict[str, Any], overlapping: list[str]) -> None:
    assert overlapping_routes([route], settings.VPC_CIDR, settings.BRIDGE) == overlapping


NGINX = 'users:(("nginx",pid=812,fd=6),("nginx",pid=812,fd=7),("nginx",pid=813,fd=6))'


@pytest.mark.parametrize(
    ("listening", "told"),
    [
        ("", []),
        (
            f"tcp LISTEN 0 511 0.0.0.0:80 0.0.0.0:* {NGINX}",
            ["port 80/tcp", "on 0.0.0.0:80 by nginx (process 812), nginx"],
        ),
        (f"tcp LISTEN 0 511 *:443 *:* {NGINX}", ["port 443/tcp for AWS's names over TLS", "on *:443 by nginx"]),
        (f"tcp LISTEN 0 511 0.0.0.0:8080 0.0.0.0:* {NGINX}", []),
        # Of IPv6 alone, and of addresses that are not ours.
        (f"tcp LISTEN 0 511 [::]:443 [::]:* {NGINX}", []),
        ("tcp LISTEN 0 511 192.0.2.1:443 0.0.0.0:*", []),
        ("udp UNCONN 0 0 127.0.0.53%lo:53 0.0.0.0:*", []),
        ("udp UNCONN 0 0 0.0.0.0%eth0:53 0.0.0.0:*", ["port 53/udp for its resolver", "by another container"]),
        ("udp UNCONN 0 0 0.0.0.0:443 0.0.0.0:*", []),
        ("tcp LISTEN 0 5 127.0.0.1:4599 0.0.0.0:*", ["port 4599/tcp for its API"]),
        (
            "tcp LISTEN 0 5 0.0.0.0:80 0.0.0.0:*\ntcp LISTEN 0 5 0.0.0.0:443 0.0.0.0:*\n",
            ["port 80/tcp", "port 443/tcp"],
        ),
    ],
)
def test_a_port_that_somebody_else_holds_is_named_with_its_holder(listening: str, told: list[str]) -> None:
    text = "; ".join(machine.taken_ports(listening))
    assert bool(text) == bool(told)
    assert [part for part in told if part not in text] == []


def test_the_machine_is_asked_who_listens() -> None:
    program = (
        "import os, socket\n"
        "from localcloud import machine\n"
        "machine.refuse_taken_ports()\n"
        "server = socket.create_server(('', 443))\n"
        "try:\n"
        "    machine.refuse_taken_ports()\n"
        "except machine.MachineError as error:\n"
        "    print(f'(process {os.getpid()})' in str(error), error)\n"
    )
    # A network of its own: on this machine a cloud may be up.
    command = ["unshare", "--net", sys.executable, "-c", program]
    said = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert said.startswith("True The embedded cloud needs what another program of this machine holds: port 443/tcp")


def test_only_rules_with_our_comment_are_deleted() -> None:
    rules = (
        "-P PREROUTING ACCEPT\n"
        "-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER\n"
        '-A PREROUTING -p tcp -m comment --comment "academy localcloud of another" -j ACCEPT\n'
        "-A PREROUTING -d 169.254.169.254/32 -i academy-lc0 -m comment --comment academy-localcloud -j DNAT\n"
    )
    assert commented_rules(rules, "academy-localcloud") == [
        [
            "-D", "PREROUTING", "-d", "169.254.169.254/32", "-i", "academy-lc0",
            "-m", "comment", "--comment", "academy-localcloud", "-j", "DNAT",
        ]
    ]  # fmt: skip


def test_mounts_are_found_below_a_directory_only_and_innermost_first() -> None:
    mountinfo = (
        "21 1 254:0 / / rw - ext4 /dev/vda rw\n"
        "30 21 0:40 / /run/ours/lxcfs rw - fuse.lxcfs lxcfs rw\n"
        "31 30 0:41 / /run/ours/lxcfs/in\\040side rw - tmpfs tmpfs rw\n"
        "32 21 0:42 / /run/ours-not rw - tmpfs tmpfs rw\n"
    )
    assert mounts_below(mountinfo, Path("/run/ours")) == ["/run/ours/lxcfs/in side", "/run/ours/lxcfs"]


IN_THE_ENGINE = ["_remove_containers", "_remove_docker_volumes", "_remove_networks"]
ON_THE_MACHINE = [
    "_remove_firewall_rules", "_remove_security_groups", "_remove_bridge", "_detach_loop_devices", "_stop_lxcfs",
    "_remove_directories",
]  # fmt: skip


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    """The steps of a removal that were taken, none of them for real, and a note that a cloud made something."""
    taken: list[str] = []
    monkeypatch.setattr(operator_machine, "remove", lambda: taken.append("operator_machine.remove"))
    monkeypatch.setattr(place, "remove", lambda: taken.append("place.remove"))
    for name in (*IN_THE_ENGINE, *ON_THE_MACHINE):
        monkeypatch.setattr(machine, name, lambda *_, name=name: taken.append(name))
    monkeypatch.setattr(settings, "MADE_FILE", tmp_path / "state" / "made")
    machine.note_making()
    return taken


def test_what_lies_in_the_engine_is_not_forgotten_while_none_answers(
    steps: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine, "docker_succeeds", lambda *_: False)
    said: list[str] = []
    machine.remove_everything(said.append)
    assert steps == ["operator_machine.remove", "place.remove", *ON_THE_MACHINE]
    assert machine.anything_left()
    assert "no Docker engine answers" in said[0]


def test_nothing_is_left_after_a_removal_with_an_engine(steps: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "docker_succeeds", lambda *_: True)
    machine.remove_everything(lambda _: None)
    assert steps == ["operator_machine.remove", "place.remove", *IN_THE_ENGINE, *ON_THE_MACHINE]
    assert not machine.anything_left()


@pytest.mark.usefixtures("steps")
def test_a_failed_removal_is_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise CommandError("in use")

    monkeypatch.setattr(machine, "docker_succeeds", lambda *_: True)
    monkeypatch.setattr(machine, "_remove_networks", fail)
    with pytest.raises(MachineError, match="in use"):
        machine.remove_everything(lambda _: None)
    assert machine.anything_left()

#!/usr/bin/python3
# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Give the host's disks their names, as the kernel and udev do on a real one.

The disks stand in /etc/academy-host/disks, one line each: <volume id> <node> <major>:<minor>. There is no udev in a
container, so the links by volume id and by file-system UUID are made here: at boot, whenever a disk is attached or
detached, and (through a path unit per disk) whenever something was written to a disk, as mkfs does.
"""

from __future__ import annotations

import os
import shlex
import stat
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

DISKS_FILE = Path("/etc/academy-host/disks")
DEV = Path("/dev")
BY_ID_PREFIX = "nvme-Amazon_Elastic_Block_Store_"


class Disk(NamedTuple):
    """One attached volume."""

    volume_id: str
    node: str
    major: int
    minor: int

    @property
    def link_name(self) -> str:
        """The serial number of an EBS volume is its id without the dash, and so is its name by id."""
        return BY_ID_PREFIX + self.volume_id.replace("-", "")


def parse_disks(text: str) -> list[Disk]:
    """The disks of the host. A line that is not understood stops the boot unit, which the journal then shows."""
    disks = []
    for line in text.split("\n"):
        if line.strip():
            volume_id, node, numbers = line.split()
            major, minor = numbers.split(":")
            disks.append(Disk(volume_id, node, int(major), int(minor)))
    return disks


def parse_probe(output: str) -> dict[str, str]:
    """What `blkid --probe --output export` says of a device."""
    return dict(word.split("=", 1) for word in shlex.split(output) if "=" in word)


def wanted_links(disks: list[Disk], probes: Mapping[str, Mapping[str, str]]) -> dict[str, str]:
    """Link below /dev/disk → node, as udev would make them."""
    links = {}
    for disk in disks:
        links[f"by-id/{disk.link_name}"] = disk.node
        uuid = probes[disk.node].get("UUID")
        if uuid:
            links[f"by-uuid/{uuid}"] = disk.node
    return links


def probe(node: str) -> dict[str, str]:
    command = ["blkid", "--probe", "--output", "export", str(DEV / node)]
    return parse_probe(subprocess.run(command, capture_output=True, text=True, check=False).stdout)


def make_node(disk: Disk) -> None:
    path = DEV / disk.node
    number = os.makedev(disk.major, disk.minor)
    if path.exists() and path.stat().st_rdev != number:
        path.unlink()
    if not path.exists():
        os.mknod(path, stat.S_IFBLK | 0o660, number)


def current_links() -> dict[str, str]:
    return {
        str(link.relative_to(DEV / "disk")): Path(os.readlink(link)).name
        for directory in ("by-id", "by-uuid")
        for link in (DEV / "disk" / directory).glob("*")
    }


def replace_links(wanted: Mapping[str, str]) -> None:
    current = current_links()
    for name in current.keys() - wanted.keys():
        (DEV / "disk" / name).unlink()
    for name, node in wanted.items():
        if current.get(name) != node:
            link = DEV / "disk" / name
            link.parent.mkdir(parents=True, exist_ok=True)
            link.unlink(missing_ok=True)
            link.symlink_to(f"../../{node}")


def watch(nodes: set[str], action: str) -> None:
    for node in sorted(nodes):
        subprocess.run(["systemctl", "--no-block", action, f"academy-host-disk@{node}.path"], check=True)


def main() -> None:
    disks = parse_disks(DISKS_FILE.read_text()) if DISKS_FILE.exists() else []
    before = {node for name, node in current_links().items() if name.startswith(f"by-id/{BY_ID_PREFIX}")}
    now = {disk.node for disk in disks}
    for disk in disks:
        make_node(disk)
    replace_links(wanted_links(disks, {node: probe(node) for node in now}))
    watch(before - now, "stop")
    for node in before - now:
        (DEV / node).unlink(missing_ok=True)
    watch(now, "start")


if __name__ == "__main__":
    main()

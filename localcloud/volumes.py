# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""EBS volumes: one sparse file each, on a loop device while the instance that it is attached to runs.

A root volume is no disk here: it is the host container's own file system, and exists in the API only.
"""

from __future__ import annotations

import json
import logging
import os
import re
import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from localcloud import settings
from localcloud.shell import CommandError, docker, run, succeeds

if TYPE_CHECKING:  # the clean-up needs this module too, and not moto
    from localcloud.api import Api
    from localcloud.wire import Call

log = logging.getLogger(__name__)

GIB = 1024**3
RELEASE_SECONDS = 60


@dataclass(frozen=True)
class Attachment:
    """A data volume as an instance has it."""

    volume_id: str
    device_name: str
    size_gib: int


@dataclass(frozen=True)
class Disk:
    """A data volume as the host sees it."""

    volume_id: str
    node: str
    major: int
    minor: int


def nvme_nodes(attachments: Iterable[Attachment]) -> list[tuple[Attachment, str]]:
    """The host's node of each data volume: nvme0n1 is the root disk, the others follow in the order of their names."""
    ordered = sorted(attachments, key=lambda attachment: attachment.device_name)
    return [(attachment, f"nvme{index}n1") for index, attachment in enumerate(ordered, start=1)]


def disks_file(disks: Iterable[Disk]) -> str:
    """What the host's boot unit reads: one line for each disk."""
    return "".join(f"{disk.volume_id} {disk.node} {disk.major}:{disk.minor}\n" for disk in disks)


def loop_devices(listing: str, directory: Path) -> dict[str, Path]:
    """Loop device -> backing file for the files below a directory, from losetup's JSON listing."""
    devices = json.loads(listing or '{"loopdevices": []}')["loopdevices"]
    found: dict[str, Path] = {}
    for device in devices:
        backing = Path(re.sub(r" \(deleted\)$", "", device["back-file"] or ""))
        if backing.is_relative_to(directory):
            found[device["name"]] = backing
    return found


def swap_file_names(proc_swaps: str) -> set[str]:
    """The names of all swap files that are on.

    Only the name is the same wherever one looks: the kernel shows the path as the container that switched the file on
    has it, and once that container is gone, the path within the file system.
    """
    lines = [line.split() for line in proc_swaps.split("\n")[1:] if line.strip()]
    return {Path(path.replace("\\040", " ")).name for path, kind, *_ in lines if kind == "file"}


def switch_off_swap(docker_volume: str) -> None:
    """Switch off every swap file in a host's swap volume: swap outlives the container that switched it on."""
    directory = Path(docker("volume", "inspect", "--format", "{{.Mountpoint}}", docker_volume))
    for name in swap_file_names(Path("/proc/swaps").read_text()):
        # Another host's file may have the same name: swapoff goes by the file, and fails for one that is not on.
        if (directory / name).is_file() and succeeds("swapoff", str(directory / name)):
            log.info("switched off the swap file %s of %s", name, docker_volume)


def all_loop_devices() -> dict[str, Path]:
    """Our loop devices and their files."""
    return loop_devices(run("losetup", "--list", "--json", "--output", "NAME,BACK-FILE"), settings.DISKS_DIR)


class Volumes:
    """The files and loop devices behind EBS volumes."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._changed = threading.Condition()
        self._owners: dict[str, str] = {}  # volume -> the instance whose host has its disk
        api.hooks.register("ec2", "DeleteVolume", after=self._volume_deleted)
        api.hooks.register("ec2", "ModifyVolume", after=self._volume_modified)

    @staticmethod
    def attachments(instance: Any) -> list[Attachment]:
        """An instance's data volumes, from moto. Hold the API's lock."""
        return [
            Attachment(mapping.volume_id, device_name, int(mapping.size))
            for device_name, mapping in instance.get_block_device_mapping
            if device_name != instance.root_device_name
        ]

    def connect(self, attachments: Sequence[Attachment], instance_id: str) -> list[Disk]:
        """Put the volumes on loop devices for an instance; a volume that is on one already keeps it."""
        wanted = {attachment.volume_id for attachment in attachments}
        with self._changed:
            # The API frees a volume as soon as its instance is told to terminate, the host only when it is down.
            if not self._changed.wait_for(lambda: self._free(wanted, instance_id), RELEASE_SECONDS):
                raise CommandError(f"another host still uses a volume of {instance_id}: {', '.join(sorted(wanted))}")
            self._owners.update(dict.fromkeys(wanted, instance_id))
            connected = {file: device for device, file in all_loop_devices().items()}
            disks = []
            for attachment, node in nvme_nodes(attachments):
                file = self._file(attachment.volume_id)
                self._grow(file, attachment.size_gib)
                device = connected.get(file) or run("losetup", "--find", "--show", str(file))
                number = os.stat(device).st_rdev
                disks.append(Disk(attachment.volume_id, node, os.major(number), os.minor(number)))
        return disks

    def _free(self, volume_ids: Iterable[str], instance_id: str) -> bool:
        return all(self._owners.get(volume_id, instance_id) == instance_id for volume_id in volume_ids)

    def disconnect(self, volume_ids: Iterable[str]) -> None:
        """Take the volumes off their loop devices; their files stay."""
        volume_ids = set(volume_ids)
        files = {self._file(volume_id) for volume_id in volume_ids}
        with self._changed:
            for device, file in all_loop_devices().items():
                if file in files:
                    run("losetup", "--detach", device)
            for volume_id in volume_ids:
                self._owners.pop(volume_id, None)
            self._changed.notify_all()

    def remove(self, volume_id: str) -> None:
        """Forget a volume's data."""
        self.disconnect([volume_id])
        self._file(volume_id).unlink(missing_ok=True)

    def remove_deleted(self, volume_ids: Iterable[str]) -> None:
        """Forget the data of those volumes that the API no longer knows."""
        with self._api.lock:
            known = set(self._api.backends("ec2").volumes)
        for volume_id in volume_ids:
            if volume_id not in known:
                self.remove(volume_id)

    def _volume_deleted(self, call: Call, result: Mapping[str, Any]) -> None:
        self.remove(call.parameters["VolumeId"])

    def _volume_modified(self, call: Call, result: Mapping[str, Any]) -> None:
        size_gib = call.parameters.get("Size")
        file = self._file(call.parameters["VolumeId"])
        if not size_gib or not file.exists():
            return
        with self._changed:
            self._grow(file, int(size_gib))
            for device, backing in all_loop_devices().items():
                if backing == file:
                    run("losetup", "--set-capacity", device)

    @staticmethod
    def _file(volume_id: str) -> Path:
        return settings.DISKS_DIR / f"{volume_id}.img"

    @staticmethod
    def _grow(file: Path, size_gib: int) -> None:
        file.touch()
        if file.stat().st_size < size_gib * GIB:
            os.truncate(file, size_gib * GIB)

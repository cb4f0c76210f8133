# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""May this disk be formatted, or mounted as it is, or must it be left alone? Decided from what it shows of itself."""

from __future__ import annotations

import json
import struct
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .fstab import Entry, Mount
from .host_state import path_differences

GIB = 1024**3

# Where an XFS superblock keeps its UUID, the flag "mkfs has not finished" and the number of allocated inodes.
XFS_MAGIC = b"XFSB"
XFS_UUID_OFFSET = 32
XFS_IN_PROGRESS_OFFSET = 126
XFS_INODES_OFFSET = 128
XFS_HEAD_BYTES = 136
# mkfs.xfs itself allocates one chunk of inodes, for the root directory.
XFS_FIRST_INODES = 64

# What signatures that are no file system mean; a protective MBR only accompanies its GPT.
MEANINGS = {
    "dos": "a partition table (dos)",
    "gpt": "a partition table (gpt)",
    "PMBR": "",
    "swap": "swap space",
    "LVM2_member": "a physical volume of LVM",
    "linux_raid_member": "a member of a RAID",
    "crypto_LUKS": "an encrypted volume",
}

# Any fixed value: volume ids become UUIDs of file systems in this namespace.
NAMESPACE = uuid.UUID("6f2c8a4e-51d3-4d0b-9f0a-7b1e5c3d2a90")


@dataclass(frozen=True)
class Disk:
    """A disk as found. Its signatures are what wipefs lists, types in its words."""

    path: str
    device_number: str
    size_bytes: int
    signatures: tuple[str, ...] = ()
    partitions: tuple[str, ...] = ()
    filesystem_uuid: str = ""
    unfinished: bool = False
    users: tuple[str, ...] = ()
    mounted_at: tuple[str, ...] = ()


@dataclass(frozen=True)
class MountPoint:
    """The place where the disk belongs: which device is there now, and what lies in the directory if none is."""

    path: str
    device_number: str = ""
    entries: tuple[str, ...] = ()


@dataclass(frozen=True)
class Plan:
    """What may be done with the disk. Without a problem it is mounted by `filesystem_uuid`."""

    steps: tuple[str, ...] = ()
    filesystem_uuid: str = ""
    problem: str = ""


def device_link(volume_id: str) -> str:
    """The name that udev gives to a volume, whatever order the disks were found in."""
    return f"/dev/disk/by-id/nvme-Amazon_Elastic_Block_Store_{volume_id.replace('-', '')}"


def filesystem_uuid(volume_id: str) -> str:
    """The UUID that we give to a volume's file system: known beforehand, so that we know our own work again."""
    return str(uuid.uuid5(NAMESPACE, volume_id))


def parse_signatures(wipefs_json: str) -> tuple[str, ...]:
    """Types of the signatures in the output of wipefs --no-act --json (which is empty where there are none)."""
    found = json.loads(wipefs_json) if wipefs_json.strip() else {}
    return tuple(signature["type"] for signature in found.get("signatures", []))


def parse_children(lsblk_json: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Partitions of a disk, and what else is built upon it (LVM, RAID, encryption), from lsblk --json."""
    disks: list[dict[str, Any]] = json.loads(lsblk_json).get("blockdevices", [])
    children = [child for disk in disks for child in disk.get("children", [])]
    partitions = tuple(child["name"] for child in children if child["type"] == "part")
    users = tuple(f"{child['type']} {child['name']}" for child in children if child["type"] != "part")
    return partitions, users


def mounted_device(mounts: tuple[Mount, ...], path: str) -> str:
    """The number of the device that is mounted at exactly this path; empty where none is."""
    mount = mounted_at(mounts, path)
    return mount.device_number if mount else ""


def mounted_at(mounts: tuple[Mount, ...], path: str) -> Mount | None:
    """What is seen at exactly this path: of several mounts the last one."""
    return next((mount for mount in reversed(mounts) if mount.target == path), None)


def places(mounts: tuple[Mount, ...], device_number: str) -> tuple[str, ...]:
    """Where a device is mounted as a whole. Directories of it that are bound elsewhere are left out."""
    return tuple(mount.target for mount in mounts if mount.device_number == device_number and mount.root == "/")


def xfs_state(head: bytes) -> tuple[str, bool]:
    """UUID of the XFS at the head of a disk, and whether its mkfs never came to its end. Empty where there is none.

    mkfs.xfs marks the superblock "in progress" first and takes the mark away last; in between the kernel refuses it.
    """
    if len(head) < XFS_HEAD_BYTES or not head.startswith(XFS_MAGIC):
        return "", False
    found = str(uuid.UUID(bytes=head[XFS_UUID_OFFSET : XFS_UUID_OFFSET + 16]))
    (inodes,) = struct.unpack_from(">Q", head, XFS_INODES_OFFSET)
    return found, head[XFS_IN_PROGRESS_OFFSET] != 0 and inodes <= XFS_FIRST_INODES


def plan_volume(disk: Disk, place: MountPoint, volume_id: str, min_size_gib: int) -> Plan:
    """Format only what holds nothing, mount only what is ours to mount, refuse everything else."""
    problem = _size_problem(disk, volume_id, min_size_gib) or _place_problem(disk, place) or _use_problem(disk, place)
    if problem:
        return Plan(problem=problem)
    own = filesystem_uuid(volume_id)
    if not disk.signatures and not disk.partitions:
        return Plan(steps=("format",), filesystem_uuid=own)
    if set(disk.signatures) == {"xfs"} and not disk.partitions:
        if not disk.unfinished:
            return Plan(filesystem_uuid=disk.filesystem_uuid)
        if disk.filesystem_uuid == own:
            # Our own mkfs was interrupted on a disk that had held nothing, and nothing can have been stored since.
            return Plan(steps=("clear", "format"), filesystem_uuid=own)
    return Plan(problem=_content_problem(disk))


def mount_differences(
    state: Mapping[str, Any], disk: Mapping[str, Any], mount_point: str, options: str, mode: str
) -> list[str]:
    """What of the mount is not as wanted: of the disk that volume_filesystem found, on what host_state_info found."""
    entry = Entry(f"UUID={disk['uuid']}", mount_point, "xfs", options)
    mounts = tuple(Mount(**found) for found in state["mounts"])
    opened = {"path": mount_point, "kind": "directory", "mode": mode}
    unit = state["units"][mount_point]
    live = mounted_at(mounts, mount_point)
    wanted = {
        "mount": live is not None and live.device_number == disk["device_number"],
        # Whatever fstab says, somebody may have mounted it again in another way.
        "options": live is None or {"rw", "noexec"} & set(live.options.split(",")) == {"rw"},
        "fstab": [Entry(**found) for found in state["fstab"] if found["target"] == mount_point] == [entry],
        "directory": not path_differences(state["paths"], [opened]),
        # A unit without a file is systemd's own view of what is mounted; it knows no fstab entry for it. One that is
        # masked mounts nothing at the next boot.
        "unit": bool(unit["fragment_path"]) and unit["load_state"] == "loaded" and not unit["need_daemon_reload"],
    }
    return [name for name, as_wanted in wanted.items() if not as_wanted]


def describe(disk: Disk) -> str:
    """One line for --diff and messages."""
    return f"{disk.path}: {_gib(disk.size_bytes)}, {_contents(disk)}\n"


def _size_problem(disk: Disk, volume_id: str, min_size_gib: int) -> str:
    if disk.size_bytes >= min_size_gib * GIB:
        return ""
    return (
        f"{disk.path} ({volume_id}) has {_gib(disk.size_bytes)}, but transcode_volume_size_gib asks for "
        f"{min_size_gib} GiB; enlarge the volume (aws ec2 modify-volume --volume-id {volume_id} --size {min_size_gib}) "
        "and run again"
    )


def _place_problem(disk: Disk, place: MountPoint) -> str:
    if place.device_number and place.device_number != disk.device_number:
        return (
            f"another device ({place.device_number}) is mounted at {place.path}, where {disk.path} belongs; "
            f"see what it is (findmnt {place.path}) and unmount it first"
        )
    if not place.device_number and place.entries:
        return (
            f"{place.path} is not mounted but holds {', '.join(place.entries[:5])}, which mounting would hide; "
            "these files lie on the root disk: move them away and run again"
        )
    return ""


def _use_problem(disk: Disk, place: MountPoint) -> str:
    elsewhere = [target for target in disk.mounted_at if target != place.path]
    if elsewhere:
        return (
            f"{disk.path} is already mounted at {', '.join(elsewhere)} and belongs at {place.path}; "
            "unmount it there and take it out of /etc/fstab"
        )
    if disk.users:
        return (
            f"{disk.path} is in use by {', '.join(disk.users)}; this is not the disk for {place.path}, or free it first"
        )
    return ""


def _content_problem(disk: Disk) -> str:
    return (
        f"{disk.path} is left as it is, because it holds {_contents(disk)}; only a disk that holds nothing is "
        f"formatted, and only a single XFS file system is mounted. Save what is on it, and if it may be lost, empty it "
        f"yourself (wipefs --all {disk.path}) and run again"
    )


def _contents(disk: Disk) -> str:
    state = "an unfinished" if disk.unfinished else "a"
    signatures = [MEANINGS.get(found, f"{state} file system ({found})") for found in dict.fromkeys(disk.signatures)]
    partitions = [f"partition {name}" for name in disk.partitions]
    return ", ".join(filter(None, [*signatures, *partitions])) or "nothing"


def _gib(size: int) -> str:
    return f"{size / GIB:.4g} GiB"

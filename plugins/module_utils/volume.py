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

from .disk_content import Found, summary
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

# Records of the file systems that are being made, on the root disk: they outlive a kill and a reboot.
RECORDS_DIRECTORY = "/var/lib/academy/volumes"


@dataclass(frozen=True)
class Disk:
    """A disk as found. Its signatures are what wipefs lists, types in its words.

    Contents are the blocks that are not zeros; they are read where the signatures do not say enough (`worth_reading`).
    """

    path: str
    device_number: str
    size_bytes: int
    signatures: tuple[str, ...] = ()
    partitions: tuple[str, ...] = ()
    filesystem_uuid: str = ""
    unfinished: bool = False
    contents: tuple[Found, ...] = ()
    unreadable: str = ""
    users: tuple[str, ...] = ()
    mounted_at: tuple[str, ...] = ()


@dataclass(frozen=True)
class Record:
    """What we have noted of a disk: that mkfs.xfs was begun, and that what a killed one had left was cleared away."""

    begun: bool = False
    cleared: bool = False


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


def record_path(volume_id: str) -> str:
    """The record that a file system is being made on a volume: written before mkfs.xfs, removed after it."""
    return f"{RECORDS_DIRECTORY}/{volume_id}.json"


def record_text(volume_id: str, size_bytes: int, started: str, cleared: str = "") -> str:
    """What is recorded before mkfs.xfs begins, and once more before what a killed one has left is cleared away."""
    record = {
        "volume_id": volume_id,
        "size_bytes": size_bytes,
        "uuid": filesystem_uuid(volume_id),
        "started": started,
        "cleared": cleared,
    }
    return json.dumps(record, indent=2) + "\n"


def parse_record(text: str, volume_id: str, size_bytes: int) -> Record:
    """The record of this very disk; another one's, or one that was not written to its end, counts as none."""
    try:
        record = json.loads(text)
    except (ValueError, RecursionError):
        return Record()
    wanted = json.loads(record_text(volume_id, size_bytes, ""))
    if not isinstance(record, dict) or {**record, "started": "", "cleared": ""} != wanted:
        return Record()
    return Record(begun=True, cleared=bool(record["cleared"]))


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


def worth_reading(disk: Disk) -> bool:
    """Whether signatures alone do not tell if the disk may be formatted: there are none, or those of a killed mkfs."""
    return not disk.signatures or disk.unfinished


def plan_volume(disk: Disk, place: MountPoint, volume_id: str, min_size_gib: int, record: Record) -> Plan:
    """Format only what holds nothing, mount only what is ours to mount, refuse everything else.

    A record says that we have begun to make a file system on this disk, and never knew it to end.
    """
    problem = (
        _size_problem(disk, volume_id, min_size_gib)
        or _place_problem(disk, place)
        or _use_problem(disk, place)
        or _read_problem(disk, volume_id)
    )
    if problem:
        return Plan(problem=problem)
    if set(disk.signatures) == {"xfs"} and not disk.partitions and not disk.unfinished:
        return Plan(steps=("forget",) if record.begun else (), filesystem_uuid=disk.filesystem_uuid)
    own = filesystem_uuid(volume_id)
    if _holds_nothing(disk):
        return Plan(steps=("record", "format", "forget"), filesystem_uuid=own)
    if record.begun and _holds_only_an_unfinished(disk, own, record):
        return Plan(steps=("note", "clear", "format", "forget"), filesystem_uuid=own)
    return Plan(problem=_content_problem(disk, volume_id, record))


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
    """One line for --diff."""
    return f"{disk.path}: {_gib(disk.size_bytes)}, {_contents(disk, Record())}\n"


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


def _read_problem(disk: Disk, volume_id: str) -> str:
    if not disk.unreadable:
        return ""
    return (
        f"{disk.path} cannot be read ({disk.unreadable}), so nobody knows what it holds; see the kernel's log (dmesg) "
        f"and the volume's state (aws ec2 describe-volume-status --volume-ids {volume_id}), repair the volume or "
        "attach another one, and run again"
    )


def _holds_nothing(disk: Disk) -> bool:
    return not disk.signatures and not disk.partitions and not disk.contents


def _holds_only_an_unfinished(disk: Disk, own: str, record: Record) -> bool:
    """Whether all that is there is what mkfs.xfs leaves when it is killed, which never was a file system.

    It writes the superblock with our UUID first and takes its mark "in progress" away last. Every block that it writes
    carries the UUID. Without the superblock those blocks may be a finished file system's whose head was lost, unless
    we have begun to clear them away, and with them the superblock.
    """
    headless = not disk.signatures and record.cleared
    ours = set(disk.signatures) == {"xfs"} and disk.unfinished and disk.filesystem_uuid == own
    return (headless or ours) and not disk.partitions and all(found.own for found in disk.contents)


def _content_problem(disk: Disk, volume_id: str, record: Record) -> str:
    return (
        f"{disk.path} is left as it is, because it holds {_contents(disk, record)}; only a disk that holds nothing "
        f"is formatted, and only a single XFS file system is mounted.{_record_note(disk, volume_id, record)}"
        f"{_look_further(disk, record)} Save what is on it; if it may be lost, make the file system yourself "
        f"(wipefs --all {disk.path} && mkfs.xfs {disk.path}) and run again"
    )


def _record_note(disk: Disk, volume_id: str, record: Record) -> str:
    if record.begun or not disk.unfinished:
        return ""
    return f" There is no record ({record_path(volume_id)}) that its mkfs.xfs was ours."


def _look_further(disk: Disk, record: Record) -> str:
    commands = [found.look.format(path=disk.path, offset=found.offset) for found in summary(_foreign(disk, record))]
    return f" Look further ({'; '.join(dict.fromkeys(commands))})." if commands else ""


def _foreign(disk: Disk, record: Record) -> list[Found]:
    """What the rest of the message does not tell: all but the blocks of an unfinished file system of our own."""
    return [found for found in disk.contents if not (found.own and (record.cleared or disk.unfinished))]


def _contents(disk: Disk, record: Record) -> str:
    signatures = [_meaning(found, disk.unfinished) for found in dict.fromkeys(disk.signatures)]
    partitions = [f"partition {name}" for name in disk.partitions]
    foreign = _foreign(disk, record)
    blocks = [f"{found.kind} at byte {found.offset}" for found in summary(foreign)]
    if blocks:
        blocks[-1] += f" (without a signature; of the blocks that were read {len(foreign)} are not zeros)"
    return ", ".join(filter(None, [*signatures, *partitions, *blocks])) or "nothing"


def _meaning(signature: str, unfinished: bool) -> str:
    state = "an unfinished" if unfinished and signature == "xfs" else "a"
    return MEANINGS.get(signature, f"{state} file system ({signature})")


def _gib(size: int) -> str:
    return f"{size / GIB:.4g} GiB"

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
from .findings import NOT_SHOWN, Finding, Words
from .fstab import Mount

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
# Of the files that lie where a disk belongs.
ENTRIES_SHOWN = 5


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
    """The place where the disk belongs: the device that is there now, or some of what lies in the bare directory."""

    path: str
    device_number: str = ""
    entries: tuple[str, ...] = ()


@dataclass(frozen=True)
class Volume:
    """A volume as a host shows it. One without a disk did not appear while it was waited for."""

    volume_id: str
    place: MountPoint
    waited_seconds: int = 0
    disk: Disk | None = None
    record: Record = Record()


@dataclass(frozen=True)
class Plan:
    """What may be done with the disk. Where it is not refused, it is mounted by `filesystem_uuid`."""

    steps: tuple[str, ...] = ()
    filesystem_uuid: str = ""
    refusals: tuple[Finding, ...] = ()


def volume_of(found: Mapping[str, Any]) -> Volume:
    """What host_state_info says of a volume."""
    place, disk = found["place"], found["disk"]
    if disk:
        lists = {name: tuple(value) for name, value in disk.items() if isinstance(value, list)}
        disk = Disk(**{**disk, **lists, "contents": tuple(Found(**block) for block in disk["contents"])})
    return Volume(
        volume_id=found["volume_id"],
        place=MountPoint(**{**place, "entries": tuple(place["entries"])}),
        waited_seconds=found["waited_seconds"],
        disk=disk,
        record=Record(**found["record"]),
    )


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


def plan_volume(found: Volume, min_size_gib: int) -> Plan:
    """Format only what holds nothing, mount only what is ours to mount, refuse everything else.

    A record says that we have begun to make a file system on this disk, and never knew it to end.
    """
    disk, record = found.disk, found.record
    if not disk:
        return Plan(refusals=(_absence_finding(found),))
    refusal = (
        _size_finding(disk, found.volume_id, min_size_gib)
        or _place_finding(disk, found.place)
        or _use_finding(disk, found)
        or _read_finding(disk, found.volume_id)
    )
    if refusal:
        return Plan(refusals=(refusal,))
    if set(disk.signatures) == {"xfs"} and not disk.partitions and not disk.unfinished:
        return Plan(steps=("forget",) if record.begun else (), filesystem_uuid=disk.filesystem_uuid)
    own = filesystem_uuid(found.volume_id)
    if _holds_nothing(disk):
        return Plan(steps=("record", "format", "forget"), filesystem_uuid=own)
    if record.begun and _holds_only_an_unfinished(disk, own, record):
        return Plan(steps=("note", "clear", "format", "forget"), filesystem_uuid=own)
    return Plan(refusals=(_content_finding(disk, found.volume_id, record),))


def describe(found: Volume) -> dict[str, Any]:
    """What the disk holds, for people, and the record that a file system is being made on it."""
    holds = _contents(found.disk, Record()) if found.disk else None
    return {"holds": holds, "record": record_path(found.volume_id) if found.record.begun else None}


def describe_planned(found: Volume, plan: Plan) -> dict[str, Any]:
    """The same of the disk as the plan's steps leave it."""
    holds = f"XFS {plan.filesystem_uuid}" if "format" in plan.steps else describe(found)["holds"]
    return {"holds": holds, "record": None}


def _absence_finding(found: Volume) -> Finding:
    link, volume_id = device_link(found.volume_id), found.volume_id
    return Finding(
        "volume_absent",
        volume_id,
        NOT_SHOWN,
        Words(
            f"{link} did not appear within {found.waited_seconds} seconds",
            f"{link}이(가) {found.waited_seconds}초 안에 나타나지 않았습니다",
        ),
        Words(
            f"See whether {volume_id} is attached to this instance (aws ec2 describe-volumes --volume-ids {volume_id}"
            "), attach it and run again.",
            f"이 인스턴스에 연결되어 있는지 보고(aws ec2 describe-volumes --volume-ids {volume_id}) 연결한 뒤 다시 "
            "실행하십시오.",
        ),
    )


def _size_finding(disk: Disk, volume_id: str, min_size_gib: int) -> Finding | None:
    if disk.size_bytes >= min_size_gib * GIB:
        return None
    enlarge = f"aws ec2 modify-volume --volume-id {volume_id} --size {min_size_gib}"
    return Finding(
        "volume_size",
        volume_id,
        NOT_SHOWN,
        Words(
            f"{disk.path} has {_gib(disk.size_bytes)}, but transcode_volume_size_gib asks for {min_size_gib} GiB",
            f"{disk.path}은(는) {_gib(disk.size_bytes)}이지만 transcode_volume_size_gib는 {min_size_gib} GiB입니다",
        ),
        Words(f"Enlarge the volume ({enlarge}) and run again.", f"볼륨을 늘리고({enlarge}) 다시 실행하십시오."),
    )


def _place_finding(disk: Disk, place: MountPoint) -> Finding | None:
    if place.device_number and place.device_number != disk.device_number:
        return Finding(
            "volume_place",
            "transcode_volume_mount_point",
            NOT_SHOWN,
            Words(
                f"another device ({place.device_number}) is mounted at {place.path}, where {disk.path} belongs",
                f"{disk.path}이(가) 있어야 할 {place.path}에 다른 장치({place.device_number})가 마운트되어 있습니다",
            ),
            Words(
                f"See what it is (findmnt {place.path}) and unmount it first.",
                f"무엇인지 보고(findmnt {place.path}) 먼저 마운트를 해제하십시오.",
            ),
        )
    if not place.device_number and place.entries:
        names = ", ".join(place.entries)
        return Finding(
            "volume_place",
            "transcode_volume_mount_point",
            NOT_SHOWN,
            Words(
                f"{place.path} is not mounted but holds {names}, which mounting would hide",
                f"{place.path}은(는) 마운트되어 있지 않은데 {names}이(가) 있어, 마운트하면 가려집니다",
            ),
            Words(
                "These files lie on the root disk: move them away and run again.",
                "루트 디스크에 있는 파일입니다. 다른 곳으로 옮기고 다시 실행하십시오.",
            ),
        )
    return None


def _use_finding(disk: Disk, found: Volume) -> Finding | None:
    place = found.place.path
    elsewhere = ", ".join(target for target in disk.mounted_at if target != place)
    if elsewhere:
        return Finding(
            "volume_use",
            found.volume_id,
            NOT_SHOWN,
            Words(
                f"{disk.path} is already mounted at {elsewhere} and belongs at {place}",
                f"{disk.path}은(는) {place}에 있어야 하지만 이미 {elsewhere}에 마운트되어 있습니다",
            ),
            Words(
                "Unmount it there and take it out of /etc/fstab.",
                "그곳의 마운트를 해제하고 /etc/fstab에서 지우십시오.",
            ),
        )
    if disk.users:
        users = ", ".join(disk.users)
        return Finding(
            "volume_use",
            found.volume_id,
            NOT_SHOWN,
            Words(f"{disk.path} is in use by {users}", f"{disk.path}을(를) {users}이(가) 사용하고 있습니다"),
            Words(
                f"This is not the disk for {place}, or free it first.",
                f"{place}에 쓸 디스크가 아니거나, 먼저 사용을 끝내야 합니다.",
            ),
        )
    return None


def _read_finding(disk: Disk, volume_id: str) -> Finding | None:
    if not disk.unreadable:
        return None
    see = f"aws ec2 describe-volume-status --volume-ids {volume_id}"
    return Finding(
        "volume_unreadable",
        volume_id,
        NOT_SHOWN,
        Words(
            f"{disk.path} cannot be read ({disk.unreadable}), so nobody knows what it holds",
            f"{disk.path}을(를) 읽을 수 없어({disk.unreadable}) 무엇이 들어 있는지 알 수 없습니다",
        ),
        Words(
            f"See the kernel's log (dmesg) and the volume's state ({see}), repair the volume or attach another one, "
            "and run again.",
            f"커널 로그(dmesg)와 볼륨 상태({see})를 보고, 볼륨을 고치거나 다른 볼륨을 연결한 뒤 다시 실행하십시오.",
        ),
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


def _content_finding(disk: Disk, volume_id: str, record: Record) -> Finding:
    contents, make = _contents(disk, record), f"wipefs --all {disk.path} && mkfs.xfs {disk.path}"
    note = _record_note(disk, volume_id, record)
    commands = [found.look.format(path=disk.path, offset=found.offset) for found in summary(_foreign(disk, record))]
    shown = "; ".join(dict.fromkeys(commands))
    look = Words(f"Look further ({shown}). ", f"더 자세히 보십시오({shown}). ") if shown else Words("", "")
    return Finding(
        "volume_content",
        volume_id,
        NOT_SHOWN,
        Words(
            f"{disk.path} is left as it is, because it holds {contents}; only a disk that holds nothing is formatted, "
            "and only a single XFS file system is mounted",
            f"{disk.path}에 다음이 있어 그대로 둡니다: {contents}; 아무것도 없는 디스크만 포맷하고, XFS 파일 시스템 "
            "하나만 있는 디스크만 마운트합니다",
        ),
        Words(
            f"{note.en}{look.en}Save what is on it; if it may be lost, make the file system yourself ({make}) and run "
            "again.",
            f"{note.ko}{look.ko}디스크에 있는 것을 보관하십시오. 없어져도 된다면 파일 시스템을 직접 만들고({make}) "
            "다시 실행하십시오.",
        ),
    )


def _record_note(disk: Disk, volume_id: str, record: Record) -> Words:
    if record.begun or not disk.unfinished:
        return Words("", "")
    path = record_path(volume_id)
    return Words(
        f"There is no record ({path}) that its mkfs.xfs was ours. ",
        f"mkfs.xfs를 우리가 시작했다는 기록({path})이 없습니다. ",
    )


def _foreign(disk: Disk, record: Record) -> list[Found]:
    """What the rest of the message does not tell: all but the blocks of an unfinished file system of our own."""
    return [found for found in disk.contents if not (found.own and (record.cleared or disk.unfinished))]


def _contents(disk: Disk, record: Record) -> str:
    signatures = [_meaning(found, disk.unfinished) for found in dict.fromkeys(disk.signatures)]
    partitions = [f"partition {name}" for name in disk.partitions]
    foreign = _foreign(disk, record)
    blocks = [f"{found.kind} at byte {found.offset}" for found in summary(foreign)]
    if blocks:
        count = sum(found.blocks for found in foreign)
        blocks[-1] += f" (without a signature; of the blocks that were read {count} are not zeros)"
    return ", ".join(filter(None, [*signatures, *partitions, *blocks])) or "nothing"


def _meaning(signature: str, unfinished: bool) -> str:
    state = "an unfinished" if unfinished and signature == "xfs" else "a"
    return MEANINGS.get(signature, f"{state} file system ({signature})")


def _gib(size: int) -> str:
    return f"{size / GIB:.4g} GiB"

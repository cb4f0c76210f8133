# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads what a host shows of its swap files and of the disks of its volumes. Decides nothing and writes nothing."""

from __future__ import annotations

import os
import stat
import time
import uuid
from collections.abc import Callable
from dataclasses import replace

from .disk_content import Found, condensed, inspect, probe_ranges
from .fstab import Mount, parse_mountinfo
from .host_state import meminfo_bytes
from .swap import DELETED, SwapFile, content_of, deleted_of, parse_swaps, signed_bytes
from .volume import (
    ENTRIES_SHOWN,
    XFS_HEAD_BYTES,
    Disk,
    MountPoint,
    Record,
    Volume,
    device_link,
    filesystem_uuid,
    mounted_device,
    parse_children,
    parse_record,
    parse_signatures,
    places,
    record_path,
    worth_reading,
    xfs_state,
)

# Runs a command and returns its output; fails where the command does.
Run = Callable[[list[str]], str]


def read_text(path: str) -> str:
    """A file as it stands: Python would take a carriage return for the end of a line. Empty where there is none."""
    try:
        with open(path, encoding="utf-8", errors="surrogateescape", newline="") as file:
            return file.read()
    except FileNotFoundError:
        return ""


def read_mounts() -> tuple[Mount, ...]:
    return parse_mountinfo(read_text("/proc/self/mountinfo"))


def read_swap_file(path: str) -> SwapFile:
    swaps = parse_swaps(read_text("/proc/swaps"))
    # A file may be named like that.
    deleted = () if os.path.lexists(f"{path}{DELETED}") else deleted_of(path, swaps)
    directory = os.path.dirname(path)
    if not os.path.isdir(directory):
        return SwapFile(path, deleted=deleted)
    disk = os.statvfs(directory)
    found = SwapFile(
        path,
        deleted=deleted,
        disk_free_bytes=disk.f_bavail * disk.f_frsize,
        memory_available_bytes=meminfo_bytes(read_text("/proc/meminfo"), "MemAvailable"),
    )
    try:
        status = os.lstat(path)
    except FileNotFoundError:
        return found
    if not stat.S_ISREG(status.st_mode):
        return replace(found, exists=True, regular=False)
    used = {swap.path: swap.used_bytes for swap in swaps}
    page_bytes = os.sysconf("SC_PAGE_SIZE")
    with open(path, "rb") as file:
        head = file.read(page_bytes)
    return replace(
        found,
        exists=True,
        private=status.st_uid == 0 and stat.S_IMODE(status.st_mode) == 0o600,
        size_bytes=status.st_size,
        allocated_bytes=status.st_blocks * 512,
        content=content_of(head, page_bytes),
        signed_bytes=signed_bytes(head, page_bytes),
        active=path in used,
        used_bytes=used.get(path, 0),
    )


def read_volume(run: Run, volume_id: str, mount_point: str, wait_seconds: int) -> Volume:
    """A volume's disk, for which it waits, the place where it belongs, and our own record of it."""
    link = device_link(volume_id)
    appeared = wait_for(link, wait_seconds)
    found = Volume(volume_id, read_mount_point(mount_point), wait_seconds)
    if not appeared:
        return found
    disk = read_disk(run, os.path.realpath(link))
    if worth_reading(disk):
        disk = read_contents(disk, uuid.UUID(filesystem_uuid(volume_id)).bytes)
    return replace(found, disk=disk, record=read_record(volume_id, disk))


def wait_for(link: str, seconds: int) -> bool:
    deadline = time.monotonic() + seconds
    while not os.path.exists(link):
        if time.monotonic() >= deadline:
            return False
        time.sleep(1)
    return True


def read_disk(run: Run, path: str) -> Disk:
    device = os.stat(path).st_rdev
    device_number = f"{os.major(device)}:{os.minor(device)}"
    partitions, users = parse_children(run(["lsblk", "--json", "--output", "NAME,TYPE", path]))
    with open(path, "rb") as file:
        head = file.read(XFS_HEAD_BYTES)
    found_uuid, unfinished = xfs_state(head)
    return Disk(
        path=path,
        device_number=device_number,
        size_bytes=int(run(["blockdev", "--getsize64", path])),
        signatures=parse_signatures(run(["wipefs", "--no-act", "--json", path])),
        partitions=partitions,
        filesystem_uuid=found_uuid,
        unfinished=unfinished,
        users=users,
        mounted_at=places(read_mounts(), device_number),
    )


def read_contents(disk: Disk, own_uuid: bytes) -> Disk:
    """Add what lies where a disk is read. It may be as quick as a second, and is done only where it decides."""
    contents: list[Found] = []
    offset = 0
    descriptor = os.open(disk.path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        # Nothing is read ahead, and nothing is believed that was read before somebody wrote past the cache.
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_RANDOM)
        for wanted in probe_ranges(disk.size_bytes):
            offset = wanted.offset
            data = os.pread(descriptor, wanted.length, offset)
            if len(data) < wanted.length:
                return replace(disk, unreadable=f"byte {offset + len(data)}: it ends there")
            contents += inspect(offset, data, own_uuid)
    except OSError as error:
        return replace(disk, unreadable=f"byte {offset}: {error.strerror}")
    finally:
        os.close(descriptor)
    return replace(disk, contents=tuple(condensed(contents)))


def read_record(volume_id: str, disk: Disk) -> Record:
    return parse_record(read_text(record_path(volume_id)), volume_id, disk.size_bytes)


def read_mount_point(path: str) -> MountPoint:
    device_number = mounted_device(read_mounts(), path)
    entries = () if device_number or not os.path.isdir(path) else sorted(os.listdir(path))[:ENTRIES_SHOWN]
    return MountPoint(path, device_number, tuple(entries))

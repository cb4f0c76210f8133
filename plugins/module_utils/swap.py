# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a swap file needs, decided from what a host shows: its first page, its size, /proc/swaps and /proc/meminfo."""

from __future__ import annotations

import os
import struct
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from .findings import NOT_SHOWN, Finding, Words
from .fstab import Entry, render, unescape
from .lines import lines, words

DELETED = " (deleted)"
MIB = 1024**2
GIB = 1024**3

SWAP_SIGNATURE = b"SWAPSPACE2"
# The header behind the boot block: version and number of the last page, in the byte order of the machine; bad pages,
# UUID and label follow.
HEADER_OFFSET = 1024
HEADER_BYTES = 44
NATIVE = "<" if sys.byteorder == "little" else ">"

# Where the kernel takes extents as swap that were allocated and never written (XFS since Linux 4.18: facts 4.5).
# Elsewhere they may count as holes, or cannot be allocated, as on ext3.
PREALLOCATING = ("xfs", "ext4")

# Kept free on the disk that carries the file: logs, packages and images go on being written there.
DISK_RESERVE_BYTES = 512 * MIB
# Kept free in memory when swapped pages come back.
MEMORY_RESERVE_BYTES = 64 * MIB


@dataclass(frozen=True)
class Swap:
    """A line of /proc/swaps: a file or partition, and how much of it is in use."""

    path: str
    kind: str
    size_bytes: int
    used_bytes: int


@dataclass(frozen=True)
class SwapFile:
    """One swap file, and the room around it. `private` means root's own, mode 0600.

    `content` is "swap", "blank" (zeros only) or "other". Where its directory is missing no space is free. `deleted` are
    files that lay at this path and were deleted while the kernel used them as swap.
    """

    path: str
    exists: bool = False
    regular: bool = True
    private: bool = True
    size_bytes: int = 0
    allocated_bytes: int = 0
    content: str = "blank"
    signed_bytes: int = 0
    active: bool = False
    used_bytes: int = 0
    deleted: tuple[Swap, ...] = ()
    disk_free_bytes: int | None = None
    memory_available_bytes: int = 0


@dataclass(frozen=True)
class Plan:
    """The steps that lead to the wanted swap file, in their order; none where it is refused."""

    steps: tuple[str, ...] = ()
    refusals: tuple[Finding, ...] = ()


def content_of(head: bytes, page_bytes: int) -> str:
    """What a file holds, by its first page (shorter where the file is)."""
    if head[page_bytes - len(SWAP_SIGNATURE) : page_bytes] == SWAP_SIGNATURE:
        return "swap"
    # What is left of a header whose signature was wiped is nobody's data.
    rest = head[:HEADER_OFFSET] + head[HEADER_OFFSET + HEADER_BYTES :]
    return "other" if rest.strip(b"\0") else "blank"


def signed_bytes(head: bytes, page_bytes: int) -> int:
    """How much of the file the swap signature covers; 0 without one."""
    if content_of(head, page_bytes) != "swap":
        return 0
    version, last_page = struct.unpack_from(f"{NATIVE}II", head, HEADER_OFFSET)
    return (last_page + 1) * page_bytes if version == 1 else 0


def parse_swaps(proc_swaps: str) -> tuple[Swap, ...]:
    """What swap is on, from /proc/swaps."""
    rows = map(words, lines(proc_swaps)[1:])
    return tuple(
        Swap(unescape(fields[0]), fields[1], int(fields[2]) * 1024, int(fields[3]) * 1024)
        for fields in rows
        if len(fields) >= 4
    )


def deleted_of(path: str, swaps: Iterable[Swap]) -> tuple[Swap, ...]:
    """What the kernel still uses of files that were deleted at a path: it shows them by a mark behind their name."""
    return tuple(swap for swap in swaps if swap.path == f"{path}{DELETED}")


def swap_file_of(found: Mapping[str, Any]) -> SwapFile:
    """What host_state_info says of a swap file."""
    return SwapFile(**{**found, "deleted": tuple(Swap(**swap) for swap in found["deleted"])})


def wanted_entry(path: str, size_bytes: int) -> Entry | None:
    """The line of fstab that turns the file on at every boot; none where the size is 0."""
    return Entry(path, "none", "swap", "sw") if size_bytes else None


def plan_swap(found: SwapFile, size_bytes: int, fstab: Iterable[Entry]) -> Plan:
    """What leads from the file as found to an active one of `size_bytes` that is entered in fstab; 0 removes both."""
    written = is_written(found, size_bytes)
    signed = written and found.signed_bytes == size_bytes
    refusals = _deleted_findings(found) or _directory_findings(found) or _content_findings(found)
    if not refusals and found.active and not signed:
        refusals = _memory_findings(found, size_bytes)
    if not refusals and size_bytes and not written:
        refusals = _disk_findings(found, size_bytes)
    if refusals:
        return Plan(refusals=tuple(refusals))
    entry = wanted_entry(found.path, size_bytes)
    wanted = {
        "turn off": found.active and not signed,
        "remove": found.exists and size_bytes == 0,
        "write": size_bytes > 0 and not written,
        "protect": size_bytes > 0 and found.exists and not found.private,
        "sign": size_bytes > 0 and not signed,
        "turn on": size_bytes > 0 and not (found.active and signed),
        "enter": own_entries(fstab, found.path) != ([entry] if entry else []),
    }
    return Plan(steps=tuple(step for step, needed in wanted.items() if needed))


def writing_command(path: str, size_mib: int, file_system: str) -> list[str]:
    """What gives an empty file its size without holes: at once where the file system can, else by writing zeros."""
    if file_system in PREALLOCATING:
        return ["fallocate", "--length", f"{size_mib}MiB", path]
    return ["dd", "if=/dev/zero", f"of={path}", "bs=1M", f"count={size_mib}", "conv=fsync"]


def own_entries(fstab: Iterable[Entry], path: str) -> list[Entry]:
    return [entry for entry in fstab if entry.source == path]


def is_written(found: SwapFile, size_bytes: int) -> bool:
    """Whether the file has its full size and no holes (the kernel refuses a swap file with holes)."""
    return found.exists and found.size_bytes == size_bytes > 0 and found.allocated_bytes >= size_bytes


def describe(found: SwapFile, fstab: Iterable[Entry]) -> dict[str, Any]:
    """The file and its line in fstab for people, field by field; None for what is not there."""
    file = {
        "size_mib": _mib(found.size_bytes),
        "holes": found.allocated_bytes < found.size_bytes,
        "signed_mib": _mib(found.signed_bytes),
        "private": found.private,
        "on": found.active,
    }
    entries = "; ".join(map(render, own_entries(fstab, found.path)))
    return {**(file if found.exists else dict.fromkeys(file)), "fstab": entries or None}


def describe_wanted(path: str, size_bytes: int) -> dict[str, Any]:
    """The same of the file as it should be."""
    entry = wanted_entry(path, size_bytes)
    if not entry:
        return describe(SwapFile(path), [])
    file = SwapFile(
        path, exists=True, size_bytes=size_bytes, allocated_bytes=size_bytes, signed_bytes=size_bytes, active=True
    )
    return describe(file, [entry])


def _deleted_findings(found: SwapFile) -> list[Finding]:
    return [
        Finding(
            "swap_file_deleted",
            "swap_file_path",
            NOT_SHOWN,
            Words(
                f"{found.path} was deleted while it was in use: the kernel goes on with it as swap "
                f"({_whole_mib(swap.used_bytes)} of {_whole_mib(swap.size_bytes)} in use, and its room on the disk is "
                "not free), and no command turns off a file without a name",
                f"{found.path}이(가) 사용 중에 삭제되었습니다. 커널은 계속 스왑으로 쓰고 있으며"
                f"({_whole_mib(swap.size_bytes)} 중 {_whole_mib(swap.used_bytes)} 사용, 디스크 공간도 비지 않음) "
                "이름이 없는 파일은 끌 수 없습니다",
            ),
            Words(
                "Only a boot ends that: reboot the host when its services can be spared, then run again, which makes a "
                "new file.",
                "부팅해야만 끝납니다. 서비스를 멈춰도 될 때 호스트를 재부팅하고 다시 실행하면 새 파일을 만듭니다.",
            ),
        )
        for swap in found.deleted
    ]


def _directory_findings(found: SwapFile) -> list[Finding]:
    if found.disk_free_bytes is not None:
        return []
    directory = os.path.dirname(found.path)
    return [
        Finding(
            "swap_directory",
            "swap_file_path",
            NOT_SHOWN,
            Words(
                f"there is no directory {directory} for the swap file",
                f"스왑 파일을 둘 디렉터리 {directory}가 없습니다",
            ),
            Words("Create it, or name another path.", "만들거나 다른 경로를 지정하십시오."),
        )
    ]


def _content_findings(found: SwapFile) -> list[Finding]:
    if not found.exists:
        return []
    if not found.regular:
        return [
            Finding(
                "swap_file_kind",
                "swap_file_path",
                NOT_SHOWN,
                Words(f"{found.path} is no regular file", f"{found.path}은(는) 일반 파일이 아닙니다"),
                Words("Name another path.", "다른 경로를 지정하십시오."),
            )
        ]
    if found.content == "other":
        return [
            Finding(
                "swap_file_content",
                "swap_file_path",
                NOT_SHOWN,
                Words(
                    f"{found.path} holds data that is no swap space, and it would be overwritten",
                    f"{found.path}에 스왑이 아닌 데이터가 있어 덮어쓰게 됩니다",
                ),
                Words(
                    "Look at it, then move it away or name another path.",
                    "확인한 뒤 다른 곳으로 옮기거나 다른 경로를 지정하십시오.",
                ),
            )
        ]
    return []


def _memory_findings(found: SwapFile, size_bytes: int) -> list[Finding]:
    if found.used_bytes + MEMORY_RESERVE_BYTES <= found.memory_available_bytes:
        return []
    before, after = _mib(found.size_bytes), _mib(size_bytes)
    used, available, reserve = map(_whole_mib, (found.used_bytes, found.memory_available_bytes, MEMORY_RESERVE_BYTES))
    return [
        Finding(
            "swap_memory",
            "swap_size_gib",
            NOT_SHOWN,
            Words(
                f"{found.path} must be turned off to change its size from {before} to {after} MiB, but {used} of it "
                f"are in use and only {available} of memory are available ({reserve} must stay so)",
                f"{found.path}의 크기를 {before} MiB에서 {after} MiB로 바꾸려면 꺼야 하지만, 그중 {used}가 사용 중이고 "
                f"쓸 수 있는 메모리는 {available}뿐입니다({reserve}는 남아야 합니다)",
            ),
            Words(
                "Stop a container on this host first, or leave swap_size_gib as it is.",
                "먼저 이 호스트의 컨테이너를 멈추거나 swap_size_gib를 그대로 두십시오.",
            ),
        )
    ]


def _disk_findings(found: SwapFile, size_bytes: int) -> list[Finding]:
    # Rewriting gives back what the old file holds.
    free = (found.disk_free_bytes or 0) + found.allocated_bytes
    if size_bytes + DISK_RESERVE_BYTES <= free:
        return []
    needed, reserve, left = map(_whole_mib, (size_bytes, DISK_RESERVE_BYTES, free))
    return [
        Finding(
            "swap_disk",
            "swap_size_gib",
            NOT_SHOWN,
            Words(
                f"{found.path} needs {needed} and {reserve} must stay free on its disk, but only {left} are free",
                f"{found.path}에 {needed}가 필요하고 디스크에 {reserve}가 남아야 하지만, {left}만 비어 있습니다",
            ),
            Words(
                "Do one of these: make room there, enlarge the volume, or lower swap_size_gib.",
                "공간을 확보하거나, 볼륨을 늘리거나, swap_size_gib를 줄이십시오.",
            ),
        )
    ]


def _mib(size: int) -> float:
    """Exact, so that sizes that differ are told as different."""
    return size // MIB if size % MIB == 0 else size / MIB


def _whole_mib(size: int) -> str:
    return f"{size // MIB} MiB"

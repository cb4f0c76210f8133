# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a swap file needs, decided from what a host shows: its first page, its size, /proc/swaps and /proc/meminfo."""

from __future__ import annotations

import struct
import sys
from dataclasses import dataclass

from .fstab import Entry, unescape, with_source
from .lines import lines, words

MIB = 1024**2
GIB = 1024**3

SWAP_SIGNATURE = b"SWAPSPACE2"
# The header behind the boot block: version and number of the last page, in the byte order of the machine; bad pages,
# UUID and label follow.
HEADER_OFFSET = 1024
HEADER_BYTES = 44
NATIVE = "<" if sys.byteorder == "little" else ">"

# Kept free on the disk that carries the file: logs, packages and images go on being written there.
DISK_RESERVE_BYTES = 512 * MIB
# Kept free in memory when swapped pages come back.
MEMORY_RESERVE_BYTES = 64 * MIB


@dataclass(frozen=True)
class SwapFile:
    """One swap file. `content` is "swap", "blank" (zeros only) or "other"; `private` means root's own, mode 0600."""

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


@dataclass(frozen=True)
class Swap:
    """A line of /proc/swaps: a file or partition, and how much of it is in use."""

    path: str
    kind: str
    size_bytes: int
    used_bytes: int


@dataclass(frozen=True)
class Room:
    """What the host has left."""

    disk_free_bytes: int
    memory_available_bytes: int


@dataclass(frozen=True)
class Plan:
    """The steps that lead to the wanted swap file, in their order; none where a problem stands in the way."""

    steps: tuple[str, ...] = ()
    problem: str = ""


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


def fstab_with(text: str, path: str, size_bytes: int) -> str:
    """fstab as it turns the file on at every boot, or as it no longer knows it where the size is 0."""
    return with_source(text, path, Entry(path, "none", "swap", "sw") if size_bytes else None)


def plan_swap(found: SwapFile, size_bytes: int, room: Room) -> Plan:
    """What leads from the file as found to an active one of `size_bytes`; 0 removes it."""
    written = is_written(found, size_bytes)
    signed = written and found.signed_bytes == size_bytes
    problem = _content_problem(found)
    if not problem and found.active and not signed:
        problem = _memory_problem(found, size_bytes, room)
    if not problem and size_bytes and not written:
        problem = _disk_problem(found, size_bytes, room)
    if problem:
        return Plan(problem=problem)
    wanted = {
        "turn off": found.active and not signed,
        "remove": found.exists and size_bytes == 0,
        "write": size_bytes > 0 and not written,
        "protect": size_bytes > 0 and found.exists and not found.private,
        "sign": size_bytes > 0 and not signed,
        "turn on": size_bytes > 0 and not (found.active and signed),
    }
    return Plan(steps=tuple(step for step, needed in wanted.items() if needed))


def is_written(found: SwapFile, size_bytes: int) -> bool:
    """Whether the file has its full size and no holes (the kernel refuses a swap file with holes)."""
    return found.exists and found.size_bytes == size_bytes > 0 and found.allocated_bytes >= size_bytes


def describe(found: SwapFile) -> str:
    """One line for --diff and messages."""
    if not found.exists:
        return f"{found.path}: absent\n"
    signature = f"signature over {_mib(found.signed_bytes)}" if found.signed_bytes else "no swap signature"
    access = "private" if found.private else "open to others"
    return f"{found.path}: {_mib(found.size_bytes)}, {signature}, {access}, {'on' if found.active else 'off'}\n"


def _content_problem(found: SwapFile) -> str:
    if not found.exists:
        return ""
    if not found.regular:
        return f"{found.path} is no regular file; name another path in swap_file_path"
    if found.content == "other":
        return (
            f"{found.path} holds data that is no swap space, and it would be overwritten; "
            "look at it, then move it away or name another path in swap_file_path"
        )
    return ""


def _memory_problem(found: SwapFile, size_bytes: int, room: Room) -> str:
    if found.used_bytes + MEMORY_RESERVE_BYTES <= room.memory_available_bytes:
        return ""
    return (
        f"{found.path} must be turned off to change its size from {_mib(found.size_bytes)} to {_mib(size_bytes)}, "
        f"but {_mib(found.used_bytes)} of it are in use and only {_mib(room.memory_available_bytes)} of memory are "
        f"available ({_mib(MEMORY_RESERVE_BYTES)} must stay so); stop a container on this host first, "
        "or leave swap_size_gib as it is"
    )


def _disk_problem(found: SwapFile, size_bytes: int, room: Room) -> str:
    # Rewriting gives back what the old file holds.
    free = room.disk_free_bytes + found.allocated_bytes
    if size_bytes + DISK_RESERVE_BYTES <= free:
        return ""
    return (
        f"{found.path} needs {_mib(size_bytes)} and {_mib(DISK_RESERVE_BYTES)} must stay free on its disk, "
        f"but only {_mib(free)} are free; make room there, enlarge the volume, or lower swap_size_gib"
    )


def _mib(size: int) -> str:
    return f"{size // MIB} MiB"

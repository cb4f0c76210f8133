# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A swap file: what is found decides every step, so that any half-way state is repaired."""

from __future__ import annotations

import struct
from dataclasses import replace

import pytest

from plugins.module_utils.swap import (
    GIB,
    HEADER_OFFSET,
    MIB,
    NATIVE,
    SWAP_SIGNATURE,
    Room,
    Swap,
    SwapFile,
    content_of,
    describe,
    fstab_with,
    parse_swaps,
    plan_swap,
    signed_bytes,
)

PAGE = 4096
PLENTY = Room(disk_free_bytes=20 * GIB, memory_available_bytes=GIB)
ABSENT = SwapFile("/swapfile")
ON = SwapFile(
    "/swapfile",
    exists=True,
    size_bytes=2 * GIB,
    allocated_bytes=2 * GIB,
    content="swap",
    signed_bytes=2 * GIB,
    active=True,
)
OFF = replace(ON, active=False)
UNSIGNED = replace(OFF, content="blank", signed_bytes=0)


def header(pages: int, version: int = 1) -> bytes:
    page = bytearray(PAGE)
    struct.pack_into(f"{NATIVE}II", page, HEADER_OFFSET, version, pages - 1)
    page[-len(SWAP_SIGNATURE) :] = SWAP_SIGNATURE
    return bytes(page)


@pytest.mark.parametrize(
    ("found", "gib", "steps"),
    [
        pytest.param(ABSENT, 2, ("write", "sign", "turn on"), id="nothing yet"),
        pytest.param(ON, 2, (), id="as wanted"),
        pytest.param(OFF, 2, ("turn on",), id="turned off by hand"),
        pytest.param(UNSIGNED, 2, ("sign", "turn on"), id="interrupted before mkswap"),
        pytest.param(
            replace(UNSIGNED, size_bytes=GIB, allocated_bytes=GIB), 2, ("write", "sign", "turn on"), id="half written"
        ),
        pytest.param(
            replace(UNSIGNED, size_bytes=0, allocated_bytes=0), 2, ("write", "sign", "turn on"), id="only just created"
        ),
        pytest.param(replace(OFF, allocated_bytes=MIB), 2, ("write", "sign", "turn on"), id="sparse"),
        pytest.param(replace(OFF, signed_bytes=GIB), 2, ("sign", "turn on"), id="signature too short"),
        pytest.param(replace(ON, signed_bytes=GIB), 2, ("turn off", "sign", "turn on"), id="on with a short signature"),
        pytest.param(replace(ON, private=False), 2, ("protect",), id="readable by others"),
        pytest.param(ON, 4, ("turn off", "write", "sign", "turn on"), id="grow"),
        pytest.param(ON, 1, ("turn off", "write", "sign", "turn on"), id="shrink"),
        pytest.param(ON, 0, ("turn off", "remove"), id="no longer wanted"),
        pytest.param(OFF, 0, ("remove",), id="removal interrupted"),
        pytest.param(ABSENT, 0, (), id="never wanted"),
    ],
)
def test_steps(found: SwapFile, gib: int, steps: tuple[str, ...]) -> None:
    plan = plan_swap(found, gib * GIB, PLENTY)
    assert (plan.steps, plan.problem) == (steps, "")


@pytest.mark.parametrize(
    ("found", "gib", "room", "says"),
    [
        (replace(ABSENT, exists=True, regular=False), 2, PLENTY, "no regular file"),
        (replace(UNSIGNED, content="other"), 2, PLENTY, "holds data that is no swap space"),
        (replace(UNSIGNED, content="other"), 0, PLENTY, "holds data that is no swap space"),
        (ABSENT, 2, replace(PLENTY, disk_free_bytes=2 * GIB), "only 2048 MiB are free"),
        (replace(ON, used_bytes=GIB), 4, PLENTY, "1024 MiB of it are in use and only 1024 MiB of memory"),
        (replace(ON, used_bytes=GIB), 0, PLENTY, "stop a container"),
    ],
)
def test_problems(found: SwapFile, gib: int, room: Room, says: str) -> None:
    plan = plan_swap(found, gib * GIB, room)
    assert plan.steps == ()
    assert says in plan.problem
    assert "/swapfile" in plan.problem


def test_memory_matters_only_when_turning_off() -> None:
    assert plan_swap(replace(ON, used_bytes=2 * GIB), 2 * GIB, PLENTY).problem == ""


def test_rewriting_counts_what_the_old_file_gives_back() -> None:
    assert plan_swap(OFF, 2 * GIB + MIB, replace(PLENTY, disk_free_bytes=GIB)).problem == ""


@pytest.mark.parametrize(
    ("head", "content", "signed"),
    [
        (b"", "blank", 0),
        (bytes(PAGE), "blank", 0),
        (b"\0" * 100 + b"data", "other", 0),
        (header(512), "swap", 512 * PAGE),
        (header(512, version=2), "swap", 0),
        (header(512).replace(SWAP_SIGNATURE, b"S1SUSPEND\0"), "other", 0),
        (header(512).replace(SWAP_SIGNATURE, bytes(len(SWAP_SIGNATURE))), "blank", 0),
    ],
)
def test_first_page(head: bytes, content: str, signed: int) -> None:
    assert (content_of(head, PAGE), signed_bytes(head, PAGE)) == (content, signed)


def test_a_line_of_proc_swaps_ends_at_a_line_feed_alone() -> None:
    name = "/var/a\u2028b\x85c\u00a0d"
    assert parse_swaps(f"Filename Type Size Used Priority\n{name}   file\t\t1024\t\t0\t\t-2\n") == (
        Swap(name, "file", 1024**2, 0),
    )


def test_proc_swaps_with_a_blank_in_a_name_and_a_deleted_file() -> None:
    listing = (
        "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n"
        "/var/swap/a\\040b                       file\t\t2097148\t\t1024\t\t-2\n"
        "/swapfile\\040(deleted)                 file\t\t2097148\t\t0\t\t-3\n"
    )
    assert parse_swaps(listing) == (
        Swap("/var/swap/a b", "file", 2097148 * 1024, MIB),
        Swap("/swapfile (deleted)", "file", 2097148 * 1024, 0),
    )


@pytest.mark.parametrize(
    ("before", "gib", "after"),
    [
        pytest.param("", 2, "/swapfile none swap sw 0 0\n", id="no fstab"),
        pytest.param("# kept\n/swapfile none swap sw 0 0\n", 2, None, id="there"),
        pytest.param("/swapfile\tnone  swap sw", 2, None, id="there in another spelling"),
        pytest.param("/swapfile none swap defaults 0 0\n", 2, "/swapfile none swap sw 0 0\n", id="changed by hand"),
        pytest.param(
            "#/swapfile none swap sw 0 0", 2, "#/swapfile none swap sw 0 0\n/swapfile none swap sw 0 0\n", id="off"
        ),
        pytest.param("/swapfile2 none swap sw 0 0\n", 0, None, id="another file's"),
        pytest.param("/a /a xfs\n/swapfile none swap sw 0 0\n", 0, "/a /a xfs\n", id="no longer wanted"),
    ],
)
def test_fstab(before: str, gib: int, after: str | None) -> None:
    assert fstab_with(before, "/swapfile", gib * GIB) == (before if after is None else after)


@pytest.mark.parametrize(
    ("found", "line"),
    [
        (ABSENT, "/swapfile: absent\n"),
        (ON, "/swapfile: 2048 MiB, signature over 2048 MiB, private, on\n"),
        (replace(UNSIGNED, private=False), "/swapfile: 2048 MiB, no swap signature, open to others, off\n"),
    ],
)
def test_description(found: SwapFile, line: str) -> None:
    assert describe(found) == line

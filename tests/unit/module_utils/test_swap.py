# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A swap file: what is found decides every step, so that any half-way state is repaired."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import replace

import pytest

from plugins.module_utils.findings import texts
from plugins.module_utils.fstab import Entry, parse_fstab
from plugins.module_utils.swap import (
    GIB,
    HEADER_OFFSET,
    MIB,
    NATIVE,
    SWAP_SIGNATURE,
    Swap,
    SwapFile,
    content_of,
    deleted_of,
    describe,
    describe_wanted,
    parse_swaps,
    plan_swap,
    signed_bytes,
    writing_command,
)

PAGE = 4096
ABSENT = SwapFile("/swapfile", disk_free_bytes=20 * GIB, memory_available_bytes=GIB)
ON = replace(
    ABSENT,
    exists=True,
    size_bytes=2 * GIB,
    allocated_bytes=2 * GIB,
    content="swap",
    signed_bytes=2 * GIB,
    active=True,
)
OFF = replace(ON, active=False)
UNSIGNED = replace(OFF, content="blank", signed_bytes=0)
ENTRY = Entry("/swapfile", "none", "swap", "sw")


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
    plan = plan_swap(found, gib * GIB, [ENTRY] if gib else [])
    assert (plan.steps, plan.refusals) == (steps, ())


@pytest.mark.parametrize(
    ("fstab", "gib", "steps"),
    [
        pytest.param("", 2, ("enter",), id="no fstab"),
        pytest.param("# kept\n/swapfile none swap sw 0 0\n", 2, (), id="there"),
        pytest.param("/swapfile\tnone  swap sw", 2, (), id="there in another spelling"),
        pytest.param("/swapfile none swap defaults 0 0\n", 2, ("enter",), id="changed by hand"),
        pytest.param("/swapfile none swap sw\n/swapfile none swap sw\n", 2, ("enter",), id="twice"),
        pytest.param("#/swapfile none swap sw 0 0", 2, ("enter",), id="off"),
        pytest.param("/swapfile2 none swap sw 0 0\n", 0, (), id="another file's"),
        pytest.param("/a /a xfs\n/swapfile none swap sw 0 0\n", 0, ("enter",), id="no longer wanted"),
    ],
)
def test_entry(fstab: str, gib: int, steps: tuple[str, ...]) -> None:
    assert plan_swap(ON if gib else ABSENT, gib * GIB, parse_fstab(fstab)).steps == steps


@pytest.mark.parametrize(
    ("found", "gib", "says"),
    [
        (SwapFile("/nowhere/swapfile"), 2, "there is no directory /nowhere for the swap file"),
        (replace(ABSENT, exists=True, regular=False), 2, "/swapfile is no regular file"),
        (replace(UNSIGNED, content="other"), 2, "/swapfile holds data that is no swap space"),
        (replace(UNSIGNED, content="other"), 0, "/swapfile holds data that is no swap space"),
        (
            replace(ABSENT, disk_free_bytes=2 * GIB),
            2,
            "swap_size_gib: /swapfile needs 2048 MiB and 512 MiB must stay free on its disk, but only 2048 MiB are "
            "free. Do one of these: make room there, enlarge the volume, or lower swap_size_gib.",
        ),
        (replace(ON, used_bytes=GIB), 4, "1024 MiB of it are in use and only 1024 MiB of memory"),
        (replace(ON, used_bytes=GIB), 0, "Stop a container"),
        (
            replace(ABSENT, deleted=(Swap("/swapfile (deleted)", "file", 2 * GIB, 50 * MIB),)),
            2,
            "swap_file_path: /swapfile was deleted while it was in use: the kernel goes on with it as swap (50 MiB of "
            "2048 MiB in use",
        ),
        (replace(ON, deleted=(Swap("/swapfile (deleted)", "file", GIB, 0),)), 2, "(0 MiB of 1024 MiB in use"),
        (replace(ABSENT, deleted=(Swap("/swapfile (deleted)", "file", GIB, 0),)), 0, "reboot the host"),
    ],
)
def test_refusals(found: SwapFile, gib: int, says: str) -> None:
    plan = plan_swap(found, gib * GIB, [])
    assert plan.steps == ()
    (text,) = texts(plan.refusals)
    assert says in text


def test_memory_matters_only_when_turning_off() -> None:
    assert plan_swap(replace(ON, used_bytes=2 * GIB), 2 * GIB, []).refusals == ()


def test_rewriting_counts_what_the_old_file_gives_back() -> None:
    assert plan_swap(replace(OFF, disk_free_bytes=GIB), 2 * GIB + MIB, []).refusals == ()


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


def test_a_deleted_file_is_known_by_its_path_and_the_mark_behind_it() -> None:
    listing = (
        "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n"
        "/swapfile                               file\t\t1024\t\t0\t\t-2\n"
        "/swapfile\\040(deleted)                 file\t\t2048\t\t512\t\t-3\n"
        "/data/swapfile\\040(deleted)            file\t\t2048\t\t0\t\t-4\n"
    )
    assert deleted_of("/swapfile", parse_swaps(listing)) == (Swap("/swapfile (deleted)", "file", 2 * MIB, MIB // 2),)


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


LINE = "/swapfile none swap sw 0 0"
NOTHING = dict.fromkeys(["size_mib", "holes", "signed_mib", "private", "on", "fstab"])
WANTED = {"size_mib": 2048, "holes": False, "signed_mib": 2048, "private": True, "on": True, "fstab": LINE}


@pytest.mark.parametrize(
    ("found", "fstab", "told"),
    [
        (ABSENT, [], NOTHING),
        (ABSENT, [ENTRY], {**NOTHING, "fstab": LINE}),
        (ON, [Entry("UUID=1", "/", "xfs"), ENTRY], WANTED),
        (ON, [ENTRY, ENTRY], {**WANTED, "fstab": f"{LINE}; {LINE}"}),
        (
            replace(UNSIGNED, size_bytes=GIB + 1, allocated_bytes=MIB, private=False),
            [],
            {"size_mib": 1024 + 1 / MIB, "holes": True, "signed_mib": 0, "private": False, "on": False, "fstab": None},
        ),
    ],
)
def test_description(found: SwapFile, fstab: Sequence[Entry], told: dict[str, object]) -> None:
    assert describe(found, fstab) == told


def test_what_is_wanted_is_described_in_the_same_way() -> None:
    assert describe_wanted("/swapfile", 2 * GIB) == WANTED
    assert describe_wanted("/swapfile", 0) == NOTHING


@pytest.mark.parametrize(
    ("file_system", "program"),
    [("xfs", "fallocate"), ("ext4", "fallocate"), ("ext3", "dd"), ("btrfs", "dd"), ("overlay", "dd")],
)
def test_space_is_only_allocated_where_the_kernel_takes_that_as_swap(file_system: str, program: str) -> None:
    assert writing_command("/swapfile", 2048, file_system)[0] == program

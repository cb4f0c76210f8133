# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What differs of a swap file is told field by field, wherever the module that keeps it has something to do."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

import pytest

from plugins.module_utils.findings import texts
from plugins.module_utils.fstab import Entry
from plugins.module_utils.plan import Plan, applied, diff, lines
from plugins.module_utils.plan.swap import ROLE
from plugins.module_utils.swap import GIB, MIB, SwapFile, plan_swap

PATH = "/swapfile"
ABSENT = SwapFile(PATH, disk_free_bytes=20 * GIB, memory_available_bytes=GIB)
ON = replace(
    ABSENT,
    exists=True,
    size_bytes=2 * GIB,
    allocated_bytes=2 * GIB,
    content="swap",
    signed_bytes=2 * GIB,
    active=True,
)
ENTRY = Entry(PATH, "none", "swap", "sw")


def inputs(size_gib: int) -> dict[str, Any]:
    return {"swap_file_path": PATH, "swap_size_gib": size_gib}


def decided(found: SwapFile, size_gib: int = 2, fstab: Sequence[Entry] = (ENTRY,)) -> Plan:
    state = {"swap_files": {PATH: asdict(found)}, "fstab": [asdict(entry) for entry in fstab]}
    return ROLE.decide(inputs(size_gib), state)


@pytest.mark.parametrize(
    ("found", "size_gib", "fstab", "told"),
    [
        pytest.param(ON, 2, [ENTRY], [], id="as wanted"),
        pytest.param(ABSENT, 0, [], [], id="never wanted"),
        pytest.param(ABSENT, 2, [], ["+ /swapfile: create"], id="new host"),
        pytest.param(ON, 0, [ENTRY], ["- /swapfile: remove"], id="no longer wanted"),
        pytest.param(ABSENT, 0, [ENTRY], ["- /swapfile: remove"], id="removal interrupted"),
        pytest.param(
            ON, 4, [ENTRY], ["~ /swapfile: size_mib: 2048 -> 4096", "~ /swapfile: signed_mib: 2048 -> 4096"], id="grow"
        ),
        pytest.param(replace(ON, active=False), 2, [ENTRY], ["~ /swapfile: on: false -> true"], id="turned off"),
        pytest.param(replace(ON, allocated_bytes=MIB), 2, [ENTRY], ["~ /swapfile: holes: true -> false"], id="sparse"),
        pytest.param(replace(ON, private=False), 2, [ENTRY], ["~ /swapfile: private: false -> true"], id="open"),
        pytest.param(ON, 2, [], ["~ /swapfile: fstab: none -> /swapfile none swap sw 0 0"], id="lost in fstab"),
    ],
)
def test_changes(found: SwapFile, size_gib: int, fstab: list[Entry], told: list[str]) -> None:
    plan = decided(found, size_gib, fstab)
    assert lines(plan.changes, "swap") == [f"{line} (guide §8.1; --tags swap)" for line in told]
    items = [{"name": PATH, "size_mib": size_gib * 1024, "reason": change.reason} for change in plan.changes]
    assert applied(plan.changes, ROLE.applies) == {"swap_files": items}


def test_a_new_file_is_shown_field_by_field() -> None:
    (change,) = decided(ABSENT, fstab=[]).changes
    shown = diff(change)
    assert shown["before"] == ""
    assert shown["after"] == (
        "size_mib: 2048\nholes: false\nsigned_mib: 2048\nprivate: true\non: true\nfstab: /swapfile none swap sw 0 0\n"
    )


def test_what_would_be_overwritten_is_refused() -> None:
    plan = decided(replace(ON, content="other", signed_bytes=0, active=False))
    assert not plan.changes
    assert "holds data that is no swap space" in texts(plan.refusals)[0]


def test_something_differs_exactly_where_the_module_has_something_to_do() -> None:
    sizes = (0, 4096, GIB, 2 * GIB, 2 * GIB + 1)
    files = [
        replace(ON, size_bytes=size, allocated_bytes=allocated, signed_bytes=signed, private=private, active=active)
        for size, allocated, signed in itertools.product(sizes, repeat=3)
        for private, active in itertools.product((True, False), repeat=2)
    ]
    for file, size_gib in itertools.product([ABSENT, *files], (0, 1, 2)):
        for fstab in ([], [ENTRY], [ENTRY, ENTRY], [replace(ENTRY, options="sw,noauto")]):
            assert bool(decided(file, size_gib, fstab).changes) == bool(plan_swap(file, size_gib * GIB, fstab).steps)

# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which of two containers serves, where the next one comes up, and whether there is room for it."""

from __future__ import annotations

from typing import Any

import pytest

from plugins.module_utils.proxy import configuration
from plugins.module_utils.slots import Overlap, holder_findings, next_slot, overlap_findings, serving_slot, used_mib

SLOTS = {"a": 8001, "b": 8002}
MIB = 1024**2
UP: dict[str, Any] = {"running_seconds": 60.0, "status": "running"}
AGAIN_AND_AGAIN: dict[str, Any] = {"running_seconds": 1.0, "status": "restarting"}
DOWN: dict[str, Any] = {"running_seconds": None, "status": "exited"}


@pytest.mark.parametrize(
    ("record", "containers", "serving"),
    [
        (configuration(8000, SLOTS, "b"), {"x-a": UP, "x-b": DOWN}, "b"),
        ("", {"x-a": UP, "x-b": DOWN}, "a"),
        ("", {"x-a": AGAIN_AND_AGAIN, "x-b": UP}, "b"),
        ("damaged", {"x-b": UP}, "b"),
        ("", {"x-a": UP, "x-b": UP}, ""),
        ("", {"x": UP}, ""),
        (configuration(8000, {"c": 8003, "d": 8004}, "c"), {"x-b": UP}, "b"),
    ],
)
def test_the_record_says_who_serves_and_else_the_only_one_that_runs(
    record: str, containers: dict[str, Any], serving: str
) -> None:
    assert serving_slot("x", SLOTS, record, containers) == serving


@pytest.mark.parametrize(
    ("serving", "differing", "is_up", "slot"),
    [
        ("", (), False, "a"),
        ("a", (), True, "a"),
        ("a", ("image",), True, "b"),
        ("b", ("environment",), True, "a"),
        ("b", ("memory_bytes", "restart_policy"), True, "b"),
        # Paused.
        ("b", ("state",), True, "b"),
        ("b", ("memory_bytes", "image"), True, "a"),
        # Nobody is served by it, so it need not wait for another one.
        ("b", ("image", "state"), False, "b"),
    ],
)
def test_a_container_that_serves_is_replaced_by_the_other_one(
    serving: str, differing: tuple[str, ...], is_up: bool, slot: str
) -> None:
    assert next_slot([*SLOTS], serving, differing, is_up=is_up) == slot


@pytest.mark.parametrize(
    ("overlap", "fits", "start_mib"),
    [
        (Overlap("h", 1904, 0, 200, 1400), True, 1304),
        (Overlap("h", 3900, 0, 200, 1400), True, 1400),
        (Overlap("h", 1904, 0, 752, 1400), True, 752),
        (Overlap("h", 1904, 0, 753, 1400), False, 751),
        (Overlap("h", 1904, 448, 600, 900), False, 456),
        (Overlap("h", 1904, 0, 200, 0), True, 0),
    ],
)
def test_both_fit_where_the_new_one_may_use_what_the_old_one_uses(overlap: Overlap, fits: bool, start_mib: int) -> None:
    assert overlap.fits is fits
    assert overlap.start_mib == start_mib
    found = overlap_findings("x", overlap)
    assert bool(found) is not fits
    assert all("deploy_allow_downtime=h" in finding.remedy.en for finding in found)


def test_less_than_nothing_is_not_free() -> None:
    (found,) = overlap_findings("x", Overlap("h", 1904, 1400, 200, 1400))
    assert found.found == "0 MiB"


def test_a_port_is_held_by_those_that_run_there_and_are_not_its_own() -> None:
    at = {
        "x-a": {**UP, "published_ports": ["127.0.0.1:8001:8000/tcp"]},
        "web": {**UP, "published_ports": ["0.0.0.0:18001:80/tcp", "[::]:8001:80/tcp"]},
        "near": {**UP, "published_ports": ["0.0.0.0:18001:8001/tcp"]},
        "down": {**DOWN, "published_ports": ["0.0.0.0:8001:80/tcp"]},
    }
    assert [holder.rule.en for holder in holder_findings(at, 8001, ["x-a"], "subject", "x-a")] == [
        "the container web holds port 8001, which x-a needs"
    ]


def test_what_containers_use_is_what_was_measured() -> None:
    found: dict[str, dict[str, Any]] = {
        "x-a": {"memory_used_bytes": 100 * MIB + 1},
        "x-b": {"memory_used_bytes": None},
        "y": {"memory_used_bytes": 50 * MIB},
    }
    assert used_mib(found, ["x-a", "x-b", "gone"]) == 101

# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Memory limits that bite before the kernel does."""

from __future__ import annotations

from typing import Any

import pytest

from plugins.module_utils.memory import container_findings, instance_memory_mib, running_limits_mib


@pytest.mark.parametrize(("shown", "nominal"), [(949, 1024), (1904, 2048), (3789, 4096), (4096, 4096)])
def test_memory_of_the_instance_type(shown: int, nominal: int) -> None:
    assert instance_memory_mib(shown) == nominal


@pytest.mark.parametrize(
    ("limit", "others", "total", "minimum"),
    [
        pytest.param(1500, {}, 1904, 0, id="fits"),
        pytest.param(1504, {}, 1904, 2048, id="fits exactly"),
        pytest.param(0, {"other": 9999}, 1904, 0, id="no limit of its own"),
        pytest.param(1500, {"web": 1500}, 1904, 0, id="its own predecessor does not count"),
        pytest.param(3200, {"ai": 0}, 3789, 4096, id="others without limit"),
    ],
)
def test_accepted(limit: int, others: dict[str, int], total: int, minimum: int) -> None:
    assert container_findings("web", limit, others, total, minimum) == []


@pytest.mark.parametrize(
    ("limit", "others", "total", "minimum", "says"),
    [
        pytest.param(1505, {}, 1904, 0, ["(web 1505 MiB) exceed 1504 MiB"], id="too much alone"),
        pytest.param(
            3200, {"ai": 1024}, 3789, 0, ["(web 3200 MiB, ai 1024 MiB) exceed 3389 MiB"], id="too much together"
        ),
        pytest.param(0, {}, 1904, 4096, ["needs an instance with 4096 MiB"], id="too small a type"),
        pytest.param(3200, {}, 1904, 4096, ["needs an instance", "exceed"], id="both at once"),
    ],
)
def test_refused(limit: int, others: dict[str, int], total: int, minimum: int, says: list[str]) -> None:
    findings = container_findings("web", limit, others, total, minimum)
    assert len(findings) == len(says)
    for finding, expected in zip(findings, says, strict=True):
        assert expected in finding.text_en


def test_only_what_runs_holds_memory() -> None:
    containers: dict[str, dict[str, Any]] = {
        "api": {"memory_bytes": 1400 * 1024**2, "running_seconds": 0},
        "free": {"memory_bytes": 0, "running_seconds": 9},
        "ended": {"memory_bytes": 512 * 1024**2, "running_seconds": None},
    }
    assert running_limits_mib(containers) == {"api": 1400, "free": 0}

# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which containers of a host count: those that run, and those that are meant to."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.academy.deploy.plugins.filter.memory_problems import problems


def host(**limits_mib: int) -> dict[str, Any]:
    containers = {name: {"memory_limit_mib": limit, "running_seconds": 9} for name, limit in limits_mib.items()}
    return {"memory_total_mib": 3800, "containers": containers}


@pytest.mark.parametrize(
    ("expected", "found", "refused"),
    [
        ({}, host(), ""),
        ({"video": 3000, "ai": 400}, host(), ""),
        ({"video": 3000, "ai": "401"}, host(), "video 3000 MiB, ai 401 MiB"),
        ({"video": 3000}, host(other=401), "video 3000 MiB, other 401 MiB"),
        # Its role lowers it in the same run.
        ({"video": 3000, "ai": 400}, host(ai=1200), ""),
    ],
)
def test_what_counts(expected: dict[str, int], found: dict[str, Any], refused: str) -> None:
    said = problems("video", 3000, expected, found, 0)
    assert len(said) == bool(refused)
    assert all(f"({refused}) exceed 3400 MiB" in problem for problem in said)

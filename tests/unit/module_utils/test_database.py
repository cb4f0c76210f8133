# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an instance's status says."""

from __future__ import annotations

import pytest

from plugins.module_utils.database import readiness, settled


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ("available", "ready"),
        ("storage-optimization", "ready"),
        ("creating", "busy"),
        ("modifying", "busy"),
        ("stopped", "broken"),
        ("incompatible-network", "broken"),
        ("inaccessible-encryption-credentials", "broken"),
    ],
)
def test_readiness(status: str, expected: str) -> None:
    assert readiness(status) == expected


def test_there_is_nothing_to_wait_for_where_there_is_nothing() -> None:
    assert settled([])
    assert settled([{"db_instance_status": "available"}])
    assert not settled([{"db_instance_status": "available"}, {"db_instance_status": "creating"}])

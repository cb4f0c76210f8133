# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an instance's status says."""

from __future__ import annotations

import pytest

from plugins.module_utils.database import readiness


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

# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an instance's status says: whether it can be changed now, later, or not without help."""

from __future__ import annotations

from typing import Literal

READY = {
    "available",
    "backing-up",
    "configuring-enhanced-monitoring",
    "configuring-log-exports",
    "storage-optimization",
}
BROKEN = {"deleting", "failed", "restore-error", "stopped", "stopping", "storage-full", "storage-config-upgrade-failed"}


def readiness(status: str) -> Literal["ready", "busy", "broken"]:
    """Whether an instance can be changed now, later, or not without help."""
    if status in READY:
        return "ready"
    return "broken" if status in BROKEN or status.startswith(("incompatible-", "inaccessible-")) else "busy"

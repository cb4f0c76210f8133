# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Decisions about waking and holding hosts, for templates."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible_collections.academy.deploy.plugins.module_utils.hold import (
    containers_on,
    heartbeats,
    hold_epoch,
    hold_runs_out,
    hold_until,
    is_brought_up,
    is_too_soon,
    wake_plan,
)


class FilterModule:
    def filters(self) -> dict[str, Callable[..., Any]]:
        return {
            "containers_on": containers_on,
            "heartbeats": heartbeats,
            "hold_epoch": hold_epoch,
            "hold_runs_out": hold_runs_out,
            "hold_until": hold_until,
            "is_brought_up": is_brought_up,
            "is_too_soon": is_too_soon,
            "wake_plan": wake_plan,
        }

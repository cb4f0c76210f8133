# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Decisions about drills, for templates."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible_collections.academy.deploy.plugins.module_utils.drill import drill_refusals, drill_report, drill_table
from ansible_collections.academy.deploy.plugins.module_utils.idle_stop import reduced_container


class FilterModule:
    def filters(self) -> dict[str, Callable[..., Any]]:
        return {
            "drill_refusals": drill_refusals,
            "drill_report": drill_report,
            "drill_table": drill_table,
            "idle_stop_container": reduced_container,
        }

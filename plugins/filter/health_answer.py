# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Thin filters over module_utils/opening.py."""

from __future__ import annotations

from collections.abc import Callable

from ..module_utils.opening import failure_told, health_answer, health_trial


class FilterModule:
    def filters(self) -> dict[str, Callable[..., object]]:
        return {"failure_told": failure_told, "health_answer": health_answer, "health_trial": health_trial}

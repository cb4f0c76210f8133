# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Thin filters over module_utils/opening.py."""

from __future__ import annotations

from collections.abc import Callable

from ..module_utils.opening import health_answer, health_told, health_trial


class FilterModule:
    def filters(self) -> dict[str, Callable[..., object]]:
        return {"health_answer": health_answer, "health_told": health_told, "health_trial": health_trial}

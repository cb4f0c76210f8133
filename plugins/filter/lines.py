# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Thin filter over module_utils/lines.py."""

from __future__ import annotations

from collections.abc import Callable

from ..module_utils.lines import lines


class FilterModule:
    def filters(self) -> dict[str, Callable[..., object]]:
        return {"lines": lines}

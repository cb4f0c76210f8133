# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whom the starter serves, for inventories."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible_collections.academy.deploy.plugins.module_utils.starter import starter_workers


class FilterModule:
    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"starter_workers": starter_workers}

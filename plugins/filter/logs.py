# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Decisions about log groups, for templates."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible_collections.academy.deploy.plugins.module_utils.logs import log_group_changes


class FilterModule:
    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"log_group_changes": log_group_changes}

# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Decisions about the network, for templates."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible_collections.academy.deploy.plugins.module_utils.security_groups import (
    operator_cidr_problems,
    security_group_changes,
    security_groups,
)


class FilterModule:
    def filters(self) -> dict[str, Callable[..., Any]]:
        return {
            "operator_cidr_problems": operator_cidr_problems,
            "security_group_changes": security_group_changes,
            "security_groups": security_groups,
        }

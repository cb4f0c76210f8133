# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Decisions about the database, for templates."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible_collections.academy.deploy.plugins.module_utils.database import (
    desired,
    desired_engine_version,
    differences,
    input_problems,
    password_problems,
    refusals,
    settled,
    subnet_group_changes,
)


class FilterModule:
    def filters(self) -> dict[str, Callable[..., Any]]:
        return {
            "database_desired": desired,
            "database_differences": differences,
            "database_engine_version": desired_engine_version,
            "database_input_problems": input_problems,
            "database_password_problems": password_problems,
            "database_refusals": refusals,
            "databases_settled": settled,
            "subnet_group_changes": subnet_group_changes,
        }

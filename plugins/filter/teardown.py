# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Decisions about a teardown, for templates."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible_collections.academy.deploy.plugins.module_utils.teardown import (
    confirmation_problems,
    costs,
    data_volumes,
    names_without_tags,
    queue_refusals,
    remains,
    removable_repositories,
    teardown_refusals,
    teardown_steps,
    unsaved_volumes,
)


class FilterModule:
    def filters(self) -> dict[str, Callable[..., Any]]:
        return {
            "confirmation_problems": confirmation_problems,
            "data_volumes": data_volumes,
            "removable_repositories": removable_repositories,
            "teardown_costs": costs,
            "teardown_names_without_tags": names_without_tags,
            "teardown_queue_refusals": queue_refusals,
            "teardown_refusals": teardown_refusals,
            "teardown_remains": remains,
            "teardown_steps": teardown_steps,
            "unsaved_volumes": unsaved_volumes,
        }

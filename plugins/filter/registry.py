# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Decisions about image repositories, for templates."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible_collections.academy.deploy.plugins.module_utils.names import repository_arn
from ansible_collections.academy.deploy.plugins.module_utils.registry import repository_changes, untagged_repositories


class FilterModule:
    def filters(self) -> dict[str, Callable[..., Any]]:
        return {
            "repository_arn": repository_arn,
            "repository_changes": repository_changes,
            "untagged_repositories": untagged_repositories,
        }

# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which log groups have to be made or mended."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .tags import own_tags


def log_group_changes(
    names: Sequence[str], retention_days: int, tags: Mapping[str, str], current: Sequence[Mapping[str, Any]]
) -> list[dict[str, str]]:
    """Each group that is not as it should be, with the reason; the rest is left alone."""
    found = {group["log_group_name"]: group for group in current}
    changes = []
    for name in names:
        group = found.get(name)
        if group is None:
            reason = "is missing"
        elif group.get("retention_in_days") != retention_days:
            reason = f"keeps its events {group.get('retention_in_days', 'for ever')} instead of {retention_days} days"
        elif own_tags(group.get("tags", {})) != dict(tags):
            reason = "has other tags"
        else:
            continue
        changes.append({"name": name, "reason": reason})
    return changes

# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which log groups have to be made or mended."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .changes import MISSING, reason, with_reasons
from .tags import own_tags


def log_group_changes(
    names: Sequence[str], retention_days: int, tags: Mapping[str, str], found: Mapping[str, Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """Each group that is not as it should be, with the reason; the rest is left alone."""
    return with_reasons(({"name": name}, _group_reason(retention_days, tags, found.get(name))) for name in names)


def _group_reason(retention_days: int, tags: Mapping[str, str], now: Mapping[str, Any] | None) -> str:
    if now is None:
        return MISSING
    return reason(
        [
            ("retention in days", now["retention_days"] or "for ever", retention_days),
            ("tags", own_tags(now["tags"]), dict(tags)),
        ]
    )

# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which image repositories have to be made or mended."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .changes import MISSING, reason, with_reasons
from .policies import as_text
from .tags import own_tags

Found = Mapping[str, Mapping[str, Any]]


def repository_changes(names: Sequence[str], lifecycle_policy: Mapping[str, Any], found: Found) -> list[dict[str, Any]]:
    """Each repository that is missing, whose tags can be moved, or that expires other images."""
    return with_reasons(({"name": name}, _repository_reason(lifecycle_policy, found.get(name))) for name in names)


def _repository_reason(lifecycle_policy: Mapping[str, Any], now: Mapping[str, Any] | None) -> str:
    if now is None:
        return MISSING
    return reason(
        [
            ("image tag mutability", now["image_tag_mutability"], "IMMUTABLE"),
            ("scan on push", now["scan_on_push"], False),
            ("lifecycle policy", as_text(now["lifecycle_policy"]), as_text(lifecycle_policy)),
        ]
    )


def untagged_repositories(names: Sequence[str], tags: Mapping[str, str], found: Found) -> list[str]:
    """The repositories, also those yet to be made, that do not carry these tags and no others."""
    return [name for name in names if name not in found or own_tags(found[name]["tags"]) != dict(tags)]

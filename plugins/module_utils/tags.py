# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which tags of a resource are anybody's to set."""

from __future__ import annotations

from collections.abc import Mapping

# AWS's own, from CloudFormation, Backup and others: nobody else can set or remove them.
RESERVED_PREFIX = "aws:"


def own_tags(found: Mapping[str, str]) -> dict[str, str]:
    """The tags of a resource without those that AWS keeps on it."""
    return {key: value for key, value in found.items() if not key.startswith(RESERVED_PREFIX)}

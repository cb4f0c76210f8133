# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which tags of a resource are anybody's to set."""

from __future__ import annotations

from collections.abc import Mapping

# AWS's own, from CloudFormation, Backup and others: nobody else can set or remove them.
RESERVED_PREFIX = "aws:"
# On an instance, set and removed while it is deployed to: until when its application may not stop it, and the release
# with which its containers were last brought up.
HOLD_TAG = "HoldUntil"
RELEASE_TAG = "Release"
DEPLOYMENT_TAGS = (HOLD_TAG, RELEASE_TAG)


def own_tags(found: Mapping[str, str]) -> dict[str, str]:
    """The tags of a resource without those that AWS keeps on it."""
    return {key: value for key, value in found.items() if not key.startswith(RESERVED_PREFIX)}


def role_tags(tags: Mapping[str, str], role: str) -> dict[str, str]:
    """The tags of what a role owns."""
    return {**tags, "Role": role}


def deployment_tags(found: Mapping[str, str]) -> dict[str, str]:
    """Those of an instance's tags that only a deployment to it sets."""
    return {key: value for key, value in found.items() if key in DEPLOYMENT_TAGS}


def standing_tags(found: Mapping[str, str]) -> dict[str, str]:
    """Those that an instance has whether it is deployed to or not."""
    return {key: value for key, value in own_tags(found).items() if key not in DEPLOYMENT_TAGS}

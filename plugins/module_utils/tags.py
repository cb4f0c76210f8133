# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which tags of a resource are anybody's to set."""

from __future__ import annotations

import re
from collections.abc import Mapping

from .findings import Finding, Words

# AWS's own, from CloudFormation, Backup and others: nobody else can set or remove them.
RESERVED_PREFIX = "aws:"
# On an instance, set and removed while it is deployed to: until when its application may not stop it, and the release
# with which its containers were last brought up.
HOLD_TAG = "HoldUntil"
RELEASE_TAG = "Release"
DEPLOYMENT_TAGS = (HOLD_TAG, RELEASE_TAG)


# What the metadata service shows of an instance it has as the name of a document.
SHOWN_KEY = re.compile(r"(?!(\.|\.\.|_index)$)[a-zA-Z0-9+=.,_:@-]+")


def shown_findings(tags: Mapping[str, str]) -> list[Finding]:
    """Keys that EC2 refuses of an instance whose metadata service shows its tags."""
    rule = Words(
        "keys must be of letters, digits and +-=.,_:@, because the host reads its tags of the metadata service",
        "호스트가 메타데이터 서비스에서 태그를 읽으므로 키는 영문자, 숫자, +-=.,_:@로만 이루어져야 합니다",
    )
    remedy = Words("Name it without blanks and slashes.", "공백과 빗금 없이 이름을 지으십시오.")
    return [
        Finding("instance_tags", "deployment_tags", key, rule, remedy) for key in tags if not SHOWN_KEY.fullmatch(key)
    ]


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

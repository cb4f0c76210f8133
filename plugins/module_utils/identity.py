# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What each kind of host needs to do in AWS, and the name of its role."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def kinds_of_hosts(
    services: Mapping[str, Mapping[str, Any]], groups: Mapping[str, Sequence[str]], kinds: Mapping[str, str]
) -> dict[str, dict[str, Any]]:
    """What each kind of host may do: what the services on its hosts need, each of which is a group of hosts."""
    permissions: dict[str, dict[str, Any]] = {}
    for service, needs in services.items():
        for kind in dict.fromkeys(kinds[host] for host in groups.get(service, [])):
            may = permissions.setdefault(kind, {})
            for key, need in needs.items():
                has = may.get(key)
                may[key] = bool(has) or need if isinstance(need, bool) else list(dict.fromkeys([*(has or []), *need]))
    return permissions


def role_name(deployment_name: str, kind: str) -> str:
    """The role of a kind of host; its instance profile carries the same name."""
    return f"{deployment_name}-{kind}-role"

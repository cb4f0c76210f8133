# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Kinds of hosts, for inventories."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ansible_collections.academy.deploy.plugins.module_utils.identity import kinds_of_hosts


def identity_kinds(
    services: Mapping[str, Mapping[str, Any]],
    groups: Mapping[str, Sequence[str]],
    hostvars: Mapping[str, Mapping[str, Any]],
) -> dict[str, dict[str, Any]]:
    """From the services and the groups of their hosts to what each kind of host may do."""
    hosts = {host for service in services for host in groups.get(service, [])}
    kinds: dict[str, dict[str, Any]] = kinds_of_hosts(
        services, groups, {host: hostvars[host]["instance_kind"] for host in hosts}
    )
    return kinds


class FilterModule:
    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"identity_kinds": identity_kinds}

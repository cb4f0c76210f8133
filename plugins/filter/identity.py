# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Decisions about roles and their policies, for templates."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from ansible_collections.academy.deploy.plugins.module_utils.identity import (
    Deployment,
    host_policy,
    inline_policy_changes,
    kind_roles,
    kinds_of_hosts,
    profile_changes,
    role_changes,
    role_name,
)


def policy_changes(
    kinds: Mapping[str, Mapping[str, Any]],
    roles: Mapping[str, Mapping[str, Any]],
    deployment_name: str,
    region: str,
    account_id: str,
) -> list[dict[str, Any]]:
    """From the roles that exist to the inline policies to be written or removed."""
    deployment = Deployment(deployment_name, region, account_id)
    return [
        asdict(change)
        for kind, permissions in kinds.items()
        for name in [role_name(deployment_name, kind)]
        for change in inline_policy_changes(
            name,
            f"{deployment_name}-host",
            host_policy(permissions, deployment),
            roles[name]["inline_policies"] if name in roles else None,
        )
    ]


def identity_kinds(
    services: Mapping[str, Mapping[str, Any]],
    groups: Mapping[str, Sequence[str]],
    hostvars: Mapping[str, Mapping[str, Any]],
) -> dict[str, dict[str, Any]]:
    """From the services and the groups of their hosts to what each kind of host may do."""
    hosts = {host for service in services for host in groups.get(service, [])}
    return kinds_of_hosts(services, groups, {host: hostvars[host]["instance_kind"] for host in hosts})


class FilterModule:
    def filters(self) -> dict[str, Callable[..., Any]]:
        return {
            "host_role_name": role_name,
            "identity_kinds": identity_kinds,
            "inline_policy_changes": policy_changes,
            "kind_roles": kind_roles,
            "profile_changes": profile_changes,
            "role_changes": role_changes,
        }

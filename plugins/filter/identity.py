# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Decisions about roles and their policies, for templates."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from ansible_collections.academy.deploy.plugins.module_utils.identity import (
    STARTER,
    Deployment,
    host_policy,
    inline_policy_changes,
    kind_roles,
    kinds_of_hosts,
    profile_changes,
    role_changes,
    role_name,
    starter_policy,
    starter_role,
)


def policy_changes(
    kinds: Mapping[str, Mapping[str, Any]],
    roles: Mapping[str, Mapping[str, Any]],
    deployment_name: str,
    region: str,
    account_id: str,
    *,
    starter_log_group: str,
) -> list[dict[str, Any]]:
    """From the roles that exist to the inline policies to be written or removed; the starter's come last."""
    deployment = Deployment(deployment_name, region, account_id)
    policies = [(kind, "host", host_policy(may, deployment)) for kind, may in kinds.items()]
    policies += [(STARTER, STARTER, starter_policy(kinds, starter_log_group, deployment))]
    return [
        asdict(change)
        for kind, suffix, document in policies
        for name in [role_name(deployment_name, kind)]
        for change in inline_policy_changes(
            name,
            f"{deployment_name}-{suffix}",
            document,
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
    kinds: dict[str, dict[str, Any]] = kinds_of_hosts(
        services, groups, {host: hostvars[host]["instance_kind"] for host in hosts}
    )
    return kinds


class FilterModule:
    def filters(self) -> dict[str, Callable[..., Any]]:
        return {
            "host_role_name": role_name,
            "identity_kinds": identity_kinds,
            "inline_policy_changes": policy_changes,
            "kind_roles": kind_roles,
            "profile_changes": profile_changes,
            "role_changes": role_changes,
            "starter_role": starter_role,
        }

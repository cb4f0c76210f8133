# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Thin filter over module_utils/placement.py."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ..module_utils.placement import Host, placement_refusals


def shared_types(hosts: Sequence[str], hostvars: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """The types of hosts with more than one service."""
    return sorted({hostvars[host]["instance_type"] for host in hosts if len(hostvars[host]["host_services"]) > 1})


def refusals(
    hosts: Sequence[str], hostvars: Mapping[str, Mapping[str, Any]], types: Mapping[str, Mapping[str, Any]]
) -> list[str]:
    """What is wrong with the hosts; those without a service are none of ours."""
    return placement_refusals(
        [_host(name, hostvars[name]) for name in hosts if hostvars[name]["host_services"]],
        {name: found["memory_mib"] for name, found in types.items()},
    )


def _host(name: str, variables: Mapping[str, Any]) -> Host:
    services, stopping = variables["host_services"], variables["host_stopping_services"]
    return Host(
        name,
        variables["instance_type"],
        _boolean(variables["instance_may_be_stopped"]),
        [service for service in services if service not in stopping],
        stopping,
        _boolean(variables["worker_heartbeat"]),
        {service: int(limit) for service, limit in variables["host_memory_limits_mib"].items()},
    )


def _boolean(value: object) -> bool:
    """Also one that comes as text, from -e."""
    return str(value).lower() in ("true", "yes", "1")


class FilterModule:
    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"placement_refusals": refusals, "shared_instance_types": shared_types}

# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Thin filters over module_utils/placement.py."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from ..module_utils.hold import is_brought_up
from ..module_utils.placement import THRESHOLD, Host, SharedHost, neighbour_refusals, placement_refusals


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


def beside(
    container: str,
    neighbours: Mapping[str, str],
    found: Mapping[str, Mapping[str, Any]],
    *,
    host: str,
    settings: Collection[str],
    watchdog: str,
    run: Mapping[str, Any],
) -> list[str]:
    """What is wrong with a container beside its neighbours, by service, and the containers of its host.

    `watchdog` is the content of the watchdog's settings there. `run` has the `tags` and `skip_tags` of the run, and
    whether it only `checks`: then the watchdog has not been told what it would be.
    """
    told = run["checks"] and is_brought_up(["watchdog"], run["tags"], run["skip_tags"])
    followed = [service for service in neighbours if is_brought_up([service], run["tags"], run["skip_tags"])]
    watched = [container, *neighbours.values()] if told else _watched(watchdog)
    return neighbour_refusals(SharedHost(host, neighbours, followed, found, watched), container, settings)


def _watched(watchdog: str) -> Collection[str]:
    try:
        return frozenset(json.loads(watchdog)["heartbeat_files"])
    except (ValueError, TypeError, KeyError):
        return frozenset()


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
        _thresholds(variables, services),
    )


def _thresholds(variables: Mapping[str, Any], services: Sequence[str]) -> list[str]:
    """The variables of a host by which somebody sets the threshold. Of no container in particular there is none."""
    environments = ["worker_environment", *(f"{service}_environment" for service in services)]
    return [
        *(name for name in ["container_idle_stop_threshold"] if int(variables[name])),
        *(name for name in environments if THRESHOLD in variables.get(name, {})),
    ]


def _boolean(value: object) -> bool:
    """Also one that comes as text, from -e."""
    return str(value).lower() in ("true", "yes", "1")


class FilterModule:
    def filters(self) -> dict[str, Callable[..., Any]]:
        return {
            "neighbour_refusals": beside,
            "placement_refusals": refusals,
            "shared_instance_types": shared_types,
        }

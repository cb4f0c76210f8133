# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which services get along on one host."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .memory import limits_refusals

# A container that has it stops its host when it alone has nothing to do.
THRESHOLD = "EC2_IDLE_STOP_THRESHOLD"
WATCHDOG_SETTINGS = "/etc/academy/watchdog.json"


@dataclass(frozen=True)
class Host:
    """What stands on a host, by the inventory."""

    name: str
    instance_type: str
    may_be_stopped: bool
    # Those that must always run, and those that stop their host when there is nothing to do.
    always_on: Sequence[str]
    stopping: Sequence[str]
    heartbeat: bool
    # Of each service's container; 0 is none.
    limits_mib: Mapping[str, int]
    # Variables by which somebody gives its containers the threshold, which follows from its services.
    thresholds: Sequence[str] = ()


@dataclass(frozen=True)
class SharedHost:
    """What a host shows to a worker that is about to be run there beside others that stop it."""

    name: str
    # The others' containers, by service, and the services that this run brings up too.
    neighbours: Mapping[str, str]
    followed: Collection[str]
    # Its containers, as host_state_info shows them, and those that its watchdog knows.
    found: Mapping[str, Mapping[str, Any]]
    watched: Collection[str]


def placement_refusals(hosts: Sequence[Host], memory_mib: Mapping[str, int]) -> list[str]:
    """What is wrong with all of them. Types of unknown memory are not judged."""
    return [
        problem
        for host in hosts
        for problem in [
            *_stop_refusals(host),
            *limits_refusals(host.name, host.limits_mib, host.instance_type, memory_mib.get(host.instance_type)),
        ]
    ]


def _stop_refusals(host: Host) -> list[str]:
    problems = []
    stopping, always_on = " and ".join(host.stopping), " and ".join(host.always_on)
    if host.stopping and host.always_on:
        problems.append(
            f"{host.name}: {stopping} would stop this host when there is nothing to do, but {always_on} must always "
            "run. Give them a host each: take this one out of one of these groups in hosts.yml."
        )
    elif host.may_be_stopped != bool(host.stopping):
        what = f"{stopping} stops it" if host.stopping else f"{always_on} must always run"
        problems.append(
            f"instance_may_be_stopped: {str(host.may_be_stopped).lower()} for {host.name}, but {what}. Do not set it: "
            "it follows from the services of the host."
        )
    if len(host.stopping) > 1 and not host.heartbeat:
        problems.append(
            f"worker_heartbeat: false, but {stopping} share {host.name}, which may be stopped only when all of them "
            "are idle. Set it to true, or give them a host each."
        )
    if host.thresholds and len(host.stopping) != 1:
        rule = f"{stopping} stop it together" if host.stopping else f"{always_on} must always run"
        problems.append(
            f"{' and '.join(host.thresholds)}: sets {THRESHOLD} for {host.name}, but {rule}. Take it out: a worker "
            "that stops its host alone gets worker_idle_stop_threshold."
        )
    return problems


def neighbour_refusals(host: SharedHost, container: str, settings: Collection[str]) -> list[str]:
    """Why a worker with these names in its environment may not be run there: one of them could stop the host alone."""
    if not host.neighbours:
        return []
    alone = [
        name
        for service, name in host.neighbours.items()
        if service not in host.followed and THRESHOLD in host.found.get(name, {}).get("environment_names", [])
    ]
    unknown = [name for name in (container, *host.neighbours.values()) if name not in host.watched]
    mend = f"Run playbooks/configure.yml --limit {host.name}, without --tags."
    problems = []
    if THRESHOLD in settings:
        problems.append(
            f"{container} has {THRESHOLD} among its settings, but shares {host.name} with "
            f"{', '.join(host.neighbours)}: take it out."
        )
    if alone:
        problems.append(
            f"{host.name}: {', '.join(alone)} has {THRESHOLD} from before {container} came, and would stop the host "
            f"under its jobs. {mend}"
        )
    if unknown:
        problems.append(
            f"{host.name}: {WATCHDOG_SETTINGS} does not name {', '.join(unknown)}, so nobody would know when all are "
            f"idle. {mend}"
        )
    return problems

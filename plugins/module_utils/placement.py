# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which services get along on one host."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from .memory import limits_refusals


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
    return problems

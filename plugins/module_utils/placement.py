# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which containers on a host keep a worker from being run there."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

# A container that has it stops its host when it alone has nothing to do.
THRESHOLD = "EC2_IDLE_STOP_THRESHOLD"
WATCHDOG_SETTINGS = "/etc/academy/watchdog.json"


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

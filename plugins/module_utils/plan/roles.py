# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The roles that have a decision here."""

from __future__ import annotations

from collections.abc import Mapping

from . import (
    Role,
    ai_worker,
    alarms,
    certificate,
    container,
    database,
    docker,
    host_update,
    identity,
    instance,
    load_balancer,
    logs,
    network,
    placement,
    proxy,
    queues,
    registry,
    starter,
    swap,
    teardown,
    transcode_volume,
    watchdog,
)

# What a deployment consists of, in the order in which it is made: site.yml runs and the preflight judges all of these.
ROLES: Mapping[str, Role] = {
    "placement": placement.ROLE,
    "network": network.ROLE,
    "identity": identity.ROLE,
    "queues": queues.ROLE,
    "logs": logs.ROLE,
    "database": database.ROLE,
    "registry": registry.ROLE,
    "instance": instance.ROLE,
    "certificate": certificate.ROLE,
    "load_balancer": load_balancer.ROLE,
    "starter": starter.ROLE,
    "alarms": alarms.ROLE,
    "swap": swap.ROLE,
    "transcode_volume": transcode_volume.ROLE,
    "docker": docker.ROLE,
    "watchdog": watchdog.ROLE,
    "proxy": proxy.ROLE,
    "ai_worker": ai_worker.ROLE,
    "container": container.ROLE,
}

# And what updates its hosts, or ends it, which nobody but their own playbooks ask.
DECISIONS: Mapping[str, Role] = {**ROLES, "host_update": host_update.ROLE, "teardown": teardown.ROLE}

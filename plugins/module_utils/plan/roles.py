# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The roles that have a decision here, in the order in which they run."""

from __future__ import annotations

from collections.abc import Mapping

from . import (
    Role,
    alarms,
    database,
    docker,
    identity,
    instance,
    logs,
    network,
    placement,
    queues,
    registry,
    starter,
    swap,
    transcode_volume,
    watchdog,
)

ROLES: Mapping[str, Role] = {
    "placement": placement.ROLE,
    "network": network.ROLE,
    "identity": identity.ROLE,
    "queues": queues.ROLE,
    "database": database.ROLE,
    "registry": registry.ROLE,
    "logs": logs.ROLE,
    "instance": instance.ROLE,
    "starter": starter.ROLE,
    "alarms": alarms.ROLE,
    "swap": swap.ROLE,
    "transcode_volume": transcode_volume.ROLE,
    "docker": docker.ROLE,
    "watchdog": watchdog.ROLE,
}

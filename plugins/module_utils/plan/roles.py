# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The roles that have a decision here, in the order in which they run."""

from __future__ import annotations

from collections.abc import Mapping

from . import Role, instance, logs, placement, queues, registry

ROLES: Mapping[str, Role] = {
    "placement": placement.ROLE,
    "queues": queues.ROLE,
    "registry": registry.ROLE,
    "logs": logs.ROLE,
    "instance": instance.ROLE,
}

# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which workers the starter serves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def starter_workers(services: Mapping[str, Mapping[str, Any]], groups: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """Of each service whose hosts stop themselves: the queues that it empties, and its hosts in the inventory.

    Not of each kind of host: of one kind, some may serve another's queues too, and only those are started for it.
    """
    return {
        service: {"queues": list(needs["receives_from"]), "hosts": list(groups[service])}
        for service, needs in services.items()
        if needs["stops_itself"] and groups.get(service)
    }

# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Thin filters over module_utils/placement.py."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping
from typing import Any

from ..module_utils.hold import is_brought_up
from ..module_utils.placement import SharedHost, neighbour_refusals


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


class FilterModule:
    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"neighbour_refusals": beside}

# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host's watchdog needs, decided from what the host shows: files, units, and the age of what runs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .host_state import path_differences

UNIT_DIRECTORY = "/etc/systemd/system/"
# The program's count begins anew where two looks are more than three minutes apart.
LOOK_SECONDS_MAX = 120
# Of the two minutes that a Spot instance has after its notice, some pass until it is seen.
RELEASE_SECONDS_MAX = 110


def watchdog_problems(settings: Mapping[str, Any], look_seconds: int) -> list[str]:
    """What makes no sense, each with the variable, the rule and what was found."""
    broken, window = settings["broken_seconds"], settings["restart_window_seconds"]
    workers = sorted(settings["heartbeat_files"])
    rules = [
        ("watchdog_workers", "must name at least one container", workers, workers),
        ("worker_idle_stop_threshold", "must be at least 1", settings["idle_polls"], settings["idle_polls"] >= 1),
        (
            "watchdog_broken_minutes",
            "must be more than watchdog_restart_window_minutes, or one restart would power the host off",
            broken / 60,
            broken > window,
        ),
        (
            "watchdog_look_seconds",
            f"must be 1 to {LOOK_SECONDS_MAX}, or no look would follow another closely enough",
            look_seconds,
            1 <= look_seconds <= LOOK_SECONDS_MAX,
        ),
        (
            "watchdog_release_seconds",
            f"must be 1 to {RELEASE_SECONDS_MAX}, because a Spot instance has two minutes",
            settings["release_seconds"],
            1 <= settings["release_seconds"] <= RELEASE_SECONDS_MAX,
        ),
    ]
    return [f"{name}: {rule}, found {found}. Change it." for name, rule, found, holds in rules if not holds]


@dataclass(frozen=True)
class Changes:
    """What is to be done, in this order; everything is empty where the watchdog is as wanted."""

    stop: list[str]
    directories: list[dict[str, Any]]
    files: list[dict[str, Any]]
    absent: list[dict[str, Any]]
    reload: bool
    start: list[str]
    restart: list[str]


def plan_watchdog(
    state: Mapping[str, Any], paths: Iterable[Mapping[str, Any]], units: Sequence[Mapping[str, Any]]
) -> Changes:
    """From what host_state_info found to what is to be done.

    A unit has its `name`, whether it is `wanted`, and `uses`: the paths that a running one has read. One whose stop
    does something lists none: it is never restarted.
    """
    differing = path_differences(state["paths"], paths)
    changed = {want["path"] for want in differing if {"kind", "sha256"} & {*want["differs"]}}
    wanted = [unit for unit in units if unit["wanted"]]
    start = [unit["name"] for unit in wanted if not _is_up(state["units"][unit["name"]])]
    return Changes(
        stop=[unit["name"] for unit in units if not unit["wanted"] and _is_there(state["units"][unit["name"]])],
        directories=_of_kind(differing, "directory"),
        files=_of_kind(differing, "file"),
        absent=_of_kind(differing, "absent"),
        reload=any(path.startswith(UNIT_DIRECTORY) for path in changed)
        or any(found["need_daemon_reload"] for found in state["units"].values()),
        start=start,
        restart=[unit["name"] for unit in wanted if unit["name"] not in start and _is_outdated(unit, state, changed)],
    )


def _is_up(unit: Mapping[str, Any]) -> bool:
    return bool(unit["active_state"] == "active" and unit["unit_file_state"] == "enabled")


def _is_there(unit: Mapping[str, Any]) -> bool:
    return bool(unit["load_state"] != "not-found")


def _is_outdated(unit: Mapping[str, Any], state: Mapping[str, Any], changed: set[str]) -> bool:
    """Whether it runs with another version of what it has read, whoever changed that and when."""
    entered = state["units"][unit["name"]]["active_enter_seconds"] or 0
    return any(path in changed or int(state["paths"][path].get("mtime", 0)) > entered for path in unit["uses"])


def _of_kind(differing: Iterable[Mapping[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [dict(want) for want in differing if want.get("kind", "file") == kind]

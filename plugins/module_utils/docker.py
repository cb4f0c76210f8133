# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host's Docker needs, decided from what the host shows: packages, files, unit, and the age of what runs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .host_state import missing_packages, path_differences

UNIT = "docker.service"
CONFIGURATION = "/etc/docker/daemon.json"
# Written when the daemon starts: a configuration that is newer does not run yet, whoever changed it and when.
PID_FILE = "/run/docker.pid"
UNIT_DIRECTORY = "/etc/systemd/system/"


@dataclass(frozen=True)
class Changes:
    """What is to be done; everything is empty where Docker is as wanted."""

    packages: list[str]
    directories: list[dict[str, Any]]
    files: list[dict[str, Any]]
    absent: list[dict[str, Any]]
    reload: bool
    start: bool
    restart: bool


def plan_docker(state: Mapping[str, Any], packages: Sequence[str], paths: Iterable[Mapping[str, Any]]) -> Changes:
    """From what host_state_info found to what is to be done, in the order of the fields."""
    missing = missing_packages(state["packages"], packages)
    differing = path_differences(state["paths"], paths)
    unit = state["units"][UNIT]
    drop_in_differs = any(want["path"].startswith(UNIT_DIRECTORY) for want in differing)
    return Changes(
        packages=missing,
        directories=_of_kind(differing, "directory"),
        files=_of_kind(differing, "file"),
        absent=_of_kind(differing, "absent"),
        reload=unit["need_daemon_reload"] or drop_in_differs or bool(missing),
        start=bool(missing) or unit["active_state"] != "active" or unit["unit_file_state"] != "enabled",
        restart=_restart(state, differing),
    )


def _restart(state: Mapping[str, Any], differing: Iterable[Mapping[str, Any]]) -> bool:
    """Whether the daemon runs and does not know its configuration. One that does not run reads it when it starts."""
    if state["units"][UNIT]["active_state"] != "active":
        return False
    rewritten = any(want["path"] == CONFIGURATION and {"kind", "sha256"} & {*want["differs"]} for want in differing)
    configuration, pid_file = state["paths"][CONFIGURATION], state["paths"][PID_FILE]
    newer = (
        configuration["kind"] != "absent"
        and pid_file["kind"] != "absent"
        and configuration["mtime"] > pid_file["mtime"]
    )
    return rewritten or newer


def _of_kind(differing: Iterable[Mapping[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [dict(want) for want in differing if want.get("kind", "file") == kind]

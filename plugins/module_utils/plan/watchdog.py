# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What powers a worker host off when its application cannot stop it, and has jobs given back before it goes."""

from __future__ import annotations

import json
from typing import Any

from ..findings import NOT_SHOWN, Finding, Words
from ..host_paths import CONFIGURATION_DIRECTORY, HEARTBEAT, WATCHDOG_SETTINGS, heartbeat_directory
from ..role_inputs import range_findings
from ..services import ROWS, stopping_containers
from . import Change, Plan, Role, Rule, Values, host

WHY = "guide §8"
# The program's count begins anew where two looks are more than three minutes apart.
LOOK_SECONDS_MAX = 120
# Of the two minutes that a Spot instance has after its notice, some pass until it is seen.
RELEASE_SECONDS_MAX = 110
IDLE_POLLS_MAX = 1000
LEFTOVER_HOURS_MAX = 24 * 365

PROGRAM_DIRECTORY = "/usr/local/lib/academy"
PROGRAM_FILE = "academy_watchdog.py"
PROGRAM = f"{PROGRAM_DIRECTORY}/{PROGRAM_FILE}"
RELEASE, LOOK, TIMER, NOTICE = (
    "academy-release.service",
    "academy-watchdog.service",
    "academy-watchdog.timer",
    "academy-spot-notice.service",
)


def _workers(inputs: Values) -> list[str]:
    """The containers that stop the host when they have nothing to do."""
    return [*stopping_containers(inputs["services"], inputs["group_names"]).values()]


def settings(inputs: Values) -> dict[str, Any]:
    """What the program reads."""
    return {
        # Where the role that runs the containers has them write.
        "heartbeat_files": {name: f"{heartbeat_directory(name)}/{HEARTBEAT}" for name in _workers(inputs)},
        "broken_seconds": round(inputs["watchdog_broken_minutes"] * 60),
        "grace_seconds": round(inputs["watchdog_boot_grace_minutes"] * 60),
        "restart_window_seconds": round(inputs["watchdog_restart_window_minutes"] * 60),
        "heartbeat_seconds": inputs["watchdog_heartbeat_seconds"],
        "idle_polls": inputs["worker_idle_stop_threshold"],
        "release_seconds": inputs["watchdog_release_seconds"],
        "scratch_directory": inputs["watchdog_scratch_directory"],
        "leftover_seconds": inputs["watchdog_leftover_hours"] * 3600,
    }


def worker_findings(inputs: Values) -> list[Finding]:
    if _workers(inputs):
        return []
    rule = Words("no service of this host stops it", "이 호스트를 중지하는 서비스가 없습니다")
    remedy = Words(
        "Run the role elsewhere, or set stops_itself in the row of a service.",
        "다른 호스트에서 실행하거나 서비스의 행에 stops_itself를 설정하십시오.",
    )
    return [Finding("watchdog_workers", "services", NOT_SHOWN, rule, remedy)]


def window_findings(broken_minutes: float, window_minutes: float) -> list[Finding]:
    if broken_minutes > window_minutes:
        return []
    rule = Words(
        "must be more than watchdog_restart_window_minutes, or one restart would power the host off",
        "watchdog_restart_window_minutes보다 커야 합니다. 아니면 재시작 한 번으로 호스트가 꺼집니다",
    )
    name = "watchdog_broken_minutes"
    return [Finding(name, name, str(broken_minutes), rule, Words("Change it.", "고치십시오."))]


def look_findings(seconds: int) -> list[Finding]:
    why = Words(", or no look would follow another closely enough", ": 더 길면 점검 사이가 너무 벌어집니다")
    return range_findings("watchdog_look_seconds", seconds, 1, LOOK_SECONDS_MAX, why)


def release_findings(seconds: int) -> list[Finding]:
    why = Words(", because a Spot instance has two minutes", ": 스팟 인스턴스에는 2분이 있습니다")
    return range_findings("watchdog_release_seconds", seconds, 1, RELEASE_SECONDS_MAX, why)


def threshold_findings(polls: int) -> list[Finding]:
    return range_findings("worker_idle_stop_threshold", polls, 1, IDLE_POLLS_MAX)


def leftover_findings(hours: int) -> list[Finding]:
    return range_findings("watchdog_leftover_hours", hours, 1, LEFTOVER_HOURS_MAX)


def _unit_path(name: str) -> str:
    return f"{host.UNIT_DIRECTORY}{name}"


def paths(inputs: Values) -> list[dict[str, Any]]:
    """What the role keeps, all of it root's. A directory stands before what is in it."""
    texts = inputs["texts"]
    units = {RELEASE: True, LOOK: True, TIMER: True, NOTICE: inputs["watchdog_spot_notice"]}
    return [
        {"path": PROGRAM_DIRECTORY, "kind": "directory", "mode": "0755"},
        # With the containers' environment files in it.
        {"path": CONFIGURATION_DIRECTORY, "kind": "directory", "mode": "0700"},
        {"path": PROGRAM, "kind": "file", "mode": "0644", "content": texts[f"files/{PROGRAM_FILE}"]},
        {
            "path": WATCHDOG_SETTINGS,
            "kind": "file",
            "mode": "0644",
            "content": json.dumps(settings(inputs), indent=4, sort_keys=True) + "\n",
        },
        *(
            {
                "path": _unit_path(name),
                "kind": "file" if wanted else "absent",
                "mode": "0644",
                "content": texts[f"templates/{name}.j2"],
            }
            for name, wanted in units.items()
        ),
    ]


def units(inputs: Values) -> dict[str, tuple[bool, tuple[str, ...]]]:
    """Whether each is wanted, and the paths that a running one has read.

    The end of the first is the end of the containers: it is never restarted.
    """
    return {
        RELEASE: (True, ()),
        TIMER: (True, (_unit_path(TIMER),)),
        NOTICE: (inputs["watchdog_spot_notice"], (PROGRAM, _unit_path(NOTICE))),
    }


def reads(inputs: Values) -> Values:
    return host.reads(paths(inputs), units=[*units(inputs)])


def decide(inputs: Values, found: Values) -> Plan:
    refusals = worker_findings(inputs)
    if refusals:
        return Plan(refusals)
    files = host.path_changes(found, paths(inputs), WHY)
    changes: list[Change] = []
    for name, (wanted, uses) in units(inputs).items():
        outdated = next((path for path in uses if host.is_rewritten(files, path) or _is_newer(path, name, found)), "")
        changes += host.unit_changes(name, found, WHY, wanted=wanted, outdated=outdated)
    return Plan(changes=[*files, *changes])


def _is_newer(path: str, unit: str, found: Values) -> bool:
    """Whether a file has changed since the unit was started, whoever changed it and when."""
    return int(found["paths"][path].get("mtime", 0)) > (found["units"][unit]["active_enter_seconds"] or 0)


ROLE = Role(
    reads,
    decide,
    applies=host.APPLIES,
    rules=(
        ROWS,
        Rule(threshold_findings, ("worker_idle_stop_threshold",)),
        Rule(window_findings, ("watchdog_broken_minutes", "watchdog_restart_window_minutes")),
        Rule(look_findings, ("watchdog_look_seconds",)),
        Rule(release_findings, ("watchdog_release_seconds",)),
        Rule(leftover_findings, ("watchdog_leftover_hours",)),
    ),
    on_host=True,
    texts=(f"files/{PROGRAM_FILE}", *(f"templates/{name}.j2" for name in (RELEASE, LOOK, TIMER, NOTICE))),
)

# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whatever of the watchdog was removed, changed or stopped by hand leads to exactly the step that brings it back."""

from __future__ import annotations

import hashlib
from copy import deepcopy
from dataclasses import asdict
from typing import Any

import pytest

from plugins.module_utils.watchdog import plan_watchdog, watchdog_problems

PROGRAM, TIMER = "/usr/local/lib/program.py", "/etc/systemd/system/look.timer"
NOTICE, RELEASE = "/etc/systemd/system/notice.service", "/etc/systemd/system/release.service"
WANTED: list[dict[str, Any]] = [
    {"path": "/usr/local/lib", "kind": "directory", "mode": "0755"},
    *({"path": path, "kind": "file", "mode": "0644", "content": "x"} for path in (PROGRAM, TIMER, NOTICE, RELEASE)),
]
UNITS: list[dict[str, Any]] = [
    {"name": "release.service", "wanted": True, "uses": []},
    {"name": "look.timer", "wanted": True, "uses": [TIMER]},
    {"name": "notice.service", "wanted": True, "uses": [PROGRAM, NOTICE]},
]
NAMES = [unit["name"] for unit in UNITS]
FILE = {
    "kind": "file",
    "owner": "root",
    "group": "root",
    "mode": "0644",
    "sha256": hashlib.sha256(b"x").hexdigest(),
    "mtime": 100.9,
}
UNIT = {
    "load_state": "loaded",
    "active_state": "active",
    "unit_file_state": "enabled",
    "need_daemon_reload": False,
    "active_enter_seconds": 100,
}
STATE: dict[str, Any] = {
    "paths": {want["path"]: {**FILE, **({"mode": "0755"} if want["kind"] == "directory" else {})} for want in WANTED},
    "units": dict.fromkeys(NAMES, UNIT),
}
STATE["paths"]["/usr/local/lib"]["kind"] = "directory"
ABSENT = {"load_state": "not-found", "active_state": "inactive", "unit_file_state": "", "active_enter_seconds": None}
NEW: dict[str, Any] = {
    "paths": {want["path"]: {"kind": "absent"} for want in WANTED},
    "units": {name: {**UNIT, **ABSENT} for name in NAMES},
}


def state(part: str, name: str, **changes: object) -> dict[str, Any]:
    """The state as wanted, but for one thing."""
    changed = deepcopy(STATE)
    changed[part][name] = {**changed[part][name], **changes}
    return changed


def needed(changes: Any) -> dict[str, Any]:
    """What is to be done, in short."""
    steps = asdict(changes)
    paths = {kind: [want["path"] for want in steps[kind]] for kind in ("directories", "files", "absent")}
    return {name: value for name, value in {**steps, **paths}.items() if value}


@pytest.mark.parametrize(
    ("found", "steps"),
    [
        pytest.param(STATE, {}, id="as wanted"),
        pytest.param(
            NEW,
            {
                "directories": ["/usr/local/lib"],
                "files": [PROGRAM, TIMER, NOTICE, RELEASE],
                "reload": True,
                "start": NAMES,
            },
            id="a new host",
        ),
        pytest.param(
            state("paths", PROGRAM, sha256="y"),
            {"files": [PROGRAM], "restart": ["notice.service"]},
            id="another program",
        ),
        pytest.param(state("paths", PROGRAM, mode="0666"), {"files": [PROGRAM]}, id="a writable program"),
        pytest.param(
            state("paths", PROGRAM, mtime=101.1), {"restart": ["notice.service"]}, id="a program newer than what runs"
        ),
        pytest.param(
            state("paths", TIMER, sha256="y"),
            {"files": [TIMER], "reload": True, "restart": ["look.timer"]},
            id="another timer",
        ),
        pytest.param(
            state("paths", RELEASE, sha256="y"),
            {"files": [RELEASE], "reload": True},
            id="what ends the containers is never restarted",
        ),
        pytest.param(state("units", "look.timer", active_state="inactive"), {"start": ["look.timer"]}, id="stopped"),
        pytest.param(
            state("units", "notice.service", unit_file_state="disabled"), {"start": ["notice.service"]}, id="disabled"
        ),
        pytest.param(state("units", "look.timer", need_daemon_reload=True), {"reload": True}, id="not read yet"),
    ],
)
def test_each_difference_has_its_step(found: dict[str, Any], steps: dict[str, Any]) -> None:
    assert needed(plan_watchdog(found, WANTED, UNITS)) == steps


@pytest.mark.parametrize(
    ("found", "steps"),
    [
        (STATE, {"stop": ["notice.service"], "absent": [NOTICE], "reload": True}),
        ({**NEW, "paths": {**STATE["paths"], NOTICE: {"kind": "absent"}}}, {"start": NAMES[:2]}),
    ],
    ids=["there", "gone"],
)
def test_what_is_not_asked_for_goes(found: dict[str, Any], steps: dict[str, Any]) -> None:
    paths = [{**want, "kind": "absent"} if want["path"] == NOTICE else want for want in WANTED]
    units = [{**unit, "wanted": unit["name"] != "notice.service"} for unit in UNITS]
    assert needed(plan_watchdog(found, paths, units)) == steps


SETTINGS: dict[str, Any] = {
    "heartbeat_files": {"video": "/f"},
    "broken_seconds": 900,
    "restart_window_seconds": 300,
    "idle_polls": 5,
    "release_seconds": 90,
}


@pytest.mark.parametrize(
    ("changes", "look_seconds", "says"),
    [
        ({}, 60, []),
        ({"heartbeat_files": {}}, 60, ["watchdog_workers: must name at least one container"]),
        ({"idle_polls": 0}, 60, ["worker_idle_stop_threshold: must be at least 1, found 0"]),
        ({"broken_seconds": 300}, 60, ["watchdog_broken_minutes: must be more than watchdog_restart_window_minutes"]),
        ({}, 121, ["watchdog_look_seconds: must be 1 to 120"]),
        ({"release_seconds": 111}, 0, ["watchdog_look_seconds", "watchdog_release_seconds: must be 1 to 110"]),
    ],
)
def test_what_makes_no_sense_is_refused(changes: dict[str, Any], look_seconds: int, says: list[str]) -> None:
    found = watchdog_problems({**SETTINGS, **changes}, look_seconds)
    assert len(found) == len(says)
    assert all(problem.startswith(wanted) for problem, wanted in zip(found, says, strict=True))

# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whatever of the watchdog was removed, changed or stopped by hand leads to exactly the step that brings it back."""

from __future__ import annotations

import hashlib
import json
from copy import deepcopy
from typing import Any

import pytest

from plugins.module_utils.host_paths import WATCHDOG_SETTINGS
from plugins.module_utils.plan import applied
from plugins.module_utils.plan.watchdog import LOOK, NOTICE, PROGRAM, RELEASE, ROLE, TIMER, paths
from tests.unit.rows import row

INPUTS: dict[str, Any] = {
    "services": {"video_worker": row("video", stops_itself=True), "api": row("api")},
    "group_names": ["video_worker"],
    "watchdog_broken_minutes": 15.0,
    "watchdog_boot_grace_minutes": 10.0,
    "watchdog_restart_window_minutes": 5.0,
    "watchdog_heartbeat_seconds": 180,
    "watchdog_look_seconds": 60,
    "watchdog_release_seconds": 90,
    "watchdog_scratch_directory": "/mnt/transcode",
    "watchdog_leftover_hours": 24,
    "watchdog_spot_notice": True,
    "worker_idle_stop_threshold": 5,
    "texts": dict.fromkeys(ROLE.texts, "x"),
}
WANTED = {want["path"]: want for want in paths(INPUTS)}
NAMES = [RELEASE, TIMER, NOTICE]
UNITS = "/etc/systemd/system/"
DIRECTORIES = ["/usr/local/lib/academy", "/etc/academy"]


def as_wanted(want: dict[str, Any]) -> dict[str, Any]:
    found = {"kind": want["kind"], "owner": "root", "group": "root", "mode": want["mode"], "mtime": 100.9}
    text = want.get("content", "")
    return {**found, "sha256": hashlib.sha256(text.encode()).hexdigest(), "content": text}


UNIT = {
    "load_state": "loaded",
    "active_state": "active",
    "unit_file_state": "enabled",
    "need_daemon_reload": False,
    "active_enter_seconds": 100,
}
STATE: dict[str, Any] = {
    "paths": {path: as_wanted(want) for path, want in WANTED.items()},
    "units": dict.fromkeys(NAMES, UNIT),
}
ABSENT = {"load_state": "not-found", "active_state": "inactive", "unit_file_state": "", "active_enter_seconds": None}
NEW: dict[str, Any] = {
    "paths": {path: {"kind": "absent"} for path in WANTED},
    "units": {name: {**UNIT, **ABSENT} for name in NAMES},
}


def state(part: str, name: str, **changes: object) -> dict[str, Any]:
    """The state as wanted, but for one thing."""
    changed = deepcopy(STATE)
    changed[part][name] = {**changed[part][name], **changes}
    return changed


def needed(found: dict[str, Any], **inputs: Any) -> dict[str, Any]:
    """What the tasks get, in short."""
    items = applied(ROLE.decide({**INPUTS, **inputs}, found).changes, ROLE.applies)
    return {name: [item["name"] for item in listed] for name, listed in items.items() if listed}


@pytest.mark.parametrize(
    ("found", "steps"),
    [
        pytest.param(STATE, {}, id="as wanted"),
        pytest.param(
            NEW,
            {
                "directories": DIRECTORIES,
                "files": [PROGRAM, WATCHDOG_SETTINGS, *(UNITS + name for name in (RELEASE, LOOK, TIMER, NOTICE))],
                "reloaded": [UNITS + name for name in (RELEASE, LOOK, TIMER, NOTICE)],
                "started": NAMES,
            },
            id="a new host",
        ),
        pytest.param(
            state("paths", PROGRAM, sha256="y"), {"files": [PROGRAM], "restarted": [NOTICE]}, id="another program"
        ),
        pytest.param(state("paths", PROGRAM, mode="0666"), {"files": [PROGRAM]}, id="a writable program"),
        pytest.param(state("paths", PROGRAM, mtime=101.1), {"restarted": [NOTICE]}, id="newer than what runs"),
        pytest.param(
            state("paths", WATCHDOG_SETTINGS, sha256="y"), {"files": [WATCHDOG_SETTINGS]}, id="other settings"
        ),
        pytest.param(
            state("paths", UNITS + TIMER, sha256="y"),
            {"files": [UNITS + TIMER], "reloaded": [UNITS + TIMER], "restarted": [TIMER]},
            id="another timer",
        ),
        pytest.param(
            state("paths", UNITS + RELEASE, sha256="y"),
            {"files": [UNITS + RELEASE], "reloaded": [UNITS + RELEASE]},
            id="what ends the containers is never restarted",
        ),
        pytest.param(state("units", TIMER, active_state="inactive"), {"started": [TIMER]}, id="stopped"),
        pytest.param(state("units", NOTICE, unit_file_state="disabled"), {"started": [NOTICE]}, id="disabled"),
        pytest.param(state("units", TIMER, need_daemon_reload=True), {"reloaded": [TIMER]}, id="not read yet"),
    ],
)
def test_each_difference_has_its_step(found: dict[str, Any], steps: dict[str, Any]) -> None:
    assert needed(found) == steps


@pytest.mark.parametrize(
    ("found", "steps"),
    [
        (STATE, {"stopped": [NOTICE], "absent": [UNITS + NOTICE], "reloaded": [UNITS + NOTICE]}),
        ({**NEW, "paths": {**STATE["paths"], UNITS + NOTICE: {"kind": "absent"}}}, {"started": NAMES[:2]}),
    ],
    ids=["there", "gone"],
)
def test_what_is_not_wanted_goes(found: dict[str, Any], steps: dict[str, Any]) -> None:
    assert needed(found, watchdog_spot_notice=False) == steps


def test_the_program_gets_seconds_and_the_files_of_its_workers() -> None:
    told = json.loads(WANTED[WATCHDOG_SETTINGS]["content"])
    assert told["heartbeat_files"] == {"video": "/run/academy/video/heartbeat.json"}
    assert (told["broken_seconds"], told["grace_seconds"], told["restart_window_seconds"]) == (900, 600, 300)
    assert (told["scratch_directory"], told["leftover_seconds"]) == ("/mnt/transcode", 86400)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({}, []),
        ({"worker_idle_stop_threshold": 0}, ["worker_idle_stop_threshold: must be 1 to 1000, found 0"]),
        (
            {"watchdog_broken_minutes": 5.0},
            ["watchdog_broken_minutes: must be more than watchdog_restart_window_minutes"],
        ),
        ({"watchdog_leftover_hours": 0}, ["watchdog_leftover_hours: must be 1 to 8760, found 0"]),
        ({"watchdog_look_seconds": 121}, ["watchdog_look_seconds: must be 1 to 120"]),
        (
            {"watchdog_look_seconds": 0, "watchdog_release_seconds": 111},
            ["watchdog_look_seconds", "watchdog_release_seconds: must be 1 to 110"],
        ),
    ],
)
def test_what_makes_no_sense_is_refused(changes: dict[str, Any], says: list[str]) -> None:
    found = [finding.text_en for rule in ROLE.rules for finding in rule.findings({**INPUTS, **changes})]
    assert len(found) == len(says)
    assert all(problem.startswith(wanted) for problem, wanted in zip(found, says, strict=True))


def test_a_host_that_nothing_stops_is_refused() -> None:
    plan = ROLE.decide({**INPUTS, "group_names": ["api"]}, STATE)
    (finding,) = plan.refusals
    assert finding.text_en.startswith("services: no service of this host stops it")
    assert plan.changes == ()

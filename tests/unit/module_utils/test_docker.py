# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whatever of Docker was removed, changed or stopped by hand leads to exactly the step that brings it back."""

from __future__ import annotations

import hashlib
from copy import deepcopy
from dataclasses import asdict
from typing import Any

import pytest

from plugins.module_utils.docker import CONFIGURATION, PID_FILE, UNIT, plan_docker

PACKAGES = ["docker", "helper"]
DROP_IN = "/etc/systemd/system/docker.service.d/mounts.conf"
WANTED = [
    {"path": "/etc/docker", "kind": "directory", "mode": "0755"},
    {"path": CONFIGURATION, "kind": "file", "mode": "0644", "content": "{}\n"},
    {"path": DROP_IN, "kind": "absent"},
]
DIRECTORY = {"kind": "directory", "owner": "root", "group": "root", "mode": "0755", "mtime": 1.0}
FILE = {**DIRECTORY, "kind": "file", "mode": "0644", "sha256": hashlib.sha256(b"{}\n").hexdigest(), "mtime": 100.0}
STATE: dict[str, Any] = {
    "packages": {"docker": "25-1", "helper": "1-1"},
    "paths": {
        "/etc/docker": DIRECTORY,
        CONFIGURATION: FILE,
        DROP_IN: {"kind": "absent"},
        PID_FILE: {**FILE, "mtime": 100.5},
    },
    "units": {UNIT: {"active_state": "active", "unit_file_state": "enabled", "need_daemon_reload": False}},
}
NEW: dict[str, Any] = {
    "packages": dict.fromkeys(PACKAGES),
    "paths": {path: {"kind": "absent"} for path in STATE["paths"]},
    "units": {UNIT: {"active_state": "inactive", "unit_file_state": "", "need_daemon_reload": False}},
}


def state(part: str, name: str, **changes: object) -> dict[str, Any]:
    """The state as wanted, but for one thing."""
    changed = deepcopy(STATE)
    changed[part][name] = {**changed[part][name], **changes}
    return changed


def needed(found: dict[str, Any]) -> dict[str, Any]:
    """What is to be done, in short."""
    changes = asdict(plan_docker(found, PACKAGES, WANTED))
    paths = {kind: [want["path"] for want in changes[kind]] for kind in ("directories", "files", "absent")}
    return {name: value for name, value in {**changes, **paths}.items() if value}


@pytest.mark.parametrize(
    ("found", "steps"),
    [
        pytest.param(STATE, {}, id="as wanted"),
        pytest.param(
            NEW,
            {
                "packages": PACKAGES,
                "directories": ["/etc/docker"],
                "files": [CONFIGURATION],
                "reload": True,
                "start": True,
            },
            id="new host",
        ),
        pytest.param(
            {**STATE, "packages": {"docker": "25-1", "helper": None}},
            {"packages": ["helper"], "reload": True, "start": True},
            id="a package removed",
        ),
        pytest.param(
            state("paths", CONFIGURATION, kind="absent"), {"files": [CONFIGURATION], "restart": True}, id="deleted"
        ),
        pytest.param(
            state("paths", CONFIGURATION, sha256="0"), {"files": [CONFIGURATION], "restart": True}, id="rewritten"
        ),
        pytest.param(state("paths", CONFIGURATION, mode="0666"), {"files": [CONFIGURATION]}, id="open to others"),
        pytest.param(state("paths", CONFIGURATION, mtime=101.0), {"restart": True}, id="newer than the daemon"),
        pytest.param(state("paths", "/etc/docker", mode="0777"), {"directories": ["/etc/docker"]}, id="open directory"),
        pytest.param(
            state("paths", DROP_IN, kind="file"), {"absent": [DROP_IN], "reload": True}, id="a drop-in too many"
        ),
        pytest.param(state("units", UNIT, need_daemon_reload=True), {"reload": True}, id="unit changed on disk"),
        pytest.param(state("units", UNIT, unit_file_state="disabled"), {"start": True}, id="disabled"),
        pytest.param(state("units", UNIT, unit_file_state="masked"), {"start": True}, id="masked"),
        pytest.param(state("units", UNIT, active_state="inactive"), {"start": True}, id="stopped"),
        pytest.param(state("units", UNIT, active_state="failed"), {"start": True}, id="failed"),
        pytest.param(state("paths", PID_FILE, kind="absent"), {}, id="age unknown"),
    ],
)
def test_steps(found: dict[str, Any], steps: dict[str, Any]) -> None:
    assert needed(found) == steps


def test_a_daemon_that_does_not_run_is_started_and_not_restarted() -> None:
    found = state("paths", CONFIGURATION, sha256="0", mtime=101.0)
    found["units"][UNIT]["active_state"] = "inactive"
    assert needed(found) == {"files": [CONFIGURATION], "start": True}

# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whatever of Docker was removed, changed or stopped by hand leads to exactly the step that brings it back."""

from __future__ import annotations

import hashlib
import json
from copy import deepcopy
from typing import Any

import pytest

from plugins.module_utils.plan import applied, diff
from plugins.module_utils.plan.docker import CONFIGURATION, PACKAGES, PID_FILE, ROLE, UNIT, paths

INPUTS = {
    "docker_registry": "123456789012.dkr.ecr.ap-northeast-2.amazonaws.com",
    "docker_requires_mounts_for": ["/mnt/transcode"],
    "docker_log_max_size": "10m",
    "docker_log_max_files": 3,
}
WANTED = {want["path"]: want for want in paths(INPUTS)}
LOGIN = "/root/.docker/config.json"
DROP_IN = "/etc/systemd/system/docker.service.d/mounts.conf"
DIRECTORIES = ["/etc/docker", "/root/.docker", "/etc/systemd/system/docker.service.d"]


def as_wanted(want: dict[str, Any]) -> dict[str, Any]:
    found = {"kind": want["kind"], "owner": "root", "group": "root", "mode": want["mode"], "mtime": 100.0}
    if "content" in want:
        found["sha256"] = hashlib.sha256(want["content"].encode()).hexdigest()
        if not want.get("secret"):
            found["content"] = want["content"]
    return found


DAEMON: dict[str, Any] = {
    "options": {"default-ulimit": "/etc/sysconfig/docker"},
    "root": "/var/lib/docker",
    "unseen": {},
}
STATE: dict[str, Any] = {
    "daemon": DAEMON,
    "packages": dict.fromkeys(PACKAGES, "25-1"),
    "paths": {
        **{path: as_wanted(want) for path, want in WANTED.items()},
        PID_FILE: {"kind": "file", "mtime": 100.5},
    },
    "units": {
        UNIT: {
            "load_state": "loaded",
            "active_state": "active",
            "unit_file_state": "enabled",
            "need_daemon_reload": False,
        }
    },
}
NEW: dict[str, Any] = {
    "daemon": {"options": {}, "root": None, "unseen": {}},
    "packages": dict.fromkeys(PACKAGES),
    "paths": {path: {"kind": "absent"} for path in STATE["paths"]},
    "units": {
        UNIT: {
            "load_state": "not-found",
            "active_state": "inactive",
            "unit_file_state": "",
            "need_daemon_reload": False,
        }
    },
}


def state(part: str, name: str, to: object = STATE, **changes: object) -> dict[str, Any]:
    """The state as wanted, but for one thing."""
    changed = deepcopy(STATE)
    changed[part][name] = {**changed[part][name], **changes} if to is STATE else to
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
                "packages": [*PACKAGES],
                "directories": DIRECTORIES,
                "files": [CONFIGURATION, LOGIN, DROP_IN],
                "reloaded": [*PACKAGES, DROP_IN],
                "started": [UNIT],
            },
            id="new host",
        ),
        pytest.param(
            state("packages", "python3-requests", to=None),
            {"packages": ["python3-requests"], "reloaded": ["python3-requests"], "started": [UNIT]},
            id="a package removed",
        ),
        pytest.param(
            state("paths", CONFIGURATION, kind="absent"), {"files": [CONFIGURATION], "restarted": [UNIT]}, id="deleted"
        ),
        pytest.param(
            state("paths", CONFIGURATION, sha256="0"), {"files": [CONFIGURATION], "restarted": [UNIT]}, id="rewritten"
        ),
        pytest.param(state("paths", CONFIGURATION, mode="0666"), {"files": [CONFIGURATION]}, id="open to others"),
        pytest.param(state("paths", CONFIGURATION, mtime=101.0), {"restarted": [UNIT]}, id="newer than the daemon"),
        pytest.param(state("paths", "/etc/docker", mode="0777"), {"directories": ["/etc/docker"]}, id="open directory"),
        pytest.param(state("paths", DROP_IN, sha256="0"), {"files": [DROP_IN], "reloaded": [DROP_IN]}, id="drop-in"),
        pytest.param(state("units", UNIT, need_daemon_reload=True), {"reloaded": [UNIT]}, id="unit changed on disk"),
        pytest.param(state("units", UNIT, unit_file_state="disabled"), {"started": [UNIT]}, id="disabled"),
        pytest.param(state("units", UNIT, unit_file_state="masked"), {"started": [UNIT]}, id="masked"),
        pytest.param(state("units", UNIT, active_state="inactive"), {"started": [UNIT]}, id="stopped"),
        pytest.param(state("units", UNIT, active_state="failed"), {"started": [UNIT]}, id="failed"),
        pytest.param(
            state("units", UNIT, active_state="activating"), {"started": [UNIT], "restarted": [UNIT]}, id="crashes"
        ),
        pytest.param(state("paths", PID_FILE, kind="absent"), {}, id="age unknown"),
    ],
)
def test_steps(found: dict[str, Any], steps: dict[str, Any]) -> None:
    assert needed(found) == steps


def refused(found: dict[str, Any], daemon: dict[str, Any]) -> list[str]:
    plan = ROLE.decide(INPUTS, {**found, "daemon": {**found["daemon"], **daemon}})
    assert not (plan.refusals and plan.changes)
    return [finding.text_en for finding in plan.refusals]


@pytest.mark.parametrize("found", [STATE, NEW, state("units", UNIT, active_state="activating")])
@pytest.mark.parametrize("option", ["log-opt", "log-driver", "live-restore", "config-file"])
def test_an_option_beside_which_docker_does_not_start_is_refused_with_its_file(
    found: dict[str, Any], option: str
) -> None:
    (text,) = refused(found, {"options": {"debug": "/a", option: "/etc/sysconfig/docker"}})
    assert text.startswith(f"/etc/sysconfig/docker: Docker is started with --{option},")


DOWN = {"root": None}


@pytest.mark.parametrize(
    ("content", "daemon", "told"),
    [
        ({"data-root": "/data/docker"}, {"root": "/data/docker"}, 'data-root: "/data/docker"'),
        ({}, {"root": "/data/docker"}, 'data-root: "/data/docker"'),
        ({"data-root": "/data/docker"}, DOWN, 'data-root: "/data/docker"'),
        ({"graph": "/data/docker"}, DOWN, 'data-root: "/data/docker"'),
        ({"storage-driver": "btrfs"}, {}, 'storage-driver: "btrfs"'),
        ({"features": {"containerd-snapshotter": True}}, {}, "containerd-snapshotter: true"),
        ({"userns-remap": "default"}, {"root": "/var/lib/docker/1.1"}, 'docker/1.1", userns-remap: "default"'),
        # It runs where it is to run, and has not read this.
        ({"data-root": "/data/docker"}, {}, ""),
        ({"data-root": "/var/lib/docker", "storage-driver": "overlay2", "features": {"buildkit": True}}, DOWN, ""),
        # An option that stays.
        ({}, {"root": "/data/docker", "options": {"data-root": "/etc/sysconfig/docker"}}, ""),
        ([], DOWN, ""),
        ("{", DOWN, ""),
    ],
)
def test_a_daemon_is_not_moved_away_from_what_it_has(content: Any, daemon: dict[str, Any], told: str) -> None:
    text = content if isinstance(content, str) else json.dumps(content)
    found = refused(state("paths", CONFIGURATION, sha256="0", content=text), daemon)
    assert bool(found) == bool(told)
    assert all(f"({told})" in one or f"{told})" in one for one in found)


def test_containers_of_another_store_are_named() -> None:
    (text,) = refused(STATE, {"unseen": {"0123456789abcdef": 812}})
    assert "the container 0123456789ab runs (process 812) and this Docker does not know it" in text
    assert "kill -TERM 812" in text


def test_a_daemon_that_does_not_run_is_started_and_not_restarted() -> None:
    found = state("paths", CONFIGURATION, sha256="0", mtime=101.0)
    found["units"][UNIT]["active_state"] = "inactive"
    assert needed(found) == {"files": [CONFIGURATION], "started": [UNIT]}


def test_without_mounts_the_drop_in_goes() -> None:
    assert needed(STATE, docker_requires_mounts_for=[]) == {"absent": [DROP_IN], "reloaded": [DROP_IN]}


def test_what_a_login_by_hand_left_is_not_shown_and_a_configuration_is() -> None:
    secret, told = "dXNlcjpwYXNzd29yZA==", '{"debug": true}'
    found = state("paths", LOGIN, sha256="0", content=secret)
    found["paths"][CONFIGURATION] = {**found["paths"][CONFIGURATION], "sha256": "0", "content": told}
    shown = [diff(change) for change in ROLE.decide(INPUTS, found).changes]
    assert secret not in str(shown)
    assert told in str(shown)
    assert LOGIN not in ROLE.reads(INPUTS)["contents"]
    assert CONFIGURATION in ROLE.reads(INPUTS)["contents"]


@pytest.mark.parametrize(
    ("broken", "steps"),
    [
        (("units", UNIT, {"unit_file_state": "disabled"}), {}),
        (
            ("packages", "python3-requests", None),
            {"packages": ["python3-requests"], "reloaded": ["python3-requests"]},
        ),
    ],
    ids=["disabled", "a package removed"],
)
def test_a_daemon_that_runs_gets_its_configuration_whatever_else_is_wrong(
    broken: tuple[str, str, Any], steps: dict[str, Any]
) -> None:
    found = state("paths", CONFIGURATION, sha256="0")
    part, name, change = broken
    found[part][name] = {**found[part][name], **change} if change else None
    assert needed(found) == {**steps, "files": [CONFIGURATION], "started": [UNIT], "restarted": [UNIT]}

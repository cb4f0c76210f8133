# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A Docker engine that starts at boot, rotates its logs, waits for the data disk and pulls from ECR."""

from __future__ import annotations

import json
from typing import Any

from . import Plan, Role, Values, host

WHY = "guide §6.3"
PACKAGES = (
    "docker",
    "amazon-ecr-credential-helper",
    # What the modules of community.docker need on the host.
    "python3-requests",
)
UNIT = "docker.service"
DROP_IN_DIRECTORY = f"{host.UNIT_DIRECTORY}{UNIT}.d"
CONFIGURATION = "/etc/docker/daemon.json"
# Written when the daemon starts: a configuration that is newer does not run yet, whoever changed it and when.
PID_FILE = "/run/docker.pid"


def paths(inputs: Values) -> list[dict[str, Any]]:
    """What the role keeps, all of it root's. A directory stands before what is in it."""
    daemon = {
        # A restart of the daemon must not end a three-hour encode.
        "live-restore": True,
        "log-driver": "json-file",
        "log-opts": {"max-file": str(inputs["docker_log_max_files"]), "max-size": inputs["docker_log_max_size"]},
    }
    # The helper asks for a token with the instance's role whenever one is needed, so none goes stale.
    credentials = {"credHelpers": {inputs["docker_registry"]: "ecr-login"}}
    mounts = inputs["docker_requires_mounts_for"]
    return [
        {"path": "/etc/docker", "kind": "directory", "mode": "0755"},
        {"path": "/root/.docker", "kind": "directory", "mode": "0700"},
        {"path": DROP_IN_DIRECTORY, "kind": "directory", "mode": "0755"},
        {"path": CONFIGURATION, "kind": "file", "mode": "0644", "content": _json(daemon)},
        # What `docker login` leaves there holds a password.
        {
            "path": "/root/.docker/config.json",
            "kind": "file",
            "mode": "0600",
            "content": _json(credentials),
            "secret": True,
        },
        {
            "path": f"{DROP_IN_DIRECTORY}/mounts.conf",
            "kind": "file" if mounts else "absent",
            "mode": "0644",
            "content": f"[Unit]\nRequiresMountsFor={' '.join(mounts)}\n",
        },
    ]


def _json(value: Any) -> str:
    return json.dumps(value, indent=4, sort_keys=True) + "\n"


def reads(inputs: Values) -> Values:
    return host.reads(paths(inputs), PID_FILE, packages=PACKAGES, units=[UNIT])


def decide(inputs: Values, found: Values) -> Plan:
    packages = host.package_changes(found, PACKAGES, WHY)
    files = host.path_changes(found, paths(inputs), WHY)
    outdated = CONFIGURATION if host.is_rewritten(files, CONFIGURATION) or _is_newer(found) else ""
    if packages:
        # With a package the unit may come, or be another one.
        found = {**found, "units": {UNIT: {**found["units"][UNIT], "unit_file_state": "unknown"}}}
    return Plan(changes=[*packages, *files, *host.unit_changes(UNIT, found, WHY, wanted=True, outdated=outdated)])


def _is_newer(found: Values) -> bool:
    """Whether the daemon runs and does not know its configuration. One that does not run reads it when it starts."""
    configuration, pid_file = found["paths"][CONFIGURATION], found["paths"][PID_FILE]
    return bool(
        configuration["kind"] != "absent"
        and pid_file["kind"] != "absent"
        and configuration["mtime"] > pid_file["mtime"]
    )


ROLE = Role(reads, decide, applies=host.APPLIES, on_host=True)

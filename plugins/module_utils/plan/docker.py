# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A Docker engine that starts at boot, rotates its logs, waits for the data disk and pulls from ECR."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ..docker_daemon import DOCKER_ROOT
from ..findings import NOT_SHOWN, Finding, Words
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
# Options with which it does not read our configuration, or does not start beside it: what stands in both is an error
# to it, even with the same value.
CONFLICTING = ("config-file", "live-restore", "log-driver", "log-opt")
# What leads to other images and containers than its default, beside the directory itself.
STORES: Mapping[str, Any] = {
    "storage-driver": "overlay2",
    "exec-root": "/var/run/docker",
    "containerd-namespace": "moby",
    "containerd-snapshotter": False,
    "userns-remap": "",
}


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
    return {**host.reads(paths(inputs), PID_FILE, packages=PACKAGES, units=[UNIT]), "daemon": True}


def option_findings(options: Mapping[str, str]) -> list[Finding]:
    """Options of the unit beside which Docker does not start with our configuration."""
    return [
        Finding(
            "docker_option",
            options[name] or UNIT,
            NOT_SHOWN,
            Words(
                f"Docker is started with --{name}, and does not come up, or not as configured, beside {CONFIGURATION}",
                f"Docker가 --{name} 옵션으로 시작됩니다. {CONFIGURATION}과(와) 함께 쓰면 시작되지 않거나 설정대로 "
                "실행되지 않습니다",
            ),
            Words(
                f"Take --{name} out of that file (systemctl cat {UNIT} shows all of them) and run again.",
                f"그 파일에서 --{name}을(를) 빼고(systemctl cat {UNIT}로 모두 볼 수 있음) 다시 실행하십시오.",
            ),
        )
        for name in CONFLICTING
        if name in options
    ]


def store_findings(daemon: Values, content: str) -> list[Finding]:
    """Why the daemon would lose sight of what it has: it would be started on another store, and live-restore leaves
    the containers of this one running, with their jobs."""
    settings = _settings(content)
    moved = {name: settings[name] for name, default in STORES.items() if settings.get(name) not in (None, default)}
    root = daemon["root"] or settings.get("data-root") or settings.get("graph") or DOCKER_ROOT
    if root != DOCKER_ROOT and "data-root" not in daemon["options"]:
        moved["data-root"] = root
    if not moved:
        return []
    remove = "docker ps --all --quiet | xargs docker stop; docker container prune --force"
    told = ", ".join(f"{name}: {json.dumps(value)}" for name, value in sorted(moved.items()))
    return [
        Finding(
            "docker_store",
            CONFIGURATION,
            NOT_SHOWN,
            Words(
                f"Docker keeps its images and containers elsewhere than this role has them ({told}): started with our "
                "configuration it would begin with none, while what runs now would run on unseen and take jobs",
                f"Docker가 이미지와 컨테이너를 이 역할과 다른 곳에 둡니다({told}). 우리 설정으로 시작하면 빈 상태가 "
                "되고, 지금 실행 중인 컨테이너는 보이지 않는 채 계속 실행되며 작업을 가져갑니다",
            ),
            Words(
                f"When no worker has a job: {remove}, take these settings out of {CONFIGURATION}, systemctl restart "
                f"{UNIT}, and run configure.yml for this host, which pulls the images and runs the containers again.",
                f"작업 중인 워커가 없을 때 {remove}를 실행하고, {CONFIGURATION}에서 이 설정을 뺀 뒤 systemctl restart "
                f"{UNIT}를 실행하고, 이 호스트에 configure.yml을 실행하십시오. 이미지를 다시 받아 컨테이너를 "
                "실행합니다.",
            ),
        )
    ]


def _settings(content: str) -> dict[str, Any]:
    try:
        settings = json.loads(content)
    except ValueError:
        return {}
    if not isinstance(settings, dict):
        return {}
    features = settings.get("features")
    return {**settings, **(features if isinstance(features, dict) else {})}


def unseen_findings(unseen: Mapping[str, int]) -> list[Finding]:
    return [
        Finding(
            "docker_unseen",
            UNIT,
            NOT_SHOWN,
            Words(
                f"the container {name[:12]} runs (process {pid}) and this Docker does not know it: it is of a store "
                "that Docker was moved away from, and may take jobs",
                f"컨테이너 {name[:12]}이(가) 실행 중이지만(프로세스 {pid}) 이 Docker는 모릅니다. 옮기기 전 저장소의 "
                "컨테이너이며 작업을 가져갈 수 있습니다",
            ),
            Words(
                f"Have it give its job back and end (kill -TERM {pid}), then run again.",
                f"작업을 돌려주고 끝나게 한 뒤(kill -TERM {pid}) 다시 실행하십시오.",
            ),
        )
        for name, pid in sorted(unseen.items())
    ]


def decide(inputs: Values, found: Values) -> Plan:
    daemon = found["daemon"]
    refusals = [
        *option_findings(daemon["options"]),
        *store_findings(daemon, found["paths"][CONFIGURATION].get("content", "")),
        *unseen_findings(daemon["unseen"]),
    ]
    if refusals:
        return Plan(refusals)
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

# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which services get along on one host."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .findings import NOT_SHOWN, Finding, Words, texts
from .memory import limits_findings

# A container that has it stops its host when it alone has nothing to do.
THRESHOLD = "EC2_IDLE_STOP_THRESHOLD"
WATCHDOG_SETTINGS = "/etc/academy/watchdog.json"


@dataclass(frozen=True)
class Host:
    """What stands on a host, by the inventory."""

    name: str
    instance_type: str
    may_be_stopped: bool
    # Those that must always run, and those that stop their host when there is nothing to do.
    always_on: Sequence[str]
    stopping: Sequence[str]
    heartbeat: bool
    # Of each service's container; 0 is none.
    limits_mib: Mapping[str, int]
    # Variables by which somebody gives its containers the threshold, which follows from its services.
    thresholds: Sequence[str] = ()


@dataclass(frozen=True)
class SharedHost:
    """What a host shows to a worker that is about to be run there beside others that stop it."""

    name: str
    # The others' containers, by service, and the services that this run brings up too.
    neighbours: Mapping[str, str]
    followed: Collection[str]
    # Its containers, as host_state_info shows them, and those that its watchdog knows.
    found: Mapping[str, Mapping[str, Any]]
    watched: Collection[str]


def placement_refusals(hosts: Sequence[Host], memory_mib: Mapping[str, int]) -> list[str]:
    """What is wrong with all of them. Types of unknown memory are not judged."""
    return texts(
        finding
        for host in hosts
        for finding in [
            *stop_findings(host),
            *limits_findings(host.name, host.limits_mib, host.instance_type, memory_mib.get(host.instance_type)),
        ]
    )


def stop_findings(host: Host) -> list[Finding]:
    """Whether the host may stop, and how it knows when."""
    findings = []
    stopping, always_on = " and ".join(host.stopping), " and ".join(host.always_on)
    if host.stopping and host.always_on:
        findings.append(
            Finding(
                "placement",
                host.name,
                NOT_SHOWN,
                Words(
                    f"{stopping} would stop this host when there is nothing to do, but {always_on} must always run",
                    f"할 일이 없으면 {stopping}이(가) 이 호스트를 중지하지만 {always_on}은(는) 항상 실행되어야 합니다",
                ),
                Words(
                    "Give them a host each: take this one out of one of these groups in hosts.yml.",
                    "hosts.yml에서 이 호스트를 한 그룹에서 빼고 각각 다른 호스트를 쓰십시오.",
                ),
            )
        )
    elif host.may_be_stopped != bool(host.stopping):
        what = (
            Words(f"{stopping} stops it", f"{stopping}이(가) 중지합니다")
            if host.stopping
            else Words(f"{always_on} must always run", f"{always_on}은(는) 항상 실행되어야 합니다")
        )
        found = str(host.may_be_stopped).lower()
        findings.append(
            Finding(
                "may_be_stopped",
                "instance_may_be_stopped",
                NOT_SHOWN,
                Words(f"{found} for {host.name}, but {what.en}", f"{host.name}에서 {found}이지만 {what.ko}"),
                Words(
                    "Do not set it: it follows from the services of the host.",
                    "설정하지 마십시오. 호스트의 서비스에서 정해집니다.",
                ),
            )
        )
    if len(host.stopping) > 1 and not host.heartbeat:
        findings.append(
            Finding(
                "heartbeat",
                "worker_heartbeat",
                NOT_SHOWN,
                Words(
                    f"false, but {stopping} share {host.name}, which may be stopped only when all of them are idle",
                    f"false이지만 {stopping}이(가) {host.name}을(를) 함께 쓰며, 모두 쉴 때만 중지할 수 있습니다",
                ),
                Words("Set it to true, or give them a host each.", "true로 설정하거나 각각 다른 호스트를 쓰십시오."),
            )
        )
    if host.thresholds and len(host.stopping) != 1:
        rule = (
            Words(f"{stopping} stop it together", f"{stopping}이(가) 함께 중지합니다")
            if host.stopping
            else Words(f"{always_on} must always run", f"{always_on}은(는) 항상 실행되어야 합니다")
        )
        findings.append(
            Finding(
                "threshold",
                " and ".join(host.thresholds),
                NOT_SHOWN,
                Words(
                    f"sets {THRESHOLD} for {host.name}, but {rule.en}",
                    f"{host.name}에 {THRESHOLD}을(를) 설정하지만 {rule.ko}",
                ),
                Words(
                    "Take it out: a worker that stops its host alone gets worker_idle_stop_threshold.",
                    "빼십시오. 호스트를 혼자 중지하는 워커는 worker_idle_stop_threshold를 받습니다.",
                ),
            )
        )
    return findings


def neighbour_refusals(host: SharedHost, container: str, settings: Collection[str]) -> list[str]:
    """Why a worker with these names in its environment may not be run there: one of them could stop the host alone."""
    if not host.neighbours:
        return []
    alone = [
        name
        for service, name in host.neighbours.items()
        if service not in host.followed and THRESHOLD in host.found.get(name, {}).get("environment_names", [])
    ]
    unknown = [name for name in (container, *host.neighbours.values()) if name not in host.watched]
    mend = f"Run playbooks/configure.yml --limit {host.name}, without --tags."
    problems = []
    if THRESHOLD in settings:
        problems.append(
            f"{container} has {THRESHOLD} among its settings, but shares {host.name} with "
            f"{', '.join(host.neighbours)}: take it out."
        )
    if alone:
        problems.append(
            f"{host.name}: {', '.join(alone)} has {THRESHOLD} from before {container} came, and would stop the host "
            f"under its jobs. {mend}"
        )
    if unknown:
        problems.append(
            f"{host.name}: {WATCHDOG_SETTINGS} does not name {', '.join(unknown)}, so nobody would know when all are "
            f"idle. {mend}"
        )
    return problems

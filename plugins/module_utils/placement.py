# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which containers on a host keep a worker from being run there."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from .findings import NOT_SHOWN, Finding, Words
from .host_paths import WATCHDOG_SETTINGS

# A container that has it stops its host when it alone has nothing to do.
THRESHOLD = "EC2_IDLE_STOP_THRESHOLD"


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

    @property
    def remedy(self) -> Words:
        command = f"playbooks/configure.yml --limit {self.name}"
        return Words(f"Run {command}, without --tags.", f"--tags 없이 {command}을(를) 실행하십시오.")


def stop_findings(host: SharedHost, container: str, settings: Collection[str]) -> list[Finding]:
    """Why a worker with these names in its environment may not be run there: one of them could stop the host alone."""
    findings = []
    if host.neighbours and THRESHOLD in settings:
        beside = ", ".join(host.neighbours)
        findings.append(
            Finding(
                "threshold",
                container,
                NOT_SHOWN,
                Words(
                    f"has {THRESHOLD} among its settings, but shares {host.name} with {beside}",
                    f"설정에 {THRESHOLD}이(가) 있지만 {host.name}을(를) {beside}와(과) 함께 씁니다",
                ),
                Words("Take it out.", "빼십시오."),
            )
        )
    alone = [
        name
        for service, name in host.neighbours.items()
        if service not in host.followed and THRESHOLD in host.found.get(name, {}).get("environment_names", [])
    ]
    if alone:
        listed = ", ".join(alone)
        findings.append(
            Finding(
                "threshold_of_a_neighbour",
                host.name,
                NOT_SHOWN,
                Words(
                    f"{listed} has {THRESHOLD} from before {container} came, and would stop the host under its jobs",
                    f"{listed}에 {container} 이전의 {THRESHOLD}이(가) 있어 작업 중인 호스트를 중지합니다",
                ),
                host.remedy,
            )
        )
    return findings


def watchdog_findings(host: SharedHost, container: str) -> list[Finding]:
    """Whom the watchdog does not know. It is the watchdog's role that tells it."""
    names = (container, *host.neighbours.values()) if host.neighbours else ()
    unknown = ", ".join(name for name in names if name not in host.watched)
    if not unknown:
        return []
    return [
        Finding(
            "watchdog_unaware",
            host.name,
            NOT_SHOWN,
            Words(
                f"{WATCHDOG_SETTINGS} does not name {unknown}, so nobody would know when all are idle",
                f"{WATCHDOG_SETTINGS}에 {unknown}이(가) 없어 모두 쉬고 있는지 알 수 없습니다",
            ),
            host.remedy,
        )
    ]

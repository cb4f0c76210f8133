# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Two containers of one service behind the host's proxy: which of them serves, and whether both fit for a while.

The proxy's configuration file is the record of who serves (facts 15.1).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from .findings import NOT_SHOWN, Finding, Words
from .host_state import BYTES_PER_MIB
from .memory import RESERVE_MIB
from .proxy import serving as recorded
from .services import slot_name

# What Docker changes of a container that goes on running.
IN_PLACE = frozenset({"memory_bytes", "memory_swap_bytes", "restart_policy", "state"})


def runs(containers: Mapping[str, Mapping[str, Any]], name: str) -> bool:
    """Whether a container may be serving. One that Docker starts again and again serves nobody."""
    found = containers.get(name, {})
    return found.get("running_seconds") is not None and found.get("status") != "restarting"


def holds_port(containers: Mapping[str, Mapping[str, Any]], name: str, port: int) -> bool:
    """Whether a container runs there on a port of the host."""
    return runs(containers, name) and any(f":{port}:" in at for at in containers[name]["published_ports"])


def holder_findings(
    containers: Mapping[str, Mapping[str, Any]], port: int, own: Collection[str], subject: str, owner: str
) -> list[Finding]:
    """The containers that run on a port that is another one's."""
    return [
        Finding(
            "port_holder",
            subject,
            NOT_SHOWN,
            Words(
                f"the container {name} holds port {port}, which {owner} needs",
                f"컨테이너 {name}이(가) {owner}에 필요한 포트 {port}을(를) 쓰고 있습니다",
            ),
            Words(f"Remove it (docker rm --force {name}).", f"제거하십시오(docker rm --force {name})."),
        )
        for name in containers
        if name not in own and holds_port(containers, name, port)
    ]


def serving_slot(name: str, slots: Collection[str], record: str, containers: Mapping[str, Mapping[str, Any]]) -> str:
    """The slot that serves; empty where none does. Without a record it is the only one that runs."""
    known = recorded(record)
    if known in slots:
        return known or ""
    running = [slot for slot in slots if runs(containers, slot_name(name, slot))]
    return running[0] if len(running) == 1 else ""


def next_slot(slots: Collection[str], serving: str, differing: Collection[str], *, is_up: bool) -> str:
    """Where the wanted container runs: where it serves, unless that one is up and would have to be replaced."""
    if not serving:
        return next(iter(slots))
    if not is_up or IN_PLACE.issuperset(differing):
        return serving
    return next(slot for slot in slots if slot != serving)


@dataclass(frozen=True)
class Overlap:
    """The memory of a host on which the old container still serves while the new one comes up."""

    host: str
    total_mib: int
    others_mib: int  # the limits of what else runs there
    used_mib: int  # what the old one really uses
    limit_mib: int  # of the new one; 0 sets none

    @property
    def free_mib(self) -> int:
        return self.total_mib - RESERVE_MIB - self.others_mib - self.used_mib

    @property
    def fits(self) -> bool:
        """The new one needs what the old one uses, at least."""
        return self.free_mib >= self.used_mib

    @property
    def start_mib(self) -> int:
        """What the new one may use until the old one is gone."""
        return min(self.limit_mib, self.free_mib)


def used_mib(containers: Mapping[str, Mapping[str, Any]], names: Collection[str]) -> int:
    used = sum(containers[name].get("memory_used_bytes") or 0 for name in names if name in containers)
    return -(-used // BYTES_PER_MIB)


def _consent(host: str) -> Words:
    return Words(
        f"To do without the API for that time: -e deploy_allow_downtime={host}.",
        f"그동안 API 없이 진행하려면: -e deploy_allow_downtime={host}.",
    )


def overlap_findings(name: str, overlap: Overlap) -> list[Finding]:
    """Why the new container does not fit beside the old one."""
    if overlap.fits:
        return []
    sums = f"{overlap.used_mib} MiB ({name}), {overlap.others_mib} MiB, {RESERVE_MIB} MiB / {overlap.total_mib} MiB"
    consent = _consent(overlap.host)
    return [
        Finding(
            "deploy_overlap",
            "deploy_allow_downtime",
            f"{max(overlap.free_mib, 0)} MiB",
            Words(
                f"on {overlap.host} a second {name} needs as much as the {overlap.used_mib} MiB that the one that "
                f"serves uses (in use, limits of others, system / all: {sums})",
                f"{overlap.host}에서 지금 서비스하는 {name} 옆에 두 번째를 띄우려면 그것이 쓰는 "
                f"{overlap.used_mib} MiB가 더 필요합니다(사용, 다른 제한, 시스템 / 전체: {sums})",
            ),
            Words(
                f"Give the host a larger instance_type. {consent.en} It lasts until the new one is healthy.",
                f"더 큰 instance_type을 쓰십시오. {consent.ko} 새 컨테이너가 정상이 될 때까지 걸립니다.",
            ),
        )
    ]


def takeover_findings(name: str, host: str) -> list[Finding]:
    """That a container of the time before the proxy has to give up the proxy's port."""
    consent = _consent(host)
    return [
        Finding(
            "deploy_takeover",
            "deploy_allow_downtime",
            NOT_SHOWN,
            Words(
                f"{name} on {host} holds the API's port itself, and has to stop before the proxy can take the port: "
                "some seconds without the API, once",
                f"{host}의 {name}이(가) API 포트를 직접 쓰고 있어, 프록시가 포트를 넘겨받으려면 먼저 멈춰야 합니다. "
                "한 번, 몇 초 동안 API가 없습니다",
            ),
            consent,
        )
    ]

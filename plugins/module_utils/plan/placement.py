# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which services get along on one host, of all hosts of the inventory. It changes nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..findings import NOT_SHOWN, Finding, Words, of_hosts
from ..memory import limits_findings
from ..placement import THRESHOLD
from ..services import ROWS, Service, memory_limits_mib, on_host, stopping_containers
from . import Plan, Role, Rule, Values


def _named(services: Mapping[str, Service]) -> tuple[str, str]:
    """Those that stop their host when there is nothing to do, and those that must always run."""
    stopping = [service for service, row in services.items() if row.stops_itself]
    return " and ".join(stopping), " and ".join(service for service in services if service not in stopping)


def stop_findings(
    host: str, groups: Sequence[str], table: Values, may_be_stopped: bool, heartbeat: bool
) -> list[Finding]:
    """Whether a host may stop, and how it knows when. One without services is none of ours."""
    services = on_host(table, groups)
    if not services:
        return []
    findings = []
    stopping, always_on = _named(services)
    if stopping and always_on:
        findings.append(
            Finding(
                "placement",
                host,
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
    elif may_be_stopped != bool(stopping):
        what = (
            Words(f"{stopping} stops it", f"{stopping}이(가) 중지합니다")
            if stopping
            else Words(f"{always_on} must always run", f"{always_on}은(는) 항상 실행되어야 합니다")
        )
        found = str(may_be_stopped).lower()
        findings.append(
            Finding(
                "may_be_stopped",
                "instance_may_be_stopped",
                NOT_SHOWN,
                Words(f"{found} for {host}, but {what.en}", f"{host}에서 {found}이지만 {what.ko}"),
                Words(
                    "Do not set it: it follows from the services of the host.",
                    "설정하지 마십시오. 호스트의 서비스에서 정해집니다.",
                ),
            )
        )
    if len(stopping_containers(table, groups)) > 1 and not heartbeat:
        findings.append(
            Finding(
                "heartbeat",
                "worker_heartbeat",
                NOT_SHOWN,
                Words(
                    f"false, but {stopping} share {host}, which may be stopped only when all of them are idle",
                    f"false이지만 {stopping}이(가) {host}을(를) 함께 쓰며, 모두 쉴 때만 중지할 수 있습니다",
                ),
                Words("Set it to true, or give them a host each.", "true로 설정하거나 각각 다른 호스트를 쓰십시오."),
            )
        )
    return findings


def threshold_findings(
    host: str, groups: Sequence[str], table: Values, threshold: int, environment: Values
) -> list[Finding]:
    """Whether somebody sets the threshold by hand, which follows from the services of a host."""
    services = on_host(table, groups)
    names = [
        *(["container_idle_stop_threshold"] if threshold else []),
        *(["worker_environment"] if THRESHOLD in environment else []),
        *(f"{service}_environment" for service, row in services.items() if THRESHOLD in row.environment),
    ]
    if not services or not names or len(stopping_containers(table, groups)) == 1:
        return []
    stopping, always_on = _named(services)
    rule = (
        Words(f"{stopping} stop it together", f"{stopping}이(가) 함께 중지합니다")
        if stopping
        else Words(f"{always_on} must always run", f"{always_on}은(는) 항상 실행되어야 합니다")
    )
    return [
        Finding(
            "threshold",
            " and ".join(names),
            NOT_SHOWN,
            Words(
                f"sets {THRESHOLD} for {host}, but {rule.en}",
                f"{host}에 {THRESHOLD}을(를) 설정하지만 {rule.ko}",
            ),
            Words(
                "Take it out: a worker that stops its host alone gets worker_idle_stop_threshold.",
                "빼십시오. 호스트를 혼자 중지하는 워커는 worker_idle_stop_threshold를 받습니다.",
            ),
        )
    ]


def reads(inputs: Values) -> Values:
    """The memory of shared hosts: a single service is compared when its host is created."""
    types = {
        host["instance_type"]
        for host in inputs["hosts"].values()
        if len(on_host(host["services"], host["group_names"])) > 1 and "instance_type" in host
    }
    return {"instance_types": sorted(types)} if types else {}


def limit_findings(host: Values, types: Mapping[str, Values]) -> list[Finding]:
    """Whether the memory limits of a host's services fit its type, as far as its memory was read."""
    instance_type = host.get("instance_type", "")
    return limits_findings(
        host["inventory_hostname"],
        memory_limits_mib(host["services"], host["group_names"]),
        instance_type,
        types.get(instance_type, {}).get("memory_mib"),
    )


def decide(inputs: Values, found: Values) -> Plan:
    types = found.get("instance_types", {})
    return Plan(of_hosts({name: limit_findings(host, types) for name, host in inputs["hosts"].items()}))


ROLE = Role(
    reads,
    decide,
    rules=(
        ROWS,
        Rule(
            stop_findings,
            ("inventory_hostname", "group_names", "services", "instance_may_be_stopped", "worker_heartbeat"),
        ),
        Rule(
            threshold_findings,
            (
                "inventory_hostname",
                "group_names",
                "services",
                "placement_idle_stop_threshold",
                "worker_environment",
            ),
        ),
    ),
    each_host=True,
)

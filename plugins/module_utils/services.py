# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The services of a deployment, one row each, and what follows from the rows.

A service is a group of hosts. A row that is wrong has findings of its own, and nothing follows from it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .findings import NOT_SHOWN, Finding, Words
from .plan import Rule
from .role_inputs import judge_inputs

Table = Mapping[str, Any]
Groups = Mapping[str, Sequence[str]]

# All hosts, whatever their services.
HOSTS_GROUP = "instances"
# The role that runs a service which has none of its own.
WORKER = "worker"
OPTIONS: Mapping[str, Mapping[str, Any]] = {
    "name": {"type": "str", "required": True},
    "log_group": {"type": "str", "required": True},
    "dockerfile": {"type": "str", "required": True},
    "memory_mib": {"type": "int", "required": True},
    "sends_to": {"type": "list", "elements": "str", "default": []},
    "receives_from": {"type": "list", "elements": "str", "default": []},
    "stops_itself": {"type": "bool", "default": False},
    "environment": {"type": "dict", "default": {}},
    "role": {"type": "str", "default": WORKER},
    "slots": {"type": "dict", "default": {}},
}


@dataclass(frozen=True)
class Service:
    """One row."""

    name: str  # of its image and its repository, and of its container where it has no slots
    log_group: str
    dockerfile: str
    memory_mib: int
    sends_to: list[str]
    receives_from: list[str]
    stops_itself: bool
    environment: Mapping[str, Any]
    role: str  # by whose tag it is run
    slots: Mapping[str, int]  # of two containers behind the host's proxy, one of which serves: each one's own port

    @property
    def containers(self) -> list[str]:
        """All that may run of it."""
        return [slot_name(self.name, slot) for slot in self.slots] or [self.name]


def slot_name(name: str, slot: str) -> str:
    return f"{name}-{slot}"


def row_findings(services: Table) -> list[Finding]:
    """What is wrong with the rows."""
    findings: list[Finding] = []
    names: dict[str, list[str]] = {}
    for service, row in services.items():
        if not isinstance(row, Mapping):
            rule = Words("must be a mapping", "매핑이어야 합니다")
            findings.append(_finding(f"services.{service}", rule))
            continue
        subjects = {f"services.{service}.{option}": spec for option, spec in OPTIONS.items()}
        findings += judge_inputs({f"services.{service}.{name}": value for name, value in row.items()}, subjects)[1]
        known = ", ".join(OPTIONS)
        findings += [
            _finding(f"services.{service}.{name}", Words(f"the keys of a row are {known}", f"행의 키는 {known}입니다"))
            for name in row
            if name not in OPTIONS
        ]
        findings += _slot_findings(service, row)
        names.setdefault(str(row.get("name")), []).append(service)
    return findings + [
        _finding(
            f"services.{shared[-1]}.name",
            Words(f"{name} is the container of {shared[0]} already", f"{name}은(는) 이미 {shared[0]}의 컨테이너입니다"),
        )
        for name, shared in names.items()
        if len(shared) > 1
    ]


def _slot_findings(service: str, row: Mapping[str, Any]) -> list[Finding]:
    """Two containers take turns; one that stops its host by itself has no turn to wait for."""
    slots = row.get("slots") or {}
    if not slots or not isinstance(slots, Mapping):
        return []
    subject, ports = f"services.{service}.slots", {port for port in slots.values() if isinstance(port, int)}
    rules = [
        (
            len(slots) == len(ports) == 2 and all(1024 <= port <= 65535 for port in ports),
            Words(
                "needs two letters, each with a port of its own between 1024 and 65535",
                "문자 두 개와 각각의 포트(1024에서 65535까지)가 필요합니다",
            ),
        ),
        (
            not row.get("stops_itself"),
            Words("a service that stops its host has none", "호스트를 멈추는 서비스에는 둘 수 없습니다"),
        ),
    ]
    return [_finding(subject, rule) for holds, rule in rules if not holds]


def role_findings(services: Table, known: Collection[str]) -> list[Finding]:
    """Rows whose role does not exist; these are the roles that do."""
    return [
        _finding(
            f"services.{service}.role",
            Words(f"there is no role {row.role}", f"역할 {row.role}이(가) 없습니다"),
        )
        for service, row in rows(services).items()
        if row.role not in known
    ]


def _finding(subject: str, rule: Words) -> Finding:
    remedy = Words("Correct the row in services.yml.", "services.yml의 행을 고치십시오.")
    return Finding("service_row", subject, NOT_SHOWN, rule, remedy)


def rows(services: Table) -> dict[str, Service]:
    """Those that are as a row should be."""
    found = {}
    for service, row in services.items():
        values, findings = judge_inputs(row, OPTIONS) if isinstance(row, Mapping) else ({}, [])
        if values and not findings:
            found[service] = Service(**values)
    return found


ROWS = Rule(row_findings, ("services",))


# --- what all of them need --------------------------------------------------------------------------------------------


def owners(services: Table) -> dict[str, str]:
    """Whose each container is, by the name of its row. One named like the row is of the time before it had slots."""
    return {name: row.name for row in rows(services).values() for name in [row.name, *row.containers]}


def tag_of(services: Table, service: str) -> str:
    """The tag of the role that runs it."""
    row = rows(services).get(service)
    return row.role if row else service


def repositories(services: Table) -> list[str]:
    return [row.name for row in rows(services).values()]


def log_groups(services: Table) -> list[str]:
    return [row.log_group for row in rows(services).values()]


def image_definitions(services: Table) -> list[dict[str, str]]:
    """Which Dockerfile becomes which image."""
    return [{"name": row.name, "dockerfile": row.dockerfile} for row in rows(services).values()]


# --- what their hosts need: a service is a group of hosts -------------------------------------------------------------


def kinds_of_hosts(services: Table, groups: Groups, kinds: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """What each kind of host may do: what the services on its hosts need."""
    permissions: dict[str, dict[str, Any]] = {}
    for service, row in rows(services).items():
        needs = {
            "containers": [row.name],
            "log_groups": [row.log_group],
            "sends_to": row.sends_to,
            "receives_from": row.receives_from,
        }
        for kind in dict.fromkeys(kinds[host] for host in groups.get(service, []) if host in kinds):
            may = permissions.setdefault(kind, {"stops_itself": False})
            may |= {key: [*dict.fromkeys([*may.get(key, []), *names])] for key, names in needs.items()}
            may["stops_itself"] |= row.stops_itself
    return permissions


def starter_workers(services: Table, groups: Groups) -> dict[str, dict[str, list[str]]]:
    """Of each service whose hosts stop themselves: the queues that it empties, and its hosts in the inventory.

    Not of each kind of host: of one kind, some may serve another's queues too, and only those are started for it.
    """
    return {
        service: {"queues": row.receives_from, "hosts": [*groups[service]]}
        for service, row in rows(services).items()
        if row.stops_itself and groups.get(service)
    }


def stopping_hosts(services: Table, groups: Groups) -> list[str]:
    """The hosts that stop themselves, because each of their services does."""
    always_on = {
        host for service, row in rows(services).items() if not row.stops_itself for host in groups.get(service, [])
    }
    return sorted(set(groups.get(HOSTS_GROUP, [])) - always_on)


# --- what one host needs, which has the services that are among its groups -------------------------------------------


def on_host(services: Table, groups: Collection[str]) -> dict[str, Service]:
    return {service: row for service, row in rows(services).items() if service in groups}


def stopping_containers(services: Table, groups: Collection[str]) -> dict[str, str]:
    """The containers, by service, that stop their host when there is nothing to do."""
    return {service: row.name for service, row in on_host(services, groups).items() if row.stops_itself}


def memory_limits_mib(services: Table, groups: Collection[str]) -> dict[str, int]:
    return {service: row.memory_mib for service, row in on_host(services, groups).items()}


def roles_of_host(services: Table, groups: Collection[str], variables: Collection[str]) -> list[str]:
    """The roles that configure a host, in their order; playbooks/configure.yml says when, by the same."""
    found = on_host(services, groups)
    return [
        "swap",
        *(["transcode_volume"] if "transcode_volume_size_gib" in variables else []),
        "docker",
        *(["watchdog"] if all(row.stops_itself for row in found.values()) else []),
        *(["proxy"] if any(row.slots for row in found.values()) else []),
        *dict.fromkeys(row.role for row in found.values()),
    ]

# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Do the memory limits of a host's containers fit the host?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .findings import NOT_SHOWN, Finding, Words
from .host_state import BYTES_PER_MIB

MIB_PER_GIB = 1024
# For the kernel, Docker and sshd. A limit at or above what is left never bites: the kernel then kills what it likes.
RESERVE_MIB = 400
# What of its type's memory an instance shows at least; firmware and kernel take the rest before anything runs.
SHOWN_PERCENT = 90


def shown_mib(memory_mib: int) -> int:
    """What an instance of a type with that memory shows at least."""
    return memory_mib * SHOWN_PERCENT // 100


def instance_memory_mib(total_mib: int) -> int:
    """Memory of the instance type, given what the kernel shows of it: a 4 GiB instance has about 3800 MiB to show."""
    return -(-total_mib // MIB_PER_GIB) * MIB_PER_GIB


def running_limits_mib(containers: Mapping[str, Mapping[str, Any]]) -> dict[str, int]:
    """The limits of the containers that run, from what host_state_info found. Those that do not run hold no memory."""
    return {
        name: container["memory_bytes"] // BYTES_PER_MIB
        for name, container in containers.items()
        if container["running_seconds"] is not None
    }


def limits_findings(
    host: str, limits_mib: Mapping[str, int | str], instance_type: str, memory_mib: int | None
) -> list[Finding]:
    """Why an instance type cannot hold the containers of its services; nothing where its memory is not known.

    Numbers may come as text, from -e. What is no number is refused where the inputs of its service are judged.
    """
    limits = {service: int(limit) for service, limit in limits_mib.items() if str(limit).isdecimal()}
    if memory_mib is None or not any(limits.values()):
        return []
    shown = shown_mib(memory_mib)
    if sum(limits.values()) + RESERVE_MIB <= shown:
        return []
    listed = ", ".join(f"{service}_memory_mib {limit}" for service, limit in limits.items())
    return [
        Finding(
            "memory_limits",
            ", ".join(f"{service}_memory_mib" for service in limits),
            NOT_SHOWN,
            Words(
                f"on {host} the memory limits ({listed}) and {RESERVE_MIB} MiB for the system exceed the "
                f"{shown} MiB that a {instance_type} has at least, {SHOWN_PERCENT} % of its {memory_mib}",
                f"{host}의 메모리 제한({listed})과 시스템용 {RESERVE_MIB} MiB의 합이 {instance_type}에서 실제로 쓸 수 "
                f"있는 {shown} MiB({memory_mib} MiB의 {SHOWN_PERCENT}%)를 넘습니다",
            ),
            Words(
                "Lower them for this host in hosts.yml, or give it a larger instance_type.",
                "hosts.yml에서 이 호스트의 값을 낮추거나 더 큰 instance_type을 쓰십시오.",
            ),
        )
    ]


def container_findings(
    name: str, limit_mib: int, other_limits_mib: Mapping[str, int], total_mib: int, instance_min_mib: int
) -> list[Finding]:
    """What is wrong with a container's limit beside the others'. 0 means no limit, and no demand on the instance."""
    findings = []
    larger = Words("give it a larger instance_type", "더 큰 instance_type을 쓰십시오")
    if instance_memory_mib(total_mib) < instance_min_mib:
        findings.append(
            Finding(
                "container_host_memory",
                "container_host_memory_min_mib",
                NOT_SHOWN,
                Words(
                    f"{name} needs an instance with {instance_min_mib} MiB, but this host has {total_mib} MiB",
                    f"{name}에는 {instance_min_mib} MiB 인스턴스가 필요하지만 이 호스트는 {total_mib} MiB입니다",
                ),
                Words(f"{larger.en.capitalize()}.", f"{larger.ko}."),
            )
        )
    limits = {name: limit_mib, **{other: limit for other, limit in other_limits_mib.items() if other != name}}
    fits = total_mib - RESERVE_MIB
    if limit_mib and sum(limits.values()) > fits:
        listed = ", ".join(f"{container} {limit} MiB" for container, limit in limits.items() if limit)
        findings.append(
            Finding(
                "container_memory",
                "container_memory_mib",
                NOT_SHOWN,
                Words(
                    f"the memory limits on this host ({listed}) exceed {fits} MiB, which is its {total_mib} MiB less "
                    f"{RESERVE_MIB} MiB for the system",
                    f"이 호스트의 메모리 제한({listed})이 {fits} MiB({total_mib} MiB에서 시스템용 {RESERVE_MIB} MiB를 "
                    "뺀 값)를 넘습니다",
                ),
                Words(f"Lower that of {name}, or {larger.en}.", f"{name}의 값을 낮추거나 {larger.ko}."),
            )
        )
    return findings

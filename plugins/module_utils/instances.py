# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host may be, before it exists: by the guide, and by what AWS offers. Its role and the preflight ask both."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .findings import Finding, Words
from .memory import limits_findings
from .services import memory_limits_mib

# The image's own size, what the guide demands instead (§6.1: several images and their layers), and gp3's largest.
SMALLEST_ROOT_GIB = 8
ROOT_GIB = {"api": 30}
LARGEST_VOLUME_GIB = 16384
# How images and instance types name what they are made for.
ARCHITECTURES = ("arm64", "x86_64")
# Guide §8: less kills a three-hour encode.
VIDEO_GROUP = "video_worker"
VIDEO_MEMORY_MIB = 4096
VIDEO_DISK_GIB = 100
# A type that the region does not know is offered in no zone and has no memory.
UNKNOWN_TYPE: Mapping[str, Any] = {"zones": [], "memory_mib": 0, "architectures": [], "has_cpu_credits": False}
# The inputs of a host by which AWS's answer is judged.
JUDGED_BY_AWS = (
    "inventory_hostname",
    "group_names",
    "instance_ami_parameter",
    "instance_market_type",
    "instance_may_be_stopped",
    "instance_memory_min_mib",
    "instance_type",
    "services",
)


def name_findings(host: str, deployment_name: str) -> list[Finding]:
    """Whether the name of a host tells whose it is."""
    if host.startswith(f"{deployment_name}-"):
        return []
    return [
        Finding(
            "host_name",
            host,
            f"deployment_name {deployment_name}",
            Words(
                f"the name of a host must begin with deployment_name and a hyphen ({deployment_name}-), by which it is "
                "told from those of other deployments",
                f"호스트 이름은 deployment_name과 하이픈({deployment_name}-)으로 시작해야 합니다",
            ),
            Words(
                "Rename it in hosts.yml, or correct deployment_name.",
                "hosts.yml에서 이름을 바꾸거나 deployment_name을 고치십시오.",
            ),
        )
    ]


def volume_findings(host: str, groups: Sequence[str], root_gib: int, data_gib: int) -> list[Finding]:
    """Whether the volumes are large enough for what the guide puts onto them."""
    least_root_gib = max([SMALLEST_ROOT_GIB, *(ROOT_GIB[group] for group in groups if group in ROOT_GIB)])
    why_root = "Amazon Linux 2023" if least_root_gib == SMALLEST_ROOT_GIB else "§6.1"
    sizes = [("instance_root_volume_size_gib", root_gib, least_root_gib, why_root)]
    if VIDEO_GROUP in groups:
        sizes.append(("transcode_volume_size_gib", data_gib, VIDEO_DISK_GIB, "§8"))
    return [
        Finding(
            variable,
            variable,
            str(size),
            Words(
                f"{host} needs {least} GiB or more ({why}), and {LARGEST_VOLUME_GIB} at most",
                f"{host}에는 {least} GiB 이상({why}), {LARGEST_VOLUME_GIB} 이하가 필요합니다",
            ),
            Words(f"Set {least} or more.", f"{least} 이상으로 설정하십시오."),
        )
        for variable, size, least, why in sizes
        if not least <= size <= LARGEST_VOLUME_GIB
    ]


def offer(host: Mapping[str, Any], found: Mapping[str, Any]) -> Mapping[str, Any]:
    """What AWS says of the type of a host."""
    known: Mapping[str, Any] = found["instance_types"].get(host["instance_type"], UNKNOWN_TYPE)
    return known


def launch_subnets(subnets: Sequence[Mapping[str, Any]], zones: Sequence[str]) -> list[Mapping[str, Any]]:
    """The subnets in which an instance type that these zones offer can run."""
    return [subnet for subnet in subnets if subnet["zone"] in zones]


def image_architecture(parameter: str) -> str:
    """What the image is made for, as far as the name of its parameter says so."""
    return next((name for name in ARCHITECTURES if name in parameter), "")


def launch_findings(host: Mapping[str, Any], found: Mapping[str, Any]) -> list[Finding]:
    """Why a host cannot be launched: no image (by its parameter), another architecture, or no subnet where its type is
    offered."""
    name, instance_type, parameter = host["inventory_hostname"], host["instance_type"], host["instance_ami_parameter"]
    if not found.get("images", {}).get(parameter):
        return [
            Finding(
                "instance_image",
                "instance_ami_parameter",
                f"no parameter {parameter} in this region",
                Words(
                    f"{name} cannot be launched without a machine image, which a parameter of Systems Manager names",
                    f"{name}를 만들려면 Systems Manager 파라미터가 가리키는 머신 이미지(AMI)가 있어야 합니다",
                ),
                Words(
                    "Leave it as the guide's instances.yml has it, or correct its name; see what there is: aws ssm "
                    "get-parameters-by-path --path /aws/service/ami-amazon-linux-latest.",
                    "가이드의 instances.yml 값을 그대로 두거나 이름을 고치십시오. 사용 가능한 이름: aws ssm "
                    "get-parameters-by-path --path /aws/service/ami-amazon-linux-latest.",
                ),
            )
        ]
    architecture, architectures = image_architecture(parameter), offer(host, found)["architectures"]
    if architecture and architectures and architecture not in architectures:
        return [
            Finding(
                "instance_architecture",
                "instance_type",
                f"a {instance_type} ({', '.join(architectures)})",
                Words(
                    f"{name} cannot be launched, because its image (instance_ami_parameter) is made for {architecture}",
                    f"이미지(instance_ami_parameter)가 {architecture}용이므로 {name}를 만들 수 없습니다",
                ),
                Words(
                    "Choose a type of that architecture: t4g, c7g and others whose family has a g are arm64.",
                    "같은 아키텍처의 유형을 고르십시오. t4g, c7g처럼 g가 붙은 유형이 arm64입니다.",
                ),
            )
        ]
    return subnet_findings(host, found)


def subnet_findings(host: Mapping[str, Any], found: Mapping[str, Any]) -> list[Finding]:
    """Whether a type is offered in the zone of any subnet."""
    name, instance_type, zones = host["inventory_hostname"], host["instance_type"], offer(host, found)["zones"]
    subnets = found["network"]["subnets"]
    if launch_subnets(subnets, zones):
        return []
    there = ", ".join(f"{subnet['subnet_id']} ({subnet['zone']})" for subnet in subnets)
    offered = ", ".join(zones)
    return [
        Finding(
            "instance_type_offered",
            "instance_type",
            f"the subnets {there or 'none'}",
            Words(
                f"{name} cannot be launched, because {instance_type} is offered in "
                f"{offered or 'no zone of this region'}",
                f"{instance_type}을(를) 제공하는 가용 영역({offered or '없음'})에 서브넷이 없어 "
                f"{name}를 만들 수 없습니다",
            ),
            Words(
                "Choose another type, or add a subnet in such a zone.",
                "다른 유형을 고르거나 해당 가용 영역의 서브넷을 추가하십시오.",
            ),
        )
    ]


def memory_findings(host: Mapping[str, Any], found: Mapping[str, Any]) -> list[Finding]:
    """Whether the type holds what the host runs; the guide's minimum for video is not to be lowered. A type that is not
    known is not judged."""
    name, instance_type = host["inventory_hostname"], host["instance_type"]
    memory_mib = offer(host, found)["memory_mib"]
    if not memory_mib:
        return []
    limits = limits_findings(name, memory_limits_mib(host["services"], host["group_names"]), instance_type, memory_mib)
    least = max(host["instance_memory_min_mib"], VIDEO_MEMORY_MIB if VIDEO_GROUP in host["group_names"] else 0)
    if memory_mib >= least:
        return limits
    return [
        Finding(
            "instance_memory",
            "instance_type",
            f"a {instance_type}",
            Words(
                f"{name} needs at least {least} MiB (instance_memory_min_mib), but a {instance_type} has {memory_mib}",
                f"{name}에는 {least} MiB 이상이 필요하지만 {instance_type}은(는) {memory_mib} MiB입니다",
            ),
            Words("Choose a larger type.", "더 큰 유형을 고르십시오. 가이드 §8은 t4g.medium입니다."),
        ),
        *limits,
    ]

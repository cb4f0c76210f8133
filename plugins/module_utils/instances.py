# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an instance should look like, and what about an existing one only a human may decide."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .changes import reason, with_reasons
from .consent import consented_names
from .findings import Finding, Words, texts
from .memory import limits_refusals
from .spot import SPOT, market_refusals
from .tags import deployment_tags, own_tags, standing_tags

# Amazon Linux 2023's root device, and the name under which the data volume is attached.
ROOT_DEVICE = "/dev/xvda"
DATA_DEVICE = "/dev/sdf"
VOLUME_TYPE = "gp3"

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


def _volume(device: str, size_gib: int, delete_on_termination: bool) -> dict[str, Any]:
    return {
        "device_name": device,
        "ebs": {
            "volume_type": VOLUME_TYPE,
            "volume_size": size_gib,
            "encrypted": True,
            "delete_on_termination": delete_on_termination,
        },
    }


def instance_volumes(wanted: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The volumes of a new instance. The data volume outlives it: it holds work."""
    root = _volume(ROOT_DEVICE, wanted["root_volume_size_gib"], delete_on_termination=True)
    if not wanted["data_volume_size_gib"]:
        return [root]
    return [root, _volume(DATA_DEVICE, wanted["data_volume_size_gib"], delete_on_termination=False)]


def volume_tag_changes(matches: Sequence[Mapping[str, Any]], wanted: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Each volume of an existing instance whose tags are not the instance's, by which it is found on its own too."""
    return with_reasons(
        (
            {"volume_id": volume["volume_id"], "tags": wanted["tags"]},
            reason([("tags", own_tags(volume["tags"]), wanted["tags"])]),
        )
        for instance in matches
        for volume in instance["volumes"].values()
    )


def volume_type_changes(matches: Sequence[Mapping[str, Any]], wanted: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Each volume of a launch that has another type by now. EBS changes it while it works, and nothing is lost."""
    return with_reasons(
        (
            {"volume_id": volume["volume_id"], "zone": volume["availability_zone"], "volume_type": VOLUME_TYPE},
            reason([("volume type", volume["volume_type"], VOLUME_TYPE)]),
        )
        for instance in matches
        for device, volume in instance["volumes"].items()
        if device == _root_device(instance) or (device == DATA_DEVICE and wanted["data_volume_size_gib"])
    )


def _root_device(instance: Mapping[str, Any]) -> str:
    return str(instance.get("root_device_name", ROOT_DEVICE))


def _name_and_project(instance: Mapping[str, Any]) -> tuple[str | None, str | None]:
    tags = instance.get("tags", {})
    return tags.get("Name"), tags.get("Project")


def own_instances(instances: Sequence[Mapping[str, Any]], host: str, deployment_name: str) -> list[Mapping[str, Any]]:
    """Those of the instances that are this host of this deployment, by their tags."""
    return [instance for instance in instances if _name_and_project(instance) == (host, deployment_name)]


def foreign_refusals(host: str, instances: Sequence[Mapping[str, Any]], deployment_name: str) -> list[str]:
    """Why no host may be launched beside one that carries its name and not the deployment's tag."""
    return [
        f"{host}: {instance['instance_id']} carries this Name tag, but its Project tag is {project or 'missing'}. A "
        "second one beside it would be paid for and work on the same queue. To hand it over to this deployment: "
        f"aws ec2 create-tags --resources {instance['instance_id']} --tags Key=Project,Value={deployment_name}. "
        "Otherwise rename it, or the host."
        for instance in instances
        for name, project in [_name_and_project(instance)]
        if name == host and project != deployment_name
    ]


def spread(items: Sequence[Any], host: str, hosts: Sequence[str]) -> Any:
    """Each host its own of a few items, in turn, always the same."""
    return items[sorted(hosts).index(host) % len(items)]


def _volume_refusals(
    host: str, variable: str, size_gib: int, volume: Mapping[str, Any] | None, device: str
) -> list[str]:
    if volume is None:
        return [
            f"{variable}: {host} should have {size_gib} GiB at {device}, found no volume there. "
            "Attach one by hand, or terminate the instance and run again."
        ]
    problems = []
    if volume["size"] != size_gib:
        problems.append(
            f"{variable}: {size_gib} GiB wanted, but {host} has {volume['volume_id']} with {volume['size']} GiB at "
            f"{device}. A volume with data is neither shrunk nor replaced here, and no variable allows it: set this "
            "one to what it is, or grow the volume and its file system by hand."
        )
    if not volume["encrypted"]:
        problems.append(
            f"{host}: {volume['volume_id']} at {device} is not encrypted, and cannot become so. "
            "Copy it by an encrypted snapshot, or terminate the instance and run again."
        )
    return problems


def _termination_refusals(host: str, instance_id: str, volume: Mapping[str, Any] | None) -> list[str]:
    if volume is None or not any(attachment["delete_on_termination"] for attachment in volume["attachments"]):
        return []
    mapping = f'[{{"DeviceName": "{DATA_DEVICE}", "Ebs": {{"DeleteOnTermination": false}}}}]'
    return [
        f"{host}: the data volume must outlive its host, because it holds work, but {volume['volume_id']} at "
        f"{DATA_DEVICE} would be deleted with {instance_id}. Correct that: aws ec2 modify-instance-attribute "
        f"--instance-id {instance_id} --block-device-mappings '{mapping}'"
    ]


def launch_subnets(subnets: Sequence[Mapping[str, Any]], zones: Sequence[str]) -> list[Mapping[str, Any]]:
    """The subnets in which an instance type that these zones offer can run."""
    return [subnet for subnet in subnets if subnet["zone"] in zones]


def image_architecture(parameter: str) -> str:
    """What the image is made for, as far as the name of its parameter says so."""
    return next((name for name in ARCHITECTURES if name in parameter), "")


def launch_findings(
    host: str,
    wanted: Mapping[str, Any],
    subnets: Sequence[Mapping[str, Any]],
    offer: Mapping[str, Any],
    images: Mapping[str, str],
) -> list[Finding]:
    """Why an instance of this type cannot be launched: no image (by its parameter), another architecture, or no subnet
    where it is offered."""
    if not images.get(wanted["ami_parameter"]):
        return [
            Finding(
                "instance_image",
                "instance_ami_parameter",
                f"no parameter {wanted['ami_parameter']} in this region",
                Words(
                    f"{host} cannot be launched without a machine image, which a parameter of Systems Manager names",
                    f"{host}를 만들려면 Systems Manager 파라미터가 가리키는 머신 이미지(AMI)가 있어야 합니다",
                ),
                Words(
                    "Leave it as the guide's instances.yml has it, or correct its name; see what there is: aws ssm "
                    "get-parameters-by-path --path /aws/service/ami-amazon-linux-latest.",
                    "가이드의 instances.yml 값을 그대로 두거나 이름을 고치십시오. 사용 가능한 이름: aws ssm "
                    "get-parameters-by-path --path /aws/service/ami-amazon-linux-latest.",
                ),
            )
        ]
    architecture = image_architecture(wanted["ami_parameter"])
    zones, architectures = offer["zones"], offer["architectures"]
    if architecture and architectures and architecture not in architectures:
        return [
            Finding(
                "instance_architecture",
                "instance_type",
                f"a {wanted['instance_type']} ({', '.join(architectures)})",
                Words(
                    f"{host} cannot be launched, because its image (instance_ami_parameter) is made for {architecture}",
                    f"이미지(instance_ami_parameter)가 {architecture}용이므로 {host}를 만들 수 없습니다",
                ),
                Words(
                    "Choose a type of that architecture: t4g, c7g and others whose family has a g are arm64.",
                    "같은 아키텍처의 유형을 고르십시오. t4g, c7g처럼 g가 붙은 유형이 arm64입니다.",
                ),
            )
        ]
    if launch_subnets(subnets, zones):
        return []
    found = ", ".join(f"{subnet['subnet_id']} ({subnet['zone']})" for subnet in subnets)
    offered = ", ".join(zones)
    return [
        Finding(
            "instance_type_offered",
            "instance_type",
            f"the subnets {found or 'none'}",
            Words(
                f"{host} cannot be launched, because {wanted['instance_type']} is offered in "
                f"{offered or 'no zone of this region'}",
                f"{wanted['instance_type']}을(를) 제공하는 가용 영역({offered or '없음'})에 서브넷이 없어 "
                f"{host}를 만들 수 없습니다",
            ),
            Words(
                "Choose another type, or add a subnet in such a zone.",
                "다른 유형을 고르거나 해당 가용 영역의 서브넷을 추가하십시오.",
            ),
        )
    ]


def launch_refusals(
    host: str,
    wanted: Mapping[str, Any],
    subnets: Sequence[Mapping[str, Any]],
    offer: Mapping[str, Any],
    images: Mapping[str, str],
) -> list[str]:
    """The same as sentences."""
    return texts(launch_findings(host, wanted, subnets, offer, images))


def size_findings(host: str, wanted: Mapping[str, Any]) -> list[Finding]:
    """What is wrong with the name and the volumes of this host; needs no AWS."""
    findings = []
    if not host.startswith(f"{wanted['deployment_name']}-"):
        findings.append(
            Finding(
                "host_name",
                host,
                f"deployment_name {wanted['deployment_name']}",
                Words(
                    "the name of a host must begin with deployment_name and a hyphen "
                    f"({wanted['deployment_name']}-), by which it is told from those of other deployments",
                    f"호스트 이름은 deployment_name과 하이픈({wanted['deployment_name']}-)으로 시작해야 합니다",
                ),
                Words(
                    "Rename it in hosts.yml, or correct deployment_name.",
                    "hosts.yml에서 이름을 바꾸거나 deployment_name을 고치십시오.",
                ),
            )
        )
    groups = wanted.get("groups", ())
    video = VIDEO_GROUP in groups
    root_gib = max([SMALLEST_ROOT_GIB, *(ROOT_GIB[group] for group in groups if group in ROOT_GIB)])
    why = "Amazon Linux 2023" if root_gib == SMALLEST_ROOT_GIB else "§6.1"
    sizes = [
        ("instance_root_volume_size_gib", wanted["root_volume_size_gib"], root_gib, why),
        *([("transcode_volume_size_gib", wanted["data_volume_size_gib"], VIDEO_DISK_GIB, "§8")] if video else []),
    ]
    findings += [
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
    return findings


def memory_findings(host: str, wanted: Mapping[str, Any], memory_mib: int) -> list[Finding]:
    """Whether the type has the memory that this host needs; the guide's minimum for video is not to be lowered."""
    least = max(wanted["memory_min_mib"], VIDEO_MEMORY_MIB if VIDEO_GROUP in wanted.get("groups", ()) else 0)
    if memory_mib >= least:
        return []
    return [
        Finding(
            "instance_memory",
            "instance_type",
            f"a {wanted['instance_type']}",
            Words(
                f"{host} needs at least {least} MiB (instance_memory_min_mib), but a {wanted['instance_type']} has "
                f"{memory_mib}",
                f"{host}에는 {least} MiB 이상이 필요하지만 {wanted['instance_type']}은(는) {memory_mib} MiB입니다",
            ),
            Words("Choose a larger type.", "더 큰 유형을 고르십시오. 가이드 §8은 t4g.medium입니다."),
        )
    ]


def host_refusals(host: str, deployment_name: str, wanted: Mapping[str, Any], memory_mib: int) -> list[str]:
    """What is wrong with what this host should be, whether it exists or not."""
    findings = [
        *size_findings(host, {**wanted, "deployment_name": deployment_name}),
        *memory_findings(host, wanted, memory_mib),
    ]
    return texts(findings) + limits_refusals(
        host, wanted["memory_limits_mib"], wanted["instance_type"], memory_mib or None
    )


def _shutdown_refusals(host: str, instance: Mapping[str, Any]) -> list[str]:
    if (instance["instance_initiated_shutdown_behavior"] or "stop") == "stop":
        return []
    return [
        f"{host}: a host that shuts itself down must be stopped by it, but {instance['instance_id']} would be "
        "terminated. Correct that: aws ec2 modify-instance-attribute "
        f"--instance-id {instance['instance_id']} --instance-initiated-shutdown-behavior Value=stop"
    ]


def instance_refusals(
    host: str,
    matches: Sequence[Mapping[str, Any]],
    wanted: Mapping[str, Any],
    allowed_type_changes: Sequence[str],
) -> list[str]:
    """Why the existing instance of this host must not be touched; nothing for a host yet to be created."""
    if not matches:
        return []
    if len(matches) > 1:
        ids = ", ".join(sorted(instance["instance_id"] for instance in matches))
        return [
            f"{host}: one instance may carry this Name tag, found {len(matches)}: {ids}. "
            "Terminate or rename all but one."
        ]
    (instance,) = matches
    named = consented_names(allowed_type_changes, "instance_allow_type_change")
    problems = market_refusals(host, instance, wanted) + _shutdown_refusals(host, instance)
    if instance["instance_type"] != wanted["instance_type"] and wanted["market_type"] == SPOT:
        problems.append(
            f"instance_type: {wanted['instance_type']} wanted, but {host} is a {instance['instance_type']}, and EC2 "
            "never changes the type of a Spot instance. Set the variable to what it is, or replace the instance."
        )
    elif instance["instance_type"] != wanted["instance_type"] and host not in named:
        problems.append(
            f"instance_type: {wanted['instance_type']} wanted, but {host} is a {instance['instance_type']} "
            f"({instance['state']['name']}). Changing it stops a running host and starts a stopped one. If that is "
            f'meant, name the host: -e \'{{"instance_allow_type_change": ["{host}"]}}\'.'
        )
    attached = instance["volumes"]
    root_device = _root_device(instance)
    problems += _volume_refusals(
        host, "instance_root_volume_size_gib", wanted["root_volume_size_gib"], attached.get(root_device), root_device
    )
    if wanted["data_volume_size_gib"]:
        problems += _volume_refusals(
            host,
            "transcode_volume_size_gib",
            wanted["data_volume_size_gib"],
            attached.get(DATA_DEVICE),
            DATA_DEVICE,
        )
        problems += _termination_refusals(host, instance["instance_id"], attached.get(DATA_DEVICE))
    return problems


def _profile_name(instance: Mapping[str, Any]) -> str | None:
    arn = instance.get("iam_instance_profile", {}).get("arn")
    return arn.rpartition("/")[2] if arn else None


def instance_changes(matches: Sequence[Mapping[str, Any]], wanted: Mapping[str, Any]) -> list[str]:
    """Why the existing instance has to be mended, in one sentence or none; nothing for one yet to be created."""
    if not matches:
        return []
    (instance,) = matches
    options = instance["metadata_options"]
    comparisons = [
        ("instance type", instance["instance_type"], wanted["instance_type"]),
        ("instance profile", _profile_name(instance), wanted["instance_profile"]),
        *(
            (name, options[name], value)
            for name, value in wanted["metadata_options"].items()
            if name in options  # what a region does not know cannot be mended
        ),
        ("tags", standing_tags(instance["tags"]), wanted["tags"]),
    ]
    # The groups of an instance with a second interface are its owner's business: ec2_instance does not touch them.
    if len(instance["network_interfaces"]) == 1:
        groups = sorted(group["group_name"] for group in instance["security_groups"])
        comparisons.append(("security groups", groups, [wanted["security_group"]]))
    why = reason(comparisons)
    return [why] if why else []


def kept_tags(matches: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """What mending an instance must leave on it, whoever set it; nothing for one yet to be created."""
    return deployment_tags(matches[0]["tags"]) if matches else {}

# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an instance should look like, and what about an existing one only a human may decide."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .changes import reason
from .spot import SPOT, market_refusals
from .tags import deployment_tags, standing_tags

# Amazon Linux 2023's root device, and the name under which the data volume is attached.
ROOT_DEVICE = "/dev/xvda"
DATA_DEVICE = "/dev/sdf"


def _volume(device: str, size_gib: int, delete_on_termination: bool) -> dict[str, Any]:
    return {
        "device_name": device,
        "ebs": {
            "volume_type": "gp3",
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
            f"{device}. A volume with data is neither shrunk nor replaced here: set the variable to what it is, or "
            "grow the volume and its file system by hand."
        )
    if not volume["encrypted"]:
        problems.append(
            f"{host}: {volume['volume_id']} at {device} is not encrypted, and cannot become so. "
            "Copy it by an encrypted snapshot, or terminate the instance and run again."
        )
    return problems


def launch_subnets(subnets: Sequence[Mapping[str, Any]], zones: Sequence[str]) -> list[Mapping[str, Any]]:
    """The subnets in which an instance type that these zones offer can run."""
    return [subnet for subnet in subnets if subnet["zone"] in zones]


def launch_refusals(
    host: str, wanted: Mapping[str, Any], subnets: Sequence[Mapping[str, Any]], zones: Sequence[str]
) -> list[str]:
    """Why an instance of this type cannot be launched, if no subnet lies where it is offered."""
    if launch_subnets(subnets, zones):
        return []
    found = ", ".join(f"{subnet['subnet_id']} ({subnet['zone']})" for subnet in subnets)
    return [
        f"instance_type: {host} cannot be launched, because {wanted['instance_type']} is offered in "
        f"{', '.join(zones) or 'no zone of this region'} and the subnets are {found}. "
        "Choose another type, or add a subnet in such a zone."
    ]


def host_refusals(host: str, deployment_name: str, wanted: Mapping[str, Any], memory_mib: int) -> list[str]:
    """What is wrong with what this host should be, whether it exists or not."""
    problems = []
    if not host.startswith(f"{deployment_name}-"):
        problems.append(
            f"{host}: the name of a host must begin with deployment_name and a hyphen ({deployment_name}-), by which "
            "it is told from those of other deployments. Rename it in hosts.yml, or correct deployment_name."
        )
    if memory_mib < wanted["memory_min_mib"]:
        problems.append(
            f"instance_type: {host} needs at least {wanted['memory_min_mib']} MiB (instance_memory_min_mib), but a "
            f"{wanted['instance_type']} has {memory_mib}. Choose a larger type."
        )
    return problems


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
    problems = market_refusals(host, instance, wanted) + _shutdown_refusals(host, instance)
    if instance["instance_type"] != wanted["instance_type"] and wanted["market_type"] == SPOT:
        problems.append(
            f"instance_type: {wanted['instance_type']} wanted, but {host} is a {instance['instance_type']}, and EC2 "
            "never changes the type of a Spot instance. Set the variable to what it is, or replace the instance."
        )
    elif instance["instance_type"] != wanted["instance_type"] and host not in allowed_type_changes:
        problems.append(
            f"instance_type: {wanted['instance_type']} wanted, but {host} is a {instance['instance_type']} "
            f"({instance['state']['name']}). Changing it stops a running host and starts a stopped one. If that is "
            f'meant, name the host: -e \'{{"instance_allow_type_change": ["{host}"]}}\'.'
        )
    attached = instance["volumes"]
    root_device = instance.get("root_device_name", ROOT_DEVICE)
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

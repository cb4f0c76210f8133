# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A launch as EC2 takes it, and what its refusals and the end of a new instance mean."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ansible.module_utils.common.dict_transformations import snake_dict_to_camel_dict

NEW_PROFILE = "Invalid IAM Instance Profile"
# EC2's own words, and those of the state reason of an instance that it launched all the same.
FULL = ("InsufficientInstanceCapacity", "Server.InsufficientInstanceCapacity")
# What to do, by the code of a refusal or of a state reason.
REMEDIES: Mapping[str, str] = {
    "VcpuLimitExceeded": "Request a higher quota: playbooks/preflight.yml says how many vCPUs are needed, and how.",
    "MaxSpotInstanceCountExceeded": "Request a higher quota for Spot: playbooks/preflight.yml says which, and how.",
    "Client.InternalError": (
        "Mostly the key of an encrypted volume may not be used by whoever starts the instance: see aws ec2 "
        "get-ebs-default-kms-key-id, and playbooks/preflight.yml."
    ),
    "Client.VolumeLimitExceeded": "Request a higher quota of EBS storage, or delete volumes that nobody uses.",
}
OTHERWISE = "Remove the cause, and run again."


class LaunchError(Exception):
    """An instance that does not run; says why, and what to do."""


@dataclass(frozen=True)
class State:
    """What EC2 tells of an instance, and why it is so."""

    instance_id: str
    name: str
    subnet_id: str
    reason_code: str
    reason: str


def state_of(instance: Mapping[str, Any]) -> State:
    reason = instance.get("StateReason") or {}
    return State(
        instance["InstanceId"],
        instance["State"]["Name"],
        instance.get("SubnetId", ""),
        reason.get("Code", ""),
        reason.get("Message", ""),
    )


def launch_parameters(name: str, wanted: Mapping[str, Any], subnet_id: str, group_id: str) -> dict[str, Any]:
    """For RunInstances. A launch template says that it is a Spot instance, and nothing else."""
    tags = [{"Key": key, "Value": value} for key, value in {**wanted["tags"], "Name": name}.items()]
    parameters = {
        "MinCount": 1,
        "MaxCount": 1,
        "ImageId": wanted["image_id"],
        "InstanceType": wanted["instance_type"],
        "KeyName": wanted["key_name"],
        "IamInstanceProfile": {"Name": wanted["instance_profile"]},
        "NetworkInterfaces": [
            {
                "DeviceIndex": 0,
                # Without one it would need a NAT gateway to reach ECR, SQS and object storage.
                "AssociatePublicIpAddress": True,
                "SubnetId": subnet_id,
                "Groups": [group_id],
            }
        ],
        "BlockDeviceMappings": [
            snake_dict_to_camel_dict(volume, capitalize_first=True) for volume in wanted["volumes"]
        ],
        "MetadataOptions": snake_dict_to_camel_dict(wanted["metadata_options"], capitalize_first=True),
        # A host that shuts itself down is stopped, never terminated.
        "InstanceInitiatedShutdownBehavior": "stop",
        "TagSpecifications": [{"ResourceType": kind, "Tags": tags} for kind in ("instance", "volume")],
    }
    if wanted.get("cpu_credits"):
        parameters["CreditSpecification"] = {"CpuCredits": wanted["cpu_credits"]}
    if wanted.get("launch_template"):
        parameters["LaunchTemplate"] = {"LaunchTemplateName": wanted["launch_template"]}
    return parameters


def is_full(code: str) -> bool:
    """Whether a zone has no capacity."""
    return code in FULL


def profile_is_new(code: str, message: str) -> bool:
    """Whether EC2 does not know the instance profile yet, which IAM has made a moment ago."""
    return code == "InvalidParameterValue" and NEW_PROFILE in message


def refused(name: str, code: str, message: str) -> str:
    return f"{name}: EC2 does not launch it, {code}: {message.rstrip('.')}. {REMEDIES[code]}"


def ended(name: str, state: State) -> str:
    reason = state.reason or "no reason told"
    remedy = REMEDIES.get(state.reason_code, OTHERWISE)
    return f"{name}: {state.instance_id} became {state.name} instead of running, {reason.rstrip('.')}. {remedy}"


def never_began(name: str, state: State, seconds: float) -> str:
    return f"{name}: {state.instance_id} is still pending after {seconds:g} s. See it in the console, and run again."


def full(name: str, instance_type: str, subnet_ids: Sequence[str]) -> str:
    return (
        f"{name}: EC2 has no capacity for a {instance_type} in the zones of {', '.join(subnet_ids)}. Run again later, "
        "add a subnet in another zone, or choose another instance_type."
    )

# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What EC2 refuses of instances: launches, states, Spot, launch templates."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Collection, Mapping
from contextlib import suppress
from typing import Any

from localcloud.fixes import ROOT_VOLUME_GIB, launch_data
from localcloud.spot import PERSISTENT, TERMINATE, Wish, request_of, wish
from localcloud.strict import models
from localcloud.strict.rule import Account, Parameters, Rule, by_parameters
from localcloud.wire import ApiError, Call

RUN = "ec2.RunInstances"
MODIFY = "ec2.ModifyInstanceAttribute"
USER_DATA_BYTES = 16384
HOP_LIMITS = range(1, 64 + 1)
# Of the tags that the metadata service shows.
SHOWN_TAG_KEY = re.compile(r"(?!(\.|\.\.|_index)$)[a-zA-Z0-9+=.,_:@-]+")
MAX_PRICE_MIN = 0.001

# In these states an action is refused.
REFUSED_IN: Mapping[str, frozenset[str]] = {
    "StartInstances": frozenset({"stopping", "shutting-down", "terminated"}),
    "StopInstances": frozenset({"pending", "shutting-down", "terminated"}),
    "RebootInstances": frozenset({"pending", "stopping", "stopped", "shutting-down", "terminated"}),
}
PARTICIPLES: Mapping[str, str] = {
    "StartInstances": "started",
    "StopInstances": "stopped",
    "RebootInstances": "rebooted",
}
# Attributes that only a stopped instance lets change.
CHANGED_WHILE_STOPPED = ("InstanceType", "UserData", "Kernel", "Ramdisk", "EbsOptimized")


# --- pure decisions -----------------------------------------------------------------------------------------------


def wrong_state(action: str, instance_id: str, state: str) -> ApiError | None:
    if state not in REFUSED_IN[action]:
        return None
    message = (
        f"The instance '{instance_id}' is not in a state from which it can be {PARTICIPLES[action]}: it is {state}."
    )
    return ApiError("IncorrectInstanceState", message)


def architecture(of_type: Collection[str], of_image: str) -> ApiError | None:
    if of_image in of_type:
        return None
    message = (
        f"The architecture '{', '.join(of_type)}' of the specified instance type does not match the architecture "
        f"'{of_image}' of the specified AMI. Specify an instance type and an AMI that have matching architectures, "
        "and try again."
    )
    return ApiError("InvalidParameterValue", message)


def offered(instance_type: str, zone: str, zones: Collection[str]) -> ApiError | None:
    if zone in zones:
        return None
    message = (
        f"Your requested instance type ({instance_type}) is not supported in your requested Availability Zone "
        f"({zone}). Please retry your request by not specifying an Availability Zone or choosing "
        f"{', '.join(sorted(zones))}."
    )
    return ApiError("Unsupported", message)


def user_data(parameters: Parameters) -> ApiError | None:
    try:
        content = base64.b64decode(parameters.get("UserData") or "", validate=True)
    except (binascii.Error, ValueError):
        return None  # moto's to refuse
    if len(content) <= USER_DATA_BYTES:
        return None
    return ApiError("InvalidParameterValue", f"User data is limited to {USER_DATA_BYTES} bytes")


def hop_limit(parameters: Parameters) -> ApiError | None:
    asked = (parameters.get("MetadataOptions") or parameters).get("HttpPutResponseHopLimit")
    if asked is None or int(asked) in HOP_LIMITS:
        return None
    message = f"The value for HttpPutResponseHopLimit is invalid: {asked}. It must be between 1 and 64."
    return ApiError("InvalidParameterValue", message)


def shown_tags(keys: Collection[str]) -> ApiError | None:
    key = next((key for key in keys if not SHOWN_TAG_KEY.fullmatch(key)), None)
    if key is None:
        return None
    message = (
        f"'{key}' is not a valid tag key. Tag keys must match pattern ([0-9a-zA-Z\\-_+=,.@:]{{1,255}}), and must not "
        "be a reserved name ('.', '..', '_index')"
    )
    return ApiError("InvalidParameterValue", message)


def interruption(asked: Wish) -> ApiError | None:
    """A persistent request stops or hibernates its instance, a one-time request terminates it."""
    if (asked.kind == PERSISTENT) == (asked.behavior != TERMINATE):
        return None
    if asked.kind == PERSISTENT:
        message = "The terminate InstanceInterruptionBehavior is not supported when requestType is set to persistent."
    else:
        message = (
            f"The request with type '{asked.kind}' is not supported "
            f"when instanceInterruptionBehavior is set to '{asked.behavior}'."
        )
    return ApiError("InvalidParameterCombination", message)


def price(maximum: str) -> ApiError | None:
    with suppress(ValueError):
        if float(maximum) >= MAX_PRICE_MIN:
            return None
    return ApiError("InvalidParameterValue", f"The maximum price {maximum} must be more than {MAX_PRICE_MIN}.")


def root_volume(mappings: Collection[Parameters], root_device: str) -> ApiError | None:
    for mapping in mappings:
        size = (mapping.get("Ebs") or {}).get("VolumeSize")
        if mapping.get("DeviceName") == root_device and size is not None and int(size) < ROOT_VOLUME_GIB:
            message = (
                f"Volume of size {size}GB is smaller than snapshot of the image, expect size >= {ROOT_VOLUME_GIB}GB"
            )
            return ApiError("InvalidBlockDeviceMapping", message)
    return None


def template_name(parameters: Parameters) -> ApiError | None:
    name = parameters.get("LaunchTemplateName") or ""
    broken = next(models.violations(models.model("ec2").shape_for("LaunchTemplateName"), name), None)
    if broken is None:
        return None
    message = f"The launch template name '{name}' is not valid: it must {broken.limit}"
    return ApiError("InvalidLaunchTemplateName.MalformedException", message)


# --- reading the account ------------------------------------------------------------------------------------------


def launch(call: Call, account: Account) -> dict[str, Any]:
    """All of a launch: its template's data under its own parameters."""
    return launch_data(account.backends("ec2"), call.parameters)


def _subnet(call: Call, account: Account) -> Any | None:
    """The subnet that a launch names, if it exists."""
    asked = launch(call, account)
    interfaces = asked.get("NetworkInterfaces") or [{}]
    name = asked.get("SubnetId") or interfaces[0].get("SubnetId")
    subnets = account.backends("ec2").describe_subnets()
    return next((subnet for subnet in subnets if subnet.id == name), None)


def _image(call: Call, account: Account) -> Any | None:
    name = launch(call, account).get("ImageId")
    images = account.backends("ec2").amis
    return images.get(name)


def _missing_image(call: Call, account: Account) -> ApiError | None:
    if launch(call, account).get("ImageId"):
        return None
    return ApiError("MissingParameter", "The request must contain the parameter ImageId")


def _architecture(call: Call, account: Account) -> ApiError | None:
    instance_type, image = launch(call, account).get("InstanceType"), _image(call, account)
    if not instance_type or image is None:
        return None
    described = account.backends("ec2").describe_instance_types([instance_type], {})[0]
    return architecture(described["ProcessorInfo"]["SupportedArchitectures"], image.architecture)


def _offered(call: Call, account: Account) -> ApiError | None:
    asked, subnet = launch(call, account), _subnet(call, account)
    zone = subnet.availability_zone if subnet else (asked.get("Placement") or {}).get("AvailabilityZone")
    if not zone or not asked.get("InstanceType"):
        return None
    filters = {"instance-type": [asked["InstanceType"]]}
    offerings = account.backends("ec2").describe_instance_type_offerings("availability-zone", filters)
    zones = {offering["Location"] for offering in offerings}
    return offered(asked["InstanceType"], zone, zones) if zones else None


def _profile(call: Call, account: Account) -> ApiError | None:
    asked = launch(call, account).get("IamInstanceProfile") or {}
    for member, attribute in (("Name", "name"), ("Arn", "arn")):
        value = asked.get(member)
        profiles = account.backends("iam").get_instance_profiles()
        found = next((profile for profile in profiles if getattr(profile, attribute) == value), None)
        if value and found is None:
            parameter = f"iamInstanceProfile.{member.lower()}"
            message = (
                f"Value ({value}) for parameter {parameter} is invalid. Invalid IAM Instance Profile {member.lower()}"
            )
            return ApiError("InvalidParameterValue", message)
    return None


def _profile_without_role(call: Call, account: Account) -> ApiError | None:
    asked = launch(call, account).get("IamInstanceProfile") or {}
    names = {asked.get("Name"), asked.get("Arn")} - {None}
    for profile in account.backends("iam").get_instance_profiles():
        if not profile.roles and {profile.name, profile.arn} & names:
            message = f'IAM Instance Profile "{profile.arn}" has no associated IAM Roles'
            return ApiError("InvalidParameterValue", message)
    return None


def _key_pair(call: Call, account: Account) -> ApiError | None:
    name = launch(call, account).get("KeyName")
    if not name or name in account.backends("ec2").key_pairs:
        return None
    return ApiError("InvalidKeyPair.NotFound", f"The key pair '{name}' does not exist")


def _group_network(call: Call, account: Account) -> ApiError | None:
    asked, subnet, ec2 = launch(call, account), _subnet(call, account), account.backends("ec2")
    vpc = subnet.vpc_id if subnet else getattr(ec2.get_default_vpc(), "id", None)
    interfaces = asked.get("NetworkInterfaces") or []
    names = [*(asked.get("SecurityGroupIds") or []), *(name for nic in interfaces for name in nic.get("Groups") or [])]
    for group in map(ec2.get_security_group_from_id, names):
        if group is not None and group.vpc_id != vpc:
            network = f"subnet {subnet.id}" if subnet else f"vpc {vpc}"
            message = f"Security group {group.id} and {network} belong to different networks."
            return ApiError("InvalidParameter", message)
    return None


def _shown_tags(call: Call, account: Account) -> ApiError | None:
    """Of a launch that shows tags, of an instance that is to show them, and of one that does."""
    parameters, ec2 = call.parameters, account.backends("ec2")
    if call.action == "RunInstances":
        asked = launch(call, account)
        given = [tag for each in asked.get("TagSpecifications") or [] for tag in each.get("Tags") or []]
        shows = (asked.get("MetadataOptions") or {}).get("InstanceMetadataTags") == "enabled"
        return shown_tags([tag["Key"] for tag in given]) if shows else None
    if call.action == "CreateTags":
        named = [each for each in ec2.all_instances() if each.id in (parameters.get("Resources") or [])]
        shows = any(each.metadata_options.instance_metadata_tags == "enabled" for each in named)
        return shown_tags([tag["Key"] for tag in parameters.get("Tags") or []]) if shows else None
    shows = parameters.get("InstanceMetadataTags") == "enabled"
    return shown_tags([tag["key"] for tag in ec2.get_instance(parameters["InstanceId"]).get_tags()]) if shows else None


def _interruption(call: Call, account: Account) -> ApiError | None:
    asked = wish(launch(call, account))
    return None if asked is None else interruption(asked)


def _price(call: Call, account: Account) -> ApiError | None:
    asked = wish(launch(call, account))
    return None if asked is None or asked.max_price is None else price(asked.max_price)


def _valid_until(call: Call, account: Account) -> ApiError | None:
    asked = wish(launch(call, account))
    if asked is None or asked.kind == PERSISTENT or asked.valid_until is None:
        return None
    return ApiError("InvalidParameterCombination", "ValidUntil is supported for persistent Spot requests only.")


def _root_volume(call: Call, account: Account) -> ApiError | None:
    image = _image(call, account)
    mappings = launch(call, account).get("BlockDeviceMappings") or []
    return root_volume(mappings, image.root_device_name) if image else None


def _wrong_state(call: Call, account: Account) -> ApiError | None:
    if call.parameters.get("DryRun"):
        return None
    instances = account.backends("ec2").get_multi_instances_by_id(call.parameters.get("InstanceIds") or [])
    refusals = (wrong_state(call.action, instance.id, instance.state) for instance in instances)
    return next(filter(None, refusals), None)


def _unstoppable_spot(call: Call, account: Account) -> ApiError | None:
    for name in call.parameters.get("InstanceIds") or []:
        request = request_of(account.backends("ec2"), name)
        if request is None or (request.type == PERSISTENT and not request.cancelled):
            continue
        why = "a one-time" if request.type != PERSISTENT else "a cancelled"
        message = (
            f"You can't stop the Spot Instance '{name}' because it is associated with {why} Spot Instance "
            "request. You can only stop Spot Instances associated with persistent Spot Instance requests."
        )
        return ApiError("UnsupportedOperation", message)
    return None


def _unstartable_spot(call: Call, account: Account) -> ApiError | None:
    for name in call.parameters.get("InstanceIds") or []:
        request = request_of(account.backends("ec2"), name)
        if request is not None and request.instance.state == "stopped" and not request.startable:
            message = (
                f"You can't start the Spot Instance '{name}' because the associated Spot Instance request is not in an "
                "appropriate state to support start."
            )
            return ApiError("IncorrectSpotRequestState", message)
    return None


def _spot_type(call: Call, account: Account) -> ApiError | None:
    parameters = call.parameters
    if parameters.get("InstanceType") is None and (parameters.get("Attribute") or "") != "instanceType":
        return None
    if request_of(account.backends("ec2"), str(parameters.get("InstanceId"))) is None:
        return None
    message = f"The instance type of the Spot Instance '{parameters['InstanceId']}' can't be changed."
    return ApiError("UnsupportedOperation", message)


def _changed_while_running(call: Call, account: Account) -> ApiError | None:
    attribute = call.parameters.get("Attribute") or ""
    asked = {name for name in CHANGED_WHILE_STOPPED if call.parameters.get(name) is not None}
    instance = account.backends("ec2").get_instance_by_id(call.parameters.get("InstanceId"))
    if instance is None or instance.state == "stopped":
        return None
    if not asked and attribute.lower() not in {name.lower() for name in CHANGED_WHILE_STOPPED}:
        return None
    return ApiError("IncorrectInstanceState", f"The instance '{instance.id}' is not in the 'stopped' state.")


RULES = (
    Rule(
        "ec2-image-missing",
        (RUN,),
        "a launch without image",
        "botocore ec2 RunInstancesRequest.ImageId",
        _missing_image,
    ),
    Rule(
        "ec2-architecture",
        (RUN,),
        "an arm64 image on an x86 type, and the reverse",
        "skypilot-org/skypilot#6315",
        _architecture,
    ),
    Rule(
        "ec2-type-in-zone",
        (RUN,),
        "an instance type that the zone does not offer",
        "facts 8.1, SUSE-Enceladus/ec2imgutils#103",
        _offered,
    ),
    Rule(
        "ec2-instance-profile",
        (RUN, "ec2.AssociateIamInstanceProfile"),
        "an instance profile that does not exist",
        "CiscoDevNet/cloud-cml#4",
        _profile,
    ),
    Rule(
        "ec2-instance-profile-role",
        (RUN, "ec2.AssociateIamInstanceProfile"),
        "an instance profile without role",
        "DanielThomas/ec2gaming#17",
        _profile_without_role,
    ),
    Rule(
        "ec2-key-pair",
        (RUN,),
        "a key pair that does not exist",
        "ec2 API reference, error codes",
        _key_pair,
    ),
    Rule(
        "ec2-security-group-network",
        (RUN,),
        "a security group of another VPC",
        "ansible/ansible-modules-core#347",
        _group_network,
    ),
    Rule(
        "ec2-user-data",
        (RUN,),
        "user data of more than 16 KiB",
        "ec2-ug user-data",
        by_parameters(user_data),
    ),
    Rule(
        "ec2-hop-limit",
        (RUN, "ec2.ModifyInstanceMetadataOptions"),
        "a metadata hop limit outside 1-64",
        "botocore ec2 ModifyInstanceMetadataOptionsRequest.HttpPutResponseHopLimit; code not verified",
        by_parameters(hop_limit),
    ),
    Rule(
        "ec2-shown-tags",
        (RUN, "ec2.CreateTags", "ec2.ModifyInstanceMetadataOptions"),
        "tags with a slash or a blank in their keys on an instance whose metadata service shows tags",
        "ec2-ug work-with-tags-in-IMDS; message not verified",
        _shown_tags,
    ),
    Rule(
        "ec2-root-volume",
        (RUN,),
        "a root volume smaller than the image's snapshot",
        "scylladb/scylladb#6999; size from facts 4.7",
        _root_volume,
    ),
    Rule(
        "ec2-spot-interruption",
        (RUN,),
        "a persistent Spot request that terminates on interruption, and a one-time request that does not",
        "facts 2.2, harmony-one/harmony-ops#285, pahud/cdk-spot-one#206",
        _interruption,
    ),
    Rule(
        "ec2-spot-price",
        (RUN,),
        "a maximum Spot price below $0.001",
        "botocore ec2 SpotMarketOptions.MaxPrice; message not verified",
        _price,
    ),
    Rule(
        "ec2-spot-valid-until",
        (RUN,),
        "an end date for a one-time Spot request",
        "botocore ec2 SpotMarketOptions.ValidUntil; code not verified",
        _valid_until,
    ),
    Rule(
        "ec2-one-time-spot",
        ("ec2.StopInstances",),
        "stopping an instance of a one-time or a cancelled Spot request",
        "facts 2.1, cloud-custodian/cloud-custodian#8003",
        _unstoppable_spot,
    ),
    Rule(
        "ec2-spot-start",
        ("ec2.StartInstances",),
        "starting a Spot instance that EC2 stopped itself, or one whose request is still `active` after its stop",
        "facts 2.3, ec2-ug spot-interruptions, hashicorp/terraform-provider-aws#33399; for how long not verified",
        _unstartable_spot,
    ),
    Rule(
        "ec2-spot-type",
        (MODIFY,),
        "another type for a Spot instance",
        "facts 2.4, ec2-ug spot-interruptions; code not verified",
        _spot_type,
    ),
    Rule(
        "ec2-instance-state",
        tuple(f"ec2.{action}" for action in REFUSED_IN),
        "starting, stopping or rebooting an instance that is `pending`, `stopping`, or gone",
        "facts 2.4",
        _wrong_state,
    ),
    Rule(
        "ec2-stopped-attributes",
        (MODIFY,),
        "another type or user data for an instance that is not stopped",
        "ec2-ug ec2-instance-resize, ec2 API reference, error codes",
        _changed_while_running,
    ),
    Rule(
        "ec2-launch-template-name",
        ("ec2.CreateLaunchTemplate",),
        "a launch template name that the model does not allow: 3-128 of `a-zA-Z0-9().-/_`",
        "botocore ec2 LaunchTemplateName",
        by_parameters(template_name),
    ),
)

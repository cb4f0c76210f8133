# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What EC2 refuses of security groups, subnets and tags."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from localcloud.strict.rule import Account, Parameters, Rule, by_parameters
from localcloud.wire import ApiError, Call

CREATE = "ec2.CreateSecurityGroup"
DELETE = "ec2.DeleteSecurityGroup"
AUTHORIZE = ("ec2.AuthorizeSecurityGroupIngress", "ec2.AuthorizeSecurityGroupEgress")
TAGGING = ("ec2.CreateTags", "ec2.RunInstances", "ec2.CreateVolume", CREATE, "ec2.CreateLaunchTemplate")

NAME = re.compile(r"[a-zA-Z0-9 ._\-:/()#,@\[\]+=&;{}!$*]{1,255}")
RULE_DESCRIPTION = re.compile(r"[a-zA-Z0-9 ._\-:/()#,@\[\]+=&;{}!$*]{0,255}")
PORTS = range(65535 + 1)
PORT_PROTOCOLS = ("tcp", "udp", "6", "17")
TAG_KEY_LENGTH = 128
TAG_VALUE_LENGTH = 256
NOT_FOUND = {
    "i-": ("InvalidInstanceID.NotFound", "instance ID"),
    "sg-": ("InvalidGroup.NotFound", "security group"),
    "subnet-": ("InvalidSubnetID.NotFound", "subnet ID"),
    "vol-": ("InvalidVolume.NotFound", "volume"),
    "vpc-": ("InvalidVpcID.NotFound", "vpc ID"),
}


# --- pure decisions -----------------------------------------------------------------------------------------------


def group_name(parameters: Parameters) -> ApiError | None:
    name = parameters.get("GroupName") or ""
    if not name.lower().startswith("sg-"):
        return None
    message = f"Value ({name}) for parameter GroupName is invalid. Group names may not be in the format sg-*"
    return ApiError("InvalidParameterValue", message)


def group_characters(parameters: Parameters) -> ApiError | None:
    name = parameters.get("GroupName") or ""
    if NAME.fullmatch(name):
        return None
    message = f"Value ({name}) for parameter GroupName is invalid. Character sets beyond ASCII are not supported."
    return ApiError("InvalidParameterValue", message)


def group_description(parameters: Parameters) -> ApiError | None:
    description = parameters.get("Description") or ""
    if not description or NAME.fullmatch(description):  # moto refuses an empty one
        return None
    message = (
        f"Value ({description}) for parameter GroupDescription is invalid. "
        "Character sets beyond ASCII are not supported."
    )
    return ApiError("InvalidParameterValue", message)


def permissions(parameters: Parameters) -> list[Parameters]:
    """The rules that a call adds, also where it gives one without a list."""
    return parameters.get("IpPermissions") or [parameters]


def port_range(parameters: Parameters) -> ApiError | None:
    for permission in permissions(parameters):
        first, last = permission.get("FromPort"), permission.get("ToPort")
        if permission.get("IpProtocol") not in PORT_PROTOCOLS or first is None or last is None:
            continue
        for port in (first, last):
            if port not in PORTS:
                return ApiError("InvalidParameterValue", f"TCP/UDP port ({port}) out of range")
        if first > last:
            return ApiError("InvalidParameterValue", f"Invalid TCP/UDP port range ({first}-{last})")
    return None


def ports_missing(parameters: Parameters) -> ApiError | None:
    for permission in permissions(parameters):
        ports = (permission.get("FromPort"), permission.get("ToPort"))
        if permission.get("IpProtocol") in PORT_PROTOCOLS and None in ports:
            message = "Invalid value 'Must specify both from and to ports with TCP/UDP.' for portRange."
            return ApiError("InvalidParameterValue", message)
    return None


def rule_description(parameters: Parameters) -> ApiError | None:
    for permission in permissions(parameters):
        for member in ("IpRanges", "Ipv6Ranges", "PrefixListIds", "UserIdGroupPairs"):
            for source in permission.get(member) or []:
                if not RULE_DESCRIPTION.fullmatch(source.get("Description") or ""):
                    message = (
                        "Invalid rule description. Valid descriptions are strings less than 256 characters "
                        "from the following set: a-zA-Z0-9. _-:/()#,@[]+=&;{}!$*"
                    )
                    return ApiError("InvalidParameterValue", message)
    return None


def tags(parameters: Parameters) -> Iterator[tuple[str, str]]:
    """Every tag that a call sets."""
    specifications = parameters.get("TagSpecifications") or []
    for tag in [*(parameters.get("Tags") or []), *(tag for spec in specifications for tag in spec.get("Tags") or [])]:
        yield tag.get("Key") or "", tag.get("Value") or ""


def tag_prefix(parameters: Parameters) -> ApiError | None:
    if not any(key.lower().startswith("aws:") for key, _ in tags(parameters)):
        return None
    return ApiError("InvalidParameterValue", "Tag keys starting with 'aws:' are reserved for internal use")


def tag_length(parameters: Parameters) -> ApiError | None:
    for key, value in tags(parameters):
        if len(key) > TAG_KEY_LENGTH:
            message = f"Tag key exceeds the maximum length of {TAG_KEY_LENGTH} characters"
            return ApiError("InvalidParameterValue", message)
        if len(value) > TAG_VALUE_LENGTH:
            message = f"Tag value exceeds the maximum length of {TAG_VALUE_LENGTH} characters"
            return ApiError("InvalidParameterValue", message)
    return None


# --- reading the account ------------------------------------------------------------------------------------------


def _groups(account: Account) -> list[Any]:
    return list(account.backends("ec2").describe_security_groups())


def _group(call: Call, account: Account) -> Any | None:
    return account.backends("ec2").get_security_group_from_id(call.parameters.get("GroupId") or "")


def _name_case(call: Call, account: Account) -> ApiError | None:
    name = call.parameters.get("GroupName") or ""
    default = getattr(account.backends("ec2").get_default_vpc(), "id", None)
    vpc = call.parameters.get("VpcId") or default
    for group in _groups(account):
        if group.vpc_id == vpc and group.name != name and group.name.lower() == name.lower():
            message = f"The security group '{name}' already exists for VPC '{vpc}'"
            return ApiError("InvalidGroup.Duplicate", message)
    return None


def _source_network(call: Call, account: Account) -> ApiError | None:
    group, ec2 = _group(call, account), account.backends("ec2")
    for permission in permissions(call.parameters):
        for pair in permission.get("UserIdGroupPairs") or []:
            source = ec2.get_security_group_from_id(pair.get("GroupId") or "")
            if group and source and group.vpc_id != source.vpc_id:
                message = "You have specified two resources that belong to different networks."
                return ApiError("InvalidGroup.NotFound", message)
    return None


def _default_group(call: Call, account: Account) -> ApiError | None:
    group = _group(call, account)
    if group is None or group.name != "default":
        return None
    message = f'the specified group: "{group.id}" name: "default" cannot be deleted by a user'
    return ApiError("CannotDelete", message)


def _dependents(group: Any, account: Account) -> Iterator[Any]:
    """Whatever keeps a security group from being deleted."""
    for other in _groups(account):
        sources = [rule.source_group.get("GroupId") for rule in (*other.ingress_rules, *other.egress_rules)]
        if other.id != group.id and group.id in sources:
            yield other
    for instance in account.backends("ec2").all_instances():
        groups = [held.id for nic in instance.nics.values() for held in nic.group_set]
        if instance.state != "terminated" and group.id in groups:
            yield instance
    for database in account.backends("rds").databases.values():
        if group.id in (database.vpc_security_group_ids or []):
            yield database
    for load_balancer in account.backends("elbv2").load_balancers.values():
        if group.id in (load_balancer.security_groups or []):
            yield load_balancer


def _group_in_use(call: Call, account: Account) -> ApiError | None:
    group = _group(call, account)
    if group is None or not any(True for _ in _dependents(group, account)):
        return None
    return ApiError("DependencyViolation", f"resource {group.id} has a dependent object")


def _subnet_in_use(call: Call, account: Account) -> ApiError | None:
    name = call.parameters.get("SubnetId")
    instances = account.backends("ec2").all_instances()
    if not any(instance.subnet_id == name and instance.state != "terminated" for instance in instances):
        return None
    return ApiError("DependencyViolation", f"The subnet '{name}' has dependencies and cannot be deleted.")


def _tagged_resource(call: Call, account: Account) -> ApiError | None:
    ec2 = account.backends("ec2")
    known = {
        "i-": {instance.id for instance in ec2.all_instances()},
        "sg-": {group.id for group in _groups(account)},
        "subnet-": {subnet.id for subnet in ec2.describe_subnets()},
        "vol-": set(ec2.volumes),
        "vpc-": set(ec2.vpcs),
    }
    for name in call.parameters.get("Resources") or []:
        prefix = f"{name.partition('-')[0]}-"
        if name not in known.get(prefix, {name}):
            code, kind = NOT_FOUND[prefix]
            return ApiError(code, f"The {kind} '{name}' does not exist")
    return None


RULES = (
    Rule(
        "ec2-group-name",
        (CREATE,),
        "a security group name that begins with `sg-`",
        "facts 8.4",
        by_parameters(group_name),
    ),
    Rule(
        "ec2-group-characters",
        (CREATE,),
        "a security group name of over 255 characters, or with others than EC2's few",
        "facts 8.4, botocore ec2 CreateSecurityGroupRequest.GroupName",
        by_parameters(group_characters),
    ),
    Rule(
        "ec2-group-description",
        (CREATE,),
        "a security group description of over 255 characters, or with others than EC2's few",
        "facts 8.4, botocore ec2 CreateSecurityGroupRequest.Description",
        by_parameters(group_description),
    ),
    Rule(
        "ec2-group-case",
        (CREATE,),
        "a security group whose name differs from another's by case alone",
        "botocore ec2 CreateSecurityGroupRequest.GroupName",
        _name_case,
    ),
    Rule(
        "ec2-group-default",
        (DELETE,),
        "deleting a VPC's default security group",
        "ec2 API reference, error codes",
        _default_group,
    ),
    Rule(
        "ec2-group-in-use",
        (DELETE,),
        "deleting a security group that a rule, an instance, a database or a load balancer uses",
        "facts 8.5",
        _group_in_use,
    ),
    Rule(
        "ec2-port-range",
        AUTHORIZE,
        "ports outside 0-65535, or a range that ends before it begins",
        "aws/aws-cli#1066",
        by_parameters(port_range),
    ),
    Rule(
        "ec2-ports-missing",
        AUTHORIZE,
        "a TCP or UDP rule without ports",
        "aws/aws-sdk-go-v2#1203",
        by_parameters(ports_missing),
    ),
    Rule(
        "ec2-rule-description",
        AUTHORIZE,
        "a rule description of over 255 characters, or with others than EC2's few",
        "botocore ec2 IpRange.Description",
        by_parameters(rule_description),
    ),
    Rule(
        "ec2-source-network",
        AUTHORIZE,
        "a rule whose source is a security group of another VPC",
        "philips-software/terraform-provider-hsdp#68",
        _source_network,
    ),
    Rule(
        "ec2-subnet-in-use",
        ("ec2.DeleteSubnet",),
        "deleting a subnet with instances",
        "ec2 API reference, error codes",
        _subnet_in_use,
    ),
    Rule(
        "ec2-tag-prefix",
        TAGGING,
        "a tag whose key begins with `aws:`",
        "ec2-ug Using_Tags, botocore ec2 Tag.Key",
        by_parameters(tag_prefix),
    ),
    Rule(
        "ec2-tag-length",
        TAGGING,
        "a tag key of over 128 characters, or a value of over 256",
        "ec2-ug Using_Tags; code not verified",
        by_parameters(tag_length),
    ),
    Rule(
        "ec2-tag-resource",
        ("ec2.CreateTags",),
        "tags for something that does not exist",
        "ec2 API reference, error codes",
        _tagged_resource,
    ),
)

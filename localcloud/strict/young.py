# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What AWS refuses of an account that is young, as far as localcloud.circumstances says that it is."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from localcloud.circumstances import FREE, ON_DEMAND_QUOTA, SPOT_QUOTA
from localcloud.spot import request_of, wish
from localcloud.strict.instances import RUN, launch, subnet_of
from localcloud.strict.rule import Account, Rule
from localcloud.wire import ApiError, Call

START = "ec2.StartInstances"
ASSOCIATE = "ec2.AssociateIamInstanceProfile"
CREATE_DATABASE, MODIFY_DATABASE = "rds.CreateDBInstance", "rds.ModifyDBInstance"
CREATE_FUNCTION = "lambda.CreateFunction"
NEW_PROFILE, NEW_ROLE = "iam.CreateInstanceProfile", "iam.CreateRole"
FREE_BACKUP_DAYS = 1
# What counts towards a quota.
COUNTED = ("pending", "running")


# --- pure decisions -----------------------------------------------------------------------------------------------


def free_type(eligible: bool) -> ApiError | None:
    if eligible:
        return None
    message = (
        "The specified instance type is not eligible for Free Tier. For a list of Free Tier instance types, run "
        "'describe-instance-types' with the filter 'free-tier-eligible=true'."
    )
    return ApiError("InvalidParameterCombination", message)


def free_backups(days: int | None) -> ApiError | None:
    if days is None or days <= FREE_BACKUP_DAYS:
        return None
    message = (
        "The specified backup retention period exceeds the maximum available to free tier customers. To remove all "
        "limitations, upgrade your account plan."
    )
    return ApiError("FreeTierRestrictionError", message, 400)


def quota(vcpus: int, allowed: int, *, spot: bool) -> ApiError | None:
    if vcpus <= allowed:
        return None
    if spot:
        return ApiError("MaxSpotInstanceCountExceeded", "Max spot instance count exceeded")
    message = (
        f"You have requested more vCPU capacity than your current vCPU limit of {allowed} allows for the instance "
        "bucket that the specified instance type belongs to. Please visit "
        "http://aws.amazon.com/contact-us/ec2-request to request an adjustment to this limit."
    )
    return ApiError("VcpuLimitExceeded", message)


def capacity(instance_type: str, zone: str) -> ApiError:
    message = (
        f"We currently do not have sufficient {instance_type} capacity in the Availability Zone you requested "
        f"({zone}). Our system will be working on provisioning additional capacity. You can currently get "
        "capacity by not specifying an Availability Zone in your request or choosing another one."
    )
    return ApiError("InsufficientInstanceCapacity", message, 500)


# --- reading the account ------------------------------------------------------------------------------------------


def _free_type(call: Call, account: Account) -> ApiError | None:
    instance_type = launch(call, account).get("InstanceType")
    if account.circumstances.plan != FREE or not instance_type:
        return None
    return free_type(account.backends("ec2").describe_instance_types([instance_type], {})[0]["FreeTierEligible"])


def _free_backups(call: Call, account: Account) -> ApiError | None:
    return free_backups(call.parameters.get("BackupRetentionPeriod")) if account.circumstances.plan == FREE else None


def _vcpus(ec2: Any, instance_types: Iterable[str]) -> int:
    counts: Mapping[str, int] = {
        name: ec2.describe_instance_types([name], {})[0]["VCpuInfo"]["DefaultVCpus"] for name in set(instance_types)
    }
    instance_types = [*instance_types]
    return sum(counts[name] for name in instance_types)


def _quota(call: Call, account: Account) -> ApiError | None:
    ec2 = account.backends("ec2")
    if call.name == RUN:
        asked = launch(call, account)
        wanted = {bool(wish(asked)): [asked.get("InstanceType") or "m1.small"] * int(asked.get("MinCount") or 1)}
    else:
        starting = [instance for instance in _named(call, account) if instance.state == "stopped"]
        wanted = {spot: [one.instance_type for one in starting if _is_spot(ec2, one) == spot] for spot in (False, True)}
    counted = [instance for instance in ec2.all_instances() if instance.state in COUNTED]
    refusals = (
        quota(
            _vcpus(ec2, [*types, *(one.instance_type for one in counted if _is_spot(ec2, one) == spot)]),
            account.circumstances.vcpus(SPOT_QUOTA if spot else ON_DEMAND_QUOTA),
            spot=spot,
        )
        for spot, types in wanted.items()
        if types
    )
    return next(filter(None, refusals), None)


def _is_spot(ec2: Any, instance: Any) -> bool:
    return request_of(ec2, instance.id) is not None


def _named(call: Call, account: Account) -> list[Any]:
    instances: Collection[Any] = account.backends("ec2").all_instances()
    return [instance for instance in instances if instance.id in (call.parameters.get("InstanceIds") or [])]


def _capacity(call: Call, account: Account) -> ApiError | None:
    if call.name == RUN:
        asked, subnet = launch(call, account), subnet_of(call, account)
        places = [(str(asked.get("InstanceType")), str(subnet.availability_zone))] if subnet else []
    else:
        stopped = (instance for instance in _named(call, account) if instance.state == "stopped")
        places = [(str(instance.instance_type), str(instance.placement.zone)) for instance in stopped]
    return next((capacity(*place) for place in places if account.circumstances.is_full(place[1])), None)


def _is_new(account: Account, event: str, name: str) -> bool:
    since = account.seconds_since(event, name)
    return since is not None and since < account.circumstances.iam_seconds


def _new_profile(call: Call, account: Account) -> ApiError | None:
    asked = launch(call, account).get("IamInstanceProfile") or {} if call.name != NEW_PROFILE else {}
    for member, value in asked.items():
        if value and _is_new(account, NEW_PROFILE, value.rpartition("/")[2]):
            message = (
                f"Value ({value}) for parameter iamInstanceProfile.{member.lower()} is invalid. Invalid IAM Instance "
                f"Profile {'ARN' if member == 'Arn' else 'name'}"
            )
            return ApiError("InvalidParameterValue", message)
    return None


def _new_role(call: Call, account: Account) -> ApiError | None:
    if call.name == CREATE_FUNCTION and _is_new(account, NEW_ROLE, call.parameters["Role"].rpartition("/")[2]):
        message = "The role defined for the function cannot be assumed by Lambda."
        return ApiError("InvalidParameterValueException", message)
    return None


def _note_profile(call: Call, account: Account, result: Mapping[str, Any]) -> None:
    if call.name == NEW_PROFILE:
        account.note(NEW_PROFILE, result["InstanceProfile"].get("InstanceProfileName", ""))


def _note_role(call: Call, account: Account, result: Mapping[str, Any]) -> None:
    if call.name == NEW_ROLE:
        account.note(NEW_ROLE, result["Role"].get("RoleName", ""))


RULES = (
    Rule(
        "free-plan-instance-type",
        (RUN,),
        "on the Free plan, an instance type that is not eligible for it",
        "facts 13.3",
        _free_type,
    ),
    Rule(
        "free-plan-backups",
        (CREATE_DATABASE, MODIFY_DATABASE),
        "on the Free plan, backups of more than a day",
        "facts 13.3",
        _free_backups,
    ),
    Rule(
        "ec2-vcpu-quota",
        (RUN, START),
        "a launch or a start beyond the quota of vCPUs, on demand or Spot",
        "facts 13.2",
        _quota,
    ),
    Rule(
        "ec2-capacity",
        (RUN, START),
        "a launch or a start in a zone without capacity",
        "ec2 API reference, error codes",
        _capacity,
    ),
    Rule(
        "ec2-new-instance-profile",
        (RUN, ASSOCIATE, NEW_PROFILE),
        "an instance profile that EC2 does not know yet",
        "facts 13.11",
        _new_profile,
        _note_profile,
    ),
    Rule(
        "lambda-new-role",
        (CREATE_FUNCTION, NEW_ROLE),
        "a role that Lambda cannot assume yet",
        "facts 13.11",
        _new_role,
        _note_role,
    ),
)

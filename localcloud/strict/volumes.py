# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What EC2 refuses of EBS volumes."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Any

from localcloud.strict import models
from localcloud.strict.rule import Account, Rule
from localcloud.wire import ApiError, Call

CREATE = "ec2.CreateVolume"
MODIFY = "ec2.ModifyVolume"
ATTACH = "ec2.AttachVolume"
DETACH = "ec2.DetachVolume"

SIZES_GIB: Mapping[str, range] = {
    "gp2": range(1, 16384 + 1),
    "gp3": range(1, 65536 + 1),
    "io1": range(4, 16384 + 1),
    "io2": range(4, 65536 + 1),
    "sc1": range(125, 16384 + 1),
    "st1": range(125, 16384 + 1),
    "standard": range(1, 1024 + 1),
}
GP3_IOPS = range(3000, 80000 + 1)
GP3_IOPS_PER_GIB = 500
GP3_THROUGHPUT_MIBPS = range(125, 2000 + 1)
GP3_THROUGHPUT_PER_IOPS = Fraction(1, 4)
DEFAULT_TYPE = "gp2"


# --- pure decisions -----------------------------------------------------------------------------------------------


def volume_type(kind: str | None) -> ApiError | None:
    if kind is None or kind in models.model("ec2").shape_for("VolumeType").enum:
        return None
    return ApiError("UnknownVolumeType", f"Unknown volume type: {kind}")


def size(gib: int | None, kind: str) -> ApiError | None:
    allowed = SIZES_GIB.get(kind)
    if gib is None or allowed is None or gib in allowed:
        return None
    fault, word, limit = ("large", "maximum", allowed[-1]) if gib > allowed[-1] else ("small", "minimum", allowed[0])
    message = f"Volume of {gib}GiB is too {fault} for volume type {kind}; {word} is {limit}GiB."
    return ApiError("InvalidParameterValue", message)


def gp3_iops(iops: int | None, gib: int) -> ApiError | None:
    if iops is None:
        return None
    if iops not in GP3_IOPS:
        fault, word, limit = (
            ("high", "maximum", GP3_IOPS[-1]) if iops > GP3_IOPS[-1] else ("low", "minimum", GP3_IOPS[0])
        )
        return ApiError("InvalidParameterValue", f"Volume iops of {iops} is too {fault}; {word} is {limit}.")
    # The 3000 that every volume has are free of the ratio.
    if iops > max(GP3_IOPS[0], gib * GP3_IOPS_PER_GIB):
        message = f"Iops to volume size ratio of {iops / gib:f} is too high; maximum is {GP3_IOPS_PER_GIB}."
        return ApiError("InvalidParameterValue", message)
    return None


def gp3_throughput(mibps: int | None, iops: int) -> ApiError | None:
    if mibps is None:
        return None
    if mibps not in GP3_THROUGHPUT_MIBPS:
        message = f"Throughput of {mibps} MiBps is outside {GP3_THROUGHPUT_MIBPS[0]}-{GP3_THROUGHPUT_MIBPS[-1]}."
        return ApiError("InvalidParameterValue", message)
    if mibps > iops * GP3_THROUGHPUT_PER_IOPS:
        message = (
            f"Throughput (MiBps) to iops ratio of {mibps / iops:f} is too high; maximum is 0.250000 MiBps per iops"
        )
        return ApiError("InvalidParameterValue", message)
    return None


# --- reading the account ------------------------------------------------------------------------------------------


def _volume(call: Call, account: Account) -> Any | None:
    return account.backends("ec2").volumes.get(call.parameters.get("VolumeId"))


def _wanted(call: Call, account: Account) -> tuple[int | None, str]:
    """Size and type that a volume would have after the call."""
    existing = _volume(call, account)
    kind = str(call.parameters.get("VolumeType") or (existing.volume_type if existing else DEFAULT_TYPE))
    gib = call.parameters.get("Size") if existing is None else call.parameters.get("Size") or existing.size
    return None if gib is None else int(gib), kind


def _type(call: Call, account: Account) -> ApiError | None:
    return volume_type(call.parameters.get("VolumeType"))


def _size(call: Call, account: Account) -> ApiError | None:
    return size(*_wanted(call, account))


def _iops(call: Call, account: Account) -> ApiError | None:
    gib, kind = _wanted(call, account)
    return gp3_iops(call.parameters.get("Iops"), gib or 1) if kind == "gp3" else None


def _throughput(call: Call, account: Account) -> ApiError | None:
    iops = call.parameters.get("Iops") or getattr(_volume(call, account), "iops", None) or GP3_IOPS[0]
    is_gp3 = _wanted(call, account)[1] == "gp3"
    return gp3_throughput(call.parameters.get("Throughput"), int(iops)) if is_gp3 else None


def _shrink(call: Call, account: Account) -> ApiError | None:
    existing, gib = _volume(call, account), call.parameters.get("Size")
    if existing is None or gib is None or int(gib) >= int(existing.size):
        return None
    return ApiError("InvalidParameterValue", "New size cannot be smaller than existing size")


def _zone(call: Call, account: Account) -> ApiError | None:
    name = call.parameters.get("AvailabilityZone")
    zones = {zone.name for zone in account.backends("ec2").describe_availability_zones()}
    if not name or name in zones:
        return None
    return ApiError("InvalidZone.NotFound", f"The zone '{name}' does not exist.")


def _attached(call: Call, account: Account) -> ApiError | None:
    existing = _volume(call, account)
    if existing is None or existing.attachment is None:
        return None
    return ApiError("VolumeInUse", f"{existing.id} is already attached to an instance")


def _free(call: Call, account: Account) -> ApiError | None:
    existing = _volume(call, account)
    if existing is None or existing.attachment is not None:
        return None
    return ApiError("IncorrectState", f"Volume '{existing.id}' is in the 'available' state.")


def _attach_zone(call: Call, account: Account) -> ApiError | None:
    existing = _volume(call, account)
    instance = account.backends("ec2").get_instance_by_id(call.parameters.get("InstanceId"))
    if existing is None or instance is None or existing.zone.name == instance.availability_zone:
        return None
    message = f"The volume '{existing.id}' is not in the same availability zone as instance '{instance.id}'"
    return ApiError("InvalidVolume.ZoneMismatch", message)


def _attach_device(call: Call, account: Account) -> ApiError | None:
    instance = account.backends("ec2").get_instance_by_id(call.parameters.get("InstanceId"))
    device = call.parameters.get("Device")
    if instance is None or device not in instance.block_device_mapping:
        return None
    message = f"Invalid value '{device}' for unixDevice. Attachment point {device} is already in use"
    return ApiError("InvalidParameterValue", message)


RULES = (
    Rule(
        "ec2-volume-type",
        (CREATE, MODIFY),
        "a volume type that EBS does not have",
        "botocore ec2 VolumeType, ec2 API reference, error codes",
        _type,
    ),
    Rule(
        "ec2-volume-size",
        (CREATE, MODIFY),
        "a volume outside its type's sizes: gp3 1-65536 GiB",
        "botocore ec2 CreateVolumeRequest.Size",
        _size,
    ),
    Rule(
        "ec2-volume-iops",
        (CREATE, MODIFY),
        "gp3 IOPS outside 3000-80000, or above 500 per GiB",
        "botocore ec2 CreateVolumeRequest.Iops, aws/aws-parallelcluster#2301",
        _iops,
    ),
    Rule(
        "ec2-volume-throughput",
        (CREATE, MODIFY),
        "gp3 throughput outside 125-2000 MiB/s, or above a quarter of the IOPS",
        "botocore ec2 CreateVolumeRequest.Throughput, runs-on/runs-on#260",
        _throughput,
    ),
    Rule(
        "ec2-volume-shrink",
        (MODIFY,),
        "a smaller volume",
        "botocore ec2 ModifyVolumeRequest.Size",
        _shrink,
    ),
    Rule(
        "ec2-volume-zone",
        (CREATE,),
        "a volume in a zone that does not exist",
        "ec2 API reference, error codes",
        _zone,
    ),
    Rule(
        "ec2-volume-in-use",
        (ATTACH,),
        "attaching a volume that is attached",
        "ec2 API reference, error codes",
        _attached,
    ),
    Rule(
        "ec2-volume-free",
        (DETACH,),
        "detaching a volume that is not attached",
        "kubernetes-sigs/aws-ebs-csi-driver#1801",
        _free,
    ),
    Rule(
        "ec2-volume-zone-mismatch",
        (ATTACH,),
        "attaching a volume to an instance in another zone",
        "ec2 API reference, error codes",
        _attach_zone,
    ),
    Rule(
        "ec2-volume-device",
        (ATTACH,),
        "attaching a volume at a device that is taken",
        "ec2 API reference, error codes; code not verified",
        _attach_device,
    ),
)

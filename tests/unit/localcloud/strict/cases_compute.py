# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Instances, volumes, security groups and tags."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from localcloud.spot import request_of
from tests import support
from tests.unit.localcloud.strict.world import Case, World

STOPS = {"SpotInstanceType": "persistent", "InstanceInterruptionBehavior": "stop"}


SHOWN = {"InstanceMetadataTags": "enabled"}


def instance_tags(key: str) -> list[dict[str, Any]]:
    return [{"ResourceType": "instance", "Tags": [{"Key": key, "Value": "x"}]}]


def spot(**options: str) -> dict[str, object]:
    return {"MarketType": "spot", "SpotOptions": options}


def stop(world: World, instance: str) -> str:
    world.ec2.stop_instances(InstanceIds=[instance])
    return instance


def start(world: World, instance: str) -> None:
    world.ec2.start_instances(InstanceIds=[instance])


def cancelled(world: World, instance: str) -> str:
    request = request_of(world.api.backends("ec2"), instance)
    assert request is not None
    world.ec2.cancel_spot_instance_requests(SpotInstanceRequestIds=[request.id])
    return instance


def interrupted(world: World, instance: str) -> str:
    world.spot.interrupt(instance, 0)
    support.wait_until(lambda: world.api.backends("ec2").get_instance(instance).state == "stopped", "it stops", 5)
    return instance


def settled(world: World, instance: str) -> str:
    """Stopped for so long that its request knows."""
    request = request_of(world.api.backends("ec2"), stop(world, instance))
    assert request is not None
    request._settled_at = 0
    return instance


def change(world: World, instance: str) -> None:
    world.ec2.modify_instance_attribute(InstanceId=instance, InstanceType={"Value": "t4g.medium"})


def tag(world: World, key: str, value: str = "v") -> None:
    world.ec2.create_tags(Resources=[world.group()], Tags=[{"Key": key, "Value": value}])


def attach(world: World, volume: str, instance: str, device: str = "/dev/sdg") -> None:
    world.ec2.attach_volume(VolumeId=volume, InstanceId=instance, Device=device)


def same_name(world: World, other: str) -> None:
    name = world.name()
    world.group(GroupName=name.lower())
    world.group(GroupName=f"{name}{other}".upper())


def use_by_instance(world: World, group: str) -> None:
    world.run(SecurityGroupIds=[group])


def use_by_database(world: World, group: str) -> None:
    world.database(VpcSecurityGroupIds=[group])


def use_by_load_balancer(world: World, group: str) -> None:
    world.load_balancer(SecurityGroups=[group])


def use_by_rule(world: World, group: str) -> None:
    world.authorize(IpRanges=None, UserIdGroupPairs=[{"GroupId": group}])


def group_in_use(use: Callable[[World, str], None]) -> Case:
    def delete_used(world: World) -> None:
        group = world.group()
        use(world, group)
        world.ec2.delete_security_group(GroupId=group)

    return Case(
        "ec2-group-in-use",
        "DependencyViolation",
        delete_used,
        lambda w: w.ec2.delete_security_group(GroupId=w.group()),
    )


RESERVED_TAG = [{"ResourceType": "instance", "Tags": [{"Key": "aws:x", "Value": "v"}]}]

CASES = [
    Case(
        "ec2-image-missing",
        "MissingParameter",
        lambda w: w.run(ImageId=None),
        lambda w: w.run(),
    ),
    Case(
        "ec2-architecture",
        "InvalidParameterValue",
        lambda w: w.run(InstanceType="m5.large"),
        lambda w: w.run(InstanceType="m5.large", ImageId=w.image("x86_64")),
    ),
    Case(
        "ec2-type-in-zone",
        "Unsupported",
        lambda w: w.run(InstanceType="m4.large", ImageId=w.image("x86_64"), SubnetId=w.subnet("d")),
        lambda w: w.run(InstanceType="m4.large", ImageId=w.image("x86_64"), SubnetId=w.subnet("a")),
    ),
    Case(
        "ec2-instance-profile",
        "InvalidParameterValue",
        lambda w: w.run(IamInstanceProfile={"Name": "missing"}),
        lambda w: w.run(IamInstanceProfile={"Name": w.profile()}),
        moto="NoSuchEntity",
    ),
    Case(
        "ec2-instance-profile-role",
        "InvalidParameterValue",
        lambda w: w.run(IamInstanceProfile={"Name": w.profile(with_role=False)}),
        lambda w: w.run(IamInstanceProfile={"Name": w.profile()}),
    ),
    Case(
        "ec2-key-pair",
        "InvalidKeyPair.NotFound",
        lambda w: w.run(KeyName="missing"),
        lambda w: w.run(KeyName=w.ec2.create_key_pair(KeyName=w.name())["KeyName"]),
    ),
    Case(
        "ec2-security-group-network",
        "InvalidParameter",
        lambda w: w.run(SecurityGroupIds=[w.other_group]),
        lambda w: w.run(SecurityGroupIds=[w.other_group], SubnetId=w.other_subnet),
    ),
    Case(
        "ec2-user-data",
        "InvalidParameterValue",
        lambda w: w.run(UserData="x" * 16385),  # boto3 encodes it
        lambda w: w.run(UserData="x" * 16384),
    ),
    Case(
        "ec2-hop-limit",
        "InvalidParameterValue",
        lambda w: w.run(MetadataOptions={"HttpPutResponseHopLimit": 65}),
        lambda w: w.run(MetadataOptions={"HttpPutResponseHopLimit": 64}),
    ),
    Case(
        "ec2-shown-tags",
        "InvalidParameterValue",
        lambda w: w.run(MetadataOptions=SHOWN, TagSpecifications=instance_tags("cost center")),
        lambda w: w.run(MetadataOptions=SHOWN, TagSpecifications=instance_tags("cost-center")),
    ),
    Case(
        "ec2-root-volume",
        "InvalidBlockDeviceMapping",
        lambda w: w.run(BlockDeviceMappings=[{"DeviceName": "/dev/xvda", "Ebs": {"VolumeSize": 7}}]),
        lambda w: w.run(BlockDeviceMappings=[{"DeviceName": "/dev/xvda", "Ebs": {"VolumeSize": 8}}]),
    ),
    Case(
        "ec2-spot-interruption",
        "InvalidParameterCombination",
        lambda w: w.run(InstanceMarketOptions=spot(SpotInstanceType="persistent")),
        lambda w: w.run(InstanceMarketOptions=spot(**STOPS)),
    ),
    Case(
        "ec2-spot-interruption",
        "InvalidParameterCombination",
        lambda w: w.run(InstanceMarketOptions=spot(InstanceInterruptionBehavior="stop")),
        lambda w: w.run(InstanceMarketOptions=spot(InstanceInterruptionBehavior="terminate")),
    ),
    Case(
        "ec2-spot-price",
        "InvalidParameterValue",
        lambda w: w.run(InstanceMarketOptions=spot(MaxPrice="0.0009")),
        lambda w: w.run(InstanceMarketOptions=spot(MaxPrice="0.0100")),
    ),
    Case(
        "ec2-spot-valid-until",
        "InvalidParameterCombination",
        lambda w: w.run(InstanceMarketOptions=spot(ValidUntil="2099-01-01T00:00:00Z")),
        lambda w: w.run(InstanceMarketOptions=spot(ValidUntil="2099-01-01T00:00:00Z", **STOPS)),
    ),
    Case(
        "ec2-one-time-spot",
        "UnsupportedOperation",
        lambda w: stop(w, cancelled(w, w.run(InstanceMarketOptions=spot(**STOPS)))),
        lambda w: stop(w, w.run(InstanceMarketOptions=spot(**STOPS))),
    ),
    Case(
        "ec2-spot-start",
        "IncorrectSpotRequestState",
        lambda w: start(w, interrupted(w, w.run(InstanceMarketOptions=spot(**STOPS)))),
        lambda w: start(w, settled(w, w.run(InstanceMarketOptions=spot(**STOPS)))),
    ),
    Case(
        "ec2-spot-start",
        "IncorrectSpotRequestState",
        lambda w: start(w, stop(w, w.run(InstanceMarketOptions=spot(**STOPS)))),
        lambda w: start(w, w.stopped()),
    ),
    Case(
        "ec2-spot-type",
        "UnsupportedOperation",
        lambda w: change(w, stop(w, w.run(InstanceMarketOptions=spot(**STOPS)))),
        lambda w: change(w, w.stopped()),
    ),
    Case(
        "ec2-one-time-spot",
        "UnsupportedOperation",
        lambda w: stop(w, w.run(InstanceMarketOptions=spot())),
        lambda w: stop(w, w.run(InstanceMarketOptions=spot(**STOPS))),
    ),
    # What a launch template says counts like what the launch says.
    Case(
        "ec2-one-time-spot",
        "UnsupportedOperation",
        lambda w: stop(w, w.run_from_template(InstanceMarketOptions=spot())),
        lambda w: stop(w, w.run_from_template(InstanceMarketOptions=spot(**STOPS))),
    ),
    Case(
        "ec2-architecture",
        "InvalidParameterValue",
        lambda w: w.run_from_template(InstanceType="m5.large"),
        lambda w: w.run_from_template(InstanceType="t4g.medium"),
    ),
    Case(
        "ec2-instance-state",
        "IncorrectInstanceState",
        lambda w: w.ec2.stop_instances(InstanceIds=[w.instance_in("pending")]),
        lambda w: w.ec2.stop_instances(InstanceIds=[w.instance_in("stopping")]),
    ),
    Case(
        "ec2-instance-state",
        "IncorrectInstanceState",
        lambda w: w.ec2.start_instances(InstanceIds=[w.instance_in("stopping")]),
        lambda w: w.ec2.start_instances(InstanceIds=[w.stopped()]),
    ),
    Case(
        "ec2-instance-state",
        "IncorrectInstanceState",
        lambda w: w.ec2.reboot_instances(InstanceIds=[w.stopped()]),
        lambda w: w.ec2.reboot_instances(InstanceIds=[w.run()]),
    ),
    Case(
        "ec2-stopped-attributes",
        "IncorrectInstanceState",
        lambda w: change(w, w.run()),
        lambda w: change(w, w.stopped()),
    ),
    Case(
        "ec2-launch-template-name",
        "InvalidLaunchTemplateName.MalformedException",
        lambda w: w.ec2.create_launch_template(
            LaunchTemplateName=f"{w.name()} b", LaunchTemplateData={"ImageId": w.image()}
        ),
        lambda w: w.ec2.create_launch_template(
            LaunchTemplateName=f"({w.name()}/b)", LaunchTemplateData={"ImageId": w.image()}
        ),
    ),
    Case(
        "ec2-volume-type",
        "UnknownVolumeType",
        lambda w: w.volume(VolumeType="gp9"),
        lambda w: w.volume(VolumeType="gp2"),
    ),
    Case(
        "ec2-volume-size",
        "InvalidParameterValue",
        lambda w: w.volume(Size=65537),
        lambda w: w.volume(Size=65536),
    ),
    Case(
        "ec2-volume-iops",
        "InvalidParameterValue",
        lambda w: w.volume(Iops=2999),
        lambda w: w.volume(Iops=3000),
    ),
    Case(
        "ec2-volume-iops",
        "InvalidParameterValue",
        lambda w: w.volume(Iops=5001),
        lambda w: w.volume(Iops=5000),
    ),
    Case(
        "ec2-volume-throughput",
        "InvalidParameterValue",
        lambda w: w.volume(Throughput=124),
        lambda w: w.volume(Throughput=125),
    ),
    Case(
        "ec2-volume-throughput",
        "InvalidParameterValue",
        lambda w: w.volume(Throughput=751),
        lambda w: w.volume(Throughput=750),
    ),
    Case(
        "ec2-volume-shrink",
        "InvalidParameterValue",
        lambda w: w.ec2.modify_volume(VolumeId=w.volume(), Size=9),
        lambda w: w.ec2.modify_volume(VolumeId=w.volume(), Size=11),
    ),
    Case(
        "ec2-volume-zone",
        "InvalidZone.NotFound",
        lambda w: w.volume(AvailabilityZone=w.zone("z")),
        lambda w: w.volume(AvailabilityZone=w.zone("b")),
    ),
    Case(
        "ec2-volume-in-use",
        "VolumeInUse",
        lambda w: attach(w, *w.attached()),
        lambda w: attach(w, w.volume(), w.run()),
    ),
    Case(
        "ec2-volume-zone-mismatch",
        "InvalidVolume.ZoneMismatch",
        lambda w: attach(w, w.volume(AvailabilityZone=w.zone("b")), w.run()),
        lambda w: attach(w, w.volume(), w.run()),
    ),
    Case(
        "ec2-volume-device",
        "InvalidParameterValue",
        lambda w: attach(w, w.volume(), w.attached()[1], "/dev/sdf"),
        lambda w: attach(w, w.volume(), w.attached()[1], "/dev/sdg"),
    ),
    Case(
        "ec2-group-name",
        "InvalidParameterValue",
        lambda w: w.group(GroupName=f"sg-{w.name()}"),
        lambda w: w.group(GroupName=f"sg{w.name()}"),
    ),
    Case(
        "ec2-group-characters",
        "InvalidParameterValue",
        lambda w: w.group(GroupName=f"{w.name()}가"),
        lambda w: w.group(GroupName=f"{w.name()} ._-:/()#,@[]+=&;{{}}!$*"),
    ),
    Case(
        "ec2-group-description",
        "InvalidParameterValue",
        lambda w: w.group(Description="it's"),
        lambda w: w.group(Description="its"),
    ),
    Case(
        "ec2-group-case",
        "InvalidGroup.Duplicate",
        lambda w: same_name(w, ""),
        lambda w: same_name(w, "-other"),
    ),
    Case(
        "ec2-group-default",
        "CannotDelete",
        lambda w: w.ec2.delete_security_group(GroupId=w.group_named_default()),
        lambda w: w.ec2.delete_security_group(GroupId=w.group()),
    ),
    *(group_in_use(use) for use in (use_by_rule, use_by_instance, use_by_database, use_by_load_balancer)),
    Case(
        "ec2-port-range",
        "InvalidParameterValue",
        lambda w: w.authorize(FromPort=90, ToPort=80),
        lambda w: w.authorize(FromPort=80, ToPort=90),
    ),
    Case(
        "ec2-port-range",
        "InvalidParameterValue",
        lambda w: w.authorize(FromPort=0, ToPort=65536),
        lambda w: w.authorize(FromPort=0, ToPort=65535),
    ),
    Case(
        "ec2-ports-missing",
        "InvalidParameterValue",
        lambda w: w.authorize(FromPort=None, ToPort=None),
        lambda w: w.authorize(IpProtocol="-1", FromPort=None, ToPort=None),
        moto="InternalFailure",
    ),
    Case(
        "ec2-rule-description",
        "InvalidParameterValue",
        lambda w: w.authorize(IpRanges=[{"CidrIp": "192.0.2.2/32", "Description": "사무실"}]),
        lambda w: w.authorize(IpRanges=[{"CidrIp": "192.0.2.2/32", "Description": "office"}]),
    ),
    Case(
        "ec2-source-network",
        "InvalidGroup.NotFound",
        lambda w: w.authorize(IpRanges=None, UserIdGroupPairs=[{"GroupId": w.other_group}]),
        lambda w: w.authorize(IpRanges=None, UserIdGroupPairs=[{"GroupId": w.group()}]),
    ),
    Case(
        "ec2-subnet-in-use",
        "DependencyViolation",
        lambda w: w.ec2.delete_subnet(SubnetId=w.subnet_with_instance()),
        lambda w: w.ec2.delete_subnet(SubnetId=w.new_subnet()),
    ),
    Case(
        "ec2-tag-prefix",
        "InvalidParameterValue",
        lambda w: tag(w, "aws:x"),
        lambda w: tag(w, "awsx"),
    ),
    Case(
        "ec2-tag-prefix",
        "InvalidParameterValue",
        lambda w: w.run(TagSpecifications=RESERVED_TAG),
        lambda w: w.run(TagSpecifications=[{"ResourceType": "instance", "Tags": [{"Key": "x", "Value": "v"}]}]),
    ),
    Case(
        "ec2-tag-length",
        "InvalidParameterValue",
        lambda w: tag(w, "k" * 129),
        lambda w: tag(w, "k" * 128),
    ),
    Case(
        "ec2-tag-length",
        "InvalidParameterValue",
        lambda w: tag(w, "k", "v" * 257),
        lambda w: tag(w, "k", "v" * 256),
    ),
    Case(
        "ec2-tag-resource",
        "InvalidInstanceID.NotFound",
        lambda w: w.ec2.create_tags(Resources=["i-00000000000000000"], Tags=[{"Key": "k", "Value": "v"}]),
        lambda w: w.ec2.create_tags(Resources=[w.run()], Tags=[{"Key": "k", "Value": "v"}]),
    ),
]

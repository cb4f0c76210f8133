# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules whose cases show one operation, in the others: what their near miss is, those cases say."""

from __future__ import annotations

import json
from typing import Any

from localcloud import settings
from tests.unit.localcloud.strict.cases_compute import SHOWN, instance_tags
from tests.unit.localcloud.strict.cases_data import parameter_group
from tests.unit.localcloud.strict.cases_delivery import role_arn, set_subnets, several
from tests.unit.localcloud.strict.world import ACCOUNT_ARN, Attempt, World

MISSING_POLICY = f"arn:aws:iam::{settings.ACCOUNT_ID}:policy/missing"
# Tag and value that no tag may be, by rule.
BAD_TAGS = {"ec2-tag-prefix": ("aws:x", "v"), "ec2-tag-length": ("k" * 129, "v")}


def leave(world: World, **changes: Any) -> None:
    """An egress rule."""
    permission = {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "IpRanges": [{"CidrIp": "192.0.2.1/32"}]}
    wanted = {name: value for name, value in {**permission, **changes}.items() if value is not None}
    world.ec2.authorize_security_group_egress(GroupId=world.group(), IpPermissions=[wanted])


def tags(kind: str, rule: str) -> list[dict[str, Any]]:
    key, value = BAD_TAGS[rule]
    return [{"ResourceType": kind, "Tags": [{"Key": key, "Value": value}]}]


def tagged(rule: str) -> list[tuple[str, Attempt]]:
    """At the creation of whatever has tags."""
    return [
        (rule, lambda w: w.run(TagSpecifications=tags("instance", rule))),
        (rule, lambda w: w.volume(TagSpecifications=tags("volume", rule))),
        (rule, lambda w: w.group(TagSpecifications=tags("security-group", rule))),
        (
            rule,
            lambda w: w.ec2.create_launch_template(
                LaunchTemplateName=w.name(),
                LaunchTemplateData={"ImageId": w.image()},
                TagSpecifications=tags("launch-template", rule),
            ),
        ),
    ]


def associate(world: World, profile: str) -> None:
    world.ec2.associate_iam_instance_profile(InstanceId=world.run(), IamInstanceProfile={"Name": profile})


def modify_volume(world: World, **changes: Any) -> None:
    world.ec2.modify_volume(VolumeId=world.volume(), **changes)


def modify_listener(world: World, **changes: Any) -> None:
    world.elbv2.modify_listener(ListenerArn=world.listener(), **changes)


def modify_target_group(world: World, **changes: Any) -> None:
    world.elbv2.modify_target_group(TargetGroupArn=world.target_group(), **changes)


def trust(world: World, document: str) -> None:
    world.iam.update_assume_role_policy(RoleName=world.role(), PolicyDocument=document)


def another_version(world: World, document: str) -> None:
    world.iam.create_policy_version(PolicyArn=world.managed(), PolicyDocument=document)


def configure(world: World, **changes: Any) -> None:
    world.functions.update_function_configuration(FunctionName=world.function(), **changes)


def set_attributes(world: World, **attributes: str) -> None:
    world.sqs.set_queue_attributes(QueueUrl=world.queue(), Attributes=attributes)


def redrive(world: World, target: str, receives: int = 3) -> None:
    arn = f"arn:aws:sqs:{ACCOUNT_ARN}:{target}"
    set_attributes(world, RedrivePolicy=json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": receives}))


def queue(world: World, **attributes: str) -> str:
    """Its name."""
    name = f"{world.name()}.fifo" if "FifoQueue" in attributes else world.name()
    world.queue(name, **attributes)
    return name


CASES: list[tuple[str, Attempt]] = [
    (
        "ec2-hop-limit",
        lambda w: w.ec2.modify_instance_metadata_options(InstanceId=w.run(), HttpPutResponseHopLimit=65),
    ),
    (
        "ec2-shown-tags",
        lambda w: w.ec2.create_tags(Resources=[w.run(MetadataOptions=SHOWN)], Tags=[{"Key": "a/b", "Value": "x"}]),
    ),
    (
        "ec2-shown-tags",
        lambda w: w.ec2.modify_instance_metadata_options(
            InstanceId=w.run(TagSpecifications=instance_tags("_index")), **SHOWN
        ),
    ),
    ("ec2-instance-profile", lambda w: associate(w, "missing")),
    ("ec2-instance-profile-role", lambda w: associate(w, w.profile(with_role=False))),
    ("ec2-port-range", lambda w: leave(w, FromPort=90, ToPort=80)),
    ("ec2-ports-missing", lambda w: leave(w, FromPort=None, ToPort=None)),
    ("ec2-rule-description", lambda w: leave(w, IpRanges=[{"CidrIp": "192.0.2.2/32", "Description": "사무실"}])),
    ("ec2-source-network", lambda w: leave(w, IpRanges=None, UserIdGroupPairs=[{"GroupId": w.other_group}])),
    *tagged("ec2-tag-prefix"),
    *tagged("ec2-tag-length"),
    ("ec2-volume-type", lambda w: modify_volume(w, VolumeType="gp9")),
    ("ec2-volume-size", lambda w: modify_volume(w, Size=65537)),
    ("ec2-volume-iops", lambda w: modify_volume(w, Iops=2999)),
    ("ec2-volume-throughput", lambda w: modify_volume(w, Throughput=124)),
    (
        "elbv2-one-subnet-per-zone",
        lambda w: set_subnets(w, w.subnet("a"), w.new_subnet(), w.subnet("b")),
    ),
    ("elbv2-health-check-path", lambda w: modify_target_group(w, HealthCheckPath="health")),
    ("elbv2-matcher", lambda w: modify_target_group(w, Matcher={"HttpCode": "200-500"})),
    (
        "elbv2-certificate-pending",
        lambda w: modify_listener(w, Certificates=[{"CertificateArn": w.certificate(issued=False)}]),
    ),
    ("elbv2-one-certificate", lambda w: modify_listener(w, Certificates=several(w, 2))),
    (
        "elbv2-redirect-loop",
        lambda w: modify_listener(
            w, DefaultActions=[{"Type": "redirect", "RedirectConfig": {"StatusCode": "HTTP_301", "Port": "80"}}]
        ),
    ),
    (
        "iam-boundary",
        lambda w: w.iam.put_role_permissions_boundary(RoleName=w.role(), PermissionsBoundary=MISSING_POLICY),
    ),
    ("iam-identity-principal", lambda w: w.managed(w.policy(Principal="*"))),
    ("iam-identity-principal", lambda w: another_version(w, w.policy(Principal="*"))),
    ("iam-managed-size", lambda w: another_version(w, w.long_policy(6144))),
    ("iam-statement-id", lambda w: another_version(w, w.policy(Sid="stop-self"))),
    ("iam-statement-id", lambda w: w.inline(w.policy(Sid="stop-self"))),
    ("iam-trust-json", lambda w: trust(w, "none")),
    ("iam-trust-principal", lambda w: trust(w, w.trust(Principal=None))),
    ("iam-trust-resource", lambda w: trust(w, w.trust(Resource="*"))),
    ("iam-trust-action", lambda w: trust(w, w.trust(Action=["sts:AssumeRole", "ec2:RunInstances"]))),
    ("iam-trust-size", lambda w: trust(w, w.trust(Sid="x" * 2048))),
    ("lambda-archive", lambda w: w.functions.update_function_code(FunctionName=w.function(), ZipFile=b"none")),
    ("lambda-environment-size", lambda w: configure(w, Environment={"Variables": {"NAME": "x" * 4096}})),
    ("lambda-memory", lambda w: configure(w, MemorySize=10241)),
    ("lambda-reserved-variables", lambda w: configure(w, Environment={"Variables": {"AWS_REGION": "x"}})),
    ("lambda-role", lambda w: configure(w, Role=role_arn(w, "ec2.amazonaws.com"))),
    ("lambda-timeout", lambda w: configure(w, Timeout=901)),
    ("rds-instance-class", lambda w: w.modified_database(DBInstanceClass="t4g.micro")),
    (
        "rds-log-types",
        lambda w: w.modified_database(CloudwatchLogsExportConfiguration={"EnableLogTypes": ["error"]}),
    ),
    (
        "rds-parameter-group-family",
        lambda w: w.database(DBParameterGroupName=parameter_group(w, "postgres15")),
    ),
    ("rds-password-characters", lambda w: w.modified_database(MasterUserPassword="at@sign-1")),
    ("rds-port", lambda w: w.modified_database(DBPortNumber=1149)),
    ("rds-security-group-unknown", lambda w: w.modified_database(VpcSecurityGroupIds=["sg-00000000000000000"])),
    ("rds-storage-type", lambda w: w.modified_database(StorageType="gp9")),
    (
        "rds-subnet-unknown",
        lambda w: w.rds.modify_db_subnet_group(
            DBSubnetGroupName=w.subnet_group(),
            SubnetIds=[w.subnet("a"), w.subnet("b"), "subnet-00000000000000000"],
        ),
    ),
    ("sqs-attribute-name", lambda w: set_attributes(w, VisibilityTimeOut="30")),
    ("sqs-dead-letter-queue", lambda w: redrive(w, "missing")),
    ("sqs-dead-letter-type", lambda w: redrive(w, queue(w, FifoQueue="true"))),
    ("sqs-maximum-receives", lambda w: redrive(w, queue(w), 1001)),
    ("sqs-policy", lambda w: set_attributes(w, Policy="none")),
    ("sqs-redrive-json", lambda w: set_attributes(w, RedrivePolicy="none")),
    ("sqs-delay-seconds", lambda w: w.queue(DelaySeconds="901")),
    ("sqs-kms-data-key-reuse-period-seconds", lambda w: w.queue(KmsDataKeyReusePeriodSeconds="59")),
    ("sqs-maximum-message-size", lambda w: w.queue(MaximumMessageSize="1048577")),
    ("sqs-message-retention-period", lambda w: w.queue(MessageRetentionPeriod="59")),
    ("sqs-receive-message-wait-time-seconds", lambda w: w.queue(ReceiveMessageWaitTimeSeconds="21")),
    ("sqs-visibility-timeout", lambda w: w.queue(VisibilityTimeout="43201")),
]

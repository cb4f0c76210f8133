# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Databases, queues, logs and repositories."""

from __future__ import annotations

import json

from tests.unit.localcloud.strict.world import Case, World


def grown_database(world: World, gib: int) -> None:
    """A database of 40 GiB, modified."""
    world.rds.modify_db_instance(DBInstanceIdentifier=world.database(AllocatedStorage=40), AllocatedStorage=gib)


def unprotected_database(world: World, *, stopped: bool) -> None:
    name = world.database(DeletionProtection=True)
    if stopped:
        world.rds.stop_db_instance(DBInstanceIdentifier=name)
    world.rds.modify_db_instance(DBInstanceIdentifier=name, DeletionProtection=False)


def delete_group(world: World, *, used: bool) -> None:
    group = world.subnet_group()
    if used:
        world.database(DBSubnetGroupName=group)
    world.rds.delete_db_subnet_group(DBSubnetGroupName=group)


def modified_group(world: World, *zones: str) -> None:
    world.rds.modify_db_subnet_group(
        DBSubnetGroupName=world.subnet_group(), SubnetIds=[world.subnet(zone) for zone in zones]
    )


def regrouped_database(w: World, group: str) -> None:
    name = w.database(DBSubnetGroupName=None, VpcSecurityGroupIds=[group])
    w.rds.modify_db_instance(DBInstanceIdentifier=name, VpcSecurityGroupIds=[group])


def delete_database(world: World, **parameters: object) -> None:
    world.rds.delete_db_instance(DBInstanceIdentifier=world.database(), **parameters)


def parameter_group(world: World, family: str = "postgres16", name: str | None = None) -> str:
    created = world.rds.create_db_parameter_group(
        DBParameterGroupName=name or world.name(), DBParameterGroupFamily=family, Description="test"
    )
    return str(created["DBParameterGroup"]["DBParameterGroupName"])


def set_parameter(world: World, name: str, method: str = "pending-reboot") -> None:
    parameter = {"ParameterName": name, "ParameterValue": "100", "ApplyMethod": method}
    world.rds.modify_db_parameter_group(DBParameterGroupName=parameter_group(world), Parameters=[parameter])


def delete_parameter_group(world: World, *, used: bool) -> None:
    group = parameter_group(world)
    if used:
        world.database(DBParameterGroupName=group)
    world.rds.delete_db_parameter_group(DBParameterGroupName=group)


def dead_letter_queue(world: World, name: str, **attributes: str) -> str:
    world.queue(name, **attributes)
    return name


def recreate(world: World, seconds: float) -> None:
    name = world.deleted_queue()
    world.now += seconds
    world.queue(name)


def send(world: World, body: str) -> None:
    world.sqs.send_message(QueueUrl=world.queue(), MessageBody=body)


def set_attribute(world: World, **attributes: str) -> None:
    world.sqs.set_queue_attributes(QueueUrl=world.queue(), Attributes=attributes)


def retain(world: World, days: int) -> None:
    world.client("logs").put_retention_policy(logGroupName=world.log_group(), retentionInDays=days)


def attribute_cases(rule: str, name: str, bad: int, good: int) -> list[Case]:
    """At creation and later."""
    return [
        Case(
            rule,
            "InvalidAttributeValue",
            lambda w: set_attribute(w, **{name: str(bad)}),
            lambda w: set_attribute(w, **{name: str(good)}),
        ),
        Case(
            rule,
            "InvalidAttributeValue",
            lambda w: set_attribute(w, **{name: "many"}),
            lambda w: w.queue(**{name: str(good)}),
            moto="InternalFailure",
        ),
    ]


def password_case(bad: str) -> Case:
    return Case(
        "rds-password-characters",
        "InvalidParameterValue",
        lambda w: w.database(MasterUserPassword=bad),
        lambda w: w.database(MasterUserPassword="it's$#%!"),
    )


DATABASES = [
    Case(
        "rds-user-name",
        "InvalidParameterValue",
        lambda w: w.database(MasterUsername="seventeen_letters"),
        lambda w: w.database(MasterUsername="sixteen_letters_"),
    ),
    Case(
        "rds-reserved-user-name",
        "InvalidParameterValue",
        lambda w: w.database(MasterUsername="admin"),
        lambda w: w.database(MasterUsername="admin97"),
    ),
    Case(
        "rds-reserved-user-name",
        "InvalidParameterValue",
        lambda w: w.database(MasterUsername="PG_boss"),
        lambda w: w.database(MasterUsername="pgboss"),
    ),
    Case(
        "rds-password-missing",
        "InvalidParameterValue",
        lambda w: w.database(MasterUserPassword=None),
        lambda w: w.database(MasterUserPassword=None, ManageMasterUserPassword=True),
    ),
    Case(
        "rds-password-length",
        "InvalidParameterValue",
        lambda w: w.database(MasterUserPassword="1234567"),
        lambda w: w.database(MasterUserPassword="12345678"),
    ),
    Case(
        "rds-password-length",
        "InvalidParameterValue",
        lambda w: w.modified_database(MasterUserPassword="x" * 129),
        lambda w: w.modified_database(MasterUserPassword="x" * 128),
    ),
    *(password_case(bad) for bad in ("with space", "sla/sh-123", "at@sign-1", 'quo"te-12', "ümlaut-12")),
    Case(
        "rds-database-name",
        "InvalidParameterValue",
        lambda w: w.database(DBName="1st"),
        lambda w: w.database(DBName="first_1"),
    ),
    Case(
        "rds-port",
        "InvalidParameterValue",
        lambda w: w.database(Port=1149),
        lambda w: w.database(Port=1150),
    ),
    Case(
        "rds-storage-type",
        "InvalidParameterValue",
        lambda w: w.database(StorageType="gp9"),
        lambda w: w.database(StorageType="gp2"),
    ),
    Case(
        "rds-storage-size",
        "InvalidParameterCombination",
        lambda w: w.database(AllocatedStorage=19),
        lambda w: w.database(AllocatedStorage=20),
    ),
    Case(
        "rds-storage-performance",
        "InvalidParameterCombination",
        lambda w: w.database(AllocatedStorage=399, Iops=12000),
        lambda w: w.database(AllocatedStorage=400, Iops=12000),
    ),
    Case(
        "rds-storage-size",
        "InvalidParameterCombination",
        lambda w: w.database(AllocatedStorage=99, StorageType=None, Iops=1000),  # which makes it io1
        lambda w: w.database(AllocatedStorage=100, StorageType=None, Iops=1000),
    ),
    Case(
        "rds-maximum-storage",
        "InvalidParameterCombination",
        lambda w: w.database(AllocatedStorage=20, MaxAllocatedStorage=21),
        lambda w: w.database(AllocatedStorage=20, MaxAllocatedStorage=22),
    ),
    Case(
        "rds-maximum-storage",
        "InvalidParameterCombination",
        lambda w: w.modified_database(MaxAllocatedStorage=21),
        lambda w: w.modified_database(MaxAllocatedStorage=20),  # switches autoscaling off
    ),
    Case(
        "rds-storage-shrink",
        "InvalidParameterCombination",
        lambda w: grown_database(w, 39),
        lambda w: grown_database(w, 44),
    ),
    Case(
        "rds-modify-stopped",
        "InvalidDBInstanceState",
        lambda w: unprotected_database(w, stopped=True),
        lambda w: unprotected_database(w, stopped=False),
    ),
    Case(
        "rds-engine-downgrade",
        "InvalidParameterCombination",
        lambda w: w.modified_database(EngineVersion="16.4"),
        lambda w: w.modified_database(EngineVersion="16.10"),
    ),
    Case(
        "rds-major-upgrade",
        "InvalidParameterCombination",
        lambda w: w.modified_database(EngineVersion="17.2"),
        lambda w: w.modified_database(EngineVersion="17.2", AllowMajorVersionUpgrade=True),
    ),
    Case(
        "rds-major-upgrade",
        "InvalidParameterCombination",
        lambda w: w.modified_database(EngineVersion="17"),
        lambda w: w.modified_database(EngineVersion="16"),
    ),
    Case(
        "rds-backup-retention",
        "InvalidParameterValue",
        lambda w: w.database(BackupRetentionPeriod=36),
        lambda w: w.database(BackupRetentionPeriod=35),
    ),
    Case(
        "rds-backup-retention",
        "InvalidParameterValue",
        lambda w: w.modified_database(BackupRetentionPeriod=-1),
        lambda w: w.modified_database(BackupRetentionPeriod=0),
    ),
    Case(
        "rds-instance-class",
        "InvalidParameterValue",
        lambda w: w.database(DBInstanceClass="t4g.micro"),
        lambda w: w.database(DBInstanceClass="db.t4g.small"),
    ),
    Case(
        "rds-multi-az-zone",
        "InvalidParameterCombination",
        lambda w: w.database(MultiAZ=True, AvailabilityZone=w.zone("a")),
        lambda w: w.database(AvailabilityZone=w.zone("a")),
    ),
    Case(
        "rds-subnet-group-name",
        "InvalidParameterValue",
        lambda w: w.subnet_group(name=f"{w.name()}/a"),
        lambda w: w.subnet_group(name=f"{w.name()} a_."),
    ),
    Case(
        "rds-subnet-group-default",
        "InvalidParameterValue",
        lambda w: w.subnet_group(name="Default"),
        lambda w: w.subnet_group(),
    ),
    Case(
        "rds-subnet-unknown",
        "InvalidSubnet",
        lambda w: w.subnet_group(w.subnet("a"), w.subnet("b"), "subnet-00000000000000000"),
        lambda w: w.subnet_group(w.subnet("a"), w.subnet("b")),
        moto="InvalidSubnetID.NotFound",
    ),
    Case(
        "rds-subnet-group-zones",
        "DBSubnetGroupDoesNotCoverEnoughAZs",
        lambda w: w.subnet_group(w.subnet("a")),
        lambda w: w.subnet_group(w.subnet("a"), w.subnet("b")),
    ),
    Case(
        "rds-subnet-group-zones",
        "DBSubnetGroupDoesNotCoverEnoughAZs",
        lambda w: modified_group(w, "b"),
        lambda w: modified_group(w, "b", "c"),
    ),
    Case(
        "rds-subnet-group-in-use",
        "InvalidDBSubnetGroupStateFault",
        lambda w: delete_group(w, used=True),
        lambda w: delete_group(w, used=False),
    ),
    Case(
        "rds-security-group-unknown",
        "InvalidParameterValue",
        lambda w: w.database(VpcSecurityGroupIds=["sg-00000000000000000"]),
        lambda w: w.database(VpcSecurityGroupIds=[w.group()]),
    ),
    Case(
        "rds-security-group-vpc",
        "InvalidParameterCombination",
        lambda w: w.database(VpcSecurityGroupIds=[w.other_group]),
        lambda w: w.database(VpcSecurityGroupIds=[w.group()]),
    ),
    Case(
        "rds-security-group-vpc",
        "InvalidParameterCombination",
        lambda w: w.modified_database(VpcSecurityGroupIds=[w.other_group]),
        lambda w: w.modified_database(VpcSecurityGroupIds=[w.group()]),
    ),
    # Without a subnet group it is in the default VPC.
    Case(
        "rds-security-group-vpc",
        "InvalidParameterCombination",
        lambda w: w.database(DBSubnetGroupName=None, VpcSecurityGroupIds=[w.other_group]),
        lambda w: regrouped_database(w, w.group()),
    ),
    Case(
        "rds-parameter-group-name",
        "InvalidParameterValue",
        lambda w: parameter_group(w, name=f"{w.name()}--postgres16"),
        lambda w: parameter_group(w, name=f"{w.name()}-postgres16"),
    ),
    Case(
        "rds-parameter-group-family",
        "InvalidParameterCombination",
        lambda w: w.modified_database(DBParameterGroupName=parameter_group(w, "postgres15")),
        lambda w: w.modified_database(DBParameterGroupName=parameter_group(w)),
    ),
    Case(
        "rds-parameter-group-in-use",
        "InvalidDBParameterGroupState",
        lambda w: delete_parameter_group(w, used=True),
        lambda w: delete_parameter_group(w, used=False),
    ),
    Case(
        "rds-parameter-unknown",
        "InvalidParameterValue",
        lambda w: set_parameter(w, "rds.force_tls"),
        lambda w: set_parameter(w, "rds.force_ssl"),
    ),
    Case(
        "rds-parameter-static",
        "InvalidParameterCombination",
        lambda w: set_parameter(w, "max_connections", "immediate"),
        lambda w: set_parameter(w, "max_connections"),
    ),
    Case(
        "rds-log-types",
        "InvalidParameterCombination",
        lambda w: w.database(EnableCloudwatchLogsExports=["error"]),
        lambda w: w.database(EnableCloudwatchLogsExports=["postgresql", "upgrade"]),
    ),
    Case(
        "rds-final-snapshot",
        "InvalidParameterCombination",
        delete_database,
        lambda w: delete_database(w, SkipFinalSnapshot=True),
    ),
    Case(
        "rds-final-snapshot",
        "InvalidParameterCombination",
        lambda w: delete_database(w, SkipFinalSnapshot=True, FinalDBSnapshotIdentifier=w.name()),
        lambda w: delete_database(w, FinalDBSnapshotIdentifier=w.name()),
    ),
]

QUEUES = [
    *attribute_cases("sqs-visibility-timeout", "VisibilityTimeout", 43201, 43200),
    *attribute_cases("sqs-message-retention-period", "MessageRetentionPeriod", 59, 60),
    *attribute_cases("sqs-delay-seconds", "DelaySeconds", 901, 900),
    *attribute_cases("sqs-receive-message-wait-time-seconds", "ReceiveMessageWaitTimeSeconds", 21, 20),
    *attribute_cases("sqs-maximum-message-size", "MaximumMessageSize", 1048577, 1048576),
    *attribute_cases("sqs-kms-data-key-reuse-period-seconds", "KmsDataKeyReusePeriodSeconds", 59, 60),
    Case(
        "sqs-attribute-name",
        "InvalidAttributeName",
        lambda w: w.queue(VisibilityTimeOut="30"),
        lambda w: w.queue(VisibilityTimeout="30"),
    ),
    Case(
        "sqs-fifo-attribute",
        "InvalidAttributeName",
        lambda w: w.queue(ContentBasedDeduplication="true"),
        lambda w: w.queue(f"{w.name()}.fifo", ContentBasedDeduplication="true", FifoQueue="true"),
    ),
    Case(
        "sqs-fifo-name",
        "InvalidParameterValue",
        lambda w: w.queue(f"{w.name()}.fifo"),
        lambda w: w.queue(f"{w.name()}.fifo", FifoQueue="true"),
    ),
    Case(
        "sqs-policy",
        "InvalidAttributeValue",
        lambda w: w.queue(Policy="none"),
        lambda w: w.queue(Policy=json.dumps({"Version": "2012-10-17", "Statement": []})),
        moto="InternalFailure",
    ),
    Case(
        "sqs-redrive-json",
        "InvalidParameterValue",
        lambda w: w.queue(RedrivePolicy="none"),
        lambda w: w.redriven(dead_letter_queue(w, w.name())),
        moto="InternalFailure",
    ),
    Case(
        "sqs-maximum-receives",
        "InvalidParameterValue",
        lambda w: w.redriven(dead_letter_queue(w, w.name()), 1001),
        lambda w: w.redriven(dead_letter_queue(w, w.name()), 1000),
    ),
    Case(
        "sqs-maximum-receives",
        "InvalidParameterValue",
        lambda w: w.redriven(dead_letter_queue(w, w.name()), 0),
        lambda w: w.redriven(dead_letter_queue(w, w.name()), "1"),
    ),
    Case(
        "sqs-dead-letter-queue",
        "InvalidParameterValue",
        lambda w: w.redriven("missing"),
        lambda w: w.redriven(dead_letter_queue(w, w.name())),
        moto="AWS.SimpleQueueService.NonExistentQueue",
    ),
    Case(
        "sqs-dead-letter-type",
        "InvalidParameterValue",
        lambda w: w.redriven(dead_letter_queue(w, f"{w.name()}.fifo", FifoQueue="true")),
        lambda w: w.redriven(dead_letter_queue(w, w.name())),
    ),
    Case(
        "sqs-deleted-recently",
        "AWS.SimpleQueueService.QueueDeletedRecently",
        lambda w: recreate(w, 59),
        lambda w: recreate(w, 60),
    ),
    Case(
        "sqs-empty-message",
        "MissingParameter",
        lambda w: send(w, ""),
        lambda w: send(w, " "),
    ),
    Case(
        "sqs-message-characters",
        "InvalidMessageContents",
        lambda w: send(w, "\x01"),
        lambda w: send(w, "\t작업 🎬"),
    ),
]

LOGS = [
    Case(
        "logs-retention",
        "InvalidParameterException",
        lambda w: retain(w, 10),
        lambda w: retain(w, 14),
    ),
    Case(
        "logs-reserved-name",
        "InvalidParameterException",
        lambda w: w.log_group(f"aws/{w.name()}"),
        lambda w: w.log_group(f"/aws/{w.name()}"),
    ),
]

TAGGED = {"tagStatus": "tagged", "tagPrefixList": ["v"]}
BY_AGE = {"countType": "sinceImagePushed", "countUnit": "days"}

REPOSITORIES = [
    Case(
        "ecr-lifecycle-priority",
        "InvalidParameterException",
        lambda w: w.lifecycle({}, TAGGED, priorities=[1, 1]),
        lambda w: w.lifecycle({}, TAGGED, priorities=[2, 1]),
    ),
    Case(
        "ecr-lifecycle-status",
        "InvalidParameterException",
        lambda w: w.lifecycle({}, {}),
        lambda w: w.lifecycle({}, TAGGED),
    ),
    Case(
        "ecr-lifecycle-order",
        "InvalidParameterException",
        lambda w: w.lifecycle({"tagStatus": "any"}, {}),
        lambda w: w.lifecycle({"tagStatus": "any"}, {}, priorities=[2, 1]),
    ),
    Case(
        "ecr-lifecycle-unit",
        "InvalidParameterException",
        lambda w: w.lifecycle({"countType": "sinceImagePushed"}),
        lambda w: w.lifecycle(BY_AGE),
    ),
    Case(
        "ecr-lifecycle-tags",
        "InvalidParameterException",
        lambda w: w.lifecycle({"tagStatus": "tagged"}),
        lambda w: w.lifecycle(TAGGED),
    ),
]

CASES = [*DATABASES, *QUEUES, *LOGS, *REPOSITORIES]

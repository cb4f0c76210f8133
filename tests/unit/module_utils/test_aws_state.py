# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The calls that the pass makes, against what botocore's models of the services allow; nothing leaves the process."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from typing import Any

import pytest
from ansible_collections.academy.deploy.plugins.module_utils.aws_calls import ReadError
from ansible_collections.academy.deploy.plugins.module_utils.aws_state import SECTIONS, observe
from ansible_collections.academy.deploy.plugins.module_utils.network import NetworkError
from botocore import xform_name
from botocore.stub import Stubber

from tests.unit import aws_clients

ACCOUNT = "123456789012"
TAGS = [{"Key": "Project", "Value": "academy"}]
MADE = datetime(2026, 1, 31, tzinfo=UTC)
TRUST = {"Version": "2012-10-17", "Statement": []}


class Aws:
    """Clients that answer what they were told to, in that order, and remember in which thread they were made."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self._stubs: dict[str, Stubber] = {}
        self.made: list[tuple[str, str]] = []

    def __getitem__(self, service: str) -> Stubber:
        if service not in self._stubs:
            self._stubs[service] = self._stack.enter_context(Stubber(aws_clients.client(service)))
        return self._stubs[service]

    def client(self, service: str) -> Any:
        self.made.append((service, threading.current_thread().name))
        return self[service].client

    def assert_no_pending_responses(self) -> None:
        for stub in self._stubs.values():
            stub.assert_no_pending_responses()


@pytest.fixture
def aws() -> Iterator[Aws]:
    with ExitStack() as stack:
        clients = Aws(stack)
        yield clients
        clients.assert_no_pending_responses()


def test_nothing_asked_for_is_nothing_read(aws: Aws) -> None:
    assert observe(dict.fromkeys(section.option for section in SECTIONS), aws.client) == {}
    assert aws.made == []


def test_empty_lists_are_empty_sections(aws: Aws) -> None:
    assert observe({"role_names": [], "instance_types": []}, aws.client) == {
        "roles": {},
        "instance_profiles": {},
        "instance_types": {},
    }


def test_a_role(aws: Aws) -> None:
    role = {
        "Path": "/",
        "RoleName": "academy-api-role",
        "RoleId": "AROA1234567890123456",
        "Arn": f"arn:aws:iam::{ACCOUNT}:role/academy-api-role",
        "CreateDate": MADE,
        "Description": "Hosts of kind api",
        "Tags": TAGS,
    }
    name = {"RoleName": "academy-api-role"}
    section = next(section for section in SECTIONS if section.name == "roles")
    iam = aws["iam"]
    iam.add_response("get_role", {"Role": {**role, "AssumeRolePolicyDocument": json.dumps(TRUST)}}, name)
    attached = {"PolicyName": "Admin", "PolicyArn": "arn:aws:iam::aws:policy/AdministratorAccess"}
    iam.add_response("list_attached_role_policies", {"AttachedPolicies": [attached]}, name)
    iam.add_response("list_role_policies", {"PolicyNames": ["academy-host"]}, name)
    iam.add_response(
        "get_role_policy",
        {**name, "PolicyName": "academy-host", "PolicyDocument": json.dumps(TRUST)},
        {**name, "PolicyName": "academy-host"},
    )
    assert section.read(aws.client("iam"), "academy-api-role") == {
        "arn": role["Arn"],
        "description": "Hosts of kind api",
        "trust_policy": TRUST,
        "managed_policies": [attached["PolicyArn"]],
        "inline_policies": {"academy-host": TRUST},
        "tags": {"Project": "academy"},
    }


def test_what_does_not_exist_is_left_out_or_null(aws: Aws) -> None:
    iam, sqs, ecr, rds, logs = (aws[service] for service in ("iam", "sqs", "ecr", "rds", "logs"))
    for operation in ("get_role", "get_instance_profile"):
        iam.add_client_error(operation, "NoSuchEntity")
    sqs.add_client_error("get_queue_url", "AWS.SimpleQueueService.NonExistentQueue")
    ecr.add_client_error("describe_repositories", "RepositoryNotFoundException")
    logs.add_response("describe_log_groups", {"logGroups": []}, {"logGroupNamePrefix": "/academy/"})
    rds.add_client_error("describe_db_instances", "DBInstanceNotFound")
    options = {
        "queue_names": ["academy-video-jobs"],
        "repository_names": ["academy-api"],
        "log_group_prefixes": ["/academy/"],
        "db_instance_identifier": "academy-db",
    }
    assert observe(options, aws.client) == {"queues": {}, "repositories": {}, "log_groups": {}, "db_instance": None}
    assert aws.made == [(service, "MainThread") for service in ("ecr", "logs", "rds", "sqs")]
    # One after the other, because the answers of one service are in an order.
    for name in ("roles", "instance_profiles"):
        section = next(section for section in SECTIONS if section.name == name)
        assert section.read(iam.client, "academy-api-role") is None
    rds.add_client_error("describe_db_subnet_groups", "DBSubnetGroupNotFoundFault")
    assert observe({"db_subnet_group_name": "academy-db-subnets"}, aws.client) == {"db_subnet_group": None}
    rds.add_client_error("describe_db_parameter_groups", "DBParameterGroupNotFound")
    assert observe({"db_parameter_group_name": "academy-db-postgres16"}, aws.client) == {"db_parameter_group": None}


def test_an_instance_profile(aws: Aws) -> None:
    role = {
        "Path": "/",
        "RoleName": "academy-api-role",
        "RoleId": "AROA1234567890123456",
        "Arn": f"arn:aws:iam::{ACCOUNT}:role/academy-api-role",
        "CreateDate": MADE,
    }
    profile = {
        "Path": "/",
        "InstanceProfileName": "academy-api-role",
        "InstanceProfileId": "AIPA1234567890123456",
        "Arn": f"arn:aws:iam::{ACCOUNT}:instance-profile/academy-api-role",
        "CreateDate": MADE,
        "Roles": [role],
        "Tags": TAGS,
    }
    aws["iam"].add_response(
        "get_instance_profile", {"InstanceProfile": profile}, {"InstanceProfileName": "academy-api-role"}
    )
    section = next(section for section in SECTIONS if section.name == "instance_profiles")
    assert section.read(aws.client("iam"), "academy-api-role") == {
        "arn": profile["Arn"],
        "roles": ["academy-api-role"],
        "tags": {"Project": "academy"},
    }


def test_a_queue(aws: Aws) -> None:
    url = {"QueueUrl": f"https://sqs.ap-northeast-2.amazonaws.com/{ACCOUNT}/academy-video-jobs"}
    redrive = {"deadLetterTargetArn": "arn", "maxReceiveCount": 3}
    attributes = {"QueueArn": "arn:jobs", "VisibilityTimeout": "30", "RedrivePolicy": json.dumps(redrive)}
    sqs = aws["sqs"]
    sqs.add_response("get_queue_url", url, {"QueueName": "academy-video-jobs"})
    sqs.add_response("get_queue_attributes", {"Attributes": attributes}, {**url, "AttributeNames": ["All"]})
    sqs.add_response("list_queue_tags", {"Tags": {"Project": "academy"}}, url)
    assert observe({"queue_names": ["academy-video-jobs"]}, aws.client) == {
        "queues": {
            "academy-video-jobs": {
                "url": url["QueueUrl"],
                "arn": "arn:jobs",
                "attributes": attributes,
                "redrive_policy": redrive,
                "tags": {"Project": "academy"},
            }
        }
    }


def test_a_queue_without_dead_letter_queue(aws: Aws) -> None:
    sqs = aws["sqs"]
    sqs.add_response("get_queue_url", {"QueueUrl": "https://sqs.example.com/x"})
    sqs.add_response("get_queue_attributes", {"Attributes": {"QueueArn": "arn"}})
    sqs.add_response("list_queue_tags", {})
    queue = observe({"queue_names": ["x"]}, aws.client)["queues"]["x"]
    assert (queue["redrive_policy"], queue["tags"]) == (None, {})


def test_a_repository_without_lifecycle_policy(aws: Aws) -> None:
    repository = {
        "repositoryArn": "arn:repository",
        "repositoryName": "academy-api",
        "repositoryUri": "uri",
        "imageTagMutability": "MUTABLE",
        "imageScanningConfiguration": {"scanOnPush": True},
    }
    ecr = aws["ecr"]
    ecr.add_response("describe_repositories", {"repositories": [repository]}, {"repositoryNames": ["academy-api"]})
    ecr.add_client_error("get_lifecycle_policy", "LifecyclePolicyNotFoundException")
    ecr.add_response("list_tags_for_resource", {"tags": TAGS}, {"resourceArn": "arn:repository"})
    assert observe({"repository_names": ["academy-api"]}, aws.client)["repositories"] == {
        "academy-api": {
            "arn": "arn:repository",
            "uri": "uri",
            "image_tag_mutability": "MUTABLE",
            "scan_on_push": True,
            "lifecycle_policy": None,
            "tags": {"Project": "academy"},
        }
    }


def test_log_groups_of_every_page(aws: Aws) -> None:
    logs = aws["logs"]
    pages: list[tuple[dict[str, Any], dict[str, str]]] = [
        (
            {"logGroups": [{"logGroupName": "/academy/a", "arn": "arn:a:*", "retentionInDays": 14}], "nextToken": "2"},
            {},
        ),
        ({"logGroups": [{"logGroupName": "/academy/b", "arn": "arn:b:*"}]}, {"nextToken": "2"}),
    ]
    for page, token in pages:
        logs.add_response("describe_log_groups", page, {"logGroupNamePrefix": "/academy/", **token})
    for name in ("a", "b"):
        logs.add_response("list_tags_for_resource", {"tags": {"Name": name}}, {"resourceArn": f"arn:{name}"})
    logs.add_response("describe_log_groups", {"logGroups": []}, {"logGroupNamePrefix": "/aws/"})
    assert observe({"log_group_prefixes": ["/academy/", "/aws/"]}, aws.client)["log_groups"] == {
        "/academy/a": {"arn": "arn:a", "retention_days": 14, "tags": {"Name": "a"}},
        "/academy/b": {"arn": "arn:b", "retention_days": None, "tags": {"Name": "b"}},
    }


def test_whether_a_group_has_a_stream(aws: Aws) -> None:
    logs, group = aws["logs"], "/academy/a"
    for host, names in (("worker-1", ["worker-1", "worker-10"]), ("worker-2", ["worker-20"])):
        answer = {"logStreams": [{"logStreamName": name} for name in names]}
        logs.add_response("describe_log_streams", answer, {"logGroupName": group, "logStreamNamePrefix": host})
        found = observe({"log_streams": [f"{group}:{host}"]}, aws.client)
        assert found == {"log_streams": {f"{group}:{host}": host in names}}
    logs.add_client_error("describe_log_streams", "ResourceNotFoundException")
    assert observe({"log_streams": [f"{group}:worker-3"]}, aws.client) == {"log_streams": {}}


def test_the_database_as_rds_instance_info_tells_it(aws: Aws) -> None:
    instance = {
        "DBInstanceIdentifier": "academy-db",
        "DBInstanceStatus": "available",
        "PendingModifiedValues": {"BackupRetentionPeriod": 7},
        "VpcSecurityGroups": [{"VpcSecurityGroupId": "sg-1", "Status": "active"}],
        "TagList": TAGS,
    }
    aws["rds"].add_response(
        "describe_db_instances", {"DBInstances": [instance]}, {"DBInstanceIdentifier": "academy-db"}
    )
    assert observe({"db_instance_identifier": "academy-db"}, aws.client)["db_instance"] == {
        "db_instance_identifier": "academy-db",
        "db_instance_status": "available",
        "pending_modified_values": {"backup_retention_period": 7},
        "vpc_security_groups": [{"vpc_security_group_id": "sg-1", "status": "active"}],
        "tags": {"Project": "academy"},
    }


def test_a_subnet_group(aws: Aws) -> None:
    group = {
        "DBSubnetGroupArn": "arn:group",
        "VpcId": "vpc-1",
        "DBSubnetGroupDescription": "Subnets of academy-db",
        "Subnets": [{"SubnetIdentifier": "subnet-b"}, {"SubnetIdentifier": "subnet-a"}],
    }
    rds = aws["rds"]
    rds.add_response("describe_db_subnet_groups", {"DBSubnetGroups": [group]}, {"DBSubnetGroupName": "g"})
    rds.add_response("list_tags_for_resource", {"TagList": TAGS}, {"ResourceName": "arn:group"})
    assert observe({"db_subnet_group_name": "g"}, aws.client)["db_subnet_group"] == {
        "arn": "arn:group",
        "vpc_id": "vpc-1",
        "description": "Subnets of academy-db",
        "subnet_ids": ["subnet-a", "subnet-b"],
        "tags": {"Project": "academy"},
    }


def test_a_parameter_group_with_what_is_set_by_whomever(aws: Aws) -> None:
    rds = aws["rds"]
    group = {"DBParameterGroupName": "g", "DBParameterGroupArn": "arn:group", "DBParameterGroupFamily": "postgres16"}
    rds.add_response("describe_db_parameter_groups", {"DBParameterGroups": [group]}, {"DBParameterGroupName": "g"})
    rds.add_response("list_tags_for_resource", {"TagList": TAGS}, {"ResourceName": "arn:group"})
    pages = [
        ({"Marker": "2"}, {"ParameterName": "rds.force_ssl", "ParameterValue": "1", "Source": "system"}),
        ({}, {"ParameterName": "log_min_duration_statement", "Source": "engine-default"}),
    ]
    for marker, parameter in pages:
        asked = {"DBParameterGroupName": "g"} | ({} if marker else {"Marker": "2"})
        rds.add_response("describe_db_parameters", {"Parameters": [parameter], **marker}, asked)
    assert observe({"db_parameter_group_name": "g"}, aws.client)["db_parameter_group"] == {
        "parameters": {"rds.force_ssl": "1"},
        "tags": {"Project": "academy"},
    }


def subnets(aws: Aws, *zones: str) -> None:
    found = [{"SubnetId": f"subnet-{zone}", "VpcId": "vpc-1", "AvailabilityZone": zone} for zone in zones]
    expected = {"Filters": [{"Name": "default-for-az", "Values": ["true"]}]}
    aws["ec2"].add_response("describe_subnets", {"Subnets": found}, expected)


def test_a_network(aws: Aws) -> None:
    subnets(aws, "b", "a")
    assert observe({"minimum_zones": 2, "security_group_names": []}, aws.client) == {
        "network": {
            "vpc_id": "vpc-1",
            "subnets": tuple({"subnet_id": f"subnet-{zone}", "vpc_id": "vpc-1", "zone": zone} for zone in "ab"),
        },
        "security_groups": {},
    }


def test_a_network_that_does_not_fit_is_an_error(aws: Aws) -> None:
    subnets(aws, "a")
    with pytest.raises(NetworkError, match="at least 2 availability zone"):
        observe({"minimum_zones": 2}, aws.client)


def test_security_groups_keep_the_keys_of_their_tags(aws: Aws) -> None:
    group = {
        "GroupId": "sg-1",
        "GroupName": "academy-api-sg",
        "VpcId": "vpc-1",
        "IpPermissions": [{"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "Ipv6Ranges": [{"CidrIpv6": "::/0"}]}],
        "Tags": [{"Key": "CostCenter", "Value": "x"}],
    }
    expected = {"Filters": [{"Name": "group-name", "Values": ["academy-api-sg"]}]}
    aws["ec2"].add_response("describe_security_groups", {"SecurityGroups": [group]}, expected)
    section = next(section for section in SECTIONS if section.name == "security_groups")
    assert section.read(aws.client("ec2"), ["academy-api-sg"]) == [
        {
            "group_id": "sg-1",
            "group_name": "academy-api-sg",
            "vpc_id": "vpc-1",
            "ip_permissions": [
                {"ip_protocol": "tcp", "from_port": 22, "to_port": 22, "ipv6_ranges": [{"cidr_ipv6": "::/0"}]}
            ],
            "tags": {"CostCenter": "x"},
        }
    ]


def test_groups_of_the_same_name_in_another_vpc_are_left_out() -> None:
    groups = [{"GroupId": f"sg-{n}", "GroupName": "x", "VpcId": f"vpc-{n}", "Tags": []} for n in (1, 2)]
    answers: dict[str, dict[str, Any]] = {
        "describe_subnets": {"Subnets": [{"SubnetId": "s", "VpcId": "vpc-1", "AvailabilityZone": "a"}]},
        "describe_security_groups": {"SecurityGroups": groups},
    }

    class Pages:
        """Answers two calls at the same time, whichever comes first."""

        def __init__(self, operation: str) -> None:
            self.operation = operation

        def paginate(self, **_parameters: Any) -> Pages:
            return self

        def build_full_result(self) -> dict[str, Any]:
            return answers[self.operation]

    class Ec2:
        get_paginator = Pages

    state = observe({"minimum_zones": 1, "security_group_names": ["x"]}, lambda _service: Ec2())
    assert state["security_groups"]["x"]["group_id"] == "sg-1"


def test_volumes_that_are_free_by_their_names(aws: Aws) -> None:
    ec2 = aws["ec2"]
    ec2.add_response(
        "describe_volumes",
        {"Volumes": [{"VolumeId": "vol-1", "Tags": [{"Key": "Name", "Value": "academy-api-1"}]}]},
        {"Filters": [{"Name": "tag:Name", "Values": ["academy-api-1"]}, {"Name": "status", "Values": ["available"]}]},
    )
    (found,) = observe({"free_volume_names": ["academy-api-1"]}, aws.client)["free_volumes"]
    assert found == {"volume_id": "vol-1", "tags": {"Name": "academy-api-1"}}
    # A filter without values is an error of EC2's.
    assert observe({"free_volume_names": []}, aws.client)["free_volumes"] == []


def test_an_instance_with_its_volumes_and_what_a_shutdown_does(aws: Aws) -> None:
    instance = {
        "InstanceId": "i-1",
        "State": {"Name": "stopped"},
        "MetadataOptions": {"HttpTokens": "required"},
        "Tags": [{"Key": "Name", "Value": "academy-api-1"}],
    }
    volume = {
        "VolumeId": "vol-1",
        "Size": 100,
        "Encrypted": True,
        "Attachments": [{"InstanceId": "i-1", "Device": "/dev/sdf"}],
    }
    ec2 = aws["ec2"]
    ec2.add_response(
        "describe_instances",
        {"Reservations": [{"Instances": [instance]}]},
        {
            "Filters": [
                {"Name": "tag:Project", "Values": ["academy"]},
                {"Name": "instance-state-name", "Values": ["running", "stopped"]},
            ]
        },
    )
    ec2.add_response(
        "describe_volumes",
        {"Volumes": [volume]},
        {"Filters": [{"Name": "attachment.instance-id", "Values": ["i-1"]}]},
    )
    ec2.add_response(
        "describe_instance_attribute",
        {"InstanceInitiatedShutdownBehavior": {"Value": "terminate"}},
        {"InstanceId": "i-1", "Attribute": "instanceInitiatedShutdownBehavior"},
    )
    filters = {"tag:Project": "academy", "instance-state-name": ["running", "stopped"]}
    (found,) = observe({"instance_filters": filters}, aws.client)["instances"]
    assert found == {
        "instance_id": "i-1",
        "state": {"name": "stopped"},
        "metadata_options": {"http_tokens": "required"},
        "tags": {"Name": "academy-api-1"},
        "instance_initiated_shutdown_behavior": "terminate",
        "spot_request": None,
        "volumes": {
            "/dev/sdf": {
                "volume_id": "vol-1",
                "size": 100,
                "encrypted": True,
                "attachments": [{"instance_id": "i-1", "device": "/dev/sdf"}],
                "tags": {},
            }
        },
    }


SPOT_REQUEST = {
    "SpotInstanceRequestId": "sir-1",
    "Type": "persistent",
    "State": "disabled",
    "InstanceInterruptionBehavior": "stop",
    "Tags": TAGS,
}
READ_SPOT_REQUEST = {
    "spot_instance_request_id": "sir-1",
    "type": "persistent",
    "state": "disabled",
    "instance_interruption_behavior": "stop",
    "tags": {"Project": "academy"},
}


@pytest.mark.parametrize(("requests", "expected"), [([SPOT_REQUEST], READ_SPOT_REQUEST), ([], None)])
def test_a_spot_instance_with_the_request_behind_it(
    aws: Aws, requests: list[dict[str, Any]], expected: dict[str, Any] | None
) -> None:
    instance = {"InstanceId": "i-1", "InstanceLifecycle": "spot", "SpotInstanceRequestId": "sir-1"}
    ec2 = aws["ec2"]
    ec2.add_response("describe_instances", {"Reservations": [{"Instances": [instance]}]})
    ec2.add_response("describe_volumes", {"Volumes": []})
    filters = [{"Name": "spot-instance-request-id", "Values": ["sir-1"]}]
    ec2.add_response("describe_spot_instance_requests", {"SpotInstanceRequests": requests}, {"Filters": filters})
    ec2.add_response("describe_instance_attribute", {})
    (found,) = observe({"instance_filters": {"instance-id": "i-1"}}, aws.client)["instances"]
    assert found["spot_request"] == expected


def test_launch_templates_with_what_their_default_version_says(aws: Aws) -> None:
    ec2 = aws["ec2"]
    template = {
        "LaunchTemplateId": "lt-1",
        "LaunchTemplateName": "a-spot",
        "DefaultVersionNumber": 2,
        "LatestVersionNumber": 3,
        "Tags": TAGS,
    }
    ec2.add_response(
        "describe_launch_templates",
        {"LaunchTemplates": [template, {**template, "LaunchTemplateId": "lt-2", "LaunchTemplateName": "gone"}]},
        {"Filters": [{"Name": "launch-template-name", "Values": ["a-spot", "gone", "b-spot"]}]},
    )
    data = {"InstanceMarketOptions": {"MarketType": "spot"}}
    ec2.add_response(
        "describe_launch_template_versions",
        {"LaunchTemplateVersions": [{"LaunchTemplateData": data}]},
        {"LaunchTemplateId": "lt-1", "Versions": ["$Default"]},
    )
    ec2.add_client_error("describe_launch_template_versions", "InvalidLaunchTemplateId.NotFound")
    assert observe({"launch_template_names": ["a-spot", "gone", "b-spot"]}, aws.client)["launch_templates"] == {
        "a-spot": {
            "launch_template_id": "lt-1",
            "default_version": 2,
            "latest_version": 3,
            "data": {"instance_market_options": {"market_type": "spot"}},
            "tags": {"Project": "academy"},
        }
    }
    assert observe({"launch_template_names": []}, aws.client)["launch_templates"] == {}


def test_alarms_as_cloudwatch_tells_them(aws: Aws) -> None:
    arn = f"arn:aws:cloudwatch:ap-northeast-2:{ACCOUNT}:alarm:academy-video-jobs-dlq-not-empty"
    alarm = {"AlarmName": "academy-video-jobs-dlq-not-empty", "AlarmArn": arn, "Threshold": 1.0}
    aws["cloudwatch"].add_response(
        "describe_alarms", {"MetricAlarms": [alarm]}, {"AlarmNamePrefix": "academy-", "AlarmTypes": ["MetricAlarm"]}
    )
    aws["cloudwatch"].add_response("list_tags_for_resource", {"Tags": TAGS}, {"ResourceARN": arn})
    assert observe({"alarm_prefix": "academy-"}, aws.client) == {
        "alarms": {alarm["AlarmName"]: {**alarm, "tags": {"Project": "academy"}}}
    }


def test_a_topic_with_who_is_told(aws: Aws) -> None:
    arn = f"arn:aws:sns:ap-northeast-2:{ACCOUNT}:academy-alarms"
    sns, topic = aws["sns"], {"TopicArn": arn}
    subscriptions = [
        {"Protocol": "email", "Endpoint": "ops@example.com", "SubscriptionArn": f"{arn}:1"},
        {"Protocol": "email", "Endpoint": "new@example.com", "SubscriptionArn": "PendingConfirmation"},
        {"Protocol": "email", "Endpoint": "old@example.com", "SubscriptionArn": "Deleted"},
    ]
    sns.add_response("get_topic_attributes", {"Attributes": {"Policy": json.dumps(TRUST)}}, topic)
    sns.add_response("list_subscriptions_by_topic", {"Subscriptions": subscriptions}, topic)
    sns.add_response("list_tags_for_resource", {"Tags": TAGS}, {"ResourceArn": arn})
    assert observe({"topic_arns": [arn]}, aws.client)["topics"][arn] == {
        "policy": TRUST,
        "subscriptions": [
            {"protocol": "email", "endpoint": "ops@example.com", "confirmed": True, "deleted": False},
            {"protocol": "email", "endpoint": "new@example.com", "confirmed": False, "deleted": False},
            {"protocol": "email", "endpoint": "old@example.com", "confirmed": False, "deleted": True},
        ],
        "tags": {"Project": "academy"},
    }
    sns.add_client_error("get_topic_attributes", "NotFound")
    assert observe({"topic_arns": [arn]}, aws.client) == {"topics": {}}


FUNCTION = "arn:aws:lambda:ap-northeast-2:123456789012:function:academy-starter"
RULE = "arn:aws:events:ap-northeast-2:123456789012:rule/academy-starter"


def test_a_function_with_who_may_invoke_it(aws: Aws) -> None:
    configuration = {
        "FunctionArn": FUNCTION,
        "Description": "Starts",
        "Runtime": "python3.13",
        "Handler": "academy_starter.handler.handler",
        "Role": f"arn:aws:iam::{ACCOUNT}:role/academy-starter-role",
        "Timeout": 45,
        "MemorySize": 256,
        "Architectures": ["arm64"],
        "Environment": {"Variables": {"STARTER": "{}"}},
        "CodeSha256": "abc=",
        "LoggingConfig": {"LogFormat": "Text", "LogGroup": "/academy/starter"},
    }
    statement = {"Sid": "InvokeBySchedule", "Effect": "Allow"}
    functions, name = aws["lambda"], {"FunctionName": "academy-starter"}
    functions.add_response("get_function", {"Configuration": configuration, "Tags": {"Project": "academy"}}, name)
    functions.add_response("get_policy", {"Policy": json.dumps({"Statement": [statement]})}, name)
    functions.add_response("get_function_event_invoke_config", {"MaximumRetryAttempts": 0}, name)
    assert observe({"function_names": ["academy-starter"]}, aws.client)["functions"]["academy-starter"] == {
        "arn": FUNCTION,
        "description": "Starts",
        "runtime": "python3.13",
        "handler": "academy_starter.handler.handler",
        "role": f"arn:aws:iam::{ACCOUNT}:role/academy-starter-role",
        "timeout_seconds": 45,
        "memory_mib": 256,
        "architecture": "arm64",
        "environment": {"STARTER": "{}"},
        "code_sha256": "abc=",
        "log_group": "/academy/starter",
        "retries": 0,
        "statements": [statement],
        "tags": {"Project": "academy"},
    }


def test_a_function_that_nobody_may_invoke_and_one_that_is_not_there(aws: Aws) -> None:
    configuration = {
        "FunctionArn": FUNCTION,
        "Role": f"arn:aws:iam::{ACCOUNT}:role/academy-starter-role",
        "Timeout": 3,
        "MemorySize": 128,
        "Architectures": ["x86_64"],
        "CodeSha256": "abc=",
        "LoggingConfig": {"LogGroup": "/aws/lambda/academy-starter"},
    }
    functions = aws["lambda"]
    functions.add_response("get_function", {"Configuration": configuration})
    functions.add_client_error("get_policy", "ResourceNotFoundException")
    functions.add_client_error("get_function_event_invoke_config", "ResourceNotFoundException")
    found = observe({"function_names": ["academy-starter"]}, aws.client)["functions"]["academy-starter"]
    assert (found["statements"], found["environment"], found["tags"], found["description"]) == ([], {}, {}, "")
    assert found["retries"] == 2
    functions.add_client_error("get_function", "ResourceNotFoundException")
    assert observe({"function_names": ["academy-starter"]}, aws.client) == {"functions": {}}


def test_a_schedule_with_what_it_invokes(aws: Aws) -> None:
    rule = {
        "Name": "academy-starter",
        "Arn": RULE,
        "Description": "Starts",
        "ScheduleExpression": "rate(1 minute)",
        "State": "ENABLED",
    }
    target = {"Id": "academy-starter", "Arn": FUNCTION}
    events = aws["events"]
    events.add_response("describe_rule", rule, {"Name": "academy-starter"})
    events.add_response("list_targets_by_rule", {"Targets": [target]}, {"Rule": "academy-starter"})
    events.add_response("list_tags_for_resource", {"Tags": TAGS}, {"ResourceARN": RULE})
    assert observe({"schedule_names": ["academy-starter"]}, aws.client)["schedules"]["academy-starter"] == {
        "arn": RULE,
        "description": "Starts",
        "schedule": "rate(1 minute)",
        "event_pattern": None,
        "state": "ENABLED",
        "role": None,
        "targets": [target],
        "tags": {"Project": "academy"},
    }
    events.add_client_error("describe_rule", "ResourceNotFoundException")
    assert observe({"schedule_names": ["academy-starter"]}, aws.client) == {"schedules": {}}


def test_instance_types_with_the_zones_that_offer_them(aws: Aws) -> None:
    filters = {"Filters": [{"Name": "instance-type", "Values": ["t4g.small", "t4g.unknown"]}]}
    offerings = [{"InstanceType": "t4g.small", "Location": zone} for zone in "ca"]
    ec2 = aws["ec2"]
    ec2.add_response(
        "describe_instance_type_offerings",
        {"InstanceTypeOfferings": offerings},
        {"LocationType": "availability-zone", **filters},
    )
    processor = {"SupportedArchitectures": ["arm64"]}
    small = {"InstanceType": "t4g.small", "BurstablePerformanceSupported": True}
    types = [{**small, "MemoryInfo": {"SizeInMiB": 2048}, "ProcessorInfo": processor}]
    types[0] |= {"VCpuInfo": {"DefaultVCpus": 2}, "FreeTierEligible": True}
    ec2.add_response("describe_instance_types", {"InstanceTypes": types}, filters)
    assert observe({"instance_types": ["t4g.small", "t4g.unknown"]}, aws.client)["instance_types"] == {
        "t4g.small": {
            "memory_mib": 2048,
            "architectures": ["arm64"],
            "has_cpu_credits": True,
            "vcpus": 2,
            "is_free": True,
            "zones": ["a", "c"],
        }
    }


def test_route_tables_with_whom_they_are_for_and_whether_they_lead_out(aws: Aws) -> None:
    local = {"DestinationCidrBlock": "172.31.0.0/16", "GatewayId": "local", "State": "active"}
    out = {"DestinationCidrBlock": "0.0.0.0/0", "GatewayId": "igw-1", "State": "active"}
    tables = [
        {"VpcId": "vpc-1", "Associations": [{"Main": True}], "Routes": [local, out]},
        {"VpcId": "vpc-1", "Associations": [{"Main": False, "SubnetId": "subnet-1"}], "Routes": [local]},
        {"VpcId": "vpc-2", "Associations": [], "Routes": [{**out, "State": "blackhole"}]},
    ]
    aws["ec2"].add_response("describe_route_tables", {"RouteTables": tables}, {})
    found = observe({"route_tables": True}, aws.client)["route_tables"]
    assert [(table["vpc_id"], table["subnet_ids"], table["is_main"], table["leads_out"]) for table in found] == [
        ("vpc-1", [], True, True),
        ("vpc-1", ["subnet-1"], False, False),
        ("vpc-2", [], False, False),
    ]


def test_the_images_that_parameters_name(aws: Aws) -> None:
    ssm = aws["ssm"]
    # One after the other, because the answers of the stubber have an order.
    ssm.add_response("get_parameter", {"Parameter": {"Value": "ami-1"}}, {"Name": "/an/image"})
    assert observe({"image_parameters": ["/an/image"]}, aws.client) == {"images": {"/an/image": "ami-1"}}
    ssm.add_client_error("get_parameter", "ParameterNotFound")
    assert observe({"image_parameters": ["/no/image"]}, aws.client) == {"images": {}}


def test_the_tags_of_the_images_of_a_repository(aws: Aws) -> None:
    images = [{"imageDigest": "sha256:1", "imageTags": ["two", "one"]}, {"imageDigest": "sha256:2"}]
    asked = {"repositoryName": "academy-api"}
    aws["ecr"].add_response("describe_images", {"imageDetails": images}, asked)
    found = observe({"image_repositories": ["academy-api"]}, aws.client)
    assert found == {"image_tags": {"academy-api": {"sha256:1": ["one", "two"], "sha256:2": []}}}
    aws["ecr"].add_client_error("describe_images", "RepositoryNotFoundException")
    assert observe({"image_repositories": ["academy-api"]}, aws.client) == {"image_tags": {"academy-api": {}}}


def test_the_deploy_lock_and_the_releases(aws: Aws) -> None:
    ssm = aws["ssm"]
    locks = [{"Name": "/academy/lock/2", "Value": "{}"}, {"Name": "/academy/lock/1", "Value": "{}"}]
    for number, more in enumerate(({"NextToken": "1"}, {})):
        asked = {"Path": "/academy/lock"} | ({"NextToken": "1"} if number else {})
        ssm.add_response("get_parameters_by_path", {"Parameters": locks[number : number + 1], **more}, asked)
    assert observe({"lock_path": "/academy/lock"}, aws.client) == {"deploy_locks": locks}
    history = [{"Version": 1, "Value": "{}"}]
    ssm.add_response("get_parameter_history", {"Parameters": history}, {"Name": "/academy/releases"})
    assert observe({"releases_parameter": "/academy/releases"}, aws.client) == {"releases": history}
    ssm.add_client_error("get_parameter_history", "ParameterNotFound")
    assert observe({"releases_parameter": "/academy/releases"}, aws.client) == {"releases": []}


@pytest.mark.parametrize(
    ("options", "action", "section"),
    [
        ({"queue_names": ["x"]}, "sqs:GetQueueUrl", "queues x"),
        ({"log_group_prefixes": ["/x/"]}, "logs:DescribeLogGroups", "log_groups"),
    ],
)
def test_an_error_names_the_section_and_the_call(aws: Aws, options: dict[str, Any], action: str, section: str) -> None:
    service, _, operation = action.partition(":")
    aws[service].add_client_error(xform_name(operation), "AccessDenied")
    with pytest.raises(ReadError) as error:
        observe(options, aws.client)
    assert (error.value.section, error.value.action) == (section, action)
    assert "AccessDenied" in str(error.value.cause)

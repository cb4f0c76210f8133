# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What calls need in IAM's terms."""

from __future__ import annotations

from typing import Any

import pytest

from localcloud.permissions import needs
from localcloud.policy import Need

REGION = "ap-northeast-2"
TAGS = {"i-1": {"Project": "academy"}, "i-2": {}}
URL = "https://sqs.ap-northeast-2.amazonaws.com/123456789012/jobs"


def arn(service: str, resource: str, region: str = REGION) -> str:
    return f"arn:aws:{service}:{region}:123456789012:{resource}"


@pytest.mark.parametrize(
    ("service", "operation", "parameters", "action", "resource"),
    [
        ("sqs", "SendMessage", {"QueueUrl": URL}, "sqs:SendMessage", arn("sqs", "jobs")),
        ("sqs", "SendMessageBatch", {"QueueUrl": URL}, "sqs:SendMessage", arn("sqs", "jobs")),
        ("sqs", "DeleteMessageBatch", {"QueueUrl": URL}, "sqs:DeleteMessage", arn("sqs", "jobs")),
        (
            "sqs",
            "ChangeMessageVisibilityBatch",
            {"QueueUrl": URL},
            "sqs:ChangeMessageVisibility",
            arn("sqs", "jobs"),
        ),
        ("sqs", "ReceiveMessage", {"QueueUrl": "jobs"}, "sqs:ReceiveMessage", arn("sqs", "jobs")),  # AWS takes it too
        ("sqs", "ReceiveMessage", {}, "sqs:ReceiveMessage", None),
        ("sqs", "GetQueueUrl", {"QueueName": "jobs"}, "sqs:GetQueueUrl", arn("sqs", "jobs")),
        ("sqs", "ListQueues", {}, "sqs:ListQueues", "*"),
        ("ecr", "GetAuthorizationToken", {}, "ecr:GetAuthorizationToken", "*"),
        ("ecr", "BatchGetImage", {"repositoryName": "api"}, "ecr:BatchGetImage", arn("ecr", "repository/api")),
        ("ecr", "DescribeRepositories", {}, "ecr:DescribeRepositories", None),
        (
            "logs",
            "CreateLogStream",
            {"logGroupName": "/a/b", "logStreamName": "c/1"},
            "logs:CreateLogStream",
            arn("logs", "log-group:/a/b:log-stream:c/1"),
        ),
        (
            "logs",
            "CreateLogGroup",
            {"logGroupName": "/a/b"},
            "logs:CreateLogGroup",
            arn("logs", "log-group:/a/b:log-stream:"),
        ),
        ("ec2", "DescribeInstances", {"InstanceIds": ["i-1"]}, "ec2:DescribeInstances", "*"),
        ("ec2", "RunInstances", {}, "ec2:RunInstances", None),
        ("ec2", "StopInstances", {}, "ec2:StopInstances", None),
        ("ec2", "DeleteTags", {"Resources": ["vol-1"]}, "ec2:DeleteTags", arn("ec2", "volume/vol-1")),
        ("ec2", "DeleteTags", {"Resources": ["rtb-1"]}, "ec2:DeleteTags", None),
        ("lambda", "Invoke", {"FunctionName": "f"}, "lambda:InvokeFunction", None),
        ("elbv2", "DescribeListeners", {}, "elasticloadbalancing:DescribeListeners", None),
        ("cloudwatch", "PutMetricData", {}, "cloudwatch:PutMetricData", None),
    ],
)
def test_actions_and_resources(
    service: str, operation: str, parameters: dict[str, Any], action: str, resource: str | None
) -> None:
    assert needs(service, operation, parameters, REGION, TAGS.__getitem__) == [Need(action, resource)]


def test_each_of_several_resources_is_needed() -> None:
    found = needs("ecr", "DescribeRepositories", {"repositoryNames": ["a", "b"]}, REGION, TAGS.__getitem__)
    assert [need.resource for need in found] == [arn("ecr", "repository/a"), arn("ecr", "repository/b")]


def test_of_an_instance_conditions_may_ask_its_id_and_tags() -> None:
    found = needs("ec2", "StopInstances", {"InstanceIds": ["i-1", "i-2"]}, REGION, TAGS.__getitem__)
    assert found == [
        Need(
            "ec2:StopInstances",
            arn("ec2", "instance/i-1"),
            {
                "ec2:instanceid": "i-1",
                "aws:resourcetag/project": "academy",
                "ec2:resourcetag/project": "academy",
            },
        ),
        Need("ec2:StopInstances", arn("ec2", "instance/i-2"), {"ec2:instanceid": "i-2"}),
    ]


def test_of_tags_conditions_may_ask_the_keys_and_the_instance() -> None:
    parameters = {"Resources": ["i-1"], "Tags": [{"Key": "HoldUntil", "Value": "x"}, {"Key": "Name"}]}
    (need,) = needs("ec2", "DeleteTags", parameters, REGION, TAGS.__getitem__)
    assert need.lists == {"aws:tagkeys": ("HoldUntil", "Name")}
    assert need.context["aws:resourcetag/project"] == "academy"
    (all_tags,) = needs("ec2", "DeleteTags", {"Resources": ["i-1"]}, REGION, TAGS.__getitem__)
    assert all_tags.lists == {}


def test_the_region_is_the_call_s() -> None:
    (need,) = needs("sqs", "GetQueueUrl", {"QueueName": "jobs"}, "us-east-1", TAGS.__getitem__)
    assert need.resource == arn("sqs", "jobs", "us-east-1")


def test_whoever_has_a_key_may_ask_whose_it_is() -> None:
    assert needs("sts", "GetCallerIdentity", {}, REGION, TAGS.__getitem__) == []

# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What calls need in IAM's terms."""

from __future__ import annotations

from typing import Any

import pytest

from localcloud.permissions import Knows, needs
from localcloud.policy import Need, PolicyError

REGION = "ap-northeast-2"
TAGS = {"i-1": {"Project": "academy"}, "i-2": {}}
KNOWS = Knows(lambda arn: TAGS.get(arn.rpartition("/")[2], {}), {"profile": "role"}.get)
HERE = {"aws:requestedregion": REGION}
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
        # Who asks for all asks for each, as IAM sees it.
        ("ecr", "DescribeRepositories", {}, "ecr:DescribeRepositories", arn("ecr", "repository/*")),
        (
            "cloudwatch",
            "DescribeAlarms",
            {"AlarmNamePrefix": "a"},
            "cloudwatch:DescribeAlarms",
            arn("cloudwatch", "alarm:*"),
        ),
        ("rds", "DescribeDBInstances", {"DBInstanceIdentifier": "a"}, "rds:DescribeDBInstances", arn("rds", "db:a")),
        ("rds", "DescribeDBInstances", {}, "rds:DescribeDBInstances", arn("rds", "db:*")),
        ("rds", "ModifyDBInstance", {}, "rds:ModifyDBInstance", None),
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
        ("ec2", "StopInstances", {}, "ec2:StopInstances", None),
        ("ec2", "DeleteTags", {"Resources": ["vol-1"]}, "ec2:DeleteTags", arn("ec2", "volume/vol-1")),
        ("ec2", "DeleteTags", {"Resources": ["rtb-1"]}, "ec2:DeleteTags", None),
        ("lambda", "Invoke", {"FunctionName": "f"}, "lambda:InvokeFunction", arn("lambda", "function:f")),
        ("lambda", "GetFunction", {"FunctionName": "f"}, "lambda:GetFunction", arn("lambda", "function:f")),
        (
            "lambda",
            "GetFunction",
            {"FunctionName": arn("lambda", "function:f")},
            "lambda:GetFunction",
            arn("lambda", "function:f"),
        ),
        ("elbv2", "DescribeListeners", {}, "elasticloadbalancing:DescribeListeners", "*"),
        (
            "elbv2",
            "CreateLoadBalancer",
            {"Name": "a", "Type": "application", "Subnets": ["subnet-1"]},
            "elasticloadbalancing:CreateLoadBalancer",
            arn("elasticloadbalancing", "loadbalancer/app/a/*"),
        ),
        (
            "acm",
            "DescribeCertificate",
            {"CertificateArn": arn("acm", "certificate/a-b")},
            "acm:DescribeCertificate",
            arn("acm", "certificate/a-b"),
        ),
        ("acm", "RequestCertificate", {"DomainName": "a.example"}, "acm:RequestCertificate", "*"),
        (
            "route53",
            "ChangeResourceRecordSets",
            {"HostedZoneId": "/hostedzone/Z1"},
            "route53:ChangeResourceRecordSets",
            "arn:aws:route53:::hostedzone/Z1",
        ),
        ("route53", "GetHostedZone", {"Id": "Z1"}, "route53:GetHostedZone", "arn:aws:route53:::hostedzone/Z1"),
        (
            "elbv2",
            "DeleteLoadBalancer",
            {"LoadBalancerArn": arn("elasticloadbalancing", "loadbalancer/app/a/1")},
            "elasticloadbalancing:DeleteLoadBalancer",
            arn("elasticloadbalancing", "loadbalancer/app/a/1"),
        ),
        ("cloudwatch", "PutMetricData", {}, "cloudwatch:PutMetricData", "*"),
        ("events", "DeleteRule", {"Name": "r"}, "events:DeleteRule", arn("events", "rule/r")),
        ("events", "DeleteRule", {"Name": "r", "EventBusName": "b"}, "events:DeleteRule", arn("events", "rule/b/r")),
        ("iam", "GetRole", {"RoleName": "r"}, "iam:GetRole", "arn:aws:iam::123456789012:role/r"),
        ("sns", "DeleteTopic", {"TopicArn": arn("sns", "t")}, "sns:DeleteTopic", arn("sns", "t")),
        ("s3", "ListBuckets", {}, "s3:ListAllMyBuckets", "*"),
        ("s3", "CreateBucket", {"Bucket": "logs"}, "s3:CreateBucket", "arn:aws:s3:::logs"),
        ("s3", "PutPublicAccessBlock", {"Bucket": "logs"}, "s3:PutBucketPublicAccessBlock", "arn:aws:s3:::logs"),
        (
            "s3",
            "GetBucketLifecycleConfiguration",
            {"Bucket": "logs"},
            "s3:GetLifecycleConfiguration",
            "arn:aws:s3:::logs",
        ),
        # AWS's own parameters are in nobody's account.
        (
            "ssm",
            "GetParameter",
            {"Name": "/aws/service/ami"},
            "ssm:GetParameter",
            "arn:aws:ssm:ap-northeast-2::parameter/aws/service/ami",
        ),
        ("ssm", "GetParameter", {"Name": "/mine"}, "ssm:GetParameter", arn("ssm", "parameter/mine")),
    ],
)
def test_actions_and_resources(
    service: str, operation: str, parameters: dict[str, Any], action: str, resource: str | None
) -> None:
    assert needs(service, operation, parameters, REGION, KNOWS) == [Need(action, resource, HERE)]


def test_each_of_several_resources_is_needed() -> None:
    found = needs("ecr", "DescribeRepositories", {"repositoryNames": ["a", "b"]}, REGION, KNOWS)
    assert [need.resource for need in found] == [arn("ecr", "repository/a"), arn("ecr", "repository/b")]


def test_of_an_instance_conditions_may_ask_its_id_and_tags() -> None:
    found = needs("ec2", "StopInstances", {"InstanceIds": ["i-1", "i-2"]}, REGION, KNOWS)
    assert found == [
        Need(
            "ec2:StopInstances",
            arn("ec2", "instance/i-1"),
            {
                **HERE,
                "ec2:instanceid": "i-1",
                "aws:resourcetag/project": "academy",
                "ec2:resourcetag/project": "academy",
            },
        ),
        Need("ec2:StopInstances", arn("ec2", "instance/i-2"), {**HERE, "ec2:instanceid": "i-2"}),
    ]


def test_of_tags_conditions_may_ask_the_keys_and_the_instance() -> None:
    parameters = {"Resources": ["i-1"], "Tags": [{"Key": "HoldUntil", "Value": "x"}, {"Key": "Name"}]}
    (need,) = needs("ec2", "DeleteTags", parameters, REGION, KNOWS)
    assert need.lists == {"aws:tagkeys": ("HoldUntil", "Name")}
    assert need.context["aws:resourcetag/project"] == "academy"
    (all_tags,) = needs("ec2", "DeleteTags", {"Resources": ["i-1"]}, REGION, KNOWS)
    assert all_tags.lists == {}


def test_the_region_is_the_call_s() -> None:
    (need,) = needs("sqs", "GetQueueUrl", {"QueueName": "jobs"}, "us-east-1", KNOWS)
    assert need.resource == arn("sqs", "jobs", "us-east-1")


def test_whoever_has_a_key_may_ask_whose_it_is() -> None:
    assert needs("sts", "GetCallerIdentity", {}, REGION, KNOWS) == []


# --- what one call needs besides ----------------------------------------------------------------------------------

LAUNCH = {
    "ImageId": "ami-1",
    "KeyName": "academy-operator",
    "NetworkInterfaces": [{"SubnetId": "subnet-1", "Groups": ["sg-1", "sg-2"]}],
    "LaunchTemplateId": "lt-1",
    "IamInstanceProfile": {"Arn": "arn:aws:iam::123456789012:instance-profile/profile"},
    "TagSpecifications": [
        {"ResourceType": kind, "Tags": [{"Key": "Project", "Value": kind}]}
        for kind in ("instance", "spot-instances-request")
    ],
}


def pairs(service: str, operation: str, parameters: dict[str, Any]) -> set[tuple[str, str | None]]:
    return {(need.action, need.resource) for need in needs(service, operation, parameters, REGION, KNOWS)}


def test_a_launch_needs_everything_that_it_uses_and_makes() -> None:
    used = ("key-pair/academy-operator", "subnet/subnet-1", "security-group/sg-1", "security-group/sg-2")
    made = ("instance/*", "network-interface/*", "volume/*")
    assert pairs("ec2", "RunInstances", LAUNCH) == {
        ("ec2:RunInstances", "arn:aws:ec2:ap-northeast-2::image/ami-1"),
        *(("ec2:RunInstances", arn("ec2", one)) for one in (*used, *made, "launch-template/lt-1")),
        *(("ec2:CreateTags", arn("ec2", one)) for one in ("instance/*", "spot-instances-request/*")),
        ("iam:PassRole", "arn:aws:iam::123456789012:role/role"),
    }


def test_a_launch_that_does_not_say_where_is_not_understood() -> None:
    """The default subnet and group are somebody's too."""
    found = pairs("ec2", "RunInstances", {name: LAUNCH[name] for name in LAUNCH if name != "NetworkInterfaces"})
    assert ("ec2:RunInstances", None) in found


def test_of_what_is_made_conditions_may_ask_the_tags_of_its_own_kind() -> None:
    found = needs("ec2", "RunInstances", LAUNCH, REGION, KNOWS)
    contexts = {(need.action, need.resource): need for need in found}
    instance, volume = arn("ec2", "instance/*"), arn("ec2", "volume/*")
    assert contexts["ec2:RunInstances", instance].context == {**HERE, "aws:requesttag/project": "instance"}
    assert contexts["ec2:RunInstances", instance].lists == {"aws:tagkeys": ("Project",)}
    assert contexts["ec2:RunInstances", volume].context == HERE
    assert contexts["ec2:CreateTags", instance].context == {
        **HERE,
        "aws:requesttag/project": "instance",
        "ec2:createaction": "RunInstances",
    }


@pytest.mark.parametrize(
    ("service", "operation", "parameters", "action"),
    [
        ("sqs", "CreateQueue", {"QueueName": "a", "tags": {"Project": "x"}}, "sqs:TagQueue"),
        ("iam", "CreateRole", {"RoleName": "a", "Tags": [{"Key": "Project", "Value": "x"}]}, "iam:TagRole"),
        ("logs", "CreateLogGroup", {"logGroupName": "/a", "tags": {"Project": "x"}}, "logs:TagResource"),
        (
            "rds",
            "CreateDBInstance",
            {"DBInstanceIdentifier": "a", "Tags": [{"Key": "Project", "Value": "x"}]},
            "rds:AddTagsToResource",
        ),
        (
            "cloudwatch",
            "PutMetricAlarm",
            {"AlarmName": "a", "Tags": [{"Key": "Project", "Value": "x"}]},
            "cloudwatch:TagResource",
        ),
    ],
)
def test_making_something_with_tags_needs_tagging(
    service: str, operation: str, parameters: dict[str, Any], action: str
) -> None:
    makes, tags = needs(service, operation, parameters, REGION, KNOWS)
    assert (tags.action, tags.context["aws:requesttag/project"]) == (action, "x")
    assert makes.action != action
    untagged = {name: value for name, value in parameters.items() if name.lower() != "tags"}
    assert len(needs(service, operation, untagged, REGION, KNOWS)) == 1


def test_what_a_database_is_made_with_is_not_tagged() -> None:
    tagged = {
        need.resource
        for need in needs(
            "rds",
            "CreateDBInstance",
            {
                "DBInstanceIdentifier": "academy-db",
                "DBParameterGroupName": "academy-db-postgres15",
                "DBSubnetGroupName": "academy-db-subnets",
                "OptionGroupName": "default:postgres-15",
                "Tags": [{"Key": "Project", "Value": "academy"}],
            },
            REGION,
            KNOWS,
        )
        if need.action == "rds:AddTagsToResource"
    }
    assert tagged == {arn("rds", "db:academy-db")}


@pytest.mark.parametrize(
    ("service", "operation", "parameters", "passed_to"),
    [
        ("ec2", "RunInstances", {"IamInstanceProfile": {"Name": "profile"}}, "ec2.amazonaws.com"),
        (
            "ec2",
            "AssociateIamInstanceProfile",
            {"InstanceId": "i-1", "IamInstanceProfile": {"Name": "profile"}},
            "ec2.amazonaws.com",
        ),
        ("iam", "AddRoleToInstanceProfile", {"InstanceProfileName": "p", "RoleName": "role"}, "ec2.amazonaws.com"),
        (
            "lambda",
            "CreateFunction",
            {"FunctionName": "f", "Role": "arn:aws:iam::123456789012:role/role"},
            "lambda.amazonaws.com",
        ),
        (
            "events",
            "PutTargets",
            {"Rule": "r", "Targets": [{"RoleArn": "arn:aws:iam::123456789012:role/role"}]},
            "events.amazonaws.com",
        ),
    ],
)
def test_giving_a_role_to_a_service_needs_passing_it(
    service: str, operation: str, parameters: dict[str, Any], passed_to: str
) -> None:
    found = [need for need in needs(service, operation, parameters, REGION, KNOWS) if need.action == "iam:PassRole"]
    context = {**HERE, "iam:passedtoservice": passed_to}
    assert found == [Need("iam:PassRole", "arn:aws:iam::123456789012:role/role", context)]


def test_a_role_that_is_passed_in_a_way_that_is_not_known_is_an_error() -> None:
    parameters = {"DBInstanceIdentifier": "a", "MonitoringRoleArn": "arn:aws:iam::123456789012:role/role"}
    with pytest.raises(PolicyError, match="MonitoringRoleArn"):
        needs("rds", "CreateDBInstance", parameters, REGION, KNOWS)


def test_an_action_that_aws_does_not_know_is_an_error() -> None:
    with pytest.raises(PolicyError, match="ec2:MadeUp"):
        needs("ec2", "MadeUp", {}, REGION, KNOWS)


def test_a_final_snapshot_needs_what_a_snapshot_needs() -> None:
    parameters = {"DBInstanceIdentifier": "a", "FinalDBSnapshotIdentifier": "a-final"}
    assert pairs("rds", "DeleteDBInstance", parameters) == {
        ("rds:DeleteDBInstance", arn("rds", "db:a")),
        ("rds:CreateDBSnapshot", arn("rds", "db:a")),
        ("rds:CreateDBSnapshot", arn("rds", "snapshot:a-final")),
    }


def test_the_tags_of_what_is_there_are_asked_for_by_arn_and_of_what_is_yet_to_be_made_by_none() -> None:
    asked: list[str] = []

    def tags_of(found: str) -> dict[str, str] | None:
        asked.append(found)
        return None if ":sns:" in found else {"Project": "academy"}

    knows = Knows(tags_of)
    (queue,) = needs("sqs", "DeleteQueue", {"QueueUrl": URL}, REGION, knows)
    assert queue.context["aws:resourcetag/project"] == "academy"
    (topic,) = needs("sns", "DeleteTopic", {"TopicArn": arn("sns", "t")}, REGION, knows)
    assert (topic.untold, topic.context) == (("aws:resourcetag/",), HERE)
    needs("ec2", "CreateVolume", {"AvailabilityZone": "a"}, REGION, knows)
    assert asked == [arn("sqs", "jobs"), arn("sns", "t")]


def test_the_region_of_the_call_can_be_asked_for() -> None:
    (need,) = needs("ec2", "DescribeVpcs", {}, "us-east-1", KNOWS)
    assert need.context == {"aws:requestedregion": "us-east-1"}


def test_a_service_s_own_role_is_named_by_the_service() -> None:
    (need,) = needs("iam", "CreateServiceLinkedRole", {"AWSServiceName": "rds.amazonaws.com"}, "us-east-1", KNOWS)
    assert need.resource == "arn:aws:iam::123456789012:role/aws-service-role/rds.amazonaws.com/*"
    assert need.context["iam:awsservicename"] == "rds.amazonaws.com"


def test_a_certificate_that_is_requested_with_tags_is_judged_by_them() -> None:
    parameters = {"DomainName": "a.example", "Tags": [{"Key": "Project", "Value": "academy"}]}
    (need,) = needs("acm", "RequestCertificate", parameters, REGION, KNOWS)
    assert need == Need(
        "acm:RequestCertificate",
        "*",
        {**HERE, "aws:requesttag/project": "academy"},
        {"aws:tagkeys": ("Project",)},
    )

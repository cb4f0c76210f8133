# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The guard as boto3 sees it: in each protocol, for every operation, and for keys of all kinds."""

from __future__ import annotations

import json
import re
import urllib.error
import urllib.request
from base64 import b64decode
from datetime import timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from localcloud import direct, settings
from localcloud.guard import DeniedError
from localcloud.policy import Need
from tests.unit.localcloud.guard.conftest import HOST, Cloud

ARN = f"arn:aws:sts::{settings.ACCOUNT_ID}:assumed-role/host/i-1"
CALLS = [
    ("ec2", "stop_instances", {"InstanceIds": ["i-1"]}),
    ("iam", "list_roles", {}),  # query
    ("sqs", "get_queue_url", {"QueueName": "jobs"}),  # JSON with the codes of query
    ("ecr", "get_authorization_token", {}),  # JSON
    ("lambda", "list_functions", {}),  # REST with JSON
    ("s3", "list_buckets", {}),  # REST with XML
]


@pytest.mark.parametrize(
    ("call", "code", "status"),
    list(
        zip(
            CALLS,
            ["UnauthorizedOperation", "AccessDenied", "AccessDenied", "AccessDeniedException", "AccessDeniedException",
             "AccessDenied"],
            [403, 403, 403, 400, 403, 403],
            strict=True,
        )
    ),
)  # fmt: skip
@pytest.mark.filterwarnings("ignore:Exception.ApiError.")  # moto tells that the service's model lacks this code
def test_a_denial_arrives_in_every_protocol(cloud: Cloud, call: Any, code: str, status: int) -> None:
    found_code, found_status, message = cloud.error(call, cloud.key())
    assert (found_code, found_status) == (code, status)
    pattern = rf"User: {re.escape(ARN)} is not authorized to perform: (\S+) on resource: (\S+) because no "
    assert re.search(pattern + r"identity-based policy allows the \1 action", message), message


@pytest.mark.filterwarnings("ignore:Exception.ApiError.")
def test_ec2_encodes_the_details(cloud: Cloud) -> None:
    _, _, message = cloud.error(CALLS[0], cloud.key())
    assert json.loads(b64decode(message.rpartition("message: ")[2])) == {
        "allowed": False,
        "explicitDeny": False,
        "context": {
            "principal": ARN,
            "action": "ec2:StopInstances",
            "resource": f"arn:aws:ec2:{settings.REGION}:{settings.ACCOUNT_ID}:instance/i-1",
        },
    }


@pytest.mark.parametrize(
    ("call", "unknown", "expired"),
    list(
        zip(
            CALLS,
            ["AuthFailure", "InvalidClientTokenId", "InvalidClientTokenId", "UnrecognizedClientException",
             "UnrecognizedClientException", "InvalidClientTokenId"],
            ["RequestExpired", "ExpiredToken", "ExpiredToken", "ExpiredTokenException", "ExpiredTokenException",
             "ExpiredToken"],
            strict=True,
        )
    ),
)  # fmt: skip
@pytest.mark.filterwarnings("ignore:Exception.ApiError.")
def test_a_key_that_nobody_handed_out_or_that_ended_is_good_for_nothing(
    cloud: Cloud, call: Any, unknown: str, expired: str
) -> None:
    cloud.allow("*")
    key = cloud.key()
    cloud.now += timedelta(minutes=59)
    cloud.client("sts", key).get_caller_identity()
    cloud.now += timedelta(minutes=1, seconds=1)
    assert cloud.error(call, key)[0] == expired
    assert cloud.error(call, "ASIAMADEUP0000000000")[0] == unknown


@pytest.mark.filterwarnings("ignore:Exception.ApiError.")
def test_a_role_may_what_its_policies_allow_at_this_moment(cloud: Cloud) -> None:
    key = cloud.key()
    sqs, call = cloud.client("sqs", key), ("sqs", "create_queue", {"QueueName": "jobs"})
    assert cloud.error(call, key)[0] == "AccessDenied"
    cloud.allow("sqs:CreateQueue")
    assert sqs.create_queue(QueueName="jobs")["QueueUrl"].endswith("/jobs")
    cloud.allow("sqs:CreateQueue", Effect="Deny")
    assert "with an explicit deny in an identity-based policy" in cloud.error(call, key)[2]
    cloud.allow("sqs:CreateQueue", Resource=f"arn:aws:sqs:{settings.REGION}:{settings.ACCOUNT_ID}:jobs")
    sqs.create_queue(QueueName="jobs")
    with pytest.raises(ClientError, match=r"arn:aws:sqs:us-east-1:\d+:jobs"):
        cloud.client("sqs", key, "us-east-1").create_queue(QueueName="jobs")


@pytest.mark.filterwarnings("ignore:Exception.ApiError.")
def test_attached_managed_policies_count_too(cloud: Cloud) -> None:
    iam, key = cloud.api.backends("iam"), cloud.key()
    document = {"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "iam:List*", "Resource": "*"}}
    policy = iam.create_policy("lists", "/", json.dumps(document), "", {})
    assert cloud.error(CALLS[1], key)[0] == "AccessDenied"
    iam.attach_role_policy(policy.arn, "host")
    assert [role["RoleName"] for role in cloud.client("iam", key).list_roles()["Roles"]] == ["host"]


@pytest.mark.parametrize(
    ("action", "elements", "call", "named"),
    [
        ("iam:ListRoles", {"Condition": {"StringNotLike": {"aws:userid": "x"}}}, CALLS[1], "StringNotLike"),
        (
            "ec2:AllocateAddress",
            {"Resource": "arn:aws:ec2:ap-northeast-2:123456789012:elastic-ip/*"},
            ("ec2", "allocate_address", {}),
            "ec2:AllocateAddress",
        ),
    ],
)
@pytest.mark.filterwarnings("ignore:Exception.ApiError.")
def test_what_is_not_understood_is_said(
    cloud: Cloud, action: str, elements: dict[str, Any], call: Any, named: str
) -> None:
    cloud.allow(action, **elements)
    code, status, message = cloud.error(call, cloud.key())
    assert (code, status) == ("NotImplemented", 501)
    assert named in message


@pytest.mark.filterwarnings("ignore:Exception.ApiError.")
def test_a_permissions_boundary_takes_away_what_policies_allow(cloud: Cloud) -> None:
    cloud.allow("*")
    key = cloud.key()
    cloud.client("iam", key).list_roles()
    cloud.bound(Action="sqs:*")
    code, _, message = cloud.error(CALLS[1], key)
    assert code == "AccessDenied"
    assert message.endswith("because no permissions boundary allows the iam:ListRoles action")
    cloud.client("sqs", key).create_queue(QueueName="jobs")
    cloud.bound(Action="*", Effect="Deny")
    assert cloud.error(CALLS[1], key)[2].endswith("with an explicit deny in a permissions boundary")


@pytest.mark.filterwarnings("ignore:Exception.ApiError.")
def test_a_permissions_boundary_that_nobody_knows_is_not_passed_over(cloud: Cloud) -> None:
    cloud.allow("*")
    arn = "arn:aws:iam::123456789012:policy/gone"
    cloud.api.backends("iam").get_role("host").permissions_boundary_arn = arn
    code, _, message = cloud.error(CALLS[1], cloud.key())
    assert (code, message) == ("NotImplemented", f"host: the permissions boundary {arn} is not known here")


def test_the_owner_s_key_has_no_limits(cloud: Cloud) -> None:
    cloud.client("sqs", settings.OPERATOR_ACCESS_KEY).create_queue(QueueName="jobs")
    assert cloud.grants() == {"used": {}, "denied": {}, "exercised": {}, "exercised_denied": {}}


@pytest.mark.filterwarnings("ignore:Exception.ApiError.")
def test_what_was_used_and_what_was_denied_can_be_read(cloud: Cloud) -> None:
    cloud.allow("sqs:ListQueues")
    sqs = cloud.client("sqs", cloud.key())
    sqs.list_queues()
    with pytest.raises(ClientError):
        sqs.get_queue_url(QueueName="jobs")
    found = cloud.grants()
    assert found["used"] == {"host": {"Only": {"sqs:ListQueues": 1}}}
    queue = f"arn:aws:sqs:{settings.REGION}:{settings.ACCOUNT_ID}:jobs"
    assert found["denied"] == {"host": {"sqs:GetQueueUrl": {queue: {"i-1": 1}}}}
    request = urllib.request.Request(f"{cloud.url}/_localcloud/grants/reset", method="POST")
    with direct.urlopen(request) as answer:
        assert json.load(answer)["used"] == {}


def status_of(request: urllib.request.Request) -> tuple[int, bytes]:
    try:
        with direct.urlopen(request) as answer:
            return int(answer.status), bytes(answer.read())
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def test_a_presigned_url_is_no_way_round(cloud: Cloud) -> None:
    ec2 = cloud.client("ec2", cloud.key())
    status, body = status_of(urllib.request.Request(ec2.generate_presigned_url("describe_vpcs", HttpMethod="GET")))
    assert (status, b"UnauthorizedOperation" in body) == (403, True)


@pytest.mark.parametrize("action", ["describeVpcs", "MadeUp"])
def test_nor_is_an_operation_that_botocore_does_not_know(cloud: Cloud, action: str) -> None:
    """moto takes an operation's name in lower case too."""
    scope = f"{cloud.key()}/20260102/{settings.REGION}/ec2/aws4_request"
    headers = {"Authorization": f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=0"}
    body = f"Action={action}&Version=2016-11-15".encode()
    assert status_of(urllib.request.Request(cloud.url, body, headers))[0] == 403


# --- users --------------------------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:Exception.ApiError.")
def test_a_user_may_what_the_attached_policies_allow(cloud: Cloud) -> None:
    key = cloud.user(Action="sqs:*", Resource="arn:aws:sqs:*:*:academy-*")
    cloud.client("sqs", key).create_queue(QueueName="academy-jobs")
    code, status, message = cloud.error(("sqs", "create_queue", {"QueueName": "jobs"}), key)
    assert (code, status) == ("AccessDenied", 403)
    assert "User: arn:aws:iam::123456789012:user/somebody is not authorized to perform: sqs:CreateQueue" in message
    found = cloud.grants()
    assert found["used"] == {"somebody": {"Only": {"sqs:CreateQueue": 1}}}
    assert found["denied"]["somebody"]["sqs:CreateQueue"] == {
        f"arn:aws:sqs:{settings.REGION}:{settings.ACCOUNT_ID}:jobs": {"somebody": 1}
    }


@pytest.mark.filterwarnings("ignore:Exception.ApiError.")
def test_without_policies_a_user_may_nothing(cloud: Cloud) -> None:
    assert cloud.error(CALLS[1], cloud.user())[0] == "AccessDenied"


@pytest.mark.filterwarnings("ignore:Exception.ApiError.")
def test_a_user_s_key_is_good_for_nothing_once_it_is_made_inactive(cloud: Cloud) -> None:
    key = cloud.user(Action="*")
    cloud.client("iam", key).list_roles()
    cloud.api.backends("iam").get_user("somebody").access_keys[0].status = "Inactive"
    assert cloud.error(CALLS[1], key)[0] == "InvalidClientTokenId"


@pytest.mark.filterwarnings("ignore:Exception.ApiError.")
def test_a_group_of_users_is_not_passed_over(cloud: Cloud) -> None:
    key, iam = cloud.user(Action="*"), cloud.api.backends("iam")
    iam.create_group("people")
    iam.add_user_to_group("people", "somebody")
    code, _, message = cloud.error(CALLS[1], key)
    assert (code, message) == ("NotImplemented", "somebody: groups of users are not known here")


def test_what_comes_in_by_another_way_than_the_api_is_judged_too(cloud: Cloud) -> None:
    key = cloud.user(Action="ecr:BatchGetImage")
    cloud.guard.authorize(key, Need("ecr:BatchGetImage", "*"))
    with pytest.raises(DeniedError, match="ecr:PutImage"):
        cloud.guard.authorize(key, Need("ecr:PutImage", "*"))


def test_who_is_told_to_whom(cloud: Cloud) -> None:
    arns = [
        cloud.client("sts", key).get_caller_identity()["Arn"] for key in (settings.OPERATOR_ACCESS_KEY, cloud.user())
    ]
    assert arns == ["arn:aws:iam::123456789012:root", "arn:aws:iam::123456789012:user/somebody"]


def simulate(cloud: Cloud, principal: str, *actions: str, resources: list[str], **context: str) -> list[dict[str, Any]]:
    """What IAM tells of each action; names of context keys have __ for a colon."""
    answer = cloud.client("iam", settings.OPERATOR_ACCESS_KEY).simulate_principal_policy(
        PolicySourceArn=principal,
        ActionNames=actions,
        ResourceArns=resources,
        ContextEntries=[
            {"ContextKeyName": key.replace("__", ":"), "ContextKeyValues": [value], "ContextKeyType": "string"}
            for key, value in context.items()
        ],
    )
    found: list[dict[str, Any]] = answer["EvaluationResults"]
    return found


@pytest.mark.filterwarnings("ignore:Exception.ApiError.")
def test_iam_tells_what_somebody_may(cloud: Cloud) -> None:
    cloud.user(Action="iam:PassRole", Condition={"StringEquals": {"iam:PassedToService": "ec2.amazonaws.com"}})
    user = "arn:aws:iam::123456789012:user/somebody"

    def decisions(service: str) -> list[tuple[str, str, str]]:
        found = simulate(cloud, user, "iam:PassRole", "iam:GetRole", resources=[HOST], iam__PassedToService=service)
        return [
            (told["EvalActionName"], each["EvalResourceName"], each["EvalResourceDecision"])
            for told in found
            for each in told["ResourceSpecificResults"]
        ]

    assert decisions("ec2.amazonaws.com") == [
        ("iam:PassRole", HOST, "allowed"),
        ("iam:GetRole", HOST, "implicitDeny"),
    ]
    assert decisions("lambda.amazonaws.com")[0] == ("iam:PassRole", HOST, "implicitDeny")
    cloud.allow("iam:*", Effect="Deny")
    (told,) = simulate(cloud, HOST, "iam:GetRole", resources=["*"])
    assert (told["EvalDecision"], told["ResourceSpecificResults"]) == ("explicitDeny", [])
    nobody = {"PolicySourceArn": f"{user}-else", "ActionNames": ["iam:GetRole"]}
    assert cloud.error(("iam", "simulate_principal_policy", nobody), settings.OPERATOR_ACCESS_KEY)[0] == "NoSuchEntity"


def test_iam_tells_each_action_once_with_each_of_its_resources(cloud: Cloud) -> None:
    ours, theirs = (f"arn:aws:sqs:{settings.REGION}:{settings.ACCOUNT_ID}:{name}" for name in ("jobs", "others"))
    cloud.allow("sqs:SendMessage", Resource=[ours])
    (told,) = simulate(cloud, HOST, "sqs:SendMessage", resources=[ours, theirs])
    assert told["EvalDecision"] == "implicitDeny"  # the worst of them
    each = [
        (found["EvalResourceName"], found["EvalResourceDecision"], found["MatchedStatements"])
        for found in told["ResourceSpecificResults"]
    ]
    assert each == [(ours, "allowed", [{"SourcePolicyId": "only"}]), (theirs, "implicitDeny", [])]


def test_iam_tells_what_it_was_not_told(cloud: Cloud) -> None:
    condition = {"StringLike": {"aws:userid": "*:${ec2:InstanceID}"}, "Null": {"aws:ResourceTag/HoldUntil": "true"}}
    cloud.allow("ec2:StopInstances", Condition=condition)
    (told,) = simulate(cloud, HOST, "ec2:StopInstances", resources=["*"], aws__userid="AROA1:i-1")
    assert told["EvalDecision"] == "implicitDeny"
    assert told["MissingContextValues"] == ["aws:resourcetag/holduntil", "ec2:instanceid"]
    (told,) = simulate(
        cloud, HOST, "ec2:StopInstances", resources=["*"], aws__userid="AROA1:i-1", ec2__InstanceID="i-1"
    )
    assert (told["EvalDecision"], told["MissingContextValues"]) == ("allowed", ["aws:resourcetag/holduntil"])
    (told,) = simulate(cloud, HOST, "ec2:StartInstances", resources=["*"])
    assert told["MissingContextValues"] == []


def test_iam_tells_what_a_permissions_boundary_takes_away(cloud: Cloud) -> None:
    cloud.allow("sqs:*", "iam:*")
    cloud.bound(Action="sqs:*")
    found = simulate(cloud, HOST, "sqs:ListQueues", "iam:ListRoles", "ec2:StopInstances", resources=["*"])
    assert [
        (told["EvalDecision"], told["PermissionsBoundaryDecisionDetail"]["AllowedByPermissionsBoundary"])
        for told in found
    ] == [("allowed", True), ("implicitDeny", False), ("implicitDeny", False)]
    cloud.bound(Action="*", Effect="Deny")
    (told,) = simulate(cloud, HOST, "ec2:StopInstances", resources=["*"])
    assert (told["EvalDecision"], told["MatchedStatements"]) == ("explicitDeny", [{"SourcePolicyId": "bound"}])

# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What each kind of host may do, and when a policy has to be written or removed."""

from __future__ import annotations

from typing import Any

import pytest

from plugins.module_utils.identity import (
    Deployment,
    host_policy,
    inline_policy_changes,
    kind_roles,
    kinds_of_hosts,
    profile_changes,
    role_changes,
    role_name,
    starter_policy,
    starter_role,
    trust_policy,
)

DEPLOYMENT = Deployment("academy", "ap-northeast-2", "123456789012")
KIND: dict[str, Any] = {
    "containers": ["academy-x"],
    "log_groups": ["/academy/academy-x"],
    "sends_to": [],
    "receives_from": [],
    "stops_itself": False,
}
SQS = "arn:aws:sqs:ap-northeast-2:123456789012:"


def allowed(kind: dict[str, Any]) -> dict[str, list[str]]:
    """Action → resources."""
    return {
        action: statement["Resource"]
        for statement in host_policy({**KIND, **kind}, DEPLOYMENT)["Statement"]
        for action in statement["Action"]
    }


SERVICES: dict[str, Any] = {
    "api": {**KIND, "sends_to": ["a-jobs", "b-jobs"]},
    "messaging": {**KIND, "containers": ["academy-y"], "receives_from": ["b-jobs"]},
    "video": {**KIND, "containers": ["academy-z"], "receives_from": ["a-jobs"], "stops_itself": True},
}


@pytest.mark.parametrize(
    ("groups", "expected"),
    [
        pytest.param(
            {"api": ["h-1", "h-2"], "messaging": ["h-3"], "video": ["h-4"]},
            {"small": SERVICES["api"], "tiny": SERVICES["messaging"], "large": SERVICES["video"]},
            id="a host each",
        ),
        pytest.param(
            {"api": ["h-1", "h-2"], "messaging": ["h-2"], "video": []},
            {
                "small": {
                    **SERVICES["api"],
                    "containers": ["academy-x", "academy-y"],
                    "receives_from": ["b-jobs"],
                }
            },
            id="messaging on one of two API hosts",
        ),
        pytest.param(
            {"api": ["h-4"], "video": ["h-4"]},
            {
                "large": {
                    "containers": ["academy-x", "academy-z"],
                    "log_groups": ["/academy/academy-x"],
                    "sends_to": ["a-jobs", "b-jobs"],
                    "receives_from": ["a-jobs"],
                    "stops_itself": True,
                }
            },
            id="one that stops itself is enough",
        ),
    ],
)
def test_a_kind_may_do_what_the_services_on_its_hosts_need(
    groups: dict[str, list[str]], expected: dict[str, Any]
) -> None:
    kinds = {"h-1": "small", "h-2": "small", "h-3": "tiny", "h-4": "large"}
    before = {name: dict(needs) for name, needs in SERVICES.items()}
    assert kinds_of_hosts(SERVICES, groups, kinds) == expected
    assert before == SERVICES


def test_every_host_pulls_its_image_and_writes_its_logs() -> None:
    logs = ["arn:aws:logs:ap-northeast-2:123456789012:log-group:/academy/academy-x:*"]
    repository = ["arn:aws:ecr:ap-northeast-2:123456789012:repository/academy-x"]
    assert allowed({}) == {
        "ecr:GetAuthorizationToken": ["*"],
        "ecr:BatchGetImage": repository,
        "ecr:GetDownloadUrlForLayer": repository,
        "logs:CreateLogStream": logs,
        "logs:PutLogEvents": logs,
    }


@pytest.mark.parametrize(
    ("key", "actions"),
    [
        ("sends_to", {"SendMessage", "GetQueueUrl", "GetQueueAttributes"}),
        (
            "receives_from",
            {"ReceiveMessage", "DeleteMessage", "ChangeMessageVisibility", "GetQueueUrl", "GetQueueAttributes"},
        ),
    ],
)
def test_queues_are_named_one_by_one(key: str, actions: set[str]) -> None:
    found = {action: arns for action, arns in allowed({key: ["a-jobs", "b-jobs"]}).items() if action[:4] == "sqs:"}
    assert found == {f"sqs:{action}": [f"{SQS}a-jobs", f"{SQS}b-jobs"] for action in actions}


def test_a_host_that_stops_itself_may_stop_no_other() -> None:
    statements = host_policy({**KIND, "stops_itself": True}, DEPLOYMENT)["Statement"]
    (stop,) = [statement for statement in statements if "ec2:StopInstances" in statement["Action"]]
    assert stop["Condition"] == {
        "StringLike": {"aws:userid": "*:${ec2:InstanceID}"},
        "StringEquals": {"aws:ResourceTag/Project": "academy"},
        "Null": {"aws:ResourceTag/HoldUntil": "true"},
    }
    assert stop["Resource"] == ["arn:aws:ec2:ap-northeast-2:123456789012:instance/*"]


def test_the_others_have_no_right_on_ec2() -> None:
    assert not [action for action in allowed({"sends_to": ["a-jobs"]}) if action.startswith("ec2:")]


def test_role_name() -> None:
    assert role_name("academy", "video-worker") == "academy-video-worker-role"


POLICY = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "Action": ["a:x", "a:y"], "Resource": ["1", "2"]},
        {"Effect": "Allow", "Action": ["b:z"], "Resource": ["*"]},
    ],
}
# As AWS may tell it: other orders, and no list around a single element.
SAME = {
    "Statement": [
        {"Resource": "*", "Action": "b:z", "Effect": "Allow"},
        {"Resource": ["2", "1"], "Effect": "Allow", "Action": ["a:y", "a:x"]},
    ],
    "Version": "2012-10-17",
}


@pytest.mark.parametrize(
    ("current", "changes"),
    [
        (None, [("ours", POLICY, False)]),
        ({}, [("ours", POLICY, True)]),
        ({"ours": SAME}, []),
        ({"ours": {**SAME, "Statement": []}}, [("ours", POLICY, True)]),
        ({"ours": SAME, "foreign": {}}, [("foreign", None, True)]),
        ({"foreign": POLICY}, [("ours", POLICY, True), ("foreign", None, True)]),
    ],
)
def test_inline_policy_changes(current: dict[str, Any] | None, changes: list[tuple[str, Any, bool]]) -> None:
    found = inline_policy_changes("role", "ours", POLICY, current)
    assert [(change.policy, change.document, change.role_exists) for change in found] == changes


(API,) = kind_roles(["api"], "academy", {"Project": "academy"})
TRUST = trust_policy("ec2.amazonaws.com")
ROLE: dict[str, Any] = {
    "description": "Hosts of kind api",
    "trust_policy": {**TRUST, "Statement": [{**TRUST["Statement"][0], "Action": ["sts:AssumeRole"]}]},
    "managed_policies": [],
    "inline_policies": {"foreign": {}},
    "tags": {"Project": "academy", "Role": "api", "aws:cloudformation:stack-name": "theirs"},
}
PROFILE: dict[str, Any] = {"roles": ["academy-api-role"], "tags": {"Project": "academy", "Role": "api"}}


def test_roles_and_profiles_as_they_should_be_are_left_alone() -> None:
    assert role_changes([API], {"academy-api-role": ROLE}) == []
    assert profile_changes([API], {"academy-api-role": PROFILE}) == []


def test_missing_roles_and_profiles_are_made() -> None:
    assert role_changes([API], {}) == profile_changes([API], {}) == [{**API, "reason": "missing"}]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"description": "?"}, "description: ? -> Hosts of kind api"),
        ({"trust_policy": {**TRUST, "Statement": []}}, "trust policy: {"),
        ({"managed_policies": ["arn:aws:iam::aws:policy/AdministratorAccess"]}, "AdministratorAccess'] -> []"),
        ({"tags": {"Project": "academy"}}, "tags: {'Project': 'academy'} -> "),
    ],
)
def test_a_role_that_differs(change: dict[str, Any], reason: str) -> None:
    (mended,) = role_changes([API], {"academy-api-role": {**ROLE, **change}})
    assert reason in mended["reason"]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"roles": []}, "roles: [] -> ['academy-api-role']"),
        ({"roles": ["other"]}, "roles: ['other'] -> ['academy-api-role']"),
        ({"tags": {}}, "tags: {} -> "),
    ],
)
def test_a_profile_that_differs(change: dict[str, Any], reason: str) -> None:
    (mended,) = profile_changes([API], {"academy-api-role": {**PROFILE, **change}})
    assert reason in mended["reason"]


def test_the_starter_is_a_function_and_no_host() -> None:
    role = starter_role("academy", {"Project": "academy"})
    assert (role["name"], role["tags"]["Role"]) == ("academy-starter-role", "starter")
    assert role["trust_policy"]["Statement"][0]["Principal"] == {"Service": "lambda.amazonaws.com"}


def starter_statements(**stops: bool) -> dict[str, Any]:
    kinds = {
        kind: {"receives_from": [f"{kind}-jobs"], "stops_itself": stops_itself} for kind, stops_itself in stops.items()
    }
    policy = starter_policy(kinds, "/academy/starter", Deployment("academy", "ap-northeast-2", "123456789012"))
    return {statement["Sid"]: statement for statement in policy["Statement"]}


def test_the_starter_serves_the_hosts_that_stop_themselves_and_no_others() -> None:
    found = starter_statements(video=True, ai=True, messaging=False)
    assert [arn.rpartition(":")[2] for arn in found["CountJobs"]["Resource"]] == ["video-jobs", "ai-jobs"]
    assert found["StartWorkers"]["Condition"]["StringEquals"]["aws:ResourceTag/Role"] == ["video", "ai"]
    assert not any("StopInstances" in action for one in found.values() for action in one["Action"])


def test_the_starter_counts_a_queue_of_two_kinds_of_hosts_once() -> None:
    kinds = {
        "video": {"receives_from": ["video-jobs", "ai-jobs"], "stops_itself": True},
        "ai": {"receives_from": ["ai-jobs"], "stops_itself": True},
    }
    (count, *_) = starter_policy(kinds, "/academy/starter", DEPLOYMENT)["Statement"]
    assert [arn.rpartition(":")[2] for arn in count["Resource"]] == ["video-jobs", "ai-jobs"]


def test_where_no_host_stops_itself_the_starter_starts_none() -> None:
    assert list(starter_statements(messaging=False)) == ["SeeInstances", "EndHolds", "WriteLogs"]

# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What each kind of host may do, and which roles, policies and profiles have to be created, updated or removed."""

from __future__ import annotations

from typing import Any

import pytest

from plugins.module_utils.plan import Change
from plugins.module_utils.plan.identity import ROLE, Deployment, host_policy, starter_policy, trust_policy
from tests.unit.rows import KIND, row

DEPLOYMENT = Deployment("academy", "ap-northeast-2", "123456789012")
SQS = "arn:aws:sqs:ap-northeast-2:123456789012:"


def allowed(kind: dict[str, Any]) -> dict[str, list[str]]:
    """Action → resources."""
    return {
        action: statement["Resource"]
        for statement in host_policy({**KIND, **kind}, DEPLOYMENT)["Statement"]
        for action in statement["Action"]
    }


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


SERVICES = {"api": row("academy-x"), "video_worker": row("academy-x")}
TWO_KINDS = {"groups": {"api": ["a"], "video_worker": ["v"]}, "kinds": {"a": "api", "v": "video-worker"}}
INPUTS: dict[str, Any] = {
    "services": SERVICES,
    "groups": {"api": ["a"]},
    "kinds": {"a": "api"},
    "starter_log_group": "/academy/starter",
    "deployment_name": "academy",
    "aws_region": "ap-northeast-2",
    "aws_account_id": "123456789012",
    "deployment_tags": {"Project": "academy"},
}
API_ROLE, STARTER_ROLE = "academy-api-role", "academy-starter-role"
API_POLICY = host_policy(KIND, DEPLOYMENT)
STARTER_POLICY = starter_policy({"api": KIND}, "/academy/starter", DEPLOYMENT)
# As AWS may tell it: other orders, and no list around a single element.
SAME_API_POLICY = {
    "Statement": [
        {
            key: value[0] if isinstance(value, list) and len(value) == 1 else value[::-1] if key == "Action" else value
            for key, value in statement.items()
        }
        for statement in reversed(API_POLICY["Statement"])
    ],
    "Version": "2012-10-17",
}
TRUST = trust_policy("ec2.amazonaws.com")
FOUND_ROLES: dict[str, Any] = {
    API_ROLE: {
        "description": "Hosts of kind api",
        "trust_policy": {**TRUST, "Statement": [{**TRUST["Statement"][0], "Action": ["sts:AssumeRole"]}]},
        "managed_policies": [],
        "inline_policies": {"academy-host": SAME_API_POLICY},
        "tags": {"Project": "academy", "Role": "api", "aws:cloudformation:stack-name": "theirs"},
    },
    STARTER_ROLE: {
        "description": "Starts workers that stopped themselves",
        "trust_policy": trust_policy("lambda.amazonaws.com"),
        "managed_policies": [],
        "inline_policies": {"academy-starter": STARTER_POLICY},
        "tags": {"Project": "academy", "Role": "starter"},
    },
}
FOUND_PROFILES: dict[str, Any] = {API_ROLE: {"roles": [API_ROLE], "tags": {"Project": "academy", "Role": "api"}}}
API_ITEM = {"name": API_ROLE, "tags": {"Project": "academy", "Role": "api"}}


def changes(roles: dict[str, Any], profiles: dict[str, Any], **inputs: Any) -> list[Change]:
    return [*ROLE.decide({**INPUTS, **inputs}, {"roles": roles, "instance_profiles": profiles}).changes]


def with_api(**change: Any) -> dict[str, Any]:
    """Both roles as they should be, but for what is changed about the hosts'."""
    return {**FOUND_ROLES, API_ROLE: {**FOUND_ROLES[API_ROLE], **change}}


def test_the_roles_of_all_kinds_and_the_starters_are_read() -> None:
    inputs = {**INPUTS, **TWO_KINDS}
    assert ROLE.reads(inputs) == {"role_names": [API_ROLE, "academy-video-worker-role", STARTER_ROLE]}


def test_what_is_as_it_should_be_is_left_alone() -> None:
    assert changes(FOUND_ROLES, FOUND_PROFILES) == []


def test_on_an_empty_account_everything_is_created() -> None:
    created = changes({}, {})
    assert [(change.resource, change.verb) for change in created] == [
        ("role academy-api-role", "create"),
        ("inline policy academy-host of academy-api-role", "create"),
        ("instance profile academy-api-role", "create"),
        ("role academy-starter-role", "create"),
        ("inline policy academy-starter of academy-starter-role", "create"),
    ]
    assert [change.apply for change in created[:3]] == [
        {"roles": {**API_ITEM, "description": "Hosts of kind api", "trust_policy": TRUST}},
        {"policies": {"name": "academy-host", "role": API_ROLE, "document": API_POLICY, "state": "present"}},
        {"profiles": API_ITEM},
    ]


HOST, FOREIGN = (f"inline policy {name} of academy-api-role" for name in ("academy-host", "foreign"))


@pytest.mark.parametrize(
    ("policies", "told"),
    [
        ({}, [(HOST, "create")]),
        ({"academy-host": API_POLICY}, []),
        ({"academy-host": {**SAME_API_POLICY, "Statement": []}}, [(HOST, "update")]),
        ({"academy-host": SAME_API_POLICY, "foreign": {}}, [(FOREIGN, "remove")]),
        ({"foreign": API_POLICY}, [(HOST, "create"), (FOREIGN, "remove")]),
    ],
)
def test_a_role_has_one_inline_policy_and_no_other(policies: dict[str, Any], told: list[tuple[str, str]]) -> None:
    found = changes(with_api(inline_policies=policies), FOUND_PROFILES)
    assert [(change.resource, change.verb) for change in found] == told
    for change in found:
        item = change.apply["policies"]
        assert item == (
            {"name": "foreign", "role": API_ROLE, "state": "absent"}
            if change.verb == "remove"
            else {"name": "academy-host", "role": API_ROLE, "document": API_POLICY, "state": "present"}
        )


def test_a_policy_that_differs_is_told_statement_by_statement() -> None:
    logs, *others = [statement for statement in API_POLICY["Statement"] if statement["Sid"] != "PullImages"]
    anything = {"Effect": "Allow", "Action": "*", "Resource": "*"}
    theirs = {"Version": "2008-10-17", "Statement": [{**logs, "Action": "logs:*"}, *others, anything]}
    (change,) = changes(with_api(inline_policies={"academy-host": theirs}), FOUND_PROFILES)
    assert {different.field: different.before for different in change.differences} == {
        "version": '["2008-10-17"]',
        "statement WriteLogs": '{"Action":["logs:*"],"Effect":["Allow"],"Resource":' + f'["{logs["Resource"][0]}"]}}',
        "statement PullImages": None,
        "statement 1": '{"Action":["*"],"Effect":["Allow"],"Resource":["*"]}',
    }
    assert next(different.after for different in change.differences if different.field == "statement 1") is None


def test_no_statement_hides_behind_anothers_name() -> None:
    (pull,) = [statement for statement in API_POLICY["Statement"] if statement["Sid"] == "PullImages"]
    theirs = {**API_POLICY, "Statement": [{**pull, "Action": "ecr:*"}, *API_POLICY["Statement"]]}
    (change,) = changes(with_api(inline_policies={"academy-host": theirs}), FOUND_PROFILES)
    assert "ecr:*" in change.reason


def test_each_kind_is_judged_by_its_own_role() -> None:
    worker = "academy-video-worker-role"
    roles = {**FOUND_ROLES, worker: with_api(inline_policies={"foreign": {}})[API_ROLE]}
    found = changes(roles, FOUND_PROFILES, **TWO_KINDS)
    assert [(change.resource, change.verb) for change in found] == [
        (f"role {worker}", "update"),
        (f"inline policy academy-host of {worker}", "create"),
        (f"inline policy foreign of {worker}", "remove"),
        (f"instance profile {worker}", "create"),
    ]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"description": "?"}, "description: ? -> Hosts of kind api"),
        ({"trust_policy": {**TRUST, "Statement": []}}, "trust_policy: {"),
        (
            {"managed_policies": ["arn:aws:iam::aws:policy/AdministratorAccess"]},
            'managed_policies: ["arn:aws:iam::aws:policy/AdministratorAccess"] -> []',
        ),
        ({"tags": {"Project": "academy"}}, "tags: Role none -> api"),
    ],
)
def test_a_role_that_differs(change: dict[str, Any], reason: str) -> None:
    (updated,) = changes(with_api(**change), FOUND_PROFILES)
    assert (updated.resource, updated.verb) == ("role academy-api-role", "update")
    assert reason in updated.reason


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"roles": []}, 'roles: [] -> ["academy-api-role"]'),
        ({"roles": ["other"]}, 'roles: ["other"] -> ["academy-api-role"]'),
        ({"tags": {}}, "tags: Project none -> academy, Role none -> api"),
    ],
)
def test_a_profile_that_differs(change: dict[str, Any], reason: str) -> None:
    (updated,) = changes(FOUND_ROLES, {API_ROLE: {**FOUND_PROFILES[API_ROLE], **change}})
    assert (updated.resource, updated.verb) == ("instance profile academy-api-role", "update")
    assert reason in updated.reason


def test_the_starter_is_a_function_and_no_host() -> None:
    (change,) = [change for change in changes({}, {}) if change.resource == "role academy-starter-role"]
    role = change.apply["roles"]
    assert role["tags"]["Role"] == "starter"
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

# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What idle_stop_check asks IAM about a host's role, answered by the embedded cloud for right and wrong policies."""

from __future__ import annotations

import json
from collections.abc import Mapping
from copy import deepcopy
from datetime import UTC, datetime
from typing import Any

import pytest

from localcloud import settings
from plugins.module_utils.idle_stop import FAIL, PASS, UNKNOWN, Observation, Role, judge, questions
from plugins.module_utils.plan.identity import Deployment, host_policy
from tests.unit.localcloud.guard.conftest import HOST, Cloud

NOW = datetime(2026, 11, 24, 15, tzinfo=UTC)
INSTANCE = {"instance_id": "i-0aaaaaaaaaaaaaaaa", "tags": {"Name": "academy-video-worker-1", "Project": "academy"}}
NAMES = ("academy-video-jobs", "academy-other-jobs")
QUEUES: dict[str, dict[str, Any]] = {
    name: {
        "arn": f"arn:aws:sqs:{settings.REGION}:{settings.ACCOUNT_ID}:{name}",
        "attributes": {"VisibilityTimeout": "9", "ReceiveMessageWaitTimeSeconds": "20"},
        "redrive_policy": {"maxReceiveCount": 3},
        "tags": {"Project": "academy"},
    }
    for name in NAMES
}
KIND = {"sends_to": [], "receives_from": [NAMES[0]], "log_groups": ["/a"], "containers": ["a"], "stops_itself": True}
POLICY = host_policy(KIND, Deployment("academy", settings.REGION, settings.ACCOUNT_ID))
RIGHT = {
    "role_may_stop": PASS,
    "role_stops_only_itself": PASS,
    "role_respects_hold": PASS,
    f"queue {NAMES[0]}": PASS,
    f"queue {NAMES[1]}": FAIL,
}


def judged(cloud: Cloud, instance: Mapping[str, Any] = INSTANCE) -> dict[str, str]:
    """The checks that depend on IAM."""
    asked = questions(instance, QUEUES, settings.REGION, Role(HOST, "AROA1"), NOW)
    iam = cloud.client("iam", settings.OPERATOR_ACCESS_KEY)
    seen = Observation(
        now=NOW,
        instance=instance,
        region=settings.REGION,
        decisions={question: question.ask(iam, HOST) for question in asked},
        queues=QUEUES,
        threshold=5,
    )
    return {check.id: check.status for check in judge(seen) if check.id in RIGHT}


def write(cloud: Cloud, policy: Mapping[str, Any]) -> None:
    cloud.api.backends("iam").put_role_policy("host", "academy-host", json.dumps(policy))


def changed(sid: str, **elements: Any) -> dict[str, Any]:
    """The policy with one statement otherwise; of its conditions those that are given replace their namesakes."""
    policy = deepcopy(POLICY)
    (statement,) = [each for each in policy["Statement"] if each["Sid"] == sid]
    condition = {**statement.get("Condition", {}), **elements.pop("Condition", {})}
    statement.update(elements)
    if condition:
        statement["Condition"] = {operator: tests for operator, tests in condition.items() if tests}
    return policy


def stop(**elements: Any) -> dict[str, Any]:
    return changed("StopItself", **elements)


def also(**elements: Any) -> dict[str, Any]:
    statement = {"Sid": "Also", "Effect": "Allow", "Action": "*", "Resource": "*", **elements}
    return {**POLICY, "Statement": [*POLICY["Statement"], statement]}


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        (POLICY, {}),
        (stop(Action="ec2:StartInstances"), {"role_may_stop": FAIL}),
        (stop(Resource="arn:aws:ec2:us-east-1:123456789012:instance/*"), {"role_may_stop": FAIL}),
        (stop(Condition={"StringLike": {"aws:userid": "*:i-0bbb"}}), {"role_may_stop": FAIL}),
        (stop(Condition={"StringEquals": {"aws:ResourceTag/Project": "other"}}), {"role_may_stop": FAIL}),
        (stop(Condition={"StringLike": None}), {"role_stops_only_itself": FAIL}),
        (stop(Condition={"StringLike": None, "StringEquals": None}), {"role_stops_only_itself": FAIL}),
        (stop(Condition={"Null": None}), {"role_respects_hold": FAIL}),
        (stop(Condition={"Null": {"ec2:ResourceTag/HoldUntil": "true"}}), {}),
        (also(Action="ec2:StopInstances", Effect="Deny"), {"role_may_stop": FAIL}),
        # To strangers alone.
        (
            also(Action="ec2:StopInstances", Condition={"Null": {"aws:ResourceTag/Project": "true"}}),
            {"role_stops_only_itself": FAIL},
        ),
        (
            stop(Condition={"StringEquals": {"ec2:CreateAction": "x"}}),
            {"role_may_stop": UNKNOWN, "role_stops_only_itself": UNKNOWN, "role_respects_hold": UNKNOWN},
        ),
        (changed("ReceiveJobs", Action=["sqs:ReceiveMessage"]), {f"queue {NAMES[0]}": FAIL}),
        (
            changed("ReceiveJobs", Condition={"StringEquals": {"aws:ResourceTag/Project": "academy"}}),
            {},
        ),
        (
            changed("ReceiveJobs", Condition={"StringEquals": {"aws:ResourceTag/Project": "other"}}),
            {f"queue {NAMES[0]}": FAIL},
        ),
    ],
)
def test_what_a_policy_allows(cloud: Cloud, policy: dict[str, Any], expected: dict[str, str]) -> None:
    write(cloud, policy)
    assert judged(cloud) == {**RIGHT, **expected}


def test_a_permissions_boundary_is_judged(cloud: Cloud) -> None:
    write(cloud, POLICY)
    cloud.bound(Action=["ec2:*", "sqs:*"])
    assert judged(cloud) == RIGHT
    cloud.bound(Action="sqs:*")
    assert judged(cloud) == {**RIGHT, "role_may_stop": FAIL}
    cloud.bound(Action="ec2:*")
    assert judged(cloud) == {**RIGHT, f"queue {NAMES[0]}": FAIL}


def test_a_host_without_the_deployment_s_tag_may_not_stop_itself(cloud: Cloud) -> None:
    write(cloud, POLICY)
    assert judged(cloud, {**INSTANCE, "tags": {}}) == {**RIGHT, "role_may_stop": FAIL}

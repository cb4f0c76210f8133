# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the module reads, against botocore's models; nothing leaves the process."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
import yaml
from ansible_collections.academy.deploy.plugins.module_utils.aws_state import ReadError
from ansible_collections.academy.deploy.plugins.module_utils.idle_stop import NO_ROLE, UNKNOWN, Question, Role
from ansible_collections.academy.deploy.plugins.module_utils.simulation import Decision
from ansible_collections.academy.deploy.plugins.modules import idle_stop_check, sqs_message
from botocore.stub import Stubber

from tests.unit import aws_clients

MADE = datetime(2026, 1, 31, tzinfo=UTC)
NAME, ARN = "academy-video-worker-role", "arn:aws:iam::123456789012:role/hosts/academy-video-worker-role"
PROFILE_ARN = "arn:aws:iam::123456789012:instance-profile/academy-video-worker-role"
ROLE = Role(ARN, "AROA1234567890123456")
ASKED = Question(("ec2:StopInstances",), ("arn:aws:ec2:r:1:instance/i-1",), (), "itself")


def profile(*roles: dict[str, Any]) -> dict[str, Any]:
    common = {"Path": "/", "InstanceProfileName": NAME, "InstanceProfileId": "AIPA1234567890123456"}
    return {"InstanceProfile": {**common, "Arn": PROFILE_ARN, "CreateDate": MADE, "Roles": list(roles)}}


def test_the_role_of_a_profile() -> None:
    document = json.dumps({"Version": "2012-10-17", "Statement": []})
    role = {"Path": "/hosts/", "RoleName": NAME, "RoleId": ROLE.id, "Arn": ARN, "CreateDate": MADE}
    with Stubber(aws_clients.client("iam")) as iam:
        found = profile({**role, "AssumeRolePolicyDocument": document})
        iam.add_response("get_instance_profile", found, {"InstanceProfileName": NAME})
        assert idle_stop_check.read_role(iam.client, PROFILE_ARN) == ROLE


def test_an_instance_without_a_profile_and_a_profile_without_a_role() -> None:
    with Stubber(aws_clients.client("iam")) as iam:
        assert idle_stop_check.read_role(iam.client, None) == NO_ROLE
        iam.add_response("get_instance_profile", profile(), {"InstanceProfileName": NAME})
        assert idle_stop_check.read_role(iam.client, PROFILE_ARN) == NO_ROLE
        assert idle_stop_check.decide(iam.client, NO_ROLE, ASKED) == ASKED.answered(
            "implicitDeny", "the instance has no profile with a role"
        )


def test_iam_is_asked_about_the_role() -> None:
    result = {"EvalActionName": "ec2:StopInstances", "EvalDecision": "allowed"}
    with Stubber(aws_clients.client("iam")) as iam:
        iam.add_response("simulate_principal_policy", {"EvaluationResults": [result]}, ASKED.parameters(ARN))
        decided = idle_stop_check.decide(iam.client, ROLE, ASKED)
    assert decided == [Decision("ec2:StopInstances", "*", "allowed", "no statement matches")]


def test_who_may_not_ask_knows_nothing() -> None:
    with Stubber(aws_clients.client("iam")) as iam:
        iam.add_client_error("simulate_principal_policy", "AccessDenied", "not you")
        (decided,) = idle_stop_check.decide(iam.client, ROLE, ASKED)
    assert decided.outcome == UNKNOWN
    assert decided.because.startswith("iam:SimulatePrincipalPolicy: ")
    assert "AccessDenied" in decided.because


def test_a_profile_that_may_not_be_read_is_an_error_that_names_the_action() -> None:
    with Stubber(aws_clients.client("iam")) as iam:
        iam.add_client_error("get_instance_profile", "AccessDenied", "not you")
        with pytest.raises(ReadError) as refused:
            idle_stop_check.read_role(iam.client, PROFILE_ARN)
    assert refused.value.action == "iam:GetInstanceProfile"


def test_documentation_can_be_read() -> None:
    for module in (idle_stop_check, sqs_message):
        for text in (module.DOCUMENTATION, module.EXAMPLES, module.RETURN):
            assert yaml.safe_load(text)

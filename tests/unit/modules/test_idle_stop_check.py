# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the module reads, against botocore's models; nothing leaves the process."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import yaml
from ansible_collections.academy.deploy.plugins.modules import idle_stop_check, sqs_message
from botocore.stub import Stubber

from tests.unit import aws_clients

MADE = datetime(2026, 1, 31, tzinfo=UTC)
POLICY: dict[str, Any] = {"Version": "2012-10-17", "Statement": []}
NAME, ARN = "academy-video-worker-role", "arn:aws:iam::123456789012:role/academy-video-worker-role"
PROFILE_ARN = "arn:aws:iam::123456789012:instance-profile/academy-video-worker-role"
MANAGED = "arn:aws:iam::123456789012:policy/managed"


@contextmanager
def stubbed(service: str) -> Iterator[Stubber]:
    with Stubber(aws_clients.client(service)) as stub:
        yield stub
        stub.assert_no_pending_responses()


def role(**more: Any) -> dict[str, Any]:
    common = {"Path": "/", "RoleName": NAME, "RoleId": "AROA1234567890123456", "Arn": ARN, "CreateDate": MADE}
    return {**common, "AssumeRolePolicyDocument": json.dumps(POLICY), **more}


def profile(*roles: dict[str, Any]) -> dict[str, Any]:
    common = {"Path": "/", "InstanceProfileName": NAME, "InstanceProfileId": "AIPA1234567890123456"}
    return {"InstanceProfile": {**common, "Arn": PROFILE_ARN, "CreateDate": MADE, "Roles": list(roles)}}


def test_policies_of_the_role_and_those_attached_to_it_and_what_bounds_them() -> None:
    boundary = {"PermissionsBoundaryType": "Policy", "PermissionsBoundaryArn": MANAGED}
    with stubbed("iam") as iam:
        iam.add_response("get_instance_profile", profile(role()), {"InstanceProfileName": NAME})
        iam.add_response("get_role", {"Role": role()}, {"RoleName": NAME})
        attached = {"AttachedPolicies": [{"PolicyName": "managed", "PolicyArn": MANAGED}]}
        iam.add_response("list_attached_role_policies", attached, {"RoleName": NAME})
        iam.add_response("list_role_policies", {"PolicyNames": ["academy-host"]}, {"RoleName": NAME})
        inline = {"RoleName": NAME, "PolicyName": "academy-host"}
        iam.add_response("get_role_policy", {**inline, "PolicyDocument": json.dumps(POLICY)}, inline)
        iam.add_response("get_policy", {"Policy": {"DefaultVersionId": "v3"}}, {"PolicyArn": MANAGED})
        version = {"PolicyVersion": {"Document": json.dumps(POLICY)}}
        iam.add_response("get_policy_version", version, {"PolicyArn": MANAGED, "VersionId": "v3"})
        iam.add_response("get_role", {"Role": role(PermissionsBoundary=boundary)}, {"RoleName": NAME})
        documents, bound = idle_stop_check.read_policies(iam.client, PROFILE_ARN)
    assert documents == {"academy-host": POLICY, MANAGED: POLICY}
    assert bound == MANAGED


def test_an_instance_without_a_profile_and_a_profile_without_a_role() -> None:
    with stubbed("iam") as iam:
        assert idle_stop_check.read_policies(iam.client, None) == (None, None)
        iam.add_response("get_instance_profile", profile(), {"InstanceProfileName": NAME})
        assert idle_stop_check.read_policies(iam.client, PROFILE_ARN) == (None, None)


def test_documentation_can_be_read() -> None:
    for module in (idle_stop_check, sqs_message):
        for text in (module.DOCUMENTATION, module.EXAMPLES, module.RETURN):
            assert yaml.safe_load(text)

# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest

from localcloud.wire import credential_scope, is_write, signed_scope

SIGNED = "AWS4-HMAC-SHA256 Credential=AKIA1/20260102/ap-northeast-2/RDS/aws4_request, SignedHeaders=host, Signature=0"


def test_a_signature_tells_key_region_and_service() -> None:
    assert credential_scope(SIGNED) == ("AKIA1", "ap-northeast-2", "rds")


@pytest.mark.parametrize(
    "authorization", ["", "Basic QVdTOng=", "AWS AKIA1:old", "AWS4-HMAC-SHA256 Credential=AKIA1/20260102/x"]
)
def test_anything_else_tells_nothing(authorization: str) -> None:
    assert credential_scope(authorization) is None


def test_a_presigned_url_tells_the_same() -> None:
    credential = "ASIA1%2F20260102%2Fap-northeast-2%2Fec2%2Faws4_request"
    environ = {"QUERY_STRING": f"Action=StopInstances&X-Amz-Credential={credential}&X-Amz-Signature=0"}
    assert signed_scope(environ) == ("ASIA1", "ap-northeast-2", "ec2")
    assert signed_scope({"HTTP_AUTHORIZATION": SIGNED}) == ("AKIA1", "ap-northeast-2", "rds")
    assert signed_scope({}) is None


@pytest.mark.parametrize(
    "action",
    ["GetQueueUrl", "DescribeInstances", "ListQueues", "BatchGetImage", "BatchCheckLayerAvailability", "LookupEvents"],
)
def test_reading_is_no_write(action: str) -> None:
    assert not is_write(action)


@pytest.mark.parametrize(
    "action", ["RunInstances", "CreateQueue", "PutRolePolicy", "TagResource", "ReceiveMessage", "AssumeRole"]
)
def test_everything_else_may_write(action: str) -> None:
    assert is_write(action)

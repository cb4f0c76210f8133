# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest

from localcloud.wire import credential_scope, is_write

SIGNED = "AWS4-HMAC-SHA256 Credential=AKIA1/20260102/ap-northeast-2/RDS/aws4_request, SignedHeaders=host, Signature=0"


def test_a_signature_tells_key_region_and_service() -> None:
    assert credential_scope(SIGNED) == ("AKIA1", "ap-northeast-2", "rds")


@pytest.mark.parametrize(
    "authorization", ["", "Basic QVdTOng=", "AWS AKIA1:old", "AWS4-HMAC-SHA256 Credential=AKIA1/20260102/x"]
)
def test_anything_else_tells_nothing(authorization: str) -> None:
    assert credential_scope(authorization) is None


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

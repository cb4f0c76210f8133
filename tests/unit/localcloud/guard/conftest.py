# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A cloud that asks the policies of whoever calls."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from localcloud import direct, settings
from localcloud.api import Api
from localcloud.guard import Guard

HOST = "arn:aws:iam::123456789012:role/host"


@dataclass
class Cloud:
    api: Api
    now: datetime
    guard: Guard = field(init=False)
    policy: dict[str, Any] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return f"http://{settings.API_HOST}:{self.api.port}"

    def allow(self, *actions: str, **elements: Any) -> None:
        statement = {"Sid": "Only", "Effect": "Allow", "Action": actions, "Resource": "*", **elements}
        document = {"Version": "2012-10-17", "Statement": [statement]}
        self.api.backends("iam").put_role_policy("host", "only", json.dumps(document))

    def bound(self, **elements: Any) -> None:
        """Let a permissions boundary say this alone."""
        iam, arn = self.api.backends("iam"), "arn:aws:iam::123456789012:policy/bound"
        iam.managed_policies.pop(arn, None)
        statement = {"Sid": "Bound", "Effect": "Allow", "Resource": "*", **elements}
        iam.create_policy("", "/", json.dumps({"Version": "2012-10-17", "Statement": [statement]}), "bound", [])
        iam.get_role("host").permissions_boundary_arn = arn

    def key(self) -> str:
        sts = self.api.backends("sts")
        role = self.api.backends("iam").get_role("host")
        return str(sts.assume_role(settings.REGION, "i-1", role.arn, None, 3600, None).access_key_id)

    def user(self, **elements: Any) -> str:
        """A user who may what these elements of a statement say, if there are any; returns the key."""
        iam = self.api.backends("iam")
        iam.create_user(settings.REGION, "somebody")
        if elements:
            statement = {"Sid": "Only", "Effect": "Allow", "Resource": "*", **elements}
            document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
            policy = iam.create_policy("", "/", document, "only", [])
            iam.attach_user_policy(policy.arn, "somebody")
        return str(iam.create_access_key("somebody").access_key_id)

    def client(self, service: str, key: str, region: str = settings.REGION) -> Any:
        return boto3.client(
            service,  # type: ignore[call-overload]
            endpoint_url=self.url,
            region_name=region,
            aws_access_key_id=key,
            aws_secret_access_key="secret",
            aws_session_token="token",
            config=Config(retries={"total_max_attempts": 1}, proxies={}),
        )

    def error(self, call: Any, key: str) -> tuple[str, int, str]:
        service, method, parameters = call
        with pytest.raises(ClientError) as refused:
            getattr(self.client(service, key), method)(**parameters)
        response: Any = refused.value.response
        error = response["Error"]
        return error["Code"], response["ResponseMetadata"]["HTTPStatusCode"], error["Message"]

    def grants(self) -> dict[str, Any]:
        with direct.urlopen(f"{self.url}/_localcloud/grants") as answer:
            return dict(json.load(answer))


@pytest.fixture
def cloud(monkeypatch: pytest.MonkeyPatch) -> Iterator[Cloud]:
    monkeypatch.setattr(settings, "API_PORT", 0)
    api = Api()
    cloud = Cloud(api, datetime.now(UTC))
    cloud.guard = Guard(api, clock=lambda: cloud.now)
    api.backends("iam").create_role("host", "{}", "/", None, "", [], None)
    api.start()
    yield cloud
    api.stop()
    # Not a reset, which takes IAM a second.
    api.backends("iam").roles.clear()
    api.backends("iam").users.clear()
    api.backends("iam").groups.clear()
    for name in ("only", "bound"):
        api.backends("iam").managed_policies.pop(f"arn:aws:iam::123456789012:policy/{name}", None)
    api.backends("sts").assumed_roles.clear()
    api.backends("sqs").reset()

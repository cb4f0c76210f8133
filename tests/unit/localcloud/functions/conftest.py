# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A cloud whose functions really run."""

from __future__ import annotations

import io
import json
import textwrap
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from localcloud import demo, fixes, settings
from localcloud.api import Api
from localcloud.functions import Functions
from localcloud.guard import Guard

GROUP = "/academy/function"
WRITE_LOGS = {
    "Sid": "WriteLogs",
    "Effect": "Allow",
    "Action": ["logs:CreateLogStream", "logs:PutLogEvents"],
    "Resource": f"arn:aws:logs:{settings.REGION}:{settings.ACCOUNT_ID}:log-group:{GROUP}:*",
}


def archive(code: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        file.writestr("module.py", textwrap.dedent(code))
    return buffer.getvalue()


@dataclass
class Cloud:
    api: Api
    functions: Functions
    directory: Path

    @property
    def url(self) -> str:
        return f"http://{settings.API_HOST}:{self.api.port}"

    def client(self, service: str) -> Any:
        return demo.client(service, self.url)

    def allow(self, *statements: dict[str, Any]) -> None:
        document = {"Version": "2012-10-17", "Statement": [WRITE_LOGS, *statements]}
        self.client("iam").put_role_policy(RoleName="function", PolicyName="only", PolicyDocument=json.dumps(document))

    def create(self, code: str, **changes: Any) -> None:
        self.client("lambda").create_function(
            **{
                "FunctionName": "tried",
                "Runtime": "python3.13",
                "Handler": "module.handler",
                "Role": f"arn:aws:iam::{settings.ACCOUNT_ID}:role/function",
                "Code": {"ZipFile": archive(code)},
                "LoggingConfig": {"LogGroup": GROUP},
                "Timeout": 60,
                **changes,
            }
        )

    def invoke(self, event: Any = None, **options: Any) -> Any:
        return self.client("lambda").invoke(FunctionName="tried", Payload=json.dumps(event), **options)

    def result(self, event: Any = None) -> Any:
        return json.load(self.invoke(event)["Payload"])

    def log(self) -> list[str]:
        events = self.client("logs").filter_log_events(logGroupName=GROUP)["events"]
        return [event["message"] for event in events]

    def processes(self) -> list[Path]:
        return list(self.directory.iterdir())


@pytest.fixture
def cloud(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Cloud]:
    monkeypatch.setattr(settings, "API_PORT", 0)
    api = Api()
    fixes.complete_functions()
    Guard(api)
    directory = tmp_path / "functions"
    functions = Functions(api, directory)
    api.start()
    functions.start()
    cloud = Cloud(api, functions, directory)
    cloud.client("iam").create_role(RoleName="function", AssumeRolePolicyDocument="{}")
    cloud.client("logs").create_log_group(logGroupName=GROUP)
    cloud.allow()
    yield cloud
    functions.stop()
    api.stop()
    assert not directory.exists()
    api.backends("iam").roles.clear()
    for service in ("sts", "lambda", "logs", "sqs"):
        api.backends(service).reset()

# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""R2's stand-in as the workers use it: keys that nobody knows, and paths instead of host names."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

import boto3
import pytest
from botocore.config import Config

from localcloud import settings, storage
from localcloud.api import Api
from localcloud.guard import Guard


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.setattr(settings, "API_PORT", 0)
    api = Api()
    Guard(api)
    storage.install(api)
    api.start()
    yield cast(Any, boto3).client(
        "s3",
        endpoint_url=f"http://{settings.API_HOST}:{api.port}",
        region_name="auto",
        aws_access_key_id="x" * 40,
        aws_secret_access_key="y" * 40,
        config=Config(s3={"addressing_style": "path"}, retries={"max_attempts": 0}),
    )
    api.stop()
    api.backends("s3").reset()


def test_a_bucket_exists_from_its_first_use_on(client: Any) -> None:
    client.put_object(Bucket="academy-ai", Key="results/1.json", Body=b"{}")
    client.put_object(Bucket="academy-ai", Key="results/2.json", Body=b"[]")
    assert client.get_object(Bucket="academy-ai", Key="results/1.json")["Body"].read() == b"{}"
    assert [bucket["Name"] for bucket in client.list_buckets()["Buckets"]] == ["academy-ai"]


def test_a_large_object_makes_it_too(client: Any) -> None:
    upload = client.create_multipart_upload(Bucket="academy-video", Key="videos/1.mp4")
    assert upload["Bucket"] == "academy-video"

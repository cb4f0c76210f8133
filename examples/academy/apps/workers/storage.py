# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Cloudflare R2, which speaks S3."""

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from django.conf import settings


def put(area: str, key: str, file: Path, progress: Callable[[], None]) -> None:
    """Store a file, of whatever size; progress is called as it gets on."""
    _client().upload_file(str(file), _bucket(area), key, Callback=lambda _: progress())


def put_bytes(area: str, key: str, content: bytes) -> None:
    _client().put_object(Bucket=_bucket(area), Key=key, Body=content)


def _bucket(area: str) -> str:
    return str({"ai": settings.R2_AI_BUCKET, "video": settings.R2_VIDEO_BUCKET}[area])


@cache
def _client() -> Any:
    return boto3.client(
        "s3",
        endpoint_url=settings.R2_ENDPOINT,
        # R2 has one region, and this name for it.
        region_name="auto",
        aws_access_key_id=settings.R2_ACCESS_KEY,
        aws_secret_access_key=settings.R2_SECRET_KEY,
        config=Config(s3={"addressing_style": "path"}),
    )

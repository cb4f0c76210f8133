# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Clients of AWS for botocore's Stubber: what is not stubbed fails, and nothing leaves the process."""

from __future__ import annotations

from typing import Any

import boto3

REGION = "ap-northeast-2"
KEY = "only-for-tests"


def client(service: str) -> Any:
    make_client: Any = boto3.client  # typed for the names of services that are written out
    return make_client(service, region_name=REGION, aws_access_key_id=KEY, aws_secret_access_key=KEY)

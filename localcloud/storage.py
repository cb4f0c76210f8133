# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""S3 in the place of Cloudflare R2: a bucket that is made by hand there exists here from its first use on."""

from __future__ import annotations

from typing import Final

from localcloud import settings
from localcloud.api import Api
from localcloud.wire import Call

USES: Final = ("CreateMultipartUpload", "GetObject", "HeadBucket", "HeadObject", "ListObjectsV2", "PutObject")


def install(api: Api) -> None:
    for operation in USES:
        api.hooks.register("s3", operation, before=make_bucket)


def make_bucket(call: Call) -> None:
    """Runs under the API's lock, as every hook does."""
    name = call.parameters["Bucket"]
    storage = Api.backends("s3")
    if name not in storage.buckets:
        storage.create_bucket(name, settings.REGION)

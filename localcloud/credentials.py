# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Temporary keys of a role, for an instance or a function: what its holder may do is up to the role's policies."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from localcloud import settings
from localcloud.api import Api

LIFETIME = timedelta(hours=6)


@dataclass(frozen=True)
class Credentials:
    """Temporary keys of a role."""

    access_key: str
    secret_key: str
    token: str
    issued: datetime
    expires: datetime

    def document(self) -> str:
        """As the metadata service tells them."""
        return json.dumps(
            {
                "Code": "Success",
                "LastUpdated": timestamp(self.issued),
                "Type": "AWS-HMAC",
                "AccessKeyId": self.access_key,
                "SecretAccessKey": self.secret_key,
                "Token": self.token,
                "Expiration": timestamp(self.expires),
            },
            indent=2,
        )


def issue(api: Api, role_arn: str, session: str, now: datetime) -> Credentials:
    """Made by moto, so that it knows whose they are. Hold the API's lock."""
    assumed = api.backends("sts").assume_role(
        region_name=settings.REGION,
        role_session_name=session,
        role_arn=role_arn,
        policy=None,
        duration=int(LIFETIME.total_seconds()),
        external_id=None,
    )
    return Credentials(
        access_key=assumed.access_key_id,
        secret_key=assumed.secret_access_key,
        token=assumed.session_token,
        issued=now,
        expires=now + LIFETIME,
    )


def timestamp(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

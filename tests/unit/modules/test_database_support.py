# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""RDS Extended Support is on until somebody switches it off, and then stays off."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import boto3
import pytest
from ansible_collections.academy.deploy.plugins.module_utils.plan.database import SUPPORT_DISABLED
from ansible_collections.academy.deploy.plugins.modules.database_support import switch_off

from localcloud import fixes, settings
from localcloud.api import Api

# A region of its own, so that no other test sees what these leave behind.
REGION = "sa-east-1"
ENABLED = "open-source-rds-extended-support"


@pytest.fixture
def rds(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.setattr(settings, "API_PORT", 0)
    monkeypatch.setattr(settings, "REGION", REGION)
    api = Api()
    fixes.install(api)
    api.start()
    yield boto3.client(
        "rds",
        endpoint_url=f"http://{settings.API_HOST}:{api.port}",
        region_name=REGION,
        aws_access_key_id=settings.OPERATOR_ACCESS_KEY,
        aws_secret_access_key=settings.OPERATOR_SECRET_KEY,
    )
    api.stop()
    api.backends("rds").reset()


def create(rds: Any, identifier: str, **more: str) -> None:
    rds.create_db_instance(
        DBInstanceIdentifier=identifier,
        Engine="postgres",
        DBInstanceClass="db.t4g.micro",
        AllocatedStorage=20,
        MasterUsername="academy",
        MasterUserPassword="correct-horse",
        **more,
    )


def support(rds: Any, identifier: str) -> str:
    (found,) = rds.describe_db_instances(DBInstanceIdentifier=identifier)["DBInstances"]
    # Whose certificate has not ended.
    assert found["CertificateDetails"]["ValidTill"] > datetime.now(UTC)
    (authority,) = rds.describe_certificates(CertificateIdentifier=found["CACertificateIdentifier"])["Certificates"]
    assert authority["ValidTill"] > datetime.now(UTC)
    return str(found["EngineLifecycleSupport"])


def test_it_is_switched_off_once_and_stays_off(rds: Any) -> None:
    create(rds, "one")
    assert support(rds, "one") == ENABLED
    foreseen = switch_off(rds, "one", check_mode=True)
    assert foreseen is not None
    assert (foreseen["changed"], foreseen["engine_lifecycle_support"]) == (True, ENABLED)
    assert support(rds, "one") == ENABLED
    assert switch_off(rds, "one", check_mode=False) == foreseen
    assert support(rds, "one") == SUPPORT_DISABLED
    again = switch_off(rds, "one", check_mode=False)
    assert again is not None
    assert not again["changed"]


def test_who_was_created_without_it_needs_nothing_and_who_is_not_there_is_told(rds: Any) -> None:
    create(rds, "two", EngineLifecycleSupport=SUPPORT_DISABLED)
    done = switch_off(rds, "two", check_mode=False)
    assert done is not None
    assert not done["changed"]
    assert switch_off(rds, "three", check_mode=False) is None

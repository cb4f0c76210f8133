# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the account is like, told and changed by its page, and asked of AWS's own services."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from localcloud import circumstances, settings
from localcloud.__main__ import main
from localcloud.api import Api
from localcloud.circumstances import ON_DEMAND_QUOTA, SPOT_QUOTA


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Iterator[Api]:
    monkeypatch.setattr(settings, "API_PORT", 0)
    api = Api()
    circumstances.install(api)
    api.start()
    url = f"http://{settings.API_HOST}:{api.port}/_localcloud/{settings.ACCOUNT_PAGE}"
    monkeypatch.setattr("localcloud.cloud.ACCOUNT_URL", url)
    yield api
    api.stop()


@pytest.fixture
def client(api: Api) -> Callable[[str], Any]:
    def make(service: str) -> Any:
        return boto3.client(  # type: ignore[call-overload]
            service,
            endpoint_url=f"http://{settings.API_HOST}:{api.port}",
            region_name=settings.REGION,
            aws_access_key_id=settings.OPERATOR_ACCESS_KEY,
            aws_secret_access_key=settings.OPERATOR_SECRET_KEY,
        )

    return make


def test_aws_says_what_the_command_line_has_said(
    client: Callable[[str], Any], capsys: pytest.CaptureFixture[str]
) -> None:
    free, quotas = client("freetier"), client("service-quotas")

    def quota(code: str) -> float:
        return float(quotas.get_service_quota(ServiceCode="ec2", QuotaCode=code)["Quota"]["Value"])

    assert (free.get_account_plan_state()["accountPlanType"], quota(SPOT_QUOTA)) == ("PAID", 640)
    assert main(["account", "plan=FREE", "on_demand_vcpus=8", "full_zones=a,b"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "plan=FREE",
        "on_demand_vcpus=8",
        "spot_vcpus=640",
        "iam_seconds=0",
        "full_zones=a,b",
        "unanswered_emails=",
        "deleted_emails=",
    ]
    assert (free.get_account_plan_state()["accountPlanType"], quota(ON_DEMAND_QUOTA)) == ("FREE", 8)
    assert main(["account", "full_zones="]) == 0
    assert "on_demand_vcpus=8\n" in capsys.readouterr().out
    with pytest.raises(ClientError, match="NoSuchResourceException"):
        quotas.get_service_quota(ServiceCode="ec2", QuotaCode="L-00000000")


def test_whose_mail_is_not_answered_has_no_subscription_yet(client: Callable[[str], Any]) -> None:
    sns = client("sns")
    topic = sns.create_topic(Name="alarms")["TopicArn"]
    for name in ("a", "b", "c"):
        sns.subscribe(TopicArn=topic, Protocol="email", Endpoint=f"{name}@example.com")
    assert main(["account", "unanswered_emails=a@example.com,x@example.com", "deleted_emails=b@example.com"]) == 0
    told = sns.list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]
    arns = {one["Endpoint"][0]: one["SubscriptionArn"] for one in told}
    assert (arns["a"], arns["b"]) == ("PendingConfirmation", "Deleted")
    assert arns["c"].startswith(topic)


@pytest.mark.parametrize("wrong", ["plan=CHEAP", "age=3", "spot_vcpus=few"])
def test_what_cannot_be_is_refused_and_changes_nothing(
    api: Api, wrong: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["account", "iam_seconds=5", wrong]) == 1
    assert wrong.partition("=")[2] in capsys.readouterr().err or "age" in wrong
    assert main(["account"]) == 0
    assert "plan=PAID\n" in (told := capsys.readouterr().out)
    assert "iam_seconds=0\n" in told

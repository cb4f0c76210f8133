# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an account may be while it is young: on the Free plan, with small quotas, with IAM that takes its time, with
mails that nobody has answered, and in a region one of whose zones has no capacity.

The strict layer refuses accordingly; here is where it is said and asked.

    GET  /_localcloud/account
    POST /_localcloud/account?plan=FREE&on_demand_vcpus=8&spot_vcpus=4&iam_seconds=20&full_zones=ap-northeast-2a
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qs

from localcloud import settings
from localcloud.api import Api, Environ, StartResponse
from localcloud.wire import ApiError, Call

FREE, PAID = PLANS = ("FREE", "PAID")
# Service Quotas' names for the vCPUs that instances of the standard families may have together.
ON_DEMAND_QUOTA, SPOT_QUOTA = "L-1216C47A", "L-34B43A08"
NAMES: Mapping[str, str] = {
    ON_DEMAND_QUOTA: "Running On-Demand Standard (A, C, D, H, I, M, R, T, Z) instances",
    SPOT_QUOTA: "All Standard (A, C, D, H, I, M, R, T, Z) Spot Instance Requests",
}


@dataclass
class Circumstances:
    """An account that is not young, unless somebody says otherwise."""

    plan: str = PAID
    on_demand_vcpus: int = 640
    spot_vcpus: int = 640
    # How long EC2 does not know a new instance profile, and Lambda cannot assume a new role.
    iam_seconds: int = 0
    # Where EC2 has no capacity, with commas between.
    full_zones: str = ""
    # Whose mail about a subscription nobody has answered, and who has unsubscribed, with commas between.
    unanswered_emails: str = ""
    deleted_emails: str = ""

    def change(self, wanted: Mapping[str, str]) -> None:
        """Be what is said. Raises ValueError."""
        kinds = {field.name: type(getattr(self, field.name)) for field in fields(self)}
        unknown = sorted(wanted.keys() - kinds)
        if unknown:
            raise ValueError(f"{', '.join(unknown)}: not a circumstance, which are {', '.join(kinds)}")
        if wanted.get("plan", PAID) not in PLANS:
            raise ValueError(f"plan: {' or '.join(PLANS)}, found '{wanted['plan']}'")
        for name, value in {name: kinds[name](value) for name, value in wanted.items()}.items():
            setattr(self, name, value)

    def is_full(self, zone: str) -> bool:
        return zone in self.full_zones.split(",")

    def vcpus(self, quota: str) -> int:
        """What a quota allows."""
        return {ON_DEMAND_QUOTA: self.on_demand_vcpus, SPOT_QUOTA: self.spot_vcpus}[quota]


def install(api: Api) -> Circumstances:
    """Serve the page that tells and changes the circumstances, and the services that AWS tells them by."""
    found = Circumstances()
    api.mount(settings.ACCOUNT_PAGE, _page(api, found))
    api.hooks.register("sns", "ListSubscriptionsByTopic", after=lambda _call, result: _subscriptions(result, found))
    api.hooks.register("freetier", "GetAccountPlanState", instead=lambda _call: _plan_state(found))
    api.hooks.register("service-quotas", "GetServiceQuota", instead=lambda call: _quota(call, found))
    return found


def _page(api: Api, found: Circumstances) -> Callable[[Environ, StartResponse], list[bytes]]:
    def serve(environ: Environ, start_response: StartResponse) -> list[bytes]:
        status, content = HTTPStatus.OK, {}
        if environ["REQUEST_METHOD"] == "POST":
            asked = parse_qs(environ.get("QUERY_STRING", ""), keep_blank_values=True)
            try:
                with api.lock:
                    found.change({name: values[-1] for name, values in asked.items()})
            except ValueError as error:
                status, content = HTTPStatus.BAD_REQUEST, {"error": str(error)}
        body = json.dumps(content or asdict(found)).encode()
        headers = [("Content-Type", "application/json"), ("Content-Length", str(len(body)))]
        start_response(f"{status.value} {status.phrase}", headers)
        return [body]

    return serve


def _subscriptions(result: Mapping[str, Any], found: Circumstances) -> Mapping[str, Any]:
    """moto confirms every subscription itself."""
    arns = {
        **dict.fromkeys(found.unanswered_emails.split(","), "PendingConfirmation"),
        **dict.fromkeys(found.deleted_emails.split(","), "Deleted"),
    }
    told = [
        {**one, "SubscriptionArn": arns.get(one["Endpoint"], one["SubscriptionArn"])}
        for one in result.get("Subscriptions", [])
    ]
    return {**result, "Subscriptions": told}


def _plan_state(found: Circumstances) -> Mapping[str, Any]:
    return {"accountId": settings.ACCOUNT_ID, "accountPlanType": found.plan, "accountPlanStatus": "ACTIVE"}


def _quota(call: Call, found: Circumstances) -> Mapping[str, Any]:
    code = call.parameters["QuotaCode"]
    if call.parameters["ServiceCode"] != "ec2" or code not in NAMES:
        raise ApiError("NoSuchResourceException", "The request failed because the specified quota does not exist.")
    return {
        "Quota": {
            "ServiceCode": "ec2",
            "QuotaCode": code,
            "QuotaName": NAMES[code],
            "Value": float(found.vcpus(code)),
            "Unit": "None",
            "Adjustable": True,
            "GlobalQuota": False,
        }
    }

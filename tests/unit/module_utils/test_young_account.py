# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a new account does not allow yet, from AWS's answers; what it does not answer is never a pass and no refusal."""

from __future__ import annotations

from typing import Any

import pytest

from plugins.module_utils.findings import Finding
from plugins.module_utils.young_account import account_findings
from tests.unit.module_utils.test_preflight import check

TYPES = {
    "t4g.small": {"vcpus": 2, "is_free": True},
    "t4g.medium": {"vcpus": 2, "is_free": False},
    "c7g.xlarge": {"vcpus": 4, "is_free": False},
}


def host(name: str, instance_type: str, *, sleeps: bool = False, market: str = "on-demand") -> dict[str, Any]:
    return {
        "inventory_hostname": name,
        "instance_type": instance_type,
        "instance_may_be_stopped": sleeps,
        "instance_market_type": market,
    }


HOSTS = [
    host("api", "t4g.small"),
    host("messaging", "t4g.small"),
    host("video", "t4g.medium", sleeps=True),
    host("ai", "c7g.xlarge", sleeps=True, market="spot"),
]
RIGHT: dict[str, Any] = {
    "account_plan": {"type": "PAID"},
    "vcpu_quotas": {"L-1216C47A": 6.0, "L-34B43A08": 4.0},
    "ebs_default_key": "alias/aws/ebs",
    "ebs_managed_key": "",
    "instance_types": TYPES,
}
KEY = "arn:aws:kms:ap-northeast-2:123456789012:key/1"
UNTOLD = {"untold": "An error occurred (AccessDeniedException)"}


def found(change: dict[str, Any], hosts: list[dict[str, Any]] | None = None, **options: Any) -> list[Finding]:
    given = {"backup_days": 7, "new_hosts": {"api"}, **options}
    findings = account_findings({**RIGHT, **change}, HOSTS if hosts is None else hosts, **given)
    for finding in findings:
        check(finding)
    return findings


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"account_plan": {"type": ""}},
        {"ebs_default_key": "arn:aws:kms:ap-northeast-2:123456789012:alias/aws/ebs"},
        {"ebs_default_key": KEY, "ebs_managed_key": "1"},
        {"vcpu_quotas": {"L-1216C47A": 640, "L-34B43A08": 640}},
    ],
)
def test_what_is_enough_is_no_finding(change: dict[str, Any]) -> None:
    assert found(change) == []


def test_the_free_plan_is_refused_for_what_it_does_not_allow_and_nothing_else() -> None:
    (finding,) = found({"account_plan": {"type": "FREE"}})
    assert (finding.id, finding.severity, finding.found) == ("account_plan", "error", "FREE")
    for text in ("t4g.medium (video)", "c7g.xlarge (ai)", "database_backup_retention_days 7"):
        assert text in finding.text_en
        assert text in finding.text_ko
    assert "t4g.small" not in finding.text_en
    free = {"account_plan": {"type": "FREE"}}
    assert found(free, HOSTS[:2], backup_days=1) == []
    assert found(free, HOSTS[:2], backup_days=None) == []


@pytest.mark.parametrize(
    ("quotas", "severity", "words"),
    [
        (
            (5, 4),
            "warning",
            ["L-1216C47A (on-demand)", "4 vCPUs", "6 with all workers", "found 5", "--desired-value 6"],
        ),
        ((4, 4), "warning", ["found 4"]),
        ((3, 4), "error", ["found 3", "4 vCPUs"]),
        ((6, 3), "warning", ["L-34B43A08 (spot)", "0 vCPUs", "4 with all workers", "--desired-value 4"]),
    ],
)
def test_a_quota_must_hold_what_always_runs_and_should_hold_the_workers(
    quotas: tuple[float, float], severity: str, words: list[str]
) -> None:
    (finding,) = found({"vcpu_quotas": dict(zip(("L-1216C47A", "L-34B43A08"), quotas, strict=True))})
    assert (finding.id, finding.severity) == ("vcpu_quota", severity)
    assert [word for word in words if word not in finding.text_en] == []


def test_families_with_quotas_of_their_own_do_not_count() -> None:
    types = {**TYPES, "g5g.xlarge": {**TYPES["t4g.small"], "vcpus": 64}}
    assert found({"instance_types": types}, [*HOSTS, host("gpu", "g5g.xlarge")]) == []


def test_a_market_without_hosts_has_no_quota_to_keep() -> None:
    assert found({"vcpu_quotas": {"L-1216C47A": 6}}, HOSTS[:3]) == []


def test_a_key_of_the_accounts_own_is_a_warning_while_a_host_is_yet_to_be_made() -> None:
    (finding,) = found({"ebs_default_key": KEY})
    assert (finding.id, finding.severity, finding.found) == ("ebs_default_key", "warning", KEY)
    assert "volumes of api would" in finding.text_en
    assert "reset-ebs-default-kms-key-id" in finding.remedy.en
    assert found({"ebs_default_key": KEY}, new_hosts=set()) == []
    assert [each.found for each in found({"ebs_default_key": KEY, "ebs_managed_key": "2"})] == [KEY]


@pytest.mark.parametrize(
    ("change", "action"),
    [
        ({"account_plan": UNTOLD}, "freetier:GetAccountPlanState"),
        ({"vcpu_quotas": {"L-1216C47A": UNTOLD, "L-34B43A08": 4}}, "servicequotas:GetServiceQuota"),
        ({"vcpu_quotas": {"L-1216C47A": 6}}, "servicequotas:GetServiceQuota"),
        ({"ebs_default_key": UNTOLD}, "ec2:GetEbsDefaultKmsKeyId"),
        ({"ebs_default_key": KEY, "ebs_managed_key": UNTOLD}, "kms:ListAliases"),
        ({"route_tables": UNTOLD, "network": {"subnets": []}}, "ec2:DescribeRouteTables"),
    ],
)
def test_what_aws_does_not_tell_is_a_warning_that_says_so(change: dict[str, Any], action: str) -> None:
    (finding,) = found(change)
    assert (finding.id, finding.severity) == ("account_untold", "warning")
    assert "cannot tell" in finding.text_en
    assert action in finding.remedy.en


MAIN = {"vpc_id": "vpc-1", "subnet_ids": [], "is_main": True, "leads_out": True}
CLOSED = {"vpc_id": "vpc-1", "subnet_ids": ["subnet-b"], "is_main": False, "leads_out": False}
NETWORK = {"subnets": [{"subnet_id": f"subnet-{zone}", "vpc_id": "vpc-1", "zone": zone} for zone in "ab"]}


@pytest.mark.parametrize(
    ("tables", "closed"),
    [
        ([MAIN], None),
        # Its own table goes before the VPC's, whichever of them leads out.
        ([MAIN, CLOSED], "subnet-b (b)"),
        ([{**MAIN, "leads_out": False}, {**CLOSED, "leads_out": True}], "subnet-a (a)"),
        ([{**MAIN, "vpc_id": "vpc-2"}, CLOSED], "subnet-a (a), subnet-b (b)"),
        ([], "subnet-a (a), subnet-b (b)"),
    ],
)
def test_a_subnet_without_a_way_out_is_named_while_a_host_is_yet_to_be_made(
    tables: list[dict[str, Any]], closed: str | None
) -> None:
    findings = found({"route_tables": tables, "network": NETWORK})
    assert [(finding.id, finding.severity, finding.found) for finding in findings] == (
        [("subnet_route", "error", closed)] if closed else []
    )
    assert found({"route_tables": tables, "network": NETWORK}, new_hosts=set()) == []
    assert found({"route_tables": tables}) == []


def test_what_was_not_asked_is_not_judged() -> None:
    assert account_findings({}, HOSTS, 7, {"api"}) == []

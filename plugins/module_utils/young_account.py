# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an account that is new does not let anybody do yet: by its plan, its quotas, its default encryption key and its
routes."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from .aws_state import EBS_ALIAS
from .findings import Finding, Words
from .spot import SPOT

Values = Mapping[str, Any]

FREE = "FREE"
# RDS keeps no longer backups on the Free plan, and the guide demands more.
FREE_BACKUP_DAYS = 1
# The quotas of vCPUs that instances of these families share, by how they are bought. Other families have their own.
STANDARD = re.compile(r"(a|c|d|h|i|im|is|m|r|t|z)\d")
QUOTAS: Mapping[str, str] = {"on-demand": "L-1216C47A", SPOT: "L-34B43A08"}
READ_POLICY = "docs/operator-policy-read.json"
UNTOLD = "untold"


def reads() -> dict[str, Any]:
    """Of all hosts at once."""
    yes = dict.fromkeys(("account_plan", "ebs_default_key", "ebs_managed_key", "route_tables"), True)
    return {**yes, "vcpu_quotas": [*QUOTAS.values()]}


def untold_findings(subject: str, told: Any, action: str) -> list[Finding]:
    """AWS did not answer, which is no reason to refuse and none to be sure."""
    return [
        Finding(
            "account_untold",
            subject,
            str(told),
            Words("cannot tell, because AWS did not say", "AWS가 답하지 않아 알 수 없습니다"),
            Words(
                f"Allow {action} ({READ_POLICY}), or see yourself that it is enough (README.md, On a real account).",
                f"{action}({READ_POLICY})을 허용하거나 직접 확인하십시오(README.ko.md, 실제 계정에서).",
            ),
            "warning",
        )
    ]


def plan_findings(plan: Values, hosts: Iterable[Values], types: Values, backup_days: int | None) -> list[Finding]:
    """What the Free plan does not allow of what is wanted."""
    if UNTOLD in plan:
        return untold_findings("AWS account plan", plan[UNTOLD], "freetier:GetAccountPlanState")
    if plan.get("type") != FREE:
        return []
    dear: dict[str, list[str]] = {}
    for host in hosts:
        if not types.get(host["instance_type"], {}).get("is_free", True):
            dear.setdefault(host["instance_type"], []).append(host["inventory_hostname"])
    lacking = [f"{name} ({', '.join(names)})" for name, names in dear.items()]
    if backup_days is not None and backup_days > FREE_BACKUP_DAYS:
        lacking.append(f"database_backup_retention_days {backup_days}")
    if not lacking:
        return []
    return [
        Finding(
            "account_plan",
            "AWS account plan",
            FREE,
            Words(
                f"the Free plan does not allow {', '.join(lacking)}: EC2 and RDS would refuse it half-way",
                f"Free 플랜은 다음을 허용하지 않아 EC2와 RDS가 도중에 거부합니다: {', '.join(lacking)}",
            ),
            Words(
                "Upgrade the account to the Paid plan, which keeps its credits: "
                "https://console.aws.amazon.com/billing, Upgrade plan.",
                "계정을 Paid 플랜으로 바꾸십시오(크레딧은 유지됩니다): https://console.aws.amazon.com/billing, "
                "플랜 업그레이드.",
            ),
        )
    ]


def quota_findings(quotas: Values, hosts: Sequence[Values], types: Values) -> list[Finding]:
    """Whether the account may have as many vCPUs as the hosts need at once, on demand and as Spot instances."""
    return [
        finding
        for market, code in QUOTAS.items()
        for finding in _market_findings(
            market, code, quotas.get(code), [host for host in hosts if host["instance_market_type"] == market], types
        )
    ]


def _vcpus(hosts: Iterable[Values], types: Values) -> int:
    return sum(types.get(host["instance_type"], {}).get("vcpus", 0) for host in hosts)


def _market_findings(market: str, code: str, quota: Any, hosts: Sequence[Values], types: Values) -> list[Finding]:
    hosts = [host for host in hosts if STANDARD.match(host["instance_type"])]
    always = [host for host in hosts if not host["instance_may_be_stopped"]]
    needed, most = _vcpus(always, types), _vcpus(hosts, types)
    subject = f"EC2 vCPU quota {code} ({market})"
    if not most:
        return []
    if not isinstance(quota, (int, float)):
        return untold_findings(subject, (quota or {}).get(UNTOLD, "no answer"), "servicequotas:GetServiceQuota")
    if quota >= most:
        return []
    command = f"aws service-quotas request-service-quota-increase --service-code ec2 --quota-code {code}"
    return [
        Finding(
            "vcpu_quota",
            subject,
            f"{quota:g}",
            Words(
                f"needed are {needed} vCPUs for the hosts that always run and {most} with all workers, beside whatever "
                "else runs in the account and region; EC2 refuses to start what exceeds it",
                f"항상 실행되는 호스트에 {needed} vCPU, 모든 워커까지 {most} vCPU가 필요합니다(이 계정과 리전의 다른 "
                "인스턴스 별도). EC2는 초과분의 시작을 거부합니다",
            ),
            Words(
                f"Request more, which takes hours to days: {command} --desired-value {most}.",
                f"증설을 요청하십시오(몇 시간에서 며칠): {command} --desired-value {most}.",
            ),
            "error" if quota < needed else "warning",
        )
    ]


def key_findings(key: Any, managed: Any, new_hosts: Collection[str]) -> list[Finding]:
    """Whether the volumes of hosts that are yet to be made get a key that whoever starts them must be granted."""
    if not new_hosts:
        return []
    subject = "EBS default encryption key"
    if isinstance(key, Mapping):
        return untold_findings(subject, key.get(UNTOLD, "no answer"), "ec2:GetEbsDefaultKmsKeyId")
    # Before there is a volume with it EC2 tells its alias.
    if str(key).endswith(EBS_ALIAS):
        return []
    if isinstance(managed, Mapping):
        return untold_findings(subject, managed.get(UNTOLD, "no answer"), "kms:ListAliases")
    if managed and str(key).endswith(f":key/{managed}"):
        return []
    return [
        Finding(
            "ebs_default_key",
            subject,
            str(key),
            Words(
                f"the volumes of {', '.join(sorted(new_hosts))} would be encrypted with a key of the account's own: "
                "without kms:CreateGrant on it a start by the operator or the starter succeeds, and the host "
                "stops at once",
                f"{', '.join(sorted(new_hosts))}의 볼륨이 고객 관리형 키로 암호화됩니다. 이 키에 kms:CreateGrant "
                "권한이 없으면 운영자나 스타터의 시작 호출은 성공하지만 호스트는 곧바로 중지됩니다",
            ),
            Words(
                "Go back to the key that AWS manages: aws ec2 reset-ebs-default-kms-key-id. Or let the key's policy "
                "allow the operator and the starter's role kms:CreateGrant, kms:Decrypt, kms:DescribeKey, "
                "kms:GenerateDataKeyWithoutPlaintext and kms:ReEncrypt*.",
                "AWS 관리형 키로 되돌리십시오: aws ec2 reset-ebs-default-kms-key-id. 또는 키 정책에서 운영자와 스타터 "
                "역할에 kms:CreateGrant, kms:Decrypt, kms:DescribeKey, kms:GenerateDataKeyWithoutPlaintext, "
                "kms:ReEncrypt*를 허용하십시오.",
            ),
            "warning",
        )
    ]


def _leads_out(subnet: Values, tables: Iterable[Values]) -> bool:
    """By the route table that is for the subnet by name, or else by its VPC's own."""
    own = [table for table in tables if table["vpc_id"] == subnet["vpc_id"]]
    named = [table for table in own if subnet["subnet_id"] in table["subnet_ids"]]
    return any(table["leads_out"] for table in named or [table for table in own if table["is_main"]])


def route_findings(tables: Any, subnets: Iterable[Values], new_hosts: Collection[str]) -> list[Finding]:
    """Subnets in which a new host would reach nothing: neither packages nor ECR, SQS or object storage."""
    if not new_hosts:
        return []
    if isinstance(tables, Mapping):
        return untold_findings("subnet_ids", tables.get(UNTOLD, "no answer"), "ec2:DescribeRouteTables")
    closed = [subnet for subnet in subnets if not _leads_out(subnet, tables)]
    if not closed:
        return []
    return [
        Finding(
            "subnet_route",
            "subnet_ids",
            ", ".join(f"{subnet['subnet_id']} ({subnet['zone']})" for subnet in closed),
            Words(
                "hosts need a way out, a route to 0.0.0.0/0 in the route table of their subnet",
                "호스트의 서브넷 라우팅 테이블에 0.0.0.0/0 경로가 있어야 외부에 접속할 수 있습니다",
            ),
            Words(
                "Add a route to an internet gateway there (aws ec2 create-route), or name subnets in two zones "
                "that have one.",
                "인터넷 게이트웨이 경로를 추가하거나(aws ec2 create-route), 경로가 있는 두 가용 영역의 서브넷을 "
                "지정하십시오.",
            ),
        )
    ]


def account_findings(
    state: Values, hosts: Sequence[Values], backup_days: int | None, new_hosts: Collection[str]
) -> list[Finding]:
    """All of it, of what AWS answered (aws_state.observe's); nothing where it was not asked."""
    types = state.get("instance_types", {})
    return [
        *(plan_findings(state["account_plan"], hosts, types, backup_days) if "account_plan" in state else []),
        *(quota_findings(state["vcpu_quotas"], hosts, types) if "vcpu_quotas" in state else []),
        *(
            key_findings(state["ebs_default_key"], state["ebs_managed_key"], new_hosts)
            if "ebs_default_key" in state
            else []
        ),
        *(
            route_findings(state["route_tables"], state["network"]["subnets"], new_hosts)
            if "route_tables" in state and "network" in state
            else []
        ),
    ]

# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Choosing a network, judging operators' addresses, and who may reach what."""

from __future__ import annotations

from typing import Any, Literal

import pytest

from plugins.module_utils.network import (
    NetworkError,
    Subnet,
    choose_network,
    operator_cidr_problems,
    security_groups,
    subnet_filters,
)

A1 = Subnet("subnet-a1", "vpc-1", "ap-northeast-2a")
A2 = Subnet("subnet-a2", "vpc-1", "ap-northeast-2a")
B1 = Subnet("subnet-b1", "vpc-1", "ap-northeast-2b")
C2 = Subnet("subnet-c2", "vpc-2", "ap-northeast-2c")
NAMES = {"alb": "x-alb-sg", "api": "x-api-sg", "worker": "x-worker-sg", "database": "rds-x-sg"}
ME = "203.0.113.7/32"
PORTS = {"api": 8001, "database": 5433}


@pytest.mark.parametrize(
    ("vpc_id", "subnet_ids", "filters"),
    [
        ("", [], {"default-for-az": ["true"]}),
        ("vpc-1", [], {"vpc-id": ["vpc-1"]}),
        ("vpc-1", ["subnet-a1"], {"subnet-id": ["subnet-a1"]}),
    ],
)
def test_subnet_filters(vpc_id: str, subnet_ids: list[str], filters: dict[str, list[str]]) -> None:
    assert subnet_filters(vpc_id, subnet_ids) == filters


def test_subnets_come_by_zone_whatever_the_order_of_the_answer() -> None:
    assert choose_network([B1, A2, A1]).subnets == choose_network([A1, A2, B1]).subnets == (A1, A2, B1)


def test_zones_that_do_not_offer_the_type_are_left_out() -> None:
    chosen = choose_network([A1, B1], offered_zones=["ap-northeast-2b", "ap-northeast-2c"], minimum_zones=1)
    assert chosen.subnets == (B1,)


@pytest.mark.parametrize(
    ("subnets", "options", "words"),
    [
        ([], {}, ["vpc_id", "no default VPC", "create-default-vpc"]),
        ([], {"vpc_id": "vpc-9"}, ["vpc-9 has no subnet"]),
        ([A1], {"subnet_ids": ["subnet-a1", "subnet-zz"]}, ["not found: subnet-zz", "subnet-a1 (vpc-1"]),
        ([A1, C2], {"subnet_ids": ["subnet-a1", "subnet-c2"]}, ["one VPC", "vpc-2"]),
        ([A1, B1], {"vpc_id": "vpc-2", "subnet_ids": ["subnet-a1", "subnet-b1"]}, ["vpc-2 (vpc_id)"]),
        ([A1, A2], {}, ["at least 2 availability zone", "subnet-a2"]),
        ([A1], {"offered_zones": ["ap-northeast-2d"], "minimum_zones": 1}, ["offer the instance type", "2d"]),
    ],
)
def test_a_network_that_does_not_fit_is_refused(
    subnets: list[Subnet], options: dict[str, Any], words: list[str]
) -> None:
    with pytest.raises(NetworkError) as error:
        choose_network(subnets, **options)
    assert all(word in str(error.value) for word in words)


@pytest.mark.parametrize("cidrs", [[ME], ["198.51.100.0/24"], ["2001:db8:1::/56", ME]])
def test_operators_addresses_are_accepted(cidrs: list[str]) -> None:
    assert operator_cidr_problems(cidrs) == []


@pytest.mark.parametrize(
    ("cidrs", "words"),
    [
        ([], ["at least one"]),
        (["0.0.0.0/0"], ["the whole world"]),
        (["::/0"], ["the whole world"]),
        (["10.0.0.0/8"], ["too wide", "/24"]),
        (["2001:db8::/32"], ["too wide", "/56"]),
        (["203.0.113.7"], ["write 203.0.113.7/32"]),
        (["203.0.113.7/24"], ["write 203.0.113.0/24"]),
        (["my address"], ["is no CIDR"]),
    ],
)
def test_other_addresses_are_refused(cidrs: list[str], words: list[str]) -> None:
    (problem,) = operator_cidr_problems(cidrs)
    assert problem.startswith("operator_cidrs")
    assert all(word in problem for word in words)


def rules(stage: Literal["test", "open"], available: list[str] | None = None) -> dict[str, set[tuple[str, str]]]:
    """Group → (port, source) of its rules."""
    return {
        group["name"]: {
            (port, source)
            for rule in group["rules"]
            for port in rule["ports"]
            for key in ("cidr_ip", "cidr_ipv6", "group_name")
            for source in rule.get(key, [])
        }
        for group in security_groups(NAMES, stage, [ME, "2001:db8::1/128"], PORTS, available)
    }


def test_before_opening_nobody_but_operators_gets_in() -> None:
    operators = {(port, cidr) for port in ("22", "8001") for cidr in (ME, "2001:db8::1/128")}
    assert rules("test") == {
        "x-alb-sg": set(),
        "x-api-sg": operators,
        "x-worker-sg": {rule for rule in operators if rule[0] == "22"},
        "rds-x-sg": {("5433", "x-api-sg"), ("5433", "x-worker-sg")},
    }


def test_after_opening_the_api_answers_the_load_balancer_alone() -> None:
    found = rules("open")
    assert found["x-alb-sg"] == {(port, world) for port in ("80", "443") for world in ("0.0.0.0/0", "::/0")}
    assert {rule for rule in found["x-api-sg"] if rule[0] == "8001"} == {("8001", "x-alb-sg")}


def test_check_mode_refers_to_no_group_that_is_yet_to_be_created() -> None:
    found = rules("open", available=["x-api-sg"])
    assert found["rds-x-sg"] == {("5433", "x-api-sg")}
    assert ("8001", "x-alb-sg") not in found["x-api-sg"]


def test_descriptions_are_ascii_because_ec2_takes_nothing_else() -> None:
    for group in security_groups(NAMES, "open", [ME], PORTS):
        assert group["description"].isascii()
        assert all(rule["rule_desc"].isascii() for rule in group["rules"])


def test_groups_come_after_those_they_refer_to() -> None:
    seen: set[str] = set()
    for group in security_groups(NAMES, "open", [ME], PORTS):
        assert {name for rule in group["rules"] for name in rule.get("group_name", [])} <= seen
        seen.add(group["name"])

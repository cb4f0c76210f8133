# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Choosing a network."""

from __future__ import annotations

from typing import Any

import pytest

from plugins.module_utils.network import (
    NetworkError,
    Subnet,
    choose_network,
    subnet_filters,
)
from plugins.module_utils.preflight import network_findings

A1 = Subnet("subnet-a1", "vpc-1", "ap-northeast-2a")
A2 = Subnet("subnet-a2", "vpc-1", "ap-northeast-2a")
B1 = Subnet("subnet-b1", "vpc-1", "ap-northeast-2b")
C2 = Subnet("subnet-c2", "vpc-2", "ap-northeast-2c")


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


@pytest.mark.parametrize(
    ("subnets", "options", "words", "korean"),
    [
        ([], {}, ["vpc_id", "no default VPC", "create-default-vpc"], "기본 VPC"),
        ([], {"vpc_id": "vpc-9"}, ["vpc-9 has no subnet"], "서브넷이 없습니다"),
        (
            [A1],
            {"subnet_ids": ["subnet-a1", "subnet-zz"]},
            ["not found: subnet-zz", "subnet-a1 (vpc-1"],
            "모든 서브넷이 이 리전에",
        ),
        ([A1, C2], {"subnet_ids": ["subnet-a1", "subnet-c2"]}, ["one VPC", "vpc-2"], "한 VPC"),
        ([A1, B1], {"vpc_id": "vpc-2", "subnet_ids": ["subnet-a1", "subnet-b1"]}, ["vpc-2 (vpc_id)"], "한 VPC"),
        ([A1, A2], {}, ["at least 2 availability zone", "subnet-a2"], "가용 영역 2개"),
        ([A1, B1], {"minimum_zones": 3}, ["at least 3 availability zone"], "가용 영역"),
    ],
)
def test_a_network_that_does_not_fit_is_refused(
    subnets: list[Subnet], options: dict[str, Any], words: list[str], korean: str
) -> None:
    with pytest.raises(NetworkError) as error:
        choose_network(subnets, **options)
    assert all(word in str(error.value) for word in words)
    (finding,) = network_findings(str(error.value))
    assert korean in finding.text_ko

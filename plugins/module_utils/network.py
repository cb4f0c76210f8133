# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which subnets the deployment uses."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

# RDS and load balancers refuse fewer.
MINIMUM_ZONES = 2


# The rules once more, for the report that is read in Korean, by how the refusals begin.
KOREAN = {
    "every subnet must exist": "모든 서브넷이 이 리전에 있어야 합니다",
    "subnets in at least": "서로 다른 가용 영역 2개 이상의 서브넷이 필요합니다",
    "all subnets must lie": "모든 서브넷이 한 VPC에 있어야 합니다",
    "not given": "지정되지 않았고 이 리전에 기본 VPC와 기본 서브넷이 없습니다",
    "": "이 VPC에는 이 리전에 서브넷이 없습니다",
}


class NetworkError(ValueError):
    """The account has no network that fits; the message says which rule failed and what to do."""


@dataclass(frozen=True)
class Subnet:
    subnet_id: str
    vpc_id: str
    zone: str


@dataclass(frozen=True)
class Network:
    vpc_id: str
    subnets: tuple[Subnet, ...]


def subnet_filters(vpc_id: str, subnet_ids: Sequence[str]) -> dict[str, list[str]]:
    """Ask EC2 for the subnets named, for those of the VPC named, or for the default VPC's own."""
    if subnet_ids:
        return {"subnet-id": list(subnet_ids)}
    if vpc_id:
        return {"vpc-id": [vpc_id]}
    return {"default-for-az": ["true"]}


def _found(subnets: Collection[Subnet]) -> str:
    return ", ".join(f"{subnet.subnet_id} ({subnet.vpc_id}, {subnet.zone})" for subnet in subnets) or "none"


def _check_existence(subnets: Sequence[Subnet], vpc_id: str, subnet_ids: Sequence[str]) -> None:
    missing = sorted(set(subnet_ids) - {subnet.subnet_id for subnet in subnets})
    if missing:
        raise NetworkError(
            f"subnet_ids: every subnet must exist in this region, not found: {', '.join(missing)}. "
            f"Found: {_found(subnets)}. Correct subnet_ids or aws_region."
        )
    if not subnets and vpc_id:
        raise NetworkError(
            f"vpc_id: {vpc_id} has no subnet in this region. Correct vpc_id, or create subnets in two zones."
        )
    if not subnets:
        raise NetworkError(
            "vpc_id: not given, and this account has no default VPC with default subnets in this region. "
            "Create one (aws ec2 create-default-vpc), or set vpc_id and subnet_ids to a VPC of your own."
        )


def choose_network(
    subnets: Sequence[Subnet],
    vpc_id: str = "",
    subnet_ids: Sequence[str] = (),
    minimum_zones: int = MINIMUM_ZONES,
) -> Network:
    """The network to use, its subnets in a stable order."""
    _check_existence(subnets, vpc_id, subnet_ids)
    vpcs = sorted({subnet.vpc_id for subnet in subnets})
    if len(vpcs) > 1 or (vpc_id and vpcs != [vpc_id]):
        raise NetworkError(
            f"subnet_ids: all subnets must lie in one VPC{f', {vpc_id} (vpc_id)' if vpc_id else ''}. "
            f"Found: {_found(subnets)}. Correct subnet_ids or vpc_id."
        )
    if len({subnet.zone for subnet in subnets}) < minimum_zones:
        raise NetworkError(
            f"subnet_ids: subnets in at least {minimum_zones} availability zone(s) are needed. "
            f"Found: {_found(subnets)}. Add a subnet in another zone, or name others in subnet_ids."
        )
    return Network(vpcs[0], tuple(sorted(subnets, key=lambda subnet: (subnet.zone, subnet.subnet_id))))

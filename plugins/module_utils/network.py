# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which subnets the deployment uses, and who may reach what."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv6Network, ip_network
from typing import Any, Literal

# RDS and load balancers refuse fewer.
MINIMUM_ZONES = 2

# An operator is a person or an office, not a provider. Anything wider is a mistake or the world.
SHORTEST_OPERATOR_PREFIX = {4: 24, 6: 56}

Stage = Literal["test", "open"]
Rule = dict[str, Any]


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
    offered_zones: Collection[str] | None = None,
    minimum_zones: int = MINIMUM_ZONES,
) -> Network:
    """The network to use, its subnets in a stable order; those in zones that do not offer what is needed left out."""
    _check_existence(subnets, vpc_id, subnet_ids)
    vpcs = sorted({subnet.vpc_id for subnet in subnets})
    if len(vpcs) > 1 or (vpc_id and vpcs != [vpc_id]):
        raise NetworkError(
            f"subnet_ids: all subnets must lie in one VPC{f', {vpc_id} (vpc_id)' if vpc_id else ''}. "
            f"Found: {_found(subnets)}. Correct subnet_ids or vpc_id."
        )
    usable = [subnet for subnet in subnets if offered_zones is None or subnet.zone in offered_zones]
    zones = {subnet.zone for subnet in usable}
    if len(zones) < minimum_zones:
        offered = "" if offered_zones is None else f", of zones that offer the instance type: {sorted(offered_zones)}"
        raise NetworkError(
            f"subnet_ids: subnets in at least {minimum_zones} availability zone(s) are needed{offered}. "
            f"Found: {_found(subnets)}. Add a subnet in another zone, or name others in subnet_ids."
        )
    return Network(vpcs[0], tuple(sorted(usable, key=lambda subnet: (subnet.zone, subnet.subnet_id))))


def operator_cidr_problem(cidr: str) -> str | None:
    """Why this is no address of an operator, or nothing."""
    where = f"operator_cidrs: '{cidr}'"
    try:
        network = ip_network(cidr, strict=False)
    except ValueError:
        return f"{where} is no CIDR. Write an address with its prefix, such as 203.0.113.7/32."
    shortest = SHORTEST_OPERATOR_PREFIX[network.version]
    if network.prefixlen < shortest:
        return (
            f"{where} is {'the whole world' if network.prefixlen == 0 else 'too wide'}: SSH and the API open to "
            f"operators alone, IPv{network.version} prefixes of /{shortest} or longer. Write your own address."
        )
    if cidr != str(network):
        return f"{where} must be written as AWS stores it, else every run would change it: write {network}."
    return None


def operator_cidr_problems(cidrs: Sequence[str]) -> list[str]:
    """Everything wrong with the addresses that may reach SSH and, in stage test, the API."""
    if not cidrs:
        return [
            "operator_cidrs: at least one is needed, found none: nobody could reach a host by SSH. "
            "Write your own address, such as [203.0.113.7/32] (curl https://checkip.amazonaws.com shows it)."
        ]
    return [problem for problem in map(operator_cidr_problem, cidrs) if problem]


def _from_cidrs(port: int, cidrs: Sequence[str], description: str) -> list[Rule]:
    networks = [ip_network(cidr) for cidr in cidrs]
    v6 = [str(network) for network in networks if isinstance(network, IPv6Network)]
    v4 = [str(network) for network in networks if not isinstance(network, IPv6Network)]
    sources = ({"cidr_ip": v4} if v4 else {}, {"cidr_ipv6": v6} if v6 else {})
    return [{"proto": "tcp", "ports": [str(port)], "rule_desc": description, **source} for source in sources if source]


def _from_groups(port: int, groups: Sequence[str], available: Collection[str] | None, description: str) -> list[Rule]:
    known = [group for group in groups if available is None or group in available]
    if not known:
        return []
    return [{"proto": "tcp", "ports": [str(port)], "rule_desc": description, "group_name": known}]


def security_groups(
    names: Mapping[str, str],
    stage: Stage,
    operator_cidrs: Sequence[str],
    ports: Mapping[str, int],
    available: Collection[str] | None = None,
) -> list[dict[str, Any]]:
    """The four groups with all their inbound rules, each after those it refers to.

    In check mode on an empty account a group cannot be referred to yet: available then names those that exist.
    """
    world = ["0.0.0.0/0", "::/0"] if stage == "open" else []
    ssh = _from_cidrs(22, operator_cidrs, "SSH from the operators")
    api = (
        _from_groups(ports["api"], [names["alb"]], available, "API from the load balancer")
        if stage == "open"
        else _from_cidrs(ports["api"], operator_cidrs, "API from the operators, until opening")
    )
    hosts = [names["api"], names["worker"]]
    return [
        {
            "name": names["alb"],
            "description": "Load balancer: HTTPS for everybody once open",
            "rules": [
                *_from_cidrs(443, world, "HTTPS"),
                *_from_cidrs(80, world, "Redirected to HTTPS"),
            ],
        },
        {"name": names["api"], "description": "API hosts", "rules": [*ssh, *api]},
        {"name": names["worker"], "description": "Worker hosts", "rules": ssh},
        {
            "name": names["database"],
            "description": "Database: PostgreSQL from API and worker hosts",
            "rules": _from_groups(ports["database"], hosts, available, "PostgreSQL from the hosts"),
        },
    ]

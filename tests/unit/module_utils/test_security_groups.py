# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Judging operators' addresses, who may reach what, and which security groups differ from that."""

from __future__ import annotations

from typing import Any, Literal

import pytest

from plugins.module_utils.security_groups import (
    operator_cidr_problems,
    security_group_changes,
    security_groups,
)

NAMES = {"alb": "x-alb-sg", "api": "x-api-sg", "worker": "x-worker-sg", "database": "rds-x-sg"}
ME = "203.0.113.7/32"
PORTS = {"api": 8001, "database": 5433}


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


def test_before_opening_nobody_but_operators_and_workers_gets_in() -> None:
    operators = {(port, cidr) for port in ("22", "8001") for cidr in (ME, "2001:db8::1/128")}
    assert rules("test") == {
        "x-alb-sg": set(),
        "x-api-sg": {*operators, ("8001", "x-worker-sg")},
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
    assert ("8001", "x-worker-sg") not in rules("test", available=["x-api-sg"])["x-api-sg"]


def test_descriptions_are_ascii_because_ec2_takes_nothing_else() -> None:
    for group in security_groups(NAMES, "open", [ME], PORTS):
        assert group["description"].isascii()
        assert all(rule["rule_desc"].isascii() for rule in group["rules"])


@pytest.mark.parametrize("stage", ["test", "open"])
def test_groups_come_after_those_they_refer_to(stage: Literal["test", "open"]) -> None:
    seen: set[str] = set()
    for group in security_groups(NAMES, stage, [ME], PORTS):
        assert {name for rule in group["rules"] for name in rule.get("group_name", [])} <= seen
        seen.add(group["name"])


TAGS = {"Project": "x", "Role": "network"}
IDS = {"x-alb-sg": "sg-1", "x-api-sg": "sg-2", "x-worker-sg": "sg-3", "rds-x-sg": "sg-4"}
WANTED = security_groups(NAMES, "open", [ME], PORTS)


def permission(port: int, **sources: list[dict[str, str]]) -> dict[str, Any]:
    """A rule as EC2 tells it: with every list of sources, most of them empty."""
    lists: dict[str, Any] = {
        "ip_ranges": [],
        "ipv6_ranges": [],
        "prefix_list_ids": [],
        "user_id_group_pairs": [],
        **sources,
    }
    return {"ip_protocol": "tcp", "from_port": port, "to_port": port, **lists}


def from_group(name: str, description: str) -> dict[str, str]:
    return {"group_id": IDS[name], "user_id": "123456789012", "description": description}


EGRESS: dict[str, Any] = {
    "ip_protocol": "-1",
    "ip_ranges": [{"cidr_ip": "0.0.0.0/0"}],
    "ipv6_ranges": [],
    "user_id_group_pairs": [],
}
SSH = permission(22, ip_ranges=[{"cidr_ip": ME, "description": "SSH from the operators"}])
FOUND: dict[str, list[dict[str, Any]]] = {
    "x-alb-sg": [
        permission(
            port,
            ip_ranges=[{"cidr_ip": "0.0.0.0/0", "description": description}],
            ipv6_ranges=[{"cidr_ipv6": "::/0", "description": description}],
        )
        for port, description in ((80, "Redirected to HTTPS"), (443, "HTTPS"))
    ],
    "x-api-sg": [SSH, permission(8001, user_id_group_pairs=[from_group("x-alb-sg", "API from the load balancer")])],
    "x-worker-sg": [SSH],
    "rds-x-sg": [
        permission(
            5433,
            user_id_group_pairs=[from_group(name, "PostgreSQL from the hosts") for name in ("x-worker-sg", "x-api-sg")],
        )
    ],
}


def found(**change: Any) -> dict[str, dict[str, Any]]:
    """The four groups as they should be, but for what is changed about that of the API."""
    groups: dict[str, dict[str, Any]] = {
        name: {
            "group_id": IDS[name],
            "group_name": name,
            "description": "somebody else's",
            "ip_permissions": permissions,
            "ip_permissions_egress": [EGRESS],
            "tags": {**TAGS, "Name": name, "aws:cloudformation:stack-name": "theirs"},
        }
        for name, permissions in FOUND.items()
    }
    return {**groups, "x-api-sg": {**groups["x-api-sg"], **change}}


def test_groups_as_they_should_be_are_left_alone() -> None:
    assert security_group_changes(WANTED, TAGS, found()) == []


def test_missing_groups_are_made_with_their_tags_in_the_order_of_references() -> None:
    changes = security_group_changes(WANTED, TAGS, {})
    assert [(change["name"], change["reason"]) for change in changes] == [
        (name, "missing") for name in ("x-alb-sg", "x-worker-sg", "x-api-sg", "rds-x-sg")
    ]
    assert changes[2]["tags"] == {**TAGS, "Name": "x-api-sg"}
    assert changes[2]["rules_egress"] == [{"proto": "all", "cidr_ip": ["0.0.0.0/0"]}]


API_RULES = FOUND["x-api-sg"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"ip_permissions": [SSH]}, ["ingress", "-> ['tcp 22", "tcp 8001 x-alb-sg (API from the load balancer)"]),
        ({"ip_permissions": [*API_RULES, permission(22, ip_ranges=[{"cidr_ip": "0.0.0.0/0"}])]}, ["tcp 22 0.0.0.0/0"]),
        ({"ip_permissions": [*API_RULES, permission(22, ipv6_ranges=[{"cidr_ipv6": "::/0"}])]}, ["tcp 22 ::/0"]),
        (
            {"ip_permissions": [*API_RULES, permission(22, prefix_list_ids=[{"prefix_list_id": "pl-1"}])]},
            ["tcp 22 pl-1"],
        ),
        (
            {"ip_permissions": [*API_RULES, permission(22, user_id_group_pairs=[{"group_id": "sg-9"}])]},
            ["tcp 22 sg-9"],
        ),
        (
            {"ip_permissions": [*API_RULES, permission(22, user_id_group_pairs=[from_group("x-worker-sg", "")])]},
            ["tcp 22 x-worker-sg"],
        ),
        ({"ip_permissions": [*API_RULES, {**SSH, "ip_protocol": "udp"}]}, ["udp 22"]),
        ({"ip_permissions": [*API_RULES, {**SSH, "ip_protocol": "-1"}]}, ["all 203.0.113.7/32"]),
        ({"ip_permissions": [{**SSH, "to_port": 65535}, API_RULES[1]]}, ["tcp 22-65535"]),
        (
            {"ip_permissions": [permission(22, ip_ranges=[{"cidr_ip": ME, "description": "?"}]), API_RULES[1]]},
            ["tcp 22 203.0.113.7/32 (?)"],
        ),
        ({"ip_permissions": [*API_RULES, {"ip_protocol": "tcp", "new_kind": ["x"]}]}, ["new_kind ['x']"]),
        ({"ip_permissions_egress": []}, ["egress: [] -> ['all 0.0.0.0/0']"]),
        (
            {"ip_permissions_egress": [{**EGRESS, "ipv6_ranges": [{"cidr_ipv6": "::/0"}]}]},
            ["egress: ['all 0.0.0.0/0', 'all ::/0'] ->"],
        ),
        ({"tags": {**TAGS, "Name": "x-api-sg", "Project": "y"}}, ["tags", "'Project': 'y'"]),
    ],
)
def test_whatever_else_a_group_lets_through_is_a_reason(change: dict[str, Any], words: list[str]) -> None:
    (mended,) = security_group_changes(WANTED, TAGS, found(**change))
    assert mended["name"] == "x-api-sg"
    assert all(word in mended["reason"] for word in words), mended["reason"]


def test_every_protocol_has_no_ports_however_that_is_told() -> None:
    egress = {**EGRESS, "from_port": -1, "to_port": -1}
    assert security_group_changes(WANTED, TAGS, found(ip_permissions_egress=[egress])) == []

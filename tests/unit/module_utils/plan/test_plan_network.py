# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Judging operators' addresses, who may reach what, and which security groups have to be created or updated."""

from __future__ import annotations

from typing import Any

import pytest

from plugins.module_utils.findings import Finding, texts
from plugins.module_utils.plan import Change
from plugins.module_utils.plan.network import ROLE, operator_cidr_findings, wanted_groups

NAMES = {"alb": "x-alb-sg", "api": "x-api-sg", "worker": "x-worker-sg", "database": "rds-x-sg"}
ME = "203.0.113.7/32"
INPUTS: dict[str, Any] = {
    "network_security_group_names": NAMES,
    "stage": "open",
    "operator_cidrs": [ME],
    "api_port": 8001,
    "database_port": 5433,
    "deployment_tags": {"Project": "x"},
    "public_name": "api.example.com",
    "certificate_arn": "",
    "load_balancer_name": "x-alb",
    "load_balancer_target_group_name": "x-api",
    "network_step": "whole",
}
CERTIFICATE = {
    "certificate_arn": "arn:aws:acm:ap-northeast-2:123456789012:certificate/1",
    "domain_name": "api.example.com",
    "status": "ISSUED",
    "tags": {"Project": "x"},
}
# As the roles certificate and load_balancer made it before.
READY: dict[str, Any] = {
    "certificates": {"api.example.com": [CERTIFICATE]},
    "load_balancers": {
        "x-alb": {
            "availability_zones": [{"zone_name": "a"}, {"zone_name": "b"}],
            "listeners": [{"Port": 443, "Certificates": [{"CertificateArn": CERTIFICATE["certificate_arn"]}]}],
        }
    },
    "target_groups": {"x-api": {"targets": [{"id": "i-1", "port": 8001, "state": "healthy"}]}},
}


@pytest.mark.parametrize("cidrs", [[ME], ["198.51.100.0/24"], ["2001:db8:1::/56", ME]])
def test_operators_addresses_are_accepted(cidrs: list[str]) -> None:
    assert texts(operator_cidr_findings(cidrs)) == []


@pytest.mark.parametrize(
    ("cidrs", "words"),
    [
        ([], ["at least one"]),
        (["0.0.0.0/0"], ["the whole world"]),
        (["::/0"], ["the whole world"]),
        (["10.0.0.0/8"], ["too wide", "/24"]),
        (["2001:db8::/32"], ["too wide", "/56"]),
        (["203.0.113.7"], ["Write 203.0.113.7/32"]),
        (["203.0.113.7/24"], ["Write 203.0.113.0/24"]),
        (["my address"], ["is no CIDR"]),
    ],
)
def test_other_addresses_are_refused(cidrs: list[str], words: list[str]) -> None:
    (problem,) = texts(operator_cidr_findings(cidrs))
    assert problem.startswith("operator_cidrs")
    assert all(word in problem for word in words)


def refused(**inputs: Any) -> list[Finding]:
    return [finding for rule in ROLE.rules for finding in rule.findings({**INPUTS, "stage": "test", **inputs})]


def test_the_rules_of_the_role_judge_names_addresses_and_the_stage() -> None:
    assert refused() == []
    same = {**NAMES, "alb": NAMES["api"]}
    wrong = {"network_security_group_names": same, "operator_cidrs": [], "stage": "open", "public_name": ""}
    assert {finding.id for finding in refused(**wrong)} == {
        "security_group_shared",
        "operator_cidr_none",
        "opening_name",
    }


def test_opening_waits_for_all_that_it_needs_and_changes_nothing_before() -> None:
    nothing: dict[str, Any] = {"certificates": {}, "load_balancers": {}, "target_groups": {}}
    plan = ROLE.decide(INPUTS, {"network": NETWORK, "security_groups": {}, **nothing})
    assert [finding.id for finding in plan.refusals] == ["opening_certificate", "opening_load_balancer", "opening_host"]
    assert plan.changes == []


NETWORK = {"vpc_id": "vpc-1", "subnets": []}


def changes(found: dict[str, Any], **inputs: Any) -> list[Change]:
    return [*ROLE.decide({**INPUTS, **inputs}, {"network": NETWORK, "security_groups": found, **READY}).changes]


def wanted(stage: str, *cidrs: str, **inputs: Any) -> list[dict[str, Any]]:
    """All groups as the role's task creates them."""
    found = changes({}, stage=stage, operator_cidrs=[ME, *cidrs], **inputs)
    return [dict(change.apply["groups"]) for change in found]


def rules(stage: str, **inputs: Any) -> dict[str, set[tuple[str, str]]]:
    """Group → (port, source) of its rules."""
    return {
        group["name"]: {
            (port, source)
            for rule in group["rules"]
            for port in rule["ports"]
            for key in ("cidr_ip", "cidr_ipv6", "group_name")
            for source in rule.get(key, [])
        }
        for group in wanted(stage, "2001:db8::1/128", **inputs)
    }


def test_before_opening_nobody_but_operators_and_workers_gets_in() -> None:
    operators = {(port, cidr) for port in ("22", "8001") for cidr in (ME, "2001:db8::1/128")}
    assert rules("test", public_name="") == {
        "x-alb-sg": set(),
        "x-api-sg": {*operators, ("8001", "x-worker-sg")},
        "x-worker-sg": {rule for rule in operators if rule[0] == "22"},
        "rds-x-sg": {("5433", "x-api-sg"), ("5433", "x-worker-sg")},
    }


def test_before_opening_operators_try_the_public_name_and_the_load_balancer_asks() -> None:
    found, without = rules("test"), rules("test", public_name="")
    assert found["x-alb-sg"] == {(port, cidr) for port in ("80", "443") for cidr in (ME, "2001:db8::1/128")}
    assert found["x-api-sg"] == {*without["x-api-sg"], ("8001", "x-alb-sg")}


def test_after_opening_the_api_answers_the_load_balancer_alone() -> None:
    found = rules("open")
    assert found["x-alb-sg"] == {(port, world) for port in ("80", "443") for world in ("0.0.0.0/0", "::/0")}
    assert {rule for rule in found["x-api-sg"] if rule[0] == "8001"} == {("8001", "x-alb-sg")}


def test_on_an_empty_account_every_group_is_told_with_all_its_rules() -> None:
    told = {
        change.resource: [different.field for different in change.differences]
        for change in changes({}, stage="test", public_name="")
    }
    always = ["egress all 0.0.0.0/0", "tags"]
    assert told == {
        "x-alb-sg": always,
        "x-worker-sg": ["ingress tcp 22 203.0.113.7/32 (SSH from the operators)", *always],
        "x-api-sg": [
            "ingress tcp 22 203.0.113.7/32 (SSH from the operators)",
            "ingress tcp 8001 203.0.113.7/32 (API from the operators, until opening)",
            "ingress tcp 8001 x-worker-sg (API from the workers, until opening)",
            *always,
        ],
        "rds-x-sg": [
            "ingress tcp 5433 x-api-sg (PostgreSQL from the hosts)",
            "ingress tcp 5433 x-worker-sg (PostgreSQL from the hosts)",
            *always,
        ],
    }


def test_descriptions_are_ascii_because_ec2_takes_nothing_else() -> None:
    for group in wanted("open"):
        assert group["description"].isascii()
        assert all(rule["rule_desc"].isascii() for rule in group["rules"])


WORLD = [
    {
        "from_port": port,
        "to_port": port,
        "ip_protocol": "tcp",
        "ip_ranges": [{"cidr_ip": "0.0.0.0/0", "description": description}],
        "ipv6_ranges": [{"cidr_ipv6": "::/0", "description": description}],
    }
    for port, description in ((443, "HTTPS"), (80, "Redirected to HTTPS"))
]


@pytest.mark.parametrize(
    "case",  # stage, whether everybody is let in already, step: who comes in, who reaches the API, whether more follows
    [
        # Until the API has its settings everything stays as it is but what closes nothing.
        ("open", False, "prepare", ME, ME, True),
        ("open", False, "finish", "0.0.0.0/0", "x-alb-sg", False),
        ("test", True, "prepare", "0.0.0.0/0", ME, True),
        ("test", True, "finish", ME, ME, False),
        # Where nothing changes there is nothing to wait for.
        ("open", True, "prepare", "0.0.0.0/0", "x-alb-sg", False),
        ("test", False, "prepare", ME, ME, False),
    ],
)
def test_the_world_comes_and_goes_after_the_api_has_its_settings(
    case: tuple[str, bool, str, str, str, bool],
) -> None:
    stage, is_open, step, visitors, of_api, moving = case
    groups = {**found(), "x-alb-sg": {**found()["x-alb-sg"], "ip_permissions": WORLD if is_open else []}}
    plan = ROLE.decide(
        {**INPUTS, "stage": stage, "network_step": step}, {"network": NETWORK, "security_groups": groups, **READY}
    )
    assert plan.known == {"moving": moving}
    alb, _, api, _ = (
        group["rules"] for group in wanted_groups({**INPUTS, "stage": stage, "network_step": step}, groups)
    )
    assert {source for rule in alb for source in rule.get("cidr_ip", [])} == {visitors}
    sources = [
        source
        for rule in api
        if rule["ports"] == ["8001"]
        for key in ("cidr_ip", "group_name")
        for source in rule.get(key, [])
    ]
    assert of_api in sources
    assert (ME in sources) == (of_api == ME)


@pytest.mark.parametrize(
    "theirs",
    [
        WORLD[:1],
        [{**WORLD[0], "ipv6_ranges": []}, WORLD[1]],
        [{**rule, "ip_ranges": [{"cidr_ip": "0.0.0.0/0"}]} for rule in WORLD],
    ],
)
def test_what_others_opened_in_stage_test_is_no_opening_and_taken_away_at_once(theirs: list[Any]) -> None:
    inputs = {**INPUTS, "stage": "test", "network_step": "prepare"}
    groups = {**found(), "x-alb-sg": {**found()["x-alb-sg"], "ip_permissions": theirs}}
    plan = ROLE.decide(inputs, {"network": NETWORK, "security_groups": groups})
    assert plan.known == {"moving": False}
    (change,) = [change for change in plan.changes if change.resource == "x-alb-sg"]
    sources = [rule.get(key) for rule in change.apply["groups"]["rules"] for key in ("cidr_ip", "cidr_ipv6")]
    assert not {"0.0.0.0/0", "::/0"} & {cidr for each in sources for cidr in each or []}


def test_whoever_finishes_is_not_refused_because_a_host_has_just_got_its_settings() -> None:
    ill = {**READY, "target_groups": {"x-api": {"targets": [{"id": "i-1", "port": 8001, "state": "unhealthy"}]}}}
    steps = {
        step: len(
            ROLE.decide({**INPUTS, "network_step": step}, {"network": NETWORK, "security_groups": {}, **ill}).refusals
        )
        for step in ("prepare", "finish", "whole")
    }
    assert steps == {"prepare": 1, "finish": 0, "whole": 1}


@pytest.mark.parametrize("stage", ["test", "open"])
def test_groups_come_after_those_they_refer_to(stage: str) -> None:
    seen: set[str] = set()
    for group in wanted(stage):
        assert {name for rule in group["rules"] for name in rule.get("group_name", [])} <= seen
        seen.add(group["name"])


TAGS = {"Project": "x", "Role": "network"}
IDS = {"x-alb-sg": "sg-1", "x-api-sg": "sg-2", "x-worker-sg": "sg-3", "rds-x-sg": "sg-4"}


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
    assert changes(found()) == []


def test_missing_groups_are_created_with_their_tags_in_the_order_of_references() -> None:
    found_changes = changes({})
    assert [(change.resource, change.verb) for change in found_changes] == [
        (name, "create") for name in ("x-alb-sg", "x-worker-sg", "x-api-sg", "rds-x-sg")
    ]
    group = found_changes[2].apply["groups"]
    assert group["tags"] == {**TAGS, "Name": "x-api-sg"}
    assert group["vpc_id"] == "vpc-1"
    assert group["rules_egress"] == [{"proto": "all", "cidr_ip": ["0.0.0.0/0"]}]


def test_a_group_that_exists_refers_by_name_to_one_that_does_not() -> None:
    lonely = found()
    del lonely["x-alb-sg"]
    alb, api = changes(lonely)
    assert (alb.resource, alb.verb) == ("x-alb-sg", "create")
    # Its rule names the id of a group that was deleted.
    assert (api.resource, api.reason) == (
        "x-api-sg",
        "ingress tcp 8001 sg-1 (API from the load balancer): allowed -> none; "
        "ingress tcp 8001 x-alb-sg (API from the load balancer): none -> allowed",
    )


def test_the_network_and_the_groups_by_their_names_are_read() -> None:
    names = ["x-alb-sg", "x-api-sg", "x-worker-sg", "rds-x-sg"]
    nothing = {"vpc_id": None, "subnet_ids": None, "minimum_zones": 2, "security_group_names": names}
    assert ROLE.reads({**INPUTS, "stage": "test"}) == nothing
    # Who opens is judged.
    assert {*ROLE.reads(INPUTS)} - {*nothing} == {"certificates", "load_balancer_names", "target_group_names"}
    chosen = {"vpc_id": "vpc-1", "subnet_ids": ["subnet-1"]}
    assert ROLE.reads({**INPUTS, "stage": "test", **chosen}) == {**nothing, **chosen}


API_RULES = FOUND["x-api-sg"]
FROM_ALB = "ingress tcp 8001 x-alb-sg (API from the load balancer)"


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"ip_permissions": [SSH]}, [f"+{FROM_ALB}"]),
        (
            {"ip_permissions": [*API_RULES, permission(22, ip_ranges=[{"cidr_ip": "0.0.0.0/0"}])]},
            ["-ingress tcp 22 0.0.0.0/0"],
        ),
        (
            {"ip_permissions": [*API_RULES, permission(22, ipv6_ranges=[{"cidr_ipv6": "::/0"}])]},
            ["-ingress tcp 22 ::/0"],
        ),
        (
            {"ip_permissions": [*API_RULES, permission(22, prefix_list_ids=[{"prefix_list_id": "pl-1"}])]},
            ["-ingress tcp 22 pl-1"],
        ),
        (
            {"ip_permissions": [*API_RULES, permission(22, user_id_group_pairs=[{"group_id": "sg-9"}])]},
            ["-ingress tcp 22 sg-9"],
        ),
        (
            {"ip_permissions": [*API_RULES, permission(22, user_id_group_pairs=[from_group("x-worker-sg", "")])]},
            ["-ingress tcp 22 x-worker-sg"],
        ),
        (
            {"ip_permissions": [*API_RULES, {**SSH, "ip_protocol": "udp"}]},
            [f"-ingress udp 22 {ME} (SSH from the operators)"],
        ),
        (
            {"ip_permissions": [*API_RULES, {**SSH, "ip_protocol": "-1"}]},
            [f"-ingress all {ME} (SSH from the operators)"],
        ),
        (
            {"ip_permissions": [{**SSH, "to_port": 65535}, API_RULES[1]]},
            [f"-ingress tcp 22-65535 {ME} (SSH from the operators)", f"+ingress tcp 22 {ME} (SSH from the operators)"],
        ),
        (
            {"ip_permissions": [permission(22, ip_ranges=[{"cidr_ip": ME, "description": "?"}]), API_RULES[1]]},
            [f"-ingress tcp 22 {ME} (?)", f"+ingress tcp 22 {ME} (SSH from the operators)"],
        ),
        (
            {"ip_permissions": [*API_RULES, {"ip_protocol": "tcp", "new_kind": ["x"]}]},
            ["-ingress new_kind ['x']"],
        ),
        ({"ip_permissions_egress": []}, ["+egress all 0.0.0.0/0"]),
        (
            {"ip_permissions_egress": [{**EGRESS, "ipv6_ranges": [{"cidr_ipv6": "::/0"}]}]},
            ["-egress all ::/0"],
        ),
    ],
)
def test_whatever_else_a_group_lets_through_is_a_reason(change: dict[str, Any], told: list[str]) -> None:
    (updated,) = changes(found(**change))
    assert updated.resource == "x-api-sg"
    assert [f"{'+' if rule.after else '-'}{rule.field}" for rule in updated.differences] == told
    assert {*updated.differences[0][1:]} == {"allowed", None}


def test_other_tags_are_a_reason() -> None:
    (updated,) = changes(found(tags={**TAGS, "Name": "x-api-sg", "Project": "y"}))
    assert updated.reason.startswith("tags: Project y -> x")


def test_every_protocol_has_no_ports_however_that_is_told() -> None:
    egress = {**EGRESS, "from_port": -1, "to_port": -1}
    assert changes(found(ip_permissions_egress=[egress])) == []

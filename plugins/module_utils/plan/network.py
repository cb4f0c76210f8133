# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who may reach what: four security groups in the network that is there."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from ipaddress import IPv6Network, ip_network
from typing import Any

from ..findings import Finding, Words
from ..name_rules import security_group_name_findings
from ..network import MINIMUM_ZONES
from ..opening import lets_everybody_in, opening_findings, opening_reads, stage_findings
from ..tags import own_tags, role_tags
from . import Change, Plan, Role, Rule, Values, compare

WHY = "guide §5"
# An operator is a person or an office, not a provider. Anything wider is a mistake or the world.
SHORTEST_OPERATOR_PREFIX = {4: 24, 6: 56}

GroupRule = dict[str, Any]

# Hosts reach out to package repositories, AWS and object storage.
EVERYWHERE: list[GroupRule] = [{"proto": "all", "cidr_ip": ["0.0.0.0/0"]}]

ALLOWED = "allowed"
# What EC2 calls every protocol, which has no ports.
EVERY_PROTOCOL = "-1"
# The sources in one of EC2's rules: the list's name, and the name of its elements.
SOURCES = {
    "ip_ranges": "cidr_ip",
    "ipv6_ranges": "cidr_ipv6",
    "prefix_list_ids": "prefix_list_id",
    "user_id_group_pairs": "group_id",
}


def _operator_cidr_finding(cidr: str) -> Finding | None:
    """Why this is no address of an operator, or nothing."""
    subject, found = "operator_cidrs", f"'{cidr}'"
    try:
        network = ip_network(cidr, strict=False)
    except ValueError:
        return Finding(
            "operator_cidr_malformed",
            subject,
            found,
            Words("each must be a CIDR; this is no CIDR", "각 항목은 CIDR이어야 합니다"),
            Words(
                "Write an address with its prefix, such as 203.0.113.7/32.",
                "203.0.113.7/32처럼 주소와 접두사를 쓰십시오.",
            ),
        )
    shortest, full = SHORTEST_OPERATOR_PREFIX[network.version], network.max_prefixlen
    if network.prefixlen < shortest:
        return Finding(
            "operator_cidr_world" if network.prefixlen == 0 else "operator_cidr_wide",
            subject,
            f"'{cidr}', which is {'the whole world' if network.prefixlen == 0 else 'too wide'}",
            Words(
                f"SSH and the API open to operators alone, IPv{network.version} prefixes of /{shortest} or longer",
                f"SSH와 API는 운영자에게만 엽니다. IPv{network.version} 접두사는 /{shortest} 이상이어야 합니다",
            ),
            Words("Write your own address.", "자신의 주소를 쓰십시오(curl https://checkip.amazonaws.com)."),
        )
    if cidr != str(network):
        return Finding(
            "operator_cidr_form",
            subject,
            found,
            Words(
                "must be written as AWS stores it, else every run would change it",
                "AWS가 저장하는 형태로 써야 합니다. 그렇지 않으면 실행할 때마다 변경됩니다",
            ),
            Words(f"Write {network}.", f"{network}로 쓰십시오."),
        )
    if network.prefixlen < full:
        return Finding(
            "operator_cidr_recommended",
            subject,
            found,
            Words(f"one address (/{full}) is recommended", f"주소 하나(/{full})를 권장합니다"),
            Words("Keep it if it is your office's.", "사무실 대역이 맞다면 그대로 두십시오."),
            "warning",
        )
    return None


def operator_cidr_findings(cidrs: Sequence[str]) -> list[Finding]:
    """Everything wrong with the addresses that may reach SSH and, in stage test, the API."""
    if not cidrs:
        return [
            Finding(
                "operator_cidr_none",
                "operator_cidrs",
                "none",
                Words(
                    "at least one is needed: nobody could reach a host by SSH",
                    "하나 이상 필요합니다. 없으면 아무도 SSH로 접속할 수 없습니다",
                ),
                Words(
                    "Write your own address, such as [203.0.113.7/32] (curl https://checkip.amazonaws.com shows it).",
                    "[203.0.113.7/32]처럼 자신의 주소를 쓰십시오(curl https://checkip.amazonaws.com).",
                ),
            )
        ]
    return [finding for finding in map(_operator_cidr_finding, cidrs) if finding]


def _from_cidrs(port: int, cidrs: Sequence[str], description: str) -> list[GroupRule]:
    networks = [ip_network(cidr) for cidr in cidrs]
    v6 = [str(network) for network in networks if isinstance(network, IPv6Network)]
    v4 = [str(network) for network in networks if not isinstance(network, IPv6Network)]
    sources = ({"cidr_ip": v4} if v4 else {}, {"cidr_ipv6": v6} if v6 else {})
    return [{"proto": "tcp", "ports": [str(port)], "rule_desc": description, **source} for source in sources if source]


def _from_groups(port: int, groups: Sequence[str], description: str) -> list[GroupRule]:
    return [{"proto": "tcp", "ports": [str(port)], "rule_desc": description, "group_name": list(groups)}]


WORLD = ("0.0.0.0/0", "::/0")


def _balancer_rules(visitors: Sequence[str]) -> list[GroupRule]:
    return [*_from_cidrs(443, visitors, "HTTPS"), *_from_cidrs(80, visitors, "Redirected to HTTPS")]


# What a run does about the stage before the API has its settings, after that, and what there is to do in all.
PREPARE, FINISH, WHOLE = "prepare", "finish", "whole"


def wanted_groups(inputs: Values, found: Mapping[str, Values]) -> list[dict[str, Any]]:
    """The four groups with all their rules, each after those it refers to.

    Before it is opened, who has a public name can be tried by operators, and its load balancer asks the API's health.
    The world comes and goes only once the API knows under which name it answers.
    """
    names, api_port = inputs["network_security_group_names"], inputs["api_port"]
    opens = inputs["stage"] == "open"
    is_open = _is_open(inputs, found) if inputs["network_step"] == PREPARE else opens
    closes_api = opens and is_open
    visitors = WORLD if is_open else inputs["operator_cidrs"] if inputs["public_name"] else []
    from_balancer = _from_groups(api_port, [names["alb"]], "API from the load balancer")
    ssh = _from_cidrs(22, inputs["operator_cidrs"], "SSH from the operators")
    api = (
        from_balancer
        if closes_api
        else [
            *_from_cidrs(api_port, inputs["operator_cidrs"], "API from the operators, until opening"),
            # At its private address, where API_BASE_URL has them report; once open they take the load balancer's way.
            *_from_groups(api_port, [names["worker"]], "API from the workers, until opening"),
            *(from_balancer if inputs["public_name"] else []),
        ]
    )
    hosts = [names["api"], names["worker"]]
    groups: list[dict[str, Any]] = [
        {
            "name": names["alb"],
            "description": "Load balancer: HTTPS for everybody once open",
            "rules": _balancer_rules(visitors),
        },
        {"name": names["worker"], "description": "Worker hosts", "rules": ssh},
        {"name": names["api"], "description": "API hosts", "rules": [*ssh, *api]},
        {
            "name": names["database"],
            "description": "Database: PostgreSQL from API and worker hosts",
            "rules": _from_groups(inputs["database_port"], hosts, "PostgreSQL from the hosts"),
        },
    ]
    tags = role_tags(inputs["deployment_tags"], "network")
    return [{**group, "rules_egress": EVERYWHERE, "tags": {**tags, "Name": group["name"]}} for group in groups]


def _text(protocol: str, ports: str, source: str, description: str | None) -> str:
    words = ["all"] if protocol == EVERY_PROTOCOL else [protocol, ports]
    return " ".join([*words, source, *([f"({description})"] if description else [])])


def _wanted_rules(rules: Iterable[GroupRule]) -> list[str]:
    return sorted(
        _text(EVERY_PROTOCOL if rule["proto"] == "all" else rule["proto"], port, source, rule.get("rule_desc"))
        for rule in rules
        for port in rule.get("ports", [""])
        for key in ("cidr_ip", "cidr_ipv6", "group_name")
        for source in rule.get(key, [])
    )


def _found_rules(permissions: Iterable[Mapping[str, Any]], names: Mapping[str, str]) -> list[str]:
    """The same of what EC2 tells; our own groups by their names, and whatever is not understood as it is."""
    rules = []
    for permission in permissions:
        first, last = permission.get("from_port"), permission.get("to_port")
        ports = str(first) if first == last else f"{first}-{last}"
        for kind, key in SOURCES.items():
            for source in permission.get(kind, []):
                name = str(source.get(key, source))
                rules.append(_text(permission["ip_protocol"], ports, names.get(name, name), source.get("description")))
        unknown = set(permission) - {"ip_protocol", "from_port", "to_port", *SOURCES}
        rules += [f"{kind} {permission[kind]}" for kind in sorted(unknown)]
    return sorted(rules)


def _is_open(inputs: Values, found: Mapping[str, Values]) -> bool:
    """Whether everybody is let in and stays so for now.

    Where nobody is to be, a rule that is not ours is no opening that would wait for the API: it is taken away at once.
    """
    if inputs["stage"] == "open":
        return lets_everybody_in(inputs, found)
    group = found.get(inputs["network_security_group_names"]["alb"], {})
    return {*_wanted_rules(_balancer_rules(WORLD))} <= {*_found_rules(group.get("ip_permissions", []), {})}


def _fields(ingress: Iterable[str], egress: Iterable[str], tags: Mapping[str, str]) -> dict[str, Any]:
    """Each rule is a field of its own. The group's description is none: EC2 never changes it."""
    rules = [*(f"ingress {rule}" for rule in ingress), *(f"egress {rule}" for rule in egress)]
    return {**dict.fromkeys(rules, ALLOWED), "tags": tags}


def _changes(group: Values, vpc_id: str, found: Mapping[str, Values]) -> list[Change]:
    """Rules are compared with our groups by their names, which are known before there is a group."""
    names = {other["group_id"]: name for name, other in found.items()}
    wanted = _fields(_wanted_rules(group["rules"]), _wanted_rules(group["rules_egress"]), group["tags"])
    now = found.get(group["name"])
    fields = None
    if now is not None:
        ingress, egress = (_found_rules(now[key], names) for key in ("ip_permissions", "ip_permissions_egress"))
        fields = _fields(ingress, egress, own_tags(now["tags"]))
    foreign = dict.fromkeys(field for field in fields or {} if field not in wanted)
    item = {**group, "vpc_id": vpc_id}
    return compare(group["name"], {**foreign, **wanted}, fields, WHY, lambda _: {"groups": item})


def reads(inputs: Values) -> Values:
    return {
        "vpc_id": inputs.get("vpc_id"),
        "subnet_ids": inputs.get("subnet_ids"),
        "minimum_zones": MINIMUM_ZONES,
        "security_group_names": [*inputs["network_security_group_names"].values()],
        **opening_reads(inputs),
    }


def decide(inputs: Values, found: Values) -> Plan:
    vpc_id, groups = found["network"]["vpc_id"], found["security_groups"]
    step = inputs["network_step"]
    # Whoever has prepared was asked already, and a host that has just got its settings is unhealthy for a moment.
    refused = [] if step == FINISH else opening_findings(inputs, found)
    changes = [change for group in wanted_groups(inputs, groups) for change in _changes(group, vpc_id, groups)]
    moving = step == PREPARE and _is_open(inputs, groups) != (inputs["stage"] == "open")
    return Plan(refused, [] if refused else changes, known={"moving": moving})


ROLE = Role(
    reads,
    decide,
    applies=("groups",),
    rules=(
        Rule(security_group_name_findings, ("network_security_group_names",)),
        Rule(operator_cidr_findings, ("operator_cidrs",)),
        Rule(stage_findings, ("stage", "public_name")),
    ),
)

# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Security groups: what they do not open is dropped in silence, as at AWS.

One table of the machine's own firewall judges every packet on the cloud's bridge, between hosts too, by what the
groups say in the control plane at that moment. It stands outside the hosts: whoever is root there cannot change it, and
neither a restart nor Docker inside of a host makes a hole in it. Whoever is no member yet is closed, so that a host
cannot be reached before its groups are known.

A holder (the instances, the databases) names who has which groups at which address of the bridge; the rest follows.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from typing import Any, Final, Protocol

from localcloud import settings
from localcloud.api import Api
from localcloud.shell import CommandError, run
from localcloud.wire import ApiError, Call

log = logging.getLogger(__name__)

# Whose calls can change a group, a rule, or who has which groups.
SERVICES: Final = ("ec2", "rds", "elbv2")
EVERY_PROTOCOL: Final = "-1"
NAMES_OF_NUMBERS: Final[Mapping[str, str]] = {"1": "icmp", "6": "tcp", "17": "udp"}
ANY_ICMP: Final = -1
EVERYWHERE: Final = IPv4Network("0.0.0.0/0")

TIME_ADDRESS: Final = IPv4Address("169.254.169.123")
# What AWS never filters on its way out: its names, its metadata, its time.
NEVER_FILTERED: Final = (
    f"ip daddr {settings.RESOLVER} meta l4proto {{ tcp, udp }} th dport 53",
    f"ip daddr {settings.METADATA_ADDRESS}",
    f"ip daddr {TIME_ADDRESS} udp dport 123",
)
# Services of AWS that have no groups.
WITHOUT_GROUPS: Final = f"{{ {settings.REGISTRY_ADDRESS}, {settings.BUILDER_ADDRESS} }}"
# After connection tracking, and before any address is translated: what is judged is what the sender wrote.
PRIORITY: Final = -150


@dataclass(frozen=True)
class Rule:
    """One rule: a protocol by its name or number, its ports or its ICMP type and code, and a network or a group."""

    protocol: str
    first: int | None
    last: int | None
    peer: IPv4Network | str


@dataclass(frozen=True)
class Group:
    """What a security group lets in and out."""

    ingress: tuple[Rule, ...] = ()
    egress: tuple[Rule, ...] = ()


@dataclass(frozen=True)
class Member:
    """Whoever is at an address of the bridge, and has these groups."""

    address: IPv4Address
    groups: tuple[str, ...]


class Holder(Protocol):
    """A part of the cloud whose resources have security groups."""

    def members(self) -> Iterable[Member]:
        """All of them now; of two at one address the later one counts. The API's lock is held."""


@dataclass(frozen=True)
class Direction:
    """The two ways of a packet differ in names alone."""

    hook: str
    interface: str
    own: str  # where the packet says who is judged
    peer: str  # where it says who the other one is
    group: str  # what the names of chains begin with
    member: str


INGRESS: Final = Direction("postrouting", "oifname", "daddr", "saddr", "in-", "to-")
EGRESS: Final = Direction("prerouting", "iifname", "saddr", "daddr", "out-", "from-")


# --- pure decisions -----------------------------------------------------------------------------------------------


def what(rule: Rule) -> str | None:
    """The part of an nftables rule that says which packets are meant; None where there can be none."""
    protocol = NAMES_OF_NUMBERS.get(rule.protocol, rule.protocol)
    if protocol == EVERY_PROTOCOL:
        return ""
    if protocol in ("tcp", "udp"):
        ports = f"{rule.first}" if rule.first == rule.last else f"{rule.first}-{rule.last}"
        return f"{protocol} dport {ports}"
    if protocol == "icmp":
        if rule.first in (None, ANY_ICMP):
            return "meta l4proto icmp"
        code = "" if rule.last in (None, ANY_ICMP) else f" icmp code {rule.last}"
        return f"icmp type {rule.first}{code}"
    # There is no IPv6 here, and so none of its ICMP.
    return f"meta l4proto {protocol}" if protocol.isdecimal() and protocol != "58" else None


def whom(rule: Rule, direction: Direction, members: Mapping[IPv4Address, Sequence[str]]) -> str | None:
    """The part that says who the other one may be; None where nobody may. A group stands for private addresses."""
    if rule.peer == EVERYWHERE:
        return ""
    if isinstance(rule.peer, IPv4Network):
        return f"ip {direction.peer} {rule.peer}"
    addresses = sorted(address for address, groups in members.items() if rule.peer in groups)
    return f"ip {direction.peer} {{ {', '.join(map(str, addresses))} }}" if addresses else None


def group_chain(rules: Iterable[Rule], direction: Direction, members: Mapping[IPv4Address, Sequence[str]]) -> list[str]:
    """The lines that accept what a group opens, each once and in one order."""
    parts = ((whom(rule, direction, members), what(rule)) for rule in rules)
    return sorted({" ".join(filter(None, (who, which, "accept"))) for who, which in parts if None not in (who, which)})


def chain(name: str, lines: Iterable[str]) -> str:
    return "\n".join([f"  chain {name} {{", *(f"    {line}" for line in lines), "  }"])


def base_chain(
    name: str, direction: Direction, exempt: Iterable[str], members: Mapping[IPv4Address, Sequence[str]]
) -> str:
    """Where a packet enters: the member's chain decides, and what nobody accepts is dropped."""
    jumps = ", ".join(f"{address} : jump {direction.member}{address}" for address in sorted(members))
    return chain(
        name,
        [
            f"type filter hook {direction.hook} priority {PRIORITY}; policy accept;",
            f'{direction.interface} != "{settings.BRIDGE}" accept',
            "ct state established,related accept",
            f"ip {direction.own} {WITHOUT_GROUPS} accept",
            *(f"{packets} accept" for packets in exempt),
            *([f"ip {direction.own} vmap {{ {jumps} }}"] if jumps else []),
            "drop",
        ],
    )


def ruleset(groups: Mapping[str, Group], members: Iterable[Member]) -> str:
    """Everything that nftables is told, the same for the same state, in whatever order it comes.

    It replaces what it was told before in one step: no packet meets half of it.
    """
    by_address = {member.address: tuple(sorted(set(member.groups) & set(groups))) for member in members}
    used = sorted({group for held in by_address.values() for group in held})
    table = f"table inet {settings.GROUPS_TABLE}"
    chains = [
        *(
            chain(f"{direction.group}{group}", group_chain(rules, direction, by_address))
            for group in used
            for direction, rules in ((INGRESS, groups[group].ingress), (EGRESS, groups[group].egress))
        ),
        *(
            chain(f"{direction.member}{address}", (f"jump {direction.group}{group}" for group in held))
            for address, held in sorted(by_address.items())
            for direction in (INGRESS, EGRESS)
        ),
        base_chain("ingress", INGRESS, [f"meta mark {settings.CONTROL_MARK:#x}"], by_address),
        base_chain("egress", EGRESS, NEVER_FILTERED, by_address),
    ]
    return "\n".join([f"add {table}", f"delete {table}", f"{table} {{", *chains, "}", ""])


# --- what moto knows ----------------------------------------------------------------------------------------------


def read_rules(rules: Iterable[Any]) -> Iterator[Rule]:
    """moto's rules, but for those about IPv6, which is not here."""
    for rule in rules:
        group, network = rule.source_group.get("GroupId"), rule.cidr_ipv4
        if group or network:
            first, last = (None if port is None else int(port) for port in (rule.from_port, rule.to_port))
            yield Rule(str(rule.ip_protocol), first, last, group or IPv4Network(network, strict=False))


def read_groups(ec2: Any) -> dict[str, Group]:
    """All of moto's security groups."""
    return {
        group.id: Group(tuple(read_rules(group.ingress_rules)), tuple(read_rules(group.egress_rules)))
        for group in ec2.describe_security_groups()
    }


# --- the component ------------------------------------------------------------------------------------------------


def load(text: str) -> None:
    """Tell the machine's firewall."""
    run("nft", "--file", "-", text=text)


class SecurityGroups:
    """Keeps the machine's firewall at what the groups say."""

    def __init__(self, api: Api, holders: Sequence[Holder], load: Callable[[str], object] = load) -> None:
        self._api = api
        self._holders = holders
        self._load = load
        self._loaded = ""
        self._changed = threading.Event()
        self._ended = False
        api.listeners.append(self._hear)
        for action in ("AuthorizeSecurityGroupIngress", "AuthorizeSecurityGroupEgress", "ModifySecurityGroupRules"):
            api.hooks.register("ec2", action, before=refuse_prefix_lists)

    def start(self) -> None:
        """Close everything before there is anything."""
        self._apply()
        threading.Thread(target=self._follow, name="security-groups", daemon=True).start()

    def stop(self) -> None:
        """End; the table goes with everything else that the cloud made on the machine."""
        self._ended = True
        self.changed()

    def changed(self) -> None:
        """Say that a group, a rule or a member may be another one now. Many words in a row are heard once."""
        self._changed.set()

    def _hear(self, call: Call) -> None:
        if call.service in SERVICES and call.writes:
            self.changed()

    def _follow(self) -> None:
        while True:
            self._changed.wait()
            self._changed.clear()
            if self._ended:
                return
            try:
                self._apply()
            except CommandError:
                log.exception("the firewall did not take the security groups; those from before stay in force")

    def _apply(self) -> None:
        with self._api.lock:
            groups = read_groups(self._api.backends("ec2"))
            members = [member for holder in self._holders for member in holder.members()]
        wanted = ruleset(groups, members)
        if wanted != self._loaded:
            self._load(wanted)
            self._loaded = wanted


def refuse_prefix_lists(call: Call) -> None:
    """A rule about a prefix list would be kept and do nothing."""
    parameters = call.parameters
    rules = [
        *parameters.get("IpPermissions", []),
        *(changed.get("SecurityGroupRule", {}) for changed in parameters.get("SecurityGroupRules", [])),
    ]
    if any(rule.get("PrefixListIds") or rule.get("PrefixListId") for rule in rules):
        raise ApiError("NotImplemented", "The embedded cloud has no prefix lists: name networks or groups.", 501)

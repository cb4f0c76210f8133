# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What of Elastic Load Balancing decides over traffic: plain values, and how they are read from moto."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address
from typing import Any, Final

from moto.acm.models import AWS_ROOT_CA

DEFAULT_POLICY: Final = "ELBSecurityPolicy-2016-08"
IDLE_TIMEOUT_SECONDS: Final = 60
DEREGISTRATION_DELAY_SECONDS: Final = 300


@dataclass(frozen=True)
class Redirect:
    """A redirect's parts, as templates with #{host} and the like."""

    status: int
    protocol: str = "#{protocol}"
    host: str = "#{host}"
    port: str = "#{port}"
    path: str = "/#{path}"
    query: str = "#{query}"


@dataclass(frozen=True)
class Fixed:
    """An answer of the load balancer's own."""

    status: int
    content_type: str = "text/plain"
    body: str = ""


@dataclass(frozen=True)
class Forward:
    """Target groups by their ARNs, and what part of the requests each of them gets."""

    groups: tuple[tuple[str, int], ...]


Action = Redirect | Fixed | Forward


@dataclass(frozen=True)
class Condition:
    """What a request must be like: one of the values, or of the pairs of a query."""

    field: str
    values: tuple[str, ...] = ()
    name: str = ""
    pairs: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Rule:
    """All conditions, and what is done then. The default rule has none and comes last."""

    action: Action
    conditions: tuple[Condition, ...] = ()


@dataclass(frozen=True)
class Certificate:
    """A certificate with chain and key, in one PEM; named by its content, so that a new one is a new file."""

    pem: bytes = field(repr=False)

    @property
    def name(self) -> str:
        return hashlib.sha256(self.pem).hexdigest()[:16]


@dataclass(frozen=True)
class Listener:
    """A port, its rules in their order, and what TLS takes."""

    port: int
    rules: tuple[Rule, ...]
    policy: str | None = None
    certificates: tuple[Certificate, ...] = ()


@dataclass(frozen=True)
class Group:
    """How the targets of a group are spoken to and judged."""

    arn: str
    protocol: str
    algorithm: str = "round_robin"
    stickiness_seconds: int = 0
    deregistration_delay: int = DEREGISTRATION_DELAY_SECONDS


@dataclass(frozen=True)
class Balancer:
    """A load balancer with everything that a request meets in it."""

    arn: str
    addresses: tuple[IPv4Address, ...]
    listeners: tuple[Listener, ...] = ()
    groups: tuple[Group, ...] = ()
    idle_timeout: int = IDLE_TIMEOUT_SECONDS
    drop_invalid_headers: bool = False
    http2: bool = True
    forwarded_for: str = "append"
    client_port: bool = False


# --- from moto ----------------------------------------------------------------------------------------------------


def read_balancer(
    balancer: Any, addresses: Iterable[IPv4Address], groups: Mapping[str, Any], certificates: Mapping[str, Any]
) -> Balancer:
    """One of moto's load balancers. Hold the API's lock."""
    listeners = tuple(read_listener(listener, certificates) for listener in balancer.listeners.values())
    used = {
        arn
        for listener in listeners
        for rule in listener.rules
        if isinstance(rule.action, Forward)
        for arn, _ in rule.action.groups
    }
    attributes = balancer.attrs
    return Balancer(
        arn=balancer.arn,
        addresses=tuple(addresses),
        listeners=listeners,
        groups=tuple(read_group(groups[arn]) for arn in sorted(used) if arn in groups),
        idle_timeout=int(attributes.get("idle_timeout.timeout_seconds", IDLE_TIMEOUT_SECONDS)),
        drop_invalid_headers=_is_true(attributes.get("routing.http.drop_invalid_header_fields.enabled")),
        http2=_is_true(attributes.get("routing.http2.enabled", "true")),
        forwarded_for=attributes.get("routing.http.xff_header_processing.mode", "append"),
        client_port=_is_true(attributes.get("routing.http.xff_client_port.enabled")),
    )


def read_group(group: Any) -> Group:
    attributes = group.attributes
    sticky = _is_true(attributes.get("stickiness.enabled")) and attributes.get("stickiness.type") == "lb_cookie"
    return Group(
        arn=group.arn,
        protocol=str(group.protocol),
        algorithm=str(attributes.get("load_balancing.algorithm.type", "round_robin")),
        stickiness_seconds=int(attributes.get("stickiness.lb_cookie.duration_seconds", 86400)) if sticky else 0,
        deregistration_delay=int(attributes.get("deregistration_delay.timeout_seconds", DEREGISTRATION_DELAY_SECONDS)),
    )


def read_listener(listener: Any, certificates: Mapping[str, Any]) -> Listener:
    secure = listener.protocol == "HTTPS"
    ordered = sorted(
        (rule for rule in listener.rules.values() if not rule.is_default), key=lambda rule: int(rule.priority)
    )
    rules = [Rule(read_action(rule.actions), tuple(map(read_condition, rule.conditions))) for rule in ordered]
    return Listener(
        port=int(listener.port),
        rules=(*rules, Rule(read_action(listener.default_actions))),
        policy=(listener.ssl_policy or DEFAULT_POLICY) if secure else None,
        certificates=tuple(read_certificates(listener.certificates, certificates)) if secure else (),
    )


def read_certificates(arns: Iterable[str], certificates: Mapping[str, Any]) -> Iterator[Certificate]:
    for arn in dict.fromkeys(arns):
        bundle = certificates.get(arn)
        if bundle is not None and bundle.status == "ISSUED":
            chain = bundle.chain.replace(AWS_ROOT_CA, b"").strip()  # which moto adds to whatever was imported
            yield Certificate(b"\n".join(part.strip() for part in (bundle.cert, chain, bundle.key) if part) + b"\n")


def read_action(actions: Iterable[Any]) -> Action:
    """The one action that answers; who a caller is (authenticate-…) is not asked here."""
    data: Mapping[str, Any] = list(actions)[-1].data
    if data["Type"] == "redirect":
        given = {name: value for name, value in data["RedirectConfig"].items() if value is not None}
        return Redirect(
            status=int(given["StatusCode"].rpartition("_")[2]),
            **{
                name.lower(): str(given[name])
                for name in ("Protocol", "Host", "Port", "Path", "Query")
                if name in given
            },
        )
    if data["Type"] == "fixed-response":
        fixed = data["FixedResponseConfig"]
        return Fixed(int(fixed["StatusCode"]), fixed.get("ContentType") or "text/plain", fixed.get("MessageBody") or "")
    listed = (data.get("ForwardConfig") or {}).get("TargetGroups") or [{"TargetGroupArn": data["TargetGroupArn"]}]
    return Forward(tuple((group["TargetGroupArn"], int(group.get("Weight", 1))) for group in listed))


def read_condition(condition: Mapping[str, Any]) -> Condition:
    field_name = condition["Field"]
    config: Mapping[str, Any] = next(
        (value for name, value in condition.items() if name.endswith("Config") and value), {}
    )
    values = config.get("Values") or condition.get("Values") or []
    if field_name == "query-string":
        return Condition(field_name, pairs=tuple((pair.get("Key") or "", pair["Value"]) for pair in values))
    return Condition(field_name, tuple(values), config.get("HttpHeaderName") or "")


def _is_true(value: object) -> bool:
    return str(value).lower() == "true"

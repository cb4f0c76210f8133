# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The certificate of the public name: requested, validated by a record in DNS, and kept so that ACM can renew it."""

from __future__ import annotations

from functools import partial
from typing import Any

from ..certificates import (
    arn_findings,
    broken_findings,
    choose,
    is_wanting,
    name_findings,
    pending_findings,
    records_of,
    renewal_findings,
    validation_records,
    wanted_certificate,
)
from ..tags import own_tags, role_tags
from . import Change, Plan, Role, Rule, Values, compare

WHY = 'guide "before opening"'


def reads(inputs: Values) -> Values:
    name, arn = inputs["public_name"], inputs["certificate_arn"]
    if not name:
        return {}
    return {"certificates": [wanted_certificate(name, arn)], "public_names": [name]}


def _request_changes(inputs: Values, certificate: Values | None) -> list[Change]:
    name = inputs["public_name"]
    wanted: dict[str, Any] = {"validation": "DNS", "tags": role_tags(inputs["deployment_tags"], "certificate")}
    if certificate is None or is_wanting(certificate, inputs["certificate_arn"]):
        found = None
    else:
        found = {"validation": "DNS", "tags": own_tags(certificate["tags"])}
    item = {"domain_name": name, "tags": wanted["tags"]}
    return compare(f"certificate {name}", wanted, found, WHY, lambda _: {"requests": item})


def _record(item: Values, _: frozenset[str]) -> dict[str, Values]:
    return {"records": item}


def _record_changes(certificate: Values, zone: Values) -> list[Change]:
    changes = []
    for record in validation_records(certificate):
        there = records_of(zone["records"], record.name, ["CNAME"])
        values = [value.rstrip(".").lower() for each in there for value in each["values"]]
        item = {"zone_id": zone["id"], "zone": zone["name"], "record": record.name, "value": f"{record.value}."}
        changes += compare(
            f"record {record.name}",
            {"CNAME": [record.value]},
            {"CNAME": values} if there else None,
            f"{WHY}; ACM validates and renews by it",
            partial(_record, item),
        )
    return changes


def decide(inputs: Values, found: Values) -> Plan:
    """Nothing is left to change while ACM looks for the record, and then it is told what is waited for."""
    name, arn = inputs["public_name"], inputs["certificate_arn"]
    if not name:
        return Plan()
    candidates = found["certificates"].get(wanted_certificate(name, arn), [])
    certificate = choose(candidates, arn, inputs["deployment_name"])
    broken = broken_findings(certificate, arn, name)
    if broken:
        return Plan(broken)
    zone = found["hosted_zones"].get(name)
    changes = [] if arn else _request_changes(inputs, certificate)
    if zone and certificate is not None and not is_wanting(certificate, arn):
        changes += _record_changes(certificate, zone)
    pending = pending_findings(certificate, name, zone["name"] if zone else "")
    # Nobody but the operator can do anything about a zone that is elsewhere.
    known = {"waits": bool(zone and pending)}
    return Plan(renewal_findings(certificate), changes, unsettled=[] if changes else pending, known=known)


ROLE = Role(
    reads,
    decide,
    applies=("requests", "records"),
    rules=(Rule(name_findings, ("public_name",)), Rule(arn_findings, ("certificate_arn", "aws_region"))),
)

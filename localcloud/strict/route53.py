# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What Route 53 refuses beyond its model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from localcloud.strict.rule import Account, Parameters, Rule, by_parameters
from localcloud.wire import ApiError, Call
from localcloud.zones import plain

CHANGE = "route53.ChangeResourceRecordSets"
CREATE_ZONE = "route53.CreateHostedZone"

BALANCER_SUFFIX = ".elb.amazonaws.com"
AT_APEX = ("NS", "SOA")

RecordSet = Mapping[str, Any]
Key = tuple[str, str, str | None]


# --- pure decisions -----------------------------------------------------------------------------------------------


def changes(parameters: Parameters, *actions: str) -> Iterator[RecordSet]:
    """The record sets that a call changes in one of these ways."""
    for change in (parameters.get("ChangeBatch") or {}).get("Changes") or []:
        if change.get("Action") in actions:
            yield change.get("ResourceRecordSet") or {}


def key(record_set: RecordSet) -> Key:
    """What tells a record set from all others of its zone."""
    return plain(record_set.get("Name") or ""), record_set.get("Type") or "", record_set.get("SetIdentifier")


def content(record_set: RecordSet) -> tuple[Any, ...]:
    """What a record set holds, to be compared."""
    alias = record_set.get("AliasTarget") or {}
    values = sorted(record["Value"] for record in record_set.get("ResourceRecords") or [])
    ttl = None if alias else int(record_set.get("TTL") or 0)
    return ttl, values, plain(alias.get("DNSName") or ""), alias.get("HostedZoneId")


def complete(parameters: Parameters) -> ApiError | None:
    """A record set has values with a TTL, or is an alias."""
    for record_set in changes(parameters, "CREATE", "UPSERT", "DELETE"):
        values = bool(record_set.get("ResourceRecords")) and record_set.get("TTL") is not None
        if values == bool(record_set.get("AliasTarget")):
            found = "more than one" if values else "none"
            message = (
                "Invalid request: Expected exactly one of [AliasTarget, all of [TTL, and ResourceRecords], or "
                f"TrafficPolicyInstanceId], but found {found} in Change with [Action=…, Name={record_set.get('Name')}, "
                f"Type={record_set.get('Type')}, SetIdentifier={record_set.get('SetIdentifier') or 'null'}]"
            )
            return ApiError("InvalidInput", message)
    return None


def apex(zone: str, parameters: Parameters) -> ApiError | None:
    for record_set in changes(parameters, "CREATE", "UPSERT"):
        name, record_type, _ = key(record_set)
        if name == zone and record_type == "CNAME":
            return _batch(f"RRSet of type CNAME with DNS name {name}. is not permitted at apex in zone {zone}.")
    return None


def required(zone: str, parameters: Parameters) -> ApiError | None:
    for record_set in changes(parameters, "DELETE"):
        name, record_type, _ = key(record_set)
        if name == zone and record_type in AT_APEX:
            return _batch(f"A HostedZone must contain exactly one {record_type} record.")
    return None


def conflict(zone: str, present: Sequence[Key], parameters: Parameters) -> ApiError | None:
    """A name that is another one's has no records of its own."""
    there = set(present) - {key(record_set) for record_set in changes(parameters, "DELETE")}
    for record_set in changes(parameters, "CREATE", "UPSERT"):
        name, record_type, _ = key(record_set)
        # The zone's own name is the other rule's.
        others = {one[1] for one in there if one[0] == name != zone and one[1] != record_type}
        if record_type == "CNAME" and others:
            return _batch(
                f"RRSet of type CNAME with DNS name {name}. is not permitted as it conflicts with other records with "
                f"the same DNS name in zone {zone}."
            )
        if "CNAME" in others:
            return _batch(
                f"RRSet of type {record_type} with DNS name {name}. is not permitted because a conflicting RRSet of "
                f"type  CNAME with the same DNS name already exists in zone {zone}."
            )
        there.add(key(record_set))
    return None


def exists(present: Sequence[Key], parameters: Parameters) -> ApiError | None:
    deleted = [key(record_set) for record_set in changes(parameters, "DELETE")]
    for record_set in changes(parameters, "CREATE"):
        name, record_type, _ = key(record_set)
        if key(record_set) in present and key(record_set) not in deleted:
            return _batch(
                f"Tried to create resource record set [name='{name}.', type='{record_type}'] but it already exists"
            )
    return None


def same(present: Mapping[Key, tuple[Any, ...]], parameters: Parameters) -> ApiError | None:
    """Who deletes a record set must say all of it."""
    for record_set in changes(parameters, "DELETE"):
        name, record_type, _ = key(record_set)
        known = present.get(key(record_set))
        if known == content(record_set):
            continue
        why = "it was not found" if known is None else "the values provided do not match the current values"
        return _batch(f"Tried to delete resource record set [name='{name}.', type='{record_type}'] but {why}")
    return None


def alias(balancers: Mapping[str, str], parameters: Parameters) -> ApiError | None:
    """An alias of a load balancer names one that exists, with the hosted zone that it tells."""
    for record_set in changes(parameters, "CREATE", "UPSERT"):
        target = record_set.get("AliasTarget") or {}
        name, zone = plain(target.get("DNSName") or "").removeprefix("dualstack."), target.get("HostedZoneId")
        if not name.endswith(BALANCER_SUFFIX) or balancers.get(name) == zone:
            continue
        why = "that target was not found"
        if name in balancers:
            why = "the alias target name does not lie within the target zone"
        return _batch(
            f"Tried to create an alias that targets {name}., type {record_set.get('Type')} in zone {zone}, but {why}"
        )
    return None


def _batch(message: str) -> ApiError:
    return ApiError("InvalidChangeBatch", f"[{message}]")


# --- reading the account ------------------------------------------------------------------------------------------


def _zone(call: Call, account: Account) -> Any | None:
    identifier = (call.parameters.get("HostedZoneId") or "").rpartition("/")[2]
    return account.backends("route53").zones.get(identifier)


def _present(zone: Any) -> dict[Key, tuple[Any, ...]]:
    found = {}
    for one in zone.rrsets if zone else ():
        values = [{"Value": value["Value"] if isinstance(value, Mapping) else value} for value in one.records or []]
        record_set = {
            "Name": one.name, "Type": one.type, "SetIdentifier": one.set_identifier, "TTL": one.ttl,
            "ResourceRecords": values, "AliasTarget": one.alias_target,
        }  # fmt: skip
        found[key(record_set)] = content(record_set)
    return found


def _apex(call: Call, account: Account) -> ApiError | None:
    zone = _zone(call, account)
    return apex(plain(zone.name), call.parameters) if zone else None


def _required(call: Call, account: Account) -> ApiError | None:
    zone = _zone(call, account)
    return required(plain(zone.name), call.parameters) if zone else None


def _conflict(call: Call, account: Account) -> ApiError | None:
    zone = _zone(call, account)
    return conflict(plain(zone.name), [*_present(zone)], call.parameters) if zone else None


def _exists(call: Call, account: Account) -> ApiError | None:
    return exists([*_present(_zone(call, account))], call.parameters)


def _same(call: Call, account: Account) -> ApiError | None:
    zone = _zone(call, account)
    return same(_present(zone), call.parameters) if zone else None


def _alias(call: Call, account: Account) -> ApiError | None:
    balancers = account.backends("elbv2").load_balancers.values()
    return alias({plain(one.dns_name): one.canonical_hosted_zone_id for one in balancers}, call.parameters)


def _caller_reference(call: Call, account: Account) -> ApiError | None:
    reference = call.parameters.get("CallerReference")
    if all(zone.caller_reference != reference for zone in account.backends("route53").zones.values()):
        return None
    message = f"A hosted zone has already been created with the specified caller reference: {reference}"
    return ApiError("HostedZoneAlreadyExists", message)


RULES = (
    Rule(
        "route53-caller-reference",
        (CREATE_ZONE,),
        "a hosted zone with the caller reference of another one",
        "botocore route53 HostedZoneAlreadyExists; message not verified",
        _caller_reference,
    ),
    Rule(
        "route53-record-complete",
        (CHANGE,),
        "a record set that has no values with a TTL and is no alias, or is both",
        "getmoto/moto#4222, as moto refuses a deletion",
        by_parameters(complete),
    ),
    Rule(
        "route53-cname-apex",
        (CHANGE,),
        "a CNAME for the hosted zone's own name",
        "route53-dg ResourceRecordTypes; stackoverflow.com/questions/20215729",
        _apex,
    ),
    Rule(
        "route53-cname-conflict",
        (CHANGE,),
        "a CNAME beside other records of its name",
        "ansible-collections/amazon.aws#2694, boto/boto3#1475",
        _conflict,
    ),
    Rule(
        "route53-record-exists",
        (CHANGE,),
        "creating a record set that exists",
        "botocore route53 Change.Action; as moto refuses a repeated change",
        _exists,
    ),
    Rule(
        "route53-record-same",
        (CHANGE,),
        "deleting a record set with other values than it has",
        "botocore route53 Change.Action; message from public issues, not verified",
        _same,
    ),
    Rule(
        "route53-record-required",
        (CHANGE,),
        "deleting the SOA or NS records of a hosted zone",
        "route53-dg SOA-NSrecords; message for NS not verified",
        _required,
    ),
    Rule(
        "route53-alias-target",
        (CHANGE,),
        "an alias of a load balancer that does not exist, or with another hosted zone than it has",
        "botocore route53 AliasTarget.HostedZoneId; messages not verified",
        _alias,
    ),
)

# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Route 53's hosted zones as the resolver answers for them, and the names of load balancers.

A public zone is answered to everybody as if it had been delegated; a private one inside the VPC alone. Records that
choose (weighted, failover, by place) are answered with the first of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:  # moto takes seconds to load, which whoever only reads zones does not need
    from localcloud.api import Api
    from localcloud.wire import Call

ALIAS_TTL_SECONDS: Final = 60
ADDRESSES: Final = ("A", "AAAA")


@dataclass(frozen=True)
class Record:
    """One record of an answer."""

    name: str
    type: str
    ttl: int
    value: str


@dataclass(frozen=True)
class RecordSet:
    """All records of a name and a type, or the name that they are an alias of."""

    name: str
    type: str
    ttl: int = 300
    values: tuple[str, ...] = ()
    alias: str | None = None


@dataclass(frozen=True)
class HostedZone:
    """A hosted zone. Names are in lower case, without a dot at the end."""

    name: str
    record_sets: tuple[RecordSet, ...] = ()
    private: bool = False


@dataclass(frozen=True)
class Found:
    """What a zone says: records, and the name whose records follow (of a CNAME) or stand for them (of an alias)."""

    records: tuple[Record, ...] = ()
    alias: str | None = None
    follow: str | None = None
    exists: bool = True


NO_SUCH_NAME: Final = Found(exists=False)


def plain(name: str) -> str:
    """A name as it is compared: Route 53 writes an asterisk as \\052."""
    return name.lower().rstrip(".").replace("\\052", "*")


def zone_of(zones: Iterable[HostedZone], name: str, *, outside: bool) -> HostedZone | None:
    """The zone that answers for a name: the longest, and a private one before a public one of the same name."""
    fitting = [
        zone
        for zone in zones
        if (name == zone.name or name.endswith(f".{zone.name}")) and not (outside and zone.private)
    ]
    return max(fitting, key=lambda zone: (len(zone.name), zone.private), default=None)


def find(zone: HostedZone, name: str, record_type: str) -> Found:
    """What a zone says to one question."""
    record_sets = {(one.name, one.type): one for one in reversed(zone.record_sets)}
    names = {one.name for one in zone.record_sets}
    # A name above another one exists, and hides a wildcard.
    exists = any(one == name or one.endswith(f".{name}") for one in names)
    owner = name if exists else _wildcard(names, name, zone.name)
    if owner is None:
        return NO_SUCH_NAME
    record_set = record_sets.get((owner, record_type))
    if record_set is not None:
        return Found(_records(record_set, name), alias=record_set.alias)
    alias_of = record_sets.get((owner, "CNAME"))
    if alias_of is not None:
        if alias_of.alias:
            return Found(alias=alias_of.alias)
        return Found(_records(alias_of, name), follow=plain(alias_of.values[0]))
    return Found()


def _wildcard(names: Iterable[str], name: str, zone: str) -> str | None:
    """The wildcard that stands for a name: that of the nearest name above it which exists."""
    known, parent = set(names), name
    while parent != zone and "." in parent:
        parent = parent.partition(".")[2]
        if f"*.{parent}" in known:
            return f"*.{parent}"
        if any(one == parent or one.endswith(f".{parent}") for one in known):
            return None
    return None


def _records(record_set: RecordSet, name: str) -> tuple[Record, ...]:
    return tuple(Record(name, record_set.type, record_set.ttl, value) for value in record_set.values)


def read_zone(zone: Any) -> HostedZone:
    """One of moto's zones. Hold the API's lock."""
    return HostedZone(plain(zone.name), tuple(_read_sets(zone)), bool(zone.private_zone))


def _read_sets(zone: Any) -> Iterator[RecordSet]:
    for found in zone.rrsets:
        values = [value["Value"] if isinstance(value, Mapping) else value for value in found.records or []]
        alias = plain(found.alias_target["DNSName"]) if found.alias_target else None
        yield RecordSet(plain(found.name), str(found.type), int(found.ttl or ALIAS_TTL_SECONDS), tuple(values), alias)


class Zones:
    """The zones and the load balancers' names as they are now, for whoever resolves names without the API's lock."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._zones: tuple[HostedZone, ...] = ()
        self._balancers: Mapping[str, tuple[IPv4Address, ...]] = {}
        self.listeners: list[Callable[[], None]] = []  # who hears of another record, under the API's lock
        api.listeners.append(self._hear)

    def have_balancers(self, addresses: Mapping[str, tuple[IPv4Address, ...]]) -> None:
        self._balancers = dict(addresses)

    def public(self) -> tuple[HostedZone, ...]:
        """The zones that everybody sees."""
        return tuple(zone for zone in self._zones if not zone.private)

    def find(self, name: str, record_type: str, outside: bool) -> Found | None:
        """What is said to a question; None where none of this is asked."""
        addresses = self._balancers.get(name)
        if addresses is not None:
            records = [Record(name, "A", ALIAS_TTL_SECONDS, str(address)) for address in addresses]
            return Found(tuple(records) if record_type == "A" else ())
        zone = zone_of(self._zones, name, outside=outside)
        return find(zone, name, record_type) if zone else None

    def _hear(self, call: Call) -> None:
        if call.service == "route53" and call.writes:
            self._zones = tuple(map(read_zone, self._api.backends("route53").zones.values()))
            for listener in self.listeners:
                listener()

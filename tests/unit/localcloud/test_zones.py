# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosted zones as the resolver answers for them."""

from __future__ import annotations

from ipaddress import IPv4Address
from types import SimpleNamespace
from typing import Any

import pytest
from dnslib import QTYPE, RCODE, DNSRecord

from localcloud.resolver import UNKNOWN, Answer, Zone, answer
from localcloud.zones import (
    NO_SUCH_NAME,
    Found,
    HostedZone,
    Record,
    RecordSet,
    find,
    plain,
    read_zone,
    zone_of,
)

BALANCER = "academy-1.ap-northeast-2.elb.amazonaws.com"
ADDRESSES = (IPv4Address("203.0.113.20"), IPv4Address("203.0.113.21"))
ZONE = HostedZone(
    "academy.example",
    (
        RecordSet("academy.example", "SOA", 900, ("ns. host. 1 7200 900 1209600 86400",)),
        RecordSet("academy.example", "A", alias=BALANCER),
        RecordSet("www.academy.example", "A", alias=BALANCER),
        RecordSet("www.academy.example", "TXT", 300, ('"a b" "c"', '"d"')),
        RecordSet("old.academy.example", "CNAME", 60, ("www.academy.example.",)),
        RecordSet("video.academy.example", "CNAME", 60, ("cdn.example.net.",)),
        RecordSet("round.academy.example", "CNAME", 60, ("round.academy.example.",)),
        RecordSet("*.users.academy.example", "A", 60, ("192.0.2.7",)),
        RecordSet("a.b.academy.example", "A", 60, ("192.0.2.8",)),
    ),
)
PRIVATE = HostedZone("academy.example", (RecordSet("www.academy.example", "A", 60, ("172.31.0.9",)),), private=True)
INNER = HostedZone("b.academy.example", (RecordSet("x.b.academy.example", "A", 60, ("192.0.2.9",)),))


@pytest.mark.parametrize(
    ("name", "outside", "expected"),
    [
        ("www.academy.example", True, ZONE),
        ("www.academy.example", False, PRIVATE),
        ("academy.example", True, ZONE),
        ("x.b.academy.example", True, INNER),
        ("notacademy.example", True, None),
        ("example", True, None),
    ],
)
def test_the_nearest_zone_that_somebody_sees_answers(name: str, outside: bool, expected: HostedZone | None) -> None:
    assert zone_of([ZONE, PRIVATE, INNER], name, outside=outside) is expected


@pytest.mark.parametrize(
    ("name", "record_type", "expected"),
    [
        ("www.academy.example", "A", Found(alias=BALANCER)),
        ("www.academy.example", "MX", Found()),
        ("b.academy.example", "A", Found()),
        ("gone.academy.example", "A", NO_SUCH_NAME),
        ("kim.users.academy.example", "A", Found((Record("kim.users.academy.example", "A", 60, "192.0.2.7"),))),
        ("kim.users.academy.example", "TXT", Found()),
        (
            "old.academy.example",
            "A",
            Found((Record("old.academy.example", "CNAME", 60, "www.academy.example."),), follow="www.academy.example"),
        ),
        ("old.academy.example", "CNAME", Found((Record("old.academy.example", "CNAME", 60, "www.academy.example."),))),
    ],
)
def test_what_a_zone_says(name: str, record_type: str, expected: Found) -> None:
    assert find(ZONE, name, record_type) == expected


def test_names_are_compared_as_dns_does() -> None:
    assert plain("\\052.Academy.Example.") == "*.academy.example"


def test_a_zone_is_read_as_moto_keeps_it() -> None:
    sets = [
        SimpleNamespace(name="A.example.", type="CNAME", ttl="300", records=["b.example."], alias_target=None),
        SimpleNamespace(name="example.", type="SOA", ttl=900, records=[{"Value": "x"}], alias_target=None),
        SimpleNamespace(name="example.", type="A", ttl=None, records=[], alias_target={"DNSName": "C.example."}),
    ]
    assert read_zone(SimpleNamespace(name="Example.", rrsets=sets, private_zone=False)) == HostedZone(
        "example",
        (
            RecordSet("a.example", "CNAME", 300, ("b.example.",)),
            RecordSet("example", "SOA", 900, ("x",)),
            RecordSet("example", "A", 60, (), "c.example"),
        ),
    )


# --- through the resolver -----------------------------------------------------------------------------------------


def hosted(name: str, record_type: str, outside: bool) -> Found | None:
    if name == BALANCER:
        return Found(tuple(Record(name, "A", 60, str(one)) for one in ADDRESSES) if record_type == "A" else ())
    zone = zone_of([ZONE], name, outside=outside)
    return find(zone, name, record_type) if zone else None


def asked(name: str, record_type: str, *, outside: bool = True) -> Answer | None:
    return answer(name, record_type, lambda _: None, lambda _: None, outside=outside, hosted=hosted)


def both(name: str) -> tuple[Record, ...]:
    return tuple(Record(name, "A", 60, str(address)) for address in ADDRESSES)


CNAME = Record("old.academy.example", "CNAME", 60, "www.academy.example.")
TO_OTHERS = Record("video.academy.example", "CNAME", 60, "cdn.example.net.")


@pytest.mark.parametrize(
    ("name", "record_type", "outside", "expected"),
    [
        (BALANCER, "A", True, Answer(records=both(BALANCER))),
        (BALANCER, "AAAA", True, Answer()),
        ("gone-1.ap-northeast-2.elb.amazonaws.com", "A", True, UNKNOWN),
        ("WWW.academy.example.", "A", True, Answer(records=both("www.academy.example"))),
        ("www.academy.example", "AAAA", True, Answer()),
        ("old.academy.example", "A", True, Answer(records=(CNAME, *both("www.academy.example")))),
        ("gone.academy.example", "A", True, UNKNOWN),
        ("video.academy.example", "A", True, Answer(exists=False, records=(TO_OTHERS,))),
        ("video.academy.example", "A", False, Answer(records=(TO_OTHERS,), ask="cdn.example.net")),
    ],
)
def test_the_resolver_follows_names(name: str, record_type: str, outside: bool, expected: Answer) -> None:
    assert asked(name, record_type, outside=outside) == expected


def test_a_name_that_stands_for_itself_ends() -> None:
    found = asked("round.academy.example", "A")
    assert found is not None
    assert not found.exists


def resolved(name: str, record_type: str, client: str = "203.0.113.2") -> Any:
    def forward(request: Any, tcp: bool) -> bytes:
        assert str(request.q.qname) == "cdn.example.net."
        return bytes(request.reply().pack())

    zone = Zone(lambda _: None, lambda _: None, forward, hosted)
    handler = SimpleNamespace(protocol="udp", client_address=(client, 40000))
    return zone.resolve(DNSRecord.question(name, record_type), handler)


@pytest.mark.parametrize(
    ("name", "record_type", "client", "lines"),
    [
        ("www.academy.example", "A", "203.0.113.2", [("A", str(address)) for address in ADDRESSES]),
        ("www.academy.example", "TXT", "203.0.113.2", [("TXT", '"a b","c"'), ("TXT", '"d"')]),
        (
            "old.academy.example",
            "A",
            "172.31.5.4",
            [("CNAME", "www.academy.example."), *(("A", str(address)) for address in ADDRESSES)],
        ),
        ("video.academy.example", "A", "172.31.5.4", [("CNAME", "cdn.example.net.")]),
    ],
)
def test_answers_are_packed(name: str, record_type: str, client: str, lines: list[tuple[str, str]]) -> None:
    reply = DNSRecord.parse(resolved(name, record_type, client).pack())
    assert [(QTYPE[line.rtype], str(line.rdata)) for line in reply.rr] == lines
    assert reply.header.rcode == RCODE.NOERROR

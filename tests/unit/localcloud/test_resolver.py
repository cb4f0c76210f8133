# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import socket
from ipaddress import IPv4Address
from types import SimpleNamespace
from typing import Any

import pytest
from dnslib import QTYPE, RCODE, DNSRecord

from localcloud import settings
from localcloud.resolver import UNKNOWN, Answer, Names, Resolver, Zone, answer, nameservers, private_name, public_name

DATABASE = "academy-db.abc123.ap-northeast-2.rds.amazonaws.com"
DATABASE_ADDRESS = IPv4Address("172.31.241.1")
NOTHING = Answer()
HOST_ADDRESS = IPv4Address("172.31.7.9")
PUBLIC_ADDRESS = IPv4Address("203.0.113.16")
PUBLIC_NAME = "ec2-203-0-113-16.ap-northeast-2.compute.amazonaws.com"


def lookup(name: str) -> IPv4Address | None:
    return {DATABASE: DATABASE_ADDRESS}.get(name)


def owner(address: IPv4Address) -> IPv4Address | None:
    return {PUBLIC_ADDRESS: HOST_ADDRESS}.get(address)


@pytest.mark.parametrize(
    ("name", "record_type", "expected"),
    [
        (DATABASE, "A", Answer(address=DATABASE_ADDRESS)),
        (f"{DATABASE.upper()}.", "A", Answer(address=DATABASE_ADDRESS)),
        (DATABASE, "AAAA", NOTHING),
        ("gone.abc123.ap-northeast-2.rds.amazonaws.com", "A", UNKNOWN),
        ("gone.abc123.ap-northeast-2.rds.amazonaws.com", "AAAA", UNKNOWN),
        ("rds.ap-northeast-2.amazonaws.com", "A", Answer(address=settings.RESOLVER)),
        ("logs.ap-northeast-2.amazonaws.com", "A", Answer(address=settings.RESOLVER)),
        ("logs.ap-northeast-2.amazonaws.com", "AAAA", NOTHING),
        ("logs.ap-northeast-2.amazonaws.com", "MX", NOTHING),
        ("123456789012.dkr.ecr.ap-northeast-2.amazonaws.com", "A", Answer(address=settings.RESOLVER)),
        ("bucket.s3.ap-northeast-2.amazonaws.com", "A", Answer(address=settings.RESOLVER)),
        ("ec2-3-4-5-6.ap-northeast-2.compute.amazonaws.com", "A", UNKNOWN),
        (PUBLIC_NAME, "A", Answer(address=HOST_ADDRESS)),
        ("ec2-203-0-113-17.ap-northeast-2.compute.amazonaws.com", "A", UNKNOWN),
        ("ec2-203-0-113-999.ap-northeast-2.compute.amazonaws.com", "A", UNKNOWN),
        ("freetier.us-east-1.api.aws", "A", Answer(address=settings.RESOLVER)),
        ("0123abcd.r2.cloudflarestorage.com", "A", Answer(address=settings.RESOLVER)),
        ("cloudflarestorage.com", "A", None),
        ("16.113.0.203.in-addr.arpa", "PTR", Answer(name=PUBLIC_NAME)),
        ("17.113.0.203.in-addr.arpa", "PTR", UNKNOWN),
        ("academy-1.ap-northeast-2.elb.amazonaws.com", "A", UNKNOWN),
        ("notamazonaws.com", "A", None),
        ("ip-172-31-7-9.ap-northeast-2.compute.internal", "A", Answer(address=IPv4Address("172.31.7.9"))),
        ("ip-172-31-7-9.ap-northeast-2.compute.internal", "AAAA", NOTHING),
        ("ip-10-0-0-1.ap-northeast-2.compute.internal", "A", UNKNOWN),
        ("ip-172-31-7-999.ap-northeast-2.compute.internal", "A", UNKNOWN),
        ("9.7.31.172.in-addr.arpa", "PTR", Answer(name="ip-172-31-7-9.ap-northeast-2.compute.internal")),
        ("8.8.8.8.in-addr.arpa", "PTR", None),
        ("example.org", "A", None),
        ("example.org", "AAAA", NOTHING),
        ("example.org", "TXT", None),
    ],
)
def test_answer(name: str, record_type: str, expected: Answer | None) -> None:
    assert answer(name, record_type, lookup, owner) == expected


@pytest.mark.parametrize(
    ("name", "record_type", "expected"),
    [
        (DATABASE, "A", Answer(address=DATABASE_ADDRESS)),
        (PUBLIC_NAME, "A", Answer(address=PUBLIC_ADDRESS)),
        (PUBLIC_NAME, "AAAA", NOTHING),
        ("ec2-203-0-113-17.ap-northeast-2.compute.amazonaws.com", "A", UNKNOWN),
        ("iam.amazonaws.com", "A", Answer(address=settings.RESOLVER)),
        ("iam.amazonaws.com", "AAAA", NOTHING),
        ("0123abcd.r2.cloudflarestorage.com", "A", Answer(address=settings.RESOLVER)),
        ("ip-172-31-7-9.ap-northeast-2.compute.internal", "A", UNKNOWN),
        ("9.7.31.172.in-addr.arpa", "PTR", UNKNOWN),
        ("16.113.0.203.in-addr.arpa", "PTR", Answer(name=PUBLIC_NAME)),
        ("8.8.8.8.in-addr.arpa", "PTR", UNKNOWN),
        ("example.org", "A", UNKNOWN),
        ("example.org", "AAAA", UNKNOWN),
        ("example.org", "TXT", UNKNOWN),
    ],
)
def test_answer_to_the_operator(name: str, record_type: str, expected: Answer) -> None:
    assert answer(name, record_type, lookup, owner, outside=True) == expected


def test_a_name_resolves_to_its_address() -> None:
    address = IPv4Address("172.31.20.1")
    assert answer(private_name(address), "A", lookup, owner) == Answer(address=address)
    assert answer(public_name(PUBLIC_ADDRESS), "A", lookup, owner, outside=True) == Answer(address=PUBLIC_ADDRESS)


@pytest.mark.parametrize(
    ("client", "address"),
    [(str(HOST_ADDRESS), HOST_ADDRESS), ("203.0.113.2", PUBLIC_ADDRESS), ("203.0.113.3", PUBLIC_ADDRESS)],
)
def test_who_asks_decides(client: str, address: IPv4Address) -> None:
    def forward(request: Any, tcp: bool) -> bytes:
        raise AssertionError("own names must not leave the machine")

    reply = resolve(Zone(lookup, owner, forward), PUBLIC_NAME, client=client)
    assert str(reply.get_a().rdata) == str(address)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("nameserver 10.255.255.53\n", ["10.255.255.53"]),
        ("# nameserver 1.1.1.1\nsearch a b\nnameserver 9.9.9.9\nnameserver 8.8.8.8 # x\n", ["9.9.9.9", "8.8.8.8"]),
        ("nameserver fd00::1\nnameserver 172.31.0.2\n", []),
        ("", []),
    ],
)
def test_nameservers(text: str, expected: list[str]) -> None:
    assert nameservers(text) == expected


def test_names_are_case_insensitive_and_removable() -> None:
    names = Names()
    names.set("Academy-DB.example", DATABASE_ADDRESS)
    assert names.get("academy-db.EXAMPLE") == DATABASE_ADDRESS
    names.remove("academy-db.example")
    assert names.get("academy-db.example") is None


def resolve(zone: Zone, name: str, record_type: str = "A", client: str = str(HOST_ADDRESS)) -> Any:
    handler = SimpleNamespace(protocol="udp", client_address=(client, 40000))
    return zone.resolve(DNSRecord.question(name, record_type), handler)


def test_the_zone_passes_the_upstream_answer_on() -> None:
    def forward(request: Any, tcp: bool) -> bytes:
        reply = request.reply()
        reply.header.rcode = RCODE.REFUSED
        return bytes(reply.pack())

    assert resolve(Zone(lookup, owner, forward), "example.org").header.rcode == RCODE.REFUSED


def test_the_zone_says_so_when_no_upstream_answers() -> None:
    def forward(request: Any, tcp: bool) -> bytes:
        raise TimeoutError("timed out")

    assert resolve(Zone(lookup, owner, forward), "example.org").header.rcode == RCODE.SERVFAIL


def test_the_zone_packs_its_own_answers() -> None:
    def forward(request: Any, tcp: bool) -> bytes:
        raise AssertionError("own names must not leave the machine")

    zone = Zone(lookup, owner, forward)
    assert str(resolve(zone, DATABASE).get_a().rdata) == str(DATABASE_ADDRESS)
    assert resolve(zone, "gone." + DATABASE).header.rcode == RCODE.NXDOMAIN
    nothing = resolve(zone, DATABASE, "AAAA")
    assert (nothing.header.rcode, nothing.rr) == (RCODE.NOERROR, [])
    pointer = resolve(zone, "1.0.31.172.in-addr.arpa", "PTR")
    assert (QTYPE[pointer.rr[0].rtype], str(pointer.rr[0].rdata)) == ("PTR", f"{private_name(settings.GATEWAY)}.")


@pytest.mark.parametrize("tcp", [False, True])
def test_the_resolver_listens_and_stops(tcp: bool) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    names = Names()
    names.set(DATABASE, DATABASE_ADDRESS)
    resolver = Resolver(names, owner, IPv4Address("127.0.0.1"), port)
    resolver.start()
    resolver.start()
    try:
        reply = DNSRecord.parse(DNSRecord.question(DATABASE).send("127.0.0.1", port, tcp=tcp, timeout=5))
        assert str(reply.get_a().rdata) == str(DATABASE_ADDRESS)
    finally:
        resolver.stop()
        resolver.stop()
    with socket.socket() as free:
        free.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a connection that ended may linger
        free.bind(("127.0.0.1", port))

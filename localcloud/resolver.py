# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The VPC's resolver at its .2 address: names of the embedded cloud are answered here, all others by the machine's own.

Without it a nested container gets a public resolver and finds neither the database nor the registry. The operator's
machine asks it too. It stands outside the VPC: EC2's public names are public addresses there, private names are none,
and there is no other Internet.
"""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Address, IPv4Network
from pathlib import Path
from typing import Any, Final

from dnslib import PTR, QTYPE, RCODE, RR, A, DNSError, DNSRecord
from dnslib.server import DNSLogger, DNSServer

from localcloud import settings
from localcloud.zones import Found, Record

log = logging.getLogger(__name__)

Lookup = Callable[[str], IPv4Address | None]
Owner = Callable[[IPv4Address], IPv4Address | None]  # public address -> the private one behind it
Hosted = Callable[[str, str, bool], Found | None]  # (name, type, whether the operator asks) -> what a hosted zone says
Forward = Callable[[Any, bool], bytes]  # (DNSRecord, over TCP) -> the reply's packet

LONGEST_CHAIN: Final = 8  # of names that stand for each other
TTL_SECONDS: Final = 5  # AWS answers with 5 for RDS too: an address may change with the next start
UPSTREAM_TIMEOUT_SECONDS: Final = 3.0

# Below these every name belongs to one resource: an unknown one does not exist, and must not lead to the front.
RESOURCE_DOMAINS: Final = (
    settings.DATABASE_DOMAIN,
    f"elb.{settings.AWS_DOMAIN}",
    f"compute.{settings.AWS_DOMAIN}",
)

# What the front answers for.
FRONT_DOMAINS: Final = (settings.AWS_DOMAIN, settings.AWS_API_DOMAIN, settings.STORAGE_DOMAIN)

_PRIVATE_NAME = re.compile(r"ip-(\d+)-(\d+)-(\d+)-(\d+)\." + re.escape(settings.INTERNAL_DOMAIN))
_PUBLIC_NAME = re.compile(r"ec2-(\d+)-(\d+)-(\d+)-(\d+)\." + re.escape(settings.PUBLIC_DOMAIN))
_REVERSE_NAME = re.compile(r"(\d+)\.(\d+)\.(\d+)\.(\d+)\.in-addr\.arpa")


class Names:
    """Names of resources that come and go (database endpoints), shared between threads."""

    def __init__(self) -> None:
        self._addresses: dict[str, IPv4Address] = {}
        self._lock = threading.Lock()

    def set(self, name: str, address: IPv4Address) -> None:
        with self._lock:
            self._addresses[name.lower()] = address

    def remove(self, name: str) -> None:
        with self._lock:
            self._addresses.pop(name.lower(), None)

    def get(self, name: str) -> IPv4Address | None:
        with self._lock:
            return self._addresses.get(name.lower())


@dataclass(frozen=True)
class Answer:
    """What the resolver says by itself: an address, a name, a hosted zone's records, nothing of that type, or no such
    name. A record may lead to a name that only others know."""

    address: IPv4Address | None = None
    name: str | None = None
    exists: bool = True
    records: tuple[Record, ...] = ()
    ask: str | None = None


UNKNOWN: Final = Answer(exists=False)


def private_name(address: IPv4Address) -> str:
    """The name that EC2 gives to a private address."""
    return f"ip-{str(address).replace('.', '-')}.{settings.INTERNAL_DOMAIN}"


def public_name(address: IPv4Address) -> str:
    """The name that EC2 gives to a public address."""
    return f"ec2-{str(address).replace('.', '-')}.{settings.PUBLIC_DOMAIN}"


def nothing_hosted(name: str, record_type: str, outside: bool) -> Found | None:
    """No hosted zone at all."""
    return None


def answer(
    name: str,
    record_type: str,
    lookup: Lookup,
    owner: Owner,
    *,
    outside: bool = False,
    hosted: Hosted = nothing_hosted,
    chain: int = LONGEST_CHAIN,
) -> Answer | None:
    """Decide one question; None means that the machine's own resolver is to be asked."""
    name = name.lower().rstrip(".")
    found_in_zone = hosted(name, record_type, outside)
    if found_in_zone is not None:

        def ask(target: str) -> Answer | None:
            return answer(target, record_type, lookup, owner, outside=outside, hosted=hosted, chain=chain - 1)

        return _answer_hosted(name, record_type, found_in_zone, ask if chain else lambda target: UNKNOWN)
    if record_type == "PTR":
        found = _answer_reverse(name, owner, outside)
    else:
        found = _answer_address(name, lookup, owner, outside)
    if found is None and outside:
        return UNKNOWN
    # There is no IPv6 in this VPC: an AAAA from outside would only send clients into a timeout.
    if record_type == "AAAA":
        return found if found and not found.exists else Answer()
    if found is None or not found.exists or record_type in ("A", "PTR"):
        return found
    return Answer()


def _answer_hosted(name: str, record_type: str, found: Found, ask: Callable[[str], Answer | None]) -> Answer:
    """What a zone says, and what is said of the name to which it leads."""
    target = found.alias or found.follow
    if not found.exists:
        return UNKNOWN
    if target is None:
        return Answer(records=found.records)
    there = ask(target)
    if there is None:
        # An alias is always of something that is known here.
        return Answer(records=found.records, ask=found.follow)
    more = there.records
    if there.address and record_type == "A":
        more = (Record(target, "A", TTL_SECONDS, str(there.address)),)
    if found.alias:
        more = tuple(Record(name, one.type, one.ttl, one.value) for one in more if one.type == record_type)
    exists = there.exists or bool(found.alias)
    return Answer(exists=exists, records=(*found.records, *more), ask=there.ask)


def _answer_address(name: str, lookup: Lookup, owner: Owner, outside: bool) -> Answer | None:
    known = lookup(name)
    if known:
        return Answer(address=known)
    if match := _PUBLIC_NAME.fullmatch(name):
        public = _address(match.groups(), settings.PUBLIC_CIDR)
        private = owner(public) if public else None
        return Answer(address=public if outside else private) if private else UNKNOWN
    if _within(name, RESOURCE_DOMAINS):
        return UNKNOWN
    if _within(name, FRONT_DOMAINS):
        return Answer(address=settings.RESOLVER)
    if _within(name, [settings.INTERNAL_DOMAIN]):
        match = _PRIVATE_NAME.fullmatch(name)
        address = _address(match.groups(), settings.VPC_CIDR) if match else None
        return Answer(address=address) if address and not outside else UNKNOWN
    return None


def _answer_reverse(name: str, owner: Owner, outside: bool) -> Answer | None:
    match = _REVERSE_NAME.fullmatch(name)
    octets = match.groups()[::-1] if match else ()
    if address := _address(octets, settings.VPC_CIDR):
        return UNKNOWN if outside else Answer(name=private_name(address))
    if address := _address(octets, settings.PUBLIC_CIDR):
        return Answer(name=public_name(address)) if owner(address) else UNKNOWN
    return None


def _within(name: str, domains: Iterable[str]) -> bool:
    return any(name == domain or name.endswith(f".{domain}") for domain in domains)


def _address(octets: Iterable[str], network: IPv4Network) -> IPv4Address | None:
    try:
        address = IPv4Address(".".join(octets))
    except AddressValueError:
        return None
    return address if address in network else None


def nameservers(resolv_conf: str) -> list[str]:
    """The IPv4 name servers of a resolv.conf, without ourselves."""
    servers = []
    for line in resolv_conf.split("\n"):
        match line.split():
            case ["nameserver", server, *_] if ":" not in server and server != str(settings.RESOLVER):
                servers.append(server)
    return servers


class Upstream:
    """The machine's own resolvers, asked in their order."""

    def __init__(self, servers: list[str]) -> None:
        self._servers = servers

    def __call__(self, request: Any, tcp: bool) -> bytes:
        failures = []
        for server in self._servers:
            try:
                return bytes(request.send(server, settings.DNS_PORT, tcp=tcp, timeout=UPSTREAM_TIMEOUT_SECONDS))
            except OSError as error:
                failures.append(f"{server}: {error}")
        raise OSError(f"no name server of /etc/resolv.conf answers ({'; '.join(failures) or 'it names none'})")


class Zone:
    """What dnslib asks for each packet: our own answer, or the upstream's as it is."""

    def __init__(self, lookup: Lookup, owner: Owner, forward: Forward, hosted: Hosted = nothing_hosted) -> None:
        self._lookup = lookup
        self._owner = owner
        self._forward = forward
        self._hosted = hosted

    def resolve(self, request: Any, handler: Any) -> Any:
        question = request.q
        name = str(question.qname)
        outside = IPv4Address(handler.client_address[0]) in settings.PUBLIC_CIDR
        record_type = QTYPE[question.qtype]
        mine = answer(name, record_type, self._lookup, self._owner, outside=outside, hosted=self._hosted)
        tcp = handler.protocol == "tcp"
        if mine is None:
            return self._ask_upstream(request, tcp=tcp)
        reply = request.reply()
        for record in mine.records:
            for line in _lines(record):
                reply.add_answer(line)
        if mine.ask:
            followed = self._ask_upstream(DNSRecord.question(mine.ask, record_type), tcp=tcp)
            reply.header.rcode = followed.header.rcode
            reply.add_answer(*followed.rr)
        if not mine.exists:
            reply.header.rcode = RCODE.NXDOMAIN
        elif mine.address:
            reply.add_answer(RR(question.qname, QTYPE.A, rdata=A(str(mine.address)), ttl=TTL_SECONDS))
        elif mine.name:
            reply.add_answer(RR(question.qname, QTYPE.PTR, rdata=PTR(mine.name), ttl=TTL_SECONDS))
        return reply

    def _ask_upstream(self, request: Any, tcp: bool) -> Any:
        try:
            return DNSRecord.parse(self._forward(request, tcp))
        except OSError as error:
            log.warning("cannot resolve %s: %s", request.q.qname, error)
            reply = request.reply()
            reply.header.rcode = RCODE.SERVFAIL
            return reply


def _lines(record: Record) -> list[Any]:
    """A record as dnslib writes it; what it cannot write is left out."""
    try:
        return list(RR.fromZone(f"{record.name}. {record.ttl} IN {record.type} {record.value}"))
    except (DNSError, ValueError) as error:
        log.warning("cannot answer with %s: %s", record, error)
        return []


def port_taken(error: OSError, address: IPv4Address, port: int) -> OSError:
    """What to do when a part of the cloud cannot listen: it is alone on its address, unless somebody takes them all."""
    return OSError(
        error.errno,
        f"cannot listen on {address}:{port} ({error.strerror}). A program that holds port {port} on all addresses of "
        f"this machine is in the way (find it with `ss -lnp 'sport = :{port}'`): give it its own address, or stop it",
    )


class Resolver:
    """The listening resolver, on UDP and TCP."""

    def __init__(
        self,
        names: Names,
        owner: Owner,
        address: IPv4Address = settings.RESOLVER,
        port: int = settings.DNS_PORT,
        hosted: Hosted = nothing_hosted,
    ) -> None:
        self._names = names
        self._hosted = hosted
        self._owner = owner
        self._address = address
        self._port = port
        self._servers: list[Any] = []

    def start(self) -> None:
        if self._servers:
            return
        upstream = Upstream(nameservers(Path("/etc/resolv.conf").read_text(encoding="utf-8")))
        zone = Zone(self._names.get, self._owner, upstream, self._hosted)
        silent = DNSLogger(log="-request,-reply,-truncated,-error,-recv,-send,-data", prefix=False)
        for tcp in (False, True):
            try:
                server = DNSServer(zone, address=str(self._address), port=self._port, tcp=tcp, logger=silent)
            except OSError as error:
                raise port_taken(error, self._address, self._port) from error
            server.start_thread()
            self._servers.append(server)

    def stop(self) -> None:
        while self._servers:
            server = self._servers.pop()
            server.stop()
            server.server.server_close()

# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A state of load balancers as HAProxy's configuration, and the orders that change its servers while it runs.

Everything here is text made of values: the same for the same state. Servers are numbered places, so that a target comes
and goes without a reload; what else changes is a new configuration.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from ipaddress import IPv4Address
from pathlib import Path
from typing import Final

from moto.elbv2.ssl_policies import SSL_POLICIES

from localcloud.balancer.state import Balancer, Condition, Fixed, Forward, Group, Listener, Redirect, Rule

PLACES: Final = 32  # targets of one group
CONNECT_SECONDS: Final = 10  # alb-ug load-balancer-troubleshooting, HTTP 504
SERVER: Final = "awselb/2.0"
NOWHERE: Final = "0.0.0.0:0"
DEFAULT_PORTS: Final = {"HTTP": "80", "HTTPS": "443"}
PAGE: Final = (
    "<html>\r\n<head><title>{status} {reason}</title></head>\r\n<body>\r\n"
    "<center><h1>{status} {reason}</h1></center>\r\n</body>\r\n</html>\r\n"
)
REASONS: Final[Mapping[int, str]] = {
    400: "Bad Request",
    408: "Request Timeout",
    500: "Internal Server Error",
    502: "Bad Gateway",
    503: "Service Temporarily Unavailable",
    504: "Gateway Time-out",
}
# What HAProxy says for itself → what an ALB says in that place. HAProxy calls a target that does not take the
# connection unavailable; only where there is no target an ALB does.
ERRORS: Final[Mapping[int, int]] = {400: 400, 408: 408, 500: 500, 502: 502, 503: 502, 504: 504}
PROTOCOLS: Final = ("TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3")
HAPROXY_PROTOCOLS: Final[Mapping[str, str]] = {
    "TLSv1": "TLSv1.0", "TLSv1.1": "TLSv1.1", "TLSv1.2": "TLSv1.2", "TLSv1.3": "TLSv1.3",
}  # fmt: skip
# By this header its errors say that no connection came about; a client never sees it.
UNCONNECTED: Final = "X-Embedded-Unconnected"
TEMPLATE: Final = re.compile(r"#\{(protocol|host|port|path|query)\}")


class Use(Enum):
    """What a server is used for: new requests, none but those that it has, or nothing."""

    READY = "ready"
    DRAIN = "drain"
    OFF = "maint"


@dataclass(frozen=True)
class Server:
    """A target in its place."""

    place: int
    address: IPv4Address
    port: int
    use: Use


Servers = Mapping[str, Sequence[Server]]  # by the target group's ARN


@dataclass(frozen=True)
class Files:
    """Where the configuration finds what is no configuration."""

    directory: Path

    @property
    def bodies(self) -> Path:
        return self.directory / "bodies"

    def certificate(self, name: str) -> Path:
        return self.directory / "certificates" / f"{name}.pem"

    def error(self, said: int) -> Path:
        return self.directory / "errors" / f"{said}.http"


# --- small pieces -------------------------------------------------------------------------------------------------


def quoted(text: str) -> str:
    """A word of HAProxy's configuration in which nothing means anything."""
    return "'" + text.replace("'", "'\\''") + "'"


def literal(text: str) -> str:
    """A text that is no log format."""
    return text.replace("%", "%%")


def identifier(arn: str) -> str:
    """A name for HAProxy: what an ARN ends with."""
    return re.sub(r"[^A-Za-z0-9.-]", "_", arn.rpartition(":")[2])


def pattern(glob: str) -> str:
    """ELB's pattern as a regular expression: * is anything, ? is one character."""
    parts = {"*": ".*", "?": "."}
    return "^" + "".join(parts.get(character) or re.escape(character) for character in glob) + "$"


def error_page(said: int) -> str:
    """The complete answer of an ALB where HAProxy says this for itself."""
    status = ERRORS[said]
    body = PAGE.format(status=status, reason=REASONS[status])
    head = [
        f"HTTP/1.1 {status} {REASONS[status]}", f"Server: {SERVER}", "Content-Type: text/html",
        f"Content-Length: {len(body)}", *([f"{UNCONNECTED}: 1"] if said == 503 else []),
    ]  # fmt: skip
    return "\r\n".join([*head, "", body])


def tls_options(policy: str) -> str:
    """The options of a bind line by which it speaks as a policy of that name says."""
    known = SSL_POLICIES[policy]
    versions = sorted(known["ssl_protocols"], key=PROTOCOLS.index)
    new = [cipher for cipher in known["ciphers"] if cipher.startswith("TLS_")]
    old = [cipher for cipher in known["ciphers"] if cipher not in new]
    words = [f"ssl-min-ver {HAPROXY_PROTOCOLS[versions[0]]}", f"ssl-max-ver {HAPROXY_PROTOCOLS[versions[-1]]}"]
    if old:
        # OpenSSL refuses what is as old as TLS 1.0, unless it is asked not to.
        words.append(f"ciphers {':'.join(old)}:@SECLEVEL=0")
    if new:
        words.append(f"ciphersuites {':'.join(new)}")
    return " ".join(words)


def location(redirect: Redirect, protocol: str, port: int, *, query: bool) -> str:
    """Where a redirect leads, as a log format; the query is left out where there is none."""
    values = {
        "protocol": protocol.lower(),
        "host": "%[var(txn.host)]",
        "port": str(port),
        "path": "%[path,bytes(1)]",
        "query": "%[query]",
    }
    target_protocol = protocol if redirect.protocol == Redirect.protocol else redirect.protocol

    def filled(template: str) -> str:
        return "".join(
            literal(part) if index % 2 == 0 else values[part] for index, part in enumerate(TEMPLATE.split(template))
        )

    base = f"{target_protocol.lower()}://{filled(redirect.host)}:{filled(redirect.port)}{filled(redirect.path)}"
    return f"{base}?{filled(redirect.query)}" if query and redirect.query else base


def condition_lines(condition: Condition, name: str) -> Iterator[str]:
    """The lines that define what a condition asks: one name, true where any of them is."""
    matches = {
        "path-pattern": "path -m reg",
        "host-header": "var(txn.host) -i -m reg",
        "http-request-method": "method",
        "source-ip": "src",
        "http-header": f"req.fhdr({condition.name}) -i -m reg",
    }
    if condition.field == "query-string":
        for key, value in condition.pairs:
            if key:
                yield f"acl {name} url_param({key}) -i -m reg {quoted(pattern(value))}"
            else:
                expression = f"(^|[&=]){pattern(value)[1:-1]}($|[&=])"
                yield f"acl {name} query -i -m reg {quoted(expression)}"
        return
    globs = condition.field in ("path-pattern", "host-header", "http-header")
    for value in condition.values:
        yield f"acl {name} {matches[condition.field]} {quoted(pattern(value) if globs else value)}"


# --- the sections -------------------------------------------------------------------------------------------------


def milliseconds(seconds: float) -> str:
    return f"{max(1, round(seconds * 1000))}ms"


def frontend(balancer: Balancer, listener: Listener, files: Files, second: float) -> list[str]:
    protocol = "HTTPS" if listener.policy else "HTTP"
    name = f"{identifier(balancer.arn)}_{listener.port}"
    idle = milliseconds(balancer.idle_timeout * second)
    late = f"{{ res.hdr({UNCONNECTED}) -m found }} {{ date(0,ms),sub(txn.began) ge {connect_milliseconds(second)} }}"
    return [
        f"frontend {name}",
        *(f"  {line}" for line in binds(balancer, listener, files)),
        f"  timeout client {idle}",
        f"  timeout http-keep-alive {idle}",
        f"  timeout http-request {idle}",
        "  http-request set-var(txn.began) date(0,ms)",
        *(f"  {line}" for line in request_headers(balancer, protocol, listener.port)),
        *(f"  {line}" for line in choice(listener.rules)),
        *(
            f"  {line}"
            for number, rule in enumerate(listener.rules)
            for line in answer(rule, number, protocol, listener.port, files)
        ),
        f"  http-after-response set-header Server {SERVER} if {{ var(txn.own) -m found }}",
        # Who does not take the connection in time is another error than who refuses it.
        f"  http-after-response set-status 504 reason {quoted(REASONS[504])} if {late}",
        f"  http-after-response del-header {UNCONNECTED}",
    ]


def connect_milliseconds(second: float) -> int:
    """How long a target may take to accept; never so short that a busy machine is too slow for it."""
    return max(1000, round(CONNECT_SECONDS * 1000 * second))


def binds(balancer: Balancer, listener: Listener, files: Files) -> Iterator[str]:
    tls = ""
    if listener.policy:
        certificates = " ".join(f"crt {files.certificate(one.name)}" for one in listener.certificates)
        alpn = "h2,http/1.1" if balancer.http2 else "http/1.1"
        tls = f" ssl {certificates} alpn {alpn} {tls_options(listener.policy)}"
    for address in balancer.addresses:
        yield f"bind {address}:{listener.port}{tls}"


def request_headers(balancer: Balancer, protocol: str, port: int) -> Iterator[str]:
    """What an ALB tells a target of its client."""
    yield "http-request set-var(txn.host) req.hdr(host),field(1,:),lower"
    if balancer.drop_invalid_headers:
        yield f"http-request del-header {quoted('[^-A-Za-z0-9]')} -m reg"
    client = "%[src]:%[src_port]" if balancer.client_port else "%[src]"
    if balancer.forwarded_for == "append":
        yield "http-request set-var(txn.forwarded) req.fhdr(x-forwarded-for)"
        yield f"http-request set-header X-Forwarded-For {quoted(client)} if !{{ var(txn.forwarded) -m found }}"
        more = quoted(f"%[var(txn.forwarded)], {client}")
        yield f"http-request set-header X-Forwarded-For {more} if {{ var(txn.forwarded) -m found }}"
    elif balancer.forwarded_for == "remove":
        yield "http-request del-header X-Forwarded-For"
    yield f"http-request set-header X-Forwarded-Proto {protocol.lower()}"
    yield f"http-request set-header X-Forwarded-Port {port}"
    trace = "Root=1-%[date,hex,bytes(8,8),lower]-%[uuid,regsub(-,,g),bytes(0,24)]"
    yield f"http-request set-header X-Amzn-Trace-Id {quoted(trace)} unless {{ req.hdr(X-Amzn-Trace-Id) -m found }}"


def choice(rules: Iterable[Rule]) -> Iterator[str]:
    """Note the number of the first rule whose conditions all hold."""
    for number, rule in enumerate(rules):
        names = [f"rule{number}_{index}" for index, _ in enumerate(rule.conditions)]
        for name, condition in zip(names, rule.conditions, strict=True):
            yield from condition_lines(condition, name)
        yield " ".join([f"http-request set-var(txn.rule) int({number}) if !{{ var(txn.rule) -m found }}", *names])


def answer(rule: Rule, number: int, protocol: str, port: int, files: Files) -> Iterator[str]:
    """What is done where the rule of this number was chosen."""
    chosen = f"{{ var(txn.rule) -m int {number} }}"
    match rule.action:
        case Redirect() as redirect:
            yield f"http-request set-var(txn.own) int(1) if {chosen}"
            for query, when in ((True, "{ query -m len gt 0 }"), (False, "")):
                target = quoted(location(redirect, protocol, port, query=query))
                yield f"http-request redirect location {target} code {redirect.status} if {chosen} {when}".rstrip()
        case Fixed() as fixed:
            yield f"http-request set-var(txn.own) int(1) if {chosen}"
            content = f"content-type {quoted(fixed.content_type)} file {files.bodies / body_name(fixed)}"
            yield f"http-request return status {fixed.status} {content} if {chosen}"
        case Forward(groups):
            total = sum(weight for _, weight in groups)
            if not total:
                yield f"use_backend nobody if {chosen}"
            elif len(groups) > 1:
                yield f"http-request set-var(txn.draw) rand({total}) if {chosen}"
            below = 0
            for arn, weight in groups:
                below += weight
                drawn = f" {{ var(txn.draw) -m int lt {below} }}" if len(groups) > 1 else ""
                if weight:
                    yield f"use_backend {identifier(arn)} if {chosen}{drawn}"


def backend(balancer: Balancer, group: Group, servers: Sequence[Server], second: float) -> list[str]:
    idle = milliseconds(balancer.idle_timeout * second)
    used = {server.place: server for server in servers}
    return [
        f"backend {identifier(group.arn)}",
        f"  balance {'leastconn' if group.algorithm == 'least_outstanding_requests' else 'roundrobin'}",
        f"  source {balancer.addresses[0]}",
        f"  timeout server {idle}",
        f"  timeout tunnel {idle}",
        *(
            [f"  cookie AWSALB insert indirect nocache maxlife {group.stickiness_seconds}s"]
            if group.stickiness_seconds
            else []
        ),
        # A process that only finishes what it has begun counts no servers, and yet has them.
        "  http-request set-var(txn.own) int(1) if { nbsrv eq 0 } !{ stopping }",
        f"  {unavailable()} if {{ nbsrv eq 0 }} !{{ stopping }}",
        *(server_line(place, used.get(place), group) for place in range(PLACES)),
    ]


def server_line(place: int, server: Server | None, group: Group) -> str:
    at = f"{server.address}:{server.port}" if server else NOWHERE
    tls = " ssl verify none" if group.protocol == "HTTPS" else ""
    cookie = f" cookie {place}" if group.stickiness_seconds else ""
    # One that drains begins as one that is off: what it still does, it does for the process before.
    off = "" if server and server.use is Use.READY else " disabled"
    return f"  server {server_name(place)} {at}{tls}{cookie}{off}"


def server_name(place: int) -> str:
    return f"target{place}"


def unavailable() -> str:
    page = PAGE.format(status=503, reason=REASONS[503]).replace("\r\n", "")
    return f"http-request return status 503 content-type text/html string {quoted(page)}"


def body_name(fixed: Fixed) -> str:
    """Named by its content, so that another body is another file."""
    return hashlib.sha256(fixed.body.encode()).hexdigest()[:16]


# --- all of it ----------------------------------------------------------------------------------------------------


def configuration(
    balancers: Iterable[Balancer], servers: Servers, files: Files, socket: Path, second: float = 1.0
) -> str:
    """Everything that HAProxy is told at its start; a second of the control plane may be shorter than others."""
    lines = [
        "global",
        f"  stats socket {socket} mode 600 level admin expose-fd listeners",
        "  maxconn 1000",
        "  tune.ssl.default-dh-param 2048",
        # An ALB does not take WebSocket over HTTP/2.
        "  h2-workaround-bogus-websocket-clients",
        "defaults",
        "  mode http",
        f"  timeout connect {connect_milliseconds(second)}ms",
        "  timeout client 60s",
        "  timeout server 60s",
        "  retries 0",
        # A connection to a target serves many clients, as an ALB's do.
        "  http-reuse always",
        # A client is told with its next answer that the process goes, and is never cut off between two requests.
        "  option idle-close-on-response",
        *(f"  errorfile {said} {files.error(said)}" for said in ERRORS),
        "backend nobody",
        "  http-request set-var(txn.own) int(1)",
        f"  {unavailable()}",
    ]
    for balancer in sorted(balancers, key=lambda one: one.arn):
        for listener in sorted(balancer.listeners, key=lambda one: one.port):
            if listener.policy is None or listener.certificates:
                lines += frontend(balancer, listener, files, second)
        for group in balancer.groups:
            lines += backend(balancer, group, servers.get(group.arn, ()), second)
    return "\n".join(lines) + "\n"


def contents(balancers: Iterable[Balancer], files: Files) -> dict[Path, bytes]:
    """The files that a configuration names, and what is in them."""
    found = {files.error(said): error_page(said).encode() for said in ERRORS}
    for balancer in balancers:
        for listener in balancer.listeners:
            found |= {files.certificate(one.name): one.pem for one in listener.certificates}
            for rule in listener.rules:
                if isinstance(rule.action, Fixed):
                    found[files.bodies / body_name(rule.action)] = rule.action.body.encode()
    return found


def orders(group: str, before: Sequence[Server], after: Sequence[Server]) -> list[str]:
    """What a running HAProxy is told so that a group's servers become these."""
    was, wanted = ({server.place: server for server in servers} for servers in (before, after))
    said = []
    for place in sorted({*was, *wanted}):
        old, new = was.get(place), wanted.get(place)
        name = f"{identifier(group)}/{server_name(place)}"
        if old == new:
            continue
        if new is None:
            # Whoever is gone is cut off from what it still does.
            said += [f"set server {name} state {Use.OFF.value}", f"shutdown sessions server {name}"]
            continue
        if old is None or (old.address, old.port) != (new.address, new.port):
            said.append(f"set server {name} addr {new.address} port {new.port}")
        said.append(f"set server {name} state {new.use.value}")
    return said


def placed(before: Mapping[str, int], wanted: Iterable[str]) -> dict[str, int]:
    """A place for every target: the one that it has, or the lowest that is free. Those for whom there is none wait."""
    keys = sorted(wanted)
    found = {key: before[key] for key in keys if key in before}
    free = [place for place in range(PLACES) if place not in found.values()]
    return found | dict(zip((key for key in keys if key not in found), free, strict=False))

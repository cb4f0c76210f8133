# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The proxy in front of a service that runs in one of two containers: its configuration, and what it says of itself.

HAProxy's configuration is the record of which server serves: every other one is `disabled` there. So a proxy that is
started or reloaded serves as before. While it runs, its socket moves the traffic, for which nothing is reloaded.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping
from dataclasses import dataclass

from .lines import lines, words

PATH = "/etc/haproxy/haproxy.cfg"
SOCKET = "/var/lib/haproxy/stats"
BACKEND = "api"
MARK = "# managed by academy.deploy\n"
PORT_MAX = 65535
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")
SERVER = re.compile(r"server ([A-Za-z0-9][A-Za-z0-9_-]*) 127\.0\.0\.1:(\d+)( disabled)?")
# What begins another part of a configuration.
SECTIONS = {"backend", "defaults", "frontend", "global", "listen"}

# A load balancer keeps idle connections for 60 seconds, and must be the one that closes them: a request that is sent
# while this side closes is lost. For the same reason no connection to a server is kept (http-server-close), which
# also makes the number of a server's sessions that of its requests.
CONFIGURATION = (
    MARK
    + """\
global
    log stderr format raw local0 notice
    user haproxy
    group haproxy
    chroot /var/lib/haproxy
    stats socket {socket} mode 600 level admin
    # Memory follows from it, and else from how many files the host lets a process open.
    maxconn 4000

defaults
    mode http
    log global
    option forwardfor
    option http-server-close
    # At a reload too: a client may be sending its next request just then, which is answered and ends the connection.
    option idle-close-on-response
    option redispatch
    retries 3
    retry-on conn-failure
    timeout connect 5s
    timeout client 75s
    timeout http-request 75s
    timeout http-keep-alive 75s
    # How long a request may take, the one who asked decides.
    timeout server 1h
    timeout tunnel 1h

frontend {backend}
    bind *:{port}
    default_backend {backend}

backend {backend}
"""
)


@dataclass(frozen=True)
class ServerState:
    """A server of a running proxy."""

    state: str  # ready (for new requests), drain (for those that it has) or maint (for none)
    sessions: int  # requests that it has, or that wait for it
    port: int | None = None


def configuration(
    port: int,
    servers: Mapping[str, int],
    serving: str,
    *,
    backend: str = BACKEND,
    socket: str = SOCKET,
) -> str:
    """The text of haproxy.cfg: who serves at the port is `serving`; the servers are ports of the loopback interface.

    No server is checked: whether a release answers is found out before it serves, and a check that fails under load
    would leave nobody to answer.
    """
    if serving not in servers:
        raise ValueError(f"{serving} is none of the servers {', '.join(servers)}")
    wrong = [name for name in (backend, *servers) if not NAME.fullmatch(name)]
    if wrong:
        raise ValueError(f"not a name: {', '.join(wrong)}")
    ports = [port, *servers.values()]
    if len(set(ports)) < len(ports) or not all(1 <= each <= PORT_MAX for each in ports):
        raise ValueError(f"ports have to be different, from 1 to {PORT_MAX}: {', '.join(map(str, ports))}")
    return CONFIGURATION.format(backend=backend, port=port, socket=socket) + "".join(
        f"    server {name} 127.0.0.1:{servers[name]}{'' if name == serving else ' disabled'}\n"
        for name in sorted(servers)
    )


def serving(text: str, *, backend: str = BACKEND) -> str | None:
    """Which server of a configuration serves. None unless it is exactly one, and every line of a server is whole."""
    if not text.endswith("\n"):
        return None
    found: dict[str, bool] = {}
    inside, sections = False, 0
    for line in lines(text):
        fields = words(line)
        if fields and fields[0] in SECTIONS:
            inside = fields == ["backend", backend]
            sections += inside
        elif inside and fields and fields[0] == "server":
            match = SERVER.fullmatch(" ".join(fields))
            if not match or match[1] in found:
                return None
            found[match[1]] = not match[3]
    able = [name for name, enabled in found.items() if enabled]
    return able[0] if sections == 1 and len(able) == 1 else None


def parse_servers(show_stat: str, *, backend: str = BACKEND) -> dict[str, ServerState]:
    """The servers of a backend by name, from what the socket answers to `show stat -1 4 -1`."""
    rows = lines(show_stat)
    if not rows or not rows[0].startswith("# pxname,svname,"):
        raise ValueError(f"HAProxy shows no servers: {show_stat.strip()[:200]}")
    shown = csv.DictReader([rows[0][2:], *rows[1:]])
    return {
        row["svname"]: ServerState(
            state=_state(row["status"]), sessions=int(row["scur"] or 0) + int(row["qcur"] or 0), port=_port(row["addr"])
        )
        for row in shown
        if row["pxname"] == backend and row["svname"] not in ("FRONTEND", "BACKEND")
    }


def refusal(said: str) -> str:
    """What is left of the socket's answers to orders: nothing where all were carried out."""
    return " ".join(line for line in lines(said) if line.strip())


def _state(status: str) -> str:
    """MAINT may name a reason; a server that nobody checks is "no check" when it is ready."""
    return {"MAINT": "maint", "DRAIN": "drain"}.get(status.split(" ", maxsplit=1)[0], "ready")


def _port(address: str | None) -> int | None:
    found = re.search(r":(\d+)$", address or "")
    return int(found[1]) if found else None

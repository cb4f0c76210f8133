# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The operator's machine: where AWS looks like AWS, so that an inventory of a real account runs unchanged.

A network namespace with one wire to this machine, and for each command a mount namespace of its own. AWS's names lead
to the TLS front, whose authority is trusted; public addresses lead to the hosts; nothing else is reachable, and what is
not fails at once. Security groups see its address as they would see an operator's.

Nobody but the files below settings.OPERATOR_DIR, the wire, one table of nftables and the commented rules of iptables
knows of it, and `remove` takes all of that away.
"""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from ipaddress import IPv4Address
from pathlib import Path
from typing import TYPE_CHECKING, Final, NoReturn

from localcloud import settings
from localcloud.operator_user import Keys
from localcloud.shell import CommandError, run, succeeds

if TYPE_CHECKING:  # moto takes seconds to load, which the command line does not need
    from localcloud.public_addresses import PublicAddresses

log = logging.getLogger(__name__)

NAMESPACE: Final = settings.OPERATOR_DIR / "net"
HOME: Final = settings.OPERATOR_DIR / "home"
TRUSTED: Final = settings.OPERATOR_DIR / "certs"
STAGE: Final = settings.OPERATOR_DIR / "run"
RESOLV_CONF: Final = settings.OPERATOR_DIR / "resolv.conf"
HOSTS: Final = settings.OPERATOR_DIR / "hosts"
PASSWD: Final = settings.OPERATOR_DIR / "passwd"
WIRE_INSIDE: Final = "eth0"
END_SECONDS: Final = 2.0

# What would lead a tool past the account that is played here, or to the caller's own files and agents.
DROPPED_PREFIXES: Final = ("ANSIBLE_", "AWS_", "BOTO_", "DBUS_", "DOCKER_", "MOTO_", "SSH_", "XDG_")
# Whose certificates are trusted, in the words of several programs.
DROPPED_PARTS: Final = ("CA_BUNDLE", "CA_CERTS", "SSL_CAINFO", "SSL_CERT", "SSL_ROOTS")
DROPPED_SUFFIX: Final = "_proxy"

# Made before the wire is up, so that not one packet of IPv6 is sent.
NETWORK_SCRIPT: Final = f"""
for name in all default; do
  echo 0 >/proc/sys/net/ipv4/conf/$name/accept_redirects
  if [ -e /proc/sys/net/ipv6/conf/$name ]; then echo 1 >/proc/sys/net/ipv6/conf/$name/disable_ipv6; fi
done
ip link set lo up
ip address add {settings.OPERATOR_ADDRESS}/32 dev {WIRE_INSIDE}
ip address add {settings.STRANGER_ADDRESS}/32 dev {WIRE_INSIDE}
ip link set {WIRE_INSIDE} up
ip route add {settings.OPERATOR_GATEWAY} dev {WIRE_INSIDE} src {settings.OPERATOR_ADDRESS}
ip route add {settings.PUBLIC_CIDR} via {settings.OPERATOR_GATEWAY} src {settings.OPERATOR_ADDRESS}
ip route add {settings.RESOLVER} via {settings.OPERATOR_GATEWAY} src {settings.OPERATOR_ADDRESS}
"""

# A /run of its own also takes away the sockets by which programs ask this machine for names, and its Docker engine.
# The builder's directory instead of its socket, because a new engine makes a new socket.
ENTER_SCRIPT: Final = f"""
mount -t tmpfs -o mode=0755 operator {STAGE}
mkdir {STAGE}/{settings.OPERATOR_HOME.name} {STAGE}/engine
mount --bind {HOME} {STAGE}/{settings.OPERATOR_HOME.name}
mount --bind {settings.BUILDER_DIR} {STAGE}/engine
ln -s engine/{settings.BUILDER_SOCKET.name} {STAGE}/docker.sock
resolv_conf=$(readlink -m /etc/resolv.conf)
case $resolv_conf in
  /run/*)
    inside={STAGE}/${{resolv_conf#/run/}}
    mkdir -p "${{inside%/*}}"
    cp {RESOLV_CONF} "$inside" ;;
  *) mount --bind {RESOLV_CONF} "$resolv_conf" ;;
esac
mount --bind {HOSTS} /etc/hosts
mount --bind {PASSWD} /etc/passwd
mount --bind {TRUSTED} {settings.TRUSTED_DIR}
mount --rbind {STAGE} /run
mount -t tmpfs -o ro operator {settings.STATE_DIR}
exec "$@"
"""


class OperatorError(RuntimeError):
    """There is no operator's machine to enter; says why, and what to do."""


# --- pure decisions -----------------------------------------------------------------------------------------------


def ruleset(owners: Mapping[IPv4Address, IPv4Address]) -> str:
    """What nftables shall do with what is sent to a public address: replaces the whole table, at once.

    Decided by the address that was asked for, before it becomes a private one: who knows a private address, or one
    that nobody has, is told so. An open connection outlives the address by which it came, as at AWS. A host that has a
    public address itself reaches others by theirs, and comes from its own.
    """
    table = f"ip {settings.PUBLIC_TABLE}"
    known = f"ip daddr {{ {', '.join(map(str, sorted(owners)))} }}"
    there = ", ".join(f"{public} : {private}" for public, private in sorted(owners.items()))
    back = ", ".join(f"{private} : {public}" for public, private in sorted(owners.items()))
    hosts = f"ip saddr {{ {', '.join(map(str, sorted(owners.values())))} }}"
    wire, bridge = f'"{settings.OPERATOR_INTERFACE}"', f'"{settings.BRIDGE}"'
    return "\n".join(
        [
            f"add table {table}",
            f"delete table {table}",
            f"table {table} {{",
            "  chain entrance {",
            "    type filter hook prerouting priority mangle; policy accept;",
            f"    iifname != {wire} accept",
            "    ct state established,related accept",
            *([f"    {known} accept"] if owners else []),
            f"    ip daddr {settings.RESOLVER} udp dport 53 accept",
            f"    ip daddr {settings.RESOLVER} tcp dport {{ 53, {settings.FRONT_PORT} }} accept",
            "    reject with icmp host-unreachable",
            "  }",
            "  chain translation {",
            "    type nat hook prerouting priority dstnat; policy accept;",
            *([f"    iifname {wire} dnat to ip daddr map {{ {there} }}"] if owners else []),
            *([f"    iifname {bridge} {hosts} dnat to ip daddr map {{ {there} }}"] if owners else []),
            "  }",
            "  chain origin {",
            "    type nat hook postrouting priority srcnat; policy accept;",
            *([f"    oifname {bridge} ct status dnat snat to ip saddr map {{ {back} }}"] if owners else []),
            "  }",
            # That a public address is on the same bridge is nothing that a host may be told.
            "  chain silence {",
            "    type filter hook output priority filter; policy accept;",
            f"    oifname {bridge} icmp type redirect drop",
            "  }",
            "  chain exit {",
            "    type filter hook forward priority filter; policy accept;",
            # Whoever has such an address outside of this cloud is none of its hosts' business.
            f"    iifname {bridge} oifname != {wire} ip daddr {settings.PUBLIC_CIDR} reject",
            f"    oifname != {wire} accept",
            "    ct state established,related accept",
            "    reject with icmp host-unreachable",
            "  }",
            "}",
            "",
        ]
    )


def environment(inherited: Mapping[str, str], keys: Keys) -> dict[str, str]:
    """The environment of a command: the caller's, without what could lead elsewhere, and what an operator sets."""
    return {name: value for name, value in inherited.items() if not _is_dropped(name)} | {
        "HOME": str(settings.OPERATOR_HOME),
        "AWS_ACCESS_KEY_ID": keys.access_key,
        "AWS_SECRET_ACCESS_KEY": keys.secret_key,
        "AWS_REGION": settings.REGION,
        "AWS_DEFAULT_REGION": settings.REGION,
        # boto3 brings a bundle of its own. Everybody else looks where every machine has it.
        "AWS_CA_BUNDLE": str(settings.TRUSTED_BUNDLE),
    }


def _is_dropped(name: str) -> bool:
    return (
        name.startswith(DROPPED_PREFIXES)
        or any(part in name for part in DROPPED_PARTS)
        or name.lower().endswith(DROPPED_SUFFIX)
    )


def with_home(passwd: str, user_id: int, home: Path) -> str:
    """A passwd file in which this user has another home: SSH asks it, not the environment, where its keys are."""
    lines = []
    for line in passwd.splitlines():
        fields = line.split(":")
        if len(fields) == 7 and fields[2] == str(user_id):
            fields[5] = str(home)
        lines.append(":".join(fields))
    return "\n".join(lines) + "\n"


def enter_command(command: Sequence[str]) -> list[str]:
    """A command, in the namespaces: it takes the caller's process, so that signals and its exit status are its own.

    Mounts of this machine come and go there too, and none of its own shows outside.
    """
    return [
        "nsenter", f"--net={NAMESPACE}",
        "unshare", "--mount", "--propagation=slave",
        "sh", "-ec", ENTER_SCRIPT, "operator", *command,
    ]  # fmt: skip


# --- enter --------------------------------------------------------------------------------------------------------


def is_inside() -> bool:
    """Whether this process runs on the operator's machine."""
    return settings.OPERATOR_HOME.is_dir()


def enter(command: Sequence[str]) -> NoReturn:
    """Become a command on the operator's machine; without one, a shell."""
    if not NAMESPACE.exists():
        raise OperatorError("There is no operator's machine: bring the embedded cloud up (`up`) first.")
    shell = os.environ.get("SHELL") or "/bin/sh"
    arguments = enter_command(command or [shell])
    os.execvpe(arguments[0], arguments, environment(os.environ, Keys.read()))


# --- make ---------------------------------------------------------------------------------------------------------


class OperatorMachine:
    """The machine, and the thread that keeps its way to the hosts in step with their public addresses."""

    def __init__(self, addresses: PublicAddresses) -> None:
        self._addresses = addresses
        self._ended = False
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        make()
        self._thread = threading.Thread(target=self._follow, name="public addresses", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        if self._thread is None:
            return
        self._ended = True
        self._addresses.changed.set()
        self._thread.join()

    def _follow(self) -> None:
        changed = self._addresses.changed
        while True:
            changed.wait()
            changed.clear()
            if self._ended:
                return
            try:
                open_ways(self._addresses.owners())
            except CommandError:
                log.exception("the public addresses do not lead to the hosts")


def make() -> None:
    """Make the machine: its files, its network, its wire."""
    _make_files()
    _make_network()


def open_ways(owners: Mapping[IPv4Address, IPv4Address]) -> None:
    """Let public addresses lead to private ones, and to no others than these."""
    run("nft", "--file", "-", text=ruleset(owners))


def _make_files() -> None:
    ssh = HOME / ".ssh"
    shutil.rmtree(settings.OPERATOR_DIR, ignore_errors=True)  # that of a cloud that was killed
    for directory in (HOME, ssh):
        directory.mkdir(parents=True, mode=0o700)
    for key in (settings.OPERATOR_KEY, settings.OPERATOR_KEY.with_suffix(".pub")):
        shutil.copy(key, ssh / key.name)  # with its mode
    (ssh / "known_hosts").touch(mode=0o600)
    for directory in (TRUSTED, STAGE):
        directory.mkdir()
    # Under the name by which OpenSSL finds it, too.
    name = run("openssl", "x509", "-noout", "-subject_hash", "-in", str(settings.CA_CERTIFICATE))
    for file in (settings.TRUSTED_BUNDLE.name, f"{name}.0"):
        shutil.copy(settings.CA_CERTIFICATE, TRUSTED / file)
    RESOLV_CONF.write_text(f"nameserver {settings.RESOLVER}\n")
    HOSTS.write_text(f"127.0.0.1 localhost {socket.gethostname()}\n")
    PASSWD.write_text(with_home(Path("/etc/passwd").read_text(), os.geteuid(), settings.OPERATOR_HOME))


def _make_network() -> None:
    open_ways({})
    for chain, where in (
        ("INPUT", ["--in-interface", settings.OPERATOR_INTERFACE]),
        ("FORWARD", ["--in-interface", settings.OPERATOR_INTERFACE, "--out-interface", settings.BRIDGE]),
        ("FORWARD", ["--in-interface", settings.BRIDGE, "--out-interface", settings.OPERATOR_INTERFACE]),
    ):
        # What our table lets through, this machine's own firewall (Docker's, above all) may not.
        run(
            "iptables", "--wait", "--table", "filter", "--insert", chain, *where,
            "--match", "comment", "--comment", settings.FIREWALL_COMMENT, "--jump", "ACCEPT",
        )  # fmt: skip
    NAMESPACE.touch()
    run("unshare", f"--net={NAMESPACE}", "true")
    wire = settings.OPERATOR_INTERFACE
    run("ip", "link", "add", wire, "type", "veth", "peer", "name", WIRE_INSIDE, "netns", str(NAMESPACE))
    run("ip", "address", "add", f"{settings.OPERATOR_GATEWAY}/{settings.WIRE_CIDR.prefixlen}", "dev", wire)
    run("ip", "link", "set", wire, "up")
    run("nsenter", f"--net={NAMESPACE}", "sh", "-ec", NETWORK_SCRIPT)


# --- remove -------------------------------------------------------------------------------------------------------


def remove() -> None:
    """End what runs there, and take its wire and its table away; its files and its namespace go with all others."""
    end(processes_inside)
    if succeeds("ip", "link", "show", settings.OPERATOR_INTERFACE):
        run("ip", "link", "delete", settings.OPERATOR_INTERFACE)
    if succeeds("nft", "list", "table", "ip", settings.PUBLIC_TABLE):
        run("nft", "delete", "table", "ip", settings.PUBLIC_TABLE)


def processes_inside() -> list[int]:
    """The processes of the operator's machine: what a command left running (SSH does) and commands that still run."""
    return processes_in(NAMESPACE)


def processes_in(namespace_file: Path) -> list[int]:
    """The processes in a network namespace, by the file that keeps it."""
    try:
        namespace = os.stat(namespace_file)
    except FileNotFoundError:
        return []
    found = []
    for entry in Path("/proc").glob("[0-9]*/ns/net"):
        with contextlib.suppress(OSError):  # it ended meanwhile
            if os.path.samestat(entry.stat(), namespace):
                found.append(int(entry.parts[2]))
    return found


def end(
    processes: Callable[[], Iterable[int]], signals: Sequence[signal.Signals] = (signal.SIGTERM, signal.SIGKILL)
) -> None:
    """End processes, and look that they have ended before the next signal is tried."""
    for number in signals:
        for process_id in processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(process_id, number)
        deadline = time.monotonic() + END_SECONDS
        while processes() and time.monotonic() < deadline:
            time.sleep(0.05)

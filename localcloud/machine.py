# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the embedded cloud makes on the machine beside its process, and how all of it is found and removed again.

Removal goes by our labels, comments, names and directories alone, never by memory: it is the same after a clean end
and after a crash.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

from localcloud import operator_machine, settings
from localcloud.balancer import place
from localcloud.shell import CommandError, docker, docker_succeeds, labels, run, succeeds
from localcloud.volumes import all_loop_devices, switch_off_swap

Progress = Callable[[str], None]

# The program that must be there → the Debian package that brings it.
PROGRAMS: Mapping[str, str] = {
    "haproxy": "haproxy",
    "ip": "iproute2",
    "iptables": "iptables",
    "losetup": "mount",
    "lxcfs": "lxcfs",
    "nft": "nftables",
    "openssl": "openssl",
    "ssh": "openssh-client",
}

# What the cloud takes for itself, where, and for what.
NETWORKS = (
    (settings.VPC_CIDR, settings.BRIDGE, "its instances"),
    (settings.WIRE_CIDR, settings.OPERATOR_INTERFACE, "the operator's machine"),
)

LXCFS_PID_FILE = settings.RUNTIME_DIR / "lxcfs.pid"
LXCFS_SECONDS = 60
BRIDGE_FILTER = Path("/proc/sys/net/bridge")  # of br_netfilter
MINE = f"label={settings.LABEL}={settings.LABEL_VALUE}"


# Where the cloud's own process listens, and for what.
PORTS: tuple[tuple[str, str, int, str], ...] = (
    ("tcp", settings.API_HOST, settings.API_PORT, "its API"),
    ("tcp", str(settings.METADATA_BACKEND), settings.METADATA_PORT, "the metadata service of its instances"),
    ("tcp", str(settings.RESOLVER), settings.FRONT_PORT, "AWS's names over TLS"),
    ("tcp", str(settings.RESOLVER), settings.DNS_PORT, "its resolver"),
    ("udp", str(settings.RESOLVER), settings.DNS_PORT, "its resolver"),
)
# As ss writes them: of IPv4, and of both.
ALL_ADDRESSES = ("0.0.0.0", "*")


class MachineError(RuntimeError):
    """This machine cannot carry the embedded cloud; says why, and what to do."""


# --- pure decisions -----------------------------------------------------------------------------------------------


def overlapping_routes(routes: list[dict[str, Any]], network: IPv4Network, own_interface: str) -> list[str]:
    """The machine's routes (from `ip -json route`) that the network would take traffic from, apart from our own."""
    overlapping = []
    for route in routes:
        destination, interface = route["dst"], route.get("dev", "")
        if destination == "default" or interface == own_interface:
            continue
        if IPv4Network(destination, strict=False).overlaps(network):
            overlapping.append(f"{destination} on {interface or 'no interface'}")
    return overlapping


def taken_ports(listening: str) -> list[str]:
    """The ports that the cloud needs and somebody else holds, with the holder, from `ss -Hlntup`."""
    taken = []
    for line in filter(str.strip, listening.split("\n")):
        protocol, _, _, _, local, *rest = line.split()
        address, _, number = local.rpartition(":")
        for wanted, own_address, port, purpose in PORTS:
            if (protocol, number) == (wanted, str(port)) and address.partition("%")[0] in (own_address, *ALL_ADDRESSES):
                holders = re.findall(r'\("([^"]*)",pid=(\d+)', " ".join(rest))
                who = ", ".join(dict.fromkeys(f"{name} (process {pid})" for name, pid in holders))
                taken.append(f"port {port}/{protocol} for {purpose}: held on {local} by {who or 'another container'}")
    return taken


def commented_rules(rules: str, comment: str) -> list[list[str]]:
    """The iptables arguments that delete each rule with our comment, from `iptables -S`."""
    found = []
    for line in rules.split("\n"):
        words = shlex.split(line)
        if words[:1] == ["-A"] and "--comment" in words and words[words.index("--comment") + 1] == comment:
            found.append(["-D", *words[1:]])
    return found


def mounts_below(mountinfo: str, directory: Path) -> list[str]:
    """Mount points below a directory, the innermost first, from /proc/self/mountinfo."""
    points = [line.split(" ")[4].replace("\\040", " ") for line in mountinfo.split("\n") if line.strip()]
    return sorted((point for point in points if Path(point).is_relative_to(directory)), key=len, reverse=True)


# --- make ---------------------------------------------------------------------------------------------------------


def refuse_overlap() -> None:
    """Refuse to take addresses that the machine reaches elsewhere."""
    routes = json.loads(run("ip", "-json", "-4", "route", "show", "table", "main") or "[]")
    for network, own_interface, purpose in NETWORKS:
        overlapping = overlapping_routes(routes, network, own_interface)
        if overlapping:
            raise MachineError(
                f"The embedded cloud needs {network} for {purpose}, but this machine has a route that overlaps it: "
                f"{', '.join(overlapping)}. Remove that route or leave that network (a VPN, another Docker network), "
                "then try again."
            )


def refuse_taken_ports() -> None:
    """Refuse to start where somebody else listens, which the cloud would find out only in the middle of its start."""
    taken = taken_ports(run("ss", "-Hlntup"))
    if taken:
        raise MachineError(
            f"The embedded cloud needs what another program of this machine holds: {'; '.join(taken)}. Stop that "
            "program, or have it listen on an address of its own instead of all, then try again."
        )


def note_making() -> None:
    """Note that there will be something to remove, before there is: no engine may answer when somebody looks."""
    settings.MADE_FILE.parent.mkdir(parents=True, exist_ok=True)
    settings.MADE_FILE.touch()


def make_network() -> None:
    """The default VPC: a bridge with the gateway, the resolver's and the metadata service's address."""
    docker(
        "network", "create", *labels("network"), "--driver=bridge",
        f"--subnet={settings.VPC_CIDR}", f"--gateway={settings.GATEWAY}",
        f"--opt=com.docker.network.bridge.name={settings.BRIDGE}", settings.NETWORK_NAME,
    )  # fmt: skip
    _have_firewall_see_bridge()
    for address in settings.BRIDGE_ADDRESSES:
        run("ip", "address", "add", f"{address}/32", "dev", settings.BRIDGE)
    run(
        "iptables", "--wait", "--table", "nat", "--append", "PREROUTING", "--in-interface", settings.BRIDGE,
        "--destination", str(settings.METADATA_ADDRESS), "--protocol", "tcp", "--dport", str(settings.METADATA_PORT),
        "--match", "comment", "--comment", settings.FIREWALL_COMMENT,
        "--jump", "DNAT", "--to-destination", f"{settings.METADATA_BACKEND}:{settings.METADATA_PORT}",
    )  # fmt: skip
    # The hosts ask this machine itself for names, TLS and metadata, which its firewall may not let everybody do.
    run(
        "iptables", "--wait", "--table", "filter", "--insert", "INPUT", "--in-interface", settings.BRIDGE,
        "--match", "comment", "--comment", settings.FIREWALL_COMMENT, "--jump", "ACCEPT",
    )  # fmt: skip


def _have_firewall_see_bridge() -> None:
    """Let what goes from host to host pass the machine's firewall, where the security groups are enforced."""
    if not BRIDGE_FILTER.exists() and not succeeds("modprobe", "br_netfilter"):
        raise MachineError(
            "The embedded cloud enforces security groups on its bridge, for which the kernel needs br_netfilter; this "
            "kernel does not have it. Use the kernel of a common distribution, or build it with BRIDGE_NETFILTER."
        )
    run("ip", "link", "set", settings.BRIDGE, "type", "bridge", "nf_call_iptables", "1", "nf_call_ip6tables", "1")


def start_lxcfs() -> None:
    """An lxcfs of our own: through its files a host sees the memory of its instance type, not the machine's."""
    settings.LXCFS_DIR.mkdir(parents=True, exist_ok=True)
    with settings.LOG_FILE.open("ab") as log:
        subprocess.Popen(
            ["lxcfs", "--foreground", f"--pidfile={LXCFS_PID_FILE}", str(settings.LXCFS_DIR)],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
        )  # fmt: skip
    deadline = time.monotonic() + LXCFS_SECONDS
    while not (settings.LXCFS_DIR / "proc/meminfo").exists():
        if time.monotonic() > deadline:
            raise MachineError(
                f"lxcfs does not show {settings.LXCFS_DIR}/proc/meminfo; it needs /dev/fuse. See {settings.LOG_FILE}."
            )
        time.sleep(0.05)


# --- remove -------------------------------------------------------------------------------------------------------


def remove_everything(progress: Progress) -> None:
    """Remove whatever an embedded cloud made on this machine. Safe to repeat, and where there is nothing."""
    in_engine: tuple[Callable[[], None], ...] = (
        lambda: _remove_containers(progress),
        _remove_docker_volumes,
        _remove_networks,
    )
    engine_answers = docker_succeeds("version")
    if not engine_answers and anything_left():
        progress("no Docker engine answers: containers, volumes and networks stay until `down`")
    steps = (
        operator_machine.remove,
        place.remove,
        *(in_engine if engine_answers else ()),
        _remove_firewall_rules,
        _remove_security_groups,
        _remove_bridge,
        _detach_loop_devices,
        _stop_lxcfs,
        _remove_directories,
    )
    failures = []
    for step in steps:
        try:
            step()
        except CommandError as failure:  # what else can be removed shall be
            failures.append(str(failure))
    if failures:
        raise MachineError(
            "Not everything of the embedded cloud could be removed. Free what is in use and run `down` again.\n  "
            + "\n  ".join(failures)
        )
    if engine_answers:
        settings.MADE_FILE.unlink(missing_ok=True)


def anything_left() -> bool:
    """Whether a cloud may have left something that only a running engine can remove."""
    return settings.MADE_FILE.exists()


def _remove_containers(progress: Progress) -> None:
    containers = _ours("ps", "--all", "--quiet")
    if containers:
        progress(f"removing {len(containers)} containers")
        with ThreadPoolExecutor(max_workers=len(containers)) as pool:  # the client does one after another
            list(pool.map(_remove_container, containers))


def _remove_container(container: str) -> None:
    docker("rm", "--force", "--volumes", container, timeout=300)


def _remove_docker_volumes() -> None:
    volumes = _ours("volume", "ls", "--quiet")
    for volume in volumes:
        switch_off_swap(volume)
    if volumes:
        with ThreadPoolExecutor(max_workers=len(volumes)) as pool:  # the engine empties one after another
            list(pool.map(_empty, volumes))
        docker("volume", "rm", "--force", *volumes, timeout=300)


def _empty(volume: str) -> None:
    directory = docker("volume", "inspect", "--format={{.Mountpoint}}", volume)
    run("find", directory, "-xdev", "-mindepth", "1", "-delete", timeout=300)


def _remove_networks() -> None:
    for network in _ours("network", "ls", "--quiet"):
        docker("network", "rm", network)


def _ours(*listing: str) -> list[str]:
    """Our Docker objects in a listing."""
    return docker(*listing, "--filter", MINE).split()


def _remove_firewall_rules() -> None:
    for table in ("nat", "filter"):
        try:
            rules = run("iptables", "--wait", "--table", table, "--list-rules")
        except CommandError:  # no iptables: then nobody made a rule with it
            return
        for arguments in commented_rules(rules, settings.FIREWALL_COMMENT):
            run("iptables", "--wait", "--table", table, *arguments)


def _remove_security_groups() -> None:
    table = ("table", "inet", settings.GROUPS_TABLE)
    if succeeds("nft", "list", *table):
        run("nft", "delete", *table)


def _remove_bridge() -> None:
    if succeeds("ip", "link", "show", settings.BRIDGE):
        run("ip", "link", "delete", settings.BRIDGE)


def _detach_loop_devices() -> None:
    for device in all_loop_devices():
        run("losetup", "--detach", device)


def _remove_directories() -> None:
    for directory in (settings.RUNTIME_DIR, settings.DISKS_DIR, settings.INSTANCES_DIR):
        for point in mounts_below(Path("/proc/self/mountinfo").read_text(), directory):
            run("umount", "--lazy", point)
    shutil.rmtree(settings.DISKS_DIR, ignore_errors=True)
    shutil.rmtree(settings.INSTANCES_DIR, ignore_errors=True)


def _stop_lxcfs() -> None:
    """Stop our lxcfs, which takes its mount away itself."""
    try:
        pid = int(LXCFS_PID_FILE.read_text())
    except FileNotFoundError:
        return
    if _is_our_lxcfs(pid):
        os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + LXCFS_SECONDS
    while _is_our_lxcfs(pid) and time.monotonic() < deadline:
        time.sleep(0.02)
    LXCFS_PID_FILE.unlink(missing_ok=True)


def _is_our_lxcfs(pid: int) -> bool:
    """Whether the process is our lxcfs: its number alone might be another process's by now."""
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    return str(settings.LXCFS_DIR).encode() in command

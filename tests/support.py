# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What tests on the embedded cloud share: running its commands, asking it, and looking at this machine."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.parse
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from localcloud import demo, direct, settings

ROOT = Path(__file__).resolve().parent.parent
LOG_DIR = ROOT / "build" / "test-logs"
READ_BYTES = 1024**2
# How often every process is looked for, and which of these times its arguments are read.
WATCH_SECONDS = 0.05
YOUNG_LOOKS = 10
SELDOM_LOOKS = 20
# For boto3's waiters. A container that is told to stop in its first moments may not hear it, and its host waits
# 80 seconds until it is killed.
HOST_WAITER = {"Delay": 1, "MaxAttempts": 180}
# What ends a line for anybody, and how short a part of a secret still tells of it.
LINE_ENDS = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")
SHORTEST_PART = 6
RECAP = re.compile(r"^(\S+)\s+: ok=\d+\s+changed=(\d+)\s+unreachable=(\d+)\s+failed=(\d+)", re.MULTILINE)


@dataclass(frozen=True)
class Run:
    """A finished command."""

    status: int
    output: str

    def changed(self) -> dict[str, int]:
        """Host → number of changed tasks, from Ansible's recap."""
        return {host: int(changed) for host, changed, _, _ in RECAP.findall(self.output)}

    def expect(self, status: int = 0) -> Run:
        """This run, or a failure that shows the end of its output."""
        assert self.status == status, f"exit status {self.status} instead of {status}:\n{self.output[-6000:]}"
        return self


def run(*command: str, name: str, environment: dict[str, str] | None = None, timeout_seconds: int = 900) -> Run:
    """Run a command at the root of the checkout; its output goes to build/test-logs/<name>.log."""
    LOG_DIR.mkdir(parents=True, exist_ok=True)
    log = LOG_DIR / f"{name}.log"
    with log.open("w", encoding="utf-8") as sink:
        done = subprocess.run(
            command,
            cwd=ROOT,
            env={**demo.environment(os.environ), **(environment or {})},
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=subprocess.STDOUT,
            timeout=timeout_seconds,
            check=False,
        )
    return Run(done.returncode, log.read_text(encoding="utf-8", errors="replace"))


def playbook(*arguments: str, name: str, environment: dict[str, str] | None = None, timeout_seconds: int = 900) -> Run:
    """Run ansible-playbook of this virtual environment."""
    command = str(Path(sys.executable).with_name("ansible-playbook"))
    return run(command, *arguments, name=name, environment=environment, timeout_seconds=timeout_seconds)


def module(
    module: str, arguments: Mapping[str, object], *, name: str, environment: dict[str, str] | None = None
) -> Run:
    """Run one module on this machine."""
    return run(
        str(Path(sys.executable).with_name("ansible")), "localhost", "-i", "localhost,", "-c", "local",
        "-e", f"ansible_python_interpreter={sys.executable}", "-m", module, "-a", json.dumps(arguments),
        name=name, environment=environment,
    )  # fmt: skip


@dataclass(frozen=True)
class Background:
    """A command that runs while the test goes on."""

    process: subprocess.Popen[bytes]
    log: Path

    def output(self) -> str:
        """What it has printed by now."""
        return self.log.read_text(encoding="utf-8", errors="replace")

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to it and to every process that it started here."""
        for process_id in [self.process.pid, *descendants(self.process.pid)]:
            with contextlib.suppress(ProcessLookupError):  # it ended meanwhile
                os.kill(process_id, number)

    def wait_until(self, has_come: Callable[[], bool], what: str, timeout_seconds: int) -> None:
        """Poll until a moment comes; fail when the run ends before."""
        deadline = time.monotonic() + timeout_seconds
        while not has_come():
            assert self.process.poll() is None, (
                f"{what}: the run ended before that moment came:\n{self.output()[-3000:]}"
            )
            assert time.monotonic() < deadline, f"{what}: not within {timeout_seconds} s:\n{self.output()[-3000:]}"
            time.sleep(0.05)

    def wait_for_line(self, pattern: str, timeout_seconds: int) -> None:
        """Wait until it has printed such a line."""
        with self.log.open("rb") as log:

            def has_come() -> bool:
                start = log.tell()
                printed = log.read()
                # The last line may go on.
                log.seek(start + printed.rfind(b"\n") + 1)
                return bool(re.search(pattern, printed.decode("utf-8", "replace"), re.MULTILINE))

            self.wait_until(has_come, pattern, timeout_seconds)

    def finish(self, timeout_seconds: int = 300) -> Run:
        """Wait until it has ended."""
        return Run(self.process.wait(timeout_seconds), self.output())


def background_playbook(*arguments: str, name: str) -> contextlib.AbstractContextManager[Background]:
    """Run ansible-playbook beside the block, and kill what is left of it afterwards."""
    command = str(Path(sys.executable).with_name("ansible-playbook"))
    return background(command, *arguments, name=name, cwd=ROOT, environment=demo.environment(os.environ))


@contextlib.contextmanager
def background(*command: str, name: str, cwd: Path, environment: Mapping[str, str]) -> Iterator[Background]:
    """Run a command beside the block, and kill what is left of it afterwards."""
    LOG_DIR.mkdir(parents=True, exist_ok=True)
    log = LOG_DIR / f"{name}.log"
    with log.open("w", encoding="utf-8") as sink:
        process = subprocess.Popen(
            command,
            cwd=cwd,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=subprocess.STDOUT,
        )
    run = Background(process, log)
    try:
        yield run
    finally:
        if process.poll() is None:
            run.signal(signal.SIGKILL)
            process.wait()


def descendants(process_id: int) -> list[int]:
    """Every process that descends from this one."""
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # it ended meanwhile
            parent = int(stat.read_text(encoding="utf-8").rpartition(")")[2].split()[1])
            children.setdefault(parent, []).append(int(stat.parent.name))
    found = list(children.get(process_id, []))
    for child in found:
        found += children.get(child, [])
    return found


def task(title: str) -> str:
    """The line with which Ansible begins a task of this name."""
    return rf"^TASK \[[^\]]*{re.escape(title)}\]"


def calls(*, writes_only: bool = False, hosts_only: bool = False) -> dict[str, int]:
    """How often each API action was called since the last reset; hosts_only leaves the operator's own calls out."""
    query = f"?writes={writes_only:d}&hosts={hosts_only:d}"
    with direct.urlopen(f"{settings.API_URL}/_localcloud/calls{query}", timeout=10) as answer:
        return dict(json.load(answer))


def grants() -> dict[str, Any]:
    """What the cloud has allowed and denied to whom since it is up."""
    with direct.urlopen(f"{settings.API_URL}/_localcloud/grants", timeout=10) as answer:
        return dict(json.load(answer))


def reset_calls() -> None:
    """Start counting API calls anew."""
    request = urllib.request.Request(f"{settings.API_URL}/_localcloud/calls/reset", method="POST")
    direct.urlopen(request, timeout=10).close()


@contextlib.contextmanager
def address_service(answer: str) -> Iterator[str]:
    """The URL of a service that tells every caller this address."""

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = f"{answer}\n".encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    threading.Thread(target=server.serve_forever, args=[0.02], daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def instance(name: str) -> dict[str, Any]:
    """The one instance of that Name tag."""
    found = [host for host in map(demo.host_summary, demo.instances()) if host["name"] == name]
    assert len(found) == 1, f"{name}: {found}"
    return found[0]


def states(names: Iterable[str]) -> dict[str, str]:
    """What the instances of these Name tags are doing, in one call."""
    found = {host["name"]: str(host["state"]) for host in map(demo.host_summary, demo.instances())}
    return {name: found[name] for name in names}


def on_host(instance_id: str, *command: str) -> subprocess.CompletedProcess[str]:
    """Run a command inside a host, past SSH, as a doctor would."""
    return subprocess.run(
        ["docker", "exec", instance_id, *command], capture_output=True, text=True, timeout=60, check=False
    )


@contextlib.contextmanager
def dropped_ssh(*instance_ids: str) -> Iterator[None]:
    """Hosts whose SSH port answers nobody within the block: a connection that is refused would be over at once."""
    rule = ("--protocol", "tcp", "--dport", "22", "--jump", "DROP")
    with contextlib.ExitStack() as stack:
        for host in instance_ids:
            assert on_host(host, "iptables", "--insert", "INPUT", *rule).returncode == 0
            stack.callback(on_host, host, "iptables", "--delete", "INPUT", *rule)
        yield


def words(text: str) -> str:
    """What was said, however its lines were broken."""
    return " ".join(text.split())


def wait_until(condition: Callable[[], bool], what: str, timeout_seconds: int = 180) -> None:
    """Poll until the condition holds; fail naming what was awaited."""
    deadline = time.monotonic() + timeout_seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {timeout_seconds} s: {what}"
        time.sleep(0.2)


def stdout_of(*command: str) -> Iterator[bytes]:
    """What a command prints, piece by piece: it may be large."""
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        while chunk := process.stdout.read(READ_BYTES):
            yield chunk
    assert process.returncode == 0, command


def found_in(values: Mapping[str, str], chunks: Iterable[bytes]) -> set[str]:
    """The names of the values that stand in these bytes, be it across two chunks, escaped, or in part."""
    found: set[str] = set()
    sought = {(name, spelling) for name, value in values.items() for spelling in _spellings(value)}
    overlap = max(len(spelling) for _, spelling in sought)
    before = b""
    for chunk in chunks:
        text = before + chunk
        found |= {name for name, spelling in sought if spelling in text}
        before = text[-overlap:]
    return found


def _spellings(value: str) -> Iterator[bytes]:
    """A value and its parts, as somebody cuts it who takes more than a line feed for the end of a line."""
    for part in {value, *(part for part in LINE_ENDS.split(value) if len(part) >= SHORTEST_PART)}:
        yield part.encode()
        yield json.dumps(part)[1:-1].encode()
        yield ascii(part)[1:-1].encode()
        yield repr(part.encode())[2:-1].encode()
        yield urllib.parse.quote(part, safe="").encode()


@contextlib.contextmanager
def watched_arguments(seen: set[str]) -> Iterator[None]:
    """Collect the arguments of every process of this machine, containers' included, while the block runs."""
    ended = threading.Event()

    def watch() -> None:
        looks: Counter[str] = Counter()
        while not ended.wait(WATCH_SECONDS):
            now = {process_id for process_id in os.listdir("/proc") if process_id.isdecimal()}
            # A process becomes another program soon after its start, or hardly ever.
            for process_id in now:
                if looks[process_id] < YOUNG_LOOKS or looks[process_id] % SELDOM_LOOKS == 0:
                    with contextlib.suppress(OSError):  # it ended meanwhile
                        arguments = Path("/proc", process_id, "cmdline").read_bytes()
                        seen.add(arguments.replace(b"\0", b" ").decode("utf-8", "replace"))
            looks = Counter({process_id: looks[process_id] + 1 for process_id in now})

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield
    finally:
        ended.set()
        watcher.join()


def machine() -> dict[str, list[str]]:
    """What the embedded cloud could leave behind on this machine."""
    return {
        "containers": docker_lines("ps", "--all", "--quiet"),
        "networks": docker_lines("network", "ls", "--quiet"),
        "volumes": docker_lines("volume", "ls", "--quiet"),
        # Also what lies there while no engine runs.
        "stored containers": directory("/var/lib/docker/containers"),
        "stored volumes": directory("/var/lib/docker/volumes"),
        "loop devices": lines("losetup", "--all"),
        "mounts": sorted(line.split()[1] for line in Path("/proc/mounts").read_text(encoding="utf-8").splitlines()),
        "swap": Path("/proc/swaps").read_text(encoding="utf-8").splitlines()[1:],
        "firewall": [line for line in lines("iptables-save") if is_rule(line)],
        # Those of iptables stay, empty, once anybody has asked it for anything.
        "firewall tables": [line for line in lines("nft", "list", "tables") if "academy" in line],
        "network namespaces": [*lines("ip", "netns", "list"), *network_namespaces()],
        "forwarding": Path("/proc/sys/net/ipv4/ip_forward").read_text(encoding="utf-8").split(),
        "interfaces": sorted(name for _, name in socket.if_nameindex()),
        "processes": sorted(name for name in process_names() if name in {"containerd", "dockerd", "haproxy", "lxcfs"}),
        "resolver": Path("/etc/resolv.conf").read_text(encoding="utf-8").splitlines(),
        "hosts": Path("/etc/hosts").read_text(encoding="utf-8").splitlines(),
    }


def network_namespaces() -> list[str]:
    """Files that keep a network namespace although nobody may be in it."""
    mounts = (line.split() for line in Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines())
    return sorted(mount[4] for mount in mounts if mount[mount.index("-") + 1] == "nsfs")


def is_rule(line: str) -> bool:
    """Whether a line of iptables-save is a rule, a chain of somebody's own or a policy that drops."""
    return line.startswith("-A") or (line.startswith(":") and not re.match(r":\S+ ACCEPT ", line))


def process_names() -> list[str]:
    """The name of every process that lives; one that ended stays listed until process 1 gets round to it."""
    names = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # it ended meanwhile
            name, _, rest = stat.read_text(encoding="utf-8").partition("(")[2].rpartition(")")
            if rest.split()[0] != "Z":
                names.append(name)
    return names


def directory(path: str) -> list[str]:
    """The directories in a directory; none where it does not exist."""
    return sorted(entry.name for entry in Path(path).glob("*/"))


def docker_lines(*arguments: str) -> list[str]:
    """Output lines of a docker command; none where no engine answers."""
    return lines("docker", *arguments)


def lines(*command: str) -> list[str]:
    """Sorted output lines of a command; none where it does not exist or fails."""
    if shutil.which(command[0]) is None:
        return []
    return sorted(subprocess.run(command, capture_output=True, text=True, check=False).stdout.splitlines())

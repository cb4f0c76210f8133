# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The machine's Docker engine: use the one that runs, else install one, start it, and later stop only that one.

Where PID 1 is not systemd nobody else keeps a daemon, so dockerd is started by hand. What it changes on the machine
(the FORWARD policy, IP forwarding, its bridge and chains) is written down first and put back by `stop_engine`.
"""

from __future__ import annotations

import json
import logging
import os
import platform
import shlex
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from localcloud import settings
from localcloud.shell import DEFAULT_SOCKET, CommandError, EngineError, docker, run, socket_url, succeeds

Progress = Callable[[str], None]

log = logging.getLogger(__name__)

ENGINE_STATE: Final = settings.STATE_DIR / "engine.json"
DOCKERD_LOG: Final = settings.LOG_DIR / "dockerd.log"
OWN_URL: Final = f"unix://{DEFAULT_SOCKET}"
START_TIMEOUT_SECONDS: Final = 300
STOP_TIMEOUT_SECONDS: Final = 60
HEARTBEAT_SECONDS: Final = 15

# The program that must be there → the Debian package that brings it.
ENGINE_PROGRAMS: Final[Mapping[str, str]] = {
    "docker": "docker.io",
    "dockerd": "docker.io",
    "iptables": "iptables",
}

_IP_FORWARD: Final = Path("/proc/sys/net/ipv4/ip_forward")
_DATA: Final = Path("/var/lib/docker")
_PID_FILES: Final = (Path("/var/run/docker.pid"), Path("/var/run/docker/containerd/containerd.pid"))
_BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")
_POLICY: Final = Path("/usr/sbin/policy-rc.d")
# Another package manager may be at work, and a mirror may fail now and then.
APT_GET: Final = ("apt-get", "--quiet", "-o", "DPkg::Lock::Timeout=600", "-o", "Acquire::Retries=3")
_POLICY_TEXT: Final = "#!/bin/sh\n# A package being installed starts no service.\nexit 101\n"
_DEFAULT_BRIDGE: Final = "docker0"


@dataclass(frozen=True)
class Engine:
    """A Docker engine that answers."""

    url: str
    version: str
    started_by_us: bool


@dataclass(frozen=True)
class Surroundings:
    """How the machine was before dockerd, which changes it beside its own bridge and chains."""

    forward_policy: str
    ip_forward: str
    saved: str = ""  # what iptables-save printed: chains and rules that are not ours to remove
    data_mounted: bool = True  # dockerd mounts its data directory upon itself; a killed one leaves that


@dataclass(frozen=True)
class OwnEngine:
    """Our note of an engine that we started. Process id and start time together name one process, never a later one."""

    boot_id: str
    pid: int  # 0: systemd keeps it
    start_time: int
    surroundings: Surroundings
    containerd_ran: bool = True  # systemd starts it with Docker, and does not stop it with Docker

    @classmethod
    def from_json(cls, text: str) -> OwnEngine:
        fields = json.loads(text)
        return cls(**{**fields, "surroundings": Surroundings(**fields["surroundings"])})

    def to_json(self) -> str:
        return json.dumps(asdict(self), indent=2) + "\n"


# --- pure decisions -----------------------------------------------------------------------------------------------


def start_time(stat: str) -> int:
    """The start time in a /proc/<pid>/stat line. The program's name in it may hold spaces and parentheses."""
    return int(stat.rpartition(")")[2].split()[19])


def forward_policy(rules: str) -> str:
    """The policy of the FORWARD chain in what `iptables -S FORWARD` prints."""
    for line in rules.splitlines():
        if line.startswith("-P FORWARD "):
            return line.split()[2]
    return "ACCEPT"


def leftovers(saved: str, before: str) -> list[list[str]]:
    """The iptables arguments that remove what dockerd left, given what `iptables-save` prints and printed before it.

    Rules first (those in or to chains of its name, or that name its bridge), then its own chains, emptied before they
    are deleted because they refer to each other.
    """
    known = set(_chains_and_rules(before))
    rules: list[list[str]] = []
    chains: list[tuple[str, str]] = []
    for table, line in _chains_and_rules(saved):
        if (table, line) in known:
            continue
        words = shlex.split(line)
        if line.startswith(":DOCKER"):
            chains.append((table, line[1:]))
        elif line.startswith("-A ") and (table, words[1]) not in chains:
            jumps_to_docker = "-j" in words and words[words.index("-j") + 1].startswith("DOCKER")
            if words[1].startswith("DOCKER") or jumps_to_docker or _DEFAULT_BRIDGE in words:
                rules.append(["-t", table, "-D", *words[1:]])
    flushes = [["-t", table, "-F", chain] for table, chain in chains]
    deletions = [["-t", table, "-X", chain] for table, chain in chains]
    return rules + flushes + deletions


def _chains_and_rules(saved: str) -> Iterator[tuple[str, str]]:
    """Each chain (":NAME") and each rule ("-A NAME …") with its table, from what `iptables-save` prints."""
    table = ""
    for line in saved.splitlines():
        if line.startswith("*"):
            table = line[1:].strip()
        elif line.startswith(":"):
            yield table, line.split()[0]  # without policy and counters
        elif line.startswith("-A "):
            yield table, line


# --- the machine --------------------------------------------------------------------------------------------------


@contextmanager
def heartbeat(progress: Progress, step: Callable[[], str]) -> Iterator[None]:
    """Show that a long step moves: say what it is, and for how long, as long as it lasts."""
    started = time.monotonic()
    ended = threading.Event()

    def beat() -> None:
        while not ended.wait(HEARTBEAT_SECONDS):
            progress(f"{step()} … {time.monotonic() - started:.0f} s")

    thread = threading.Thread(target=beat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def missing_packages(programs: Mapping[str, str]) -> list[str]:
    """The Debian packages of the programs that this machine does not have."""
    return sorted({package for program, package in programs.items() if shutil.which(program) is None})


def install_packages(packages: Sequence[str], progress: Progress) -> None:
    """Install Debian packages, unattended, and let none of them start a service of its own."""
    if not packages:
        return
    names = " ".join(packages)
    _require_debian_root(f"install {names}")
    progress(f"Installing Debian packages: {names}")
    with _services_stay_down(), heartbeat(progress, lambda: f"Installing {names}"):
        run(*APT_GET, "update", timeout=None)
        install = (*APT_GET, "--yes", "install", "--no-install-recommends")
        run("env", "DEBIAN_FRONTEND=noninteractive", *install, *packages, timeout=None)
    progress(f"Installed {names}")


def ensure_engine(progress: Progress) -> Engine:
    """The engine that runs on this machine; where there is none, one that we install and start."""
    if platform.system() != "Linux":
        raise EngineError(
            f"The embedded cloud runs on Linux only, this is {platform.system()}. Use a Linux virtual machine or WSL2."
        )
    url = socket_url(os.environ)
    engine = _answering_engine(url)
    if engine is None:
        if url != OWN_URL:
            raise EngineError(f"No engine answers at {url} (DOCKER_HOST). Start it, or unset DOCKER_HOST.")
        install_packages(missing_packages(ENGINE_PROGRAMS), progress)
        if os.geteuid() != 0:
            raise EngineError(
                "No Docker engine answers, and only root may start one. Start Docker, or run this as root."
            )
        _start(progress)
        engine = _answering_engine(OWN_URL)
        if engine is None:
            raise EngineError(f"The Docker engine was started but does not answer; its log is {DOCKERD_LOG}.")
        progress(f"Docker engine {engine.version} answers")
    return engine


def stop_engine() -> bool:
    """Stop the engine if it is the one that we started, and undo what it did to the machine. True if it was ours."""
    own = _noted()
    # In this order, because asking may start ours, where systemd listens for it.
    if own is None or (_answering_engine(OWN_URL) and not _is_alive(own)):
        ENGINE_STATE.unlink(missing_ok=True)
        return False
    if own.pid == 0:
        containerd = () if own.containerd_ran else ("containerd.service",)
        run("systemctl", "stop", "docker.socket", "docker.service", *containerd)
    else:
        if not _is_alive(own):
            # One that was killed left processes and mounts behind, which it clears up best itself.
            own = _launch(own.surroundings)
        _end(own)
    _undo(own.surroundings)
    ENGINE_STATE.unlink(missing_ok=True)
    return True


def remove_own_policy() -> None:
    """Let packages start their services again, where an installation of ours was killed before it could."""
    if _policy_is_ours():
        _POLICY.unlink()


def _require_debian_root(purpose: str) -> None:
    if shutil.which("apt-get") is None:
        raise EngineError(
            f"This machine is no Debian (no apt-get), so it cannot {purpose}. Install and start it yourself."
        )
    if os.geteuid() != 0:
        raise EngineError(f"Only root may {purpose}. Install it yourself, or run this as root.")


@contextmanager
def _services_stay_down() -> Iterator[None]:
    """A daemon started by its package would change the firewall before we noted how it was, and would not be ours."""
    if _POLICY.exists() and not _policy_is_ours():
        yield
        return
    _POLICY.write_text(_POLICY_TEXT)
    _POLICY.chmod(0o755)
    try:
        yield
    finally:
        remove_own_policy()


def _policy_is_ours() -> bool:
    try:
        return _POLICY.read_bytes() == _POLICY_TEXT.encode()
    except FileNotFoundError:
        return False


def _answering_engine(url: str) -> Engine | None:
    try:
        version = docker("version", "--format", "{{.Server.Version}}", host=url)
    except CommandError:
        return None
    own = _noted()
    return Engine(
        url=url,
        version=version,
        started_by_us=own is not None and _is_alive(own),
    )


def _start(progress: Progress) -> None:
    own = _noted()
    # One of ours that was killed left the machine changed; how it was before stands in our note.
    surroundings = own.surroundings if own else _surroundings_now()
    if Path("/run/systemd/system").is_dir():
        progress("Starting the Docker engine through systemd")
        if own is None:
            containerd_ran = succeeds("systemctl", "is-active", "--quiet", "containerd.service")
            _write_state(OwnEngine(_boot_id(), 0, 0, surroundings, containerd_ran))
        run("systemctl", "start", "docker.service")
    elif own and _is_alive(own):
        progress(f"Waiting for the Docker engine that was started before; its log is {DOCKERD_LOG}")
        _await_answer(own)
    else:
        progress(f"Starting the Docker engine; its log is {DOCKERD_LOG}")
        _launch(surroundings)


def _surroundings_now() -> Surroundings:
    return Surroundings(
        forward_policy=forward_policy(run("iptables", "--wait", "-S", "FORWARD")),
        ip_forward=_IP_FORWARD.read_text().strip(),
        saved=run("iptables-save"),
        data_mounted=_data_is_mounted(),
    )


def _data_is_mounted() -> bool:
    # os.path.ismount does not see a directory that is mounted upon itself.
    mounts = Path("/proc/self/mounts").read_text().split("\n")
    return any(line.split(" ")[1] == str(_DATA) for line in mounts if line)


def _launch(surroundings: Surroundings) -> OwnEngine:
    """Start dockerd by hand, note that it is ours, and wait until it answers."""
    _remove_stale_pid_files()
    DOCKERD_LOG.parent.mkdir(parents=True, exist_ok=True)
    with DOCKERD_LOG.open("ab") as output:
        # The shell becomes dockerd when it is told to, which is after the note: there is never one without the other.
        process = subprocess.Popen(
            ["sh", "-c", 'read -r go && exec "$@" </dev/null', "sh", "dockerd", "--host", OWN_URL],
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=output,
            cwd="/",
            start_new_session=True,
        )
    assert process.stdin is not None
    own = OwnEngine(_boot_id(), process.pid, _start_time(process.pid) or 0, surroundings)
    with process.stdin as go:
        _write_state(own)
        go.write(b"go\n")
    _await_answer(own)
    return own


def _remove_stale_pid_files() -> None:
    """Remove what keeps dockerd from starting after one that was killed.

    An ended process stays in the process table until its parent takes note, and dockerd counts it as alive: it refuses
    to start beside that dockerd, and waits for that containerd to answer.
    """
    for file in _PID_FILES:
        try:
            pid = int(file.read_text())
        except (FileNotFoundError, ValueError):
            continue
        if _start_time(pid) is None:
            file.unlink()


def _await_answer(own: OwnEngine) -> None:
    deadline = time.monotonic() + START_TIMEOUT_SECONDS
    while _answering_engine(OWN_URL) is None:
        if not _is_alive(own) or time.monotonic() > deadline:
            _end(own)
            problem = f"dockerd does not come up. The end of its log {DOCKERD_LOG}:\n{_log_tail()}"
            if _answering_engine(OWN_URL) is None:  # else what is to be undone is in use
                try:
                    _undo(own.surroundings)
                except CommandError as error:  # with our note kept, a later `down` tries again
                    raise EngineError(f"{problem}\nWhat it did to this machine is not undone yet: {error}") from error
            ENGINE_STATE.unlink(missing_ok=True)
            raise EngineError(problem)
        time.sleep(0.3)


def _undo(surroundings: Surroundings) -> None:
    if succeeds("ip", "link", "show", _DEFAULT_BRIDGE):
        run("ip", "link", "delete", _DEFAULT_BRIDGE)
    for arguments in leftovers(run("iptables-save"), surroundings.saved):
        run("iptables", "--wait", *arguments)
    run("iptables", "--wait", "-P", "FORWARD", surroundings.forward_policy)
    _IP_FORWARD.write_text(surroundings.ip_forward)
    if _data_is_mounted() and not surroundings.data_mounted:
        run("umount", str(_DATA))


def _log_tail() -> str:
    return "\n".join(DOCKERD_LOG.read_text(errors="replace").splitlines()[-15:])


def _end(own: OwnEngine) -> None:
    """End a dockerd that was started by hand, if it lives."""
    if _is_alive(own):
        os.kill(own.pid, signal.SIGTERM)
    deadline = time.monotonic() + STOP_TIMEOUT_SECONDS
    while _is_alive(own):
        if time.monotonic() > deadline:
            raise EngineError(
                f"dockerd (process {own.pid}) does not stop within {STOP_TIMEOUT_SECONDS} s. Look at its log "
                f"{DOCKERD_LOG}, end it and run this again."
            )
        time.sleep(0.2)


def _is_alive(own: OwnEngine) -> bool:
    if own.pid == 0:
        return succeeds("systemctl", "is-active", "--quiet", "docker.service")
    return _start_time(own.pid) == own.start_time


def _start_time(pid: int) -> int | None:
    """When the process started; None if it is gone, or has ended and only waits for its parent to notice."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    state = stat.rpartition(")")[2].split()[0]
    return None if state == "Z" else start_time(stat)


def _boot_id() -> str:
    return _BOOT_ID.read_text().strip()


def _noted() -> OwnEngine | None:
    """Our note of an engine that we started since the machine came up; what an earlier one changed is gone."""
    try:
        own = OwnEngine.from_json(ENGINE_STATE.read_text())
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError) as error:
        log.warning("%s is not readable (%r): whatever engine it was about counts as not ours", ENGINE_STATE, error)
        return None
    return own if own.boot_id == _boot_id() else None


def _write_state(own: OwnEngine) -> None:
    """Replace the note at once: half of one would be worth nothing."""
    ENGINE_STATE.parent.mkdir(parents=True, exist_ok=True)
    new = ENGINE_STATE.with_suffix(".new")
    new.write_text(own.to_json())
    new.replace(ENGINE_STATE)

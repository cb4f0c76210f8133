# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a worker host does by itself when its application cannot.

look     powers the host off when its workers are broken for long, when all of several are idle, or when a single one is
         idle for long and has not stopped it, and removes what jobs have left on the data disk; a timer calls it
notice   waits for EC2's notice that a Spot instance is taken away, and has the workers give back their jobs
release  has the workers give back their jobs; systemd calls it at every shutdown

Python 3.9 and nothing else: it must work when all the rest does not. It asks nothing of AWS but the metadata service.
"""

from __future__ import annotations

import calendar
import http.client
import json
import math
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

CONFIGURATION = "/etc/academy/watchdog.json"
DIRECTORY = "/run/academy"
MEMORY = f"{DIRECTORY}/watchdog.json"
# A tag of the instance, as the metadata service shows it: until when a deployment holds this host.
HOLD = "HoldUntil"
HOLD_FORMAT = "%Y-%m-%dT%H:%M:%SZ"

# Looks that are further apart say nothing of the time between them.
GAP_SECONDS = 180


# --- what is decided, without a clock, a file or Docker -------------------------------------------------------------


@dataclass(frozen=True)
class Settings:
    """The containers that stop this host when they have nothing to do, each with a file that need not exist."""

    heartbeat_files: Mapping[str, str]
    broken_seconds: float
    grace_seconds: float
    heartbeat_seconds: float
    restart_window_seconds: float
    idle_polls: int
    release_seconds: float
    # Where jobs have their files; empty where there is no such disk.
    scratch_directory: str
    leftover_seconds: float


@dataclass(frozen=True)
class Container:
    """A container as Docker shows it."""

    status: str
    restarts: int
    started: str


@dataclass(frozen=True)
class Beat:
    """What a worker last wrote of itself."""

    at: float
    state: str
    empty_polls: int


@dataclass(frozen=True)
class Seen:
    """One look at the host. `now` counts from the boot, so that no change of the clock counts as time."""

    now: float
    # Why the host is held, and why Docker does not answer; empty where it is not so.
    hold: str
    docker: str
    containers: Mapping[str, Container]
    beats: Mapping[str, Beat]
    # The tag as it was last read.
    hold_tag: str = ""


@dataclass(frozen=True)
class Remembered:
    """What earlier looks have seen of one worker."""

    started: str
    restarts: int
    restarted_at: float | None
    beat: float | None
    # When its heartbeat last changed, or the container was started, or it was first seen.
    moved_at: float
    # Whether the heartbeat has changed since the container was started: an old file is no sign of life.
    alive: bool


@dataclass(frozen=True)
class Memory:
    """What earlier looks since the boot have seen."""

    began: float
    looked: float
    broken_since: float | None
    # Since when a single worker, which should have stopped the host by then, has had no work.
    idle_since: float | None
    workers: Mapping[str, Remembered]
    said: str
    hold_tag: str


@dataclass(frozen=True)
class Decision:
    power_off: bool
    broken: bool
    text: str
    # Whether it is known of every worker that it has no job.
    jobless: bool = False


# One that is waiting has found its queues empty, but not often enough in a row to be idle. One that is unproven was
# restarted by Docker and gives no sign of life since: it may be between two of its deaths.
BROKEN, BUSY, IDLE, WAITING, RUNNING, UNPROVEN = "broken", "busy", "idle", "waiting", "running", "unproven"


def decide(settings: Settings, seen: Seen, memory: Memory | None) -> tuple[Decision, Memory]:
    """Whether the host is powered off now, and what to remember for the next look.

    It is when every worker is broken or idle, at least one is broken, and that was so at every look for long enough;
    at once when every one of several is idle; and when a single one was idle, which is when it stops its host itself,
    and has had no work at any look for as long since. If it was refused that, it may count its empty polls anew.
    Never while one works or merely runs, while somebody holds the host, or soon after the boot. A hold begins the count
    anew: whoever held the host has as long to repair it. An unproven one has it wait: the times after each of its
    deaths add up, however long it lives in between.
    """
    known = memory.workers if memory else {}
    began = memory.began if memory else seen.now
    workers = {name: remember(name, seen, known.get(name)) for name in settings.heartbeat_files}
    found = {name: judge(settings, seen, name, workers[name]) for name in workers}
    kinds = [kind for kind, _ in found.values()]
    said = "; ".join(f"{name} {why}" for name, (_, why) in found.items())

    counts = memory if memory and seen.now - memory.looked <= GAP_SECONDS and not seen.hold else None
    broken = BROKEN in kinds and not {BUSY, WAITING, RUNNING, UNPROVEN} & set(kinds)
    paused = UNPROVEN in kinds and not {BUSY, WAITING, RUNNING} & set(kinds)
    idle = len(kinds) > 1 and set(kinds) == {IDLE}
    left_on = kinds == [IDLE] or (kinds == [WAITING] and counts is not None and counts.idle_since is not None)
    if paused and counts and counts.broken_since is not None:
        broken_since: float | None = counts.broken_since + seen.now - counts.looked
    else:
        broken_since = _since(broken, seen, counts.broken_since if counts else None)
    idle_since = _since(left_on, seen, counts.idle_since if counts else None)
    since = broken_since if broken else idle_since
    left = max(
        settings.broken_seconds - (seen.now - since) if since is not None else 0,
        settings.grace_seconds - (seen.now - began),
    )
    if left_on:
        said += " and has not stopped this host"
    if not broken and not idle and not left_on:
        decision = Decision(False, False, f"stays on: {said}")
    elif seen.hold:
        decision = Decision(False, broken, f"stays on, {seen.hold}: {said}")
    elif left > 0:
        decision = Decision(False, broken, f"powers off in {math.ceil(left / 60)} minutes: {said}")
    else:
        decision = Decision(True, broken, f"powers off: {said}")
    jobless = all(_has_no_job(seen, name, kind) for name, (kind, _) in found.items())
    decision = replace(decision, jobless=jobless)
    return decision, Memory(began, seen.now, broken_since, idle_since, workers, decision.text, seen.hold_tag)


def _has_no_job(seen: Seen, name: str, kind: str) -> bool:
    """A worker that gives no sign of life may have one still, and one that is restarted may take one at any time."""
    container = seen.containers.get(name)
    has_ended = container is None or container.status in ("created", "exited", "dead")
    return kind in (IDLE, WAITING) or (has_ended and not seen.docker)


def _since(holds: bool, seen: Seen, before: float | None) -> float | None:
    """Since when every look has found it so; a host that is held is not counted."""
    if not holds or seen.hold:
        return None
    return seen.now if before is None else before


def remember(name: str, seen: Seen, old: Remembered | None) -> Remembered:
    container, beat = seen.containers.get(name), seen.beats.get(name)
    if old is None:
        return Remembered(
            started=container.started if container else "",
            restarts=container.restarts if container else 0,
            restarted_at=None,
            beat=beat.at if beat else None,
            moved_at=seen.now,
            alive=False,
        )
    anew = container is not None and container.started != old.started
    moved = beat is not None and beat.at != old.beat
    return Remembered(
        started=container.started if container else old.started,
        restarts=container.restarts if container else old.restarts,
        restarted_at=_restarted_at(container, seen, old),
        beat=beat.at if beat else None,
        moved_at=seen.now if anew or moved else old.moved_at,
        alive=not anew and (moved or old.alive),
    )


def _restarted_at(container: Container | None, seen: Seen, old: Remembered) -> float | None:
    if container is None or container.restarts == old.restarts:
        return old.restarted_at
    # Docker counts from 0 when somebody starts the container by hand.
    return seen.now if container.restarts > old.restarts else None


def judge(settings: Settings, seen: Seen, name: str, known: Remembered) -> tuple[str, str]:
    """What one worker is, and the words for it."""
    container, beat = seen.containers.get(name), seen.beats.get(name)
    fresh = seen.now - known.moved_at <= settings.heartbeat_seconds
    beating = beat if known.alive and fresh else None
    # Containers outlive a daemon that is restarted.
    trouble = _trouble(container) if not seen.docker else "" if beating else f"is unknown: {seen.docker}"
    if trouble:
        return BROKEN, trouble
    # Whatever it says of itself: its job, if it has one, it never ends.
    if known.restarted_at is not None and seen.now - known.restarted_at <= settings.restart_window_seconds:
        return BROKEN, "is restarted again and again"
    if beating and beating.state == BUSY:
        return BUSY, "is working"
    if beat and not fresh:
        return BROKEN, f"gives no sign of life for {settings.heartbeat_seconds:g} seconds"
    if beating and beating.state == IDLE:
        return (IDLE, "is idle") if beating.empty_polls >= settings.idle_polls else (WAITING, "waits for work")
    unproven = known.restarted_at is not None and not beating
    return (
        (UNPROVEN, "is running, with no sign of life since Docker restarted it")
        if unproven
        else (RUNNING, "is running")
    )


def _trouble(container: Container | None) -> str:
    if container is None:
        return "does not exist"
    return "" if container.status == RUNNING else f"is {container.status}"


def hold_reason(tag: str, now: float) -> str:
    """Why the host is held; empty when it is not, or not any more. What is no time was meant to hold."""
    if not tag:
        return ""
    try:
        until = calendar.timegm(time.strptime(tag, HOLD_FORMAT))
    except ValueError:
        return f"held: the tag {HOLD} must be a time as in 2026-01-31T09:30:00Z and is none; the starter removes it"
    return f"held until {tag}" if until > now else ""


def parse_settings(content: str) -> Settings:
    """Raises ValueError or TypeError."""
    return Settings(**json.loads(content))


def parse_beat(content: str) -> Beat | None:
    """None for what no worker of ours has written: the directory is open to any process in the container."""
    try:
        read = json.loads(content)
        return Beat(float(read["at"]), str(read["state"]), int(read["empty_polls"]))
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
        return None


def parse_memory(content: str) -> Memory | None:
    """None for what another version of this program has left."""
    try:
        read = json.loads(content)
        workers = {name: Remembered(**worker) for name, worker in read["workers"].items()}
        return replace(Memory(**read), workers=workers)
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def parse_container(inspected: Mapping[str, Any]) -> Container:
    state = inspected["State"]
    return Container(state["Status"], inspected["RestartCount"], state["StartedAt"])


def container_processes(processes: Iterable[tuple[int, int, Sequence[str]]]) -> list[int]:
    """Of (process, parent, command) those that Docker's shims have started: they live on when Docker is stopped."""
    known = list(processes)
    shims = {pid for pid, _, command in known if "containerd-shim" in command[0] and "moby" in command}
    return [pid for pid, parent, _ in known if parent in shims]


# --- the host -------------------------------------------------------------------------------------------------------

DOCKER_PID_FILE = "/run/docker.pid"
DOCKER_SOCKET = "/run/docker.sock"
DOCKER_TIMEOUT_SECONDS = 20
HEARTBEAT_BYTES_MAX = 4096
ERROR, WARNING, NOTICE = 3, 4, 5


def say(level: int, text: str) -> None:
    """One line in the journal."""
    print(f"<{level}>{text}", flush=True)


def read_file(path: str) -> str | None:
    """None where it does not exist."""
    try:
        with open(path, encoding="utf-8") as file:
            return file.read()
    except FileNotFoundError:
        return None


class DockerConnection(http.client.HTTPConnection):
    """Docker's own interface: its command line may not be there."""

    def __init__(self) -> None:
        super().__init__("localhost", timeout=DOCKER_TIMEOUT_SECONDS)

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(DOCKER_TIMEOUT_SECONDS)
        self.sock.connect(DOCKER_SOCKET)


def read_containers(names: Iterable[str]) -> dict[str, Container]:
    """Those that exist. Raises OSError or HTTPException."""
    # Not by its socket: systemd listens there too, and would start Docker for whoever asks.
    pid = (read_file(DOCKER_PID_FILE) or "").strip()
    if not pid.isdigit() or not os.path.exists(f"/proc/{pid}"):
        raise OSError("it is not running")
    found = {}
    docker = DockerConnection()
    for name in names:
        docker.request("GET", f"/containers/{name}/json")
        response = docker.getresponse()
        body = response.read()
        if response.status == http.client.OK:
            found[name] = parse_container(json.loads(body))
        elif response.status != http.client.NOT_FOUND:
            raise OSError(f"it answers {response.status}")
    return found


def read_beat(path: str) -> Beat | None:
    """Of a regular file, however odd the thing is that somebody has put there."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return None
        return parse_beat(os.read(descriptor, HEARTBEAT_BYTES_MAX).decode(errors="replace"))
    finally:
        os.close(descriptor)


METADATA_URL = "http://169.254.169.254/latest"
METADATA_TIMEOUT_SECONDS = 2
TOKEN_SECONDS = 21600


class Metadata:
    """The metadata service, version 2."""

    def __init__(self, base_url: str = METADATA_URL) -> None:
        self._base_url = base_url
        self._token = ""
        # Never through a proxy: it would answer for itself.
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def read(self, path: str) -> str | None:
        """What it says there, as the action that EC2 is going to take; None where it says nothing. Raises OSError."""
        try:
            return self._get(f"meta-data/{path}")
        except urllib.error.HTTPError as error:
            if error.code == http.client.UNAUTHORIZED:
                self._token = ""
                return None
            if error.code == http.client.NOT_FOUND:
                return None
            raise

    def _get(self, path: str) -> str:
        if not self._token:
            wanted = {"X-aws-ec2-metadata-token-ttl-seconds": str(TOKEN_SECONDS)}
            self._token = self._ask("api/token", "PUT", wanted)
        return self._ask(path, "GET", {"X-aws-ec2-metadata-token": self._token})

    def _ask(self, path: str, method: str, headers: dict[str, str]) -> str:
        request = urllib.request.Request(f"{self._base_url}/{path}", method=method, headers=headers)
        with self._opener.open(request, timeout=METADATA_TIMEOUT_SECONDS) as answer:
            return str(answer.read().decode(errors="replace"))


def read_hold(metadata: Metadata, known: str) -> str:
    """The tag; empty where there is none. What was last read of it, where the metadata service does not answer."""
    try:
        return metadata.read(f"tags/instance/{HOLD}") or ""
    except (OSError, http.client.HTTPException):
        return known


def read_host(settings: Settings, hold_tag: str) -> Seen:
    docker = ""
    containers: dict[str, Container] = {}
    try:
        containers = read_containers(settings.heartbeat_files)
    except (OSError, ValueError, KeyError, http.client.HTTPException) as error:
        docker = f"Docker does not answer ({error})"
    beats = {name: read_beat(path) for name, path in settings.heartbeat_files.items()}
    return Seen(
        now=time.clock_gettime(time.CLOCK_BOOTTIME),
        hold=hold_reason(hold_tag, time.time()),
        docker=docker,
        containers=containers,
        beats={name: beat for name, beat in beats.items() if beat},
        hold_tag=hold_tag,
    )


def write_memory(memory: Memory) -> None:
    os.makedirs(DIRECTORY, mode=0o755, exist_ok=True)
    with open(f"{MEMORY}.new", "w", encoding="utf-8") as file:
        json.dump(asdict(memory), file)
    os.replace(f"{MEMORY}.new", MEMORY)


def read_settings() -> Settings:
    try:
        return parse_settings(read_file(CONFIGURATION) or "")
    except (ValueError, TypeError) as error:
        say(
            ERROR,
            f"{CONFIGURATION} is not as this program wants it ({error}): run playbooks/configure.yml --tags watchdog",
        )
        raise SystemExit(1) from None


def look() -> None:
    """One look, and what follows from it."""
    settings = read_settings()
    known = parse_memory(read_file(MEMORY) or "")
    seen = read_host(settings, read_hold(Metadata(), known.hold_tag if known else ""))
    decision, memory = decide(settings, seen, known)
    if decision.broken or decision.power_off or known is None or known.said != decision.text:
        say(WARNING if decision.broken or decision.power_off else NOTICE, decision.text)
    write_memory(memory)
    if decision.power_off:
        subprocess.run(["systemctl", "poweroff"], check=True)
    # Not before: a large tree takes its time, for which the host would be paid.
    elif decision.jobless and settings.scratch_directory:
        remove_leftovers(settings.scratch_directory, time.time() - settings.leftover_seconds)


def remove_leftovers(directory: str, before: float) -> None:
    """Remove what jobs have left on the disk that is mounted there and nobody has changed since, whoever owns it."""
    if not os.path.ismount(directory):
        return
    removed = 0
    for entry in os.scandir(directory):
        is_directory = entry.is_dir(follow_symlinks=False)
        # Sockets and the like are those of a process that runs, however old they are.
        if not (is_directory or entry.is_symlink() or entry.is_file()):
            continue
        try:
            if last_change(entry.path) < before:
                shutil.rmtree(entry.path) if is_directory else os.unlink(entry.path)
                removed += 1
        except FileNotFoundError:
            continue
        except OSError as error:
            say(WARNING, f"cannot remove {entry.path}, which a job has left: {error}")
    if removed:
        say(NOTICE, f"removed {removed} files and directories that jobs have left in {directory}")


def last_change(path: str) -> float:
    """When anything in it was last written, in seconds since the epoch. No link is followed."""
    below = (os.path.join(at, name) for at, *names in os.walk(path) for group in names for name in group)
    return max(os.lstat(each).st_mtime for each in (path, *below))


# --- the end of the host --------------------------------------------------------------------------------------------


def read_processes() -> Iterable[tuple[int, int, Sequence[str]]]:
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{name}/stat", encoding="utf-8", errors="replace") as file:
                parent = int(file.read().rpartition(")")[2].split()[1])
            with open(f"/proc/{name}/cmdline", encoding="utf-8", errors="replace") as file:
                yield int(name), parent, file.read().split("\0")
        except (FileNotFoundError, ProcessLookupError):
            continue


def release() -> None:
    """Have all containers end by themselves while there is a network, and wait for them.

    Docker must have been stopped before: it would start them again. It leaves them running (live-restore), and starts
    them at the next boot, because nobody has stopped them by Docker's own means.
    """
    settings = read_settings()
    begun = time.monotonic()
    told: set[int] = set()
    while time.monotonic() - begun < settings.release_seconds:
        running = set(container_processes(read_processes()))
        for pid in running - told:
            try:
                os.kill(pid, signal.SIGTERM)
            except ProcessLookupError:
                continue
        told |= running
        if not running:
            break
        time.sleep(0.2)
    if told:
        left = container_processes(read_processes())
        say(
            WARNING if left else NOTICE,
            f"{len(told) - len(left)} of {len(told)} processes of containers have ended by themselves "
            f"within {time.monotonic() - begun:.0f} seconds",
        )


# --- the Spot notice ------------------------------------------------------------------------------------------------

POLL_SECONDS = 5


def await_notice(metadata: Metadata, pause: Callable[[float], None] = time.sleep) -> str:
    """Ask until there is a notice. A metadata service that does not answer is said once."""
    trouble = ""
    while True:
        try:
            notice = metadata.read("spot/instance-action")
        except (OSError, http.client.HTTPException) as error:
            if str(error) != trouble:
                say(WARNING, f"the metadata service does not answer: {error}")
            trouble = str(error)
        else:
            trouble = ""
            if notice is not None:
                return notice
        pause(POLL_SECONDS)


def notice() -> None:
    """Wait for the notice, then have the jobs given back. What becomes of the host is EC2's affair, or that of look."""
    say(NOTICE, f"EC2 takes this host away: {' '.join(await_notice(Metadata()).split())}")
    subprocess.run(["systemctl", "stop", "docker.socket", "docker.service"], check=True)
    release()


COMMANDS = {"look": look, "notice": notice, "release": release}


def main(arguments: Sequence[str]) -> int:
    if len(arguments) != 1 or arguments[0] not in COMMANDS:
        print(f"usage: academy_watchdog.py {{{'|'.join(COMMANDS)}}}", file=sys.stderr)
        return 2
    COMMANDS[arguments[0]]()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

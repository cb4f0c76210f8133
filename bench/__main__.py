# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Measure on an embedded cloud of its own, print a table and write build/bench.json (docs/outputs.md has its schema).

Seconds depend on the machine and on what else it does; ratios of things measured in turn, in one run, do less so.
"""

from __future__ import annotations

import contextlib
import json
import os
import statistics
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bench import shipping, sleeping_hosts
from localcloud import demo, direct, settings

ROOT = Path(__file__).resolve().parent.parent
OUTPUT = ROOT / "build" / "bench.json"
DRILL_REPORT = ROOT / "build" / "drill.json"
WORK = ROOT / "build" / "bench"
ROUNDS = 3
SAMPLE_SECONDS = 0.25
STARTER_SECONDS = 35
STARTER_CALLS = ("ec2.DescribeInstances", "sqs.GetQueueAttributes", "sqs.GetQueueUrl")
TIMEOUT_SECONDS = 900
BIN = Path(sys.executable).parent
SYSTEMD = "/etc/systemd/system"
# What the roles keep on the hosts, where it is there.
CONTENT_PATHS = (
    "/etc/docker/daemon.json",
    "/root/.docker/config.json",
    f"{SYSTEMD}/docker.service.d/mounts.conf",
    "/usr/local/lib/academy/academy_watchdog.py",
    "/etc/academy/watchdog.json",
    f"{SYSTEMD}/academy-release.service",
    f"{SYSTEMD}/academy-watchdog.service",
    f"{SYSTEMD}/academy-watchdog.timer",
    f"{SYSTEMD}/academy-spot-notice.service",
)


@dataclass(frozen=True)
class Measurement:
    """One command, from start to end, with all its processes."""

    seconds: float
    peak_memory_mib: float
    api_calls: int


# Hosts that stop themselves between two measurements would not be measured.
AWAKE = ("-e", "worker_idle_stop_threshold=1000")


@dataclass(frozen=True)
class RoundTrip:
    """One job through a worker that sleeps, in seconds."""

    message_to_work: float
    last_message_to_stopped: float
    chosen_waiting: float


def playbook(name: str, *arguments: str) -> list[str]:
    return [str(BIN / "ansible-playbook"), name, *arguments]


def contenders() -> dict[str, list[str]]:
    """What is measured in each round, in turn."""
    return {
        "plan": playbook("playbooks/plan.yml", *AWAKE),
        "site": playbook("site.yml", *AWAKE),
        "provision": playbook("playbooks/provision.yml", *AWAKE),
        "aws_read": [sys.executable, "-m", "bench.aws_read"],
        "configure": playbook("playbooks/configure.yml", *AWAKE),
        "pyinfra": [str(BIN / "pyinfra"), "-y", str(WORK / "inventory.py"), "bench/host_checks.py"],
    }


def measure(name: str, command: Sequence[str]) -> Measurement:
    """Run a command on the embedded cloud."""
    calls("reset", method="POST")
    seconds, peak_memory_mib = run(name, command)
    # The hosts are at work meanwhile.
    own_calls = sum(calls().values()) - sum(calls("?hosts=1").values())
    return Measurement(round(seconds, 2), round(peak_memory_mib, 1), own_calls)


def run(name: str, command: Sequence[str], expected_status: int = 0) -> tuple[float, float]:
    """A command's seconds and peak memory in MiB; one that ends otherwise than expected is no measurement."""
    log = WORK / f"{name}.log"
    started = time.monotonic()
    with log.open("w", encoding="utf-8") as sink:
        process = subprocess.Popen(
            command, cwd=ROOT, env=demo.environment(os.environ), stdin=subprocess.DEVNULL, stdout=sink, stderr=sink
        )
        peak = [0.0]
        ended = threading.Event()
        watcher = threading.Thread(target=watch_memory, args=[process.pid, peak, ended])
        watcher.start()
        try:
            status = process.wait(TIMEOUT_SECONDS)
        finally:
            ended.set()
            watcher.join()
            process.kill()
    seconds = time.monotonic() - started
    if status != expected_status:
        said = log.read_text(encoding="utf-8")[-3000:]
        raise SystemExit(f"{' '.join(command)} ended with {status}, expected {expected_status}:\n{said}")
    return seconds, peak[0]


def watch_memory(process_id: int, peak: list[float], ended: threading.Event) -> None:
    """Keep the highest sum of what the process and its descendants hold, each shared page counted once."""
    while not ended.wait(SAMPLE_SECONDS):
        peak[0] = max(peak[0], sum(proportional_mib(one) for one in family(process_id)))


def family(process_id: int) -> list[int]:
    """A process and all its descendants."""
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # it ended meanwhile
            parent = int(stat.read_text(encoding="utf-8").rpartition(")")[2].split()[1])
            children.setdefault(parent, []).append(int(stat.parent.name))
    found = [process_id]
    for one in found:
        found += children.get(one, [])
    return found


def proportional_mib(process_id: int) -> float:
    """A process's share of the memory that it uses; 0 when it has ended."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{process_id}/smaps_rollup").read_text(encoding="utf-8").splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) / 1024
    return 0.0


def calls(page: str = "", method: str = "GET") -> dict[str, int]:
    """AWS calls since the last reset."""
    request = urllib.request.Request(f"{settings.API_URL}/_localcloud/calls/{page}", method=method)
    with direct.urlopen(request, timeout=10) as answer:
        return dict(json.load(answer))


def measure_round_trip() -> RoundTrip:
    """Hold a drill; its report has the seconds of every step since the message was sent."""
    measure("drill", playbook("playbooks/drill.yml"))
    report = json.loads(DRILL_REPORT.read_text(encoding="utf-8"))
    after = {step["name"]: float(step["seconds"]) for step in report["steps"]}
    return RoundTrip(after["taken"], after["stopped"] - after["processed"], float(report["waiting_seconds"]))


def measure_starter() -> float:
    """AWS calls in a tick of the starter: it asks for the instances once in each, and no host asks any of these."""
    calls("reset", method="POST")
    time.sleep(STARTER_SECONDS)
    found = calls("?hosts=1")
    return round(sum(found.get(call, 0) for call in STARTER_CALLS) / found[STARTER_CALLS[0]], 1)


def on_host(instance_id: str, *command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["docker", "exec", instance_id, *command], check=False, capture_output=True, text=True)


def compile_anew() -> None:
    """Have hosts compile each module that reaches them, as AWS's do. Ours keep what is compiled, for the tests."""
    for instance in demo.instances():
        on_host(instance["InstanceId"], "rm", "/usr/lib/python3/dist-packages/kept_bytecode.pth").check_returncode()


def write_inventory() -> None:
    """The same hosts for pyinfra, with the contents of the files that it is to keep."""
    hosts = [demo.host_summary(instance) for instance in demo.instances()]
    contents = {
        host["name"]: {
            path: found.stdout
            for path in CONTENT_PATHS
            if (found := on_host(host["instance_id"], "cat", path)).returncode == 0
        }
        for host in hosts
    }
    data = {
        "ssh_user": "ec2-user",
        "ssh_key": str(settings.STATE_DIR / "operator" / "id_ed25519"),
        "ssh_strict_host_key_checking": "off",
        "ssh_known_hosts_file": "/dev/null",
        "contents": contents,
    }
    entries = [(host["name"], {"ssh_hostname": host["address"]}) for host in hosts]
    (WORK / "inventory.py").write_text(f"hosts = ({entries!r}, {data!r})\n", encoding="utf-8")


def summarize(
    first: Measurement,
    rounds: Sequence[dict[str, Measurement]],
    trips: Sequence[RoundTrip],
    starter_calls: float,
    sleeping: dict[str, float],
) -> dict[str, Any]:
    """Medians, and the ratios of each round's own pair."""

    def ratio(ours: str, *peers: str) -> float:
        return round(
            statistics.median(one[ours].seconds / sum(one[peer].seconds for peer in peers) for one in rounds), 2
        )

    return {
        "cores": os.cpu_count(),
        "rounds": len(rounds),
        "first_run": asdict(first),
        "no_op": {
            name: {
                "seconds": statistics.median(one[name].seconds for one in rounds),
                "peak_memory_mib": max(one[name].peak_memory_mib for one in rounds),
                "api_calls": max(one[name].api_calls for one in rounds),
            }
            for name in rounds[0]
        },
        "ratios": {
            "plan_to_both": ratio("plan", "aws_read", "pyinfra"),
            "site_to_both": ratio("site", "aws_read", "pyinfra"),
            "provision_to_boto3_read": ratio("provision", "aws_read"),
            "configure_to_pyinfra": ratio("configure", "pyinfra"),
        },
        "seconds_per_sleeping_host": sleeping,
        "starter_calls_per_tick": starter_calls,
        "round_trip": {
            "message_to_work_seconds": statistics.median(one.message_to_work for one in trips),
            "last_message_to_stopped_seconds": statistics.median(one.last_message_to_stopped for one in trips),
            "chosen_waiting_share": round(
                statistics.median(one.chosen_waiting / one.last_message_to_stopped for one in trips), 2
            ),
        },
    }


def render(summary: dict[str, Any]) -> list[str]:
    trip = summary["round_trip"]
    rows = {"first site.yml": summary["first_run"]} | {f"no-op {name}": row for name, row in summary["no_op"].items()}
    return [
        f"{'':20}{'seconds':>10}{'peak MiB':>10}{'AWS calls':>11}",
        *(
            f"{name:20}{row['seconds']:>10.1f}{row['peak_memory_mib']:>10.0f}{row['api_calls']:>11}"
            for name, row in rows.items()
        ),
        f"provision.yml takes {summary['ratios']['provision_to_boto3_read']} times as long as a direct concurrent read",
        f"configure.yml takes {summary['ratios']['configure_to_pyinfra']} times as long as the same checks in pyinfra",
        f"plan.yml takes {summary['ratios']['plan_to_both']} times as long as both together, "
        f"site.yml {summary['ratios']['site_to_both']} times",
        f"a further host that sleeps adds {summary['seconds_per_sleeping_host']['provision']} s to provision.yml and "
        f"{summary['seconds_per_sleeping_host']['configure']} s to configure.yml",
        f"the starter makes {summary['starter_calls_per_tick']} AWS calls in a tick",
        f"a job waits {trip['message_to_work_seconds']:.1f} s for a host that sleeps",
        f"the host stops {trip['last_message_to_stopped_seconds']:.1f} s after its last job, "
        f"{trip['chosen_waiting_share']:.0%} of it by choice",
        *shipping.render(summary["shipping"]),
    ]


def localcloud(command: str) -> None:
    subprocess.run(
        [sys.executable, "-m", "localcloud", command], cwd=ROOT, env=demo.environment(os.environ), check=True
    )


def main() -> None:
    WORK.mkdir(parents=True, exist_ok=True)
    print("hosts that sleep, a few and many …", flush=True)
    sleeping = sleeping_hosts.measure(
        lambda name, arguments: run("sleeping", playbook(name, *arguments))[0], WORK / "sleeping", ROUNDS
    )
    localcloud("up")
    try:
        print("first site.yml …", flush=True)
        first = measure("first", playbook("site.yml", *AWAKE))
        compile_anew()
        write_inventory()
        rounds = []
        for number in range(1, ROUNDS + 1):
            print(f"round {number} of {ROUNDS} …", flush=True)
            rounds.append({name: measure(name, command) for name, command in contenders().items()})
        # From here on they stop themselves.
        measure("release", playbook("site.yml"))
        print("one job through a worker that sleeps, again and again …", flush=True)
        trips = [measure_round_trip() for _ in range(ROUNDS)]
        starter_calls = measure_starter()
        print("releases, good and bad, under constant requests …", flush=True)
        shipped = shipping.measure(run, playbook, AWAKE)
    finally:
        localcloud("down")
    summary = summarize(first, rounds, trips, starter_calls, sleeping) | {"shipping": shipped}
    OUTPUT.write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")
    print("\n".join(render(summary)))


if __name__ == "__main__":
    main()

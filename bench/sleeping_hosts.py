# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What each further host that sleeps adds to a run that changes nothing: few hosts against many, on the API alone."""

from __future__ import annotations

import json
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from localcloud import demo, direct, operator_key, settings

ROOT = Path(__file__).resolve().parent.parent
API_PORT = 4698
API_URL = f"http://{settings.API_HOST}:{API_PORT}"
MORE = 20
READY_SECONDS = 60
OPTIONS = ("-e", f"aws_endpoint_url={API_URL}", "-e", "release=none")
# The hosts that must always run do not run here, which is an error of the second.
PLAYBOOKS = {"provision": (), "configure": ("--limit", "video_worker")}
Run = Callable[[str, Sequence[str]], float]


@contextmanager
def control_plane() -> Iterator[None]:
    """The embedded cloud's API without hosts: whoever is told to run there is at nobody's address."""
    operator_key.ensure_operator_key()
    command = [sys.executable, "-m", "tests.integration.provision.control_plane", str(API_PORT)]
    server = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE)
    try:
        deadline = time.monotonic() + READY_SECONDS
        while True:
            try:
                direct.urlopen(f"{API_URL}/_localcloud/health", timeout=5).close()
                break
            except OSError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.2)
        yield
    finally:
        server.communicate(timeout=30)


def write_inventories(directory: Path) -> tuple[list[str], list[str]]:
    """ansible-playbook's arguments for the hosts of the local inventory, and for as many more workers."""
    shutil.rmtree(directory, ignore_errors=True)
    shutil.copytree(ROOT / "inventories", directory, symlinks=True)
    source = directory / "local" / "aws_ec2.yml"
    text = source.read_text(encoding="utf-8")
    source.write_text(text.replace(settings.API_URL, API_URL), encoding="utf-8")
    workers: dict[str, Any] = {f"academy-video-worker-{number}": {} for number in range(3, 3 + MORE)}
    more = directory / "more.json"
    more.write_text(json.dumps({"video_worker": {"hosts": workers}}), encoding="utf-8")
    few = ["-i", str(source.parent)]
    return few, [*few, "-i", str(more)]


def stop_all() -> None:
    ec2 = demo.client("ec2", API_URL)
    found = [one["InstanceId"] for item in ec2.describe_instances()["Reservations"] for one in item["Instances"]]
    ec2.stop_instances(InstanceIds=found)
    ec2.get_waiter("instance_stopped").wait(InstanceIds=found)


def measure(run: Run, directory: Path, rounds: int) -> dict[str, float]:
    """Seconds per further host, by playbook: the difference of medians, divided by the hosts.

    `run` takes a playbook's path and its arguments, runs it to its end and says how many seconds that took.
    """
    medians: dict[str, list[float]] = {name: [] for name in PLAYBOOKS}
    with control_plane():
        for inventory in write_inventories(directory):
            arguments = [*inventory, *OPTIONS]
            run("playbooks/provision.yml", arguments)
            stop_all()
            for name, limit in PLAYBOOKS.items():
                seconds = [run(f"playbooks/{name}.yml", [*arguments, *limit]) for _ in range(rounds)]
                medians[name].append(statistics.median(seconds))
    return {name: round((many - few) / MORE, 3) for name, (few, many) in medians.items()}

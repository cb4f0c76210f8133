# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The last tests: no secret was left, what was started is removed, after a crash too, and the machine is as it was."""

from __future__ import annotations

import ctypes
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from localcloud import demo, engine, operator_machine, settings
from tests import leaks, support
from tests.e2e.test_story import API_HOST, CANARY, ENVIRONMENT_FILE, HOSTS, awake

PR_SET_CHILD_SUBREAPER = 36  # linux/prctl.h


@pytest.fixture
def nobody_reaps() -> Iterator[None]:
    """Every orphan becomes a child of this process, which takes no note of its end: it stays in the process table.

    Process 1 of some machines is so slow that this happens by itself, now and then.
    """
    libc = ctypes.CDLL(None)
    assert libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0
    yield
    assert libc.prctl(PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0) == 0
    try:
        while os.waitpid(-1, os.WNOHANG) != (0, 0):
            pass
    except ChildProcessError:
        pass  # all of them are taken note of


def test_no_secret_is_anywhere_but_in_the_environments(every_argument: set[str]) -> None:
    # The search finds what is there.
    values, api_host = leaks.application_secrets(), support.instance(API_HOST)["instance_id"]
    environment = support.on_host(api_host, "cat", ENVIRONMENT_FILE).stdout.encode()
    assert support.found_in(values, [environment]) == set(values)
    assert any("ansible-playbook" in line for line in every_argument)
    with awake(*HOSTS) as hosts:
        leaks.require_none(hosts, every_argument, {**leaks.application_secrets(), "canary": CANARY})


def test_down_leaves_nothing(machine_before: dict[str, list[str]]) -> None:
    support.run("make", "down", name="down").expect()
    assert support.machine() == machine_before


@pytest.mark.usefixtures("nobody_reaps")
@pytest.mark.parametrize("victim", ["cloud", "engine"])
def test_down_after_a_crash_leaves_nothing(victim: str, machine_before: dict[str, list[str]]) -> None:
    support.run(sys.executable, "-m", "localcloud", "up", name=f"up-to-crash-{victim}").expect()
    process_id = int(settings.PID_FILE.read_text(encoding="utf-8"))
    if victim == "engine":
        if not engine.ENGINE_STATE.exists():
            pytest.skip("the engine was there before the tests: it is not theirs to kill")
        process_id = json.loads(engine.ENGINE_STATE.read_text(encoding="utf-8"))["pid"]
    ec2 = demo.client("ec2")
    image = ec2.describe_images(Owners=["amazon"], Filters=[{"Name": "architecture", "Values": ["arm64"]}])["Images"][0]
    volume = {"DeviceName": "/dev/sdf", "Ebs": {"VolumeSize": 10}}
    run = ec2.run_instances(
        ImageId=image["ImageId"], InstanceType="t4g.micro", MinCount=1, MaxCount=1, BlockDeviceMappings=[volume]
    )
    instance_id = run["Instances"][0]["InstanceId"]
    ec2.get_waiter("instance_running").wait(InstanceIds=[instance_id], WaiterConfig={"Delay": 1, "MaxAttempts": 90})
    swap = "set -e; cd /var/swap; fallocate -l 64M crash; chmod 600 crash; mkswap crash; swapon crash"
    assert support.on_host(instance_id, "sh", "-c", swap).returncode == 0
    operator = subprocess.Popen([sys.executable, "-m", "localcloud", "operator", "--", "sleep", "600"])
    support.wait_until(lambda: operator.pid in operator_machine.processes_inside(), "a command runs for the operator")
    assert support.machine() != machine_before

    os.kill(process_id, signal.SIGKILL)
    support.run("make", "down", name=f"down-after-crash-{victim}").expect()
    assert support.machine() == machine_before
    assert operator.wait(10) == -signal.SIGTERM


def test_down_again_is_fine() -> None:
    support.run("make", "down", name="down-again").expect()

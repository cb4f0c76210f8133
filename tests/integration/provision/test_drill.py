# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The drill's playbook against queues and instances, with a thread in the place of starter and worker."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests import support
from tests.integration.conftest import Account

QUEUE = "academy-video-jobs"
HOSTS = ("academy-video-worker-1", "academy-video-worker-2")


# What a deployment does first.
HOLD_PLAY = [
    {
        "name": "Hold",
        "hosts": "running",
        "gather_facts": False,
        "module_defaults": {"group/academy.deploy.aws": "{{ aws_module_defaults }}"},
        "tasks": [
            {"name": "Hold it", "ansible.builtin.include_role": {"name": "academy.deploy.hold"}},
            {"name": "Go on", "ansible.builtin.debug": {"msg": "{{ inventory_hostname }} goes on"}},
        ],
    }
]


class Crew:
    """Starts a host for a message, does the job, and stops the host; or does only a part of that."""

    def __init__(self, account: Account, *, host: str = HOSTS[0], works: bool = True, stops: bool = True) -> None:
        self.account = account
        self.ec2, self.sqs = account.client("ec2"), account.client("sqs")
        self.id = account.instances(host)[0]["InstanceId"]
        self.url = self.sqs.get_queue_url(QueueName=QUEUE)["QueueUrl"]
        self.works, self.stops = works, stops
        self.done: list[dict[str, Any]] = []
        self.ended = threading.Event()

    def waiting(self) -> bool:
        name = "ApproximateNumberOfMessages"
        found = self.sqs.get_queue_attributes(QueueUrl=self.url, AttributeNames=[name])
        return bool(found["Attributes"][name] != "0")

    def pause(self, seconds: float) -> None:
        """Nothing happens at AWS between two looks of whoever follows, however slow this machine is."""
        looks = self.looks()
        self.ended.wait(seconds)
        while self.looks() < looks + 2 and not self.ended.wait(0.2):
            pass

    def looks(self) -> int:
        return self.account.calls().get("ec2.DescribeInstances", 0)

    def run(self) -> None:
        while not self.ended.wait(0.2):
            if self.waiting():
                self.pause(4)
                self.ec2.start_instances(InstanceIds=[self.id])
                self.pause(1)
                if self.works:
                    self.work()

    def work(self) -> None:
        (message,) = self.sqs.receive_message(QueueUrl=self.url, VisibilityTimeout=60)["Messages"]
        self.pause(2)
        self.done.append(json.loads(message["Body"]))
        self.sqs.delete_message(QueueUrl=self.url, ReceiptHandle=message["ReceiptHandle"])
        if self.stops:
            self.pause(4)
            self.ec2.stop_instances(InstanceIds=[self.id])


@contextmanager
def at_work(crew: Crew) -> Iterator[Crew]:
    thread = threading.Thread(target=crew.run)
    thread.start()
    try:
        yield crew
    finally:
        crew.ended.set()
        thread.join()


@pytest.fixture(scope="module")
def workers(account: Account) -> Account:
    """Two video workers that sleep."""
    account.provision("drill", "--tags", "network,identity,queues,instance").expect()
    sleep(account)
    return account


def sleep(account: Account) -> None:
    account.client("ec2").stop_instances(InstanceIds=[account.instances(name)[0]["InstanceId"] for name in HOSTS])
    sqs = account.client("sqs")
    url = sqs.get_queue_url(QueueName=QUEUE)["QueueUrl"]
    for message in sqs.receive_message(QueueUrl=url, WaitTimeSeconds=0).get("Messages", []):
        sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])


def arguments(account: Account, report: Path) -> tuple[str, ...]:
    return *account.arguments("playbooks/drill.yml"), "-e", f"drill_report_file={report}"


def drill(account: Account, report: Path, *more: str) -> support.Run:
    return support.playbook(*arguments(account, report), *more, name="drill")


def limits(**seconds: int) -> tuple[str, str]:
    return "-e", json.dumps({"drill_step_timeouts_seconds": seconds})


@pytest.fixture
def on_its_way_down(workers: Account, tmp_path: Path) -> Iterator[tuple[str, tuple[str, ...]]]:
    """The judged host's instance, which runs, and an inventory in which it has no files to run anything by."""
    instance_id = workers.instances(HOSTS[0])[0]["InstanceId"]
    host = {
        "ansible_connection": "local",
        "ansible_become": False,
        "ansible_python_interpreter": "/bin/false",
        "aws_instance_id": instance_id,
        "aws_state": {"name": "running"},
        "aws_tags": {"Release": "1"},
    }
    file = tmp_path / "no-files.yml"
    file.write_text(json.dumps({"running": {"hosts": {HOSTS[0]: host}}}), encoding="utf-8")
    ec2 = workers.client("ec2")
    ec2.start_instances(InstanceIds=[instance_id])
    yield instance_id, ("-i", str(file))
    ec2.delete_tags(Resources=[instance_id], Tags=[{"Key": "HoldUntil"}])
    sleep(workers)


@pytest.mark.parametrize("host", HOSTS)
def test_a_round_trip_is_followed_on_whichever_host(workers: Account, tmp_path: Path, host: str) -> None:
    report = tmp_path / "build" / "drill.json"
    with at_work(Crew(workers, host=host)) as crew:
        run = drill(workers, report).expect()
    told = json.loads(report.read_text(encoding="utf-8"))
    names = [step["name"] for step in told["steps"]]
    seconds = [step["seconds"] for step in told["steps"]]
    assert (told["ok"], told["reason"], told["host"], told["instance_id"]) == (True, "", host, crew.id)
    assert names == ["sent", "starting", "running", "taken", "processed", "stopped"]
    assert seconds == sorted(seconds)
    assert seconds[-1] >= 11
    assert any("1 in flight" in event["event"] for event in told["timeline"])
    assert crew.done == [{"id": told["job_id"], "clip_seconds": 3}]
    # Nobody read a host; all else passes, and what the role may do is IAM's answer to the operator.
    unknown = {check["id"] for check in told["checks"] if check["status"] == "unknown"}
    assert unknown == {"threshold", "restart_policy", "co_tenants"}
    assert told["verdict"] == "unknown"
    assert "호스트가 스스로 정지함" in run.output


def test_check_mode_judges_a_host_that_stops_meanwhile_and_sends_nothing(
    workers: Account, on_its_way_down: tuple[str, tuple[str, ...]], tmp_path: Path
) -> None:
    instance_id, inventory = on_its_way_down
    report = tmp_path / "drill.json"
    with support.background_playbook(*arguments(workers, report), *inventory, "--check", name="drill-check") as run:
        run.wait_for_line(support.task("Wait until the host runs no more"), 120)
        workers.client("ec2").stop_instances(InstanceIds=[instance_id])
        before = workers.writes()
        output = run.finish(120).expect().output
    assert f"fatal: [{HOSTS[0]}]" in output
    assert workers.writes() == before
    assert not report.exists()


def test_a_host_that_cannot_be_read_and_runs_on_gets_no_job(
    workers: Account, on_its_way_down: tuple[str, tuple[str, ...]], tmp_path: Path
) -> None:
    _, inventory = on_its_way_down
    before = workers.writes()
    one_look = ("-e", json.dumps({"__hold_stop_looks": 1}))
    run = drill(workers, tmp_path / "drill.json", *inventory, *one_look, *limits(stopped=3)).expect(2)
    assert "runs, and 'List the containers and units of the host' failed there" in " ".join(run.output.split())
    assert workers.writes() == before


def test_a_host_that_stops_while_it_is_held_is_left(
    workers: Account, on_its_way_down: tuple[str, tuple[str, ...]], tmp_path: Path
) -> None:
    instance_id, inventory = on_its_way_down
    play = tmp_path / "hold.yml"
    play.write_text(json.dumps(HOLD_PLAY), encoding="utf-8")
    with support.background_playbook(*workers.arguments(str(play)), *inventory, name="hold-too-late") as run:
        run.wait_for_line(support.task("Wait until the host runs no more"), 120)
        workers.client("ec2").stop_instances(InstanceIds=[instance_id])
        output = run.finish(120).expect().output
    assert f"fatal: [{HOSTS[0]}]" in output
    assert f"{HOSTS[0]} goes on" in output


def test_a_job_that_nobody_takes_fails_with_the_reason(workers: Account, tmp_path: Path) -> None:
    report = tmp_path / "drill.json"
    with at_work(Crew(workers, works=False)):
        run = drill(workers, report, *limits(taken=3)).expect(2)
    told = json.loads(report.read_text(encoding="utf-8"))
    assert not told["ok"]
    assert told["reason"] in run.output
    assert "'taken' did not come within 3 s after 'running'" in told["reason"]
    sleep(workers)


def test_a_host_that_does_not_stop_fails_with_the_reason(workers: Account, tmp_path: Path) -> None:
    report = tmp_path / "drill.json"
    with at_work(Crew(workers, stops=False)):
        drill(workers, report, *limits(stopped=5)).expect(2)
    assert "'stopped' did not come within 5 s after 'processed'" in json.loads(report.read_text("utf-8"))["reason"]


def test_an_idle_host_that_runs_on_is_waited_for_and_then_refused(workers: Account, tmp_path: Path) -> None:
    before = workers.writes()
    run = drill(workers, tmp_path / "drill.json", *limits(stopped=3)).expect(2)
    assert "'stopped' did not come within 3 s" in run.output
    assert workers.writes() == before
    sleep(workers)


def test_a_busy_queue_is_refused_and_left_alone(workers: Account, tmp_path: Path) -> None:
    sqs = workers.client("sqs")
    url = sqs.get_queue_url(QueueName=QUEUE)["QueueUrl"]
    sqs.send_message(QueueUrl=url, MessageBody="somebody else's")
    report = tmp_path / "drill.json"
    report.write_text("of an earlier drill", encoding="utf-8")
    before = workers.writes()
    run = drill(workers, report).expect(2)
    assert "must be empty, because a drill touches nobody else's jobs; found 1 visible" in run.output
    assert workers.writes() == before
    assert not report.exists()
    sleep(workers)


def test_a_host_that_would_not_stop_gets_no_job(workers: Account, tmp_path: Path) -> None:
    (host,) = workers.instances(HOSTS[0])
    workers.client("ec2").modify_instance_metadata_options(InstanceId=host["InstanceId"], HttpPutResponseHopLimit=1)
    before = workers.writes()
    run = drill(workers, tmp_path / "drill.json").expect(2)
    assert "hop limit 1" in run.output
    assert workers.writes() == before

# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The handler against the embedded cloud's API, which refuses what EC2 refuses now and then."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest

from localcloud import demo, fixes, settings
from localcloud.api import Api
from localcloud.spot import set_reason
from localcloud.wire import ApiError, Call
from roles.starter.files.academy_starter import handler as starter

VIDEO: dict[str, Any] = {"name": "video-worker", "queues": ["video"], "hosts": ["v1", "v2"], "grace_seconds": 180}
AI: dict[str, Any] = {
    "name": "ai-worker",
    "queues": ["lite", "basic", "premium"],
    "hosts": ["a1"],
    "grace_seconds": 180,
}
IMAGE = "ami-03cf127a"  # one of moto's
OVER, LASTING = "2020-01-31T09:30:00Z", "2999-01-31T09:30:00Z"


@dataclass
class Cloud:
    api: Api
    capsys: pytest.CaptureFixture[str]
    ids: dict[str, str] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)  # instance → code with which EC2 does not start it

    def client(self, service: str) -> Any:
        return demo.client(service, f"http://{settings.API_HOST}:{self.api.port}")

    def launch(self, name: str, project: str = "academy", **tags: str) -> str:
        ec2 = self.client("ec2")
        found = [{"Key": key, "Value": value} for key, value in {"Name": name, "Project": project, **tags}.items()]
        (instance,) = ec2.run_instances(
            ImageId=IMAGE, InstanceType="t2.micro", MinCount=1, MaxCount=1,
            TagSpecifications=[{"ResourceType": "instance", "Tags": found}],
        )["Instances"]  # fmt: skip
        self.ids[name] = instance["InstanceId"]
        ec2.stop_instances(InstanceIds=[instance["InstanceId"]])
        return str(instance["InstanceId"])

    def send(self, queue: str, *, delay: int = 0) -> None:
        sqs = self.client("sqs")
        url = sqs.get_queue_url(QueueName=queue)["QueueUrl"]
        sqs.send_message(QueueUrl=url, MessageBody="job", DelaySeconds=delay)

    def receive(self, queue: str) -> None:
        sqs = self.client("sqs")
        assert sqs.receive_message(QueueUrl=sqs.get_queue_url(QueueName=queue)["QueueUrl"])["Messages"]

    def _instances(self) -> dict[str, Any]:
        reservations = self.client("ec2").describe_instances()["Reservations"]
        found = {instance["InstanceId"]: instance for one in reservations for instance in one["Instances"]}
        return {name: found[instance_id] for name, instance_id in self.ids.items()}

    def states(self) -> dict[str, str]:
        return {name: instance["State"]["Name"] for name, instance in self._instances().items()}

    def tags(self, name: str) -> dict[str, str]:
        return {tag["Key"]: tag["Value"] for tag in self._instances()[name]["Tags"]}

    def tick(self) -> list[dict[str, Any]]:
        self.capsys.readouterr()
        starter.handler({}, None)
        return self.lines()

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.capsys.readouterr().out.splitlines()]


@pytest.fixture
def cloud(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Cloud]:
    monkeypatch.setattr(settings, "API_PORT", 0)
    api = Api()
    api.hooks.register("ec2", "StartInstances", after=fixes.note_start)
    cloud = Cloud(api, capsys)

    def refuse(call: Call) -> None:
        for instance_id in call.parameters["InstanceIds"]:
            if instance_id in cloud.refused:
                raise ApiError(cloud.refused[instance_id], "on purpose")

    api.hooks.register("ec2", "StartInstances", before=refuse)
    api.start()
    environment = {
        "AWS_ENDPOINT_URL": f"http://{settings.API_HOST}:{api.port}",
        "AWS_DEFAULT_REGION": settings.REGION,
        "AWS_ACCESS_KEY_ID": settings.OPERATOR_ACCESS_KEY,
        "AWS_SECRET_ACCESS_KEY": settings.OPERATOR_SECRET_KEY,
        starter.SETTINGS_VARIABLE: json.dumps({"deployment": "academy", "groups": [VIDEO, AI]}),
    }
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    starter.client.cache_clear()
    starter.queue_url.cache_clear()
    for queue in ("video", "lite", "basic", "premium"):
        cloud.client("sqs").create_queue(QueueName=queue)
    for name in ("v1", "v2", "a1"):
        cloud.launch(name)
    yield cloud
    api.stop()
    # Not a reset, which takes EC2 a second.
    api.backends("ec2").reservations.clear()
    api.backends("sqs").reset()


def test_one_host_of_a_group_in_a_minute_and_no_more_than_there_are(cloud: Cloud) -> None:
    for _ in range(5):
        cloud.send("video")
    seen = []
    for _ in range(4):
        cloud.tick()
        seen.append([name for name, state in cloud.states().items() if state == "running"])
    assert seen == [["v1"], ["v1", "v2"], ["v1", "v2"], ["v1", "v2"]]


@pytest.mark.parametrize("queue", AI["queues"])
def test_each_of_several_queues_counts(cloud: Cloud, queue: str) -> None:
    cloud.send(queue)
    lines = cloud.tick()
    assert cloud.states() == {"v1": "stopped", "v2": "stopped", "a1": "running"}
    assert [(line["group"], line["visible"], line["action"]) for line in lines] == [
        ("video-worker", 0, "none"),
        ("ai-worker", 1, "start"),
    ]
    assert (lines[1]["host"], lines[1]["instance"], lines[1]["states"]) == ("a1", cloud.ids["a1"], {"a1": "stopped"})


def test_messages_in_flight_or_delayed_start_nothing(cloud: Cloud) -> None:
    cloud.send("video")
    cloud.receive("video")
    cloud.send("video", delay=600)
    (line, _) = cloud.tick()
    assert (line["visible"], line["in_flight"], line["delayed"]) == (0, 1, 1)
    assert set(cloud.states().values()) == {"stopped"}


@pytest.mark.parametrize(
    "code",
    ["IncorrectInstanceState", "InsufficientInstanceCapacity", "IncorrectSpotRequestState",
     "InvalidInstanceID.NotFound"],
)  # fmt: skip
@pytest.mark.filterwarnings("ignore:Exception.ApiError.")
def test_what_ec2_does_not_start_now_is_replaced_or_tried_again(cloud: Cloud, code: str) -> None:
    cloud.send("video")
    cloud.refused = {cloud.ids["v1"]: code, cloud.ids["v2"]: code}
    lines = cloud.tick()
    assert [line["action"] for line in lines] == ["refused", "refused", "none", "none"]
    assert code in lines[0]["reason"]
    assert "again in a minute" in lines[2]["reason"]
    del cloud.refused[cloud.ids["v2"]]
    lines = cloud.tick()
    assert [(line["action"], line.get("host")) for line in lines[:2]] == [("refused", "v1"), ("start", "v2")]
    assert cloud.states() == {"v1": "stopped", "v2": "running", "a1": "stopped"}


def test_a_host_that_falls_back_as_soon_as_it_is_started_does_not_keep_the_other_down(cloud: Cloud) -> None:
    cloud.send("video")
    # EC2 tells seconds, and a minute lies between two ticks.
    for name in ("v1", "v2"):
        cloud.api.backends("ec2").get_instance(cloud.ids[name]).launch_time -= timedelta(minutes=1)
    cloud.tick()
    instance = cloud.api.backends("ec2").get_instance(cloud.ids["v1"])
    instance._state.name, instance._state.code = "stopped", 80
    cloud.tick()
    assert cloud.states() == {"v1": "stopped", "v2": "running", "a1": "stopped"}


@pytest.mark.filterwarnings("ignore:Exception.ApiError.")
@pytest.mark.parametrize("code", ["VcpuLimitExceeded", "MaxSpotInstanceCountExceeded"])
def test_a_quota_that_is_reached_is_told_until_somebody_raises_it(cloud: Cloud, code: str) -> None:
    cloud.send("lite")
    cloud.refused = {cloud.ids["a1"]: code}
    with pytest.raises(starter.StarterError, match="ai-worker"):
        cloud.tick()
    assert [code in line["reason"] for line in cloud.lines() if line["action"] == "refused"] == [True]


def test_a_host_that_ec2_stops_as_soon_as_it_is_started_is_tried_again_and_told(cloud: Cloud) -> None:
    cloud.send("lite")
    instance = cloud.api.backends("ec2").get_instance(cloud.ids["a1"])
    set_reason(instance, "Client.InternalError: Client error on launch")
    with pytest.raises(starter.StarterError, match="ai-worker"):
        cloud.tick()
    fell, started = [line for line in cloud.lines() if line.get("host") == "a1"]
    assert (fell["action"], fell["reason"]) == ("fell back", "Client.InternalError: Client error on launch")
    assert (started["action"], cloud.states()["a1"]) == ("start", "running")
    # Who stopped itself did not fall back.
    instance.stop()
    set_reason(instance, "Client.InstanceInitiatedShutdown: Instance initiated shutdown")
    assert "fell back" not in [line["action"] for line in cloud.tick()]


@pytest.mark.filterwarnings("ignore:Exception.ApiError.")
def test_a_host_that_is_still_stopping_is_started_a_minute_later(cloud: Cloud) -> None:
    cloud.send("lite")
    instance = cloud.api.backends("ec2").get_instance(cloud.ids["a1"])
    instance._state.name, instance._state.code = "stopping", 64
    assert [line["reason"] for line in cloud.tick()][1] == "1 still stopping, none stopped: again in a minute"
    instance._state.name, instance._state.code = "stopped", 80
    cloud.tick()
    assert cloud.states()["a1"] == "running"


@pytest.mark.filterwarnings("ignore:Exception.ApiError.")
def test_a_failure_keeps_no_other_host_and_group_from_being_served_and_is_raised_at_last(cloud: Cloud) -> None:
    cloud.send("video")
    cloud.send("lite")
    cloud.refused = {cloud.ids["v1"]: "UnauthorizedOperation"}
    with pytest.raises(starter.StarterError, match="video-worker"):
        cloud.tick()
    lines = cloud.lines()
    assert [line["action"] for line in lines] == ["refused", "start", "failed", "start"]
    assert lines[2]["what"] == "video-worker"
    assert "UnauthorizedOperation" in lines[0]["reason"]
    assert cloud.states() == {"v1": "stopped", "v2": "running", "a1": "running"}


def test_a_missing_queue_counts_nothing_and_the_others_count(cloud: Cloud) -> None:
    sqs = cloud.client("sqs")
    cloud.tick()
    sqs.delete_queue(QueueUrl=sqs.get_queue_url(QueueName="basic")["QueueUrl"])
    cloud.send("premium")
    lines = cloud.tick()
    assert [line["reason"] for line in lines if "queue" in line["reason"]] == ["queue basic does not exist"]
    assert cloud.states()["a1"] == "running"


def test_a_terminated_host_is_missing_and_the_other_started(cloud: Cloud) -> None:
    cloud.client("ec2").terminate_instances(InstanceIds=[cloud.ids["v1"]])
    cloud.send("video")
    (line, _) = cloud.tick()
    assert line["states"] == {"v1": "missing", "v2": "stopped"}
    assert line["host"] == "v2"


def test_another_deployment_s_host_of_the_same_name_stays_down(cloud: Cloud) -> None:
    cloud.client("ec2").terminate_instances(InstanceIds=[cloud.ids["a1"]])
    cloud.launch("a1", project="other")
    cloud.send("lite")
    cloud.tick()
    assert cloud.states()["a1"] == "stopped"


def test_a_host_of_two_groups_is_started_once(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    shared = [{**VIDEO, "hosts": ["v1"]}, {**AI, "hosts": ["v1"]}]
    monkeypatch.setenv(starter.SETTINGS_VARIABLE, json.dumps({"deployment": "academy", "groups": shared}))
    cloud.send("video")
    cloud.send("lite")
    lines = cloud.tick()
    assert [(line["action"], line["reason"]) for line in lines] == [
        ("start", "1 to be had, 0 starting"),
        ("none", "1 starting already"),
    ]
    assert cloud.api.calls.as_dict()["ec2.StartInstances"] == 1


def test_a_running_host_within_its_grace_counts_from_its_last_start(cloud: Cloud) -> None:
    cloud.send("video")
    cloud.tick()
    (line, _) = cloud.tick()
    assert line["reason"] == "1 starting already"


@pytest.mark.parametrize(("hold", "ends"), [(OVER, True), ("soon", True), (LASTING, False)])
def test_a_hold_that_is_over_ends_and_nothing_else_of_the_host_changes(cloud: Cloud, hold: str, ends: bool) -> None:
    cloud.launch("held", HoldUntil=hold, Role="messaging-worker")
    before = cloud.tags("held")
    cloud.tick()
    expected = {key: value for key, value in before.items() if key != "HoldUntil" or not ends}
    assert cloud.tags("held") == expected


def test_a_hold_that_was_renewed_meanwhile_stays(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    held = cloud.launch("held", HoldUntil=OVER)
    seen = starter.read_instances("academy")
    cloud.client("ec2").create_tags(Resources=[held], Tags=[{"Key": "HoldUntil", "Value": LASTING}])
    monkeypatch.setattr(starter, "read_instances", lambda _deployment: seen)
    cloud.tick()
    assert cloud.tags("held")["HoldUntil"] == LASTING


def test_a_minute_costs_few_calls(cloud: Cloud) -> None:
    counts = []
    for _ in range(2):
        cloud.api.calls.reset()
        cloud.tick()
        counts.append(cloud.api.calls.as_dict())
    warm = {"ec2.DescribeInstances": 1, "sqs.GetQueueAttributes": 4}
    assert counts == [{**warm, "sqs.GetQueueUrl": 4}, warm]

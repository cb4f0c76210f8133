# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Workers that sleep, on the story's cloud: many jobs, one that comes while a host stops, one whose worker dies.

They run as test_deploy.py has left them, with a message's visibility that a test can wait for.
"""

from __future__ import annotations

import json
import re
from collections import Counter

from localcloud import demo
from tests import support
from tests.e2e.test_deploy import VISIBILITY_SECONDS
from tests.e2e.test_story import AI_HOST, ask_api, job_row

VIDEO_HOSTS = {"academy-video-worker-1", "academy-video-worker-2"}
QUEUE = "academy-video-jobs"
CONTAINER = "academy-video-worker"
BURST = 20
SHORT_CLIP_SECONDS, LONG_CLIP_SECONDS = 20, 200


def states() -> dict[str, str]:
    return support.states(VIDEO_HOSTS)


def wait_until_they_sleep(timeout_seconds: int = 240) -> None:
    support.wait_until(
        lambda: set(states().values()) == {"stopped"}, "both video hosts have stopped themselves", timeout_seconds
    )


def send(clip_seconds: int) -> str:
    return str(ask_api("/api/jobs", {"kind": "video", "clip_seconds": clip_seconds})["id"])


def is_done(job: str) -> bool:
    return bool(job_row(job).get("state") == "done")


def starts() -> Counter[str]:
    """How often the starter has started each host, from its own log."""
    events = demo.client("logs").filter_log_events(logGroupName="/academy/starter")["events"]
    decisions = [json.loads(line.group()) for event in events if (line := re.search(r"\{.*\}", event["message"]))]
    return Counter(decision["host"] for decision in decisions if decision["action"] == "start")


def inspected(instance_id: str, template: str) -> str:
    """What Docker on a host says of its worker."""
    return support.on_host(instance_id, "docker", "inspect", f"--format={template}", CONTAINER).stdout.strip()


def messages(queue: str) -> dict[str, int]:
    sqs = demo.client("sqs")
    url = sqs.get_queue_url(QueueName=queue)["QueueUrl"]
    found = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    return {
        name: int(found[f"ApproximateNumberOfMessages{suffix}"])
        for name, suffix in (("visible", ""), ("in flight", "NotVisible"), ("delayed", "Delayed"))
    }


def test_a_burst_starts_two_hosts_and_every_job_is_done_once() -> None:
    wait_until_they_sleep()
    before = starts()
    jobs = [send(SHORT_CLIP_SECONDS) for _ in range(BURST)]
    support.wait_until(lambda: all(map(is_done, jobs)), f"{BURST} jobs are done", 300)
    rows = {job: job_row(job) for job in jobs}
    assert {row["attempts"] for row in rows.values()} == {1}
    assert {row["worker_id"] for row in rows.values()} == VIDEO_HOSTS
    wait_until_they_sleep()
    assert starts() - before == Counter(dict.fromkeys(VIDEO_HOSTS, 1))
    assert set(messages(QUEUE).values()) == set(messages(f"{QUEUE}-dlq").values()) == {0}
    s3 = demo.client("s3")
    stored = {item["Key"] for item in s3.list_objects_v2(Bucket="academy-video").get("Contents", [])}
    assert {row["result"]["key"] for row in rows.values()} <= stored


def test_each_tier_of_the_ai_worker_does_its_own_computation() -> None:
    numbers = [1, 2, 3, 6]
    wanted = {"ai-lite": 12, "ai-basic": 3, "ai-premium": 3.5}
    jobs = {kind: ask_api("/api/jobs", {"kind": kind, "numbers": numbers})["id"] for kind in wanted}
    support.wait_until(lambda: all(map(is_done, jobs.values())), "the AI worker has done a job of each queue", 180)
    assert {kind: job_row(job)["result"]["value"] for kind, job in jobs.items()} == wanted


def test_a_hold_that_is_over_is_ended_by_the_starter() -> None:
    ec2, held = demo.client("ec2"), support.instance(AI_HOST)["instance_id"]
    ec2.create_tags(Resources=[held], Tags=[{"Key": "HoldUntil", "Value": "2026-01-31T09:30:00Z"}])
    tags = [{"Name": "resource-id", "Values": [held]}, {"Name": "key", "Values": ["HoldUntil"]}]
    support.wait_until(lambda: not ec2.describe_tags(Filters=tags)["Tags"], "the starter has ended the hold", 60)


def test_a_job_that_comes_while_its_host_stops_is_not_lost() -> None:
    wait_until_they_sleep()
    first = send(1)
    support.wait_until(lambda: is_done(first), "the first job is done", 180)
    host = str(job_row(first)["worker_id"])
    support.wait_until(lambda: states()[host] == "stopping", f"{host} is stopping", 120)
    second = send(1)
    support.wait_until(lambda: is_done(second), "the job that came then is done", 240)
    assert job_row(second)["attempts"] == 1


def test_the_job_of_a_worker_that_dies_comes_back_and_is_finished() -> None:
    wait_until_they_sleep()
    job = send(LONG_CLIP_SECONDS)
    support.wait_until(lambda: job_row(job).get("state") == "running", "a worker has taken the job", 180)
    victim = support.instance(str(job_row(job)["worker_id"]))["instance_id"]
    assert f'"VIDEO_VISIBILITY_SECONDS={VISIBILITY_SECONDS}"' in inspected(victim, "{{json .Config.Env}}")
    process, restarts = inspected(victim, "{{.State.Pid}}"), int(inspected(victim, "{{.RestartCount}}"))
    assert support.on_host(victim, "kill", "-KILL", process).returncode == 0
    support.wait_until(
        lambda: int(inspected(victim, "{{.RestartCount}}")) == restarts + 1, "Docker has started the worker again", 20
    )
    # Its first attempt has ended without a result and the second has not begun: who finishes it has taken it again.
    row = job_row(job)
    assert (row["state"], row["attempts"]) == ("running", 1)
    support.wait_until(lambda: is_done(job), "the job is done all the same", 300)
    assert job_row(job)["attempts"] > 1
    wait_until_they_sleep()

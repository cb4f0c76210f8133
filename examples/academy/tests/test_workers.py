# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The workers against a real control plane of SQS, S3 and EC2 on this machine, and a database in a file."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from django.conf import settings
from django.core.management import call_command
from django.db import connections
from django.db.backends.sqlite3.base import DatabaseWrapper
from django.test import Client, override_settings
from moto.server import ThreadedMotoServer

from apps.api.config.environment import Environment
from apps.jobs import models, views
from apps.workers import ai, messaging, storage, video
from apps.workers.heartbeat import BEAT_SECONDS, Heartbeat
from apps.workers.host import stop_itself
from apps.workers.idle import Idleness
from apps.workers.loop import RETRY_SECONDS, Context, EndedError, Loop, OverTimeError, Worker
from apps.workers.queues import MalformedError, Message, Queues, shares
from tests.environment import COMPLETE

TOKEN = f"Bearer {COMPLETE['INTERNAL_WORKER_TOKEN']}"
MESSAGING = [("messaging", "academy-messaging-jobs")]
SILENT = Heartbeat(None)
SMS = {"id": "sms-1", "to": "010-0000-0000", "text": "안녕하세요"}


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """A control plane that this process's clients find by themselves."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    url = f"http://{host}:{port}"
    patch = pytest.MonkeyPatch()
    patch.setenv("AWS_ENDPOINT_URL", url)
    patch.setenv("AWS_ACCESS_KEY_ID", "only-for-tests-access-key")
    patch.setenv("AWS_SECRET_ACCESS_KEY", "only-for-tests-secret-key")
    patch.setenv("AWS_REGION", settings.AWS_REGION)
    patch.setenv("NO_PROXY", "127.0.0.1")
    s3 = boto3.client("s3", region_name="us-east-1")
    for bucket in (settings.R2_AI_BUCKET, settings.R2_VIDEO_BUCKET):
        s3.create_bucket(Bucket=bucket)
    with override_settings(R2_ENDPOINT=url):
        yield url
    patch.undo()
    server.stop()


@pytest.fixture
def aws(server: str) -> Iterator[str]:
    """The control plane with empty queues."""
    sqs = boto3.client("sqs", region_name=settings.AWS_REGION)
    urls = [sqs.create_queue(QueueName=name)["QueueUrl"] for name in settings.JOB_QUEUES.values()]
    yield server
    for url in urls:
        sqs.delete_queue(QueueUrl=url)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Path]:
    """An own database with the project's tables."""
    file = tmp_path / "database.sqlite3"
    outer = connections["default"]
    connections["default"] = DatabaseWrapper({**outer.settings_dict, "NAME": str(file), "OPTIONS": {}}, "default")
    call_command("migrate", verbosity=0)
    yield file
    connections["default"].close()
    connections["default"] = outer


@pytest.fixture
def ended() -> threading.Event:
    return threading.Event()


def send(queue: str, body: Mapping[str, Any] | str) -> None:
    sqs = boto3.client("sqs", region_name=settings.AWS_REGION)
    url = sqs.get_queue_url(QueueName=queue)["QueueUrl"]
    sqs.send_message(QueueUrl=url, MessageBody=body if isinstance(body, str) else json.dumps(body))


def counted(queue: str) -> tuple[int, int]:
    """Visible and invisible messages."""
    sqs = boto3.client("sqs", region_name=settings.AWS_REGION)
    url = sqs.get_queue_url(QueueName=queue)["QueueUrl"]
    found = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    return int(found["ApproximateNumberOfMessages"]), int(found["ApproximateNumberOfMessagesNotVisible"])


def loop(
    worker: Worker,
    names: list[tuple[str, str]],
    ended: threading.Event,
    threshold: int = 1,
    heartbeat: Heartbeat = SILENT,
) -> tuple[Loop, Queues]:
    """A loop that ends by itself after so many empty polls in a row."""

    def stop_host() -> bool:
        ended.set()
        return True

    queues = Queues(names, 1, settings.AWS_REGION)
    return Loop(worker, queues, Idleness(threshold), stop_host, ended, heartbeat=heartbeat), queues


# --- when a host is idle ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("threshold", "polls", "over"),
    [
        (5, "eeeee", True),
        (5, "eeee", False),
        (5, "eeeewe", False),
        (5, "weeeee", True),
        (1, "e", True),
        (1, "", False),
        (0, "eeeeeeeeee", False),
    ],
)
def test_only_empty_polls_in_a_row_count(threshold: int, polls: str, over: bool) -> None:
    idleness = Idleness(threshold)
    for poll in polls:
        (idleness.note_empty_poll if poll == "e" else idleness.note_work)()
    assert idleness.is_over is over


@pytest.mark.parametrize(
    ("seconds", "count", "waits"), [(20, 1, [20]), (20, 3, [7, 7, 6]), (2, 3, [1, 1, 1]), (1, 1, [1])]
)
def test_a_round_over_all_queues_takes_the_time_of_one_poll(seconds: int, count: int, waits: list[int]) -> None:
    assert shares(seconds, count) == waits


class Broken:
    """A queue that cannot be read twice, and is empty then."""

    def __init__(self) -> None:
        self.polls = 0

    def receive(self) -> Message | None:
        self.polls += 1
        if self.polls <= 2:
            raise EndpointConnectionError(endpoint_url="https://sqs.example.com")
        return None


def test_a_poll_that_failed_is_no_empty_poll(monkeypatch: pytest.MonkeyPatch, ended: threading.Event) -> None:
    monkeypatch.setattr("apps.workers.loop.POLL_RETRY_SECONDS", 0)
    queues: Any = Broken()

    def stop_host() -> bool:
        ended.set()
        return True

    Loop(
        messaging.worker(Environment({"MESSAGING_WORKER_ID": "m"})),
        queues,
        Idleness(3),
        stop_host,
        ended,
        heartbeat=SILENT,
    ).run()
    assert queues.polls == 2 + 3


def test_a_refused_stop_means_going_on(aws: str, ended: threading.Event) -> None:
    answers = [False, False, True]

    def stop_host() -> bool:
        accepted = answers.pop(0)
        if accepted:
            ended.set()
        return accepted

    Loop(
        messaging.worker(Environment({})),
        Queues(MESSAGING, 1, settings.AWS_REGION),
        Idleness(1),
        stop_host,
        ended,
        heartbeat=SILENT,
    ).run()
    assert answers == []


# --- what its heartbeat says -------------------------------------------------------------------------------------


def test_each_poll_and_each_job_is_a_beat(
    aws: str, database: Path, ended: threading.Event, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    beats: list[tuple[str, int]] = []

    class Noted(Heartbeat):
        def _write(self, state: str, empty_polls: int) -> None:
            super()._write(state, empty_polls)
            read = json.loads((tmp_path / "heartbeat.json").read_text("utf-8"))
            assert abs(read["at"] - time.time()) < 5
            beats.append((read["state"], read["empty_polls"]))

    # Each second of the job's four shows that it gets on.
    monkeypatch.setattr("apps.workers.loop.BEAT_SECONDS", 1)
    monkeypatch.setattr("apps.workers.heartbeat.BEAT_SECONDS", 0.5)
    send("academy-ai-jobs-lite", {"id": "beating", "numbers": [1], "work_seconds": 4})
    worker = ai.worker(Environment({"AI_WORKER_ID_CPU": "a-1"}))
    heartbeat = Noted(tmp_path / "heartbeat.json")
    loop(worker, [("ai-lite", "academy-ai-jobs-lite")], ended, threshold=2, heartbeat=heartbeat)[0].run()
    assert beats[0] == ("busy", 0)
    assert beats[-2:] == [("idle", 1), ("idle", 2)]
    assert 3 <= beats[1:-2].count(("busy", 0)) == len(beats) - 3


def test_what_hangs_falls_silent(tmp_path: Path) -> None:
    file = tmp_path / "heartbeat.json"
    heartbeat = Heartbeat(file)
    heartbeat.busy()
    written = file.stat().st_mtime_ns
    context = Context("video", threading.Event(), 0, heartbeat.progress)
    # A job that asks often does not write as often, and one that asks nothing writes nothing.
    for _ in range(100):
        context.check()
    assert file.stat().st_mtime_ns == written
    assert BEAT_SECONDS < 20


def test_a_poll_that_failed_is_no_beat(monkeypatch: pytest.MonkeyPatch, ended: threading.Event, tmp_path: Path) -> None:
    def wait(seconds: float | None = None) -> None:
        assert seconds is None or not (tmp_path / "heartbeat.json").exists()

    def stop_host() -> bool:
        ended.set()
        return True

    monkeypatch.setattr(ended, "wait", wait)
    queues: Any = Broken()
    worker = messaging.worker(Environment({"MESSAGING_WORKER_ID": "m"}))
    heartbeat = Heartbeat(tmp_path / "heartbeat.json")
    Loop(worker, queues, Idleness(1), stop_host, ended, heartbeat=heartbeat).run()
    assert json.loads((tmp_path / "heartbeat.json").read_text("utf-8"))["empty_polls"] == 1


def test_a_heartbeat_that_cannot_be_written_ends_no_job(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    Heartbeat(tmp_path / "missing" / "heartbeat.json").busy()
    assert "cannot write the heartbeat" in caplog.text


# --- jobs -----------------------------------------------------------------------------------------------------------


def test_a_job_is_done_once_however_often_it_comes(aws: str, database: Path, ended: threading.Event) -> None:
    send("academy-messaging-jobs", SMS)
    send("academy-messaging-jobs", SMS)
    worker, _ = loop(messaging.worker(Environment({"MESSAGING_WORKER_ID": "m-1"})), MESSAGING, ended)
    worker.run()
    row = models.Job.objects.get(pk="sms-1")
    assert (row.state, row.attempts, row.worker_id) == ("done", 1, "m-1")
    assert row.result == {"to": "010-0000-0000", "characters": 5}
    assert counted("academy-messaging-jobs") == (0, 0)
    assert Client().get("/api/jobs?kind=messaging").json()["jobs"][0]["id"] == "sms-1"
    assert Client().get("/api/jobs?kind=video").json() == {"jobs": []}


@pytest.mark.parametrize("body", ["nonsense", "[]", "{}", '{"id": 7}', '{"id": ""}'])
def test_what_is_no_job_is_left_for_the_dead_letter_queue(
    aws: str, database: Path, ended: threading.Event, body: str
) -> None:
    with pytest.raises(MalformedError):
        Message("messaging", "", "", body).job()
    send("academy-messaging-jobs", body)
    loop(messaging.worker(Environment({})), MESSAGING, ended)[0].run()
    assert counted("academy-messaging-jobs") == (0, 1)
    assert models.Job.objects.count() == 0


def test_a_job_that_fails_comes_back(aws: str, database: Path, ended: threading.Event) -> None:
    send("academy-messaging-jobs", {"id": "broken"})
    loop(messaging.worker(Environment({})), MESSAGING, ended)[0].run()
    assert models.Job.objects.get(pk="broken").state == "running"
    assert counted("academy-messaging-jobs") == (0, 1)
    assert RETRY_SECONDS < 300


def test_without_its_database_a_worker_gives_its_job_back_and_takes_no_other(
    aws: str, database: Path, ended: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("apps.workers.loop.POLL_RETRY_SECONDS", 0.2)
    for number in range(2):
        send("academy-messaging-jobs", {**SMS, "id": f"sms-{number}"})
    running, queues = loop(messaging.worker(Environment({})), MESSAGING, ended)
    hidden: list[int] = []
    hide = queues.hide

    def noted(message: Message, seconds: int) -> None:
        hidden.append(seconds)
        hide(message, seconds)

    monkeypatch.setattr(queues, "hide", noted)
    meanwhile: list[tuple[int, int]] = []

    def come_back() -> None:
        meanwhile.append(counted("academy-messaging-jobs"))
        with closing(sqlite3.connect(database)) as other:
            other.execute("ALTER TABLE away RENAME TO jobs_job")

    connections["default"].cursor().execute("ALTER TABLE jobs_job RENAME TO away")
    back = threading.Timer(2, come_back)
    back.start()
    running.run()
    back.join()
    assert (meanwhile, hidden) == ([(1, 1)], [RETRY_SECONDS])
    assert [row.state for row in models.Job.objects.all()] == ["done"]
    assert counted("academy-messaging-jobs") == (0, 1)


def test_a_worker_leaves_what_another_has_leased(aws: str, database: Path, ended: threading.Event) -> None:
    assert models.begin("shared", "messaging", "other", 60) is not None
    with pytest.raises(models.LeasedError, match="belongs to other"):
        models.begin("shared", "messaging", "me", 60)
    # The same worker again, after a crash, and anybody once the time is over.
    again = models.begin("shared", "messaging", "other", 0)
    assert again is not None
    taken = models.begin("shared", "messaging", "me", 60)
    assert taken is not None
    assert (taken.attempts, taken.worker_id) == (3, "me")
    models.give_back(taken)
    assert models.begin("shared", "messaging", "third", 60) is not None


def test_told_to_end_a_worker_gives_its_job_back_at_once(aws: str, database: Path, ended: threading.Event) -> None:
    send("academy-ai-jobs-lite", {"id": "long", "numbers": [1], "work_seconds": 60})
    worker = ai.worker(Environment({"AI_WORKER_ID_CPU": "a-1"}))
    running, _ = loop(worker, [("ai-lite", "academy-ai-jobs-lite")], ended)
    threading.Timer(2, ended.set).start()
    begun = time.monotonic()
    running.run()
    assert time.monotonic() - begun < 10
    assert counted("academy-ai-jobs-lite") == (1, 0)


def test_a_job_over_its_limit_fails_for_good(aws: str, database: Path, ended: threading.Event) -> None:
    send("academy-ai-jobs-lite", {"id": "endless", "numbers": [1], "work_seconds": 2})
    worker = ai.worker(Environment({"AI_WORKER_ID_CPU": "a-1", "AI_JOB_MAX_SECONDS": "1"}))
    loop(worker, [("ai-lite", "academy-ai-jobs-lite")], ended)[0].run()
    assert models.Job.objects.get(pk="endless").state == "failed"
    assert counted("academy-ai-jobs-lite") == (0, 0)


def test_the_message_stays_invisible_for_as_long_as_the_job_runs(
    aws: str, database: Path, ended: threading.Event
) -> None:
    send("academy-ai-jobs-lite", {"id": "extended", "numbers": [1, 2], "work_seconds": 5})
    worker = ai.worker(Environment({"AI_WORKER_ID_CPU": "a-1", "AI_VISIBILITY_SECONDS": "2"}))
    running, _ = loop(worker, [("ai-lite", "academy-ai-jobs-lite")], ended)
    seen: list[tuple[int, int]] = []
    watching = threading.Timer(3.5, lambda: seen.append(counted("academy-ai-jobs-lite")))
    watching.start()
    running.run()
    watching.join()
    assert seen == [(0, 1)]
    assert models.Job.objects.get(pk="extended").state == "done"


def test_without_an_extender_it_would_be_seen_again(aws: str, database: Path, ended: threading.Event) -> None:
    send("academy-ai-jobs-lite", {"id": "seen", "numbers": [1, 2], "work_seconds": 5})
    worker = ai.worker(Environment({"AI_WORKER_ID_CPU": "a-1", "AI_VISIBILITY_SECONDS": "2"}))
    running, _ = loop(replace(worker, extends_visibility=False), [("ai-lite", "academy-ai-jobs-lite")], ended)
    seen: list[tuple[int, int]] = []
    watching = threading.Timer(3.5, lambda: seen.append(counted("academy-ai-jobs-lite")))
    watching.start()
    running.run()
    watching.join()
    assert seen == [(1, 0)]


def test_each_tier_has_its_computation_and_none_starves(aws: str, database: Path, ended: threading.Event) -> None:
    names = [(kind, settings.JOB_QUEUES[kind]) for kind in ai.KINDS]
    for number in range(3):
        for kind, queue in names:
            send(queue, {"id": f"{kind}-{number}", "numbers": [1, 2, 6]})
    loop(ai.worker(Environment({"AI_WORKER_ID_CPU": "a-1"})), names, ended)[0].run()
    rows = list(models.Job.objects.order_by("started_at"))
    assert {row.kind: row.result["value"] for row in rows} == {"ai-lite": 9, "ai-basic": 3, "ai-premium": 14 / 3}
    assert [row.kind for row in rows] == list(ai.KINDS) * 3
    stored = boto3.client("s3", region_name="us-east-1").get_object(Bucket="academy-ai", Key="results/ai-lite-0.json")
    assert json.load(stored["Body"]) == {"value": 9.0}


# --- video ----------------------------------------------------------------------------------------------------------


def video_worker(monkeypatch: pytest.MonkeyPatch, directory: Path) -> Worker:
    monkeypatch.setenv("VIDEO_WORKER_TEMP_DIR", str(directory))
    storage._client.cache_clear()
    return video.worker(Environment({"VIDEO_WORKER_ID": "v-1"}))


def test_a_clip_is_transcoded_and_stored(
    aws: str, database: Path, ended: threading.Event, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    leftover = tmp_path / f"{video.PREFIX}crashed"
    leftover.mkdir()
    worker = video_worker(monkeypatch, tmp_path)
    assert not leftover.exists()
    hidden: list[int] = []
    send("academy-video-jobs", {"id": "clip", "clip_seconds": 1})
    running, queues = loop(worker, [("video", "academy-video-jobs")], ended)
    hide = queues.hide

    def noted(message: Message, seconds: int) -> None:
        hidden.append(seconds)
        hide(message, seconds)

    monkeypatch.setattr(queues, "hide", noted)
    running.run()
    row = models.Job.objects.get(pk="clip")
    assert row.state == "done"
    stored = boto3.client("s3", region_name="us-east-1").get_object(Bucket="academy-video", Key="videos/clip.mp4")
    content = stored["Body"].read()
    assert content[4:8] == b"ftyp"
    assert len(content) == row.result["bytes"]
    # Once, for three hours, and never extended.
    assert hidden == [10800]
    assert [file.name for file in tmp_path.iterdir()] == [database.name]


def test_storing_shows_that_it_gets_on(aws: str, tmp_path: Path) -> None:
    storage._client.cache_clear()
    (tmp_path / "video.mp4").write_bytes(b"x" * 1000)
    moved: list[None] = []
    storage.put("video", "moved.mp4", tmp_path / "video.mp4", lambda: moved.append(None))
    assert moved


def test_ffmpeg_shows_that_it_gets_on(tmp_path: Path, ended: threading.Event) -> None:
    moved: list[None] = []
    context = Context("video", ended, 0, lambda: moved.append(None))
    video.run(video.generation(60, tmp_path / "source.mkv"), context)
    assert moved


def test_told_to_end_ffmpeg_ends_and_leaves_nothing(
    aws: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ended: threading.Event
) -> None:
    worker = video_worker(monkeypatch, tmp_path)
    threading.Timer(1, ended.set).start()
    begun = time.monotonic()
    with pytest.raises(EndedError):
        worker.perform({"id": "long", "clip_seconds": 3600}, Context("video", ended, 0))
    assert time.monotonic() - begun < 10
    assert list(tmp_path.iterdir()) == []


def test_what_ffmpeg_cannot_read_fails(tmp_path: Path, ended: threading.Event) -> None:
    (tmp_path / "broken.mp4").write_bytes(b"no video")
    with pytest.raises(RuntimeError, match="ffmpeg ended with status"):
        video.run(video.decoding(tmp_path / "broken.mp4"), Context("video", ended, 0))


@pytest.mark.parametrize("seconds", [0, -1, video.CLIP_SECONDS_MAX + 1])
def test_no_clip_is_endless(seconds: int, ended: threading.Event) -> None:
    with pytest.raises(ValueError, match="clip_seconds"):
        video.perform({"id": "x", "clip_seconds": seconds}, Context("video", ended, 0))


def test_time_is_up(ended: threading.Event) -> None:
    with pytest.raises(OverTimeError, match="longer than 1 seconds"):
        Context("ai-lite", ended, 1).sleep(1.1)


# --- the host, the API and the process --------------------------------------------------------------------------------


@pytest.fixture
def instances(aws: str) -> list[str]:
    """Two hosts that run."""
    ec2 = boto3.client("ec2", region_name=settings.AWS_REGION)
    image = ec2.describe_images(MaxResults=5)["Images"][0]["ImageId"]
    launched = ec2.run_instances(ImageId=image, InstanceType="t4g.medium", MinCount=2, MaxCount=2)["Instances"]
    return [instance["InstanceId"] for instance in launched]


def states(instances: list[str]) -> list[str]:
    ec2 = boto3.client("ec2", region_name=settings.AWS_REGION)
    (found,) = ec2.describe_instances(InstanceIds=instances)["Reservations"]
    return [instance["State"]["Name"] for instance in found["Instances"]]


def test_it_stops_its_own_host_and_no_other(instances: list[str]) -> None:
    with metadata_service(instances[0]) as url:
        assert stop_itself(settings.AWS_REGION, url)
    assert states(instances) == ["stopped", "running"]


def test_a_host_that_is_held_is_not_stopped(instances: list[str], caplog: pytest.LogCaptureFixture) -> None:
    ec2, tag = boto3.client("ec2", region_name=settings.AWS_REGION), {"Key": "HoldUntil"}
    ec2.create_tags(Resources=instances[:1], Tags=[{**tag, "Value": "2026-01-31T09:30:00Z"}])
    with metadata_service(instances[0]) as url, caplog.at_level("INFO"):
        assert not stop_itself(settings.AWS_REGION, url)
        assert states(instances) == ["running", "running"]
        assert "HoldUntil: 2026-01-31T09:30:00Z" in caplog.text
        ec2.delete_tags(Resources=instances[:1], Tags=[tag])
        assert stop_itself(settings.AWS_REGION, url)
    assert states(instances) == ["stopped", "running"]


def test_a_host_that_cannot_be_looked_at_is_stopped(instances: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    session = boto3.Session(region_name=settings.AWS_REGION)
    refusals: list[object] = []

    def refuse(**_: object) -> None:
        refusals.append(None)
        raise ClientError({"Error": {"Code": "UnauthorizedOperation"}}, "DescribeInstances")

    session.events.register("before-call.ec2.DescribeInstances", refuse)
    with metadata_service(instances[0]) as url, monkeypatch.context() as patch:
        patch.setattr(boto3, "DEFAULT_SESSION", session)
        assert stop_itself(settings.AWS_REGION, url)
    assert refusals == [None]
    assert states(instances) == ["stopped", "running"]


def test_without_a_metadata_service_nothing_is_stopped(aws: str) -> None:
    assert stop_itself(settings.AWS_REGION, "http://127.0.0.1:9") is False


class metadata_service:  # noqa: N801 - used like a function, as context managers are
    """What the metadata service says, to those who ask with a token."""

    def __init__(self, instance_id: str) -> None:
        self._instance_id = instance_id

    def __enter__(self) -> str:
        from http.server import BaseHTTPRequestHandler, HTTPServer  # noqa: PLC0415

        instance_id = self._instance_id

        class Handler(BaseHTTPRequestHandler):
            def do_PUT(self) -> None:
                self._send(200 if self.headers["X-aws-ec2-metadata-token-ttl-seconds"] else 400, "token")

            def do_GET(self) -> None:
                self._send(200 if self.headers["X-aws-ec2-metadata-token"] == "token" else 401, instance_id)

            def _send(self, status: int, text: str) -> None:
                self.send_response(status)
                self.end_headers()
                self.wfile.write(text.encode())

            def log_message(self, *_: Any) -> None:
                """Say nothing."""

        self._server = HTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, args=[0.05], daemon=True).start()
        return f"http://127.0.0.1:{self._server.server_port}"

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.mark.parametrize("body", ["nonsense", "[]", "{}", '{"kind": "unknown"}', '{"kind": 7}'])
def test_the_api_takes_known_kinds_only(body: str) -> None:
    answer = Client().post("/api/jobs", body, "application/json", headers={"Authorization": TOKEN})
    assert answer.status_code == 400


def test_the_api_puts_jobs_on_their_queue(aws: str) -> None:
    views._queues.cache_clear()
    views._url.cache_clear()
    document = {"kind": "ai-basic", "numbers": [1]}
    assert Client().post("/api/jobs", json.dumps(document), "application/json").status_code == 401
    answer = Client().post("/api/jobs", json.dumps(document), "application/json", headers={"Authorization": TOKEN})
    assert (answer.status_code, answer.json()["kind"]) == (202, "ai-basic")
    assert counted("academy-ai-jobs-basic") == (1, 0)
    waiting = {"video": 0, "messaging": 0, "ai-lite": 0, "ai-basic": 1, "ai-premium": 0}
    assert Client().get("/api/queues").json() == {"waiting": waiting}


def test_the_process_ends_when_it_is_told_to(aws: str) -> None:
    variables = {**os.environ, **COMPLETE, "MESSAGING_WORKER_ID": "m-1", "WORKER_WAIT_SECONDS": "1"}
    with subprocess.Popen(
        [sys.executable, "-m", "apps.workers", "messaging"], env=variables, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        # Until it says so, or the output ends.
        assert any("m-1 works on academy-messaging-jobs" in line for line in process.stdout)
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=10) == 0


@pytest.mark.parametrize("arguments", [[], ["unknown"], ["video", "ai"]])
def test_the_process_says_how_it_is_called(arguments: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "apps.workers", *arguments], capture_output=True, text=True, check=False
    )
    assert (done.returncode, "usage" in done.stderr) == (2, True)


def test_a_missing_worker_id_is_named() -> None:
    variables = {**os.environ, **COMPLETE}
    done = subprocess.run(
        [sys.executable, "-m", "apps.workers", "video"], env=variables, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "missing: VIDEO_WORKER_ID" in done.stderr


def test_a_worker_without_its_queue_does_not_say_that_it_works(aws: str) -> None:
    variables = {**os.environ, **COMPLETE, "MESSAGING_WORKER_ID": "m-1", "MESSAGING_SQS_QUEUE_NAME": "no-such-queue"}
    done = subprocess.run(
        [sys.executable, "-m", "apps.workers", "messaging"],
        env=variables,
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert (done.returncode, "does not exist" in done.stderr, "works on" in done.stdout) == (1, True, False)


def test_a_missing_queue_is_known_at_the_start(aws: str) -> None:
    with pytest.raises(ClientError, match="does not exist"):
        Queues([("video", "no-such-queue")], 1, settings.AWS_REGION)

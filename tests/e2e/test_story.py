# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The demo on one embedded cloud, and what its hosts do, in order: bring up, again, read, stop, start.

Each test builds on what the ones before it left; a failed first half makes the rest meaningless, so pytest stops at
the first failure (see scripts/run_tests.sh).
"""

from __future__ import annotations

import json
import secrets
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from localcloud import databases, demo, direct, settings
from tests import load, support
from tests.trap import Trap

API_HOST = "academy-api-1"
VIDEO_HOST = "academy-video-worker-1"
MESSAGING_HOST = "academy-messaging-worker-1"
STOPPED_WORKER = "academy-video-worker-2"
AI_HOST = "academy-ai-worker-1"
# They stop themselves when there is nothing to do.
SLEEPERS = (AI_HOST, VIDEO_HOST, STOPPED_WORKER)
HOSTS = {API_HOST, MESSAGING_HOST, *SLEEPERS}
# docs/decisions.md says whose they are and why they are tolerated.
FOREIGN_WARNINGS = (
    "Deprecation warnings can be disabled by setting",
    "Passing `disable_lookups` to `template` is deprecated",
    "iam_role.assume_role_policy_document_raw will no longer be returned",
    "Passing `warnings` to `exit_json` or `fail_json` is deprecated",
)
PROOF_FILE = "/mnt/transcode/proof"
CONTAINER = "academy-api"
MESSAGING_CONTAINER = "academy-messaging-worker"
VIDEO_CONTAINER = "academy-video-worker"
MESSAGING_QUEUE = "academy-messaging-jobs"
CANARY = f"canary{secrets.token_hex(16)}"
CANARY_FILE = support.ROOT / "build" / "canary.json"
ROW = "written before the stop"
PLAN_OUTPUT = support.ROOT / "build" / "plan.json"
STATUS_OUTPUT = PLAN_OUTPUT.with_name("status.json")
ENVIRONMENT_FILE = f"/etc/academy/{CONTAINER}.env"


def test_up_is_idempotent(machine_before: dict[str, list[str]]) -> None:
    assert not machine_before["containers"] or not any(
        "academy" in line for line in support.docker_lines("ps", "--format", "{{.Names}}")
    ), "an embedded cloud is up already: `make down` first"
    support.run(sys.executable, "-m", "localcloud", "up", name="up").expect()
    again = support.run(sys.executable, "-m", "localcloud", "up", name="up-again").expect()
    assert "already up" in again.output


def test_demo_brings_the_api_up() -> None:
    support.run("make", "demo", name="demo").expect()
    summary = json.loads(demo.OUTPUT.read_text(encoding="utf-8"))
    assert summary["api"]["status"] == 200
    assert summary["api"]["health"]["status"] == "healthy"
    assert {host["name"] for host in summary["hosts"]} == HOSTS
    drill = json.loads(demo.DRILL_OUTPUT.read_text(encoding="utf-8"))
    assert drill["ok"], drill["reason"]
    assert [step["name"] for step in summary["drill"]] == [
        "sent",
        "starting",
        "running",
        "taken",
        "processed",
        "stopped",
    ]
    support.wait_until(lambda: set(states()) == {"stopped"}, "the workers have stopped their hosts")
    assert {support.instance(name)["state"] for name in (API_HOST, MESSAGING_HOST)} == {"running"}
    assert len(summary["queues"]) == 10
    assert summary["database"]["status"] == "available"


def test_second_run_changes_nothing_and_never_leaves_this_machine() -> None:
    with Trap() as trap:
        environment = trap.environment | {"ANSIBLE_DEPRECATION_WARNINGS": "true"}
        asked = support.calls()["sts.GetCallerIdentity"]
        second = support.playbook("site.yml", name="second-run", environment=environment).expect()
        assert trap.requests == []
        # The trap works: a client without the inventory's endpoint falls into it.
        caller = "import boto3; boto3.client('sts', 'us-east-1', aws_access_key_id='x', aws_secret_access_key='y')"
        support.run(
            sys.executable, "-c", f"{caller}.get_caller_identity()", name="trap", environment=trap.environment
        ).expect(1)
        assert any("amazonaws.com" in request for request in trap.requests)
    assert set(second.changed()) == {"localhost", API_HOST, MESSAGING_HOST}
    assert set(second.changed().values()) == {0}
    # The preflight, the deploy lock and both comparisons, which are all that such a run does.
    assert support.calls()["sts.GetCallerIdentity"] == asked + 4
    warnings = [line for line in second.output.splitlines() if "WARNING]" in line]
    assert [line for line in warnings if not any(known in line for known in FOREIGN_WARNINGS)] == []


def plan(name: str, status: int) -> dict[str, Any]:
    """What playbooks/plan.yml reports of the default inventory, which ends with that exit status."""
    run = support.playbook("playbooks/plan.yml", name=name).expect(status)
    assert set(run.changed().values()) == {0}
    report: dict[str, Any] = json.loads(PLAN_OUTPUT.read_text(encoding="utf-8"))
    return report


def test_the_plan_of_what_is_as_it_should_be_is_clean() -> None:
    report = plan("plan-clean", 0)
    assert report["status"] == "clean"
    assert report["compared_hosts"] == [API_HOST, MESSAGING_HOST]
    # They are judged by what AWS tells.
    assert {entry["host"] for entry in report["expected"] if entry["host"]} == set(SLEEPERS)


def test_the_status_tells_what_runs_where() -> None:
    run = support.playbook("playbooks/status.yml", name="status")
    report = json.loads(STATUS_OUTPUT.read_text(encoding="utf-8"))
    # How full the disk of the machine is, is nobody's here.
    assert [note for note in report["attention"] if "the disk at" not in note["en"]] == report["unknown"] == []
    assert set(run.expect(0 if report["status"] == "ok" else 2).changed().values()) == {0}
    hosts = {host["host"]: host for host in report["hosts"]}
    assert {name: host["state"] for name, host in hosts.items()} == {
        name: "stopped" if name in SLEEPERS else "running" for name in HOSTS
    }
    found = {each["service"]: each for name in (API_HOST, MESSAGING_HOST) for each in hosts[name]["services"]}
    assert {service: each["health"] for service, each in found.items()} == {
        "api": "healthy",
        "messaging_worker": "healthy",
    }
    assert all(each["release"] == report["release"] and each["digest"] for each in found.values())
    assert found["api"]["container"] == api_container(support.instance(API_HOST)["instance_id"]).split()[0]
    assert hosts[API_HOST]["swap_total_mib"] > 0
    assert report["lock"] == {"state": "free"}
    assert report["releases"][0]["result"] == "succeeded"


def test_the_plan_tells_what_others_changed_on_hosts_and_their_roles_repair_it() -> None:
    api, messaging = (support.instance(name)["instance_id"] for name in (API_HOST, MESSAGING_HOST))
    for host, command in (
        (api, "echo >> /etc/docker/daemon.json"),
        (api, f"swapoff /var/swap/{API_HOST}"),
        (messaging, f"docker stop {MESSAGING_CONTAINER}"),
    ):
        assert support.on_host(host, "sh", "-c", command).returncode == 0
    (release,) = {tag["Value"] for host in demo.instances() for tag in host["Tags"] if tag["Key"] == "Release"}
    demo.client("ec2").create_tags(Resources=[messaging], Tags=[{"Key": "Release", "Value": "older"}])
    report = plan("plan-drift", 2)
    lines = [line for entry in report["differences"] for line in entry["lines"]]
    told = {
        f"~ {API_HOST}: /var/swap/{API_HOST}: on: false -> true (guide §8.1; --tags swap)",
        f"~ {API_HOST}: /etc/docker/daemon.json: content: 9 lines -> 8 lines (guide §6.3; --tags docker)",
        f"~ {API_HOST}: docker.service: configuration: older -> /etc/docker/daemon.json (guide §6.3; --tags docker)",
        f"~ {MESSAGING_HOST}: {MESSAGING_CONTAINER}: state: exited -> running (guide §6.3; --tags messaging_worker)",
        f"~ {MESSAGING_HOST}: release: older -> {release} (guide §6.2; --limit {MESSAGING_HOST})",
    }
    assert set(lines) == told
    tags = "swap,docker,messaging_worker"
    support.playbook("playbooks/configure.yml", "--tags", tags, name="plan-repair").expect()
    assert plan("plan-repaired", 0)["status"] == "clean"


# From here on another deployment comes and goes beside this one, so no test that follows counts everybody's calls.
@pytest.mark.usefixtures("scenario_runs")
def test_a_row_written_through_the_api_is_in_postgresql() -> None:
    post_row(ROW)
    assert ROW in titles()
    assert ROW in query_database("SELECT title FROM lectures_lecture")


def test_who_speaks_no_tls_is_let_in_only_after_a_restart_with_other_parameters() -> None:
    """A second database, whose restarts cut nobody off; asked on its own host, where no security group matters."""
    rds, name = demo.client("rds"), "plain-db"
    group = rds.create_db_parameter_group(
        DBParameterGroupName="plain", DBParameterGroupFamily="postgres15", Description="test"
    )["DBParameterGroup"]["DBParameterGroupName"]
    rds.create_db_instance(
        DBInstanceIdentifier=name, Engine="postgres", DBInstanceClass="db.t4g.micro", AllocatedStorage=20,
        MasterUsername="plain", MasterUserPassword=secrets.token_urlsafe(16), DBParameterGroupName=group,
    )  # fmt: skip

    def status() -> tuple[str, str]:
        (found,) = rds.describe_db_instances(DBInstanceIdentifier=name)["DBInstances"]
        return found["DBInstanceStatus"], found["DBParameterGroups"][0]["ParameterApplyStatus"]

    try:
        support.wait_until(lambda: status() == ("available", "in-sync"), f"{name} is there", 60)
        assert [refused_by(name, mode) for mode in ("disable", "require")] == ["no encryption", "no password supplied"]
        assert refused_by("academy-db", "disable") == "no encryption"
        plain = {"ParameterName": "rds.force_ssl", "ParameterValue": "0", "ApplyMethod": "pending-reboot"}
        rds.modify_db_parameter_group(DBParameterGroupName=group, Parameters=[plain])
        assert (status(), refused_by(name, "disable")) == (("available", "pending-reboot"), "no encryption")
        rds.reboot_db_instance(DBInstanceIdentifier=name)
        support.wait_until(lambda: status() == ("available", "in-sync"), f"{name} is there again", 60)
        assert refused_by(name, "disable") == "no password supplied"
    finally:
        rds.delete_db_instance(DBInstanceIdentifier=name, SkipFinalSnapshot=True)
        rds.delete_db_parameter_group(DBParameterGroupName=group)


def test_log_lines_arrive_in_the_log_group() -> None:
    support.wait_until(
        lambda: logged(CONTAINER, "/health"), f"a line about /health in the log group of {CONTAINER}", 30
    )


def test_a_message_goes_from_the_api_through_its_queue_to_the_worker() -> None:
    assert ask_api("/api/queues")["waiting"]["messaging"] == 0
    job = ask_api("/api/jobs", {"kind": "messaging", "to": "010-0000-0000", "text": "안녕하세요"})["id"]
    support.wait_until(lambda: job_row(job).get("state") == "done", "the messaging worker has sent the message", 60)
    row = job_row(job)
    assert (row["worker_id"], row["attempts"]) == (MESSAGING_HOST, 1)
    assert row["result"] == {"to": "010-0000-0000", "characters": 5}
    assert next(queue for queue in demo.queues() if queue["name"] == MESSAGING_QUEUE)["messages"] == 0


def test_what_is_no_job_is_left_alone_and_the_worker_goes_on() -> None:
    sqs = demo.client("sqs")
    url = sqs.get_queue_url(QueueName=MESSAGING_QUEUE)["QueueUrl"]
    sqs.send_message(QueueUrl=url, MessageBody="no job")
    support.wait_until(lambda: logged(MESSAGING_CONTAINER, "left alone: not JSON"), "the worker leaves it alone", 60)
    job = ask_api("/api/jobs", {"kind": "messaging", "to": "010-0000-0000", "text": "next"})["id"]
    support.wait_until(lambda: job_row(job).get("state") == "done", "the worker goes on", 60)

    def hidden() -> str:
        found = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
        return str(found["ApproximateNumberOfMessagesNotVisible"])

    # A worker deletes a job's message after it has noted that the job is done.
    support.wait_until(lambda: hidden() == "1", "what is no job alone is hidden", 10)
    sqs.purge_queue(QueueUrl=url)


def test_the_messaging_worker_never_stops_its_host() -> None:
    host = support.instance(MESSAGING_HOST)["instance_id"]
    names = {
        line.partition("=")[0]
        for line in support.on_host(host, "cat", f"/etc/academy/{MESSAGING_CONTAINER}.env").stdout.splitlines()
    }
    assert "MESSAGING_WORKER_ID" in names
    assert not names & {"EC2_IDLE_STOP_THRESHOLD", "VIDEO_WORKER_ID", "AI_WORKER_ID_CPU"}
    limit = support.on_host(host, "docker", "inspect", "--format={{.HostConfig.Memory}}", MESSAGING_CONTAINER).stdout
    assert int(limit) == 448 * 1024**2


def test_hosts_pull_with_the_credential_helper_and_store_no_token() -> None:
    host = support.instance(API_HOST)["instance_id"]
    config = json.loads(support.on_host(host, "cat", "/root/.docker/config.json").stdout)
    assert set(config["credHelpers"].values()) == {"ecr-login"}
    assert "auths" not in config
    assert support.calls(hosts_only=True)["ecr.GetAuthorizationToken"] >= 1


def test_hosts_show_the_memory_of_their_type_less_what_a_host_never_sees_of_it() -> None:
    wanted = {MESSAGING_HOST: 1024, API_HOST: 2048, VIDEO_HOST: 4096}
    with awake(*wanted) as hosts:
        for name, instance_id in hosts.items():
            meminfo = support.on_host(instance_id, "cat", "/proc/meminfo").stdout
            assert meminfo.split()[:2] == ["MemTotal:", str(wanted[name] * settings.SHOWN_PERCENT // 100 * 1024)], name


def api_container(host: str) -> str:
    """The one that serves; there is no other one."""
    command = ("docker", "ps", "--all", f"--filter=name=^{CONTAINER}-[ab]$", "--format={{.Names}} {{.ID}}")
    (found,) = support.on_host(host, *command).stdout.splitlines()
    return found


def test_a_changed_secret_recreates_the_container(every_argument: set[str]) -> None:
    host = support.instance(API_HOST)["instance_id"]
    before = api_container(host)
    CANARY_FILE.write_text(json.dumps({"application_r2_secret_key": CANARY}), encoding="utf-8")

    with support.watched_arguments(every_argument):
        run = support.playbook(
            "site.yml", "--tags=api", "-vvv", "--diff", f"--extra-vars=@{CANARY_FILE}", name="canary"
        ).expect()
    assert "R2_SECRET_KEY" in run.output
    assert support.found_in({"canary": CANARY}, [run.output.encode()]) == set()
    assert CANARY in support.on_host(host, "cat", ENVIRONMENT_FILE).stdout
    assert api_container(host) != before
    assert support.on_host(host, "stat", "--format=%a %U", ENVIRONMENT_FILE).stdout == "600 root\n"

    CANARY_FILE.unlink()
    with support.watched_arguments(every_argument):
        support.playbook("site.yml", "--tags=api", "-vvv", "--diff", name="canary-removed").expect()
    assert CANARY not in support.on_host(host, "cat", ENVIRONMENT_FILE).stdout


def test_after_stop_and_start_all_is_back_by_itself() -> None:
    with awake(API_HOST, VIDEO_HOST) as hosts:
        assert support.on_host(hosts[VIDEO_HOST], "sh", "-c", f"echo kept > {PROOF_FILE}").returncode == 0
        for instance_id in hosts.values():
            stop(instance_id)

        # Not before: nothing of it lives while the hosts are stopped.
        assert api_status() is None
        swaps = Path("/proc/swaps").read_text(encoding="utf-8")
        assert not any(name in swaps for name in hosts)
        assert not set(hosts.values()) & set(support.docker_lines("ps", "--format", "{{.Names}}"))

        # And after: by the hosts' own boot, no playbook runs.
        demo.client("ec2").start_instances(InstanceIds=list(hosts.values()))
        support.wait_until(lambda: api_status() == 200, "the API answers 200 again")
        assert ROW in titles()
        assert support.on_host(hosts[VIDEO_HOST], "findmnt", "--noheadings", "/mnt/transcode").returncode == 0
        assert support.on_host(hosts[VIDEO_HOST], "cat", PROOF_FILE).stdout == "kept\n"
        for name, instance_id in hosts.items():
            assert name in Path("/proc/swaps").read_text(encoding="utf-8")
            assert support.on_host(instance_id, "systemctl", "is-active", "docker").stdout == "active\n"
        support.wait_until(lambda: video_worker_runs(hosts[VIDEO_HOST]), "the video worker is back", 60)


def test_a_stopped_worker_is_a_converged_worker() -> None:
    support.wait_until(lambda: set(states()) == {"stopped"}, "the workers have stopped their hosts")
    before = [support.instance(name) for name in SLEEPERS]
    run = support.playbook("site.yml", name="stopped-worker").expect()
    assert [support.instance(name) for name in SLEEPERS] == before
    # The hosts that were stopped and started since the last run are converged too.
    assert set(run.changed().values()) == {0}
    assert f"left as they are: {', '.join(SLEEPERS)}" in " ".join(run.output.split())


@contextmanager
def awake(*names: str) -> Iterator[dict[str, str]]:
    """Hosts that run, by name and id, and do not stop themselves meanwhile: held, as a deployment holds them."""
    ec2, hosts = demo.client("ec2"), {name: str(support.instance(name)["instance_id"]) for name in names}
    ids = list(hosts.values())
    ec2.create_tags(Resources=ids, Tags=[{"Key": "HoldUntil", "Value": "2099-01-31T09:30:00Z"}])
    support.wait_until(lambda: set(support.states(names).values()) <= {"running", "stopped"}, "nobody is on the way")
    for name, instance_id in hosts.items():
        if support.instance(name)["state"] == "stopped":
            ec2.start_instances(InstanceIds=[instance_id])
    ec2.get_waiter("instance_running").wait(InstanceIds=ids, WaiterConfig=support.HOST_WAITER)
    try:
        yield hosts
    finally:
        ec2.delete_tags(Resources=ids, Tags=[{"Key": "HoldUntil"}])


def states() -> list[str]:
    """Of the hosts that stop themselves."""
    return list(support.states(SLEEPERS).values())


def logged(container: str, text: str) -> bool:
    """Whether a container's log group has a line with this text."""
    events = demo.client("logs").filter_log_events(logGroupName=f"/academy/{container}")["events"]
    return any(text in event["message"] for event in events)


def video_worker_runs(instance_id: str) -> bool:
    """Whether Docker on a host runs it."""
    running = ("docker", "inspect", "--format={{.State.Running}}", VIDEO_CONTAINER)
    return support.on_host(instance_id, *running).stdout == "true\n"


def stop(*instance_ids: str) -> None:
    """Stop instances and wait until they are down."""
    ec2 = demo.client("ec2")
    ec2.stop_instances(InstanceIds=[*instance_ids])
    ec2.get_waiter("instance_stopped").wait(InstanceIds=[*instance_ids], WaiterConfig=support.HOST_WAITER)


def api_url() -> str:
    """The API's own address."""
    return f"http://{support.instance(API_HOST)['address']}:{demo.API_PORT}"


def api_status() -> int | None:
    """What /health answers; None when nothing answers."""
    status = demo.api_summary(support.instance(API_HOST)["address"])["status"]
    return None if status is None else int(status)


def post_row(title: str) -> None:
    """Write a row through the API."""
    ask_api("/api/lectures", {"title": title})


def titles() -> list[str]:
    """The rows as the API reads them."""
    return [row["title"] for row in ask_api("/api/lectures")["lectures"]]


def job_row(job: str) -> dict[str, Any]:
    """What the API says of a job; empty while no worker has taken it."""
    return next((row for row in ask_api("/api/jobs")["jobs"] if row["id"] == job), {})


def ask_api(path: str, document: dict[str, Any] | None = None) -> dict[str, Any]:
    """Get a page of the API, or post a document to it with the workers' token."""
    request = urllib.request.Request(
        f"{api_url()}{path}",
        data=None if document is None else json.dumps(document).encode(),
        headers={"Authorization": f"Bearer {load.worker_token()}"},
    )
    with direct.urlopen(request, timeout=10) as answer:
        return dict(json.load(answer))


def refused_by(database: str, mode: str) -> str:
    """Why a client without a password is refused that wants TLS, or does without."""
    asked = f"host=127.0.0.1 dbname=postgres user=nobody sslmode={mode}"
    container = databases.container_name(database)
    done = subprocess.run(
        ["docker", "exec", "--user=postgres", container, "psql", "--no-password", asked],
        capture_output=True,
        text=True,
        check=False,
    )
    reasons = ("no encryption", "no password supplied")
    return next((reason for reason in reasons if reason in done.stderr), done.stderr)


def query_database(sql: str) -> str:
    """Ask PostgreSQL itself, past the API, as the administrator of the database's own host."""
    container = databases.container_name("academy-db")
    connection = [f"--host={databases.SOCKET_DIR}", f"--username={databases.ADMINISTRATOR}", "--dbname=academy"]
    done = subprocess.run(
        ["docker", "exec", "--user=postgres", container, "psql", *connection, f"--command={sql}"],
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout

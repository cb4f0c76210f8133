# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""After the story, on its cloud: a release reaches the workers that sleep, and no deployment fights their self-stop.

Each test builds on what the ones before it left.
"""

from __future__ import annotations

import json
import re
import secrets
import signal
import time
from collections.abc import Iterable

from localcloud import demo, settings
from plugins.module_utils.hold import hold_end
from plugins.module_utils.proxy import PATH as PROXY
from plugins.module_utils.proxy import serving
from plugins.module_utils.releases import Release, read_releases, releases_name
from tests import load, policies, support
from tests.e2e.test_story import (
    API_HOST,
    HOSTS,
    MESSAGING_HOST,
    STOPPED_WORKER,
    api_container,
    api_status,
    stop,
    video_worker_runs,
)
from tests.policies import Host

WORKERS = HOSTS - {API_HOST, MESSAGING_HOST}
BUSY_WORKER = "academy-ai-worker-1"
VIDEO_CONTAINER = "academy-video-worker"
# The source tree is the same; only the name differs, and with it the image.
RELEASE = f"e2e-{secrets.token_hex(4)}"
# Long enough for a short clip, short enough for a test that waits for it to be over: see test_workers.py.
VISIBILITY_SECONDS = 45
THIS_RELEASE = ("--extra-vars", f"release={RELEASE} video_worker_visibility_seconds={VISIBILITY_SECONDS}")
HEARTBEATS = "/run/academy"
# The host's watchdog, asked what it reads of the metadata service.
READ_HOLD = """
import sys
sys.path.insert(0, "/usr/local/lib/academy")
import academy_watchdog as watchdog
print(watchdog.read_hold(watchdog.Metadata(), ""), end="")
"""
MOMENT_TIMEOUT_SECONDS = 240


def test_a_plain_run_leaves_who_sleeps_and_says_who_is_behind() -> None:
    sleep(WORKERS)
    old = tags(STOPPED_WORKER)["Release"]
    before = demo.api_summary(support.instance(API_HOST)["address"])["health"]["release"]
    with load.constant(support.instance(API_HOST)["address"], 8000) as requests:
        run = support.playbook("site.yml", "--tags=images,api", *THIS_RELEASE, name="deploy-plain").expect()
    assert requests.lost == []
    # It was asked all the while, and both have answered.
    assert set(requests.releases) == {before, RELEASE}
    assert min(requests.releases.values()) > 20
    said = " ".join(run.output.split())
    assert f"left as they are: {', '.join(sorted(WORKERS))}" in said
    assert f"Behind release {RELEASE}: " in said
    assert f"{STOPPED_WORKER} has {old}" in said
    assert "-e wake_workers=true" in said
    assert states() == dict.fromkeys(WORKERS, "stopped")
    # Who runs has it, and says so where the next run looks.
    assert tags(API_HOST)["Release"] == RELEASE
    assert demo.api_summary(support.instance(API_HOST)["address"])["health"]["release"] == RELEASE


def test_a_release_that_does_not_come_up_changes_nothing_but_the_exit_status() -> None:
    host = instance_id(API_HOST)
    before = api_container(host)
    # Nor does a proxy's file that names the other one, and that HAProxy could not read at its next start.
    damage = "sed --in-place '/ disabled$/!s/server [ab] .*/& disabled/; t; s/ disabled$//' $1; echo nonsense >>$1"
    assert support.on_host(host, "sh", "-euc", damage, "sh", PROXY).returncode == 0
    bad = {"container_command": ["sh", "-c", "echo no release; exit 3"], "container_health_timeout_seconds": 10}
    with load.constant(support.instance(API_HOST)["address"], 8000) as requests:
        arguments = ("--tags=proxy,api", *THIS_RELEASE, "--extra-vars", json.dumps(bad))
        run = support.playbook("playbooks/configure.yml", *arguments, name="deploy-bad").expect(2)
    said = " ".join(run.output.split())
    assert "no release" in said
    assert "The release before serves on, untouched." in said
    assert requests.lost == []
    assert set(requests.releases) == {RELEASE}
    assert api_container(host) == before
    assert f"academy-api-{serving(support.on_host(host, 'cat', PROXY).stdout)}" == before.split()[0]
    assert support.on_host(host, "haproxy", "-c", "-f", PROXY).returncode == 0


def test_nobody_is_started_for_a_release_without_images() -> None:
    run = support.playbook(
        "playbooks/rollback.yml", "--extra-vars", "release=no-such-release", name="deploy-without-images"
    ).expect(2)
    assert "no-such-release, so nothing was changed" in " ".join(run.output.split())
    assert states() == dict.fromkeys(WORKERS, "stopped")


def test_a_host_cannot_stop_itself_while_it_is_deployed_to() -> None:
    with support.background_playbook("playbooks/deploy.yml", *THIS_RELEASE, name="deploy-killed") as run:
        run.wait_for_line(support.task("Decide what Docker needs"), MOMENT_TIMEOUT_SECONDS)
        assert states() == dict.fromkeys(WORKERS, "running")
        assert {name for name in HOSTS if "HoldUntil" in tags(name)} == WORKERS
        for name in WORKERS:
            assert watchdog_hold(name) == tags(name)["HoldUntil"]
            assert hold_end(tags(name)["HoldUntil"]).timestamp() - time.time() <= 9 * 60
            assert own_stop_is_refused(name)
        # It holds still meanwhile, so that the moment in which it is killed is this one.
        run.signal(signal.SIGSTOP)
        refused = support.playbook("playbooks/deploy.yml", *THIS_RELEASE, name="deploy-locked").expect(2)
        assert f"(playbooks/deploy.yml, release {RELEASE})" in " ".join(refused.output.split())
    # Killed: they stay held as long as their leases last. The application, idle for long enough, sees that and goes on.
    logs = ("docker", "logs", f"--since={int(time.time())}", VIDEO_CONTAINER)
    support.wait_until(
        lambda: "this host was not stopped" in support.on_host(instance_id(STOPPED_WORKER), *logs).stdout,
        "the worker tries to stop its host",
    )
    assert states() == dict.fromkeys(WORKERS, "running")
    assert tags(STOPPED_WORKER)["Release"] != RELEASE


def test_the_next_run_makes_up_for_it_but_for_who_has_a_job_and_everybody_stops_again() -> None:
    old = tags(BUSY_WORKER)["Release"]
    say_busy(BUSY_WORKER)
    # Whatever was killed may still be at work on a host, so its lock stands until its lease is over.
    run = support.playbook(
        "playbooks/deploy.yml", *THIS_RELEASE, "--extra-vars=deploy_break_lock=true", name="deploy"
    ).expect()
    assert "The deploy lock was broken. It was that of root on " in " ".join(run.output.split())
    assert [(shipped.playbook, shipped.release, shipped.result) for shipped in releases()[:2]] == [
        ("deploy", RELEASE, "succeeded"),
        ("deploy", RELEASE, "interrupted"),
    ]
    # What the run has brought up, and nobody else's.
    assert set(releases()[0].digests) == set(policies.CONTAINER_OF.values()) - {"academy-ai-worker-cpu"}
    assert f"{BUSY_WORKER} is busy with a job, so it is left with release {old}" in " ".join(run.output.split())
    assert run.changed()[BUSY_WORKER] == 0
    # Who got it was asked for its digest while it was held, and the release for an answer and for the end of a job.
    told = re.findall(rf"([\w-]+) runs release {RELEASE}: sha256:", support.words(run.output))
    assert set(told) == HOSTS - {BUSY_WORKER}
    assert "Not configured" not in run.output
    assert re.search(r"Send a query through the API to the database\] \*+\nok: ", run.output)
    assert re.search(r"Wait until the API says that the job is done\] \*+\n(?:FAILED.*\n)*ok: ", run.output)
    for name in HOSTS:
        assert tags(name)["Release"] == (old if name == BUSY_WORKER else RELEASE), name
        assert "HoldUntil" not in tags(name), name
    # What they stopped with is what they start with.
    support.wait_until(lambda: states() == dict.fromkeys(WORKERS, "stopped"), "the workers stop their hosts", 180)
    wake_and_hold(STOPPED_WORKER)
    running = support.on_host(instance_id(STOPPED_WORKER), "docker", "inspect", "--format={{.Image}}", VIDEO_CONTAINER)
    assert running.stdout.strip() == image_id(RELEASE)


def test_a_worker_that_stops_just_before_it_is_held_is_left() -> None:
    # Held as an earlier run would have left it, so it stops when the test wants it to.
    assert states()[STOPPED_WORKER] == "running"
    # Whoever needs nothing is not held. This is right again after the next boot.
    assert support.on_host(instance_id(STOPPED_WORKER), "chmod", "0700", HEARTBEATS).returncode == 0
    with support.background_playbook(
        "playbooks/configure.yml", f"--limit={STOPPED_WORKER}", *THIS_RELEASE, name="deploy-too-late"
    ) as run:
        # It has reached the host, and holds still until it does not run.
        run.wait_for_line(r"^PLAY \[Keep the workers awake\]", MOMENT_TIMEOUT_SECONDS)
        run.signal(signal.SIGSTOP)
        assert "Require that the host is not going down" not in run.output()
        stop(instance_id(STOPPED_WORKER))
        run.signal(signal.SIGCONT)
        done = run.finish().expect()
    assert "Require that the host is not going down" in done.output
    assert f"left as they are: {STOPPED_WORKER}" in " ".join(done.output.split())
    assert set(done.changed().values()) == {0}
    assert states()[STOPPED_WORKER] == "stopped"
    assert "HoldUntil" not in tags(STOPPED_WORKER)


def test_the_first_proxy_of_a_host_takes_the_port_by_consent_alone_and_tells_the_seconds() -> None:
    host = instance_id(API_HOST)
    name, container = api_container(host).split()
    # As the releases before the proxy left it: one container, which has the port itself.
    script = """
        image=$(docker inspect --format '{{.Config.Image}}' "$1")
        dnf --assumeyes --quiet remove haproxy
        rm --recursive --force /etc/haproxy /etc/systemd/system/haproxy.service.d
        docker rm --force "$1"
        docker run --detach --name academy-api --publish 8000:8000 --env-file /etc/academy/academy-api.env \\
          --restart unless-stopped "$image"
    """
    before = support.on_host(host, "sh", "-euc", script, "sh", name).stdout.strip().rpartition("\n")[2]
    support.wait_until(lambda: api_status() == 200, "the API of before answers")
    repair = ("playbooks/configure.yml", "--tags=proxy,api", f"--limit={API_HOST}", *THIS_RELEASE)
    refused = support.playbook(*repair, name="deploy-takeover-refused").expect(2)
    assert f"-e deploy_allow_downtime={API_HOST}" in refused.output
    assert api_status() == 200
    running = ("docker", "ps", "--no-trunc", "--format={{.ID}}")
    assert support.on_host(host, *running).stdout.strip() == before
    consent = ("--extra-vars", f"deploy_allow_downtime={API_HOST}")
    run = support.playbook(*repair, *consent, name="deploy-takeover").expect()
    assert re.search(rf"{API_HOST} was without academy-api for \d+ seconds", " ".join(run.output.split()))
    assert api_status() == 200
    assert api_container(host).split()[1] not in {container, before}
    assert set(support.playbook(*repair, name="deploy-taken-over").expect().changed().values()) == {0}


def test_going_back_without_a_release_brings_the_one_before_and_loses_no_request() -> None:
    address = support.instance(API_HOST)["address"]
    with load.constant(address, 8000) as requests:
        run = support.playbook("playbooks/rollback.yml", f"--limit={API_HOST}", name="deploy-back").expect()
    assert requests.lost == []
    (before,) = set(requests.releases) - {RELEASE}
    assert demo.api_summary(address)["health"]["release"] == before == tags(API_HOST)["Release"]
    # It had served, so nothing was prepared, and the plays for all hosts found it running.
    switched = run.output.index("Move the traffic to the container that is to serve")
    assert switched < run.output.index("PLAY [Find the running hosts]")
    assert "Check whether the preparation is needed" not in run.output[:switched]


def say_busy(name: str) -> None:
    """Let a host look as if one more worker there had a job, until its next boot."""
    script = (
        """mkdir --parents "$1"; cd "$1"; echo '{"state": "busy"}' > heartbeat.json; touch -d '1 hour' heartbeat.json"""
    )
    command = ("sh", "-euc", script, "sh", f"{HEARTBEATS}/one-more")
    assert support.on_host(instance_id(name), *command).returncode == 0


def sleep(names: Iterable[str]) -> None:
    """Stop hosts, those that have not done so themselves."""
    awake = [instance_id(name) for name, state in support.states(names).items() if state != "stopped"]
    if awake:
        stop(*awake)


def wake_and_hold(name: str) -> None:
    """Start a host that does not stop itself again, and wait until its worker runs."""
    ec2, found = demo.client("ec2"), instance_id(name)
    ec2.create_tags(Resources=[found], Tags=[{"Key": "HoldUntil", "Value": "2099-01-31T09:30:00Z"}])
    ec2.start_instances(InstanceIds=[found])
    support.wait_until(lambda: states()[name] == "running" and video_worker_runs(found), f"the worker of {name} runs")


def instance_id(name: str) -> str:
    return str(support.instance(name)["instance_id"])


def states() -> dict[str, str]:
    """What the hosts of the workers are doing."""
    return support.states(WORKERS)


def tags(name: str) -> dict[str, str]:
    """The tags of a host's instance."""
    (found,) = demo.client("ec2").describe_instances(InstanceIds=[instance_id(name)])["Reservations"]
    return {tag["Key"]: tag["Value"] for tag in found["Instances"][0]["Tags"]}


def releases() -> list[Release]:
    """What was shipped, the newest first."""
    ssm, name = demo.client("ssm"), releases_name(policies.DEPLOYMENT)
    pages = ssm.get_paginator("get_parameter_history").paginate(Name=name)
    return read_releases(version for page in pages for version in page["Parameters"])


def watchdog_hold(name: str) -> str:
    """Until when the host's watchdog is told to wait."""
    return support.on_host(instance_id(name), "python3", "-I", "-c", READ_HOLD).stdout


def own_stop_is_refused(name: str) -> bool:
    """Whether IAM refuses the host to stop itself, with the credentials that the host has."""
    own_id = instance_id(name)
    return Host(policies.credentials_of(own_id), settings.API_URL).is_denied(policies.stop(own_id))


def image_id(release: str) -> str:
    """The id of the video worker's image of that release, which its manifest names."""
    ecr = demo.client("ecr")
    (image,) = ecr.batch_get_image(repositoryName=VIDEO_CONTAINER, imageIds=[{"imageTag": release}])["images"]
    return str(json.loads(image["imageManifest"])["config"]["digest"])

# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The README's way to a real account, on the operator's machine: the production inventory and a limited user's keys.

Everything is brought up by runs that are killed. Each starts on what the one that was killed before left, and is killed
a little later: it has to repair that moment to reach its own. What they end at is what an undisturbed run ends at; it
is deployed to, drilled, taken down by a teardown that is killed as well, and brought up once more, undisturbed.
"""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from localcloud import demo, settings
from localcloud.operator_user import USER
from tests import leaks, readme, support
from tests.desk import FILLED_IN, INVENTORY, SECRETS, Desk
from tests.e2e.test_story import (
    AI_HOST,
    API_HOST,
    HOSTS,
    MESSAGING_HOST,
    SLEEPERS,
    STOPPED_WORKER,
    VIDEO_HOST,
    query_database,
)
from tests.policies import USED_BY_THE_STORY

# The application has another base image and brings its packages along: neither a registry nor an index is reached here.
DOCKERFILE_LINES = {
    "ARG BASE_IMAGE=python:3.11-slim-bookworm": "ARG BASE_IMAGE=academy-localcloud/python:3.11",
    "ARG PIP_NO_INDEX": "ARG PIP_NO_INDEX=1",
}
# What a real account has otherwise, and why it cannot be had here.
IMPOSSIBLE_HERE = {
    "environment.yml": {
        # The hosts are containers of this machine.
        "image_platform": "linux/amd64",
        # The embedded RDS is the PostgreSQL of the machine's distribution.
        "database_engine_major": "15",
        # Containers share one kernel, which has one table of swap files.
        "swap_file_path": "/var/swap/{{ inventory_hostname }}",
    }
}
# What the import of the .env makes.
VAULT = "vault.yml"

DEPLOYMENT = "academy"
MOMENT_TIMEOUT_SECONDS = 240
# Nobody reads it.
QUEUE = "academy-video-jobs-dlq"
# Hosts that stop themselves between two kills would have to be woken.
AWAKE = "-e worker_idle_stop_threshold=1000"
# Nobody waits for the lease of a run that was killed.
BROKEN = "-e deploy_break_lock=true"
KEPT_FILE = "/mnt/transcode/kept"
VIDEO_HOSTS = (VIDEO_HOST, STOPPED_WORKER)
ROW = "written between two kills"
INSIDE = "/run/inside"


# Of the playbooks in site.yml the one for AWS, and the last: who is killed in either need not repeat the others.
FIRST_PART, LAST_PART = "playbooks/provision.yml", "playbooks/configure.yml"
PUBLIC_NAME = "api.example.com"
ALB, TARGETS = "academy-alb", "academy-api"
# For as long as there is no file "stop", one request after another by the public name, from somewhere in the world:
# over a connection that is kept, and over a new one each time. Until the first answer nobody is let in.
VISITOR = """
import collections, http.client, json, pathlib, socket, ssl, sys, time
name, source, stop = sys.argv[1:]

trusting = ssl.create_default_context()

def connect(seconds):
    return http.client.HTTPSConnection(name, timeout=seconds, source_address=(source, 0), context=trusting)

def ask(connection):
    try:
        connection.request("GET", "/health")
        answer = connection.getresponse()
        text = answer.read()
        return f"release {json.loads(text)['release']}" if answer.status == 200 else f"status {answer.status}"
    except (OSError, ValueError, http.client.HTTPException) as error:
        connection.close()
        return repr(error)

kept, said, refused = connect(30), collections.Counter(), 0
while not pathlib.Path(stop).exists():
    if not said:
        answer = ask(connect(1))
        if answer.startswith("release "):
            said[answer] += 1
        else:
            refused += 1
        continue
    said[ask(kept)] += 1
    with_new = connect(30)
    said[ask(with_new)] += 1
    with_new.close()
    time.sleep(0.05)
print(json.dumps({"refused": refused, "said": said}))
"""
SECOND_API_HOST = "academy-api-2"
SECOND_API_HOST_FILE = support.ROOT / "tests" / "integration" / "provision" / "second_api_host.yml"
# What an openssl that takes everything says of a server that does not.
TLS = (
    "openssl s_client -connect {name}:443 -servername {name} -{version} -cipher DEFAULT:@SECLEVEL=0"
    " </dev/null 2>&1 || true"
)
TOO_OLD, SPOKEN = "alert protocol version", "New, TLSv1."
# Whatever a run could show of a secret, these show.
TALKATIVE = "-vvv --diff"
# Connections that are open already outlive what groups say.
FRESH = ("rm -rf ~/.ansible/cp",)
# A generous bound, and still less than one host's boot time and a minute on top.
BOUND_SECONDS = 240
LAST_PLAY = "PLAY [Let the workers go]"
SITE = f"ansible-playbook site.yml -i {INVENTORY} -e release=$RELEASE"


@dataclass(frozen=True)
class Moment:
    """When to kill: some seconds after the run has printed a line, once a host is so, or within a program on it.

    A run is killed inside of the task whose line it is.
    """

    name: str
    line: str = ""
    seconds: float = 0
    host: str = ""
    # What a shell there is asked.
    is_so: str = ""
    program: str = ""
    playbook: tuple[str, ...] = ("site.yml",)


def between(item: str) -> str:
    """The line that says that this item of a loop was made; others follow."""
    return rf"changed: \[localhost\] => \(item={item}"


def at_host(host: str) -> tuple[str, ...]:
    """The last part, at one host alone: the others would get further meanwhile."""
    return (LAST_PART, f"--limit={host}")


IN_AWS = (
    Moment("between security groups", between("academy-api-sg")),
    Moment("between IAM roles", between("academy-messaging-worker-role")),
    Moment("between queues", between("academy-messaging-jobs-dlq")),
    Moment("between log groups", between("/academy/academy-messaging-worker")),
    Moment("while the database is created", support.task("Wait until the database works")),
    Moment("between repositories", between("academy-messaging-worker:")),
    Moment("while instances are launched", support.task("Launch the instance"), 1.5),
    Moment("with the starter's function, without its rule", support.task("Let the schedule rule invoke the function")),
    Moment("between alarms", between("academy-ai-jobs-lite-dlq-not-empty")),
)
# There, while images are built, and in what each kind of host is given.
MOMENTS = (
    *(replace(moment, playbook=(FIRST_PART,)) for moment in IN_AWS),
    Moment("inside docker build", support.task("build | Build the missing images"), 0.5),
    Moment("while hosts boot", support.task("Wait until the host answers on SSH")),
    Moment("inside mkswap", host=API_HOST, program="mkswap", playbook=(LAST_PART,)),
    Moment("inside mkfs", host=VIDEO_HOST, program="mkfs.xfs", playbook=(LAST_PART,)),
    Moment("inside dnf", support.task("host_configuration : Install packages"), 4, playbook=(LAST_PART,)),
    Moment("while Docker starts", support.task("start | Start and enable units"), 0.5, playbook=(LAST_PART,)),
    Moment(
        "with the watchdog's files, without its units",
        host=VIDEO_HOST,
        is_so="test -e /etc/systemd/system/academy-watchdog.timer && ! systemctl is-active academy-watchdog.timer",
        playbook=(LAST_PART,),
    ),
    Moment("inside docker pull", support.task("host | Pull the image by digest"), 1, playbook=(LAST_PART,)),
    Moment(
        "inside the migration",
        support.task("prepare | Run the preparation with the new image, before the container takes over"),
        host=API_HOST,
        is_so="docker top academy-api-once | grep --quiet -- --no-input",
        playbook=(LAST_PART,),
    ),
    Moment(
        "with the messaging worker's environment, without its container",
        host=MESSAGING_HOST,
        is_so="test -e /etc/academy/academy-messaging-worker.env && ! docker inspect academy-messaging-worker",
        playbook=at_host(MESSAGING_HOST),
    ),
    Moment(
        "while the AI worker starts",
        host=AI_HOST,
        is_so='test "$(docker inspect --format={{.State.Running}} academy-ai-worker-cpu)" = true',
        playbook=at_host(AI_HOST),
    ),
)


@pytest.fixture(scope="module")
def cloud() -> Iterator[None]:
    """An embedded cloud of its own, empty."""
    up = support.run(sys.executable, "-m", "localcloud", "up", name="production-up").expect()
    assert "already up" not in up.output, "this test kills and removes what it works on: `make down` first"
    yield
    support.run("make", "down", name="production-down").expect()


@pytest.fixture(scope="module")
def desk(cloud: None, tmp_path_factory: pytest.TempPathFactory) -> Desk:
    """An operator's directory, on the operator's machine: nothing of this checkout's environment is there."""
    desk = Desk(
        tmp_path_factory.mktemp("operator"),
        # Debian's own client has BuildKit; one in /usr/local may need a plugin.
        {"PATH": "/usr/bin:/bin:/usr/sbin:/sbin", "LC_ALL": "C.UTF-8"},
        (sys.executable, "-m", "localcloud", "operator", "--"),
    )
    desk.set_up()
    for file in desk.application.glob("docker/**/Dockerfile*"):
        lines = file.read_text(encoding="utf-8").split("\n")
        file.write_text("\n".join(DOCKERFILE_LINES.get(line, line) for line in lines), encoding="utf-8")
    download = (
        sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--only-binary=:all:",
        "--implementation=cp", "--python-version=3.11", "--platform=manylinux2014_x86_64", "--dest=wheels",
        "--requirement=requirements.txt", "--requirement=docker/video-worker/requirements.txt",
    )  # fmt: skip
    subprocess.run(download, cwd=desk.application, check=True)
    desk.commit("Packages")
    return desk


@pytest.fixture(scope="module")
def way() -> list[str]:
    """The README's commands for a real account."""
    return readme.blocks(readme.section(readme.ENGLISH, "On a real account"))


@pytest.fixture(scope="module")
def shell(way: list[str]) -> list[str]:
    """What a reader's shell has by now: the virtual environment and what was exported."""
    return [line for line in way if line.startswith((". ", "export "))]


@pytest.fixture(scope="module")
def arguments() -> set[str]:
    """The arguments of every process seen while everything was created."""
    return set()


@pytest.fixture(scope="module")
def drill(desk: Desk, shell: list[str]) -> Iterator[support.Background]:
    """One job through a worker that sleeps, from the first test on that asks for it."""
    with desk.background("production-drill", *shell, f"exec {SITE.replace('site.yml', 'playbooks/drill.yml')}") as run:
        yield run


def test_the_readmes_way_ends_with_a_dry_run_that_writes_nothing(desk: Desk, way: list[str], shell: list[str]) -> None:
    make, install, activate, copy, *following, real_run = way
    assert (activate, real_run) == (". .venv/bin/activate", SITE)
    # Packages come from an index, which the operator's machine does not reach.
    Desk(desk.directory, desk.environment).shell("production-install", make, install).expect()
    desk.shell("production-copy", copy).expect()
    (judge,) = [line for line in following if "playbooks/preflight.yml" in line]
    # There is no vault yet.
    first = desk.shell("production-unfilled", *(line for line in shell if "VAULT" not in line), judge).expect(2)
    assert [name for name in ("aws_account_id", "owner") if f"{name}: must be filled in" not in first.output] == []
    desk.fill_in(FILLED_IN)
    desk.fill_in(IMPOSSIBLE_HERE)
    desk.write_environment_file()
    support.reset_calls()
    run = desk.shell("production-readme", activate, *following).expect()
    assert support.calls(writes_only=True) == {}
    assert "ssm.GetParameter" in support.calls()
    assert [name for name, value in SECRETS.items() if value in run.output] == []


def test_nothing_of_the_inventory_differs_but_what_is_listed(desk: Desk) -> None:
    changed, added = desk.differences()
    listed = [variables for values in (FILLED_IN, IMPOSSIBLE_HERE) for variables in values.values()]
    wanted = {f"+{name}: {value}" for variables in listed for name, value in variables.items()}
    assert {line for line in changed if line.startswith("+")} == wanted
    names = {line[1:].partition(":")[0] for line in wanted}
    before = {line[1:].removeprefix("# ").partition(":")[0] for line in changed if line.startswith("-")}
    assert before <= names
    assert added == {VAULT}


def test_twenty_kills_later_everything_is_there_once(desk: Desk, shell: list[str], arguments: set[str]) -> None:
    assert len(MOMENTS) >= 20
    kept: dict[str, Any] = {}
    # Between them these runs create everything.
    with support.watched_arguments(arguments):
        for number, moment in enumerate(MOMENTS, start=1):
            kill_at(desk, shell, moment, f"production-killed-{number:02}")
            leave_behind(kept)
        desk.shell("production-last", *shell, f"{SITE} {AWAKE} {BROKEN} {TALKATIVE}").expect()
    again = desk.shell("production-again", *shell, f"{SITE} {AWAKE}").expect()
    assert set(again.changed()) == {"localhost", *HOSTS}
    assert set(again.changed().values()) == {0}

    assert api_status(desk) == 200
    assert {host["name"]: host["instance_id"] for host in hosts()} == kept["instances"]
    assert database_id() == kept["database"]
    assert ROW in query_database("SELECT title FROM lectures_lecture")
    assert next(queue for queue in demo.queues() if queue["name"] == QUEUE)["messages"] == 1
    for host in VIDEO_HOSTS:
        assert support.on_host(instance_id(host), "cat", KEPT_FILE).stdout == f"{host}\n"
    for host in HOSTS:
        assert f"/{host} " in Path("/proc/swaps").read_text(encoding="utf-8")


def test_no_secret_is_anywhere_but_in_the_environments(desk: Desk, arguments: set[str]) -> None:
    assert any("docker run --rm" in line for line in arguments), "the migration was not seen"
    leaks.require_none({host["name"]: host["instance_id"] for host in hosts()}, arguments, SECRETS)


def test_hosts_that_cannot_be_reached_hold_up_no_other_and_are_named_at_the_end(desk: Desk, shell: list[str]) -> None:
    remove = "docker rm --force $(docker ps --quiet --filter name=^academy-api-)"
    assert support.on_host(instance_id(API_HOST), "sh", "-c", remove).returncode == 0
    # Where nothing is to be done nobody is missed.
    assert support.on_host(instance_id(AI_HOST), "chmod", "0755", "/root/.docker").returncode == 0
    # As a run leaves it that was killed.
    held = [{"Key": "HoldUntil", "Value": "2099-01-31T09:30:00Z"}]
    demo.client("ec2").create_tags(Resources=[instance_id(STOPPED_WORKER)], Tags=held)
    with (
        support.dropped_ssh(instance_id(STOPPED_WORKER)),
        desk.background("production-unreached", *FRESH, *shell, f"exec {SITE} {AWAKE}") as site,
    ):
        site.wait_for_line(r"^PLAY \[Configure what all services of a host need", BOUND_SECONDS)
        with support.dropped_ssh(instance_id(AI_HOST)):
            run = site.finish(BOUND_SECONDS)
    # As Ansible has it where hosts were lost.
    run.expect(4)
    assert api_status(desk) == 200
    last = support.words(run.output[run.output.index(LAST_PLAY) :])
    assert f"{STOPPED_WORKER} ({instance_id(STOPPED_WORKER)})" in last
    assert f"--limit {STOPPED_WORKER}" in last
    assert f"so not all was done there: {AI_HOST}." in last
    assert "HoldUntil" not in {tag["Key"] for tag in described(STOPPED_WORKER)["Tags"]}


def test_an_operator_whose_address_has_changed_is_told_so_at_once_and_how_to_go_on(
    desk: Desk, shell: list[str]
) -> None:
    elsewhere = f"-e '{json.dumps({'operator_cidrs': [f'{settings.STRANGER_ADDRESS}/32']})}'"
    desk.shell("production-moved", *shell, f"{SITE} --tags network {elsewhere}").expect()
    run = desk.shell(
        "production-nobody", *FRESH, *shell, f"{SITE} --tags swap {elsewhere}", timeout_seconds=BOUND_SECONDS
    )
    desk.shell("production-let-in", *shell, f"{SITE} --tags network").expect()
    run.expect(2)
    said = support.words(run.output)
    assert f"AWS sees this machine as {settings.OPERATOR_ADDRESS}" in said
    assert f"operator_cidrs alone ({settings.STRANGER_ADDRESS}/32)" in said
    assert f'operator_cidrs: ["{settings.OPERATOR_ADDRESS}/32"]' in said
    assert f"ansible-playbook site.yml -i {desk.inventory} --tags network" in said
    assert LAST_PLAY not in run.output
    desk.shell("production-back", *FRESH, *shell, f"{SITE} --tags swap").expect()


def test_the_groups_let_in_whom_the_inventory_names_and_nobody_else(desk: Desk) -> None:
    operator = settings.OPERATOR_ADDRESS
    assert reached(desk) == [f"api 22 {operator}", f"api 8000 {operator}", f"worker 22 {operator}"]


def test_workers_that_were_kept_awake_are_told_to_stop_themselves_again(desk: Desk, shell: list[str]) -> None:
    """They do so while the public name is prepared, which needs none of them."""
    run = desk.shell("production-asleep", *shell, SITE.replace("site.yml", "playbooks/configure.yml")).expect()
    assert {host for host, changed in run.changed().items() if changed} == set(SLEEPERS)


# It waits for the workers' own stop, and nothing that is done meanwhile has to do with them.
@pytest.mark.usefixtures("drill")
def test_a_public_name_waits_for_its_record_and_tells_which(desk: Desk, shell: list[str]) -> None:
    desk.fill_in({"environment.yml": {"public_name": PUBLIC_NAME}})
    told = support.words(doors(desk, shell, "doors-requested").expect().output)
    record = re.search(rf"(\S+\.{re.escape(PUBLIC_NAME)}) CNAME (\S+\.acm-validations\.aws)", told)
    assert record, told[-3000:]
    assert demo.client("elbv2").describe_load_balancers()["LoadBalancers"] == []
    route53, parent = demo.client("route53"), PUBLIC_NAME.partition(".")[2]
    route53.create_hosted_zone(Name=parent, CallerReference=parent)
    write_record({"Name": record[1], "Type": "CNAME", "Value": record[2]})


def test_before_opening_operators_alone_try_it(desk: Desk, shell: list[str]) -> None:
    doors(desk, shell, "doors-issued").expect()
    assert set(doors(desk, shell, "doors-issued-again").expect().changed().values()) == {0}
    support.wait_until(lambda: target_states() == {instance_id(API_HOST): "healthy"}, "the API host is healthy")
    health = f"curl --silent --show-error --fail --max-time 10 https://{PUBLIC_NAME}/health"
    assert json.loads(desk.shell("production-doors-health", health).expect().output)["status"] == "healthy"
    operator = settings.OPERATOR_ADDRESS
    assert reached(desk, balancer=True) == [f"balancer 80 {operator}", f"balancer 443 {operator}"]


def test_the_drill_ends_with_a_stopped_host(desk: Desk, drill: support.Background) -> None:
    drill.finish().expect()
    report = json.loads((desk.checkout / "build" / "drill.json").read_text(encoding="utf-8"))
    assert report["ok"], report["reason"]


def test_opening_loses_no_request_from_the_first_answer_on(desk: Desk, shell: list[str]) -> None:
    desk.fill_in({"environment.yml": {"stage": "open"}})
    # In the same run, before anybody is let in.
    shutil.copy(SECOND_API_HOST_FILE, desk.inventory)
    with visitors(desk, "production-visitor") as visited:
        desk.shell("production-open", *FRESH, *shell, f"{SITE} {AWAKE}").expect()
    assert visited["refused"] > 0
    assert visited["said"].keys() == {f"release {release_of(desk, shell)}"}
    assert sum(visited["said"].values()) > 50
    # Who slept as well: it would wake up with the address of before.
    everybody = HOSTS | {SECOND_API_HOST}
    assert {host: api_base_url(host) for host in everybody} == dict.fromkeys(everybody, f"https://{PUBLIC_NAME}")
    both = [instance_id(API_HOST), instance_id(SECOND_API_HOST)]
    support.wait_until(lambda: target_states() == dict.fromkeys(both, "healthy"), "both API hosts are healthy")


def test_once_open_everybody_reaches_https_and_nobody_the_api_itself(desk: Desk) -> None:
    operator, stranger = settings.OPERATOR_ADDRESS, settings.STRANGER_ADDRESS
    assert reached(desk) == [f"api 22 {operator}", f"worker 22 {operator}"]
    assert reached(desk, balancer=True) == [
        f"balancer {port} {source}" for port in (80, 443) for source in (operator, stranger)
    ]
    versions = ("tls1", "tls1_1", "tls1_2", "tls1_3")
    lines = [f"echo {version} $({TLS.format(name=PUBLIC_NAME, version=version)})" for version in versions]
    said = dict(line.split(" ", 1) for line in desk.shell("production-tls", *lines).expect().output.splitlines())
    spoken = {version: [words for words in (TOO_OLD, SPOKEN) if words in text] for version, text in said.items()}
    assert spoken == {"tls1": [TOO_OLD], "tls1_1": [TOO_OLD], "tls1_2": [SPOKEN], "tls1_3": [SPOKEN]}
    shown = "%{http_code} %{http_version} %{redirect_url}\\n"
    ask = f"curl --silent --show-error --max-time 10 --output /dev/null --write-out '{shown}'"
    run = desk.shell(
        "production-redirect",
        f"{ask} 'http://{PUBLIC_NAME}/api/lectures?a=B%2Fc&d=1'",
        f"{ask} --http2 https://{PUBLIC_NAME}/api/lectures",
    ).expect()
    redirected, modern = run.output.splitlines()
    assert redirected == f"301 1.1 https://{PUBLIC_NAME}:443/api/lectures?a=B%2Fc&d=1"
    assert modern.strip() == "200 2"


def test_a_new_commit_reaches_one_api_host_after_the_other_and_no_request_is_lost(desk: Desk, shell: list[str]) -> None:
    before = release_of(desk, shell)
    desk.commit("Another release")
    release = release_of(desk, shell)
    with visitors(desk, "production-visitor-deploy") as visited:
        run = desk.shell("production-deploy", *shell, SITE.replace("site.yml", "playbooks/deploy.yml")).expect()
    assert visited["said"].keys() == {f"release {before}", f"release {release}"}
    # What to send the application alone knows, and nobody has said so.
    assert "Not configured, so nobody knows whether it works: a query through the API" in support.words(run.output)
    moved = support.task("Move the traffic to the container that is to serve") + r".*\n^changed: \[([^\]]*)\]"
    assert re.findall(moved, run.output, re.MULTILINE) == [API_HOST, SECOND_API_HOST]
    tags = [{tag["Key"]: tag["Value"] for tag in instance["Tags"]} for instance in demo.instances()]
    assert {tag["Release"] for tag in tags} == {release}


def test_a_host_that_leaves_and_another_certificate_lose_no_request(desk: Desk, shell: list[str]) -> None:
    acm = demo.client("acm")
    arn = acm.request_certificate(DomainName=PUBLIC_NAME, ValidationMethod="DNS")["CertificateArn"]

    def asked() -> dict[str, Any]:
        (option,) = acm.describe_certificate(CertificateArn=arn)["Certificate"]["DomainValidationOptions"]
        return dict(option)

    support.wait_until(lambda: "ResourceRecord" in asked(), "the record is named")
    write_record(asked()["ResourceRecord"])
    support.wait_until(lambda: asked()["ValidationStatus"] == "SUCCESS", "the certificate is issued")

    (desk.inventory / SECOND_API_HOST_FILE.name).unlink()
    desk.fill_in({"environment.yml": {"certificate_arn": arn}})
    served = fingerprint(desk)
    with visitors(desk, "production-visitor-change") as visited:
        doors(desk, shell, "doors-changed").expect()
        support.wait_until(lambda: target_states() == {instance_id(API_HOST): "healthy"}, "the other host has left")
        assert fingerprint(desk) != served
    assert visited["said"].keys() == {f"release {release_of(desk, shell)}"}
    # The teardown takes it along: it has the deployment's tag.
    assert SECOND_API_HOST in {host["name"] for host in hosts()}


def test_back_to_test_operators_alone_are_let_in_again(desk: Desk, shell: list[str]) -> None:
    # With the certificate of its own again, which the teardown keeps.
    desk.fill_in({"environment.yml": {"stage": "test", "certificate_arn": '""'}})
    desk.shell("production-closed", *FRESH, *shell, f"{SITE} --tags network,api").expect()
    operator = settings.OPERATOR_ADDRESS
    assert reached(desk) == [f"api 22 {operator}", f"api 8000 {operator}", f"worker 22 {operator}"]
    assert reached(desk, balancer=True) == [f"balancer 80 {operator}", f"balancer 443 {operator}"]
    assert api_status(desk) == 200


def test_a_teardown_that_was_killed_is_finished_by_the_next_one(desk: Desk, shell: list[str]) -> None:
    teardown = f"ansible-playbook playbooks/teardown.yml -i {INVENTORY} -e confirm={DEPLOYMENT}"
    named = {"teardown_purge_queues": [QUEUE], "teardown_allow_protected": [ALB]}
    consented = f"{teardown} -e '{json.dumps(named)}'"
    support.reset_calls()
    refused = desk.shell("production-teardown-refused", *shell, teardown).expect(2)
    assert QUEUE in refused.output
    assert "teardown_allow_protected" in refused.output
    listed = desk.shell("production-teardown-check", *shell, f"{consented} --check").expect()
    assert all(host in listed.output for host in HOSTS)
    written = support.calls(writes_only=True)
    # The hosts are at work meanwhile.
    theirs = support.calls(writes_only=True, hosts_only=True)
    # The one that was refused had the deploy lock.
    ours = {call for call, count in written.items() if count > theirs.get(call, 0)}
    assert {call for call in ours if not call.startswith("ssm.")} == set()

    with desk.background("production-teardown-killed", *shell, f"exec {consented}") as run:
        run.wait_for_line(support.task("hosts | Terminate the instances and wait"), MOMENT_TIMEOUT_SECONDS)
        time.sleep(1)
        assert run.process.poll() is None, "the teardown had ended before it was killed"
    desk.shell("production-teardown", *shell, f"{consented} {BROKEN}").expect()
    assert demo.client("ssm").get_parameters_by_path(Path=f"/{DEPLOYMENT}", Recursive=True)["Parameters"] == []
    assert hosts() == []
    assert demo.queues() == []
    assert database_id() == ""
    assert support.docker_lines("ps", "--quiet", f"--filter=label={settings.LABEL_INSTANCE}") == []
    # What holds data was kept: of each video host's disk, and of the database.
    snapshots = demo.client("ec2").describe_snapshots(
        OwnerIds=["self"], Filters=[{"Name": "tag:Project", "Values": [DEPLOYMENT]}]
    )["Snapshots"]
    assert len(snapshots) == len(VIDEO_HOSTS)
    found = demo.client("rds").describe_db_snapshots()["DBSnapshots"]
    assert len([one for one in found if not one["DBSnapshotIdentifier"].startswith("rds:")]) == 1
    again = desk.shell("production-teardown-again", *shell, consented).expect()
    assert set(again.changed().values()) == {0}


def test_the_readmes_last_command_brings_all_of_it_up_again(desk: Desk, way: list[str], shell: list[str]) -> None:
    desk.shell("production-once-more", *shell, way[-1]).expect()
    assert {host["name"] for host in hosts()} == HOSTS
    assert api_status(desk) == 200
    # Its certificate was kept, and the name leads to the new load balancer.
    assert reached(desk, balancer=True) == [f"balancer {port} {settings.OPERATOR_ADDRESS}" for port in (80, 443)]


def test_the_operator_used_the_grants_that_need_a_whole_cloud_and_missed_none() -> None:
    found = support.grants()
    used = {(statement, action) for statement, actions in found["used"][USER].items() for action in actions}
    assert USED_BY_THE_STORY - used == set()
    assert found["denied"].get(USER, {}) == {}


def doors(desk: Desk, shell: list[str], name: str) -> support.Run:
    """A run of what the public name needs in AWS."""
    return desk.shell(
        f"production-{name}", *shell, f"{SITE} --tags network,certificate,load_balancer --limit localhost"
    )


@contextmanager
def visitors(desk: Desk, name: str) -> Iterator[dict[str, Any]]:
    """Somebody in the world asks by the public name within the block; how often what was answered is known after it."""
    program, stop = desk.directory / "visitor.py", desk.directory / "stop"
    program.write_text(VISITOR, encoding="utf-8")
    stop.unlink(missing_ok=True)
    asked = f"python3 {program} {PUBLIC_NAME} {settings.STRANGER_ADDRESS} {stop}"
    visited: dict[str, Any] = {}
    with desk.background(name, asked) as visits:
        try:
            yield visited
        finally:
            stop.touch()
        visited.update(json.loads(visits.finish().expect().output))


def fingerprint(desk: Desk) -> str:
    """Of the certificate that answers by the public name."""
    shown = f"openssl s_client -connect {PUBLIC_NAME}:443 -servername {PUBLIC_NAME} </dev/null 2>/dev/null"
    run = desk.shell("production-fingerprint", f"{shown} | openssl x509 -noout -fingerprint -sha256")
    return run.expect().output.strip()


def release_of(desk: Desk, shell: list[str]) -> str:
    return desk.shell("production-release", *shell, "echo $RELEASE").expect().output.strip()


def write_record(record: Mapping[str, str]) -> None:
    """As whoever administers the domain does with what was told."""
    route53 = demo.client("route53")
    (zone,) = route53.list_hosted_zones()["HostedZones"]
    value = {"ResourceRecords": [{"Value": record["Value"]}]}
    written = {"Name": record["Name"], "Type": record["Type"], "TTL": 300, **value}
    changes = [{"Action": "UPSERT", "ResourceRecordSet": written}]
    route53.change_resource_record_sets(HostedZoneId=zone["Id"], ChangeBatch={"Changes": changes})


def target_states() -> dict[str, str]:
    elbv2 = demo.client("elbv2")
    (group,) = elbv2.describe_target_groups(Names=[TARGETS])["TargetGroups"]
    found = elbv2.describe_target_health(TargetGroupArn=group["TargetGroupArn"])["TargetHealthDescriptions"]
    return {one["Target"]["Id"]: one["TargetHealth"]["State"] for one in found}


def api_base_url(host: str) -> str:
    """What the containers of a host have as the API's address."""
    environments = "docker inspect --format '{{json .Config.Env}}' $(docker ps --quiet)"
    found = support.on_host(instance_id(host), "sh", "-c", environments).stdout
    return " ".join(sorted(set(re.findall(r'"API_BASE_URL=([^"]*)"', found))))


def reached(desk: Desk, *, balancer: bool = False) -> list[str]:
    """Which ports answer the operator and a stranger: of the hosts, or of the load balancer by the public name."""
    connect = "import socket, sys; socket.create_connection((sys.argv[1], int(sys.argv[2])), 3, (sys.argv[3], 0))"
    doors = (
        [("balancer", PUBLIC_NAME, port) for port in (80, 443)]
        if balancer
        else [
            (name, described(host)["PublicIpAddress"], port)
            for name, host in (("api", API_HOST), ("worker", MESSAGING_HOST))
            for port in (22, demo.API_PORT)
        ]
    )
    lines = [
        f"python3 -c '{connect}' {address} {port} {source} 2>/dev/null && echo {name} {port} {source} || true"
        for name, address, port in doors
        for source in (settings.OPERATOR_ADDRESS, settings.STRANGER_ADDRESS)
    ]
    return desk.shell("production-groups", *lines).expect().output.splitlines()


def leave_behind(kept: dict[str, Any]) -> None:
    """As soon as something is there, note which one it is, or leave in it what must not get lost."""
    if "instances" not in kept and {host["name"] for host in hosts()} == HOSTS:
        kept["instances"] = {host["name"]: host["instance_id"] for host in hosts()}
    if "database" not in kept and database_id():
        kept["database"] = database_id()
    if "message" not in kept and QUEUE in {queue["name"] for queue in demo.queues()}:
        sqs = demo.client("sqs")
        url = sqs.get_queue_url(QueueName=QUEUE)["QueueUrl"]
        kept["message"] = sqs.send_message(QueueUrl=url, MessageBody="must not get lost")["MessageId"]
    if "files" not in kept and "instances" in kept and all(has_disk(host) for host in VIDEO_HOSTS):
        for host in VIDEO_HOSTS:
            assert support.on_host(instance_id(host), "sh", "-c", f"echo {host} > {KEPT_FILE}").returncode == 0
        kept["files"] = KEPT_FILE
    if "row" not in kept and "instances" in kept and "lectures_lecture" in query_database("\\dt"):
        kept["row"] = query_database(
            f"INSERT INTO lectures_lecture (title, video_key, created_at) VALUES ('{ROW}', '', now())"
        )


def kill_at(desk: Desk, shell: list[str], moment: Moment, name: str) -> None:
    """Run a playbook and kill it, with every process that it started here, at that moment."""
    if moment.program:
        trap(moment)
    options = f"{' '.join(moment.playbook)} {AWAKE} {BROKEN} {TALKATIVE}"
    playbook = f"ansible-playbook -i {INVENTORY} -e release=$RELEASE {options}"
    try:
        with desk.background(name, *shell, f"exec {playbook}") as run:
            if moment.line:
                run.wait_for_line(moment.line, MOMENT_TIMEOUT_SECONDS)
            if moment.host:
                wait_on_host(moment, run)
            time.sleep(moment.seconds)
            run.signal(signal.SIGKILL)
            killed = run.finish()
    finally:
        if moment.program:
            release(moment)
    assert killed.status == -signal.SIGKILL, f"{moment.name}: the run had ended before it was killed"
    begun = re.findall(r"^TASK \[.*", killed.output, re.MULTILINE)[-1]
    assert not moment.line.startswith("^TASK") or re.search(moment.line, begun), f"{moment.name}: killed in {begun}"


def wait_on_host(moment: Moment, run: support.Background) -> None:
    """One command that waits there: to ask from here again and again would take the processor from the run."""
    asked = f"test -e {INSIDE}" if moment.program else moment.is_so
    script = f"until {asked}; do sleep 0.05; done"
    limited = ("timeout", str(MOMENT_TIMEOUT_SECONDS), "sh", "-c", script)
    with subprocess.Popen(
        ["docker", "exec", instance_id(moment.host), *limited], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as waiting:
        run.wait_until(lambda: waiting.poll() is not None, moment.name, MOMENT_TIMEOUT_SECONDS)
        assert waiting.returncode == 0, moment.name


def trap(moment: Moment) -> None:
    """Make a program on a host die half-way, and its caller wait for it."""
    half = f'timeout --signal=KILL 0.02 /usr/sbin/{moment.program}.whole "$@"'
    script = f"#!/bin/sh\necho $$ >{INSIDE}\n{half}\nexec sleep 300\n"
    install = f"mv /usr/sbin/{moment.program} /usr/sbin/{moment.program}.whole && cat > /usr/sbin/{moment.program}"
    command = f"{install} <<'END' && chmod 755 /usr/sbin/{moment.program}\n{script}END"
    assert support.on_host(instance_id(moment.host), "sh", "-c", command).returncode == 0


def release(moment: Moment) -> None:
    """Put the program back, and end who waits for it: the host has lost its connection."""
    command = f"kill -KILL $(cat {INSIDE}); rm {INSIDE}; mv /usr/sbin/{moment.program}.whole /usr/sbin/{moment.program}"
    assert support.on_host(instance_id(moment.host), "sh", "-c", command).returncode == 0


def api_status(desk: Desk) -> int:
    """What /health answers to the operator; 0 when nothing answers."""
    url = f"http://{described(API_HOST)['PublicIpAddress']}:{demo.API_PORT}/health"
    ask = f"curl --silent --max-time 10 --output /dev/null --write-out '%{{http_code}}' {url} || true"
    return int(desk.shell("production-health", ask).output)


def described(name: str) -> dict[str, Any]:
    """The instance of that Name tag, as EC2 describes it."""
    (found,) = [instance for instance in demo.instances() if demo.host_summary(instance)["name"] == name]
    return dict(found)


def hosts() -> list[dict[str, Any]]:
    return [demo.host_summary(instance) for instance in demo.instances()]


def database_id() -> str:
    """The id that only this database instance ever has; empty while there is none."""
    found = demo.client("rds").describe_db_instances()["DBInstances"]
    return str(found[0]["DbiResourceId"]) if found else ""


def has_disk(host: str) -> bool:
    return support.on_host(instance_id(host), "mountpoint", "--quiet", "/mnt/transcode").returncode == 0


def instance_id(name: str) -> str:
    return str(support.instance(name)["instance_id"])

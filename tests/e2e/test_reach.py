# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""On the story's cloud: a host that SSH does not reach holds up no other, and a new address of the operator is told.

Packets are dropped, as security groups do it: a connection that is refused would be over at once.
"""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Iterator

from localcloud import demo
from tests import support
from tests.e2e.test_deploy import instance_id, sleep, tags, wake_and_hold
from tests.e2e.test_story import API_HOST, CONTAINER, HOSTS, MESSAGING_CONTAINER, MESSAGING_HOST, STOPPED_WORKER

# A generous bound, and still less than one host's boot time and a minute on top.
BOUND_SECONDS = 240
SSH = ("--protocol", "tcp", "--dport", "22", "--jump", "DROP")
ADDRESS = "203.0.113.99"
RELEASE = f"reach-{secrets.token_hex(4)}"
SAID_LAST = "PLAY [Let the workers go]"


@contextlib.contextmanager
def dropped_ssh(*names: str) -> Iterator[None]:
    """Hosts whose SSH port answers nobody within the block."""
    found = [instance_id(name) for name in names]
    with contextlib.ExitStack() as stack:
        for host in found:
            assert support.on_host(host, "iptables", "--insert", "INPUT", *SSH).returncode == 0
            stack.callback(support.on_host, host, "iptables", "--delete", "INPUT", *SSH)
        yield


def words(text: str) -> str:
    """What was said, however its lines were broken."""
    return " ".join(text.split())


def test_a_host_that_cannot_be_reached_holds_up_no_other_and_is_named_at_the_end() -> None:
    # As a killed run has left it: held, for longer than anybody waits.
    sleep(STOPPED_WORKER)
    wake_and_hold(STOPPED_WORKER)
    assert support.on_host(instance_id(API_HOST), "docker", "rm", "--force", CONTAINER).returncode == 0
    with dropped_ssh(STOPPED_WORKER):
        run = support.playbook("site.yml", name="reach-one", timeout_seconds=BOUND_SECONDS)
    run.expect(2)
    address = support.instance(API_HOST)["address"]
    assert demo.api_summary(address)["health"]["status"] == "healthy"
    last = words(run.output[run.output.index(SAID_LAST) :])
    assert f"{STOPPED_WORKER} ({instance_id(STOPPED_WORKER)})" in last
    assert f"--limit {STOPPED_WORKER}" in last
    assert "HoldUntil" not in tags(STOPPED_WORKER)


def test_no_worker_gets_a_release_that_the_api_could_not_migrate_to() -> None:
    old = tags(MESSAGING_HOST)["Release"]
    name_once_more(MESSAGING_CONTAINER, old, RELEASE)
    with dropped_ssh(API_HOST):
        run = support.playbook(
            "playbooks/configure.yml",
            "--extra-vars",
            f"release={RELEASE}",
            name="reach-api",
            timeout_seconds=BOUND_SECONDS,
        )
    run.expect(2)
    assert tags(MESSAGING_HOST)["Release"] == old
    assert f"{MESSAGING_HOST} is left with release {old}" in words(run.output)
    # What no release changes is kept all the same.
    assert f"ok: [{MESSAGING_HOST}]" in run.output[run.output.index("Configure what all services of a host need") :]


def test_an_operator_whose_address_has_changed_is_told_so_at_once() -> None:
    running = [name for name, state in support.states(HOSTS).items() if state == "running"]
    with dropped_ssh(*running), support.address_service(ADDRESS) as url:
        run = support.playbook(
            "site.yml", "-e", f"operator_address_url={url}", name="reach-none", timeout_seconds=BOUND_SECONDS
        )
    run.expect(2)
    said = words(run.output)
    assert f"AWS sees this machine as {ADDRESS}" in said
    assert "172.31.0.1/32" in said
    assert f'operator_cidrs: ["{ADDRESS}/32"]' in said
    assert "ansible-playbook site.yml -i " in said
    assert "--tags network" in said
    assert SAID_LAST not in run.output
    assert set(run.changed().values()) == {0}


def test_a_host_of_the_cloud_is_told_the_address_that_aws_sees() -> None:
    ask = "import urllib.request; print(urllib.request.urlopen('https://checkip.amazonaws.com').read().decode())"
    host = support.instance(API_HOST)
    assert support.on_host(host["instance_id"], "python3", "-c", ask).stdout.split() == [host["address"]]


def name_once_more(repository: str, old: str, new: str) -> None:
    """Let an image be that of another release too."""
    ecr = demo.client("ecr")
    (image,) = ecr.batch_get_image(repositoryName=repository, imageIds=[{"imageTag": old}])["images"]
    ecr.put_image(repositoryName=repository, imageManifest=image["imageManifest"], imageTag=new)

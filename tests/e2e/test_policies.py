# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""After the story, on its cloud: that it used every grant, and proof that each is as narrow as it can be.

Two lists that are never added up: what the hosts did by themselves, and what these tests do with a host's credentials.
"""

from __future__ import annotations

import stat
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from localcloud import demo, settings
from localcloud.grants import Denial, denials, unused
from localcloud.operator_user import Keys
from tests import policies, support
from tests.e2e.test_deploy import HEARTBEATS
from tests.policies import KINDS, Credentials, Host, Use

HOST_OF = {kind: f"academy-{kind}-1" for kind in KINDS}
VIDEO_HOST = HOST_OF["video-worker"]
NEIGHBOUR = "academy-video-worker-2"
STOPPING_ROLES = {"academy-video-worker-role", "academy-ai-worker-role"}


def denied() -> set[Denial]:
    """What the story's hosts were denied, but for a worker's stop of its own, refused while a deployment holds it."""
    roles = {policy.role for policy in policies.all_policies().values()}
    return {
        denial
        for denial in denials(support.grants()["denied"])
        if denial.role in roles
        and (denial.role not in STOPPING_ROLES or denial.action != "ec2:StopInstances" or not denial.is_of_itself)
    }


def policies_in_aws() -> dict[str, dict[str, dict[str, Any]]]:
    """Role → policy → document, as AWS has them."""
    iam = demo.client("iam")
    return {
        policy.role: {
            name: iam.get_role_policy(RoleName=policy.role, PolicyName=name)["PolicyDocument"]
            for name in iam.list_role_policies(RoleName=policy.role)["PolicyNames"]
        }
        for policy in policies.all_policies().values()
    }


@pytest.fixture(autouse=True, scope="module")
def starter_pauses() -> Iterator[None]:
    """What is sent here to try a grant must wake nobody."""
    events = demo.client("events")
    events.disable_rule(Name="academy-starter")
    yield
    events.enable_rule(Name="academy-starter")


def test_the_policies_are_those_that_the_unit_tests_judge() -> None:
    wanted = {policy.role: {policy.name: policy.document} for policy in policies.all_policies().values()}
    assert policies_in_aws() == wanted


def test_no_granted_action_is_unused_and_nothing_was_denied() -> None:
    found, ours = support.grants(), policies_in_aws()
    assert denied() == set()
    assert unused(ours, found["used"]) == set()


@contextmanager
def host_of(name: str) -> Iterator[tuple[str, Host]]:
    """An instance's id, and what it can do with the credentials that it gets, asked for inside of it.

    Started where it is stopped, and stopped again.
    """
    ec2, before = demo.client("ec2"), support.instance(name)
    instance_id = str(before["instance_id"])
    waiting = {"InstanceIds": [instance_id], "WaiterConfig": support.HOST_WAITER}
    if before["state"] == "stopped":
        ec2.start_instances(InstanceIds=[instance_id])
    ec2.get_waiter("instance_running").wait(**waiting)
    yield instance_id, Host(policies.credentials_of(instance_id), settings.API_URL)
    if before["state"] == "stopped":
        wait_for_worker(instance_id)
        ec2.stop_instances(InstanceIds=[instance_id])
        ec2.get_waiter("instance_stopped").wait(**waiting)


def wait_for_worker(instance_id: str) -> None:
    """Until the host's worker, since boot, has asked for a job, unless it has even stopped the host again.

    One that is told to end before it listens is killed after its 80 seconds, for which the host waits.
    """

    def has_polled() -> bool:
        if support.on_host(instance_id, "sh", "-c", f"ls {HEARTBEATS}/*/heartbeat.json").returncode == 0:
            return True
        (found,) = demo.client("ec2").describe_instances(InstanceIds=[instance_id])["Reservations"]
        return bool(found["Instances"][0]["State"]["Name"] != "running")

    support.wait_until(has_polled, f"the worker of {instance_id} has asked for a job")


def dry(use: Use) -> Use:
    """The same without effect: EC2 judges it and stops there."""
    return Use(use.service, use.operation, {**use.parameters, "DryRun": True}) if use.service == "ec2" else use


@pytest.mark.parametrize("kind", KINDS)
def test_every_grant_works_on_its_real_resource_and_its_neighbours_do_not(kind: str) -> None:
    neighbour = str(support.instance(HOST_OF["api"] if kind != "api" else VIDEO_HOST)["instance_id"])
    with host_of(HOST_OF[kind]) as (instance_id, host):
        allowed = [dry(use) for use in policies.allowed(kind, instance_id)]
        denied = [dry(use) for use in policies.denied(kind, instance_id, neighbour)]
        try:
            assert [(str(use), host.error(use)) for use in allowed if host.is_denied(use)] == []
            assert [str(use) for use in denied if not host.is_denied(use)] == []
        finally:
            for use in allowed:
                if use.operation == "SendMessage":
                    demo.client("sqs").purge_queue(QueueUrl=use.parameters["QueueUrl"])
    policy = policies.host_policies()[kind]
    ours = {policy.role: {policy.name: policy.document}}
    assert unused(ours, support.grants()["exercised"]) == set()


def test_the_operator_s_keys_allow_what_is_published_and_nothing_else() -> None:
    assert stat.S_IMODE(settings.OPERATOR_USER_KEYS.stat().st_mode) == 0o600
    keys = Keys.read()
    operator = Host(Credentials(keys.access_key, keys.secret_key), settings.API_URL)
    video, repository = str(support.instance(VIDEO_HOST)["instance_id"]), policies.CONTAINER_OF["video-worker"]
    ours = [
        dry(policies.start(video)),
        Use("ecr", "GetAuthorizationToken"),
        Use("ecr", "InitiateLayerUpload", {"repositoryName": repository}),
        Use("sqs", "GetQueueUrl", {"QueueName": policies.QUEUES[0]}),
        Use("iam", "GetRole", {"RoleName": "academy-api-role"}),
    ]
    theirs = [
        Use("ec2", "CreateTags", {"Resources": [video, "vol-00000000000000000"], "Tags": [policies.HOLD_TAG]}),
        Use("ecr", "InitiateLayerUpload", {"repositoryName": "others-api"}),
        Use("sqs", "GetQueueUrl", {"QueueName": "others"}),
        Use("iam", "GetRole", {"RoleName": "others-role"}),
        Use("iam", "CreateAccessKey", {"UserName": "academy-operator"}),
    ]
    assert [(str(use), operator.error(use)) for use in ours if operator.is_denied(use)] == []
    assert [str(use) for use in theirs if not operator.is_denied(use)] == []


def test_a_worker_stops_itself_and_not_its_neighbour() -> None:
    ec2, neighbour = demo.client("ec2"), support.instance(NEIGHBOUR)
    with host_of(VIDEO_HOST) as (instance_id, host):
        assert host.is_denied(policies.stop(neighbour["instance_id"]))
        assert host.is_denied(policies.stop(support.instance(HOST_OF["api"])["instance_id"]))
        wait_for_worker(instance_id)
        assert host.error(policies.stop(instance_id)) == ("", "")
        ec2.get_waiter("instance_stopped").wait(InstanceIds=[instance_id], WaiterConfig=support.HOST_WAITER)
    assert support.instance(NEIGHBOUR)["state"] == neighbour["state"]
    assert support.instance(HOST_OF["api"])["state"] == "running"
    assert denied() == set(), "a host itself was denied something"

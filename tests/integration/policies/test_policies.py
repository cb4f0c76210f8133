# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The hosts' real policies, enforced: real calls with the credentials that an instance gets."""

from __future__ import annotations

import pytest

from localcloud.grants import granted, unused
from localcloud.permissions import Knows, needs
from tests import policies
from tests.integration.policies.conftest import Deployment
from tests.policies import KINDS, QUEUES, QUEUES_OF, Use


def test_nobody_has_called_yet(deployment: Deployment) -> None:
    """The account was made with the operator's keys, who is not limited and not counted."""
    # But for the function that told the starter's keys, whose log group the role may not write to.
    counted = deployment.grants()
    denied = counted.pop("denied")
    assert set(denied.pop(policies.starter_policy().role, {})) <= {"logs:CreateLogStream"}
    assert denied == {}
    assert not any(counted.values())


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_not_granted_is_denied(deployment: Deployment, kind: str) -> None:
    pair = deployment.pairs[kind]
    uses = policies.denied(kind, pair.itself, pair.neighbour)
    assert [str(use) for use in uses if not pair.host.is_denied(use)] == []


def receive(queue: str) -> Use:
    return Use("sqs", "ReceiveMessage", {"QueueUrl": policies.queue_url(queue)})


@pytest.mark.parametrize("kind", QUEUES_OF)
def test_each_worker_reads_only_its_own_queues(deployment: Deployment, kind: str) -> None:
    host = deployment.pairs[kind].host
    assert tuple(queue for queue in QUEUES if not host.is_denied(receive(queue))) == QUEUES_OF[kind]


def test_the_api_reads_no_queue_and_sends_to_all(deployment: Deployment) -> None:
    host = deployment.pairs["api"].host
    assert [queue for queue in QUEUES if not host.is_denied(receive(queue))] == []
    for queue in QUEUES:
        url = policies.queue_url(queue)
        sent = Use("sqs", "SendMessageBatch", {"QueueUrl": url, "Entries": [{"Id": "1", "MessageBody": "batch"}]})
        assert host.error(sent) == ("", "")
        received = deployment.account.client("sqs").receive_message(QueueUrl=url)["Messages"]
        assert [message["Body"] for message in received] == ["batch"]


@pytest.mark.parametrize("kind", ["api", "messaging-worker"])
def test_who_does_not_stop_itself_stops_nothing(deployment: Deployment, kind: str) -> None:
    host, others = deployment.pairs[kind].host, deployment.pairs.values()
    instances = [instance for pair in others for instance in (pair.itself, pair.neighbour)]
    assert [instance for instance in instances if not host.is_denied(policies.stop(instance))] == []
    assert {deployment.state(instance) for instance in instances} == {"running"}


@pytest.mark.parametrize("kind", policies.STOPS_ITSELF)
def test_who_stops_itself_stops_no_neighbour(deployment: Deployment, kind: str) -> None:
    pair = deployment.pairs[kind]
    code, message = pair.host.error(policies.stop(pair.neighbour))
    assert code == "UnauthorizedOperation"
    assert (
        f"ec2:StopInstances on resource: arn:aws:ec2:ap-northeast-2:123456789012:instance/{pair.neighbour}" in message
    )
    assert pair.host.is_denied(policies.stop(pair.itself, pair.neighbour))
    assert {deployment.state(instance) for instance in (pair.itself, pair.neighbour)} == {"running"}
    assert pair.host.error(policies.stop(pair.itself)) == ("", "")
    assert deployment.state(pair.itself) in {"stopping", "stopped"}
    assert deployment.state(pair.neighbour) == "running"


@pytest.mark.parametrize("kind", KINDS)
def test_every_grant_is_proven_on_its_real_resource(deployment: Deployment, kind: str) -> None:
    pair = deployment.pairs[kind]
    uses = policies.allowed(kind, pair.itself)
    assert [(str(use), pair.host.error(use)) for use in uses if pair.host.is_denied(use)] == []
    policy, counted = policies.host_policies()[kind], deployment.grants()
    ours = {policy.role: {policy.name: policy.document}}
    assert granted(ours)
    assert unused(ours, counted["exercised"]) == set()
    assert unused(ours, counted["used"]) == granted(ours), "an exercise was counted as use"
    assert policy.role not in counted["denied"]


@pytest.mark.parametrize("kind", KINDS)
def test_every_denial_is_noted(deployment: Deployment, kind: str) -> None:
    pair, policy = deployment.pairs[kind], policies.host_policies()[kind]
    noted = deployment.grants()["exercised_denied"][policy.role]
    for use in policies.denied(kind, pair.itself, pair.neighbour):
        wanted = needs(use.service, use.operation, use.parameters, "ap-northeast-2", Knows())
        assert any((need.resource or "*") in noted.get(need.action, {}) for need in wanted), str(use)


@pytest.mark.parametrize("kind", policies.STOPS_ITSELF)
def test_a_held_instance_does_not_stop_itself_until_it_is_released(deployment: Deployment, kind: str) -> None:
    pair, ec2 = deployment.pairs[kind], deployment.account.client("ec2")
    dry = policies.Use("ec2", "StopInstances", {"InstanceIds": [pair.itself], "DryRun": True})
    ec2.create_tags(Resources=[pair.itself], Tags=[{"Key": "HoldUntil", "Value": "2026-01-31T09:30:00Z"}])
    assert pair.host.is_denied(dry)
    ec2.delete_tags(Resources=[pair.itself], Tags=[{"Key": "HoldUntil"}])
    assert not pair.host.is_denied(dry)


def test_an_instance_of_another_project_does_not_stop_itself(deployment: Deployment) -> None:
    pair = deployment.pairs["video-worker"]
    tag = [{"Key": "Project", "Value": "other"}]
    deployment.account.client("ec2").create_tags(Resources=[pair.itself], Tags=tag)
    assert pair.host.is_denied(policies.stop(pair.itself))


def starter_uses(deployment: Deployment) -> tuple[list[Use], list[Use]]:
    workers = deployment.workers
    return policies.starter_allowed(*workers.values()), policies.starter_denied(
        workers["video-worker"], deployment.others
    )


def test_the_starter_is_denied_what_it_is_not_granted(deployment: Deployment) -> None:
    _, denied = starter_uses(deployment)
    assert [str(use) for use in denied if not deployment.starter.is_denied(use)] == []


def test_every_grant_of_the_starter_is_proven_on_its_real_resource(deployment: Deployment) -> None:
    allowed, _ = starter_uses(deployment)
    assert [(str(use), deployment.starter.error(use)) for use in allowed if deployment.starter.is_denied(use)] == []
    policy = policies.starter_policy()
    ours = {policy.role: {policy.name: policy.document}}
    assert unused(ours, deployment.grants()["exercised"]) == set()

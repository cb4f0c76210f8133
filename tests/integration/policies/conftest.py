# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""An account with what the hosts' policies name, and hosts of each kind with the credentials of their roles."""

from __future__ import annotations

import json
import urllib.request
from dataclasses import dataclass
from typing import Any

import pytest

from localcloud import direct
from localcloud.metadata import TOKEN_HEADER, TOKEN_TTL_HEADER
from plugins.module_utils.archive import archive_of
from plugins.module_utils.plan.identity import FUNCTIONS, HOSTS, trust_policy
from plugins.module_utils.tree import Entry
from tests import policies
from tests.integration.conftest import Account
from tests.policies import Credentials, Host


@dataclass(frozen=True)
class Pair:
    """Two instances of one kind, and what the first can do."""

    itself: str
    neighbour: str
    host: Host


@dataclass(frozen=True)
class Deployment:
    """The account, once there is something in it."""

    account: Account
    pairs: dict[str, Pair]
    # What the starter's function can do, one worker of each kind that stops itself, and hosts that it must leave alone.
    starter: Host
    workers: dict[str, str]
    others: dict[str, str]

    def grants(self) -> dict[str, Any]:
        with direct.urlopen(f"{self.account.url}/_localcloud/grants") as answer:
            return dict(json.load(answer))

    def state(self, instance_id: str) -> str:
        (reservation,) = self.account.client("ec2").describe_instances(InstanceIds=[instance_id])["Reservations"]
        return str(reservation["Instances"][0]["State"]["Name"])


@pytest.fixture(scope="module")
def deployment(account: Account) -> Deployment:
    sqs, logs, ecr = (account.client(service) for service in ("sqs", "logs", "ecr"))
    for queue in policies.QUEUES:
        sqs.create_queue(QueueName=queue)
        sqs.create_queue(QueueName=f"{queue}-dlq")
    for container in policies.CONTAINER_OF.values():
        logs.create_log_group(logGroupName=f"/{policies.DEPLOYMENT}/{container}")
        ecr.create_repository(repositoryName=container)
    logs.create_log_group(logGroupName=policies.STARTER_LOG_GROUP)
    pairs = {kind: make_pair(account, kind) for kind in policies.KINDS}
    workers = {kind: launch(account, Project=policies.DEPLOYMENT, Role=kind) for kind in policies.STOPS_ITSELF}
    others = {
        "api": launch(account, Project=policies.DEPLOYMENT, Role="api"),
        "other project": launch(account, Project="other", Role="video-worker"),
    }
    return Deployment(account, pairs, starter_host(account), workers, others)


def make_role(account: Account, policy: policies.Policy, service: str) -> str:
    """A role as the identity role makes it; returns its ARN."""
    iam = account.client("iam")
    made = iam.create_role(RoleName=policy.role, AssumeRolePolicyDocument=json.dumps(trust_policy(service)))
    document = json.dumps(policy.document)
    iam.put_role_policy(RoleName=policy.role, PolicyName=policy.name, PolicyDocument=document)
    return str(made["Role"]["Arn"])


def image_id(account: Account) -> str:
    filters = [{"Name": "architecture", "Values": ["arm64"]}]
    return str(account.client("ec2").describe_images(Owners=["amazon"], Filters=filters)["Images"][0]["ImageId"])


def launch(account: Account, **tags: str) -> str:
    """A host with no role of its own."""
    (launched,) = account.client("ec2").run_instances(
        ImageId=image_id(account), InstanceType="t4g.small", MinCount=1, MaxCount=1,
        TagSpecifications=[
            {"ResourceType": "instance", "Tags": [{"Key": key, "Value": value} for key, value in tags.items()]}
        ],
    )["Instances"]  # fmt: skip
    return str(launched["InstanceId"])


# What its environment tells a function of its role's keys, told on.
TELL_KEYS = """
import os

def handler(event, context):
    return {name: os.environ[name] for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")}
"""


def starter_host(account: Account) -> Host:
    """The starter's role at work, with the keys that a function of that role gets."""
    role = make_role(account, policies.starter_policy(), FUNCTIONS)
    functions, name = account.client("lambda"), f"{policies.DEPLOYMENT}-keys"
    functions.create_function(
        FunctionName=name,
        Runtime="python3.13",
        Handler="module.handler",
        Role=role,
        Timeout=30,
        Code={"ZipFile": archive_of([Entry("module.py", "file", TELL_KEYS.encode())])},
    )
    keys = json.load(functions.invoke(FunctionName=name)["Payload"])
    return Host(Credentials(*keys.values()), account.url)


def make_pair(account: Account, kind: str) -> Pair:
    """The role of a kind as the identity role makes it, and two instances with it."""
    iam, ec2, policy = account.client("iam"), account.client("ec2"), policies.host_policies()[kind]
    make_role(account, policy, HOSTS)
    iam.create_instance_profile(InstanceProfileName=policy.role)
    iam.add_role_to_instance_profile(InstanceProfileName=policy.role, RoleName=policy.role)
    tags = [{"Key": "Project", "Value": policies.DEPLOYMENT}]
    launched = ec2.run_instances(
        ImageId=image_id(account),
        InstanceType="t4g.small",
        MinCount=2,
        MaxCount=2,
        IamInstanceProfile={"Name": policy.role},
        TagSpecifications=[{"ResourceType": "instance", "Tags": tags}],
    )["Instances"]
    itself, neighbour = (instance["InstanceId"] for instance in launched)
    return Pair(itself, neighbour, Host(credentials(account, launched[0]["PrivateIpAddress"]), account.url))


def credentials(account: Account, address: str) -> Credentials:
    """What the instance at an address gets of its metadata service, asked as it asks."""
    base = f"{account.url}/_localcloud/metadata/{address}/latest"
    token = ask(f"{base}/api/token", "PUT", {TOKEN_TTL_HEADER: "60"})
    path = f"{base}/meta-data/iam/security-credentials/"
    role = ask(path, "GET", {TOKEN_HEADER: token})
    return Credentials.read(ask(f"{path}{role}", "GET", {TOKEN_HEADER: token}))


def ask(url: str, method: str, headers: dict[str, str]) -> str:
    with direct.urlopen(urllib.request.Request(url, headers=headers, method=method), timeout=10) as answer:
        return str(answer.read().decode())

# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What each kind of host, and the starter, may do in AWS: as little as the guide's work needs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..names import instance_arns, log_group_arn, queue_arn, repository_arn, role_name
from ..policies import as_text, canonical
from ..services import ROWS, kinds_of_hosts
from ..tags import HOLD_TAG, own_tags, role_tags
from . import Change, Difference, Plan, Role, Values, compare

WHY = "guide §4"

Policy = dict[str, Any]

# Queues are configured by name, so whoever uses one looks its URL up first.
FIND_QUEUE = ("sqs:GetQueueAttributes", "sqs:GetQueueUrl")
SEND = ("sqs:SendMessage", *FIND_QUEUE)
RECEIVE = ("sqs:ChangeMessageVisibility", "sqs:DeleteMessage", "sqs:ReceiveMessage", *FIND_QUEUE)
WRITE_LOGS = ("logs:CreateLogStream", "logs:PutLogEvents")
HOSTS = "ec2.amazonaws.com"
FUNCTIONS = "lambda.amazonaws.com"
STARTER = "starter"
PULL = ("ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer")


@dataclass(frozen=True)
class Deployment:
    """What the ARNs of a deployment have in common."""

    name: str
    region: str
    account_id: str


def _allow(sid: str, actions: Sequence[str], resources: Sequence[str]) -> dict[str, Any]:
    return {"Sid": sid, "Effect": "Allow", "Action": sorted(actions), "Resource": list(resources)}


def _queue_statements(kind: Mapping[str, Any], deployment: Deployment) -> list[dict[str, Any]]:
    return [
        _allow(sid, actions, [queue_arn(name, deployment.region, deployment.account_id) for name in kind[key]])
        for sid, actions, key in (("SendJobs", SEND, "sends_to"), ("ReceiveJobs", RECEIVE, "receives_from"))
        if kind[key]
    ]


def _stop_itself(deployment: Deployment) -> list[dict[str, Any]]:
    """A role session on EC2 is named <role id>:<instance id>, which must end with the instance to be stopped.

    A host that carries the tag HoldUntil, whatever it says, is held: EC2 itself refuses then, whoever asks on it.
    """
    return [
        _allow("SeeInstances", ["ec2:DescribeInstances"], ["*"]),  # takes no other resource
        {
            **_allow("StopItself", ["ec2:StopInstances"], [instance_arns(deployment.region, deployment.account_id)]),
            "Condition": {
                "StringLike": {"aws:userid": "*:${ec2:InstanceID}"},
                "StringEquals": {"aws:ResourceTag/Project": deployment.name},
                "Null": {f"aws:ResourceTag/{HOLD_TAG}": "true"},
            },
        },
    ]


def host_policy(kind: Mapping[str, Any], deployment: Deployment) -> Policy:
    """The one inline policy of a kind of host."""
    region, account_id = deployment.region, deployment.account_id
    return {
        "Version": "2012-10-17",
        "Statement": [
            *_queue_statements(kind, deployment),
            # The log driver writes to streams, whose ARNs begin with the group's.
            _allow(
                "WriteLogs", WRITE_LOGS, [f"{log_group_arn(name, region, account_id)}:*" for name in kind["log_groups"]]
            ),
            _allow("LogInToRegistry", ["ecr:GetAuthorizationToken"], ["*"]),  # takes no other resource
            _allow("PullImages", PULL, [repository_arn(name, region, account_id) for name in kind["containers"]]),
            *(_stop_itself(deployment) if kind["stops_itself"] else []),
        ],
    }


def _start_workers(kinds: Mapping[str, Mapping[str, Any]], deployment: Deployment) -> list[dict[str, Any]]:
    # Where a host serves two services, two kinds may empty the same queue.
    queues = dict.fromkeys(queue for may in kinds.values() for queue in may["receives_from"])
    return [
        _allow("CountJobs", FIND_QUEUE, [queue_arn(name, deployment.region, deployment.account_id) for name in queues]),
        {
            **_allow("StartWorkers", ["ec2:StartInstances"], [instance_arns(deployment.region, deployment.account_id)]),
            "Condition": {
                "StringEquals": {
                    "aws:ResourceTag/Project": deployment.name,
                    "aws:ResourceTag/Role": list(kinds),
                },
            },
        },
    ]


def starter_policy(kinds: Mapping[str, Mapping[str, Any]], log_group: str, deployment: Deployment) -> Policy:
    """The starter counts the jobs of the hosts that stop themselves, starts those hosts, and ends holds; it stops none.

    A request that names no tags deletes them all, and has no key that could be another: hence Null.
    """
    region, account_id = deployment.region, deployment.account_id
    workers = {kind: may for kind, may in kinds.items() if may["stops_itself"]}
    return {
        "Version": "2012-10-17",
        "Statement": [
            *(_start_workers(workers, deployment) if workers else []),
            _allow("SeeInstances", ["ec2:DescribeInstances"], ["*"]),  # takes no other resource
            {
                **_allow("EndHolds", ["ec2:DeleteTags"], [instance_arns(region, account_id)]),
                "Condition": {
                    "StringEquals": {"aws:ResourceTag/Project": deployment.name},
                    "ForAllValues:StringEquals": {"aws:TagKeys": [HOLD_TAG]},
                    "Null": {"aws:TagKeys": "false"},
                },
            },
            _allow("WriteLogs", WRITE_LOGS, [f"{log_group_arn(log_group, region, account_id)}:*"]),
        ],
    }


def trust_policy(service: str) -> Policy:
    """Who may take the role on."""
    statement = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
    return {"Version": "2012-10-17", "Statement": [statement]}


@dataclass(frozen=True)
class Wanted:
    """A role as it should be, with its one inline policy."""

    name: str
    description: str
    service: str
    tags: Mapping[str, str]
    policy: str
    document: Policy


def wanted_roles(inputs: Values) -> list[Wanted]:
    """The role of each kind of host, and at last the starter's."""
    name, tags = inputs["deployment_name"], inputs["deployment_tags"]
    kinds = kinds_of_hosts(inputs["services"], inputs["groups"], inputs["kinds"])
    deployment = Deployment(name, inputs["aws_region"], inputs["aws_account_id"])
    starter = starter_policy(kinds, inputs["starter_log_group"], deployment)
    return [
        *(
            Wanted(
                role_name(name, kind),
                f"Hosts of kind {kind}",
                HOSTS,
                role_tags(tags, kind),
                f"{name}-host",
                host_policy(may, deployment),
            )
            for kind, may in kinds.items()
        ),
        Wanted(
            role_name(name, STARTER),
            "Starts workers that stopped themselves",
            FUNCTIONS,
            role_tags(tags, STARTER),
            f"{name}-{STARTER}",
            starter,
        ),
    ]


def _role_changes(role: Wanted, now: Values | None) -> list[Change]:
    """Where it is missing, others may assume it, or somebody attached a managed policy."""
    trusted = trust_policy(role.service)
    wanted = {
        "description": role.description,
        "trust_policy": as_text(trusted),
        "managed_policies": [],
        "tags": role.tags,
    }
    if now is not None:
        now = {**now, "trust_policy": as_text(now["trust_policy"]), "tags": own_tags(now["tags"])}
    item = {"name": role.name, "description": role.description, "trust_policy": trusted, "tags": role.tags}
    return compare(f"role {role.name}", wanted, now, WHY, lambda _: {"roles": item})


def _fields(policy: Policy) -> dict[str, str]:
    """A policy statement by statement, so that a difference tells which one differs."""
    parts = canonical(policy)
    fields: dict[str, str] = {}
    for number, statement in enumerate(parts.pop("Statement", []), 1):
        (name,) = statement.pop("Sid", [number])
        field = f"statement {name}"
        # Whatever others wrote, none hides behind another's name.
        fields[f"{field} ({number})" if field in fields else field] = as_text(statement)
    return {**{key.lower(): as_text(part) for key, part in parts.items()}, **fields}


def _policy_changes(role: Wanted, found: Mapping[str, Policy]) -> list[Change]:
    """Write the policy where it is missing or differs, and remove every other."""

    def resource(policy: str) -> str:
        return f"inline policy {policy} of {role.name}"

    def item(policy: str, **more: Any) -> dict[str, Values]:
        return {"policies": {"name": policy, "role": role.name, **more}}

    wanted = _fields(role.document)
    now = _fields(found[role.policy]) if role.policy in found else None
    foreign = dict.fromkeys(field for field in now or {} if field not in wanted)
    kept = compare(
        resource(role.policy),
        {**foreign, **wanted},
        now,
        WHY,
        lambda _: item(role.policy, document=role.document, state="present"),
    )
    removed = [
        Change(
            resource(other),
            "remove",
            tuple(Difference(field, text, None) for field, text in _fields(found[other]).items()),
            WHY,
            item(other, state="absent"),
        )
        for other in sorted(found)
        if other != role.policy
    ]
    return [*kept, *removed]


def _profile_changes(role: Wanted, now: Values | None) -> list[Change]:
    """Where it is missing or does not hold the role of its name."""
    if now is not None:
        now = {**now, "tags": own_tags(now["tags"])}
    wanted = {"roles": [role.name], "tags": role.tags}
    item = {"name": role.name, "tags": role.tags}
    return compare(f"instance profile {role.name}", wanted, now, WHY, lambda _: {"profiles": item})


def reads(inputs: Values) -> Values:
    return {"role_names": [role.name for role in wanted_roles(inputs)]}


def decide(inputs: Values, found: Values) -> Plan:
    changes = []
    for role in wanted_roles(inputs):
        now = found["roles"].get(role.name)
        changes += _role_changes(role, now)
        changes += _policy_changes(role, now["inline_policies"] if now else {})
        if role.service == HOSTS:
            changes += _profile_changes(role, found["instance_profiles"].get(role.name))
    return Plan(changes=changes)


ROLE = Role(reads, decide, applies=("roles", "policies", "profiles"), rules=(ROWS,), has_hosts=True)

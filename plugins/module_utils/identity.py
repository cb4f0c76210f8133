# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What each kind of host may do in AWS: as little as the guide's work needs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ansible_collections.academy.deploy.plugins.module_utils.names import (
    instance_arns,
    log_group_arn,
    queue_arn,
    repository_arn,
)

from .changes import MISSING, reason, with_reasons
from .policies import as_text
from .tags import HOLD_TAG, own_tags

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


def kinds_of_hosts(
    services: Mapping[str, Mapping[str, Any]], groups: Mapping[str, Sequence[str]], kinds: Mapping[str, str]
) -> dict[str, dict[str, Any]]:
    """What each kind of host may do: what the services on its hosts need, each of which is a group of hosts."""
    permissions: dict[str, dict[str, Any]] = {}
    for service, needs in services.items():
        for kind in dict.fromkeys(kinds[host] for host in groups.get(service, [])):
            may = permissions.setdefault(kind, {})
            for key, need in needs.items():
                has = may.get(key)
                may[key] = bool(has) or need if isinstance(need, bool) else list(dict.fromkeys([*(has or []), *need]))
    return permissions


def role_name(deployment_name: str, kind: str) -> str:
    """The role of a kind of host; its instance profile carries the same name."""
    return f"{deployment_name}-{kind}-role"


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


@dataclass(frozen=True)
class InlinePolicyChange:
    role: str
    policy: str
    document: Policy | None  # nothing: remove it
    role_exists: bool
    reason: str


def inline_policy_changes(
    role: str, policy: str, document: Policy, current: Mapping[str, Policy] | None
) -> list[InlinePolicyChange]:
    """Write the policy where it is missing or differs, and remove every other; without a current state, no role yet."""
    if current is None:
        return [InlinePolicyChange(role, policy, document, role_exists=False, reason=MISSING)]
    foreign = [
        InlinePolicyChange(role, name, None, role_exists=True, reason="not ours")
        for name in sorted(current)
        if name != policy
    ]
    why = reason([("document", as_text(current[policy]), as_text(document))]) if policy in current else MISSING
    return [*([InlinePolicyChange(role, policy, document, role_exists=True, reason=why)] if why else []), *foreign]


def trust_policy(service: str) -> Policy:
    """Who may take the role on."""
    statement = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
    return {"Version": "2012-10-17", "Statement": [statement]}


def kind_roles(kinds: Sequence[str], deployment_name: str, tags: Mapping[str, str]) -> list[dict[str, Any]]:
    """The role of each kind of host; its instance profile has the same name and tags."""
    return [_role(kind, f"Hosts of kind {kind}", HOSTS, deployment_name, tags) for kind in kinds]


def starter_role(deployment_name: str, tags: Mapping[str, str]) -> dict[str, Any]:
    return _role(STARTER, "Starts workers that stopped themselves", FUNCTIONS, deployment_name, tags)


def _role(kind: str, description: str, service: str, deployment_name: str, tags: Mapping[str, str]) -> dict[str, Any]:
    return {
        "name": role_name(deployment_name, kind),
        "description": description,
        "trust_policy": trust_policy(service),
        "tags": {**tags, "Role": kind},
    }


def role_changes(wanted: Sequence[Mapping[str, Any]], found: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Each role that is missing, that others may assume, or to which somebody attached a managed policy."""
    return with_reasons((role, _role_reason(role, found.get(role["name"]))) for role in wanted)


def _role_reason(role: Mapping[str, Any], now: Mapping[str, Any] | None) -> str:
    if now is None:
        return MISSING
    return reason(
        [
            ("description", now["description"], role["description"]),
            ("trust policy", as_text(now["trust_policy"]), as_text(role["trust_policy"])),
            ("managed policies", now["managed_policies"], []),
            ("tags", own_tags(now["tags"]), role["tags"]),
        ]
    )


def profile_changes(
    wanted: Sequence[Mapping[str, Any]], found: Mapping[str, Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """Each instance profile that is missing or does not hold the role of its name."""
    return with_reasons((role, _profile_reason(role, found.get(role["name"]))) for role in wanted)


def _profile_reason(role: Mapping[str, Any], now: Mapping[str, Any] | None) -> str:
    if now is None:
        return MISSING
    return reason([("roles", now["roles"], [role["name"]]), ("tags", own_tags(now["tags"]), role["tags"])])

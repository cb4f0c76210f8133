# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a call needs in IAM's terms: its actions, the ARNs they concern, and what conditions may ask about those.

Of an operation that no table here names, the action is the operation's own name and the resource is not known: a policy
that allows it on everything does, and one that names resources is an error, as localcloud.policy says.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final

from localcloud import settings
from localcloud.policy import Need

TagsOf = Callable[[str], Mapping[str, str]]

# botocore's name of a service, where its actions have another prefix.
PREFIXES: Final[Mapping[str, str]] = {
    "elb": "elasticloadbalancing",
    "elbv2": "elasticloadbalancing",
    "resourcegroupstaggingapi": "tag",
    "stepfunctions": "states",
}
# Operations that are no actions of their own.
ACTIONS: Final[Mapping[str, str]] = {
    "lambda.Invoke": "lambda:InvokeFunction",
    "sqs.ChangeMessageVisibilityBatch": "sqs:ChangeMessageVisibility",
    "sqs.DeleteMessageBatch": "sqs:DeleteMessage",
    "sqs.SendMessageBatch": "sqs:SendMessage",
}
FREE: Final = frozenset({"sts.GetCallerIdentity"})  # whoever has a key may ask whose it is
WITHOUT_RESOURCE: Final = frozenset({"ecr.GetAuthorizationToken", "sqs.ListQueues"})
INSTANCE_OPERATIONS: Final = frozenset(
    {"ec2.RebootInstances", "ec2.StartInstances", "ec2.StopInstances", "ec2.TerminateInstances"}
)
TAG_OPERATIONS: Final = frozenset({"ec2.CreateTags", "ec2.DeleteTags"})
# What EC2's ids begin with.
RESOURCE_TYPES: Final[Mapping[str, str]] = {"i": "instance", "sg": "security-group", "vol": "volume"}


def needs(service: str, operation: str, parameters: Mapping[str, Any], region: str, tags_of: TagsOf) -> list[Need]:
    """Everything that a call needs; all of it must be allowed. tags_of knows an instance's tags."""
    name = f"{service}.{operation}"
    if name in FREE:
        return []
    action = ACTIONS.get(name, f"{PREFIXES.get(service, service)}:{operation}")
    if name in INSTANCE_OPERATIONS:
        named = parameters.get("InstanceIds") or []
        return [_instance_need(action, region, found, tags_of) for found in named] or [Need(action, None)]
    if name in TAG_OPERATIONS:
        keys = tuple(tag["Key"] for tag in parameters.get("Tags") or [])
        lists = {"aws:tagkeys": keys} if keys else {}
        return [replace(_tagged_need(action, region, found, tags_of), lists=lists) for found in parameters["Resources"]]
    return [Need(action, resource) for resource in _resources(name, service, parameters, region)]


def repository_arn(name: str, region: str = settings.REGION) -> str:
    """A repository as policies name it."""
    return _arn("ecr", region, f"repository/{name}")


def _instance_need(action: str, region: str, instance_id: str, tags_of: TagsOf) -> Need:
    context = {"ec2:instanceid": instance_id}
    for key, value in tags_of(instance_id).items():
        context |= {f"{service}:resourcetag/{key.lower()}": value for service in ("aws", "ec2")}
    return Need(action, _arn("ec2", region, f"instance/{instance_id}"), context)


def _tagged_need(action: str, region: str, resource_id: str, tags_of: TagsOf) -> Need:
    resource_type = RESOURCE_TYPES.get(resource_id.partition("-")[0])
    if resource_type == "instance":
        return _instance_need(action, region, resource_id, tags_of)
    return Need(action, resource_type and _arn("ec2", region, f"{resource_type}/{resource_id}"))


def _resources(name: str, service: str, parameters: Mapping[str, Any], region: str) -> list[str | None]:
    if name in WITHOUT_RESOURCE or name.startswith("ec2.Describe"):
        return ["*"]
    match service:
        case "sqs":
            return [_queue(parameters, region)]
        case "logs":
            return [_log_stream(parameters, region)]
        case "ecr":
            return _repositories(parameters, region)
        case _:
            return [None]


def _queue(parameters: Mapping[str, Any], region: str) -> str | None:
    name = str(parameters.get("QueueUrl") or parameters.get("QueueName") or "").rpartition("/")[2]
    return _arn("sqs", region, name) if name else None


def _log_stream(parameters: Mapping[str, Any], region: str) -> str | None:
    """In IAM's eyes a group is its stream of no name, which is why policies say <group>:*."""
    group, stream = parameters.get("logGroupName"), parameters.get("logStreamName", "")
    return _arn("logs", region, f"log-group:{group}:log-stream:{stream}") if group else None


def _repositories(parameters: Mapping[str, Any], region: str) -> list[str | None]:
    named = parameters.get("repositoryNames") or [parameters.get("repositoryName")]
    return [repository_arn(name, region) if name else None for name in named]


def _arn(service: str, region: str, resource: str) -> str:
    return f"arn:aws:{service}:{region}:{settings.ACCOUNT_ID}:{resource}"

# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a call needs in IAM's terms: its actions, the ARNs they concern, and what conditions may ask about those.

Which resources an action concerns, and which condition keys it has, is AWS's own word (localcloud.actions). Written
here is only which parameters name them, where no convention tells. Where a call must name a resource of some kind and
does not, or by nothing that is known here, that resource is not known: a policy that allows the action on everything
does, and one that names resources is an error, as localcloud.policy says. So is an action that the reference lacks.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import groupby, product
from typing import Any, Final

from localcloud import settings
from localcloud.actions import PLACES, TAGGING, VARIABLE, Action, ResourceType, find_action, tagging_action
from localcloud.policy import Need, PolicyError

Parameters = Mapping[str, Any]

# botocore's name of a service, where its actions have another prefix.
PREFIXES: Final[Mapping[str, str]] = {
    "elb": "elasticloadbalancing",
    "elbv2": "elasticloadbalancing",
    "resourcegroupstaggingapi": "tag",
    "service-quotas": "servicequotas",
    "stepfunctions": "states",
}
# Operations that are no actions of their own.
ACTIONS: Final[Mapping[str, str]] = {
    "lambda.Invoke": "lambda:InvokeFunction",
    "s3.GetBucketLifecycleConfiguration": "s3:GetLifecycleConfiguration",
    "s3.GetPublicAccessBlock": "s3:GetBucketPublicAccessBlock",
    "s3.ListBuckets": "s3:ListAllMyBuckets",
    "s3.PutBucketLifecycleConfiguration": "s3:PutLifecycleConfiguration",
    "s3.PutPublicAccessBlock": "s3:PutBucketPublicAccessBlock",
    "sqs.ChangeMessageVisibilityBatch": "sqs:ChangeMessageVisibility",
    "sqs.DeleteMessageBatch": "sqs:DeleteMessage",
    "sqs.SendMessageBatch": "sqs:SendMessage",
}
FREE: Final = frozenset({"sts.GetCallerIdentity"})  # whoever has a key may ask whose it is

# Variable of an ARN → the parameters that it comes from, where neither its own name nor its plural is one.
# A dot goes into a structure, and into each member of a list.
NAMES: Final[Mapping[str, Mapping[str, tuple[str, ...]]]] = {
    "ec2": {
        "KeyPairName": ("KeyName",),
        "LaunchTemplateId": ("LaunchTemplateId", "LaunchTemplate.LaunchTemplateId"),
        "NetworkInterfaceId": ("NetworkInterfaceId", "NetworkInterfaces.NetworkInterfaceId"),
        "SecurityGroupId": ("GroupId", "Groups", "SecurityGroupIds", "NetworkInterfaces.Groups"),
        "SubnetId": ("SubnetId", "NetworkInterfaces.SubnetId"),
    },
    "elasticloadbalancing": {"LoadBalancerName": ("Name",), "TargetGroupName": ("Name",)},
    "events": {"RuleName": ("Name", "Rule")},
    "rds": {
        "DbInstanceName": ("DBInstanceIdentifier",),
        "ParameterGroupName": ("DBParameterGroupName",),
        "SecurityGroupName": ("DBSecurityGroups",),
        "SnapshotName": ("DBSnapshotIdentifier",),
        "SubnetGroupName": ("DBSubnetGroupName",),
    },
    "route53": {"Id": ("HostedZoneId", "Id")},
    "s3": {"BucketName": ("Bucket",)},
    "sns": {"TopicName": ("Name",)},
    "sqs": {"QueueName": ("QueueName", "QueueUrl")},
    "ssm": {"ParameterNameWithoutLeadingSlash": ("Name", "Names", "Path")},
}
# What an ARN holds of a name, where that is not all of it.
PLAIN_NAMES: Final[Mapping[str, Callable[[str], str]]] = {
    "route53": lambda identifier: identifier.rpartition("/")[2],
    "sqs": lambda queue: queue.rpartition("/")[2],
    "ssm": lambda parameter: parameter.removeprefix("/"),
}
# What comes into being, besides what Create… says.
CREATES: Final[Mapping[str, frozenset[str]]] = {
    "ec2:RunInstances": frozenset({"instance", "network-interface", "volume"}),
    "rds:CreateDBInstance": frozenset({"db"}),
}
# Load balancers by the type that a call says, which are resources of different kinds.
LOAD_BALANCERS: Final = {
    "application": "loadbalancer/app/",
    "network": "loadbalancer/net/",
    "gateway": "loadbalancer/gwy/",
}
# Condition keys that have several values → where a call has them.
LISTED: Final[Mapping[str, str]] = {
    "route53:changeresourcerecordsetsrecordtypes": "ChangeBatch.Changes.ResourceRecordSet.Type",
}
# What EC2's ids begin with.
RESOURCE_TYPES: Final[Mapping[str, str]] = {
    "ami": "image",
    "eni": "network-interface",
    "i": "instance",
    "key": "key-pair",
    "lt": "launch-template",
    "sg": "security-group",
    "sgr": "security-group-rule",
    "sir": "spot-instances-request",
    "snap": "snapshot",
    "subnet": "subnet",
    "vol": "volume",
    "vpc": "vpc",
}
# Action → the parameter by which it hands over a role, or an instance profile with one, and the service that gets it.
PASSES: Final[Mapping[str, tuple[str, str]]] = {
    "ec2:AssociateIamInstanceProfile": ("IamInstanceProfile", "ec2.amazonaws.com"),
    "ec2:ReplaceIamInstanceProfileAssociation": ("IamInstanceProfile", "ec2.amazonaws.com"),
    "ec2:RunInstances": ("IamInstanceProfile", "ec2.amazonaws.com"),
    "events:PutRule": ("RoleArn", "events.amazonaws.com"),
    "events:PutTargets": ("Targets.RoleArn", "events.amazonaws.com"),
    "iam:AddRoleToInstanceProfile": ("RoleName", "ec2.amazonaws.com"),
    "lambda:CreateFunction": ("Role", "lambda.amazonaws.com"),
    "lambda:UpdateFunctionConfiguration": ("Role", "lambda.amazonaws.com"),
}
# An operation that does another one's work too where it has such a parameter: that operation, and its parameters.
ALSO: Final[Mapping[str, tuple[str, str, Mapping[str, str]]]] = {
    "rds:DeleteDBInstance": (
        "FinalDBSnapshotIdentifier",
        "CreateDBSnapshot",
        {"DBInstanceIdentifier": "DBInstanceIdentifier", "DBSnapshotIdentifier": "FinalDBSnapshotIdentifier"},
    ),
}
PASS_ROLE: Final = "iam:PassRole"
SERVICE_LINKED: Final = "iam:CreateServiceLinkedRole"
ANY: Final = "*"
RESOURCE_TAGS: Final = ("aws:resourcetag/", "ec2:resourcetag/")
REQUEST_TAG: Final = "aws:requesttag/"
TAG_KEYS: Final = "aws:tagkeys"


@dataclass(frozen=True)
class Knows:
    """What only the account knows of what a call names.

    tags_of tells the tags of what has that ARN, or nothing where it does not know how, role_of the name of the role in
    an instance profile, and expand the parameters with those that they stand for: a launch template's data, the
    instance of an association.
    """

    tags_of: Callable[[str], Mapping[str, str] | None] = lambda _: {}
    role_of: Callable[[str], str | None] = lambda _: None
    expand: Callable[[str, Parameters], Parameters] = lambda _, parameters: parameters


@dataclass(frozen=True)
class _Named:
    """A resource that a call concerns; is_new where it is yet to be made."""

    kind: ResourceType
    arn: str
    is_new: bool = False

    @property
    def id(self) -> str:
        return self.arn.rpartition("/")[2]


@dataclass(frozen=True)
class _Request:
    """A call as it is judged."""

    action: Action
    parameters: Parameters
    region: str
    knows: Knows

    @property
    def prefix(self) -> str:
        return self.action.name.partition(":")[0]

    @property
    def operation(self) -> str:
        return self.action.name.partition(":")[2]


def needs(service: str, operation: str, parameters: Parameters, region: str, knows: Knows) -> list[Need]:
    """Everything that a call needs; all of it must be allowed."""
    name = f"{service}.{operation}"
    if name in FREE:
        return []
    action = find_action(ACTIONS.get(name, f"{PREFIXES.get(service, service)}:{operation}"))
    request = _Request(action, knows.expand(name, parameters), region, knows)
    named = list(_named(request)) or list(_all_of_them(request))
    return [
        *(_need(request, action, one) for one in named),
        *([_need_of_all(request, action)] if not action.resource_types else []),
        *([Need(action.name, None, _of_call(request))] if _lacks_one(request, named) else []),
        *_tagging(request, named),
        *_passing(request),
        *_also(request),
    ]


def repository_arn(name: str, region: str = settings.REGION) -> str:
    """A repository as policies name it."""
    return f"arn:aws:ecr:{region}:{settings.ACCOUNT_ID}:repository/{name}"


# --- which resources ----------------------------------------------------------------------------------------------


def _named(request: _Request) -> Iterator[_Named]:
    """Of each family of resources those that the call names; of a family's members the most exact one."""
    for _, members in groupby(sorted(request.action.resource_types, key=_family), _family):
        found = [(kind, list(_of_kind(request, kind))) for kind in members]
        exact = max((len(kind.variables) for kind, named in found if named), default=0)
        for kind, named in found:
            if len(kind.variables) == exact:
                yield from named


def _family(kind: ResourceType) -> str:
    return kind.family


def _of_kind(request: _Request, kind: ResourceType) -> Iterator[_Named]:
    arns = [arn for arn in _arns(request.parameters) if kind.fits(arn)]
    if arns:
        yield from (_Named(kind, arn) for arn in arns)
        return
    if request.operation in {"CreateTags", "DeleteTags"} and request.prefix == "ec2":
        ids = [one for one in request.parameters["Resources"] if RESOURCE_TYPES.get(one.partition("-")[0]) == kind.name]
        yield from (_Named(kind, _fill(request, kind, [one])) for one in ids)
        return
    values = [_values_of(request, variable) for variable in kind.variables]
    if all(values):
        yield from (_Named(kind, _fill(request, kind, chosen)) for chosen in product(*values))
    elif _creates(request, kind):
        yield _Named(kind, _fill(request, kind, [(found or [ANY])[0] for found in values]), is_new=True)


def _all_of_them(request: _Request) -> Iterator[_Named]:
    """What a call is about that lists and does not say of which: IAM asks for all that there may be."""
    if request.action.reads and request.operation.startswith(("Describe", "List")):
        for kind in request.action.resource_types:
            yield _Named(kind, _fill(request, kind, [ANY] * len(kind.variables)))


def _lacks_one(request: _Request, named: Iterable[_Named]) -> bool:
    """Whether something of a family must be named and is not, or nothing at all is named where something can be."""
    families = {one.kind.family for one in named}
    required = {kind.family for kind in request.action.resource_types if kind.required}
    return bool(required - families) or bool(request.action.resource_types and not families)


def _creates(request: _Request, kind: ResourceType) -> bool:
    if request.action.name == "elasticloadbalancing:CreateLoadBalancer":
        return kind.name == LOAD_BALANCERS.get(request.parameters.get("Type", "application"))
    made = request.operation.removeprefix("Create").lower() if request.operation.startswith("Create") else ""
    return made == kind.name.replace("-", "") or kind.name in CREATES.get(request.action.name, ())


def _arns(parameters: Parameters) -> Iterator[str]:
    for value in parameters.values():
        for one in value if isinstance(value, list) else [value]:
            if isinstance(one, str) and one.startswith("arn:"):
                yield one


def _values_of(request: _Request, variable: str) -> list[str]:
    """What the call says where an ARN has this variable."""
    if request.action.name == SERVICE_LINKED:
        return [f"aws-service-role/{request.parameters['AWSServiceName']}/{ANY}"]
    paths = NAMES.get(request.prefix, {}).get(variable) or _by_convention(request.parameters, variable)
    found = [value for path in paths for value in _at(request.parameters, path.split("."))]
    plain = PLAIN_NAMES.get(request.prefix, str)
    return [plain(value) for value in dict.fromkeys(found) if not value.startswith("arn:")]


def _by_convention(parameters: Parameters, variable: str) -> list[str]:
    wanted = variable.removesuffix("WithPath").lower()
    return [name for name in parameters if name.lower() in {wanted, f"{wanted}s"}]


def _at(content: Any, path: list[str]) -> Iterator[str]:
    if isinstance(content, list):
        for one in content:
            yield from _at(one, path)
    elif path and isinstance(content, Mapping):
        yield from _at(content.get(path[0]), path[1:])
    elif not path and isinstance(content, str) and content:
        yield content


def _fill(request: _Request, kind: ResourceType, values: Iterable[str]) -> str:
    """An ARN of what it names."""
    remaining = iter(values)
    places = {"Partition": "aws", "Region": request.region, "Account": settings.ACCOUNT_ID}
    arn = VARIABLE.sub(lambda found: places[found[1]] if found[1] in PLACES else next(remaining), kind.arn)
    if request.prefix == "logs" and kind.name == "log-group" and request.action.access_level != TAGGING:
        # In IAM's eyes a group is its stream of no name, which is why policies say <group>:*.
        return f"{arn}:log-stream:"
    # The parameters that AWS itself publishes are in nobody's account.
    return re.sub(r"^(arn:aws:ssm:[^:]*:)\d+(:parameter/aws/)", r"\1\2", arn)


# --- what conditions may ask --------------------------------------------------------------------------------------


def _of_call(request: _Request) -> dict[str, str]:
    context = {"aws:requestedregion": request.region}
    if request.action.name == SERVICE_LINKED:
        context["iam:awsservicename"] = request.parameters["AWSServiceName"]
    return context


def _need(request: _Request, action: Action, one: _Named, more: Mapping[str, str] | None = None) -> Need:
    """An action on one resource, with those tags and keys that the action has in AWS's reference."""
    known = _keys_of(action, one.kind)
    context = {**_of_call(request), **(more or {})}
    if one.kind.name == "instance" and "ec2:instanceid" in known and not one.is_new:
        context["ec2:instanceid"] = one.id
    keys = [key for key in RESOURCE_TAGS if key in known]
    tags = request.knows.tags_of(one.arn) if keys and not one.is_new else {}
    context |= {f"{key}{name.lower()}": value for key in keys for name, value in (tags or {}).items()}
    asked = _request_tags(request, one.kind.name)
    if REQUEST_TAG in known:
        context |= {f"{REQUEST_TAG}{name.lower()}": value for name, value in asked.items() if value is not None}
    lists = {TAG_KEYS: tuple(asked)} if asked and TAG_KEYS in known else {}
    for key in known & LISTED.keys():
        if values := tuple(_at(request.parameters, LISTED[key].split("."))):
            lists[key] = values
    return Need(action.name, one.arn, context, lists, tuple(keys) if tags is None else ())


def _need_of_all(request: _Request, action: Action) -> Need:
    """An action that concerns no resource in AWS's reference, and yet may be given tags (a certificate's request)."""
    asked, known = _request_tags(request, ""), action.condition_keys
    context = _of_call(request)
    if REQUEST_TAG in known:
        context |= {f"{REQUEST_TAG}{name.lower()}": value for name, value in asked.items() if value is not None}
    return Need(action.name, ANY, context, {TAG_KEYS: tuple(asked)} if asked and TAG_KEYS in known else {})


def _keys_of(action: Action, kind: ResourceType) -> frozenset[str]:
    own = next((each.condition_keys for each in action.resource_types if each.name == kind.name), frozenset())
    return own | action.condition_keys


def _request_tags(request: _Request, kind: str) -> dict[str, str | None]:
    """The tags that a call gives or takes away; EC2 has some for each kind of what is made."""
    specified = request.parameters.get("TagSpecifications")
    if specified is not None:
        return {
            tag["Key"]: tag.get("Value")
            for each in specified
            if each.get("ResourceType") == kind
            for tag in each.get("Tags") or []
        }
    by_name = {name.lower(): value for name, value in request.parameters.items()}
    given = by_name.get("tags") or by_name.get("tagkeys") or []
    if isinstance(given, Mapping):
        return dict(given)
    return dict(_tag(one) for one in given)


def _tag(tag: str | Mapping[str, str]) -> tuple[str, str | None]:
    if isinstance(tag, str):
        return tag, None
    lower = {name.lower(): value for name, value in tag.items()}
    return lower["key"], lower.get("value")


# --- what else a call needs ---------------------------------------------------------------------------------------


def _tagging(request: _Request, named: list[_Named]) -> Iterator[Need]:
    """Who makes something with tags must be allowed to tag it."""
    if request.action.access_level == TAGGING or not request.operation.startswith(("Create", "Import", "Put", "Run")):
        return
    kinds = {one.kind.name: one for one in named}
    # What is made, and not what it is made with; where that is not known, all of it.
    made = [one.kind.name for one in named if _creates(request, one.kind)] or list(kinds)
    tagged = [each["ResourceType"] for each in request.parameters.get("TagSpecifications", [])] or made
    for kind in dict.fromkeys(tagged):
        action = tagging_action(request.prefix, kind) if _request_tags(request, kind) else None
        if action is not None:
            one = kinds.get(kind) or _made_beside(request, action, kind)
            # A group's own ARN is the one to be tagged.
            plain = replace(one, arn=one.arn.removesuffix(":log-stream:"), is_new=True)
            more = {"ec2:createaction": request.operation} if request.prefix == "ec2" else {}
            yield _need(request, action, plain, more)


def _made_beside(request: _Request, action: Action, name: str) -> _Named:
    """What a launch makes and is not judged by itself: a Spot request."""
    kind = next(each for each in action.resource_types if each.name == name)
    return _Named(kind, _fill(request, kind, [ANY] * len(kind.variables)), is_new=True)


def _passing(request: _Request) -> Iterator[Need]:
    """Who gives a role to a service must be allowed to pass it."""
    passes = PASSES.get(request.action.name)
    if passes is None:
        given = [name for name in request.parameters if "role" in name.lower()]
        if given and PASS_ROLE in request.action.dependent_actions:
            raise PolicyError(f"{request.action.name} passes a role ({given[0]}), which is not known here")
        return
    path, service = passes
    for role in _passed_roles(request, path):
        context = {**_of_call(request), "iam:passedtoservice": service}
        yield Need(PASS_ROLE, f"arn:aws:iam::{settings.ACCOUNT_ID}:role/{role}", context)


def _passed_roles(request: _Request, path: str) -> Iterator[str]:
    if path == "IamInstanceProfile":
        profile = request.parameters.get(path) or {}
        name = profile.get("Name") or str(profile.get("Arn") or "").rpartition("/")[2]
        role = request.knows.role_of(name) if name else None
        if role:  # without one there is nothing to pass, and EC2 refuses the profile itself
            yield role
    else:
        for value in _at(request.parameters, path.split(".")):
            yield value.rpartition(":role/")[2]


def _also(request: _Request) -> list[Need]:
    when, operation, names = ALSO.get(request.action.name, ("", "", {}))
    if not request.parameters.get(when):
        return []
    parameters = {name: request.parameters[source] for name, source in names.items()}
    return needs(request.prefix, operation, parameters, request.region, request.knows)

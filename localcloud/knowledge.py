# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the account knows of what calls only refer to, for localcloud.permissions. Hold the API's lock."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from moto.core.exceptions import ServiceException

from localcloud.api import Api
from localcloud.fixes import launch_data
from localcloud.permissions import Knows, Parameters


def _pairs(tags: Any) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in tags}


def _last(arn: str) -> str:
    return re.split("[:/]", arn)[-1]


# moto's backends, by the service in an ARN, where they have another name.
SERVICES: Final[Mapping[str, str]] = {"elasticloadbalancing": "elbv2"}
# How moto tells the tags of what has an ARN.
TAGS: Final[Mapping[str, Callable[[Any, str], Mapping[str, str]]]] = {
    "acm": lambda backend, arn: {name: value or "" for name, value in backend._certificates[arn].tags.items()},
    "cloudwatch": lambda backend, arn: backend.list_tags_for_resource(arn),
    "ec2": lambda backend, arn: backend.tags.get(_last(arn), {}),
    "ecr": lambda backend, arn: _pairs(backend.list_tags_for_resource(arn)["tags"]),
    "elasticloadbalancing": lambda backend, arn: backend.describe_tags([arn])[arn],
    "rds": lambda backend, arn: _pairs(backend.list_tags_for_resource(arn)),
    "sqs": lambda backend, arn: backend.get_queue(_last(arn)).tags,
}


def knowledge(api: Api) -> Knows:
    """Of moto's state at the moment it is asked."""

    def tags_of(arn: str) -> Mapping[str, str] | None:
        service = arn.split(":")[2]
        read = TAGS.get(service)
        try:
            return read(api.backends(SERVICES.get(service, service)), arn) if read else None
        except (ServiceException, LookupError):  # there is no such thing, or any of a kind is meant
            return {}

    def role_of(profile: str) -> str | None:
        profiles = api.backends("iam").instance_profiles.values()
        found = next((each for each in profiles if each.name == profile), None)
        return str(found.roles[0].name) if found and found.roles else None

    return Knows(tags_of, role_of, lambda name, parameters: _expand(api.backends("ec2"), name, parameters))


def _expand(ec2: Any, name: str, parameters: Parameters) -> Parameters:
    if name == "ec2.ReplaceIamInstanceProfileAssociation":
        instance = next(
            (
                found.instance.id
                for found in ec2.iam_instance_profile_associations.values()
                if found.association_id == parameters.get("AssociationId")
            ),
            None,
        )
        return {**parameters, **({"InstanceId": instance} if instance else {})}
    if name == "rds.CreateDBInstance":
        # RDS gives an instance that names no option group its engine's own, and asks IAM for that too.
        major = str(parameters.get("EngineVersion", "")).partition(".")[0]
        return {"OptionGroupName": f"default:{parameters.get('Engine')}-{major}", **parameters}
    if template := _template(ec2, parameters):
        launch = launch_data(ec2, parameters) if name == "ec2.RunInstances" else parameters
        return {**launch, "LaunchTemplateId": template.id}
    return parameters


def _template(ec2: Any, parameters: Parameters) -> Any | None:
    """The one that a call names itself, or launches by."""
    named = parameters.get("LaunchTemplate") or parameters
    if "LaunchTemplateName" not in named and "LaunchTemplateId" not in named:
        return None
    try:
        found = ec2.describe_launch_templates(
            template_names=[named["LaunchTemplateName"]] if "LaunchTemplateName" in named else None,
            template_ids=[named["LaunchTemplateId"]] if "LaunchTemplateId" in named else None,
        )
    except ServiceException:  # there is none, which EC2 says itself
        return None
    return found[0] if found else None

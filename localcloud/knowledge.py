# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the account knows of what calls only refer to, for localcloud.permissions. Hold the API's lock."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from moto.core.exceptions import ServiceException

from localcloud.api import Api
from localcloud.fixes import launch_data
from localcloud.permissions import Knows, Parameters


def knowledge(api: Api) -> Knows:
    """Of moto's state at the moment it is asked."""

    def tags_of(resource_id: str) -> Mapping[str, str]:
        tags: Mapping[str, str] = api.backends("ec2").tags.get(resource_id, {})
        return tags

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

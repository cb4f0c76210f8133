#!/usr/bin/python
# Copyright: academy.deploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: instance_launch
version_added: 0.1.0
short_description: Launch an instance in the first zone that has capacity, and wait until it runs
description:
  - Launches one instance, unless the filters find one that lives, and waits until it runs.
  - M(amazon.aws.ec2_instance) knows one subnet, asks EC2 for minutes where that has no capacity, waits ten seconds for
    an instance profile that is new, and does not tell why an instance never ran. Here the next subnet is tried soon,
    a new profile is waited for as long as IAM takes, and EC2's state reason is in the message.
  - Needs the permissions C(ec2:DescribeInstances), C(ec2:DescribeSecurityGroups), C(ec2:RunInstances),
    C(ec2:CreateTags) and C(iam:PassRole).
author:
  - academy.deploy contributors (@academy)
options:
  name:
    description: Name tag of the instance.
    type: str
    required: true
  filters:
    description: What finds the instance where it lives, as EC2's filters.
    type: dict
    required: true
  launch:
    description: How it is launched. Without, one that was launched before is only waited for.
    type: dict
    suboptions:
      subnet_ids:
        description: The subnets, in the order in which they are tried.
        type: list
        elements: str
        required: true
      vpc_id:
        description: Their VPC, in which the security group is looked up.
        type: str
        required: true
      image_id:
        description: The machine image.
        type: str
        required: true
      instance_type:
        description: The instance type.
        type: str
        required: true
      key_name:
        description: Name of the EC2 key pair.
        type: str
        required: true
      instance_profile:
        description: Name of the instance profile.
        type: str
        required: true
      security_group:
        description: Name of the security group.
        type: str
        required: true
      volumes:
        description: The volumes, as M(amazon.aws.ec2_instance) takes them.
        type: list
        elements: dict
        required: true
      metadata_options:
        description: All options of the metadata service, as M(amazon.aws.ec2_instance) takes them.
        type: dict
        required: true
      cpu_credits:
        description: CPU credit mode; for a type that has CPU credits.
        type: str
        choices: [standard, unlimited]
      launch_template:
        description: Name of the launch template that says that it is a Spot instance.
        type: str
      tags:
        description: Tags of the instance and its volumes, beside the name.
        type: dict
        required: true
attributes:
  diff_mode:
    description: Shows nothing.
    support: none
seealso:
  - module: amazon.aws.ec2_instance
extends_documentation_fragment:
  - academy.deploy.attributes.writes
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - amazon.aws.boto3
"""

EXAMPLES = r"""
- name: Wait for an instance that was launched before
  academy.deploy.instance_launch:
    name: academy-api-1
    filters:
      "tag:Name": academy-api-1
      instance-state-name: [pending, running]
"""

RETURN = r"""
instance_id:
  description: The instance; empty in check mode where it would be launched.
  returned: success
  type: str
  sample: i-0123456789abcdef0
subnet_id:
  description: The subnet that it is in.
  returned: success
  type: str
  sample: subnet-0123456789abcdef0
"""

import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from ansible_collections.academy.deploy.plugins.module_utils.aws_calls import ReadError, ask, ask_all
from ansible_collections.academy.deploy.plugins.module_utils.aws_state import filters_of
from ansible_collections.academy.deploy.plugins.module_utils.launch import (
    REMEDIES,
    LaunchError,
    State,
    ended,
    full,
    is_full,
    launch_parameters,
    never_began,
    profile_is_new,
    refused,
    state_of,
)
from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule

with suppress(ImportError):  # AnsibleAWSModule says so.
    from botocore.exceptions import BotoCoreError, ClientError

POLL_SECONDS = 3.0
# IAM takes 10 to 20 seconds, EC2 less than a minute.
PROFILE_SECONDS = 90
BEGIN_SECONDS = 300
LAUNCH = {
    "subnet_ids": {"type": "list", "elements": "str", "required": True},
    "vpc_id": {"type": "str", "required": True},
    "image_id": {"type": "str", "required": True},
    "instance_type": {"type": "str", "required": True},
    "key_name": {"type": "str", "required": True},
    "instance_profile": {"type": "str", "required": True},
    "security_group": {"type": "str", "required": True},
    "volumes": {"type": "list", "elements": "dict", "required": True},
    "metadata_options": {"type": "dict", "required": True},
    "cpu_credits": {"type": "str", "choices": ["standard", "unlimited"]},
    "launch_template": {"type": "str"},
    "tags": {"type": "dict", "required": True},
}


def find(ec2: Any, filters: Mapping[str, Any]) -> State | None:
    reservations = ask_all(ec2, "describe_instances", "Reservations", Filters=filters_of(filters))
    found = [instance for reservation in reservations for instance in reservation["Instances"]]
    return state_of(found[0]) if found else None


def await_begin(ec2: Any, name: str, state: State) -> State:
    """The instance once it is no longer pending."""
    deadline = time.monotonic() + BEGIN_SECONDS
    while state.name == "pending":
        if time.monotonic() > deadline:
            raise LaunchError(never_began(name, state, BEGIN_SECONDS))
        time.sleep(POLL_SECONDS)
        # By a filter, because EC2 may not know an instance yet that it has just launched.
        state = find(ec2, {"instance-id": state.instance_id}) or state
    return state


def run(ec2: Any, name: str, parameters: Mapping[str, Any]) -> State | None:
    """Launch as soon as EC2 knows the instance profile; nothing where it has no capacity."""
    deadline = time.monotonic() + PROFILE_SECONDS
    while True:
        try:
            return state_of(ec2.run_instances(**parameters)["Instances"][0])
        except ClientError as error:
            code, message = error.response["Error"]["Code"], error.response["Error"]["Message"]
            if is_full(code):
                return None
            if code in REMEDIES:
                raise LaunchError(refused(name, code, message)) from error
            if not profile_is_new(code, message) or time.monotonic() > deadline:
                raise ReadError("ec2:RunInstances", error) from error
        except BotoCoreError as error:
            raise ReadError("ec2:RunInstances", error) from error
        time.sleep(POLL_SECONDS)


def launch(ec2: Any, name: str, wanted: Mapping[str, Any]) -> State:
    """The instance, running, in the first subnet whose zone has capacity."""
    filters = {"group-name": wanted["security_group"], "vpc-id": wanted["vpc_id"]}
    groups = ask(ec2, "describe_security_groups", Filters=filters_of(filters))["SecurityGroups"]
    if not groups:
        raise LaunchError(
            f"{name}: {wanted['vpc_id']} has no security group {wanted['security_group']}. Create it: --tags network."
        )
    for subnet_id in wanted["subnet_ids"]:
        state = run(ec2, name, launch_parameters(name, wanted, subnet_id, groups[0]["GroupId"]))
        if state is None:
            continue
        state = await_begin(ec2, name, state)
        if state.name == "running":
            return state
        if not is_full(state.reason_code):
            raise LaunchError(ended(name, state))
    raise LaunchError(full(name, wanted["instance_type"], wanted["subnet_ids"]))


def ensure(
    ec2: Any, name: str, filters: Mapping[str, Any], wanted: Mapping[str, Any] | None, check_mode: bool
) -> dict[str, Any]:
    found = find(ec2, filters)
    launches = found is None and wanted is not None
    if check_mode and (launches or found is None):
        return {"changed": launches, "instance_id": "", "subnet_id": ""}
    if found is None and wanted is None:
        raise LaunchError(f"{name}: the instance that was launched before is gone. Run again to launch another one.")
    if wanted is not None and found is None:
        state = launch(ec2, name, wanted)
    else:
        assert found is not None
        state = found if check_mode else await_begin(ec2, name, found)
        if state.name in ("shutting-down", "terminated"):
            raise LaunchError(ended(name, state))
    return {"changed": launches, "instance_id": state.instance_id, "subnet_id": state.subnet_id}


def main() -> None:
    module = AnsibleAWSModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "filters": {"type": "dict", "required": True},
            "launch": {"type": "dict", "options": LAUNCH},
        },
        supports_check_mode=True,
    )
    asked = module.params
    try:
        result = ensure(module.client("ec2"), asked["name"], asked["filters"], asked["launch"], module.check_mode)
    except LaunchError as error:
        module.fail_json(msg=str(error))
    except ReadError as error:
        module.fail_json_aws(error.cause, msg=f"Cannot launch {asked['name']} ({error.action})")
    module.exit_json(**result)


if __name__ == "__main__":
    main()

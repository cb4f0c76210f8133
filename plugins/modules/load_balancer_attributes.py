#!/usr/bin/python
# Copyright: academy.deploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: load_balancer_attributes
short_description: Set attributes of a load balancer or of a target group
version_added: 0.1.0
description:
  - Sets those attributes that are named, by AWS's own names, and leaves all others.
  - M(amazon.aws.elb_application_lb) does not know all of them, and fails where AWS tells not all of those that it does
    know. M(community.aws.elb_target_group) switches stickiness on and never off.
options:
  load_balancer_name:
    description: The load balancer, which must exist.
    type: str
  target_group_name:
    description: The target group, which must exist.
    type: str
  attributes:
    description: The attributes and their values.
    type: dict
    required: true
attributes:
  diff_mode:
    description: Shows the attributes before and after.
    support: full
seealso:
  - module: amazon.aws.elb_application_lb
  - module: community.aws.elb_target_group
extends_documentation_fragment:
  - academy.deploy.attributes.writes
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - amazon.aws.boto3
author:
  - academy.deploy contributors (@academy)
"""

EXAMPLES = r"""
- name: Let nobody delete the load balancer
  academy.deploy.load_balancer_attributes:
    load_balancer_name: academy-alb
    attributes:
      deletion_protection.enabled: "true"
"""

RETURN = r"""
attributes:
  description: Those that were changed, with their new values.
  returned: success
  type: dict
  sample: {"deletion_protection.enabled": "true"}
"""

from contextlib import suppress
from typing import Any

from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule
from ansible_collections.amazon.aws.plugins.module_utils.retries import AWSRetry
from ansible_collections.amazon.aws.plugins.module_utils.tagging import (
    ansible_dict_to_boto3_tag_list,
    boto3_tag_list_to_ansible_dict,
)

with suppress(ImportError):  # AnsibleAWSModule says so.
    from botocore.exceptions import BotoCoreError, ClientError

# The list in the answer, the parameter by which the rest asks, and the two calls.
CALLS = {
    "load_balancer_name": ("load_balancers", "LoadBalancers", "LoadBalancerArn", "load_balancer_attributes"),
    "target_group_name": ("target_groups", "TargetGroups", "TargetGroupArn", "target_group_attributes"),
}


def ensure(client: Any, option: str, name: str, attributes: dict[str, str], check_mode: bool) -> dict[str, Any]:
    things, key, arn_word, calls = CALLS[option]
    arn = getattr(client, f"describe_{things}")(Names=[name], aws_retry=True)[key][0][arn_word]
    answer = getattr(client, f"describe_{calls}")(**{arn_word: arn}, aws_retry=True)
    found = {each: str(value) for each, value in boto3_tag_list_to_ansible_dict(answer["Attributes"]).items()}
    changed = {each: str(value) for each, value in attributes.items() if found.get(each) != str(value)}
    if changed and not check_mode:
        wanted = ansible_dict_to_boto3_tag_list(changed)
        getattr(client, f"modify_{calls}")(**{arn_word: arn}, Attributes=wanted, aws_retry=True)
    before = {each: found.get(each) for each in changed}
    return {"changed": bool(changed), "attributes": changed, "diff": {"before": before, "after": changed}}


def main() -> None:
    module = AnsibleAWSModule(
        argument_spec={
            "load_balancer_name": {"type": "str"},
            "target_group_name": {"type": "str"},
            "attributes": {"type": "dict", "required": True},
        },
        mutually_exclusive=[tuple(CALLS)],
        required_one_of=[tuple(CALLS)],
        supports_check_mode=True,
    )
    option = next(name for name in CALLS if module.params[name] is not None)
    try:
        client = module.client("elbv2", retry_decorator=AWSRetry.jittered_backoff())
        module.exit_json(
            **ensure(client, option, module.params[option], module.params["attributes"], module.check_mode)
        )
    except (BotoCoreError, ClientError) as error:
        module.fail_json_aws(error, msg=f"Cannot set the attributes of {module.params[option]}")


if __name__ == "__main__":
    main()

#!/usr/bin/python
# Copyright: academy.deploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: load_balancer_targets
short_description: Register instances in a target group, or deregister them
version_added: 0.1.0
description:
  - Registers and deregisters those instances that are named, and leaves all others.
  - M(community.aws.elb_target) does not register a target that is still being drained, as after a quick stop and start,
    and M(community.aws.elb_target_group) deregisters whatever it is not told of.
options:
  target_group_name:
    description: The target group, which must exist.
    type: str
    required: true
  port:
    description: The port at which the instances answer.
    type: int
    required: true
  register:
    description: Ids of instances that run.
    type: list
    elements: str
    default: []
  deregister:
    description: Ids of instances. Those that are not registered, or are being drained, are left alone.
    type: list
    elements: str
    default: []
attributes:
  diff_mode:
    description: Shows the targets before and after.
    support: full
seealso:
  - module: community.aws.elb_target
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
- name: Send requests to another host
  academy.deploy.load_balancer_targets:
    target_group_name: academy-api
    port: 8000
    register: [i-0123456789abcdef0]
    deregister: [i-0fedcba9876543210]
"""

RETURN = r"""
registered:
  description: The instances that were registered.
  returned: success
  type: list
  elements: str
  sample: [i-0123456789abcdef0]
deregistered:
  description: The instances that were deregistered.
  returned: success
  type: list
  elements: str
  sample: [i-0fedcba9876543210]
"""

from contextlib import suppress
from typing import Any

from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule
from ansible_collections.amazon.aws.plugins.module_utils.retries import AWSRetry

with suppress(ImportError):  # AnsibleAWSModule says so.
    from botocore.exceptions import BotoCoreError, ClientError

LEAVING = "draining"


def ensure(client: Any, parameters: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    groups = client.describe_target_groups(Names=[parameters["target_group_name"]], aws_retry=True)["TargetGroups"]
    arn, port = groups[0]["TargetGroupArn"], parameters["port"]
    told = client.describe_target_health(TargetGroupArn=arn, aws_retry=True)["TargetHealthDescriptions"]
    there = {
        each["Target"]["Id"]
        for each in told
        if int(each["Target"]["Port"]) == port and each["TargetHealth"]["State"] != LEAVING
    }
    registered = [each for each in parameters["register"] if each not in there]
    deregistered = [each for each in parameters["deregister"] if each in there]

    def targets(ids: list[str]) -> list[dict[str, Any]]:
        return [{"Id": each, "Port": port} for each in ids]

    if not check_mode:
        # First whoever comes, so that somebody is always there.
        if registered:
            client.register_targets(TargetGroupArn=arn, Targets=targets(registered), aws_retry=True)
        if deregistered:
            client.deregister_targets(TargetGroupArn=arn, Targets=targets(deregistered), aws_retry=True)
    after = sorted((there | set(registered)) - set(deregistered))
    return {
        "changed": bool(registered or deregistered),
        "registered": registered,
        "deregistered": deregistered,
        "diff": {"before": sorted(there), "after": after},
    }


def main() -> None:
    module = AnsibleAWSModule(
        argument_spec={
            "target_group_name": {"type": "str", "required": True},
            "port": {"type": "int", "required": True},
            "register": {"type": "list", "elements": "str", "default": []},
            "deregister": {"type": "list", "elements": "str", "default": []},
        },
        supports_check_mode=True,
    )
    try:
        client = module.client("elbv2", retry_decorator=AWSRetry.jittered_backoff())
        module.exit_json(**ensure(client, module.params, module.check_mode))
    except (BotoCoreError, ClientError) as error:
        module.fail_json_aws(error, msg=f"Cannot change the targets of {module.params['target_group_name']}")


if __name__ == "__main__":
    main()

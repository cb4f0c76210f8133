#!/usr/bin/python
# Copyright: academy.deploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: network_info
short_description: Find the subnets and security groups that the deployment uses
version_added: "0.1.0"
description:
  - Finds the subnets named, those of a VPC, or those of the account's default VPC, and sees to it that they lie in one
    VPC and in enough availability zones, which RDS and load balancers demand.
  - Reads only. Where the account has no network that fits, the message says which rule failed and what to do.
options:
  vpc_id:
    description:
      - The VPC to use.
      - When neither this nor O(subnet_ids) is given, the account's default VPC is used.
    type: str
  subnet_ids:
    description: The subnets to use. Empty means all of O(vpc_id).
    type: list
    elements: str
    default: []
  minimum_zones:
    description: How many availability zones the subnets must lie in.
    type: int
    default: 2
  instance_type:
    description: Leave subnets out whose availability zone does not offer this type, and tell its memory.
    type: str
  security_group_names:
    description: Security groups of that VPC to look up by name. One that does not exist is left out of the answer.
    type: list
    elements: str
    default: []
extends_documentation_fragment:
  - academy.deploy.attributes.info
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - amazon.aws.boto3
author:
  - academy.deploy contributors
"""

EXAMPLES = r"""
- name: Find the default VPC and two of our security groups in it
  academy.deploy.network_info:
    security_group_names: [academy-api-sg, academy-worker-sg]

- name: Find the subnets of our own VPC in which a video worker can run
  academy.deploy.network_info:
    vpc_id: vpc-0123456789abcdef0
    instance_type: t4g.medium
    minimum_zones: 1
"""

RETURN = r"""
vpc_id:
  description: The VPC of the subnets.
  returned: success
  type: str
  sample: vpc-0123456789abcdef0
subnets:
  description: The usable subnets, by zone.
  returned: success
  type: list
  elements: dict
  contains:
    subnet_id:
      description: The id of the subnet.
      type: str
    vpc_id:
      description: The VPC of the subnet.
      type: str
    zone:
      description: Its availability zone.
      type: str
instance_memory_mib:
  description: The memory of O(instance_type).
  returned: when O(instance_type) is given
  type: int
  sample: 4096
security_groups:
  description: The ids of the security groups that exist, by name.
  returned: success
  type: dict
  sample: {"academy-api-sg": "sg-0123456789abcdef0"}
"""

from contextlib import suppress
from dataclasses import asdict
from typing import Any

from ansible_collections.academy.deploy.plugins.module_utils.network import (
    NetworkError,
    Subnet,
    choose_network,
    subnet_filters,
)
from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule
from ansible_collections.amazon.aws.plugins.module_utils.retries import AWSRetry
from ansible_collections.amazon.aws.plugins.module_utils.transformation import ansible_dict_to_boto3_filter_list

with suppress(ImportError):  # AnsibleAWSModule says so.
    from botocore.exceptions import BotoCoreError, ClientError


def _all(client: Any, operation: str, key: str, filters: dict[str, list[str]], **options: str) -> list[dict[str, Any]]:
    pages = client.get_paginator(operation).paginate(Filters=ansible_dict_to_boto3_filter_list(filters), **options)
    answer: list[dict[str, Any]] = pages.build_full_result()[key]
    return answer


def find_subnets(client: Any, vpc_id: str, subnet_ids: list[str]) -> list[Subnet]:
    found = _all(client, "describe_subnets", "Subnets", subnet_filters(vpc_id, subnet_ids))
    return [Subnet(subnet["SubnetId"], subnet["VpcId"], subnet["AvailabilityZone"]) for subnet in found]


def find_offered_zones(client: Any, instance_type: str) -> list[str]:
    offerings = _all(
        client,
        "describe_instance_type_offerings",
        "InstanceTypeOfferings",
        {"instance-type": [instance_type]},
        LocationType="availability-zone",
    )
    return [offering["Location"] for offering in offerings]


def find_memory(client: Any, instance_type: str) -> int:
    """In MiB, of a type that is offered."""
    (found,) = _all(client, "describe_instance_types", "InstanceTypes", {"instance-type": [instance_type]})
    return int(found["MemoryInfo"]["SizeInMiB"])


def find_security_groups(client: Any, vpc_id: str, names: list[str]) -> dict[str, str]:
    found = _all(client, "describe_security_groups", "SecurityGroups", {"vpc-id": [vpc_id], "group-name": names})
    return {group["GroupName"]: group["GroupId"] for group in found}


def observe(client: Any, params: dict[str, Any]) -> dict[str, Any]:
    vpc_id, subnet_ids, instance_type = params["vpc_id"] or "", params["subnet_ids"], params["instance_type"]
    network = choose_network(
        find_subnets(client, vpc_id, subnet_ids),
        vpc_id,
        subnet_ids,
        find_offered_zones(client, instance_type) if instance_type else None,
        params["minimum_zones"],
    )
    names = params["security_group_names"]
    return {
        **asdict(network),
        **({"instance_memory_mib": find_memory(client, instance_type)} if instance_type else {}),
        "security_groups": find_security_groups(client, network.vpc_id, names) if names else {},
    }


def main() -> None:
    module = AnsibleAWSModule(
        argument_spec={
            "vpc_id": {"type": "str"},
            "subnet_ids": {"type": "list", "elements": "str", "default": []},
            "minimum_zones": {"type": "int", "default": 2},
            "instance_type": {"type": "str"},
            "security_group_names": {"type": "list", "elements": "str", "default": []},
        },
        supports_check_mode=True,
    )
    client = module.client("ec2", retry_decorator=AWSRetry.jittered_backoff())
    try:
        module.exit_json(changed=False, **observe(client, module.params))
    except NetworkError as error:
        module.fail_json(msg=str(error))
    except (ClientError, BotoCoreError) as error:
        module.fail_json_aws(error, msg="Cannot look up the network")


if __name__ == "__main__":
    main()

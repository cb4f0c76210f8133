#!/usr/bin/python
# Copyright: academy.deploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: spot_cancellation
version_added: 0.1.0
short_description: Cancel Spot requests in whatever state they are
description:
  - Cancels every one of the requests that still stands, so that EC2 launches nothing for it any more.
  - M(amazon.aws.ec2_spot_instance) leaves a request alone whose instance is stopped (C(disabled)), which is how a host
    that stops itself rests. Its instance terminated, EC2 would open such a request again and launch another one.
  - EC2 terminates the stopped instance of a request that is cancelled; a running one goes on. The result names it.
  - Needs the permissions C(ec2:DescribeSpotInstanceRequests), C(ec2:CancelSpotInstanceRequests) and
    C(ec2:DescribeInstances).
author:
  - academy.deploy contributors (@academy)
options:
  spot_instance_request_ids:
    description:
      - The requests. One that EC2 has forgotten needs no cancelling.
    type: list
    elements: str
    required: true
attributes:
  diff_mode:
    description: Shows the state of each request before.
    support: full
seealso:
  - module: amazon.aws.ec2_spot_instance
extends_documentation_fragment:
  - academy.deploy.attributes.writes
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - amazon.aws.boto3
"""

EXAMPLES = r"""
- name: Let EC2 launch nothing any more
  academy.deploy.spot_cancellation:
    spot_instance_request_ids: [sir-1a2b3c4d]
"""

RETURN = r"""
cancelled:
  description: The requests that were cancelled, or would have been.
  returned: always
  type: list
  elements: str
  sample: [sir-1a2b3c4d]
instance_ids:
  description: The instances of all these requests that are not terminated, also what was launched last.
  returned: always
  type: list
  elements: str
  sample: [i-0123456789abcdef0]
"""

from typing import Any

from ansible_collections.academy.deploy.plugins.module_utils.aws_calls import ReadError, ask, ask_all
from ansible_collections.academy.deploy.plugins.module_utils.aws_state import filters_of
from ansible_collections.academy.deploy.plugins.module_utils.spot import LIVING_STATES, STANDING_STATES
from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule


def read_requests(ec2: Any, ids: list[str]) -> list[dict[str, Any]]:
    """By a filter, because an identifier that EC2 does not know any more is an error otherwise."""
    filters = filters_of({"spot-instance-request-id": ids})
    return ask_all(ec2, "describe_spot_instance_requests", "SpotInstanceRequests", Filters=filters) if ids else []


def living(ec2: Any, ids: list[str]) -> list[str]:
    filters = filters_of({"instance-id": ids, "instance-state-name": LIVING_STATES})
    reservations = ask_all(ec2, "describe_instances", "Reservations", Filters=filters) if ids else []
    return sorted(found["InstanceId"] for reservation in reservations for found in reservation["Instances"])


def cancel(ec2: Any, ids: list[str], check_mode: bool) -> dict[str, Any]:
    requests = read_requests(ec2, ids)
    before = {found["SpotInstanceRequestId"]: found["State"] for found in requests if found["State"] in STANDING_STATES}
    if before and not check_mode:
        ask(ec2, "cancel_spot_instance_requests", SpotInstanceRequestIds=sorted(before))
        # It may have been fulfilled once more before it was cancelled.
        requests = read_requests(ec2, ids)
    instances = sorted({found["InstanceId"] for found in requests if found.get("InstanceId")})
    return {
        "changed": bool(before),
        "cancelled": sorted(before),
        "instance_ids": living(ec2, instances),
        "diff": {"before": before, "after": dict.fromkeys(before, "cancelled")},
    }


def main() -> None:
    module = AnsibleAWSModule(
        argument_spec={"spot_instance_request_ids": {"type": "list", "elements": "str", "required": True}},
        supports_check_mode=True,
    )
    try:
        module.exit_json(**cancel(module.client("ec2"), module.params["spot_instance_request_ids"], module.check_mode))
    except ReadError as error:
        module.fail_json_aws(error.cause, msg=f"Cannot cancel the Spot requests ({error.action})")


if __name__ == "__main__":
    main()

#!/usr/bin/python
# Copyright: academy.deploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: load_balancer_listener
short_description: Set what amazon.aws.elb_application_lb does not know of a listener
version_added: 0.1.0
description:
  - Sets those attributes of a listener that are named, and leaves all others. Gives it these tags and no others.
  - Takes away every certificate beside its own one, which it would show to who asks for another name.
  - Switches mutual TLS off, by which it asks each client for a certificate.
options:
  load_balancer_name:
    description: The load balancer, which must exist.
    type: str
    required: true
  port:
    description: Port of the listener, which must exist.
    type: int
    required: true
  attributes:
    description: The attributes and their values, by AWS's own names.
    type: dict
    required: true
  tags:
    description: The tags. Those of AWS itself are left.
    type: dict
    required: true
attributes:
  diff_mode:
    description: Shows certificates, mutual TLS, attributes and tags before and after.
    support: full
seealso:
  - module: amazon.aws.elb_application_lb
  - module: academy.deploy.load_balancer_attributes
extends_documentation_fragment:
  - academy.deploy.attributes.writes
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - amazon.aws.boto3
author:
  - academy.deploy contributors (@academy)
"""

EXAMPLES = r"""
- name: Let the listener tell which server answers, as AWS has it
  academy.deploy.load_balancer_listener:
    load_balancer_name: academy-alb
    port: 443
    attributes:
      routing.http.response.server.enabled: "true"
    tags:
      Project: academy
"""

RETURN = r"""
listener_arn:
  description: The listener.
  returned: success
  type: str
  sample: arn:aws:elasticloadbalancing:ap-northeast-2:123456789012:listener/app/academy-alb/1/2
"""

from contextlib import suppress
from typing import Any

from ansible_collections.academy.deploy.plugins.module_utils.tags import own_tags
from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule
from ansible_collections.amazon.aws.plugins.module_utils.retries import AWSRetry
from ansible_collections.amazon.aws.plugins.module_utils.tagging import (
    ansible_dict_to_boto3_tag_list,
    boto3_tag_list_to_ansible_dict,
)

with suppress(ImportError):  # AnsibleAWSModule says so.
    from botocore.exceptions import BotoCoreError, ClientError

OFF = "off"


def read(client: Any, name: str, port: int) -> dict[str, Any]:
    """The listener with what has calls of its own."""
    balancer = client.describe_load_balancers(Names=[name], aws_retry=True)["LoadBalancers"][0]["LoadBalancerArn"]
    listeners = client.describe_listeners(LoadBalancerArn=balancer, aws_retry=True)["Listeners"]
    listener = next(one for one in listeners if one["Port"] == port)
    arn = {"ListenerArn": listener["ListenerArn"], "aws_retry": True}
    secure = listener["Protocol"] == "HTTPS"
    certificates = client.describe_listener_certificates(**arn)["Certificates"] if secure else []
    attributes = client.describe_listener_attributes(**arn)["Attributes"]
    (told,) = client.describe_tags(ResourceArns=[listener["ListenerArn"]], aws_retry=True)["TagDescriptions"]
    return {
        "arn": listener["ListenerArn"],
        "more_certificates": sorted(one["CertificateArn"] for one in certificates if not one["IsDefault"]),
        "mutual_authentication": listener.get("MutualAuthentication", {}).get("Mode", OFF),
        "attributes": boto3_tag_list_to_ansible_dict(attributes),
        "tags": own_tags(boto3_tag_list_to_ansible_dict(told["Tags"])),
    }


def ensure(client: Any, wanted: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    found = read(client, wanted["load_balancer_name"], wanted["port"])
    arn = found.pop("arn")
    attributes = {key: str(value) for key, value in wanted["attributes"].items()}
    before = {**found, "attributes": {key: found["attributes"].get(key) for key in attributes}}
    after = {
        "more_certificates": [],
        "mutual_authentication": OFF,
        "attributes": attributes,
        "tags": {key: str(value) for key, value in wanted["tags"].items()},
    }
    if before != after and not check_mode:
        apply(client, arn, before, after)
    return {"changed": before != after, "listener_arn": arn, "diff": {"before": before, "after": after}}


def apply(client: Any, arn: str, before: dict[str, Any], after: dict[str, Any]) -> None:
    if before["mutual_authentication"] != OFF:
        client.modify_listener(ListenerArn=arn, MutualAuthentication={"Mode": OFF}, aws_retry=True)
    # AWS takes one of them with each call.
    for certificate in before["more_certificates"]:
        named = [{"CertificateArn": certificate}]
        client.remove_listener_certificates(ListenerArn=arn, Certificates=named, aws_retry=True)
    if before["attributes"] != after["attributes"]:
        listed = ansible_dict_to_boto3_tag_list(after["attributes"])
        client.modify_listener_attributes(ListenerArn=arn, Attributes=listed, aws_retry=True)
    if gone := sorted(before["tags"].keys() - after["tags"].keys()):
        client.remove_tags(ResourceArns=[arn], TagKeys=gone, aws_retry=True)
    if other := dict(sorted(after["tags"].items() - before["tags"].items())):
        client.add_tags(ResourceArns=[arn], Tags=ansible_dict_to_boto3_tag_list(other), aws_retry=True)


def main() -> None:
    module = AnsibleAWSModule(
        argument_spec={
            "load_balancer_name": {"type": "str", "required": True},
            "port": {"type": "int", "required": True},
            "attributes": {"type": "dict", "required": True},
            "tags": {"type": "dict", "required": True},
        },
        supports_check_mode=True,
    )
    try:
        client = module.client("elbv2", retry_decorator=AWSRetry.jittered_backoff())
        module.exit_json(**ensure(client, module.params, module.check_mode))
    except (BotoCoreError, ClientError) as error:
        message = f"Cannot set what is wanted of the listener {module.params['port']}"
        module.fail_json_aws(error, msg=f"{message} of {module.params['load_balancer_name']}")


if __name__ == "__main__":
    main()

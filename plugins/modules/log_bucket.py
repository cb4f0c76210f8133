#!/usr/bin/python
# Copyright: academy.deploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: log_bucket
short_description: Keep a bucket into which an AWS service writes logs
version_added: 0.1.0
description:
  - Makes the bucket where there is none, and sets its policy, its lifecycle, whom it is public to and its tags.
  - M(amazon.aws.s3_bucket) asks for a dozen rights to read what nobody changes here, and knows no lifecycle.
  - What lies in the bucket is left alone.
options:
  bucket:
    description: Name of the bucket.
    type: str
    required: true
  policy:
    description: The bucket's policy.
    type: dict
    required: true
  public_access_block:
    description: As C(PutPublicAccessBlock) takes it.
    type: dict
    required: true
  lifecycle:
    description: The rules, each with C(status), C(prefix) and C(expiration).
    type: list
    elements: dict
    required: true
  tags:
    description: All of the bucket's tags.
    type: dict
    required: true
extends_documentation_fragment:
  - academy.deploy.attributes.writes
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - amazon.aws.boto3
attributes:
  diff_mode:
    description: Shows what was set before.
    support: full
author:
  - academy.deploy contributors (@academy)
"""

EXAMPLES = r"""
- name: Create or update the bucket of the access logs
  academy.deploy.log_bucket:
    bucket: academy-alb-logs-123456789012
    policy: "{{ policy }}"
    public_access_block:
      BlockPublicAcls: true
      IgnorePublicAcls: true
      BlockPublicPolicy: true
      RestrictPublicBuckets: true
    lifecycle: [{ status: Enabled, prefix: "", expiration: { Days: 30 } }]
    tags: { Project: academy }
"""

RETURN = r"""
settings:
  description: What was set, or would be, by the option's name.
  returned: success
  type: list
  elements: str
  sample: [policy]
"""

import json
from contextlib import suppress
from typing import Any

from ansible_collections.academy.deploy.plugins.module_utils.aws_calls import ReadError
from ansible_collections.academy.deploy.plugins.module_utils.aws_state import read_bucket
from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule
from ansible_collections.amazon.aws.plugins.module_utils.retries import AWSRetry
from ansible_collections.amazon.aws.plugins.module_utils.tagging import ansible_dict_to_boto3_tag_list

with suppress(ImportError):  # AnsibleAWSModule says so.
    from botocore.exceptions import BotoCoreError, ClientError

# Tags first: whoever is interrupted after that finds it as its own.
SETTINGS = ("tags", "public_access_block", "policy", "lifecycle")
FIRST_REGION = "us-east-1"  # which S3 refuses to be told


def create(client: Any, name: str) -> None:
    region = client.meta.region_name
    where = {} if region == FIRST_REGION else {"CreateBucketConfiguration": {"LocationConstraint": region}}
    client.create_bucket(Bucket=name, **where, aws_retry=True)


def write(client: Any, name: str, setting: str, value: Any) -> None:
    if setting == "policy":
        client.put_bucket_policy(Bucket=name, Policy=json.dumps(value), aws_retry=True)
    elif setting == "public_access_block":
        client.put_public_access_block(Bucket=name, PublicAccessBlockConfiguration=value, aws_retry=True)
    elif setting == "tags":
        tags = {"TagSet": ansible_dict_to_boto3_tag_list(value)}
        client.put_bucket_tagging(Bucket=name, Tagging=tags, aws_retry=True)
    else:
        rules = [
            {
                "ID": f"rule-{number}",
                "Status": rule["status"],
                "Filter": {"Prefix": rule["prefix"]},
                "Expiration": rule["expiration"],
            }
            for number, rule in enumerate(value)
        ]
        client.put_bucket_lifecycle_configuration(Bucket=name, LifecycleConfiguration={"Rules": rules}, aws_retry=True)


def ensure(client: Any, parameters: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    name = parameters["bucket"]
    found = read_bucket(client, name)
    before = found or {}
    different = [setting for setting in SETTINGS if before.get(setting) != parameters[setting]]
    if not check_mode:
        if found is None:
            create(client, name)
        for setting in different:
            write(client, name, setting, parameters[setting])
    diff = {
        "before": {setting: before.get(setting) for setting in different},
        "after": {setting: parameters[setting] for setting in different},
    }
    return {"changed": bool(different), "settings": different, "diff": diff}


def main() -> None:
    module = AnsibleAWSModule(
        argument_spec={
            "bucket": {"type": "str", "required": True},
            "policy": {"type": "dict", "required": True},
            "public_access_block": {"type": "dict", "required": True},
            "lifecycle": {"type": "list", "elements": "dict", "required": True},
            "tags": {"type": "dict", "required": True},
        },
        supports_check_mode=True,
    )
    try:
        client = module.client("s3", retry_decorator=AWSRetry.jittered_backoff())
        module.exit_json(**ensure(client, module.params, module.check_mode))
    except ReadError as error:
        module.fail_json_aws(error.cause, msg=f"Cannot read the bucket {module.params['bucket']} ({error.action})")
    except (BotoCoreError, ClientError) as error:
        module.fail_json_aws(error, msg=f"Cannot set up the bucket {module.params['bucket']}")


if __name__ == "__main__":
    main()

#!/usr/bin/python
# Copyright: academy.deploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: acm_certificate_request
short_description: Request a certificate of Certificate Manager that is validated by DNS
version_added: 0.1.0
description:
  - Requests a public certificate for one name, and waits until Certificate Manager has named the record by which it
    validates. It does not wait until the certificate is issued.
  - M(community.aws.acm_certificate) imports and deletes certificates and cannot request any.
  - A certificate of the deployment, which carries the same Project tag, that is issued or waits for its validation is
    taken for the one that is wanted; its tags are updated.
options:
  domain_name:
    description: The name, without a wildcard.
    type: str
    required: true
  tags:
    description: The tags of the certificate, Project among them.
    type: dict
    required: true
  wait_seconds:
    description: How long to wait for the validation record, which takes some seconds.
    type: int
    default: 60
attributes:
  diff_mode:
    description: Shows the tags before and after.
    support: full
seealso:
  - module: community.aws.acm_certificate
extends_documentation_fragment:
  - academy.deploy.attributes.writes
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - amazon.aws.boto3
author:
  - academy.deploy contributors (@academy)
"""

EXAMPLES = r"""
- name: Request the certificate of the API
  academy.deploy.acm_certificate_request:
    domain_name: api.example.com
    tags:
      Project: academy
"""

RETURN = r"""
certificate_arn:
  description: The certificate; empty where in check mode one would be requested.
  returned: success
  type: str
  sample: arn:aws:acm:ap-northeast-2:123456789012:certificate/12345678-1234-1234-1234-123456789012
status:
  description: Its status, as Certificate Manager tells it.
  returned: success
  type: str
  sample: PENDING_VALIDATION
validation_records:
  description: The records that must be in DNS, each with C(name), C(kind) and C(value).
  returned: success
  type: list
  elements: dict
  sample: [{"name": "_x.api.example.com", "kind": "CNAME", "value": "_y.acm-validations.aws"}]
"""

import time
from contextlib import suppress
from typing import Any

from ansible_collections.academy.deploy.plugins.module_utils.aws_calls import ReadError
from ansible_collections.academy.deploy.plugins.module_utils.aws_state import read_certificates
from ansible_collections.academy.deploy.plugins.module_utils.certificates import (
    choose,
    is_wanting,
    request_token,
    validation_records,
)
from ansible_collections.academy.deploy.plugins.module_utils.tags import own_tags
from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule
from ansible_collections.amazon.aws.plugins.module_utils.retries import AWSRetry
from ansible_collections.amazon.aws.plugins.module_utils.tagging import (
    ansible_dict_to_boto3_tag_list,
    compare_aws_tags,
)

with suppress(ImportError):  # AnsibleAWSModule says so.
    from botocore.exceptions import BotoCoreError, ClientError

POLL_SECONDS = 2


def request(client: Any, name: str, tags: dict[str, str], after: str) -> str:
    """Ask for one. Interrupted and asked again within the hour, it is the same."""
    answer = client.request_certificate(
        DomainName=name,
        ValidationMethod="DNS",
        IdempotencyToken=request_token(name, after),
        Tags=ansible_dict_to_boto3_tag_list(tags),
        aws_retry=True,
    )
    return str(answer["CertificateArn"])


def update_tags(client: Any, arn: str, before: dict[str, str], after: dict[str, str]) -> None:
    to_set, to_remove = compare_aws_tags(before, after)
    if to_remove:
        removed = [{"Key": key, "Value": before[key]} for key in to_remove]
        client.remove_tags_from_certificate(CertificateArn=arn, Tags=removed, aws_retry=True)
    if to_set:
        client.add_tags_to_certificate(CertificateArn=arn, Tags=ansible_dict_to_boto3_tag_list(to_set), aws_retry=True)


def described(client: Any, arn: str, seconds: int) -> dict[str, Any]:
    """The certificate, once its validation record is known or the time is up."""
    ends = time.monotonic() + seconds
    while True:
        found: dict[str, Any] = next(iter(read_certificates(client, arn)), {})
        if validation_records(found) or found.get("status") == "FAILED" or time.monotonic() >= ends:
            return found
        time.sleep(POLL_SECONDS)


def ensure(client: Any, parameters: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    name, tags = parameters["domain_name"], parameters["tags"]
    found = choose(read_certificates(client, name), "", tags.get("Project", ""))
    before = own_tags(found["tags"]) if found else {}
    arn = found["certificate_arn"] if found else ""
    wanting = is_wanting(found, "")
    changed = wanting or before != tags
    if changed and not check_mode:
        if wanting:
            arn = request(client, name, tags, arn)
        else:
            update_tags(client, arn, before, tags)
    now = described(client, arn, parameters["wait_seconds"]) if arn and not check_mode else found or {}
    return {
        "changed": changed,
        "certificate_arn": "" if wanting and check_mode else arn,
        "status": now.get("status", ""),
        "validation_records": [record._asdict() for record in validation_records(now)],
        "diff": {"before": {} if wanting else before, "after": tags},
    }


def main() -> None:
    module = AnsibleAWSModule(
        argument_spec={
            "domain_name": {"type": "str", "required": True},
            "tags": {"type": "dict", "required": True},
            "wait_seconds": {"type": "int", "default": 60},
        },
        supports_check_mode=True,
    )
    try:
        client = module.client("acm", retry_decorator=AWSRetry.jittered_backoff())
        module.exit_json(**ensure(client, module.params, module.check_mode))
    except ReadError as error:
        module.fail_json_aws(error.cause, msg=f"Cannot read the certificates ({error.action})")
    except (BotoCoreError, ClientError) as error:
        module.fail_json_aws(error, msg=f"Cannot request a certificate for {module.params['domain_name']}")


if __name__ == "__main__":
    main()

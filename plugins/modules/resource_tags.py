#!/usr/bin/python
# Copyright: academy.deploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: resource_tags
short_description: Give what the collections' modules cannot tag its resource tags
version_added: "0.1.0"
description:
  - Sets the resource tags of ECR repositories, CloudWatch alarms and EventBridge rules, and removes others.
  - M(community.aws.ecs_ecr), M(amazon.aws.cloudwatch_metric_alarm) and M(amazon.aws.cloudwatchevent_rule), which make
    them, have no option for that.
options:
  resource_arns:
    description:
      - The ARNs, all of one of these services. In check mode one that does not exist yet counts as one to be tagged.
    type: list
    elements: str
    required: true
  tags:
    description: The tags that each of them carries.
    type: dict
    required: true
attributes:
  diff_mode:
    description: Shows the tags before and after.
    support: full
extends_documentation_fragment:
  - academy.deploy.attributes.writes
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - amazon.aws.boto3
author:
  - academy.deploy contributors
"""

EXAMPLES = r"""
- name: Tag two repositories
  academy.deploy.resource_tags:
    resource_arns:
      - arn:aws:ecr:ap-northeast-2:123456789012:repository/academy-api
      - arn:aws:ecr:ap-northeast-2:123456789012:repository/academy-video-worker
    tags:
      Project: academy
"""

RETURN = r"""
resources:
  description: The ARNs of those whose tags were changed.
  returned: success
  type: list
  elements: str
  sample: [arn:aws:ecr:ap-northeast-2:123456789012:repository/academy-api]
missing:
  description: The ARNs of those that do not exist yet. Other than in check mode they are an error.
  returned: success
  type: list
  elements: str
  sample: []
"""

from contextlib import suppress
from typing import Any

from ansible_collections.academy.deploy.plugins.module_utils.tags import own_tags
from ansible_collections.amazon.aws.plugins.module_utils.botocore import is_boto3_error_code
from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule
from ansible_collections.amazon.aws.plugins.module_utils.retries import AWSRetry
from ansible_collections.amazon.aws.plugins.module_utils.tagging import (
    ansible_dict_to_boto3_tag_list,
    boto3_tag_list_to_ansible_dict,
    compare_aws_tags,
)

with suppress(ImportError):  # AnsibleAWSModule says so.
    from botocore.exceptions import BotoCoreError, ClientError

# What a service calls the ARN, the tags and their keys in calls that are otherwise the same.
WORDS = {
    "ecr": ("resourceArn", "tags", "tagKeys"),
    "cloudwatch": ("ResourceARN", "Tags", "TagKeys"),
    "events": ("ResourceARN", "Tags", "TagKeys"),
}
NOT_FOUND = ["RepositoryNotFoundException", "ResourceNotFound", "ResourceNotFoundException"]


def service_of(arns: list[str]) -> str:
    """The one service whose resources they are."""
    services = sorted({arn.split(":")[2] if arn.count(":") > 4 else arn for arn in arns})
    if len(services) != 1 or services[0] not in WORDS:
        raise ValueError(
            f"resource_arns: must be ARNs of one of {', '.join(WORDS)}, found {', '.join(services) or 'none'}. "
            "Call the module once for each service."
        )
    return services[0]


def read_tags(client: Any, service: str, arns: list[str]) -> dict[str, dict[str, str]]:
    """The tags of each resource that exists."""
    arn_word, tags_word, _ = WORDS[service]
    found = {}
    for arn in arns:
        try:
            answer = client.list_tags_for_resource(**{arn_word: arn})
        except is_boto3_error_code(NOT_FOUND):
            continue
        found[arn] = own_tags(boto3_tag_list_to_ansible_dict(answer[tags_word]))
    return found


def apply(client: Any, service: str, arn: str, before: dict[str, str], after: dict[str, str]) -> None:
    arn_word, tags_word, keys_word = WORDS[service]
    to_set, to_remove = compare_aws_tags(before, after)
    if to_remove:
        client.untag_resource(**{arn_word: arn, keys_word: to_remove})
    if to_set:
        client.tag_resource(**{arn_word: arn, tags_word: ansible_dict_to_boto3_tag_list(to_set)})


def ensure(client: Any, service: str, arns: list[str], tags: dict[str, str], check_mode: bool) -> dict[str, Any]:
    current = read_tags(client, service, arns)
    missing = [arn for arn in arns if arn not in current]
    if missing and not check_mode:
        raise ValueError(f"resource_arns: do not exist: {', '.join(missing)}. Create them first.")
    before = {arn: current.get(arn, {}) for arn in arns}
    changed = [arn for arn in arns if before[arn] != tags]
    if not check_mode:
        for arn in changed:
            apply(client, service, arn, before[arn], tags)
    return {
        "changed": bool(changed),
        "resources": changed,
        "missing": missing,
        "diff": {"before": {arn: before[arn] for arn in changed}, "after": dict.fromkeys(changed, tags)},
    }


def main() -> None:
    module = AnsibleAWSModule(
        argument_spec={
            "resource_arns": {"type": "list", "elements": "str", "required": True},
            "tags": {"type": "dict", "required": True},
        },
        supports_check_mode=True,
    )
    arns, tags = module.params["resource_arns"], module.params["tags"]
    try:
        service = service_of(arns)
        client = module.client(service, retry_decorator=AWSRetry.jittered_backoff())
        module.exit_json(**ensure(client, service, arns, tags, module.check_mode))
    except ValueError as error:
        module.fail_json(msg=str(error))
    except (ClientError, BotoCoreError) as error:
        module.fail_json_aws(error, msg="Cannot tag the resources")


if __name__ == "__main__":
    main()

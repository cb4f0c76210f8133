#!/usr/bin/python
# Copyright: academy.deploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: ecr_repository_tags
short_description: Give ECR repositories their resource tags
version_added: "0.1.0"
description:
  - Sets the resource tags of repositories and removes others. These are tags of the repository, not of its images.
  - M(community.aws.ecs_ecr), which makes the repositories, has no option for them.
options:
  repository_names:
    description: The repositories. In check mode one that does not exist yet counts as one to be tagged.
    type: list
    elements: str
    required: true
  tags:
    description: The tags that each of them carries.
    type: dict
    required: true
attributes:
  check_mode:
    description: Says which repositories would be tagged.
    support: full
  diff_mode:
    description: Shows the tags before and after.
    support: full
  idempotent:
    description: Run again, it changes nothing.
    support: full
extends_documentation_fragment:
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - amazon.aws.boto3
author:
  - academy.deploy contributors
"""

EXAMPLES = r"""
- name: Tag two repositories
  academy.deploy.ecr_repository_tags:
    repository_names: [academy-api, academy-video-worker]
    tags:
      Project: academy
"""

RETURN = r"""
repositories:
  description: The repositories whose tags were changed.
  returned: success
  type: list
  elements: str
  sample: [academy-api]
missing:
  description: The repositories that do not exist yet. Other than in check mode they are an error.
  returned: success
  type: list
  elements: str
  sample: []
"""

from contextlib import suppress
from typing import Any

from ansible_collections.academy.deploy.plugins.module_utils.tags import own_tags
from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule
from ansible_collections.amazon.aws.plugins.module_utils.retries import AWSRetry
from ansible_collections.amazon.aws.plugins.module_utils.tagging import (
    ansible_dict_to_boto3_tag_list,
    boto3_tag_list_to_ansible_dict,
    compare_aws_tags,
)

with suppress(ImportError):  # AnsibleAWSModule says so.
    from botocore.exceptions import BotoCoreError, ClientError


def read_tags(client: Any, names: list[str]) -> dict[str, tuple[str, dict[str, str]]]:
    """The ARN and the tags of each repository that exists."""
    pages = client.get_paginator("describe_repositories").paginate()
    arns = {
        repository["repositoryName"]: repository["repositoryArn"]
        for page in pages
        for repository in page["repositories"]
    }
    return {
        name: (
            arns[name],
            own_tags(boto3_tag_list_to_ansible_dict(client.list_tags_for_resource(resourceArn=arns[name])["tags"])),
        )
        for name in names
        if name in arns
    }


def apply(client: Any, arn: str, before: dict[str, str], after: dict[str, str]) -> None:
    to_set, to_remove = compare_aws_tags(before, after)
    if to_remove:
        client.untag_resource(resourceArn=arn, tagKeys=to_remove)
    if to_set:
        client.tag_resource(resourceArn=arn, tags=ansible_dict_to_boto3_tag_list(to_set))


def ensure(client: Any, names: list[str], tags: dict[str, str], check_mode: bool) -> dict[str, Any]:
    current = read_tags(client, names)
    missing = [name for name in names if name not in current]
    if missing and not check_mode:
        raise LookupError(f"repository_names: not in this registry: {', '.join(missing)}. Create them first.")
    before = {name: current[name][1] if name in current else {} for name in names}
    changed = [name for name in names if before[name] != tags]
    if not check_mode:
        for name in changed:
            apply(client, current[name][0], before[name], tags)
    return {
        "changed": bool(changed),
        "repositories": changed,
        "missing": missing,
        "diff": {"before": {name: before[name] for name in changed}, "after": dict.fromkeys(changed, tags)},
    }


def main() -> None:
    module = AnsibleAWSModule(
        argument_spec={
            "repository_names": {"type": "list", "elements": "str", "required": True},
            "tags": {"type": "dict", "required": True},
        },
        supports_check_mode=True,
    )
    client = module.client("ecr", retry_decorator=AWSRetry.jittered_backoff())
    try:
        result = ensure(client, module.params["repository_names"], module.params["tags"], module.check_mode)
        module.exit_json(**result)
    except LookupError as error:
        module.fail_json(msg=str(error))
    except (ClientError, BotoCoreError) as error:
        module.fail_json_aws(error, msg="Cannot tag the repositories")


if __name__ == "__main__":
    main()

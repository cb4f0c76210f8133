#!/usr/bin/python
# Copyright: academy.deploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: ecr_image_info
version_added: 0.1.0
short_description: Tell the digest and the platforms of one image in ECR
description:
  - Resolves a tag to the digest of the image, so that every host can run the same bytes, and tells the platforms the
    image was built for, so that a wrong architecture is seen before a host is touched.
  - A repository or an image that does not exist is an answer, not an error.
  - Needs the permissions C(ecr:BatchGetImage), C(ecr:DescribeImages) and C(ecr:GetDownloadUrlForLayer).
author:
  - academy.deploy contributors (@academy)
options:
  repository_name:
    description:
      - The repository to look in.
    type: str
    required: true
  registry_id:
    description:
      - The account that owns the registry.
      - By default the account of the credentials.
    type: str
  image_tag:
    description:
      - The tag of the image.
      - V(latest) is refused, because it names whatever was pushed last.
      - Exactly one of O(image_tag) and O(image_digest) is needed.
    type: str
  image_digest:
    description:
      - The digest of the image.
      - Exactly one of O(image_tag) and O(image_digest) is needed.
    type: str
seealso:
  - module: academy.deploy.ecr_authorization_info
  - module: community.aws.ecs_ecr
extends_documentation_fragment:
  - academy.deploy.attributes.info
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - amazon.aws.boto3
"""

EXAMPLES = r"""
- name: Look up one build of the API
  academy.deploy.ecr_image_info:
    repository_name: academy-api
    image_tag: 4f1c2d9
  register: api_image

- name: Refuse an image that the host cannot run
  ansible.builtin.assert:
    that: "'linux/arm64' in api_image.platforms"
"""

RETURN = r"""
found:
  description: Whether the repository holds the image.
  returned: always
  type: bool
  sample: true
repository_found:
  description: Whether the repository exists.
  returned: always
  type: bool
  sample: true
registry:
  description: The host name of the registry, as it stands in front of an image's name.
  returned: when RV(found=true)
  type: str
  sample: 123456789012.dkr.ecr.ap-northeast-2.amazonaws.com
digest:
  description: The digest of the image, or of the index where one name stands for several platforms.
  returned: when RV(found=true)
  type: str
  sample: sha256:2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae
reference:
  description: Registry, repository and digest, as C(docker pull) takes it.
  returned: when RV(found=true)
  type: str
  sample: >-
    123456789012.dkr.ecr.ap-northeast-2.amazonaws.com/academy-api@sha256:2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae
platforms:
  description: What the image was built for, as C(docker --platform) takes it.
  returned: when RV(found=true)
  type: list
  elements: str
  sample: ["linux/arm64"]
tags:
  description: All tags of the image.
  returned: when RV(found=true)
  type: list
  elements: str
  sample: ["4f1c2d9"]
pushed_at:
  description: When the image was pushed, in ISO 8601.
  returned: when RV(found=true)
  type: str
  sample: "2026-01-31T09:30:00+00:00"
"""

import contextlib
import http.client
from typing import Any

from ansible.module_utils.urls import open_url
from ansible_collections.amazon.aws.plugins.module_utils.botocore import is_boto3_error_code
from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule
from ansible_collections.amazon.aws.plugins.module_utils.retries import AWSRetry

from ..module_utils.ecr import (
    ACCEPTED_MEDIA_TYPES,
    EcrError,
    parse_manifest,
    platform_of_config,
    registry_host,
    reject_failures,
    validate_digest,
    validate_tag,
)

with contextlib.suppress(ImportError):  # AnsibleAWSModule says what is missing.
    from botocore.exceptions import BotoCoreError, ClientError

DOWNLOAD_TIMEOUT_SECONDS = 30


def get_image(client: Any, repository: dict[str, str], image_id: dict[str, str]) -> dict[str, Any] | None:
    try:
        answer: dict[str, Any] = client.batch_get_image(
            aws_retry=True, **repository, imageIds=[image_id], acceptedMediaTypes=list(ACCEPTED_MEDIA_TYPES)
        )
    except is_boto3_error_code("RepositoryNotFoundException"):
        return None
    return answer


def get_details(client: Any, repository: dict[str, str], digest: str) -> dict[str, Any]:
    answer = client.describe_images(aws_retry=True, **repository, imageIds=[{"imageDigest": digest}])
    details: dict[str, Any] = answer["imageDetails"][0]
    return details


def get_blob(module: AnsibleAWSModule, client: Any, repository: dict[str, str], digest: str) -> bytes:
    answer = client.get_download_url_for_layer(aws_retry=True, **repository, layerDigest=digest)
    try:
        with open_url(
            answer["downloadUrl"],
            timeout=DOWNLOAD_TIMEOUT_SECONDS,
            validate_certs=module.params["validate_certs"],
            ca_path=module.params["aws_ca_bundle"],
        ) as response:
            blob: bytes = response.read()
    except (OSError, http.client.HTTPException) as error:
        raise EcrError(f"its configuration could not be downloaded from the registry's storage: {error}") from error
    return blob


def read_image(module: AnsibleAWSModule, image_id: dict[str, str]) -> dict[str, Any]:
    client = module.client("ecr", retry_decorator=AWSRetry.jittered_backoff())
    repository = {"repositoryName": module.params["repository_name"]}
    if module.params["registry_id"]:
        repository["registryId"] = module.params["registry_id"]

    answer = get_image(client, repository, image_id)
    if answer is None:
        return {"found": False, "repository_found": False}
    if not answer["images"]:
        reject_failures(answer["failures"])
        return {"found": False, "repository_found": True}

    image = answer["images"][0]
    digest = image["imageId"]["imageDigest"]
    registry = registry_host(image["registryId"], module.region)
    manifest = parse_manifest(image["imageManifest"], image["imageManifestMediaType"])
    platforms = list(manifest.platforms)
    if manifest.config_digest is not None:
        blob = get_blob(module, client, repository, manifest.config_digest)
        platforms = [platform_of_config(blob, manifest.config_digest)]
    details = get_details(client, repository, digest)
    return {
        "found": True,
        "repository_found": True,
        "registry": registry,
        "digest": digest,
        "reference": f"{registry}/{module.params['repository_name']}@{digest}",
        "platforms": platforms,
        "tags": sorted(details.get("imageTags", [])),
        "pushed_at": details["imagePushedAt"].isoformat(),
    }


def main() -> None:
    module = AnsibleAWSModule(
        argument_spec={
            "repository_name": {"type": "str", "required": True},
            "registry_id": {"type": "str"},
            "image_tag": {"type": "str"},
            "image_digest": {"type": "str"},
        },
        mutually_exclusive=[("image_tag", "image_digest")],
        required_one_of=[("image_tag", "image_digest")],
        supports_check_mode=True,
    )
    tag, digest = module.params["image_tag"], module.params["image_digest"]
    try:
        if tag is not None:
            validate_tag(tag)
            image = read_image(module, {"imageTag": tag})
        else:
            validate_digest(digest)
            image = read_image(module, {"imageDigest": digest})
    except EcrError as error:
        module.fail_json(msg=f"Cannot look up an image in the repository {module.params['repository_name']}: {error}")
    except (BotoCoreError, ClientError) as error:
        module.fail_json_aws(error, msg=f"Cannot look up an image in the repository {module.params['repository_name']}")
    module.exit_json(changed=False, **image)


if __name__ == "__main__":
    main()

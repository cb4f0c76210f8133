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
  - academy.deploy.attributes.control_node
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
size_bytes:
  description: How much of it is downloaded at most, with compressed layers. Of an index, that of its largest image.
  returned: when RV(found=true)
  type: int
  sample: 210763776
passes_signals:
  description:
    - Whether the first process of its containers passes the signal to end on to the application. It does not where a
      shell runs a command given to it, as by C(CMD python worker.py), and does not become that command.
    - Of an index that of its first image; V(null) where that cannot be found. A script in a file is not looked at.
  returned: when RV(found=true)
  type: bool
  sample: true
"""

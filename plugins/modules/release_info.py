#!/usr/bin/python
# Copyright: academy.deploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: release_info
version_added: 0.1.0
short_description: Tell which releases were shipped, and which one a rollback goes back to
description:
  - Reads the records that runs leave in AWS, all versions of one parameter of Systems Manager, of which no module of
    amazon.aws or community.aws reads more than the last one.
  - Needs the permission C(ssm:GetParameterHistory).
options:
  deployment_name:
    description: Whose records.
    type: str
    required: true
extends_documentation_fragment:
  - academy.deploy.attributes.info
  - academy.deploy.attributes.control_node
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - amazon.aws.boto3
author:
  - academy.deploy contributors (@academy)
"""

EXAMPLES = r"""
- name: Read which releases were shipped
  academy.deploy.release_info:
    deployment_name: academy
  register: release_history
"""

RETURN = r"""
releases:
  description: >-
    The records, the newest first, each with its C(number), C(release), C(result) (V(succeeded), V(failed) or
    V(interrupted)), C(playbook), C(owner), C(host), C(started_at), C(ended_at) and C(digests) (by image).
  returned: success
  type: list
  elements: dict
before:
  description: >-
    What a rollback goes back to, which is the newest that succeeded of another release than the last record's. Empty
    where there is none.
  returned: success
  type: str
  sample: 4f1c2d9
shipped:
  description: By image the releases with which it came up in a run that succeeded.
  returned: success
  type: dict
  sample: {"academy-api": ["9e8d7c6", "4f1c2d9"]}
digests:
  description: By image the digests with which it came up in a run that succeeded.
  returned: success
  type: dict
  sample: {"academy-api": ["sha256:0f1e2d3c", "sha256:4b5a6978"]}
"""

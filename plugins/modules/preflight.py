#!/usr/bin/python
# Copyright: academy.deploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

DOCUMENTATION = r"""
---
module: preflight
short_description: Everything that is wrong with a deployment's inputs, at once and before anything is changed
description:
  - Judges the inventory by the argument specs of the roles and by the rules with which they refuse, by the names, sizes
    and values that AWS and the guide allow, and by the table of the application's variables.
  - Then asks AWS once whose credentials these are, whether the network fits and leads out, where the instance types are
    offered, and what a young account does not allow yet (Free plan, vCPU quotas, a default EBS key of its own), and IAM
    whether these credentials may do what the roles do.
  - On this machine there must be the operator's public key while a host is yet to be made, and the images' source tree
    while ECR lacks an image of the release.
  - Fails when there is an error. Each finding is told in English and in Korean, with the variable to change. No
    secret is ever told.
  - Runs on the control node. Writes nothing. AWS is called by the variable C(aws_module_defaults), as far as this
    module's own connection options say nothing else.
version_added: 0.1.0
author:
  - academy.deploy contributors (@academy)
options:
  roles:
    description:
      - Names of the roles whose inputs are judged, by group of hosts. C(control) are those that call AWS from the
        control node.
    type: dict
    required: true
  aws:
    description: Whether AWS is asked. Without, nothing is called at all.
    type: bool
    default: true
  images:
    description:
      - Whether ECR must have the images of the release.
      - Asked whatever else is wrong, as long as release and account are right.
    type: bool
    default: false
  permissions:
    description:
      - Whether IAM is asked what the caller may do of what docs/operator-policy-*.json allow.
      - What is missing is an error, for a teardown alone a warning. So is that IAM cannot be asked, or not about such a
        caller.
    type: bool
    default: true
extends_documentation_fragment:
  - academy.deploy.attributes.info
  - academy.deploy.attributes.control_node
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - amazon.aws.boto3
"""

EXAMPLES = r"""
- name: Judge everything that needs no AWS
  academy.deploy.preflight:
    roles:
      control: [account, network, database]
      instances: [instance]
    aws: false
"""

RETURN = r"""
findings:
  description:
    - All that was found. Each has the C(id) of its rule, a C(severity) (V(error) makes the module fail, V(warning) does
      not), the C(subject), which is the variable to change, what was C(found) (empty for a secret), the C(rule), the
      C(remedy), and all of it as a sentence, C(text_en) and C(text_ko).
  returned: always
  type: list
  elements: dict
  sample:
    - id: database_backup_retention_days
      severity: error
      subject: database_backup_retention_days
      found: "1"
      rule: "must be 7 to 35: the guide forbids fewer"
      remedy: Set 7 or more.
report:
  description: The findings as lines for people, errors first, each in both languages.
  returned: always
  type: list
  elements: str
"""

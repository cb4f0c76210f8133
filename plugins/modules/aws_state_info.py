#!/usr/bin/python
# Copyright: academy.deploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: aws_state_info
short_description: The account of the credentials, images and load balancers, in one concurrent pass
version_added: "0.1.0"
description:
  - Reads what the options name, all at the same time, and writes nothing. What is not asked for is not read. An answer
    of AWS that is an error is told with the section and the call.
  - What else the roles need of AWS they read in the same way while they decide, see M(academy.deploy.plan).
options:
  caller:
    description: Whose credentials these are. Give it as true, or leave it out.
    type: bool
  container_images:
    description: Images in ECR, each by its repository and tag, as in V(academy-api:4f1c2d9).
    type: list
    elements: str
  image_parameters:
    description: Parameters of Systems Manager that name machine images, such as AWS's own of Amazon Linux.
    type: list
    elements: str
  load_balancer_names:
    description: Load balancers.
    type: list
    elements: str
notes:
  - O(debug_botocore_endpoint_logs) says nothing here.
extends_documentation_fragment:
  - academy.deploy.attributes.info
  - academy.deploy.attributes.control_node
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - amazon.aws.boto3
author:
  - academy.deploy contributors
"""

EXAMPLES = r"""
- name: Ask AWS for the account of the credentials
  academy.deploy.aws_state_info:
    caller: true
  register: aws_state
"""

RETURN = r"""
caller:
  description: The C(account) and C(arn) of the credentials in use.
  returned: when O(caller) is given
  type: dict
container_images:
  description: >-
    Those of the images that ECR has, each as M(academy.deploy.ecr_image_info) tells of one, C(digest), C(reference) and
    C(platforms) among it.
  returned: when O(container_images) is given
  type: dict
images:
  description: The ids of the machine images, by parameter.
  returned: when O(image_parameters) is given
  type: dict
  sample: {"/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-arm64": "ami-0123456789abcdef0"}
load_balancers:
  description: >-
    The load balancers by name, as C(DescribeLoadBalancers) tells them, in snake case, each with its C(attributes) (by
    name), its C(listeners), as C(DescribeListeners) tells them, each with its C(Rules) but for the default one, its
    C(MoreCertificates) beside its own, its C(Attributes) and its C(Tags), and its C(tags).
  returned: when O(load_balancer_names) is given
  type: dict
"""

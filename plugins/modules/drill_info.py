#!/usr/bin/python
# Copyright: academy.deploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: drill_info
version_added: 0.1.0
short_description: The hosts of a drill, which is refused where it cannot be held
description:
  - Reads the hosts of one worker and the queues from which it takes its jobs.
  - Fails where a host does not have exactly one instance, and where a queue is missing or not empty, because a drill
    touches nobody else's jobs. All reasons are told at once.
author:
  - academy.deploy contributors (@academy)
options:
  deployment_name:
    description:
      - The deployment, which is the value of the instances' Project tag.
    type: str
    required: true
  host_names:
    description:
      - The worker's hosts, which are the values of the instances' Name tags.
    type: list
    elements: str
    required: true
  queue_names:
    description:
      - The queues from which the worker takes its jobs.
    type: list
    elements: str
    required: true
seealso:
  - module: academy.deploy.idle_stop_check
  - module: academy.deploy.drill_report
extends_documentation_fragment:
  - academy.deploy.attributes.info
  - academy.deploy.attributes.control_node
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - amazon.aws.boto3
"""

EXAMPLES = r"""
- name: Refuse a drill while the video workers have something to do
  academy.deploy.drill_info:
    deployment_name: academy
    host_names: [academy-video-worker-1, academy-video-worker-2]
    queue_names: [academy-video-jobs]
  register: drill
"""

RETURN = r"""
instance_ids:
  description: The instance of each host.
  returned: success
  type: dict
  sample: {academy-video-worker-1: i-0123456789abcdef0}
"""

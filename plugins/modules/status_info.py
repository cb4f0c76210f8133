#!/usr/bin/python
# Copyright: academy.deploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: status_info
version_added: 0.1.0
short_description: Read what runs, in one pass over AWS or one look at a host
description:
  - With O(hosts) reads the deployment's instances, queues, images, lock and releases, all at the same time. Without
    them looks at the task's host, its services, disks and swap. Writes nothing.
  - The results of several tasks make one table with M(academy.deploy.status_report).
options:
  hosts:
    description: The hosts whose instances are read. With it AWS is read, and no host.
    type: list
    elements: str
  queue_names:
    description: The queues that are read, each with its dead letter queue.
    type: list
    elements: str
    default: []
  container_images:
    description: >-
      What the release was resolved to, RV(academy.deploy.aws_state_info#module:container_images). What the task's host
      runs instead is told in RV(wrong).
    type: dict
    default: {}
extends_documentation_fragment:
  - academy.deploy.attributes.info
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - amazon.aws.boto3
author:
  - academy.deploy contributors (@academy)
seealso:
  - module: academy.deploy.status_report
"""

EXAMPLES = r"""
- name: Read AWS
  academy.deploy.status_info:
    hosts: "{{ groups.instances }}"
    queue_names: [academy-video-jobs]
  register: status_of_aws

- name: Look at the host
  academy.deploy.status_info:
  become: true
  register: status_of_host
"""

RETURN = r"""
instances:
  description: The instances by the name of their host.
  returned: with O(hosts)
  type: dict
queues:
  description: The queues and dead letter queues by name, each with its C(attributes).
  returned: with O(hosts)
  type: dict
image_tags:
  description: By repository the tags of each image, by its digest.
  returned: with O(hosts)
  type: dict
deploy_locks:
  description: The generations of the deployment's lock, as Systems Manager tells of them.
  returned: with O(hosts)
  type: list
  elements: dict
releases:
  description: The records of what was shipped, as Systems Manager tells of them.
  returned: with O(hosts)
  type: list
  elements: dict
services:
  description: >-
    The services of the host, each with its C(image) (the repository), its C(container) (the one that serves; empty
    where none does), its C(health) and the C(digest) that really runs.
  returned: without O(hosts)
  type: dict
  sample: {"api": {"image": "academy-api", "container": "academy-api-a", "health": "healthy", "digest": "sha256:2c26"}}
host_release:
  description: The release of Amazon Linux 2023 that the host has.
  returned: without O(hosts)
  type: str
  sample: 2023.10.20260105
disks:
  description: How full each disk is, in percent.
  returned: without O(hosts)
  type: dict
  sample: {"/": 41}
swap_total_mib:
  description: Swap that is on.
  returned: without O(hosts)
  type: int
swap_used_mib:
  description: How much of it is in use.
  returned: without O(hosts)
  type: int
wrong:
  description: What runs instead of O(container_images), for people.
  returned: without O(hosts)
  type: list
  elements: str
"""

#!/usr/bin/python
# Copyright: academy.deploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: status_report
version_added: 0.1.0
short_description: Tell what runs where as one table
description:
  - Puts together what tasks of M(academy.deploy.status_info) read, and prints hosts, services, queues, the lock and the
    last releases, then what needs attention, then what cannot be told, which never counts as being as it should be.
options:
  aws:
    description: The result for AWS.
    type: dict
    required: true
  hosts:
    description: The hosts that the table is about.
    type: list
    elements: str
    required: true
  queue_names:
    description: The queues that the table is about.
    type: list
    elements: str
    required: true
  release:
    description: The release that is wanted. Where it is not filled in, the last that was shipped is.
    type: str
    required: true
  result:
    description: The name under which the result of each host that was looked at is registered.
    type: str
    required: true
extends_documentation_fragment:
  - academy.deploy.attributes.info
  - academy.deploy.attributes.control_node
author:
  - academy.deploy contributors (@academy)
seealso:
  - module: academy.deploy.status_info
"""

EXAMPLES = r"""
- name: Tell what runs where
  academy.deploy.status_report:
    aws: "{{ status_of_aws }}"
    hosts: "{{ groups.instances }}"
    queue_names: [academy-video-jobs]
    release: "{{ release }}"
    result: status_of_host
  register: status_report
"""

RETURN = r"""
report:
  description: The report for machines. docs/outputs.md describes all of it.
  returned: always
  type: dict
"""

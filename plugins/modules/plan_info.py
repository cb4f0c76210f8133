#!/usr/bin/python
# Copyright: academy.deploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: plan_info
short_description: Tell everything that several roles would change or refuse
version_added: 0.1.0
description:
  - Asks the decisions of several roles, the same that M(academy.deploy.plan) asks for a single role, by one read of AWS
    or of a host. Writes nothing, and does not fail for what is refused or cannot be read, but tells of it.
  - The results of several tasks make one report with M(academy.deploy.plan_report).
options:
  shared:
    description: Whether to compare what the hosts share in AWS. The inputs are those of C(localhost).
    type: bool
    default: false
  hosts:
    description: The hosts to compare as far as they are in AWS, each by its own variables.
    type: list
    elements: str
    default: []
  aws:
    description:
      - RV(aws) of the task that has read AWS. With it the task's host is compared, and nothing else is.
    type: dict
extends_documentation_fragment:
  - academy.deploy.attributes.info
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - amazon.aws.boto3
author:
  - academy.deploy contributors (@academy)
seealso:
  - module: academy.deploy.plan
  - module: academy.deploy.plan_report
"""

EXAMPLES = r"""
- name: Compare what AWS holds with the inventory
  academy.deploy.plan_info:
    shared: true
    hosts: "{{ groups.instances }}"
  register: plan_of_aws

- name: Compare what lies on the host with the inventory
  academy.deploy.plan_info:
    aws: "{{ plan_of_aws.aws }}"
  register: plan_of_host
"""

RETURN = r"""
entries:
  description:
    - What the report is made of, in the order of the roles. Each has its C(kind) (V(differs), V(refused), V(missing),
      V(expected) or V(unknown)), the C(role) that decides it, the C(host) (empty for what hosts share), the
      C(resource), and the C(lines) by which it is told.
  returned: always
  type: list
  elements: dict
  sample:
    - {kind: differs, role: queues, host: "", resource: academy-video-jobs,
       lines: ["~ academy-video-jobs: visibility_timeout_seconds: 30 -> 10800 (guide §3; --tags queues)"]}
roles:
  description:
    - The roles that have something to do, to wait for or to refuse, and those of which this cannot be told. Where it is
      empty, running the roles would change nothing. Whatever a service's role does is C(container)'s.
  returned: always
  type: list
  elements: str
  sample: [queues]
states:
  description: What AWS tells of each of O(hosts) that has an instance.
  returned: without O(aws)
  type: dict
  sample: {"academy-api-1": {"state": "running", "instance_id": "i-0123456789abcdef0", "release": "4f1c2d9",
    "may_be_stopped": false}}
aws:
  description: What the containers of O(hosts) need to know of AWS. Empty where AWS could not be read.
  returned: without O(aws)
  type: dict
"""

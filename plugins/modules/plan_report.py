#!/usr/bin/python
# Copyright: academy.deploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: plan_report
short_description: Tell what differs between the inventory and all that is
version_added: "0.2.0"
description:
  - Puts together what tasks of M(academy.deploy.plan_info) found. Hosts that none of them has read are told by what AWS
    says of them.
  - Prints a line for each difference, marked C(+) for what would be created, C(~) updated, C(-) removed, and C(!) for
    what is refused or needs a named consent. Below them stands what differs as expected, and what was not compared.
  - What could not be compared is never taken for what is as it should be.
options:
  aws:
    description: The result for AWS.
    type: dict
    required: true
  hosts:
    description: The hosts that the report is about.
    type: list
    elements: str
    required: true
  result:
    description: The name under which the result of each host that was read is registered.
    type: str
    required: true
attributes:
  action:
    description: Runs in the process that Ansible makes for its task on the control node.
    support: full
  async:
    description: Has no process that could be left alone.
    support: none
  check_mode:
    description: Changes nothing.
    support: full
  diff_mode:
    description: Changes nothing.
    support: none
  idempotent:
    description: Changes nothing, however often it runs.
    support: full
author:
  - academy.deploy contributors (@academy)
seealso:
  - module: academy.deploy.plan_info
"""

EXAMPLES = r"""
- name: Tell the differences
  academy.deploy.plan_report:
    aws: "{{ plan_of_aws }}"
    hosts: "{{ groups.instances }}"
    result: plan_of_host
  register: plan_report
"""

RETURN = r"""
report:
  description: The report for machines. docs/outputs.md describes all of it.
  returned: always
  type: dict
  contains:
    status:
      description: V(clean), V(differs) or V(unknown).
      type: str
    summary:
      description: The last line.
      type: str
      sample: "differs: 1 to update"
    compared_hosts:
      description: The hosts that were read.
      type: list
      elements: str
    differences:
      description: What would be created, updated or removed.
      type: list
      elements: dict
    refused:
      description: What is refused, or needs a named consent.
      type: list
      elements: dict
    expected:
      description: What differs as expected, so that there is nothing to do.
      type: list
      elements: dict
    unknown:
      description: What could not be compared, and why.
      type: list
      elements: dict
"""

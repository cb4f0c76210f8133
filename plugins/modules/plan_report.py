#!/usr/bin/python
# Copyright: academy.deploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: plan_report
short_description: Tell what differs between the inventory and all that is
version_added: 0.1.0
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
extends_documentation_fragment:
  - academy.deploy.attributes.info
  - academy.deploy.attributes.control_node
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
"""

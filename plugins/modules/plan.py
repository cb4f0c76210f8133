#!/usr/bin/python
# Copyright: academy.deploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: plan
short_description: What a role would change, refuse and read
version_added: 0.1.0
description:
  - Takes the inputs of a role as its argument specs and defaults have them, reads once what the role needs to know, and
    decides what has to be changed. Writes nothing.
  - For a role that runs on hosts it reads there, by M(academy.deploy.host_state_info); all else happens on the control
    node, where it also asks AWS if such a role needs to know of it.
  - Fails with everything that is wrong with the inputs, or with everything that the role refuses, in English and in
    Korean, before anything is changed.
  - In check mode it reports RV(ignore:changed) and the differences for the whole role, and RV(changes) is empty, so
    that the role's other tasks have nothing to do.
  - Does not wait for what is being changed already; RV(settled) then says to ask again.
  - Tells each change in a line of its own. No secret is ever told.
options:
  role:
    description: The role, by its name in this collection. It need not be the role that runs.
    type: str
    required: true
    choices:
      - placement
      - network
      - identity
      - queues
      - logs
      - database
      - registry
      - instance
      - certificate
      - load_balancer
      - starter
      - alarms
      - swap
      - transcode_volume
      - docker
      - watchdog
      - ai_worker
      - container
      - teardown
  hosts:
    description:
      - The hosts for which the role decides, each by its own variables. Given where the role decides for each host, and
        nowhere else. Such a task runs once and reports no change; RV(hosts) has what each host has to do.
    type: list
    elements: str
  decided:
    description:
      - What an earlier task of the role decided for this host, an element of RV(hosts). It is reported as the host's
        own and nothing is read.
    type: dict
attributes:
  check_mode:
    description: Can run in check mode and then reports what the role would change.
    support: full
  diff_mode:
    description: Shows in check mode what the role would change, field by field.
    support: full
  idempotent:
    description: Changes nothing, however often it runs.
    support: full
extends_documentation_fragment:
  - academy.deploy.attributes.control_node
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - amazon.aws.boto3
author:
  - academy.deploy contributors (@academy)
"""

EXAMPLES = r"""
- name: Decide what all hosts of the play need
  academy.deploy.plan:
    role: instance
    hosts: "{{ ansible_play_hosts }}"
  register: instance_plan
  run_once: true

- name: Take over what was decided for the host
  academy.deploy.plan:
    role: instance
    decided: "{{ instance_plan.hosts[inventory_hostname] }}"
  register: instance
  when: inventory_hostname in instance_plan.hosts

- name: Decide what the queues need
  academy.deploy.plan:
    role: queues
  register: queues_plan

- name: Create or update the queues
  community.aws.sqs_queue:
    name: "{{ item.name }}"
    message_retention_period: "{{ item.retention_seconds }}"
  loop: "{{ queues_plan.changes.queues }}"

- name: Decide what the settled database needs
  academy.deploy.plan:
    role: database
  register: database_plan
  until: database_plan is failed or database_plan.settled
  retries: 60
  delay: 10
"""

RETURN = r"""
changes:
  description:
    - What the role's tasks loop over, by the loop's name. Each item has C(name), C(reason), and what the task needs.
    - In check mode all of them are empty.
  returned: success
  type: dict
  sample: {"queues": [{"name": "academy-video-jobs", "reason": "missing", "retention_seconds": 345600}]}
differences:
  description: What is not as it should be.
  returned: success
  type: list
  elements: dict
  contains:
    resource:
      description: Its name.
      type: str
      sample: academy-video-jobs
    verb:
      description: V(create), V(update) or V(remove).
      type: str
      sample: update
    differences:
      description: The fields that differ, each with C(field), C(before) and C(after).
      type: list
      elements: dict
      sample: [{"field": "visibility_timeout_seconds", "before": 30, "after": 10800}]
    why:
      description: Who demands it.
      type: str
      sample: guide §3
known:
  description: What else the role's tasks need to know, in check mode too. It holds no secret.
  returned: success
  type: dict
  sample: {}
refusals:
  description: What the role advises against, as RV(academy.deploy.preflight#module:findings) has it.
  returned: success
  type: list
  elements: dict
settled:
  description:
    - Whether everything could be judged. Where it is false something is being changed already, as RV(ignore:msg) says,
      and the answer has no changes.
  returned: always
  type: bool
  sample: true
hosts:
  description:
    - What each host has to do, with C(changes), C(differences), and whether it is C(changed) in check mode. Hosts that
      have nothing to do are left out.
  returned: when O(hosts) are given
  type: dict
  sample: {"academy-api-1": {"changed": false, "changes": {"updates": [{"name": "academy-api-1"}]}, "differences": []}}
"""

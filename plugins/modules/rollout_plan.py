#!/usr/bin/python
# Copyright: academy.deploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: rollout_plan
short_description: What becomes of each host of a run
version_added: 0.1.0
description:
  - Tells which hosts are held awake, started, configured, noted and released, and which are left as they are. Writes
    nothing.
  - By what the inventory last saw of a host (C(aws_state), C(aws_tags)), by C(instance_may_be_stopped), and by the
    results of the roles P(academy.deploy.reachability#role) and P(academy.deploy.hold#role) there. So the answer is
    that of the moment, and a run asks again when it knows more.
  - M(academy.deploy.plan) is no place for it, because it reports changes to what AWS or a host holds. A hold counts as
    none, and ends with the run.
  - Runs on the control node. A task of it runs once.
options:
  hosts:
    description: The hosts of the play that are still part of the run. Without any, only the end of a hold is told.
    type: list
    elements: str
    default: []
  asked:
    description: The hosts with which the play began.
    type: list
    elements: str
    default: []
  release:
    description: The release that the run brings up.
    type: str
    default: ""
  services:
    description: The rows of all services. A service is the group of its hosts.
    type: dict
    default: {}
  wake_workers:
    description: Whether hosts that have stopped themselves are started.
    type: bool
    default: false
  interrupts_jobs:
    description: Whether a host is configured while a worker has a job.
    type: bool
    default: false
  answer_seconds:
    description: How long a host may take to answer on SSH that has been up for a while.
    type: int
    default: 10
  boot_seconds:
    description: How long a host may take from its start on.
    type: int
    default: 300
  operator_address_url:
    description: What tells a caller the address it comes from. It is asked where no host answers, unless it is empty.
    type: str
    default: ""
  operator_cidrs:
    description: The addresses that security groups let in to SSH.
    type: list
    elements: str
    default: []
extends_documentation_fragment:
  - academy.deploy.attributes.info
  - academy.deploy.attributes.control_node
author:
  - academy.deploy contributors (@academy)
"""

EXAMPLES = r"""
- name: Decide what becomes of each host
  academy.deploy.rollout_plan:
    hosts: "{{ ansible_play_hosts }}"
    asked: "{{ ansible_play_hosts_all }}"
    release: "{{ release }}"
    services: "{{ services }}"
    wake_workers: "{{ wake_workers }}"
  register: rollout
  run_once: true

- name: Hold the hosts that run
  ansible.builtin.include_role:
    name: academy.deploy.hold
  when: inventory_hostname in rollout.to_hold

- name: Decide until when the instance is held
  academy.deploy.rollout_plan:
  register: hold_time
"""

RETURN = r"""
down:
  description: Hosts that must always run and do not. Empty in check mode.
  returned: always
  type: list
  elements: str
answering:
  description: Hosts that run and have answered on SSH.
  returned: always
  type: list
  elements: str
settled:
  description: Hosts that answer, and of which a comparison said that nothing differs.
  returned: always
  type: list
  elements: str
to_ask:
  description: Hosts that run and were not asked yet, or were started since.
  returned: always
  type: list
  elements: str
answer_seconds:
  description: How long each host that runs may take to answer.
  returned: always
  type: dict
  sample: {"academy-api-1": 10}
to_hold:
  description: Hosts that could stop themselves while they are configured, and need it.
  returned: always
  type: list
  elements: str
to_start:
  description: Hosts that have stopped themselves and are to be started.
  returned: always
  type: list
  elements: str
images:
  description: The repositories of all that the hosts of RV(to_start) run.
  returned: always
  type: list
  elements: str
notes:
  description: What the operator is told of hosts that do not run and are left as they are.
  returned: always
  type: list
  elements: str
to_read:
  description: Hosts of which has to be known whether a worker has a job.
  returned: always
  type: list
  elements: str
busy:
  description: Hosts on which a worker has a job.
  returned: always
  type: list
  elements: str
to_configure:
  description: Hosts that answer and are not busy, without those of which a comparison said that nothing differs.
  returned: always
  type: list
  elements: str
waiting:
  description: Hosts whose workers would run ahead of the database, because the API could not be brought up.
  returned: always
  type: list
  elements: str
to_note:
  description: Hosts whose services all have the release at the end of the run, and whose tag C(Release) says otherwise.
  returned: always
  type: list
  elements: str
ships:
  description: The images of the services that the run brings up on hosts that answer.
  returned: always
  type: list
  elements: str
  sample: [academy-api]
to_release:
  description: Hosts that are held, whichever run did it. Empty in check mode.
  returned: always
  type: list
  elements: str
may_be_stopping:
  description: Hosts of RV(unreached) that may be on their way down, because their network answers.
  returned: always
  type: list
  elements: str
unreached:
  description: Hosts that did not answer, each with what to do, in English and in Korean. Those that have stopped
    themselves meanwhile are left out.
  returned: always
  type: dict
nobody_answers:
  description: What to do where no host answers. Empty where one does.
  returned: always
  type: str
held_until:
  description: When the hold of a host ends that is held from now on, as the tag C(HoldUntil) says it.
  returned: always
  type: str
  sample: "2026-01-31T09:30:00Z"
"""

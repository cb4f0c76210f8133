#!/usr/bin/python
# Copyright: academy.deploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: drill_report
version_added: 0.1.0
short_description: Write and show what a drill has shown
description:
  - Writes a report for machines (docs/outputs.md), shows its steps, and fails with the reason where one did not come.
  - Runs on the control node.
author:
  - academy.deploy contributors (@academy)
options:
  path:
    description:
      - Where the report is written. Missing directories are made.
    type: path
    required: true
  about:
    description:
      - What the report says besides the steps. C(instance_ids) are the hosts' instances by name.
    type: dict
    required: true
  sent_at:
    description:
      - When the job was sent, as M(academy.deploy.sqs_message) tells it.
    type: str
    required: true
  judged:
    description:
      - How M(academy.deploy.idle_stop_check) judged the host before.
    type: dict
    required: true
  followed:
    description:
      - What it then saw of the job.
    type: dict
    required: true
attributes:
  check_mode:
    description: Is skipped, because there was no drill.
    support: none
  diff_mode:
    description: Does not show what the report was before.
    support: none
  idempotent:
    description: Every drill has another report.
    support: none
seealso:
  - module: academy.deploy.drill_info
  - module: academy.deploy.idle_stop_check
  - module: academy.deploy.sqs_message
extends_documentation_fragment:
  - academy.deploy.attributes.control_node
"""

EXAMPLES = r"""
- name: Report
  academy.deploy.drill_report:
    path: build/drill.json
    about:
      worker: video_worker
      instance_ids: "{{ drill.instance_ids }}"
      queue: academy-video-jobs
      job_id: drill-20261124T150000Z
      waiting_seconds: 100
    sent_at: "{{ sent.sent_at }}"
    judged: "{{ judged }}"
    followed: "{{ followed }}"
"""

RETURN = r""" # """

#!/usr/bin/python
# Copyright: academy.deploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: deployment_info
short_description: Everything in an account and region that belongs to one deployment
version_added: "0.1.0"
description:
  - Finds whatever carries the deployment's Project tag, all at the same time, and writes nothing.
  - A name alone never decides, because the name of one deployment may be the beginning of another's.
  - Of log groups, topics, rules, functions and IAM's roles and profiles, whose tags cost a call each, only those are
    looked at whose names begin with the deployment's name or stand in O(untagged). The tags of queues, repositories,
    alarms and subnet groups, whose names are free, are all read, many at the same time.
options:
  deployment_name:
    description: The deployment, which is the value of its Project tag.
    type: str
    required: true
  untagged:
    description:
      - By kind, the exact names of what belongs to the deployment even without a Project tag, because it is made before
        it is tagged, or cannot be tagged. What carries another deployment's tag is left out all the same.
      - The names of a topic stand for the alarms that tell it too and whose names begin with the deployment's.
    type: dict
    default: {}
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
- name: See what a deployment consists of
  academy.deploy.deployment_info:
    deployment_name: academy
    untagged:
      topics: [academy-alarms]
"""

RETURN = r"""
resources:
  description:
    - By kind (C(rules), C(functions), C(alarms), C(topics), C(load_balancers), C(target_groups), C(spot_requests),
      C(instances), C(launch_templates), C(key_pairs), C(databases), C(volumes), C(queues), C(repositories),
      C(log_groups), C(instance_profiles), C(roles), C(subnet_groups), C(security_groups), C(snapshots),
      C(database_snapshots), C(addresses)), what was found, sorted by name.
    - Each has C(name), C(tags) and C(untagged), whether it was found without a Project tag; what EC2, Elastic Load
      Balancing and RDS know by an identifier has C(id). Queues have C(messages), repositories C(images), log groups
      C(holds_logs), databases C(status) and C(protected).
  returned: success
  type: dict
  sample: {"queues": [{"name": "academy-video-jobs", "messages": 0, "tags": {"Project": "academy"}, "untagged": false}]}
"""

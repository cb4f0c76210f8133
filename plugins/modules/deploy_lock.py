#!/usr/bin/python
# Copyright: academy.deploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: deploy_lock
version_added: 0.1.0
short_description: Have the deployment for one run alone
description:
  - Takes the deployment's lock for this run, or fails and names whose it is. Where the run has it already, that is seen
    once more, so a run that has lost it in its sleep fails before it goes on.
  - The lock is a lease of ten minutes, which a process beside the run renews, as it does the holds of the run's
    hosts. It ends with the run, where C(callbacks_enabled = academy.deploy.deploy_lock) is set. If the run is
    interrupted or killed, it ends by itself, because something of it may still be at work on a host.
  - A generation of it is the SSM parameter C(/<deployment_name>/lock/<n>), of which the highest counts. SSM has no
    compare-and-swap, but refuses to create what exists. M(community.aws.ssm_parameter) reads before it writes, and
    with O(community.aws.ssm_parameter#module:overwrite_value=never) it says of a parameter that exists that nothing
    has changed, so it cannot tell which of two runs came first.
  - The run that configures hosts is recorded at its end as a version of the SSM parameter
    C(/<deployment_name>/releases), who ran it, what it shipped, and how it ended.
author:
  - academy.deploy contributors (@academy)
options:
  deployment_name:
    description: The deployment.
    type: str
    required: true
  release:
    description: What the run brings up, for whoever is refused meanwhile, and for the record.
    type: str
    required: true
  break_lock:
    description: Whether to take the lock from the run that has it. A warning says whose it was.
    type: bool
    default: false
  digests:
    description: The digest of each image that the run ships. With it the run is recorded.
    type: dict
  ends_deployment:
    description:
      - Whether no deployment is left after this run. When it has succeeded, lock and records are removed.
      - Counts where the lock is taken, and for one playbook alone of those that a command names.
    type: bool
    default: false
attributes:
  check_mode:
    description: Takes no lock, and asks for none.
    support: full
  diff_mode:
    description: Has nothing to show, because a lock passes with its run.
    support: none
  idempotent:
    description: A run that has the lock takes it no second time.
    support: full
extends_documentation_fragment:
  - academy.deploy.attributes.control_node
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - amazon.aws.boto3
"""

EXAMPLES = r"""
- name: Take the deploy lock
  academy.deploy.deploy_lock:
    deployment_name: academy
    release: 4f1c2d9
  run_once: true
"""

RETURN = r"""
generation:
  description: Which generation of the lock is the run's.
  returned: outside of check mode
  type: int
  sample: 42
"""

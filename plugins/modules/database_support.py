#!/usr/bin/python
# Copyright: academy.deploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: database_support
version_added: 0.1.0
short_description: Switch off RDS Extended Support of an instance
description:
  - RDS switches it on by default, and charges by the hour and vCPU once the major version's own support has ended.
    Without it RDS upgrades the major version then.
  - M(amazon.aws.rds_instance) has no option for it.
  - Needs the permissions C(rds:DescribeDBInstances) and C(rds:ModifyDBInstance).
author:
  - academy.deploy contributors (@academy)
options:
  db_instance_identifier:
    description: The instance, which must exist and be available.
    type: str
    required: true
attributes:
  diff_mode:
    description: Shows the life cycle support before and after.
    support: full
seealso:
  - module: amazon.aws.rds_instance
extends_documentation_fragment:
  - academy.deploy.attributes.writes
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - amazon.aws.boto3
"""

EXAMPLES = r"""
- name: Never pay for a version that is out of support
  academy.deploy.database_support:
    db_instance_identifier: academy-db
"""

RETURN = r"""
engine_lifecycle_support:
  description: The life cycle support of the instance before.
  returned: always
  type: str
  sample: open-source-rds-extended-support
"""

from typing import Any

from ansible_collections.academy.deploy.plugins.module_utils.aws_calls import ReadError, ask, ask_all
from ansible_collections.academy.deploy.plugins.module_utils.plan.database import SUPPORT_DISABLED
from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule

MISSING = ("DBInstanceNotFound", "DBInstanceNotFoundFault")


def switch_off(rds: Any, identifier: str, check_mode: bool) -> dict[str, Any] | None:
    """What was done; nothing where there is no such instance."""
    found = ask_all(rds, "describe_db_instances", "DBInstances", *MISSING, DBInstanceIdentifier=identifier)
    if not found:
        return None
    before = found[0].get("EngineLifecycleSupport", "")
    if before != SUPPORT_DISABLED and not check_mode:
        ask(
            rds,
            "modify_db_instance",
            DBInstanceIdentifier=identifier,
            EngineLifecycleSupport=SUPPORT_DISABLED,
            ApplyImmediately=True,
        )
    return {
        "changed": before != SUPPORT_DISABLED,
        "engine_lifecycle_support": before,
        "diff": {"before": {"support": before}, "after": {"support": SUPPORT_DISABLED}},
    }


def main() -> None:
    module = AnsibleAWSModule(
        argument_spec={"db_instance_identifier": {"type": "str", "required": True}}, supports_check_mode=True
    )
    identifier = module.params["db_instance_identifier"]
    try:
        done = switch_off(module.client("rds"), identifier, module.check_mode)
    except ReadError as error:
        module.fail_json_aws(error.cause, msg=f"Cannot switch off the extended support of {identifier}")
    if done is None:
        module.fail_json(
            msg=f"db_instance_identifier: there must be an instance {identifier} in {module.region}, found none. "
            "Create it first."
        )
    else:
        module.exit_json(**done)


if __name__ == "__main__":
    main()

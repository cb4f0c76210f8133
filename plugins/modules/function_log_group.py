#!/usr/bin/python
# Copyright: academy.deploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: function_log_group
version_added: 0.1.0
short_description: Name the log group that a Lambda function writes to
description:
  - Lets a function write its log to a group of our choice instead of C(/aws/lambda/<name>), which nobody gave a
    retention. M(amazon.aws.lambda) has no option for it.
  - Waits until Lambda is done with the function's last change, because it takes no other meanwhile.
  - Needs the permissions C(lambda:GetFunction), C(lambda:GetFunctionConfiguration) and
    C(lambda:UpdateFunctionConfiguration).
author:
  - academy.deploy contributors (@academy)
options:
  function_name:
    description:
      - The function, which must exist.
    type: str
    required: true
  log_group:
    description:
      - The log group. The function's role must be allowed to write to it.
    type: str
    required: true
attributes:
  check_mode:
    description: Says what would change.
    support: full
  diff_mode:
    description: Shows the log group before and after.
    support: full
  idempotent:
    description: A function that writes there already is left alone.
    support: full
seealso:
  - module: amazon.aws.lambda
  - module: amazon.aws.cloudwatchlogs_log_group
extends_documentation_fragment:
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - amazon.aws.boto3
"""

EXAMPLES = r"""
- name: Let the starter write to a group that forgets
  academy.deploy.function_log_group:
    function_name: academy-starter
    log_group: /academy/starter
"""

RETURN = r"""
log_group:
  description: The log group that the function writes to.
  returned: always
  type: str
  sample: /academy/starter
"""

import contextlib

from ansible_collections.amazon.aws.plugins.module_utils.botocore import is_boto3_error_code
from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule
from ansible_collections.amazon.aws.plugins.module_utils.retries import AWSRetry

with contextlib.suppress(ImportError):  # AnsibleAWSModule says what is missing.
    from botocore.exceptions import BotoCoreError, ClientError, WaiterError


def main() -> None:
    module = AnsibleAWSModule(
        argument_spec={
            "function_name": {"type": "str", "required": True},
            "log_group": {"type": "str", "required": True},
        },
        supports_check_mode=True,
    )
    name, wanted = module.params["function_name"], module.params["log_group"]
    client = module.client("lambda", retry_decorator=AWSRetry.jittered_backoff())
    try:
        found = client.get_function_configuration(FunctionName=name, aws_retry=True)["LoggingConfig"]["LogGroup"]
        changed = found != wanted
        if changed and not module.check_mode:
            for waiter in ("function_active_v2", "function_updated_v2"):
                client.get_waiter(waiter).wait(FunctionName=name)
            client.update_function_configuration(FunctionName=name, LoggingConfig={"LogGroup": wanted}, aws_retry=True)
    except is_boto3_error_code("ResourceNotFoundException"):
        module.fail_json(
            msg=f"function_name: there must be a function {name} in {module.region}, found none. Create it first."
        )
    except (BotoCoreError, ClientError, WaiterError) as error:
        module.fail_json_aws(error, msg=f"Cannot let {name} write to {wanted}")
    module.exit_json(
        changed=changed, log_group=wanted, diff={"before": {"log_group": found}, "after": {"log_group": wanted}}
    )


if __name__ == "__main__":
    main()

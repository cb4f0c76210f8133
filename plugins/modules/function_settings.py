#!/usr/bin/python
# Copyright: academy.deploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: function_settings
version_added: 0.1.0
short_description: Set what amazon.aws.lambda has no option for
description:
  - Lets a function write its log to a group of our choice instead of C(/aws/lambda/<name>), which nobody gave a
    retention.
  - Says how often Lambda itself tries again when an asynchronous invocation, such as a schedule's, has failed. Whatever
    else somebody configured for asynchronous invocations is taken back when that is changed.
  - Waits until Lambda is done with the function's last change, because it takes no other meanwhile.
  - Needs the permissions C(lambda:GetFunction), C(lambda:GetFunctionConfiguration),
    C(lambda:GetFunctionEventInvokeConfig), C(lambda:PutFunctionEventInvokeConfig) and
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
  retries:
    description:
      - How often a failed asynchronous invocation is tried again. Without a word, Lambda does so twice.
    type: int
    choices: [0, 1, 2]
    required: true
attributes:
  diff_mode:
    description: Shows both settings before and after.
    support: full
seealso:
  - module: amazon.aws.lambda
  - module: amazon.aws.cloudwatchlogs_log_group
extends_documentation_fragment:
  - academy.deploy.attributes.writes
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - amazon.aws.boto3
"""

EXAMPLES = r"""
- name: Let the starter write to a group that forgets, and be invoked by its schedule alone
  academy.deploy.function_settings:
    function_name: academy-starter
    log_group: /academy/starter
    retries: 0
"""

RETURN = r"""
log_group:
  description: The log group that the function writes to.
  returned: always
  type: str
  sample: /academy/starter
retries:
  description: How often a failed asynchronous invocation is tried again.
  returned: always
  type: int
  sample: 0
"""

import contextlib
from typing import Any

from ansible_collections.academy.deploy.plugins.module_utils.aws_calls import ReadError
from ansible_collections.academy.deploy.plugins.module_utils.aws_state import read_retries
from ansible_collections.amazon.aws.plugins.module_utils.botocore import is_boto3_error_code
from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule
from ansible_collections.amazon.aws.plugins.module_utils.retries import AWSRetry

with contextlib.suppress(ImportError):  # AnsibleAWSModule says what is missing.
    from botocore.exceptions import BotoCoreError, ClientError, WaiterError


def read(client: Any, name: str) -> dict[str, Any]:
    configuration = client.get_function_configuration(FunctionName=name, aws_retry=True)
    return {"log_group": configuration["LoggingConfig"]["LogGroup"], "retries": read_retries(client, name)}


def apply(client: Any, name: str, before: dict[str, Any], wanted: dict[str, Any]) -> None:
    for waiter in ("function_active_v2", "function_updated_v2"):
        client.get_waiter(waiter).wait(FunctionName=name)
    if before["retries"] != wanted["retries"]:
        client.put_function_event_invoke_config(
            FunctionName=name, MaximumRetryAttempts=wanted["retries"], aws_retry=True
        )
    if before["log_group"] != wanted["log_group"]:
        client.update_function_configuration(
            FunctionName=name, LoggingConfig={"LogGroup": wanted["log_group"]}, aws_retry=True
        )


def main() -> None:
    module = AnsibleAWSModule(
        argument_spec={
            "function_name": {"type": "str", "required": True},
            "log_group": {"type": "str", "required": True},
            "retries": {"type": "int", "choices": [0, 1, 2], "required": True},
        },
        supports_check_mode=True,
    )
    name = module.params["function_name"]
    wanted = {setting: module.params[setting] for setting in ("log_group", "retries")}
    client = module.client("lambda", retry_decorator=AWSRetry.jittered_backoff())
    try:
        found = read(client, name)
        if found != wanted and not module.check_mode:
            apply(client, name, found, wanted)
    except is_boto3_error_code("ResourceNotFoundException"):
        module.fail_json(
            msg=f"function_name: there must be a function {name} in {module.region}, found none. Create it first."
        )
    except ReadError as error:
        module.fail_json_aws(error.cause, msg=f"Cannot read {name} ({error.action})")
    except (BotoCoreError, ClientError, WaiterError) as error:
        module.fail_json_aws(error, msg=f"Cannot set {wanted} of {name}")
    module.exit_json(changed=found != wanted, **wanted, diff={"before": found, "after": wanted})


if __name__ == "__main__":
    main()

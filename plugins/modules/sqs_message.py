#!/usr/bin/python
# Copyright: academy.deploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: sqs_message
version_added: 0.1.0
short_description: Send one message to an SQS queue
description:
  - Sends one message, each time it runs. The queue must exist; neither amazon.aws nor community.aws can send.
  - The message stands in the output of the run, so it must hold no secret.
  - Needs the permissions C(sqs:GetQueueUrl) and C(sqs:SendMessage).
author:
  - academy.deploy contributors (@academy)
options:
  queue_name:
    description:
      - The queue.
    type: str
    required: true
  body:
    description:
      - What the message says. Text is sent as it is; a mapping or a list is written as JSON.
    type: raw
    required: true
attributes:
  check_mode:
    description: Reads whether the queue exists, and sends nothing.
    support: full
  diff_mode:
    description: Has nothing to compare, because a message sent is not kept.
    support: none
  idempotent:
    description: Each run sends another message.
    support: none
seealso:
  - module: academy.deploy.idle_stop_check
  - module: community.aws.sqs_queue
extends_documentation_fragment:
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - amazon.aws.boto3
"""

EXAMPLES = r"""
- name: Send a job to the queue
  academy.deploy.sqs_message:
    queue_name: academy-video-jobs
    body:
      id: drill-20261124T150000Z
      clip_seconds: 3
"""

RETURN = r"""
queue_url:
  description: The queue's address.
  returned: always
  type: str
  sample: https://sqs.ap-northeast-2.amazonaws.com/123456789012/academy-video-jobs
body:
  description: The message as it was sent, or would have been.
  returned: always
  type: str
  sample: '{"id": "drill-20261124T150000Z", "clip_seconds": 3}'
message_id:
  description: What SQS calls the message.
  returned: when it was sent
  type: str
sent_at:
  description: When it was sent, in ISO 8601.
  returned: when it was sent
  type: str
  sample: "2026-11-24T15:00:00.000Z"
"""

import contextlib
import time
from typing import Any

from ansible_collections.academy.deploy.plugins.module_utils.idle_timeline import iso
from ansible_collections.academy.deploy.plugins.module_utils.messages import MessageError, message_text
from ansible_collections.amazon.aws.plugins.module_utils.botocore import is_boto3_error_code
from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule

with contextlib.suppress(ImportError):  # AnsibleAWSModule says what is missing.
    from botocore.exceptions import BotoCoreError, ClientError

NO_QUEUE = ["AWS.SimpleQueueService.NonExistentQueue", "QueueDoesNotExist"]


def send(module: AnsibleAWSModule, text: str) -> dict[str, Any]:
    # Without retries beyond botocore's own: a message whose answer got lost was perhaps sent.
    sqs = module.client("sqs")
    url = sqs.get_queue_url(QueueName=module.params["queue_name"])["QueueUrl"]
    result: dict[str, Any] = {"queue_url": url, "body": text}
    if module.check_mode:
        return result
    sent_at = time.time()
    answer = sqs.send_message(QueueUrl=url, MessageBody=text)
    return {**result, "message_id": answer["MessageId"], "sent_at": iso(sent_at)}


def main() -> None:
    module = AnsibleAWSModule(
        argument_spec={
            "queue_name": {"type": "str", "required": True},
            "body": {"type": "raw", "required": True},
        },
        supports_check_mode=True,
    )
    name = module.params["queue_name"]
    try:
        result = send(module, message_text(module.params["body"]))
    except MessageError as error:
        module.fail_json(msg=f"body: {error}")
    except is_boto3_error_code(NO_QUEUE):
        module.fail_json(
            msg=f"queue_name: there must be a queue {name} in {module.region}, found none. "
            "Create it: playbooks/provision.yml --tags queues."
        )
    except (BotoCoreError, ClientError) as error:
        module.fail_json_aws(error, msg=f"Cannot send a message to {name}")
    module.exit_json(changed=True, **result)


if __name__ == "__main__":
    main()

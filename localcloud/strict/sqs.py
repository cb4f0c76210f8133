# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What SQS refuses. Its model states names only: the ranges are prose there."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from localcloud.strict import models
from localcloud.strict.rule import Account, Parameters, Rule, by_parameters
from localcloud.wire import ApiError, Call

CREATE = "sqs.CreateQueue"
SET = "sqs.SetQueueAttributes"
DELETE = "sqs.DeleteQueue"
RECREATION_SECONDS = 60
MAXIMUM_RECEIVES = range(1, 1000 + 1)
FIFO_SUFFIX = ".fifo"
FIFO_ATTRIBUTES = ("ContentBasedDeduplication", "DeduplicationScope", "FifoThroughputLimit")
# XML's characters.
FORBIDDEN_CHARACTER = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")

# Attribute -> allowed values, source.
RANGES: Mapping[str, tuple[range, str]] = {
    "VisibilityTimeout": (range(43200 + 1), "facts 3.4"),
    "MessageRetentionPeriod": (range(60, 1209600 + 1), "facts 3.6"),
    "DelaySeconds": (range(900 + 1), "botocore sqs CreateQueueRequest.Attributes"),
    "ReceiveMessageWaitTimeSeconds": (range(20 + 1), "facts 3.3"),
    "MaximumMessageSize": (range(1024, 1048576 + 1), "facts 3.10"),
    "KmsDataKeyReusePeriodSeconds": (range(60, 86400 + 1), "botocore sqs CreateQueueRequest.Attributes"),
}


# --- pure decisions -----------------------------------------------------------------------------------------------


def attributes(parameters: Parameters) -> Mapping[str, str]:
    return parameters.get("Attributes") or {}


def attribute_in_range(name: str, allowed: range) -> Callable[[Parameters], ApiError | None]:
    def decide(parameters: Parameters) -> ApiError | None:
        value = attributes(parameters).get(name)
        if value is None or (value.isdecimal() and int(value) in allowed):
            return None
        return ApiError("InvalidAttributeValue", f"Invalid value for the parameter {name}.")

    return decide


def attribute_name(parameters: Parameters) -> ApiError | None:
    known = models.model("sqs").shape_for("QueueAttributeName").enum
    for name in attributes(parameters):
        if name not in known:
            return _unknown_attribute(name)
    return None


def fifo_attribute(parameters: Parameters) -> ApiError | None:
    asked = attributes(parameters)
    for name in FIFO_ATTRIBUTES:
        if name in asked and asked.get("FifoQueue") != "true":
            return _unknown_attribute(name)
    return None


def fifo_name(parameters: Parameters) -> ApiError | None:
    name = parameters.get("QueueName") or ""
    if not name.endswith(FIFO_SUFFIX) or attributes(parameters).get("FifoQueue") == "true":
        return None
    message = "Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length"
    return ApiError("InvalidParameterValue", message)


def policy(parameters: Parameters) -> ApiError | None:
    document = attributes(parameters).get("Policy")
    if not document or isinstance(_parsed(document), dict):
        return None
    return ApiError("InvalidAttributeValue", "Invalid value for the parameter Policy.")


def redrive_json(parameters: Parameters) -> ApiError | None:
    redrive = attributes(parameters).get("RedrivePolicy")
    if not redrive or isinstance(_parsed(redrive), dict):
        return None
    return _invalid_redrive(redrive, "Redrive policy is not a valid JSON map.")


def maximum_receives(parameters: Parameters) -> ApiError | None:
    redrive = attributes(parameters).get("RedrivePolicy", "")
    asked = _redrive(parameters).get("maxReceiveCount")
    if asked is None or (str(asked).isdecimal() and int(asked) in MAXIMUM_RECEIVES):
        return None
    reason = f"Invalid value for maxReceiveCount: {asked}, valid values are from 1 to 1000 both inclusive."
    return _invalid_redrive(redrive, reason)


def message_body(parameters: Parameters) -> ApiError | None:
    if parameters.get("MessageBody"):
        return None
    return ApiError("MissingParameter", "The request must contain the parameter MessageBody.")


def message_characters(parameters: Parameters) -> ApiError | None:
    found = FORBIDDEN_CHARACTER.search(parameters.get("MessageBody") or "")
    if not found:
        return None
    message = f"Invalid binary character '#x{ord(found[0]):X}' was found in the message body."
    return ApiError("InvalidMessageContents", message)


def _unknown_attribute(name: str) -> ApiError:
    return ApiError("InvalidAttributeName", f"Unknown Attribute {name}.")


def _invalid_redrive(redrive: str, reason: str) -> ApiError:
    return ApiError(
        "InvalidParameterValue", f"Value {redrive} for parameter RedrivePolicy is invalid. Reason: {reason}"
    )


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None


def _redrive(parameters: Parameters) -> Mapping[str, Any]:
    found = _parsed(attributes(parameters).get("RedrivePolicy") or "")
    return found if isinstance(found, dict) else {}


# --- reading the account ------------------------------------------------------------------------------------------


def _name(call: Call) -> str:
    """The queue's name, also where the call gives its URL."""
    return str(call.parameters.get("QueueName") or call.parameters.get("QueueUrl", "").rpartition("/")[2])


def _dead_letter_name(call: Call) -> str:
    return str(_redrive(call.parameters).get("deadLetterTargetArn", "")).rpartition(":")[2]


def _dead_letter_queue(call: Call, account: Account) -> ApiError | None:
    name = _dead_letter_name(call)
    if not name or name in account.backends("sqs").queues:
        return None
    return _invalid_redrive(attributes(call.parameters)["RedrivePolicy"], "Dead letter target does not exist.")


def _dead_letter_type(call: Call, account: Account) -> ApiError | None:
    name = _dead_letter_name(call)
    if not name or name.endswith(FIFO_SUFFIX) == _name(call).endswith(FIFO_SUFFIX):
        return None
    reason = "Dead-letter queue must be same type of queue as the source."
    return _invalid_redrive(attributes(call.parameters)["RedrivePolicy"], reason)


def _note_deletion(call: Call, account: Account, result: Mapping[str, Any]) -> None:
    if call.name == DELETE:
        account.note("queue deleted", _name(call))


def _deleted_recently(call: Call, account: Account) -> ApiError | None:
    if call.name == DELETE:
        return None
    seconds = account.seconds_since("queue deleted", _name(call))
    if seconds is None or seconds >= RECREATION_SECONDS or _name(call) in account.backends("sqs").queues:
        return None
    message = "You must wait 60 seconds after deleting a queue before you can create another with the same name."
    return ApiError("QueueDeletedRecently", message)


RULES = (
    *(
        Rule(
            f"sqs-{'-'.join(re.findall('[A-Z][a-z]+', name)).lower()}",
            (CREATE, SET),
            f"{name} outside {allowed[0]}-{allowed[-1]}",
            source,
            by_parameters(attribute_in_range(name, allowed)),
        )
        for name, (allowed, source) in RANGES.items()
    ),
    Rule(
        "sqs-attribute-name",
        (CREATE, SET),
        "an attribute that queues do not have",
        "botocore sqs QueueAttributeName",
        by_parameters(attribute_name),
    ),
    Rule(
        "sqs-fifo-attribute",
        (CREATE,),
        "an attribute of FIFO queues for a standard queue",
        "botocore sqs CreateQueueRequest.Attributes",
        by_parameters(fifo_attribute),
    ),
    Rule(
        "sqs-fifo-name",
        (CREATE,),
        "a standard queue whose name ends in `.fifo`",
        "facts 3.9",
        by_parameters(fifo_name),
    ),
    Rule(
        "sqs-policy",
        (CREATE, SET),
        "a policy that is not JSON",
        "botocore sqs CreateQueueRequest.Attributes",
        by_parameters(policy),
    ),
    Rule(
        "sqs-redrive-json",
        (CREATE, SET),
        "a redrive policy that is not JSON",
        "facts 3.7, crossplane-contrib/provider-aws#443",
        by_parameters(redrive_json),
    ),
    Rule(
        "sqs-maximum-receives",
        (CREATE, SET),
        "a redrive policy with a maxReceiveCount outside 1-1000",
        "sqs-dg, botocore sqs CreateQueueRequest.Attributes",
        by_parameters(maximum_receives),
    ),
    Rule(
        "sqs-dead-letter-queue",
        (CREATE, SET),
        "a redrive policy whose dead-letter queue does not exist",
        "facts 3.7, serverless/serverless#5215",
        _dead_letter_queue,
    ),
    Rule(
        "sqs-dead-letter-type",
        (CREATE, SET),
        "a dead-letter queue that is FIFO where the queue is not, or the reverse",
        "facts 3.7",
        _dead_letter_type,
    ),
    Rule(
        "sqs-deleted-recently",
        (CREATE, DELETE),
        "a queue under the name of one that was deleted less than 60 s ago",
        "facts 3.9, hashicorp/terraform-provider-aws#831",
        _deleted_recently,
        _note_deletion,
    ),
    Rule(
        "sqs-empty-message",
        ("sqs.SendMessage",),
        "a message without body",
        "botocore sqs SendMessageRequest.MessageBody",
        by_parameters(message_body),
    ),
    Rule(
        "sqs-message-characters",
        ("sqs.SendMessage",),
        "a message with characters that XML does not allow",
        "botocore sqs SendMessageRequest.MessageBody and InvalidMessageContents",
        by_parameters(message_characters),
    ),
)

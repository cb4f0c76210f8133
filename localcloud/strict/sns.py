# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What SNS refuses."""

from __future__ import annotations

from localcloud.strict.rule import Parameters, Rule, by_parameters
from localcloud.wire import ApiError

PROTOCOLS = frozenset({"http", "https", "email", "email-json", "sms", "sqs", "application", "lambda", "firehose"})


def protocol(parameters: Parameters) -> ApiError | None:
    asked = parameters.get("Protocol")
    if asked in PROTOCOLS:
        return None
    message = f"Invalid parameter: Does not support this protocol string: {asked}"
    return ApiError("InvalidParameter", message)


def email(parameters: Parameters) -> ApiError | None:
    if parameters.get("Protocol") not in ("email", "email-json") or "@" in parameters.get("Endpoint", ""):
        return None
    return ApiError("InvalidParameter", "Invalid parameter: Email address")


def empty_message(parameters: Parameters) -> ApiError | None:
    if parameters.get("Message"):
        return None
    return ApiError("InvalidParameter", "Invalid parameter: Empty message")


RULES = (
    Rule(
        "sns-protocol",
        ("sns.Subscribe",),
        "a subscription by a protocol that SNS does not have",
        "botocore sns SubscribeInput.Protocol",
        by_parameters(protocol),
    ),
    Rule(
        "sns-email",
        ("sns.Subscribe",),
        "an e-mail subscription without an e-mail address",
        "botocore sns SubscribeInput.Endpoint",
        by_parameters(email),
    ),
    Rule(
        "sns-empty-message",
        ("sns.Publish",),
        "an empty message",
        "botocore sns PublishInput.Message",
        by_parameters(empty_message),
    ),
)

# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names that follow from others: computed, so that nothing has to exist before it can be referred to."""

from __future__ import annotations

DEAD_LETTER_SUFFIX = "-dlq"


def starter_name(deployment_name: str) -> str:
    """The starter's function, and the schedule rule that invokes it."""
    return f"{deployment_name}-starter"


def alarm_topic_name(deployment_name: str) -> str:
    return f"{deployment_name}-alarms"


def role_name(deployment_name: str, kind: str) -> str:
    """The role of a kind of host; its instance profile carries the same name."""
    return f"{deployment_name}-{kind}-role"


def queue_arn(name: str, region: str, account_id: str) -> str:
    return f"arn:aws:sqs:{region}:{account_id}:{name}"


def repository_arn(name: str, region: str, account_id: str) -> str:
    return f"arn:aws:ecr:{region}:{account_id}:repository/{name}"


def log_group_arn(name: str, region: str, account_id: str) -> str:
    return f"arn:aws:logs:{region}:{account_id}:log-group:{name}"


def instance_arns(region: str, account_id: str) -> str:
    """Every instance of the account: a policy narrows it down by conditions."""
    return f"arn:aws:ec2:{region}:{account_id}:instance/*"


def alarm_arn(name: str, region: str, account_id: str) -> str:
    return f"arn:aws:cloudwatch:{region}:{account_id}:alarm:{name}"


def topic_arn(name: str, region: str, account_id: str) -> str:
    return f"arn:aws:sns:{region}:{account_id}:{name}"


def role_arn(name: str, account_id: str) -> str:
    return f"arn:aws:iam::{account_id}:role/{name}"


def function_arn(name: str, region: str, account_id: str) -> str:
    return f"arn:aws:lambda:{region}:{account_id}:function:{name}"


def rule_arn(name: str, region: str, account_id: str) -> str:
    return f"arn:aws:events:{region}:{account_id}:rule/{name}"

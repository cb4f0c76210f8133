# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Counting what was used of what is granted."""

from __future__ import annotations

from typing import Any

from localcloud.grants import Denial, Ledger, denials, granted, unused

POLICIES: dict[str, Any] = {
    "api": {
        "host": {
            "Version": "2012-10-17",
            "Statement": [
                {"Sid": "Send", "Effect": "Allow", "Action": ["sqs:SendMessage", "sqs:GetQueueUrl"], "Resource": "*"},
                {"Effect": "Allow", "Action": "logs:*", "Resource": "*"},
                {"Effect": "Deny", "Action": "s3:*", "Resource": "*"},
            ],
        }
    },
    "video": {"host": {"Statement": []}},
}


def test_granted_is_what_is_allowed_action_by_action() -> None:
    assert granted(POLICIES) == {
        ("api", "Send", "sqs:SendMessage"),
        ("api", "Send", "sqs:GetQueueUrl"),
        ("api", "host[1]", "logs:*"),
    }


def test_exercise_is_counted_apart_from_use() -> None:
    ledger = Ledger()
    ledger.allowed("api", "Send", "sqs:SendMessage", exercise=False)
    ledger.allowed("api", "Send", "sqs:SendMessage", exercise=False)
    ledger.allowed("api", "Send", "sqs:GetQueueUrl", exercise=True)
    ledger.denied(Denial("api", "ec2:StopInstances", "arn:x", "i-1"), exercise=False)
    ledger.denied(Denial("api", "ec2:StopInstances", "arn:y", "i-1"), exercise=True)
    found = ledger.as_dict()
    assert found == {
        "used": {"api": {"Send": {"sqs:SendMessage": 2}}},
        "denied": {"api": {"ec2:StopInstances": {"arn:x": {"i-1": 1}}}},
        "exercised": {"api": {"Send": {"sqs:GetQueueUrl": 1}}},
        "exercised_denied": {"api": {"ec2:StopInstances": {"arn:y": {"i-1": 1}}}},
    }
    assert unused(POLICIES, found["used"]) == {("api", "Send", "sqs:GetQueueUrl"), ("api", "host[1]", "logs:*")}
    assert unused(POLICIES, found["used"], found["exercised"]) == {("api", "host[1]", "logs:*")}
    ledger.reset()
    assert ledger.as_dict() == {"used": {}, "denied": {}, "exercised": {}, "exercised_denied": {}}


def test_the_same_action_in_another_statement_or_role_is_another_grant() -> None:
    tally = {"api": {"Other": {"sqs:SendMessage": 1}}, "video": {"Send": {"sqs:SendMessage": 1}}}
    assert unused(POLICIES, tally) == granted(POLICIES)


def test_a_denial_says_whether_somebody_meant_itself() -> None:
    ledger = Ledger()
    own, neighbours = (
        Denial("video", "ec2:StopInstances", f"arn:aws:ec2:ap-northeast-2:123456789012:instance/{target}", "i-1")
        for target in ("i-1", "i-2")
    )
    others = Denial("video", "ec2:StopInstances", own.resource, "i-2")
    everything = Denial("video", "ec2:StopInstances", "*", "i-1")
    for denial in (own, own, neighbours, others, everything):
        ledger.denied(denial, exercise=False)
    found = denials(ledger.as_dict()["denied"])
    assert found == {own, neighbours, others, everything}
    assert {denial for denial in found if denial.is_of_itself} == {own}

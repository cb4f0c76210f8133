# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What policies say of a call, and where nothing can be said."""

from __future__ import annotations

from typing import Any

import pytest

from plugins.module_utils.iam_decision import ALLOWED, DENIED, UNKNOWN, Request, decide

INSTANCE = "i-0aaaaaaaaaaaaaaaa"
ARN = f"arn:aws:ec2:ap-northeast-2:123456789012:instance/{INSTANCE}"
REQUEST = Request(
    "ec2:StopInstances",
    ARN,
    {"aws:userid": f"AROAEXAMPLE:{INSTANCE}", "ec2:instanceid": INSTANCE, "aws:resourcetag/project": "academy"},
)


def allow(**change: Any) -> dict[str, Any]:
    return {"Sid": "Stop", "Effect": "Allow", "Action": "ec2:StopInstances", "Resource": "*", **change}


def without(element: str, **change: Any) -> dict[str, Any]:
    return {key: value for key, value in allow(**change).items() if key != element}


def when(operator: str, key: str, *values: str) -> dict[str, Any]:
    return allow(Condition={operator: {key: list(values)}})


@pytest.mark.parametrize(
    ("statements", "outcome"),
    [
        ([], DENIED),
        (allow(), ALLOWED),
        ([allow(Action=["ec2:Describe*", "EC2:stop*"])], ALLOWED),
        ([allow(Action="ec2:StopInstances*")], ALLOWED),
        ([allow(Action="ec2:StartInstances")], DENIED),
        ([without("Action", NotAction="ec2:StopInstances")], DENIED),
        ([without("Action", NotAction="ec2:StartInstances")], ALLOWED),
        ([without("Resource", NotResource=ARN)], DENIED),
        ([allow(Resource="arn:aws:ec2:ap-northeast-2:123456789012:instance/*")], ALLOWED),
        ([allow(Resource="arn:aws:ec2:ap-northeast-2:123456789012:instance/${ec2:InstanceID}")], ALLOWED),
        ([allow(Resource="arn:aws:ec2:us-east-1:123456789012:instance/*")], DENIED),
        ([allow(), allow(Effect="Deny", Sid="Not")], DENIED),
        ([allow(), {**when("StringEquals", "aws:SourceVpc", "vpc-1"), "Effect": "Deny"}], UNKNOWN),
        ([when("StringLike", "aws:userid", "*:${ec2:InstanceID}")], ALLOWED),
        ([when("StringEquals", "aws:userid", "*:${ec2:InstanceID}")], DENIED),
        ([when("StringLike", "aws:userid", "*:${aws:SourceVpc}")], UNKNOWN),
        ([when("StringEquals", "aws:ResourceTag/Project", "others", "academy")], ALLOWED),
        ([when("StringEquals", "aws:ResourceTag/Project", "others")], DENIED),
        ([when("StringEquals", "aws:ResourceTag/HoldUntil", "x")], DENIED),
        ([when("StringEqualsIfExists", "aws:ResourceTag/HoldUntil", "x")], ALLOWED),
        ([when("StringNotEquals", "aws:ResourceTag/HoldUntil", "x")], ALLOWED),
        ([when("StringNotLike", "aws:ResourceTag/Project", "aca*")], DENIED),
        ([when("StringEqualsIgnoreCase", "aws:ResourceTag/Project", "ACADEMY")], ALLOWED),
        ([when("Null", "aws:ResourceTag/HoldUntil", "true")], ALLOWED),
        ([when("Null", "aws:ResourceTag/HoldUntil", "false")], DENIED),
        ([when("Null", "aws:ResourceTag/Project", "true")], DENIED),
        ([when("IpAddress", "aws:SourceIp", "10.0.0.0/8")], UNKNOWN),
        ([when("ForAnyValue:StringEquals", "aws:TagKeys", "x")], UNKNOWN),
        ([allow(Principal="*")], UNKNOWN),
    ],
)
def test_decisions(statements: Any, outcome: str) -> None:
    document = {"Version": "2012-10-17", "Statement": statements}
    assert decide({"academy-host": document}, REQUEST).outcome == outcome


@pytest.mark.parametrize(
    "statement",
    [
        when("StringLike", "aws:userid", "*:${ec2:InstanceID}"),
        allow(Resource="arn:aws:ec2:ap-northeast-2:123456789012:instance/${ec2:InstanceID}"),
    ],
)
def test_variables_of_an_old_document_are_text(statement: dict[str, Any]) -> None:
    document = {"Version": "2008-10-17", "Statement": statement}
    assert decide({"academy-host": document}, REQUEST).outcome == DENIED


def test_a_decision_names_the_statement() -> None:
    document = {"Version": "2012-10-17", "Statement": [allow()]}
    assert decide({"academy-host": document}, REQUEST).because == "academy-host/Stop"
    assert "academy-host" in decide({"academy-host": {"Statement": []}}, REQUEST).because

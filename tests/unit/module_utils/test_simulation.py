# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What IAM's simulation is asked, and how its answer is read."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.stub import Stubber

from plugins.module_utils.simulation import Decision, Simulation, decisions
from tests.unit import aws_clients

ROLE = "arn:aws:iam::123456789012:role/academy-api-role"
PASS = Simulation(("iam:PassRole",), (ROLE,), (("iam:PassedToService", "ec2.amazonaws.com"),))
SEE = Simulation(("ec2:DescribeInstances", "sqs:ListQueues"), ("*",), ())


def test_a_question_as_iam_takes_it() -> None:
    entry = {
        "ContextKeyName": "iam:PassedToService",
        "ContextKeyValues": ["ec2.amazonaws.com"],
        "ContextKeyType": "string",
    }
    assert PASS.parameters(ROLE) == {
        "PolicySourceArn": ROLE,
        "ActionNames": ["iam:PassRole"],
        "ResourceArns": [ROLE],
        "ContextEntries": [entry],
    }
    assert SEE.parameters(ROLE) == {"PolicySourceArn": ROLE, "ActionNames": list(SEE.actions)}


def result(decision: str, *each: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"EvalActionName": "a:b", "EvalDecision": decision, "ResourceSpecificResults": list(each), **more}


def of(resource: str, decision: str, **more: Any) -> dict[str, Any]:
    return {"EvalResourceName": resource, "EvalResourceDecision": decision, **more}


NOTHING = "no statement matches"
BOUND = {"PermissionsBoundaryDecisionDetail": {"AllowedByPermissionsBoundary": False}}
ORGANIZATION = {"OrganizationsDecisionDetail": {"AllowedByOrganizations": False}}
BY = {"MatchedStatements": [{"SourcePolicyId": "p", "StartPosition": {"Line": 1, "Column": 40}}]}
BY_TWO = {"MatchedStatements": [{"SourcePolicyId": "p"}, {"SourcePolicyId": "q"}, {"SourcePolicyId": "p"}]}


@pytest.mark.parametrize(
    ("results", "expected"),
    [
        ([], []),
        ([result("allowed")], [Decision("a:b", "*", "allowed", NOTHING)]),
        # Before there were resources below: one result for each.
        ([result("allowed", EvalResourceName="x")], [Decision("a:b", "x", "allowed", NOTHING)]),
        (
            [result("implicitDeny", of("x", "allowed", **BY), of("y", "implicitDeny"), EvalResourceName="arn:shape")],
            [Decision("a:b", "x", "allowed", "p at 1:40"), Decision("a:b", "y", "implicitDeny", NOTHING)],
        ),
        ([result("explicitDeny", **BY_TWO)], [Decision("a:b", "*", "explicitDeny", "p, q")]),
        (
            [result("implicitDeny", of("x", "implicitDeny", **BY, **BOUND))],
            [Decision("a:b", "x", "implicitDeny", "p at 1:40; the permissions boundary does not allow it")],
        ),
        (
            [result("implicitDeny", of("x", "implicitDeny", **BY), **ORGANIZATION)],
            [Decision("a:b", "x", "implicitDeny", "p at 1:40; the organization does not allow it")],
        ),
        (
            [result("allowed", of("x", "allowed", MissingContextValues=["aws:SourceIp"]))],
            [Decision("a:b", "x", "allowed", NOTHING, ("aws:SourceIp",))],
        ),
    ],
)
def test_what_is_decided(results: list[dict[str, Any]], expected: list[Decision]) -> None:
    assert decisions(results) == expected


def test_a_long_answer_is_read_to_its_end() -> None:
    asked = SEE.parameters(ROLE)
    with Stubber(aws_clients.client("iam")) as iam:
        first = {"EvaluationResults": [result("allowed")], "IsTruncated": True, "Marker": "more"}
        iam.add_response("simulate_principal_policy", first, asked)
        iam.add_response(
            "simulate_principal_policy", {"EvaluationResults": [result("implicitDeny")]}, {**asked, "Marker": "more"}
        )
        found = SEE.ask(iam.client, ROLE)
    assert [decision.outcome for decision in found] == ["allowed", "implicitDeny"]


def test_what_nobody_was_asked_has_one_answer() -> None:
    assert SEE.answered("unknown", "not now") == [
        Decision("ec2:DescribeInstances", "*", "unknown", "not now"),
        Decision("sqs:ListQueues", "*", "unknown", "not now"),
    ]

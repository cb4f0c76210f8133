# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What IAM is asked of the published policies, and what is said of its answers."""

from __future__ import annotations

import json

import pytest
from ansible_collections.academy.deploy.plugins.module_utils.operator_policy import (
    Question,
    Refusal,
    advice,
    granting,
    own_document,
    principal_of,
    questions,
    refusal_findings,
    refusals,
    unknown_findings,
)
from ansible_collections.academy.deploy.plugins.module_utils.simulation import Decision

ROLE = "arn:aws:iam::123456789012:role/academy-*-role"
DOCUMENT = {
    "Statement": [
        {
            "Sid": "Pass",
            "Effect": "Allow",
            "Action": ["iam:PassRole"],
            "Resource": ROLE,
            "Condition": {"StringEquals": {"iam:PassedToService": ["ec2.amazonaws.com", "lambda.amazonaws.com"]}},
        },
        {"Sid": "See", "Effect": "Allow", "Action": ["ec2:DescribeInstances", "sqs:ListQueues"], "Resource": "*"},
    ]
}
DOCUMENTS = {"operator-policy-x.json": DOCUMENT}
PASS = Question(
    ("iam:PassRole",), (ROLE,), (("iam:PassedToService", "ec2.amazonaws.com"),), "operator-policy-x.json", "Pass"
)
SEE = Question(("ec2:DescribeInstances", "sqs:ListQueues"), ("*",), (), "operator-policy-x.json", "See")
USER = "arn:aws:iam::123456789012:user/somebody"


def test_each_statement_is_a_question() -> None:
    assert questions(DOCUMENTS) == [PASS, SEE]


def test_a_document_becomes_the_operator_s_own() -> None:
    document = {"Resource": "arn:aws:sqs:ap-northeast-2:123456789012:academy-*", "Project": "academy"}
    assert own_document(json.dumps(document), "210987654321", "school", "eu-west-1") == {
        "Resource": "arn:aws:sqs:eu-west-1:210987654321:school-*",
        "Project": "school",
    }


@pytest.mark.parametrize(
    ("caller", "principal"),
    [
        (USER, USER),
        ("arn:aws:iam::123456789012:user/people/somebody", "arn:aws:iam::123456789012:user/people/somebody"),
        ("arn:aws:sts::123456789012:assumed-role/admin/session", "arn:aws:iam::123456789012:role/admin"),
        ("arn:aws:iam::123456789012:root", None),
        ("arn:aws:sts::123456789012:federated-user/somebody", None),
        ("", None),
    ],
)
def test_who_can_be_asked_about(caller: str, principal: str | None) -> None:
    assert principal_of(caller) == principal


@pytest.mark.parametrize(
    ("decided", "expected"),
    [
        ([], []),
        ([Decision("a:b", "x", "allowed")], []),
        ([Decision("a:b", "*", "explicitDeny")], [("*", ("a:b",))]),
        (
            [Decision(action, "x", "implicitDeny") for action in ("a:b", "a:c", "a:b")],
            [("x", ("a:b", "a:c"))],
        ),
        ([Decision("a:b", "x", "allowed"), Decision("a:b", "y", "implicitDeny")], [("y", ("a:b",))]),
    ],
)
def test_what_is_denied(decided: list[Decision], expected: list[tuple[str, tuple[str, ...]]]) -> None:
    assert refusals(PASS, decided) == [Refusal(PASS, actions, resource) for resource, actions in expected]


def test_a_finding_names_action_resource_and_document() -> None:
    (finding,) = refusal_findings(USER, [Refusal(PASS, ("iam:PassRole",), ROLE)])
    assert finding.severity == "error"
    for text in (finding.text_en, finding.text_ko):
        assert all(part in text for part in ("iam:PassRole", ROLE, USER, "docs/operator-policy-x.json", "Pass"))


def test_who_does_not_tear_down_lacks_nothing_that_matters() -> None:
    question = Question(("sqs:DeleteQueue",), ("x",), (), "operator-policy-teardown.json", "End")
    (finding,) = refusal_findings(USER, [Refusal(question, ("sqs:DeleteQueue",), "x")])
    assert finding.severity == "warning"


def test_that_iam_does_not_say_is_no_refusal() -> None:
    (finding,) = unknown_findings(USER, "not allowed to ask")
    assert (finding.severity, finding.found) == ("warning", "not allowed to ask")


@pytest.mark.parametrize(
    ("action", "document"),
    [("iam:PassRole", "operator-policy-x.json"), ("IAM:passrole", "operator-policy-x.json"), ("iam:CreateUser", "")],
)
def test_which_document_grants_an_action(action: str, document: str) -> None:
    assert granting(action, DOCUMENTS) == document


TEXTS = {name: json.dumps(document) for name, document in DOCUMENTS.items()}


@pytest.mark.parametrize(
    ("message", "told"),
    [
        ("An error occurred (Throttling): slow down", ""),
        (
            f"User: {USER} is not authorized to perform: sqs:ListQueues on resource: arn:aws:sqs:r:1: because no",
            "The operator lacks sqs:ListQueues on arn:aws:sqs:r:1:: docs/operator-policy-x.json grants it.",
        ),
        (
            f"User: {USER} is not authorized to perform: iam:PassRole on resource: {ROLE}",
            f"The operator lacks iam:PassRole on {ROLE}: docs/operator-policy-x.json grants it.",
        ),
        (
            f"User: {USER} is not authorized to perform: iam:CreateUser",
            "The operator lacks iam:CreateUser on *: no document of docs/operator-policy.md grants it.",
        ),
    ],
)
def test_a_refusal_of_iam_comes_with_what_to_attach(message: str, told: str) -> None:
    assert advice(message, TEXTS) == told

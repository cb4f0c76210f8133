# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""IAM's decision: the evaluator by tables, then the hosts' real policies against what hosts do."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import replace
from typing import Any

import pytest

from localcloud import settings
from localcloud.permissions import Knows, needs
from localcloud.policy import Need, PolicyError, decide, matches, matches_resource, read_policy
from tests import policies
from tests.policies import KINDS, Use

QUEUE = "arn:aws:sqs:ap-northeast-2:123456789012:jobs"
CALLER = "AROA1:i-1"


def document(*statements: dict[str, Any], version: str | None = "2012-10-17") -> dict[str, Any]:
    filled = [{"Effect": "Allow", "Action": "sqs:SendMessage", "Resource": "*", **one} for one in statements]
    return {"Statement": filled} | ({"Version": version} if version else {})


def without(statement: dict[str, Any], *elements: str, **others: Any) -> dict[str, Any]:
    """A whole statement that has others in place of some elements."""
    whole = {"Effect": "Allow", "Action": "sqs:SendMessage", "Resource": "*", **statement}
    return {key: value for key, value in whole.items() if key not in elements} | others


def may(policy: Mapping[str, Any], need: Need) -> bool:
    return decide(read_policy(policy), need).allowed


@pytest.mark.parametrize(
    ("pattern", "value", "expected"),
    [
        ("abc", "abc", True),
        ("abc", "abcd", False),
        ("ab", "abc", False),
        ("a.c", "abc", False),
        ("a*", "a", True),
        ("a*c", "abbbc", True),
        ("a?c", "abc", True),
        ("a?c", "ac", False),
        ("*:${ec2:InstanceID}", "AROA1:i-1", True),
        ("*:${ec2:InstanceID}", "AROA1:i-12", False),
        ("*:${EC2:instanceid}", "AROA1:i-1", True),
        ("${aws:userid}", "x", False),  # has no value
        ("${ec2:ResourceTag/Wild}", "anything", False),  # its value is an asterisk, which is no wildcard there
        ("${ec2:ResourceTag/Wild}", "*", True),
        ("${*}", "*", True),
        ("${*}", "x", False),
        ("${$}", "$", True),
        ("$", "$", True),
    ],
)
def test_patterns(pattern: str, value: str, expected: bool) -> None:
    assert matches(pattern, value, {"ec2:instanceid": "i-1", "ec2:resourcetag/wild": "*"}) is expected


def test_where_wildcards_and_variables_mean_nothing_they_are_text() -> None:
    assert matches("a*", "a*", wildcards=False)
    assert not matches("a*", "ab", wildcards=False)
    assert matches("${ec2:InstanceID}", "${ec2:InstanceID}")


@pytest.mark.parametrize(
    ("pattern", "resource", "expected"),
    [
        ("*", "*", True),
        ("*", QUEUE, True),
        (QUEUE, QUEUE, True),
        (QUEUE, f"{QUEUE}-dlq", False),
        (QUEUE, QUEUE.upper(), False),
        (f"{QUEUE}*", f"{QUEUE}-dlq", True),
        ("arn:aws:sqs:*:*:jobs", QUEUE, True),
        ("arn:aws:sqs:*:jobs", QUEUE, False),  # a wildcard stays in its part
        ("arn:aws:*", QUEUE, False),
        (QUEUE, "*", False),
        ("arn:aws:logs:r:1:log-group:/a/b:*", "arn:aws:logs:r:1:log-group:/a/b:log-stream:host/1", True),
        ("arn:aws:logs:r:1:log-group:/a/b:*", "arn:aws:logs:r:1:log-group:/a/bc:log-stream:host/1", False),
        ("arn:aws:logs:r:1:log-group:/a/b", "arn:aws:logs:r:1:log-group:/a/b:log-stream:host/1", False),
        ("arn:aws:ec2:r:1:instance/${ec2:InstanceID}", "arn:aws:ec2:r:1:instance/i-1", True),
        ("arn:aws:ec2:r:1:instance/${ec2:InstanceID}", "arn:aws:ec2:r:1:instance/i-2", False),
    ],
)
def test_resources(pattern: str, resource: str, expected: bool) -> None:
    assert matches_resource(pattern, resource, {"ec2:instanceid": "i-1"}) is expected


SEND = Need("sqs:SendMessage", QUEUE, {"aws:userid": CALLER})
STOP = Need(
    "ec2:StopInstances",
    "arn:aws:ec2:r:1:instance/i-1",
    {"aws:userid": CALLER, "ec2:instanceid": "i-1", "aws:resourcetag/project": "academy"},
)
EVERY = "ForAllValues:StringEquals"
UNTAG = Need("ec2:DeleteTags", "arn:aws:ec2:r:1:instance/i-1", lists={"aws:tagkeys": ("Hold", "Other")})


@pytest.mark.parametrize(
    ("policy", "need", "expected"),
    [
        (document(), SEND, False),
        (document({}), SEND, True),
        ({"Version": "2012-10-17", "Statement": document({})["Statement"][0]}, SEND, True),  # no list around it
        (document({"Action": ["sqs:ReceiveMessage", "sqs:SendMessage"]}), SEND, True),
        (document({"Action": "sqs:ReceiveMessage"}), SEND, False),
        (document({"Action": "SQS:sendmessage"}), SEND, True),
        (document({"Action": "sqs:Send*"}), SEND, True),
        (document({"Action": "*"}), SEND, True),
        (document({"Action": "sns:*"}), SEND, False),
        (document({"Resource": [QUEUE]}), SEND, True),
        (document({"Resource": [f"{QUEUE}-dlq"]}), SEND, False),
        # A denial wins, wherever it stands.
        (document({}, {"Effect": "Deny"}), SEND, False),
        (document({"Effect": "Deny"}, {}), SEND, False),
        (document({}, {"Effect": "Deny", "Action": "sqs:ReceiveMessage"}), SEND, True),
        # Everything but.
        ({"Statement": [without({}, "Action", NotAction=["sqs:ReceiveMessage"])]}, SEND, True),
        ({"Statement": [without({}, "Action", NotAction=["sqs:Send*"])]}, SEND, False),
        ({"Statement": [without({}, "Resource", NotResource=[f"{QUEUE}-dlq"])]}, SEND, True),
        ({"Statement": [without({}, "Resource", NotResource=[QUEUE])]}, SEND, False),
        # Conditions: one value of a key, every key, every operator.
        (document({"Condition": {"StringEquals": {"aws:userid": CALLER}}}), SEND, True),
        (document({"Condition": {"StringEquals": {"AWS:UserId": ["x", CALLER]}}}), SEND, True),
        (document({"Condition": {"StringEquals": {"aws:userid": CALLER.lower()}}}), SEND, False),
        (document({"Condition": {"StringEquals": {"aws:userid": "AROA1:*"}}}), SEND, False),
        (document({"Condition": {"StringLike": {"aws:userid": "AROA1:*"}}}), SEND, True),
        (document({"Condition": {"StringLike": {"aws:userid": "*", "ec2:InstanceID": "*"}}}), SEND, False),
        (
            document({"Condition": {"StringLike": {"aws:userid": "*"}, "StringEquals": {"aws:userid": "x"}}}),
            SEND,
            False,
        ),
        (document({"Effect": "Deny", "Condition": {"StringLike": {"ec2:InstanceID": "*"}}}, {}), SEND, True),
        (document({"Action": "*", "Condition": {"StringEquals": {"aws:ResourceTag/Project": "academy"}}}), STOP, True),
        (document({"Action": "*", "Condition": {"StringEquals": {"aws:ResourceTag/Project": "other"}}}), STOP, False),
        (document({"Action": "*", "Condition": {"StringEquals": {"aws:ResourceTag/Owner": "academy"}}}), STOP, False),
        (document({"Action": "*", "Condition": {"Null": {"aws:ResourceTag/Owner": "true"}}}), STOP, True),
        (document({"Action": "*", "Condition": {"Null": {"aws:ResourceTag/Project": "true"}}}), STOP, False),
        (document({"Action": "*", "Condition": {"Null": {"aws:ResourceTag/Project": "false"}}}), STOP, True),
        (document({"Action": "*", "Condition": {"Null": {"aws:ResourceTag/Owner": "false"}}}), STOP, False),
        (document({"Action": "*", "Condition": {"StringLike": {"aws:userid": "*:${ec2:InstanceID}"}}}), STOP, True),
        # Each of several values must pass, and where there is none, none fails.
        (document({"Action": "*", "Condition": {EVERY: {"aws:TagKeys": ["Hold", "Other"]}}}), UNTAG, True),
        (document({"Action": "*", "Condition": {EVERY: {"aws:TagKeys": "Hold"}}}), UNTAG, False),
        (document({"Action": "*", "Condition": {EVERY: {"aws:TagKeys": "Hold"}}}), STOP, True),
        (document({"Action": "*", "Condition": {"Null": {"aws:TagKeys": "false"}}}), STOP, False),
        (document({"Action": "*", "Condition": {"Null": {"aws:TagKeys": "false"}}}), UNTAG, True),
        # Variables came with the version of 2012.
        (
            document({"Action": "*", "Condition": {"StringLike": {"aws:userid": "*:${ec2:InstanceID}"}}}, version=None),
            STOP,
            False,
        ),
        # An action whose resource is not known is allowed on everything or not at all.
        (document({"Action": "*"}), Need("iam:ListRoles", None), True),
        (document({"Action": "sqs:*"}), Need("iam:ListRoles", None), False),
    ],
)
def test_decisions(policy: Mapping[str, Any], need: Need, expected: bool) -> None:
    assert may(policy, need) is expected


def test_a_decision_names_the_statement_that_made_it() -> None:
    statements = read_policy(document({"Sid": "First", "Action": "a:b"}, {"Sid": "Second"}, {"Action": "c:d"}), "ours")
    decision = decide(statements, SEND)
    assert decision.statement is not None
    assert decision.statement.sid == "Second"
    assert statements[2].sid == "ours[2]"
    assert decide(statements, STOP).statement is None


@pytest.mark.parametrize(
    ("policy", "name"),
    [
        (document({}, version="2020-01-01"), "2020-01-01"),
        (document({"Principal": "*"}), "Principal"),
        (document({"Effect": "allow"}), "allow"),
        ({"Statement": [without({}, "Action")]}, "Action or NotAction"),
        (document({"NotResource": "*"}), "Resource or NotResource"),
        (document({"Condition": {"NumericLessThan": {"aws:userid": "1"}}}), "NumericLessThan"),
        (document({"Condition": {"StringLikeIfExists": {"aws:userid": "1"}}}), "StringLikeIfExists"),
        (document({"Condition": {"StringEquals": {"aws:SourceIp": "1"}}}), "aws:SourceIp"),
        (document({"Condition": {"StringEquals": {"aws:TagKeys": "1"}}}), "StringEquals of aws:TagKeys"),
        (document({"Condition": {EVERY: {"aws:userid": "1"}}}), f"{EVERY} of aws:userid"),
        (document({"Condition": {"ForAnyValue:StringEquals": {"aws:TagKeys": "1"}}}), "ForAnyValue:StringEquals"),
        (document({"Condition": {"StringEquals": {"aws:userid": "${aws:username}"}}}), "aws:username"),
        (document({"Condition": {"StringEquals": {"aws:userid": "${aws:userid, 'x'}"}}}), "aws:userid, 'x'"),
        (document({"Resource": "arn:aws:ec2:r:1:instance/${ec2:SourceInstanceARN}"}), "ec2:SourceInstanceARN"),
    ],
)
def test_what_is_not_known_is_an_error_that_names_it(policy: Mapping[str, Any], name: str) -> None:
    with pytest.raises(PolicyError, match=name.replace("(", r"\(")):
        read_policy(policy)


def test_a_tag_that_is_not_known_here_is_an_error_where_it_is_asked_for() -> None:
    need = Need("a:Do", QUEUE, untold=("aws:resourcetag/",))
    tests: Mapping[str, Any] = {"Null": {"aws:ResourceTag/Owner": "true"}}
    with pytest.raises(PolicyError, match="aws:resourcetag/owner"):
        may(document({"Action": "a:Do", "Condition": tests}), need)
    assert may(document({"Action": "a:Do"}), need)
    assert may(document({"Action": "a:Do", "Condition": {"Null": {"aws:userid": "true"}}}), need)


def test_naming_resources_of_an_action_whose_resource_is_not_known_is_an_error() -> None:
    with pytest.raises(PolicyError, match="iam:ListRoles"):
        may(document({"Action": "iam:*", "Resource": QUEUE}), Need("iam:ListRoles", None))


# --- the hosts' policies ------------------------------------------------------------------------------------------

ITSELF, NEIGHBOUR = "i-1", "i-2"
# What the starter starts: one of each kind that stops itself.
WORKERS = {kind: f"i-{kind}" for kind in policies.STOPS_ITSELF}
OTHERS = {"api": "i-api", "other project": "i-other"}
TAGS = {
    ITSELF: {"Project": "academy"},
    NEIGHBOUR: {"Project": "academy"},
    **{instance: {"Project": "academy", "Role": kind} for kind, instance in WORKERS.items()},
    OTHERS["api"]: {"Project": "academy", "Role": "api"},
    OTHERS["other project"]: {"Project": "other", "Role": "video-worker"},
}


def first_denied(policy: Mapping[str, Any], use: Use, tags: Mapping[str, str] | None = None) -> Need | None:
    """What of a call that instance i-1 makes is denied; None where all of it is allowed."""
    statements = read_policy(policy)
    tags_of = {**TAGS, **({ITSELF: tags} if tags else {})}
    for need in needs(
        use.service,
        use.operation,
        use.parameters,
        settings.REGION,
        Knows(lambda arn: tags_of.get(arn.rpartition("/")[2], {})),
    ):
        full = replace(need, context={**need.context, "aws:userid": f"AROA1:{ITSELF}"})
        if not decide(statements, full).allowed:
            return need
    return None


def parts(kind: str) -> Iterator[tuple[int, str, str]]:
    """Every single action and resource that a policy allows: statement, element, value."""
    for index, statement in enumerate(policies.all_policies()[kind].document["Statement"]):
        for element in ("Action", "Resource"):
            yield from ((index, element, value) for value in statement[element])


@pytest.mark.parametrize("kind", KINDS)
def test_a_host_may_do_all_its_work(kind: str) -> None:
    policy = policies.host_policies()[kind].document
    assert {str(use): first_denied(policy, use) for use in policies.allowed(kind, ITSELF)} == {
        str(use): None for use in policies.allowed(kind, ITSELF)
    }


@pytest.mark.parametrize("kind", KINDS)
def test_a_host_may_do_nothing_else(kind: str) -> None:
    policy = policies.host_policies()[kind].document
    uses = policies.denied(kind, ITSELF, NEIGHBOUR)
    assert [str(use) for use in uses if first_denied(policy, use) is None] == []


@pytest.mark.parametrize("kind", KINDS)
def test_without_any_one_action_or_resource_a_host_cannot_do_its_work(kind: str) -> None:
    policy = policies.host_policies()[kind].document
    removed = list(parts(kind))
    assert removed
    for index, element, value in removed:
        less = deepcopy(policy)
        less["Statement"][index][element].remove(value)
        denied = [use for use in policies.allowed(kind, ITSELF) if first_denied(less, use)]
        assert denied, f"no work of a {kind} needs {element} {value}"


@pytest.mark.parametrize("kind", policies.STOPS_ITSELF)
@pytest.mark.parametrize("operator", ["StringLike", "StringEquals", "Null"])
def test_without_any_one_condition_a_host_could_stop_what_it_must_not(kind: str, operator: str) -> None:
    policy = policies.host_policies()[kind].document
    wider = deepcopy(policy)
    (stops,) = [statement for statement in wider["Statement"] if "Condition" in statement]
    del stops["Condition"][operator]
    # Another of the deployment, one of another deployment that has its role, and itself while it is held.
    harm, tags = {
        "StringLike": (policies.stop(NEIGHBOUR), None),
        "StringEquals": (policies.stop(ITSELF), {"Project": "other"}),
        "Null": (policies.stop(ITSELF), {"Project": "academy", "HoldUntil": "2026-01-31T09:30:00Z"}),
    }[operator]
    assert first_denied(policy, harm, tags) is not None
    assert first_denied(wider, harm, tags) is None


def test_the_rows_are_about_every_kind_of_host() -> None:
    assert tuple(policies.host_policies()) == KINDS


# --- the starter's policy -----------------------------------------------------------------------------------------


def test_the_starter_may_do_all_its_work() -> None:
    policy = policies.starter_policy().document
    assert [str(use) for use in policies.starter_allowed(*WORKERS.values()) if first_denied(policy, use)] == []


def test_the_starter_may_do_nothing_else() -> None:
    policy = policies.starter_policy().document
    uses = policies.starter_denied(WORKERS["video-worker"], OTHERS)
    assert [str(use) for use in uses if first_denied(policy, use) is None] == []


def test_without_any_one_action_or_resource_the_starter_cannot_do_its_work() -> None:
    policy = policies.starter_policy().document
    for index, element, value in parts(policies.STARTER):
        less = deepcopy(policy)
        less["Statement"][index][element].remove(value)
        denied = [use for use in policies.starter_allowed(*WORKERS.values()) if first_denied(less, use)]
        assert denied, f"no work of the starter needs {element} {value}"


# Statement, operator, key → what could be done without that condition.
HARM: dict[tuple[str, str, str], Use] = {
    ("StartWorkers", "StringEquals", "aws:ResourceTag/Project"): policies.start(OTHERS["other project"]),
    ("StartWorkers", "StringEquals", "aws:ResourceTag/Role"): policies.start(OTHERS["api"]),
    ("EndHolds", "StringEquals", "aws:ResourceTag/Project"): policies.untag(OTHERS["other project"], policies.HOLD_TAG),
    ("EndHolds", "ForAllValues:StringEquals", "aws:TagKeys"): policies.untag(OTHERS["api"], {"Key": "Role"}),
    ("EndHolds", "Null", "aws:TagKeys"): policies.untag(OTHERS["api"]),
}


def starter_conditions() -> set[tuple[str, str, str]]:
    return {
        (statement["Sid"], operator, key)
        for statement in policies.starter_policy().document["Statement"]
        for operator, tests in statement.get("Condition", {}).items()
        for key in tests
    }


def test_the_harm_is_about_every_condition_of_the_starter() -> None:
    assert set(HARM) == starter_conditions()


@pytest.mark.parametrize("condition", HARM, ids=" ".join)
def test_without_any_one_condition_the_starter_could_do_harm(condition: tuple[str, str, str]) -> None:
    sid, operator, key = condition
    policy = policies.starter_policy().document
    wider = deepcopy(policy)
    (statement,) = [statement for statement in wider["Statement"] if statement["Sid"] == sid]
    del statement["Condition"][operator][key]
    assert first_denied(policy, HARM[condition]) is not None
    assert first_denied(wider, HARM[condition]) is None


@pytest.mark.parametrize("kind", policies.STOPS_ITSELF)
def test_without_a_kind_among_the_roles_its_hosts_would_stay_down(kind: str) -> None:
    less = deepcopy(policies.starter_policy().document)
    (statement,) = [statement for statement in less["Statement"] if statement["Sid"] == "StartWorkers"]
    statement["Condition"]["StringEquals"]["aws:ResourceTag/Role"].remove(kind)
    assert first_denied(less, policies.start(WORKERS[kind])) is not None

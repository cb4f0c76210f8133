# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The decisions whose edges the cases, one call each, do not reach."""

from __future__ import annotations

from typing import Any

import pytest

from localcloud.strict import ecr, elbv2, events, iam, instances, models, rds, volumes


@pytest.mark.parametrize(
    ("action", "allowed"),
    [
        ("StartInstances", {"pending", "running", "stopped"}),
        ("StopInstances", {"running", "stopping", "stopped"}),
        ("RebootInstances", {"running"}),
    ],
)
def test_refuses_an_action_in_the_states_in_which_aws_does(action: str, allowed: set[str]) -> None:
    states = {"pending", "running", "stopping", "stopped", "shutting-down", "terminated"}
    assert {state for state in states if instances.wrong_state(action, "i-1", state) is None} == allowed


def test_a_refusal_names_instance_and_state() -> None:
    error = instances.wrong_state("StopInstances", "i-1", "pending")
    assert error is not None
    assert error.code == "IncorrectInstanceState"
    assert error.message == "The instance 'i-1' is not in a state from which it can be stopped: it is pending."


@pytest.mark.parametrize(
    ("asked", "current", "major_allowed", "said"),
    [
        (None, "16.6", False, None),
        ("16.6", "16.6", False, None),
        ("16", "16.6", False, None),
        ("16.10", "16.6", False, None),
        ("16.1", "16.10", False, "Cannot upgrade postgres from 16.10 to 16.1"),
        ("15", "16.6", True, "Cannot upgrade postgres from 16.6 to 15"),
        ("17.2", "16.6", True, None),
        ("17", "16.6", False, "The AllowMajorVersionUpgrade flag must be present"),
    ],
)
def test_engine_versions_only_grow(asked: str | None, current: str, major_allowed: bool, said: str | None) -> None:
    error = rds.engine_version(asked, current, major_allowed=major_allowed)
    assert (error is None) == (said is None)
    assert said is None or (error is not None and error.message.startswith(said))


@pytest.mark.parametrize(
    ("maximum", "allocated", "is_new", "refused"),
    [
        (None, 20, True, False),
        (20, 20, True, True),
        (20, 20, False, False),
        (19, 20, False, True),
        (21, 20, False, True),
        (22, 20, False, False),
        (27, 25, True, True),
        (28, 25, True, False),
    ],
)
def test_storage_needs_room_to_grow(maximum: int | None, allocated: int, is_new: bool, refused: bool) -> None:
    assert (rds.maximum_storage(maximum, allocated, is_new=is_new) is not None) == refused


@pytest.mark.parametrize("password", ["with space", "sla/sh-123", "at@sign-1", 'quo"te-12', "ümlaut-12", "1234567"])
def test_a_refused_password_is_not_repeated(password: str) -> None:
    errors = [decide({"MasterUserPassword": password}) for decide in (rds.password_length, rds.password_characters)]
    (error,) = filter(None, errors)
    assert password not in error.message


@pytest.mark.parametrize(
    ("config", "loops"),
    [
        ({}, True),
        ({"Port": "80"}, True),
        ({"Protocol": "HTTP", "Port": "#{port}", "Query": "a=b"}, True),
        ({"Port": "8080"}, False),
        ({"Protocol": "HTTPS"}, False),
        ({"Host": "www.#{host}"}, False),
        ({"Path": "/new/#{path}"}, False),
    ],
)
def test_a_redirect_leads_somewhere_else(config: dict[str, str], loops: bool) -> None:
    error = elbv2.redirect_loop("HTTP", 80, [{"Type": "redirect", "RedirectConfig": config}])
    assert (error is not None) == loops


def test_what_is_no_redirect_does_not_loop() -> None:
    assert elbv2.redirect_loop("HTTP", 80, [{"Type": "forward"}]) is None


@pytest.mark.parametrize("good", ["rate(1 hour)", "rate(90 days)", "cron(0/15 * ? * MON#2 2027)", "cron(0 0 L * ? *)"])
def test_schedules(good: str) -> None:
    assert events.is_schedule(good)


@pytest.mark.parametrize("bad", ["rate(1 hours)", "rate(5 weeks)", "rate(1.5 hours)", "cron(0 0 ? * ? *)", "at(2027)"])
def test_no_schedules(bad: str) -> None:
    assert not events.is_schedule(bad)


@pytest.mark.parametrize(
    ("document", "number"),
    [
        ('{"Statement": [{}, {}]}', 2),
        ('{"Statement": {}}', 1),
        ("{}", 0),
        ("[]", None),
        ("none", None),
        ('{"Statement": "x"}', None),
    ],
)
def test_statements_of_a_policy(document: str, number: int | None) -> None:
    found = iam.statements(document)
    assert (None if found is None else len(found)) == number


def test_white_space_does_not_count() -> None:
    assert iam.size('{\n  "a": "b c"\n}') == len('{"a":"bc"}')


@pytest.mark.parametrize(
    ("iops", "gib", "refused"), [(None, 1, False), (3000, 1, False), (3001, 6, True), (80000, 160, False)]
)
def test_iops_follow_the_size(iops: int | None, gib: int, refused: bool) -> None:
    assert (volumes.gp3_iops(iops, gib) is not None) == refused


@pytest.mark.parametrize("document", ["", "none", "[]", '{"rules": 1}', '{"rules": [1]}'])
def test_what_is_no_lifecycle_policy_is_left_to_moto(document: str) -> None:
    assert not ecr._rules({"lifecyclePolicyText": document})


def found(service: str, operation: str, parameters: dict[str, Any]) -> list[tuple[str, str, str]]:
    shape = models.model(service).operation_model(operation).input_shape
    return [(broken.family, broken.member, broken.value) for broken in models.violations(shape, parameters)]


def test_a_model_is_followed_into_lists_and_structures() -> None:
    parameters = {"Rule": "r", "Targets": [{"Id": "a b", "Arn": "arn"}, {"Id": "c"}]}
    assert found("events", "PutTargets", parameters) == [
        ("pattern", "targets.1.member.id", "'a b'"),
        ("required", "targets.2.member.arn", "null"),
    ]


def test_a_model_is_followed_into_maps() -> None:
    parameters = {"logGroupName": "/a", "tags": {"k": "v" * 257}}
    assert found("logs", "CreateLogGroup", parameters) == [("length", "tags.k.member", f"'{'v' * 257}'")]


def test_a_secret_is_not_repeated() -> None:
    parameters = {"FunctionName": "f", "Environment": {"Variables": {"1": "secret"}}}
    broken = found("lambda", "UpdateFunctionConfiguration", parameters)
    assert broken
    assert all("secret" not in value for _, _, value in broken)


def test_a_pattern_that_python_cannot_read_is_not_checked() -> None:
    role = {"RoleName": "r", "Tags": [{"Key": "부서", "Value": "교육"}]}
    assert found("iam", "TagRole", role) == []

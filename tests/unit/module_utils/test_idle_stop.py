# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each judgement of a host: what passes, what fails, and what cannot be told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from plugins.module_utils.idle_stop import (
    ANOTHER_INSTANCE,
    FAIL,
    HELD,
    ITSELF,
    JOBS,
    NO_ROLE,
    OTHERS,
    PASS,
    QUEUE_ACTIONS,
    UNKNOWN,
    Check,
    Container,
    Host,
    Observation,
    Question,
    Role,
    judge,
    problems,
    questions,
    read_host,
    verdict,
)

NOW = datetime(2026, 11, 24, 15, tzinfo=UTC)
OWN = "i-0aaaaaaaaaaaaaaaa"
QUEUE = "academy-video-jobs"
QUEUE_ARN = f"arn:aws:sqs:ap-northeast-2:123456789012:{QUEUE}"
ROLE = Role("arn:aws:iam::123456789012:role/academy-video-worker-role", "AROA1")
INSTANCE: dict[str, Any] = {
    "instance_id": OWN,
    "tags": {"Name": "academy-video-worker-1", "Project": "academy"},
    "metadata_options": {"http_endpoint": "enabled", "http_tokens": "required", "http_put_response_hop_limit": 2},
    "instance_initiated_shutdown_behavior": "stop",
}
READABLE: dict[str, Any] = {
    "arn": QUEUE_ARN,
    "attributes": {"VisibilityTimeout": "10800", "ReceiveMessageWaitTimeSeconds": "20"},
    "redrive_policy": {"maxReceiveCount": 3},
    "tags": {"Project": "academy"},
}
ASKED = questions(INSTANCE, {QUEUE: READABLE}, "ap-northeast-2", ROLE, NOW)
# As a right role is answered.
ANSWERS = {ITSELF: "allowed", HELD: "implicitDeny", OTHERS: "implicitDeny", JOBS: "allowed"}
WHY = "the policy"


def said(**change: str) -> dict[str, Any]:
    """IAM's answers, some of them others."""
    answers = {**ANSWERS, **change}
    return {"decisions": {asked: asked.answered(answers[asked.about], WHY) for asked in ASKED}}


def depends(about: str, outcome: str, *keys: str) -> dict[str, Any]:
    """IAM's answers, one of which was given without knowing these condition keys."""
    return {
        "decisions": {
            asked: [
                decision._replace(outcome=outcome, missing=keys) if asked.about == about else decision
                for decision in found
            ]
            for asked, found in said()["decisions"].items()
        }
    }


def of_one(about: str, number: int, outcome: str) -> dict[str, Any]:
    """IAM's answers, one of which is another to one of its questions or actions."""
    decisions = said()["decisions"]
    flat = [(asked, decision) for asked, found in decisions.items() if asked.about == about for decision in found]
    asked, decision = flat[number]
    changed = [each._replace(outcome=outcome) if each == decision else each for each in decisions[asked]]
    return {"decisions": {**decisions, asked: changed}}


def unsaid() -> dict[str, Any]:
    return {"decisions": {asked: [] for asked in ASKED}}


def container(name: str = "academy-video-worker", **change: Any) -> Container:
    return Container(name, **{"running": True, "restart_policy": "unless-stopped", "has_heartbeat": False, **change})


def host(*others: Container, watchdog: bool = True, beating: Sequence[str] = (), **change: Any) -> dict[str, Any]:
    return {"host": Host(container(**{"threshold": "5", **change}), others, watchdog, beating)}


GOOD = Observation(
    now=NOW,
    instance=INSTANCE,
    region="ap-northeast-2",
    decisions=said()["decisions"],
    queues={QUEUE: READABLE},
    threshold=5,
    host=host()["host"],
)


def of(identifier: str, seen: Observation) -> Check:
    (found,) = [check for check in judge(seen) if check.id == identifier]
    return found


def test_a_good_host_passes_everything() -> None:
    checks = judge(GOOD)
    assert [check for check in checks if check.status != PASS] == []
    assert len({check.id for check in checks}) == len(checks) == 11
    assert verdict(checks) == PASS


def test_what_was_not_read_is_no_pass() -> None:
    checks = judge(replace(GOOD, host=None))
    assert {check.id for check in checks if check.status == UNKNOWN} == {"threshold", "restart_policy", "co_tenants"}
    assert verdict(checks) == UNKNOWN


def test_one_failure_is_the_verdict() -> None:
    assert verdict([Check("a", PASS, ""), Check("b", UNKNOWN, ""), Check("c", FAIL, "")]) == FAIL


def test_only_what_fails_is_told_as_a_problem_and_with_what_to_do() -> None:
    checks = [Check("a", PASS, "x"), Check("b", UNKNOWN, "y", "Do."), Check("c", FAIL, "z", "Do it.")]
    assert problems(checks) == ["c: z. Do it."]


# --- what IAM is asked ----------------------------------------------------------------------------------------------


def test_a_call_for_each_context() -> None:
    context = (
        ("aws:userid", f"AROA1:{OWN}"),
        ("aws:RequestedRegion", "ap-northeast-2"),
        ("ec2:InstanceID", OWN),
        ("aws:ResourceTag/Name", "academy-video-worker-1"),
        ("aws:ResourceTag/Project", "academy"),
        ("ec2:ResourceTag/Name", "academy-video-worker-1"),
        ("ec2:ResourceTag/Project", "academy"),
    )
    own, other = (f"arn:aws:ec2:ap-northeast-2:123456789012:instance/{id}" for id in (OWN, ANOTHER_INSTANCE))
    itself, held, neighbour, stranger, jobs = ASKED
    assert itself == Question(("ec2:StopInstances",), (own,), context, ITSELF)
    assert (held.resources, held.about) == ((own,), HELD)
    assert set(held.context) - set(context) == {
        ("aws:ResourceTag/HoldUntil", "2026-11-24T15:00:00Z"),
        ("ec2:ResourceTag/HoldUntil", "2026-11-24T15:00:00Z"),
    }
    assert (neighbour.resources, neighbour.about, stranger.about) == ((other,), OTHERS, OTHERS)
    assert neighbour.context == tuple(("ec2:InstanceID", ANOTHER_INSTANCE) if key == "ec2:InstanceID" else (key, value)
                                      for key, value in context)  # fmt: skip
    assert stranger.context == neighbour.context[:3]
    assert jobs == Question(QUEUE_ACTIONS, (QUEUE_ARN,), (*context[:2], ("aws:ResourceTag/Project", "academy")), JOBS)


def asked_with(queues: Mapping[str, Any], tags: Mapping[str, str] = INSTANCE["tags"]) -> list[Question]:
    return questions({**INSTANCE, "tags": tags}, queues, "ap-northeast-2", ROLE, NOW)


def test_queues_with_the_same_tags_are_asked_about_together() -> None:
    queues = {
        "a": {"arn": "a", "tags": {"Project": "academy"}},
        "b": {"arn": "b", "tags": {"Project": "academy", "aws:cloudformation:stack-name": "x"}},
        "c": {"arn": "c", "tags": {}},
        "missing": None,
    }
    assert [asked.resources for asked in asked_with(queues) if asked.about == JOBS] == [("a", "b"), ("c",)]


def test_a_host_that_is_held_is_asked_about_as_if_it_were_not() -> None:
    tags = {**INSTANCE["tags"], "HoldUntil": "2026-11-24T16:00:00Z"}
    assert asked_with({QUEUE: READABLE}, tags)[0] == ASKED[0]


def test_tags_that_aws_keeps_are_not_given() -> None:
    assert asked_with({QUEUE: READABLE}, {**INSTANCE["tags"], "aws:ec2launchtemplate:id": "lt-1"}) == ASKED


def test_without_a_role_there_is_something_to_say_all_the_same() -> None:
    asked = questions(INSTANCE, {QUEUE: READABLE}, "ap-northeast-2", NO_ROLE, NOW)
    seen = replace(GOOD, decisions={each: each.answered("implicitDeny", "no role") for each in asked})
    assert of("role_may_stop", seen).evidence == f"ec2:StopInstances on {OWN}: implicitDeny (no role)"


# --- what is judged -------------------------------------------------------------------------------------------------


def instance(**change: Any) -> dict[str, Any]:
    return {"instance": {**INSTANCE, **change}}


def metadata(**change: Any) -> dict[str, Any]:
    return instance(metadata_options={**INSTANCE["metadata_options"], **change})


def spot(**request: Any) -> dict[str, Any]:
    return instance(instance_lifecycle="spot", spot_request=request or None)


def queue(**attributes: str) -> dict[str, Any]:
    return {"queues": {QUEUE: {**READABLE, "attributes": {**READABLE["attributes"], **attributes}}}}


def held(until: str) -> dict[str, Any]:
    return instance(tags={**INSTANCE["tags"], "HoldUntil": until})


SHARED: dict[str, Any] = {"threshold": None, "has_heartbeat": True}
AI = container("ai", has_heartbeat=True)
BOTH = ["ai", "academy-video-worker"]
Q = f"queue {QUEUE}"
CASES: list[tuple[str, dict[str, Any], str]] = [
    ("role_may_stop", said(itself="implicitDeny"), FAIL),
    ("role_may_stop", said(itself="explicitDeny"), FAIL),
    ("role_may_stop", said(itself=UNKNOWN), UNKNOWN),
    ("role_may_stop", unsaid(), UNKNOWN),
    ("role_may_stop", held("2026-11-24T16:00:00Z"), PASS),
    ("role_may_stop", depends(ITSELF, "allowed", "aws:SourceIp"), UNKNOWN),
    ("role_may_stop", depends(ITSELF, "implicitDeny", "aws:SourceIp"), UNKNOWN),
    ("role_may_stop", depends(ITSELF, "implicitDeny", "ec2:InstanceType"), UNKNOWN),
    # A tag that was not given is not there, but for AWS's own; and EC2's calls have no keys of other services.
    ("role_may_stop", depends(ITSELF, "allowed", "aws:ResourceTag/HoldUntil", "ec2:ResourceTag/X"), PASS),
    ("role_may_stop", depends(ITSELF, "implicitDeny", "aws:ResourceTag/HoldUntil"), FAIL),
    ("role_may_stop", depends(ITSELF, "allowed", "aws:ResourceTag/aws:ec2launchtemplate:id"), UNKNOWN),
    ("role_may_stop", depends(ITSELF, "allowed", "sqs:x", "iam:PassedToService"), PASS),
    ("role_stops_only_itself", said(others="allowed"), FAIL),
    ("role_stops_only_itself", of_one(OTHERS, 0, "allowed"), FAIL),
    ("role_stops_only_itself", of_one(OTHERS, 1, "allowed"), FAIL),
    ("role_stops_only_itself", of_one(OTHERS, 1, UNKNOWN), UNKNOWN),
    ("role_stops_only_itself", said(others="explicitDeny"), PASS),
    ("role_stops_only_itself", unsaid(), UNKNOWN),
    ("role_stops_only_itself", depends(OTHERS, "implicitDeny", "aws:SourceIp"), UNKNOWN),
    ("role_respects_hold", said(held="allowed"), FAIL),
    ("role_respects_hold", said(held="explicitDeny"), PASS),
    ("role_respects_hold", unsaid(), UNKNOWN),
    ("metadata_service", metadata(http_put_response_hop_limit=1), FAIL),
    ("metadata_service", metadata(http_put_response_hop_limit=3), PASS),
    ("metadata_service", metadata(http_endpoint="disabled"), FAIL),
    ("metadata_service", metadata(http_tokens="optional"), FAIL),
    ("metadata_service", instance(metadata_options={}), UNKNOWN),
    ("threshold", host(threshold=None), FAIL),
    ("threshold", host(threshold=""), FAIL),
    ("threshold", {**host(threshold="0"), "threshold": 0}, FAIL),
    ("threshold", host(threshold="3"), FAIL),
    ("threshold", {**host(threshold="3"), "threshold": 3}, PASS),
    ("threshold", host(running=False), FAIL),
    ("threshold", host(AI, **SHARED), PASS),
    ("threshold", host(AI, **SHARED, watchdog=False), FAIL),
    ("threshold", host(**SHARED), FAIL),
    ("restart_policy", host(restart_policy="always"), PASS),
    ("restart_policy", host(restart_policy="on-failure"), FAIL),
    ("restart_policy", host(restart_policy="no"), FAIL),
    ("shutdown_behavior", instance(instance_initiated_shutdown_behavior="terminate"), FAIL),
    ("shutdown_behavior", instance(instance_initiated_shutdown_behavior=None), UNKNOWN),
    ("market_type", instance(instance_lifecycle="scheduled"), FAIL),
    ("market_type", spot(), UNKNOWN),
    ("market_type", spot(type="persistent", instance_interruption_behavior="stop", state="active"), PASS),
    ("market_type", spot(type="persistent", instance_interruption_behavior="stop", state="cancelled"), FAIL),
    ("market_type", spot(type="persistent", instance_interruption_behavior="terminate", state="active"), FAIL),
    ("market_type", spot(type="one-time", instance_interruption_behavior="terminate", state="active"), FAIL),
    ("co_tenants", host(AI, **SHARED), UNKNOWN),
    ("co_tenants", host(AI, **SHARED, beating=["ai"]), UNKNOWN),
    ("co_tenants", host(AI, **SHARED, beating=BOTH), PASS),
    ("co_tenants", host(container("messaging")), FAIL),
    ("co_tenants", host(container("ai", threshold="5")), FAIL),
    ("co_tenants", host(container("messaging"), **SHARED), FAIL),
    (Q, {"queues": {QUEUE: None}}, FAIL),
    (Q, said(jobs="implicitDeny"), FAIL),
    (Q, of_one(JOBS, 3, "explicitDeny"), FAIL),
    (Q, of_one(JOBS, 3, UNKNOWN), UNKNOWN),
    (Q, unsaid(), UNKNOWN),
    (Q, depends(JOBS, "allowed", "aws:SecureTransport"), UNKNOWN),
    # The other statements of the same policies ask about these.
    (Q, depends(JOBS, "allowed", "ec2:InstanceID", "aws:ResourceTag/HoldUntil"), PASS),
    (Q, queue(VisibilityTimeout="0"), FAIL),
    (Q, queue(ReceiveMessageWaitTimeSeconds="0"), FAIL),
    (Q, queue(Policy='{"Statement":[{"Effect":"Deny"}]}'), UNKNOWN),
    (Q, queue(Policy='{"Statement":[{"Effect":"Allow"}]}'), PASS),
    (Q, {"queues": {QUEUE: {**READABLE, "redrive_policy": None}}}, FAIL),
    ("hold", held("2026-11-24T15:00:01Z"), FAIL),
    ("hold", held("2026-11-24T15:00:00Z"), UNKNOWN),
    ("hold", held("soon"), FAIL),
]


@pytest.mark.parametrize(("identifier", "change", "status"), CASES)
def test_judgements(identifier: str, change: dict[str, Any], status: str) -> None:
    found = of(identifier, replace(GOOD, **change))
    assert found.status == status
    assert found.evidence
    assert bool(found.remedy) == (status != PASS)


def test_what_iam_says_is_told_in_its_words() -> None:
    evidence = {check.id: check.evidence for check in judge(GOOD)}
    assert evidence["role_may_stop"] == f"ec2:StopInstances on {OWN}: allowed (the policy)"
    assert evidence["role_stops_only_itself"] == "ec2:StopInstances on another instance: implicitDeny (the policy)"
    refused = of(Q, replace(GOOD, **of_one(JOBS, 1, "explicitDeny"))).evidence
    assert refused.endswith("the role may not sqs:ReceiveMessage (explicitDeny: the policy)")
    lacking = of("role_may_stop", replace(GOOD, **depends(ITSELF, "allowed", "aws:SourceIp"))).evidence
    assert "it depends on aws:SourceIp, which is not known here" in lacking


def test_a_queue_that_iam_says_nothing_of_does_not_pass_with_another() -> None:
    other = {**READABLE, "arn": f"{QUEUE_ARN}-2"}
    asked = asked_with({QUEUE: READABLE, "other": other})
    answered = {each: each.answered(ANSWERS[each.about], WHY) for each in asked}
    jobs = asked[-1]
    answered[jobs] = [decision for decision in answered[jobs] if decision.resource == QUEUE_ARN]
    seen = replace(GOOD, queues={QUEUE: READABLE, "other": other}, decisions=answered)
    assert (of(Q, seen).status, of("queue other", seen).status) == (PASS, UNKNOWN)


def test_a_worker_without_a_heartbeat_is_named() -> None:
    seen = of("co_tenants", replace(GOOD, **host(AI, **SHARED, beating=["academy-video-worker"])))
    assert "no fresh heartbeat from ai" in seen.evidence
    assert "the host never stops" in seen.remedy


# --- the host -------------------------------------------------------------------------------------------------------


def told(threshold: str | None = "5", *, heartbeat: bool = False, running: bool = True) -> dict[str, Any]:
    return {
        "running_seconds": 9 if running else None,
        "restart_policy": "unless-stopped",
        "environment_names": ["DB_PASSWORD", *(["WORKER_HEARTBEAT_FILE"] if heartbeat else [])],
        "environment": {} if threshold is None else {"EC2_IDLE_STOP_THRESHOLD": threshold},
    }


STATE: dict[str, Any] = {
    "now_seconds": 1000.5,
    "containers": {
        "academy-video-worker": told(),
        "ai": told(None, heartbeat=True),
        "over": told(running=False),
    },
    "units": {"academy-watchdog.timer": {"active_state": "active"}},
    "paths": {
        "/run/academy/ai/heartbeat.json": {"kind": "file", "mtime": 821.0},
        "/run/academy/old/heartbeat.json": {"kind": "file", "mtime": 820.0},
        "/run/academy/academy-video-worker/heartbeat.json": {"kind": "absent"},
    },
}


def test_what_is_judged_of_a_host() -> None:
    assert read_host(STATE, "academy-video-worker") == Host(
        container(threshold="5"), [container("ai", has_heartbeat=True)], True, {"ai"}
    )


@pytest.mark.parametrize(
    "state",
    [
        None,
        {"failed": True},
        {"unreachable": True},
        {**STATE, "containers": {}},
        {**STATE, "containers": {"ai": told()}},
    ],
)
def test_a_host_that_tells_nothing_of_the_container_was_not_read(state: dict[str, Any] | None) -> None:
    assert read_host(state, "academy-video-worker") is None


def test_a_watchdog_that_is_not_there_does_not_run() -> None:
    units = {"academy-watchdog.timer": {"active_state": "inactive"}}
    found = read_host({**STATE, "units": units}, "academy-video-worker")
    assert found is not None
    assert not found.watchdog_runs

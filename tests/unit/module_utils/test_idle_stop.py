# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each judgement of a host: what passes, what fails, and what cannot be told."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from plugins.module_utils.idle_stop import FAIL, PASS, Check, Observation, judge, reduced_container, verdict

UNKNOWN = "unknown"
NOW = datetime(2026, 11, 24, 15, tzinfo=UTC)
OWN = "i-0aaaaaaaaaaaaaaaa"
QUEUE = "academy-video-jobs"
QUEUE_ARN = f"arn:aws:sqs:ap-northeast-2:123456789012:{QUEUE}"
STOP: dict[str, Any] = {
    "Sid": "StopItself",
    "Effect": "Allow",
    "Action": "ec2:StopInstances",
    "Resource": "arn:aws:ec2:ap-northeast-2:123456789012:instance/*",
    "Condition": {
        "StringLike": {"aws:userid": "*:${ec2:InstanceID}"},
        "StringEquals": {"aws:ResourceTag/Project": "academy"},
        "Null": {"aws:ResourceTag/HoldUntil": "true"},
    },
}
RECEIVE = {"Sid": "ReceiveJobs", "Effect": "Allow", "Action": "sqs:*", "Resource": QUEUE_ARN}
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
}


def container(name: str = "academy-video-worker", restart: str = "unless-stopped", **env: str) -> dict[str, Any]:
    return {
        "Name": f"/{name}",
        "Config": {"Env": [f"{key}={value}" for key, value in env.items()]},
        "HostConfig": {"RestartPolicy": {"Name": restart, "MaximumRetryCount": 0}},
        "State": {"Running": True},
    }


def policies(*statements: dict[str, Any]) -> dict[str, Any]:
    return {"academy-host": {"Version": "2012-10-17", "Statement": list(statements)}}


def stop_when(**condition: Any) -> dict[str, Any]:
    return policies({**STOP, "Condition": {**STOP["Condition"], **condition}}, RECEIVE)


GOOD = Observation(
    now=NOW,
    instance=INSTANCE,
    account_id="123456789012",
    region="ap-northeast-2",
    policies=policies(STOP, RECEIVE),
    boundary=None,
    queues={QUEUE: READABLE},
    threshold=5,
    container=container(EC2_IDLE_STOP_THRESHOLD="5"),
    co_tenants=[],
)
HEARTBEAT = {"WORKER_HEARTBEAT_FILE": "/run/heartbeat/heartbeat.json"}


def of(identifier: str, seen: Observation) -> Check:
    (found,) = [check for check in judge(seen) if check.id == identifier]
    return found


def test_a_good_host_passes_everything() -> None:
    checks = judge(GOOD)
    assert [check for check in checks if check.status != PASS] == []
    assert len({check.id for check in checks}) == len(checks) == 11
    assert verdict(checks) == PASS


def test_what_was_not_looked_at_is_no_pass() -> None:
    checks = judge(replace(GOOD, container=None, co_tenants=None))
    assert {check.id for check in checks if check.status == UNKNOWN} == {"threshold", "restart_policy", "co_tenants"}
    assert verdict(checks) == UNKNOWN


def test_one_failure_is_the_verdict() -> None:
    assert verdict([Check("a", PASS, ""), Check("b", UNKNOWN, ""), Check("c", FAIL, "")]) == FAIL


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


SHARED: dict[str, Any] = {"container": container(**HEARTBEAT), "co_tenants": [container("ai", **HEARTBEAT)]}
Q = f"queue {QUEUE}"
CASES: list[tuple[str, dict[str, Any], str]] = [
    ("role_may_stop", {"policies": None}, FAIL),
    ("role_may_stop", {"policies": {}}, FAIL),
    ("role_may_stop", instance(tags={"Project": "others"}), FAIL),
    ("role_may_stop", held("2026-11-24T16:00:00Z"), PASS),
    ("role_may_stop", {"policies": stop_when(StringLike={"aws:userid": "*:i-0bbb"})}, FAIL),
    ("role_may_stop", {"policies": stop_when(IpAddress={"aws:SourceIp": "10.0.0.0/8"})}, UNKNOWN),
    ("role_may_stop", {"policies": policies(STOP, {**STOP, "Effect": "Deny", "Condition": {}})}, FAIL),
    ("role_may_stop", {"boundary": "arn:aws:iam::123456789012:policy/boundary"}, UNKNOWN),
    ("role_stops_only_itself", {"policies": stop_when(StringLike={})}, FAIL),
    ("role_stops_only_itself", {"policies": policies({**STOP, "Resource": "*", "Condition": {}})}, FAIL),
    (
        "role_stops_only_itself",
        {"policies": policies({**STOP, "Condition": {"StringNotEquals": {"ec2:ResourceTag/Project": "academy"}}})},
        FAIL,
    ),
    (
        "role_stops_only_itself",
        {"policies": stop_when(StringLike={}, IpAddress={"aws:SourceIp": "10.0.0.0/8"})},
        UNKNOWN,
    ),
    ("role_respects_hold", {"policies": stop_when(Null={})}, FAIL),
    ("metadata_service", metadata(http_put_response_hop_limit=1), FAIL),
    ("metadata_service", metadata(http_put_response_hop_limit=3), PASS),
    ("metadata_service", metadata(http_endpoint="disabled"), FAIL),
    ("metadata_service", metadata(http_tokens="optional"), FAIL),
    ("metadata_service", instance(metadata_options={}), UNKNOWN),
    ("threshold", {"container": container()}, FAIL),
    ("threshold", {"container": container(EC2_IDLE_STOP_THRESHOLD="")}, FAIL),
    ("threshold", {"container": container(EC2_IDLE_STOP_THRESHOLD="0"), "threshold": 0}, FAIL),
    ("threshold", {"container": container(EC2_IDLE_STOP_THRESHOLD="3")}, FAIL),
    ("threshold", {"container": container(EC2_IDLE_STOP_THRESHOLD="3"), "threshold": 3}, PASS),
    ("threshold", {"container": {**container(EC2_IDLE_STOP_THRESHOLD="5"), "State": {"Running": False}}}, FAIL),
    ("threshold", SHARED, UNKNOWN),
    ("threshold", {**SHARED, "arbiter": True}, PASS),
    ("threshold", {**SHARED, "arbiter": False}, FAIL),
    ("threshold", {"container": container(**HEARTBEAT)}, FAIL),
    ("threshold", {"container": container(**HEARTBEAT), "arbiter": True}, FAIL),
    ("restart_policy", {"container": container(restart="always")}, PASS),
    ("restart_policy", {"container": container(restart="on-failure")}, FAIL),
    ("restart_policy", {"container": container(restart="")}, FAIL),
    ("shutdown_behavior", instance(instance_initiated_shutdown_behavior="terminate"), FAIL),
    ("shutdown_behavior", instance(instance_initiated_shutdown_behavior=None), UNKNOWN),
    ("market_type", instance(instance_lifecycle="scheduled"), FAIL),
    ("market_type", spot(), UNKNOWN),
    ("market_type", spot(type="persistent", instance_interruption_behavior="stop", state="active"), PASS),
    ("market_type", spot(type="persistent", instance_interruption_behavior="stop", state="cancelled"), FAIL),
    ("market_type", spot(type="persistent", instance_interruption_behavior="terminate", state="active"), FAIL),
    ("market_type", spot(type="one-time", instance_interruption_behavior="terminate", state="active"), FAIL),
    ("co_tenants", SHARED, UNKNOWN),
    ("co_tenants", {**SHARED, "heartbeats": []}, UNKNOWN),
    ("co_tenants", {**SHARED, "heartbeats": ["ai"]}, UNKNOWN),
    ("co_tenants", {**SHARED, "heartbeats": ["ai", "academy-video-worker"]}, PASS),
    ("co_tenants", {"container": None, "co_tenants": [container("ai", **HEARTBEAT)]}, UNKNOWN),
    ("co_tenants", {"co_tenants": [container("messaging")]}, FAIL),
    ("co_tenants", {"co_tenants": [container("ai", EC2_IDLE_STOP_THRESHOLD="5")]}, FAIL),
    ("co_tenants", {"container": container(**HEARTBEAT), "co_tenants": [container("messaging")]}, FAIL),
    (Q, {"queues": {QUEUE: None}}, FAIL),
    (Q, {"policies": policies(STOP)}, FAIL),
    (Q, {"policies": policies(STOP, {**RECEIVE, "Action": "sqs:ReceiveMessage"})}, FAIL),
    (Q, {"policies": policies(STOP, {**RECEIVE, "Condition": {"Bool": {"aws:SecureTransport": "true"}}})}, UNKNOWN),
    (Q, queue(VisibilityTimeout="0"), FAIL),
    (Q, queue(ReceiveMessageWaitTimeSeconds="0"), FAIL),
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


def test_what_a_role_may_do_is_told_with_what_was_not_read() -> None:
    assert "service control policies are not read" in of("role_may_stop", GOOD).evidence
    bounded = of("role_may_stop", replace(GOOD, boundary="arn:aws:iam::123456789012:policy/boundary"))
    assert "permissions boundary arn:aws:iam::123456789012:policy/boundary" in bounded.evidence


def test_a_worker_without_a_heartbeat_is_named() -> None:
    seen = of("co_tenants", replace(GOOD, **SHARED, heartbeats=["academy-video-worker"]))
    assert "no fresh heartbeat from ai" in seen.evidence
    assert "the host never stops" in seen.remedy


def test_a_container_is_judged_without_its_secrets() -> None:
    found = container(EC2_IDLE_STOP_THRESHOLD="5", DB_PASSWORD="secret-word")
    reduced = reduced_container(found)
    assert "secret-word" not in str(reduced)
    assert judge(replace(GOOD, container=reduced)) == judge(replace(GOOD, container=found))

# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Certificate, attributes and targets: what the modules call, against botocore's models of the services."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from unittest.mock import Mock

import pytest
from ansible_collections.academy.deploy.plugins.modules import (
    acm_certificate_request,
    load_balancer_attributes,
    load_balancer_listener,
    load_balancer_targets,
    log_bucket,
)
from botocore.stub import ANY, Stubber

from tests.unit import aws_clients


class Plain:
    """A client as a module has it, which takes `aws_retry` and keeps it from AWS."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def __getattr__(self, name: str) -> Any:
        attribute = getattr(self._client, name)
        if name in ("meta", "get_paginator", "can_paginate") or not callable(attribute):
            return attribute
        return lambda **parameters: attribute(**{key: each for key, each in parameters.items() if key != "aws_retry"})


@pytest.fixture
def elbv2() -> Iterator[Stubber]:
    with Stubber(aws_clients.client("elbv2")) as stub:
        yield stub
        stub.assert_no_pending_responses()


@pytest.fixture
def acm() -> Iterator[Stubber]:
    with Stubber(aws_clients.client("acm")) as stub:
        yield stub
        stub.assert_no_pending_responses()


GROUP, BALANCER = "arn:group", "arn:balancer"


# --- attributes -----------------------------------------------------------------------------------------------------


KINDS = {
    "load_balancer_name": ("load_balancer", "LoadBalancers", "LoadBalancerArn", BALANCER),
    "target_group_name": ("target_group", "TargetGroups", "TargetGroupArn", GROUP),
}


@pytest.mark.parametrize("option", KINDS)
@pytest.mark.parametrize("check_mode", [True, False])
def test_attributes_that_differ_are_set_and_others_left(elbv2: Stubber, option: str, check_mode: bool) -> None:
    kind, answer, word, arn = KINDS[option]
    elbv2.add_response(f"describe_{kind}s", {answer: [{word: arn}]}, {"Names": ["x"]})
    told = [{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "2"}]
    elbv2.add_response(f"describe_{kind}_attributes", {"Attributes": told}, {word: arn})
    if not check_mode:
        wanted = {word: arn, "Attributes": [{"Key": "b", "Value": "3"}]}
        elbv2.add_response(f"modify_{kind}_attributes", {}, wanted)
    result = load_balancer_attributes.ensure(Plain(elbv2.client), option, "x", {"a": "1", "b": "3"}, check_mode)
    assert (result["changed"], result["attributes"]) == (True, {"b": "3"})
    assert result["diff"] == {"before": {"b": "2"}, "after": {"b": "3"}}


# --- listener -------------------------------------------------------------------------------------------------------

LISTENER, OWN_CERTIFICATE, THEIRS = "arn:listener", "arn:own", "arn:theirs"


@pytest.mark.parametrize("port", [443, 80])
@pytest.mark.parametrize("check_mode", [True, False])
def test_a_listener_gets_what_is_wanted_and_loses_what_is_others(elbv2: Stubber, port: int, check_mode: bool) -> None:
    secure = port == 443
    listened = {
        "Port": port, "ListenerArn": LISTENER, "Protocol": "HTTPS" if secure else "HTTP",
        **({"MutualAuthentication": {"Mode": "verify", "TrustStoreArn": "arn:store"}} if secure else {}),
    }  # fmt: skip
    by_arn = {"ListenerArn": LISTENER}
    elbv2.add_response(
        "describe_load_balancers", {"LoadBalancers": [{"LoadBalancerArn": BALANCER}]}, {"Names": ["alb"]}
    )
    elbv2.add_response("describe_listeners", {"Listeners": [{"Port": 8080}, listened]}, {"LoadBalancerArn": BALANCER})
    if secure:
        certificates = [
            {"CertificateArn": OWN_CERTIFICATE, "IsDefault": True}, {"CertificateArn": THEIRS, "IsDefault": False},
        ]  # fmt: skip
        elbv2.add_response("describe_listener_certificates", {"Certificates": certificates}, by_arn)
    told = [{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "2"}]
    elbv2.add_response("describe_listener_attributes", {"Attributes": told}, by_arn)
    tags = [{"Key": "Project", "Value": "academy"}, {"Key": "Foreign", "Value": "x"}, {"Key": "aws:x", "Value": "y"}]
    described = {"TagDescriptions": [{"ResourceArn": LISTENER, "Tags": tags}]}
    elbv2.add_response("describe_tags", described, {"ResourceArns": [LISTENER]})
    if not check_mode:
        if secure:
            elbv2.add_response("modify_listener", {}, {**by_arn, "MutualAuthentication": {"Mode": "off"}})
            named = [{"CertificateArn": THEIRS}]
            elbv2.add_response("remove_listener_certificates", {}, {**by_arn, "Certificates": named})
        wanted_attributes = [{"Key": "b", "Value": "3"}]
        elbv2.add_response("modify_listener_attributes", {}, {**by_arn, "Attributes": wanted_attributes})
        elbv2.add_response("remove_tags", {}, {"ResourceArns": [LISTENER], "TagKeys": ["Foreign"]})
        role = [{"Key": "Role", "Value": "load_balancer"}]
        elbv2.add_response("add_tags", {}, {"ResourceArns": [LISTENER], "Tags": role})
    wanted = {
        "load_balancer_name": "alb", "port": port, "attributes": {"b": "3"},
        "tags": {"Project": "academy", "Role": "load_balancer"},
    }  # fmt: skip
    result = load_balancer_listener.ensure(Plain(elbv2.client), wanted, check_mode)
    assert (result["changed"], result["listener_arn"]) == (True, LISTENER)
    assert result["diff"]["before"]["attributes"] == {"b": "2"}
    assert result["diff"]["after"] == {
        "more_certificates": [], "mutual_authentication": "off", "attributes": {"b": "3"}, "tags": wanted["tags"],
    }  # fmt: skip


# --- targets --------------------------------------------------------------------------------------------------------


def health(*targets: tuple[str, int, str]) -> dict[str, Any]:
    return {
        "TargetHealthDescriptions": [
            {"Target": {"Id": name, "Port": port}, "TargetHealth": {"State": state}} for name, port, state in targets
        ]
    }


@pytest.mark.parametrize(
    ("there", "registered", "deregistered"),
    [
        ([], ["i-1"], []),
        ([("i-1", 8000, "healthy"), ("i-2", 8000, "unhealthy")], [], ["i-2"]),
        # Drained after a quick stop and start: nobody else registers it again.
        ([("i-1", 8000, "draining"), ("i-2", 8000, "draining")], ["i-1"], []),
        ([("i-1", 9000, "healthy")], ["i-1"], []),
        ([("i-1", 8000, "healthy"), ("i-3", 8000, "healthy")], [], []),
    ],
)
def test_those_named_are_registered_and_deregistered_and_no_others(
    elbv2: Stubber, there: list[Any], registered: list[str], deregistered: list[str]
) -> None:
    elbv2.add_response("describe_target_groups", {"TargetGroups": [{"TargetGroupArn": GROUP}]}, {"Names": ["api"]})
    elbv2.add_response("describe_target_health", health(*there), {"TargetGroupArn": GROUP})
    # In this order, so that somebody is always there.
    for operation, ids in (("register_targets", registered), ("deregister_targets", deregistered)):
        if ids:
            targets = [{"Id": each, "Port": 8000} for each in ids]
            elbv2.add_response(operation, {}, {"TargetGroupArn": GROUP, "Targets": targets})
    wanted = {"target_group_name": "api", "port": 8000, "register": ["i-1"], "deregister": ["i-2"]}
    result = load_balancer_targets.ensure(Plain(elbv2.client), wanted, check_mode=False)
    assert (result["registered"], result["deregistered"]) == (registered, deregistered)
    assert result["changed"] == bool(registered or deregistered)


# --- certificate ----------------------------------------------------------------------------------------------------

NAME, ARN = (
    "api.example.com",
    "arn:aws:acm:ap-northeast-2:123456789012:certificate/12345678-1234-1234-1234-123456789012",
)
TAGS = {"Project": "academy"}
RECORD = {"Name": f"_x.{NAME}.", "Type": "CNAME", "Value": "_y.acm-validations.aws."}
WANTED = {"domain_name": NAME, "tags": TAGS, "wait_seconds": 60}


def list_them(acm: Stubber, *arns: str) -> None:
    summaries = [{"CertificateArn": arn, "DomainName": NAME} for arn in arns]
    others = {"CertificateArn": ARN.replace("12345678-", "99999999-"), "DomainName": "www.example.com"}
    acm.add_response("list_certificates", {"CertificateSummaryList": [*summaries, others]}, {})


def describe(acm: Stubber, status: str, *, record: bool = True, tags: dict[str, str] | None = None) -> None:
    option = {"DomainName": NAME, **({"ResourceRecord": RECORD} if record else {})}
    certificate = {
        "CertificateArn": ARN, "DomainName": NAME, "Status": status, "DomainValidationOptions": [option],
        "NotAfter": datetime(2030, 1, 1, tzinfo=UTC),
    }  # fmt: skip
    acm.add_response("describe_certificate", {"Certificate": certificate}, {"CertificateArn": ARN})
    told = [{"Key": key, "Value": value} for key, value in (TAGS if tags is None else tags).items()]
    acm.add_response("list_tags_for_certificate", {"Tags": told}, {"CertificateArn": ARN})


def ensure(acm: Stubber, *, check_mode: bool = False) -> dict[str, Any]:
    result: dict[str, Any] = acm_certificate_request.ensure(Plain(acm.client), WANTED, check_mode)
    return result


def test_a_certificate_is_requested_and_its_record_waited_for(acm: Stubber, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(acm_certificate_request, "POLL_SECONDS", 0)
    list_them(acm)
    request = {
        "DomainName": NAME, "ValidationMethod": "DNS", "IdempotencyToken": ANY,
        "Tags": [{"Key": "Project", "Value": "academy"}],
    }  # fmt: skip
    acm.add_response("request_certificate", {"CertificateArn": ARN}, request)
    describe(acm, "PENDING_VALIDATION", record=False)
    describe(acm, "PENDING_VALIDATION")
    result = ensure(acm)
    assert (result["changed"], result["certificate_arn"], result["status"]) == (True, ARN, "PENDING_VALIDATION")
    (record,) = result["validation_records"]
    assert record == {"name": f"_x.{NAME}", "kind": "CNAME", "value": "_y.acm-validations.aws"}


@pytest.mark.parametrize("status", ["PENDING_VALIDATION", "ISSUED"])
def test_one_that_is_there_is_left_alone(acm: Stubber, status: str) -> None:
    list_them(acm, ARN)
    describe(acm, status)
    describe(acm, status)
    assert ensure(acm)["changed"] is False


def test_others_tags_are_taken_back(acm: Stubber) -> None:
    list_them(acm, ARN)
    describe(acm, "ISSUED", tags={**TAGS, "Foreign": "x"})
    removed = {"CertificateArn": ARN, "Tags": [{"Key": "Foreign", "Value": "x"}]}
    acm.add_response("remove_tags_from_certificate", {}, removed)
    describe(acm, "ISSUED")
    assert ensure(acm)["changed"] is True


@pytest.mark.parametrize("status", ["VALIDATION_TIMED_OUT", "EXPIRED"])
def test_check_mode_says_that_one_would_be_requested(acm: Stubber, status: str) -> None:
    list_them(acm, ARN)
    describe(acm, status)
    result = ensure(acm, check_mode=True)
    assert (result["changed"], result["certificate_arn"]) == (True, "")


# --- the bucket of access logs --------------------------------------------------------------------------------------


@pytest.mark.parametrize("check_mode", [False, True])
def test_a_bucket_is_marked_as_ours_before_anything_else_is_set(
    monkeypatch: pytest.MonkeyPatch, check_mode: bool
) -> None:
    client = Mock()
    client.meta.region_name = "ap-northeast-2"
    monkeypatch.setattr(log_bucket, "read_bucket", lambda *_: None)
    wanted = {
        "bucket": "logs",
        "policy": {"Version": "2012-10-17"},
        "public_access_block": {"BlockPublicAcls": True},
        "lifecycle": [{"status": "Enabled", "prefix": "", "expiration": {"Days": 30}}],
        "tags": {"Project": "academy"},
    }
    assert log_bucket.ensure(client, wanted, check_mode)["changed"]
    written = [name for name, _, _ in client.method_calls]
    assert written[:2] == ([] if check_mode else ["create_bucket", "put_bucket_tagging"])
    assert len(written) == (0 if check_mode else 5)

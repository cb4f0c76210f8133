# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""When a certificate is requested, which record it needs, what is waited for, and what never helps."""

from __future__ import annotations

from typing import Any

import pytest

from plugins.module_utils.plan import applied
from plugins.module_utils.plan.certificate import ROLE, decide, reads

NAME, ARN = "api.example.com", "arn:aws:acm:ap-northeast-2:123456789012:certificate/1"
INPUTS: dict[str, Any] = {
    "public_name": NAME,
    "certificate_arn": "",
    "certificate_wait_minutes": 10,
    "aws_region": "ap-northeast-2",
    "deployment_name": "academy",
    "deployment_tags": {"Project": "academy"},
}
TAGS = {"Project": "academy", "Role": "certificate"}
RECORD = {"name": f"_x.{NAME}.", "type": "CNAME", "value": "_y.acm-validations.aws."}
ZONE: dict[str, Any] = {"id": "Z1", "name": "example.com", "records": []}
THERE = {"name": f"_x.{NAME}", "type": "CNAME", "values": ["_y.acm-validations.aws."], "alias": ""}


def certificate(status: str = "PENDING_VALIDATION", **change: Any) -> dict[str, Any]:
    return {
        "certificate_arn": ARN,
        "domain_name": NAME,
        "subject_alternative_names": [NAME],
        "status": status,
        "type": "AMAZON_ISSUED",
        "expires_in_days": 395 if status == "ISSUED" else None,
        "domain_validation_options": [{"domain_name": NAME, "resource_record": RECORD}],
        "tags": TAGS,
        **change,
    }


def plan(*found: dict[str, Any], zone: dict[str, Any] | None = None, **inputs: Any) -> Any:
    wanted = inputs.get("certificate_arn") or NAME
    zones = {NAME: zone} if zone else {}
    return decide({**INPUTS, **inputs}, {"certificates": {wanted: [*found]}, "hosted_zones": zones})


def items(decided: Any) -> dict[str, list[dict[str, Any]]]:
    assert decided.refusals == []
    return applied(decided.changes, ROLE.applies)


def test_without_a_name_nothing_is_read_and_nothing_decided() -> None:
    assert reads({**INPUTS, "public_name": ""}) == {}
    assert decide({**INPUTS, "public_name": ""}, {}).changes == ()


@pytest.mark.parametrize(
    ("found", "requested"),
    [
        ([], True),
        ([certificate()], False),
        ([certificate("ISSUED")], False),
        # Over by time alone: another one is asked for.
        ([certificate("VALIDATION_TIMED_OUT")], True),
        ([certificate("EXPIRED")], True),
        ([certificate("EXPIRED"), certificate("ISSUED")], False),
        # Somebody else's is not ours to keep.
        ([certificate("ISSUED", tags={"Project": "other"})], True),
    ],
)
def test_a_certificate_is_requested_where_none_can_serve(found: list[dict[str, Any]], requested: bool) -> None:
    made = items(plan(*found))["requests"]
    assert [one["domain_name"] for one in made] == ([NAME] if requested else [])


def test_tags_of_others_are_taken_back() -> None:
    (item,) = items(plan(certificate("ISSUED", tags={**TAGS, "Foreign": "x"})))["requests"]
    assert item["tags"] == TAGS


def test_its_record_is_created_where_the_zone_is_ours_and_kept_there() -> None:
    for status in ("PENDING_VALIDATION", "ISSUED"):
        (item,) = items(plan(certificate(status), zone=ZONE))["records"]
        assert (item["zone_id"], item["record"], item["value"]) == ("Z1", f"_x.{NAME}", "_y.acm-validations.aws.")
    other = {**THERE, "values": ["theirs.example.net."]}
    assert len(items(plan(certificate(), zone={**ZONE, "records": [other]}))["records"]) == 1
    assert items(plan(certificate("ISSUED"), zone={**ZONE, "records": [THERE]}))["records"] == []


def test_while_acm_looks_for_the_record_it_is_told_and_nothing_fails() -> None:
    ours, elsewhere = plan(certificate(), zone={**ZONE, "records": [THERE]}), plan(certificate())
    assert (ours.known, elsewhere.known) == ({"waits": True}, {"waits": False})
    for decided in (ours, elsewhere):
        (finding,) = decided.unsettled
        assert (decided.refusals, decided.changes) == ([], [])
        assert f"_x.{NAME} CNAME _y.acm-validations.aws" in finding.text_en
    assert "name servers of example.com" in ours.unsettled[0].text_en
    assert "Create where api.example.com is administered" in elsewhere.unsettled[0].text_en
    # A moment after the request ACM has not named it.
    (finding,) = plan(certificate(domain_validation_options=[{"domain_name": NAME}])).unsettled
    assert "not named by ACM yet" in finding.text_en


@pytest.mark.parametrize(
    ("found", "arn", "words"),
    [
        (certificate("FAILED", failure_reason="CAA_ERROR"), "", "a CAA record of the domain"),
        (certificate("FAILED", failure_reason="ADDITIONAL_VERIFICATION_REQUIRED"), "", "aws acm delete-certificate"),
        (certificate("FAILED", failure_reason="NEW_REASON"), "", "AWS does not say why"),
        (certificate("REVOKED"), "", "found REVOKED"),
        (certificate("EXPIRED"), ARN, "found EXPIRED"),
        (certificate("ISSUED", subject_alternative_names=["www.example.com"], domain_name="x"), ARN, f"for {NAME}"),
        (certificate("ISSUED", subject_alternative_names=["*.www.example.com"], domain_name="x"), ARN, f"for {NAME}"),
        (None, ARN, "must exist"),
    ],
)
def test_what_never_serves_the_name_is_refused_with_the_reason(
    found: dict[str, Any] | None, arn: str, words: str
) -> None:
    decided = plan(*([found] if found else []), certificate_arn=arn)
    assert any(words in finding.text_en for finding in decided.refusals)
    assert decided.changes == ()


def test_one_that_is_named_is_read_and_judged_and_never_changed() -> None:
    wildcard = certificate("ISSUED", domain_name="*.example.com", subject_alternative_names=["*.example.com"], tags={})
    decided = plan(wildcard, certificate_arn=ARN)
    assert (decided.refusals, decided.changes, decided.unsettled) == ([], [], [])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"renewal_summary": {"renewal_status": "PENDING_VALIDATION"}}, "its renewal is PENDING_VALIDATION"),
        ({"renewal_summary": {"renewal_status": "FAILED"}}, "Create the record again"),
        ({"renewal_summary": {"renewal_status": "SUCCESS"}}, ""),
        ({"type": "IMPORTED", "expires_in_days": 44}, "44 days left"),
        ({"type": "IMPORTED", "expires_in_days": 45}, ""),
        ({"expires_in_days": 44}, ""),
    ],
)
def test_trouble_with_a_renewal_is_told_in_time_and_stops_nothing(change: dict[str, Any], words: str) -> None:
    decided = plan(certificate("ISSUED", **change))
    assert all(finding.severity == "warning" for finding in decided.refusals)
    assert [words in finding.text_en for finding in decided.refusals] == ([True] if words else [])

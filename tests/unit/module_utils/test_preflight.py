# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hundreds of wrong inputs: each is found by the variable to change, with rule and remedy, in both languages."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plugins.module_utils.findings import Finding, Words, errors, report, texts
from plugins.module_utils.preflight import (
    CONTROL_OPTIONS,
    Subject,
    aws_findings,
    environment_findings,
    image_findings,
    judge,
    network_findings,
    own_settings,
    placeholder_findings,
    public_key_findings,
    unreachable_findings,
)
from plugins.module_utils.rds_password import KOREAN, PASSWORD_LENGTHS
from plugins.module_utils.role_inputs import unresolved_findings
from plugins.module_utils.services import roles_of_host
from tests import support
from tests.unit.inputs import PASSWORD, ROLES, collected, judged
from tests.unit.rows import ROWS
from tests.unit.wrong_inputs import API, VIDEO, WRONG, tables

SERVICES = collected()[0].values["services"]
VIDEO_ROW = ROWS["video_worker"]
HANGUL = re.compile("[가-힣]")
SECRET = "u8Kq2vTnXw5Lr9Zc4Bm7Hd1J"


def check(finding: Finding) -> None:
    """A finding that lets somebody act."""
    assert finding.subject
    assert finding.rule.en
    assert finding.remedy.en.endswith(".") or finding.remedy.en.endswith(".)")
    assert finding.text_en.startswith(f"{finding.subject}: ")
    assert finding.text_ko.startswith(f"{finding.subject}: ")
    assert HANGUL.search(finding.rule.ko)
    assert HANGUL.search(finding.remedy.ko)
    assert finding.rule.en != finding.rule.ko


def test_there_are_hundreds() -> None:
    assert len(tables()) > 400


def test_the_inventory_itself_is_right() -> None:
    assert judged({}) == []


def test_each_is_found_by_its_variable() -> None:
    missed = []
    for host, variable, value in tables():
        found = errors(judged({variable: value}, host=host))
        for finding in found:
            check(finding)
        if not any(variable in finding.subject for finding in found):
            missed.append((variable, value))
        if variable == "database_password" and isinstance(value, str) and len(value) > 4:
            assert all(value not in finding.text_en + finding.text_ko for finding in found)
    assert missed == []


def test_what_passes_passes() -> None:
    right: dict[str, list[Any]] = {
        "operator_cidrs": [["203.0.113.7/32"], "203.0.113.7/32", ["2001:db8::1/128"]],
        "database_backup_retention_days": [7, 35, "14"],
        "database_allocated_storage_gib": [20, 30, "20"],
        "database_max_allocated_storage_gib": [26, 50, 100, "100"],
        "logs_retention_days": [7, "14"],
        "database_apply_immediately": [True, "yes", "false", 0],
        "queues_receive_wait_seconds": [0, 20, "20"],
        "release": ["0.1.0", "4f1c2d9", "_x"],
        "stage": ["test"],
        "owner": ["demo", "홍길동", "Kim Lee", "kim+ops@example.com"],
        "database_instance_class": [
            "db.t3.micro",
            "db.t4g.2xlarge",
            "db.m7g.large",
            "db.x2iedn.16xlarge",
            "db.t5g.micro",
        ],
        "image_platform": ["linux/arm64"],
    }
    for variable, values in right.items():
        for value in values:
            assert judged({variable: value}) == [], (variable, value)


def test_what_is_not_wise_stops_nothing() -> None:
    for variable, value in {
        "operator_cidrs": ["203.0.113.0/24"],
        "database_max_allocated_storage_gib": 23,
        "database_password": "AcaDm#x~",
    }.items():
        findings = judged({variable: value})
        assert findings
        assert errors(findings) == []
        assert texts(findings) == []
        for finding in findings:
            check(finding)


def test_all_are_found_at_once() -> None:
    wrong = {name: values[0] for name, values in WRONG.items() if name != "deployment_name"}
    subjects = " ".join(finding.subject for finding in judged(wrong))
    assert [name for name in wrong if name not in subjects] == []


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=40),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)
INPUTS = sorted({**collected()[0].options, **CONTROL_OPTIONS})


@settings(max_examples=500)
@given(st.dictionaries(st.sampled_from(INPUTS), ANYTHING, min_size=1, max_size=6))
def test_no_input_breaks_the_judgement(change: dict[str, Any]) -> None:
    for finding in judged(change):
        assert finding.text_en
        assert finding.text_ko
        json.dumps(finding.as_dict())


@settings(max_examples=300)
@given(st.text(min_size=6, max_size=140))
def test_no_password_is_told(password: str) -> None:
    findings = judged({"database_password": password})
    # A password that is made of the rules' own words proves nothing.
    told = [finding for finding in findings if password in finding.text_en]
    assert all(password in " ".join(KOREAN) + finding.rule.en + finding.remedy.en for finding in told)
    assert {finding.found for finding in findings} <= {""}
    if len(password) not in PASSWORD_LENGTHS:
        assert "password_length" in {finding.id for finding in findings}


@settings(max_examples=400)
@given(st.integers(min_value=-(10**6), max_value=10**6), st.integers(min_value=-(10**6), max_value=10**6))
def test_storage_passes_exactly_where_rds_takes_it(allocated: int, maximum: int) -> None:
    change = {"database_allocated_storage_gib": allocated, "database_max_allocated_storage_gib": maximum}
    taken = 20 <= allocated <= 65536 and allocated * 1.1 <= maximum <= 65536
    assert (errors(judged(change)) == []) is taken


def test_a_host_is_named_where_only_it_is_wrong() -> None:
    (finding,) = judged({"instance_kind": "Video"}, host=VIDEO)
    assert VIDEO in finding.found
    (finding,) = judged({"transcode_volume_size_gib": 50}, host=VIDEO)
    assert VIDEO in finding.rule.en
    assert "100 GiB" in finding.rule.en


SPOT = {"spot_instance_type": "one-time", "instance_interruption_behavior": "terminate"}


@pytest.mark.parametrize(
    ("host", "change", "subjects"),
    [
        (VIDEO, {"instance_market_type": "spot"}, []),
        (VIDEO, {"instance_market_type": "spot", "instance_spot_options": SPOT}, ["instance_spot_options"] * 2),
        (API, {"instance_market_type": "spot"}, ["instance_market_type"]),
        (API, {"instance_may_be_stopped": "true"}, ["instance_may_be_stopped"]),
    ],
)
def test_what_a_host_cannot_be_is_found_before_it_is_made(
    host: str, change: dict[str, Any], subjects: list[str]
) -> None:
    found = judged(change, host=host)
    assert [finding.subject for finding in found] == subjects
    for finding in found:
        check(finding)


@pytest.mark.parametrize(
    ("host", "group", "change", "subjects"),
    [
        (API, "video_worker", {}, [API]),
        (VIDEO, "ai_worker", {"worker_heartbeat": "false"}, ["worker_heartbeat"]),
    ],
)
def test_services_that_do_not_get_along_are_found_before_their_host_is_made(
    host: str, group: str, change: dict[str, Any], subjects: list[str]
) -> None:
    control, hosts, _, _ = collected()
    shared = replace(hosts[host], values={**hosts[host].values, **change}, groups=[*hosts[host].groups, group])
    found, _, _ = judge(control, {**hosts, host: shared}, [])
    own = [finding for finding in found if finding.subject in subjects]
    assert [finding.subject for finding in own] == subjects
    for finding in own:
        check(finding)


def test_a_kind_without_a_service_has_no_role() -> None:
    control, hosts, _, _ = collected()
    idle = replace(hosts[VIDEO], values={**hosts[VIDEO].values, "instance_kind": "idle"}, groups=["instances"])
    found, _, _ = judge(control, {**hosts, VIDEO: idle}, [])
    (finding,) = [finding for finding in found if finding.subject == "instance_kind"]
    assert "ai-worker" in finding.rule.en
    check(finding)


def test_a_variable_that_refers_to_nothing_names_what_is_missing() -> None:
    vault, other = unresolved_findings({"database_password": "vault_database_password", "owner": ""})
    assert vault.subject == "vault_database_password"
    assert "env_import" in vault.remedy.en
    assert other.subject == "owner"
    for finding in (vault, other, *placeholder_findings(["owner", "release"])):
        check(finding)


AL2023 = "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-arm64"
STATE: dict[str, Any] = {
    "images": {AL2023: "ami-1", "/ours/x86_64": "ami-2", "/ours/image": "ami-3"},
    "caller": {"account": "123456789012", "arn": "arn:aws:iam::123456789012:user/me"},
    "network": {"vpc_id": "vpc-1", "subnets": [{"subnet_id": "subnet-a", "vpc_id": "vpc-1", "zone": "a"}]},
    "instance_types": {
        "t4g.medium": {"memory_mib": 4096, "zones": ["a"], "architectures": ["arm64"]},
        "t4g.small": {"memory_mib": 2048, "zones": ["b"], "architectures": ["arm64"]},
        "t3.medium": {"memory_mib": 4096, "zones": ["a"], "architectures": ["x86_64"]},
    },
}
HOST: dict[str, Any] = {
    "inventory_hostname": VIDEO, "instance_type": "t4g.medium", "instance_memory_min_mib": 0,
    "group_names": ["instances", "video_worker"], "services": ROWS,
    "instance_ami_parameter": AL2023,
}  # fmt: skip


@pytest.mark.parametrize(
    ("account", "host", "ids"),
    [
        ("123456789012", HOST, []),
        ("000000000000", HOST, ["account"]),
        (
            "123456789012",
            {**HOST, "instance_type": "t4g.small"},
            ["instance_type_offered", "instance_memory", "memory_limits"],
        ),
        ("123456789012", {**HOST, "services": {"video_worker": {**VIDEO_ROW, "memory_mib": 4096}}}, ["memory_limits"]),
        ("123456789012", {**HOST, "instance_type": "t9.none"}, ["instance_type_offered"]),
        ("123456789012", {**HOST, "instance_memory_min_mib": 8192}, ["instance_memory"]),
        ("123456789012", {**HOST, "instance_type": "t3.medium"}, ["instance_architecture"]),
        ("123456789012", {**HOST, "instance_type": "t3.medium", "instance_ami_parameter": "/ours/x86_64"}, []),
        ("123456789012", {**HOST, "instance_type": "t3.medium", "instance_ami_parameter": "/ours/image"}, []),
        ("123456789012", {**HOST, "instance_ami_parameter": "/ours/none"}, ["instance_image"]),
    ],
)
def test_what_aws_says_against_it(account: str, host: dict[str, Any], ids: list[str]) -> None:
    findings = aws_findings(STATE, account, [host])
    assert [finding.id for finding in findings] == ids
    for finding in findings:
        check(finding)


def test_a_video_host_cannot_be_talked_below_the_guides_minimum() -> None:
    finding, _ = aws_findings(
        {**STATE, "instance_types": {"t4g.small": {**STATE["instance_types"]["t4g.small"], "zones": ["a"]}}},
        "123456789012",
        [{**HOST, "instance_type": "t4g.small", "instance_memory_min_mib": 1024}],
    )
    assert "4096" in finding.rule.en


def test_images() -> None:
    images: dict[str, dict[str, Any] | None] = {
        "academy-api": {"platforms": ["linux/amd64"]},
        "academy-worker": None,
    }
    wrong, missing = image_findings(images, "1a2b3c4", "linux/arm64")
    assert (wrong.id, missing.id) == ("image_platform", "image")
    assert image_findings({"academy-api": images["academy-api"]}, "1a2b3c4", "linux/amd64") == []
    for finding in (wrong, missing, *network_findings("vpc_id: no VPC. Make one."), *unreachable_findings("no", "r")):
        check(finding)


KEY = "AAAAC3NzaC1lZDI1NTE5AAAAI" + "B" * 43


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (f"ssh-ed25519 {KEY} me@example.com\n", ""),
        (f"ssh-rsa {KEY}", ""),
        (None, "no file ~/.ssh/id.pub"),
        ("", "something else"),
        (f"ecdsa-sha2-nistp256 {KEY}", "something else"),
        ("-----BEGIN OPENSSH PRIVATE KEY-----\n", "something else"),
        ("ssh-rsa CHANGE-ME", "something else"),
    ],
)
def test_the_operators_public_key(text: str | None, found: str) -> None:
    findings = public_key_findings("~/.ssh/id.pub", text)
    assert [finding.subject for finding in findings] == (["instance_public_key_file"] if found else [])
    for finding in findings:
        assert found in finding.found
        check(finding)


def test_once_open_the_apis_address_is_not_awaited() -> None:
    _, _, rows, _ = collected()
    for stage, count in {"test": 0, "open": 1}.items():
        found = {**rows, "API_BASE_URL": {**rows["API_BASE_URL"], "stage": stage}}
        findings = environment_findings(found, SERVICES, {"API_BASE_URL": ""}, {}, {API: {"api": {}}})
        assert [finding.subject for finding in findings] == ["API_BASE_URL (application_api_base_url)"] * count


def test_the_applications_values() -> None:
    _, _, rows, values = collected()
    own: dict[str, Any] = {API: {"api": {}}, VIDEO: {"video_worker": {}}}
    assert errors(environment_findings(rows, SERVICES, {**values, "SECRET_KEY": SECRET}, {}, own)) == []
    for name, value in {
        "SECRET_KEY": "${b}", "R2_SECRET_KEY": "", "R2_ACCESS_KEY": "여기에_액세스키를",
        "R2_ENDPOINT": "acc.r2.example.com", "DEBUG": "true",
        "R2_AI_BUCKET": "A B",
        "API_BASE_URL": "http://52.78.10.20:8000", "DB_SSLMODE": "disable", "INTERNAL_WORKER_TOKEN": "a #b",
        "DB_CONN_MAX_AGE": "-1", "R2_PUBLIC_BASE_URL": "ftp://x",
        "VIDEO_SQS_QUEUE_NAME": "https://sqs/q",
    }.items():  # fmt: skip
        (finding,) = environment_findings(rows, SERVICES, {name: value}, {}, own)
        check(finding)
        assert finding.subject.startswith(name)
        assert value == "" or len(value) < 5 or not rows[name].get("secret") or value not in finding.text_en
    # An input of roles too, and what nobody has filled in, are told once.
    told_elsewhere = {"AWS_REGION": "ap-northeast-2a", "DB_NAME": "a-b", "R2_ENDPOINT": "https://CHANGE-ME.example.com"}
    assert environment_findings(rows, SERVICES, told_elsewhere, {}, own) == []
    (finding,) = environment_findings(rows, SERVICES, {}, {"SECRET_KEY": "vault_secret_key"}, own)
    assert finding.subject == "vault_secret_key"


@pytest.mark.parametrize(
    ("ids", "rules"),
    [
        (
            {"academy-video-worker-1": "academy-video-worker-1", "academy-video-worker-2": "academy-video-worker-2/b"},
            [],
        ),
        ({"academy-video-worker-1": "academy-video-worker-10"}, ["environment_rule"]),
        (
            {"academy-video-worker-1": "x", "academy-video-worker-2": "x"},
            ["environment_rule"] * 2 + ["environment_shared"],
        ),
        (
            dict.fromkeys((VIDEO, "academy-video-worker-2"), "academy-video-worker-1, academy-video-worker-2"),
            ["environment_shared"],
        ),
    ],
)
def test_no_two_workers_share_an_id(ids: dict[str, str], rules: list[str]) -> None:
    _, hosts, rows, _ = collected()
    changed = {
        host: with_services(hosts[host], {"video_worker": {**VIDEO_ROW, "environment": {"VIDEO_WORKER_ID": found}}})
        for host, found in ids.items()
    }
    findings = environment_findings(rows, SERVICES, {}, {}, own_settings({**hosts, **changed}))
    assert [finding.id for finding in findings] == rules
    for finding in findings:
        check(finding)
        assert finding.subject == "VIDEO_WORKER_ID"
        assert any(host in finding.rule.ko + finding.found for host in ids)


def with_services(subject: Subject, services: dict[str, Any]) -> Subject:
    return replace(subject, values={**subject.values, "services": services})


def test_every_role_is_judged() -> None:
    hosts = collected()[1].values()
    on_hosts = {role for host in hosts for role in roles_of_host(SERVICES, host.groups, host.values)}
    named = {role for roles in ROLES.values() for role in roles} | on_hosts | {"worker"}
    # Given values by others, by AWS or by a command, this one itself, or the one that asks for itself: the last.
    others = {"container", "hold", "host_configuration", "host_update", "lock", "preflight", "reachability", "teardown"}
    assert {path.name for path in (support.ROOT / "roles").iterdir()} - named == others


def test_the_report_puts_errors_first_and_speaks_both_languages() -> None:
    one = Finding("a", "x", "1", Words("must be 2", "2여야 합니다"), Words("Set 2.", "2로 설정하십시오."), "warning")
    two = Finding("b", "y", "", Words("is required", "필요합니다"), Words("Set it.", "설정하십시오."))
    assert report([one, two]) == [
        "[ERROR] y: is required. Set it.",
        "[오류] y: 필요합니다. 설정하십시오.",
        "",
        "[WARNING] x: must be 2, found 1. Set 2.",
        "[주의] x: 2여야 합니다 (현재 값: 1). 2로 설정하십시오.",
    ]
    assert errors([one, two]) == [two]


def test_the_secret_of_the_tests_passes() -> None:
    assert judged({"database_password": PASSWORD}) == []

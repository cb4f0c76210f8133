# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest

from localcloud.credentials import Credentials
from localcloud.metadata import Subject, Tokens, answer, tags_shown

LAUNCHED = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
BARE = Subject(
    instance_id="i-1",
    image_id="ami-1",
    instance_type="t4g.small",
    architecture="arm64",
    availability_zone="ap-northeast-2a",
    launched=LAUNCHED,
    private_address="172.31.5.6",
    private_name="ip-172-31-5-6.ap-northeast-2.compute.internal",
    public_address=None,
    public_name=None,
    lifecycle="on-demand",
    mac="02:00:00:00:00:01",
    security_groups=("api", "worker"),
)
CREDENTIALS = Credentials("ASIA1", "secret", "token", LAUNCHED, LAUNCHED + timedelta(hours=6))
FULL = replace(
    BARE,
    public_address="54.0.0.1",
    public_name="ec2-54-0-0-1",
    key_name="deploy",
    public_key="ssh-ed25519 AAAA",
    profile_arn="arn:aws:iam::123456789012:instance-profile/academy-api-role",
    profile_id="AIPA1",
    role="academy-api-role",
    credentials=CREDENTIALS,
    user_data="#!/bin/sh",
)


@pytest.mark.parametrize(
    ("path", "content"),
    [
        ("/latest/meta-data/instance-id", "i-1"),
        ("/latest/meta-data/instance-id/", "i-1"),
        ("/latest/meta-data/instance-type", "t4g.small"),
        ("/latest/meta-data/local-ipv4", "172.31.5.6"),
        ("/latest/meta-data/public-ipv4", "54.0.0.1"),
        ("/latest/meta-data/local-hostname", "ip-172-31-5-6.ap-northeast-2.compute.internal"),
        ("/latest/meta-data/placement/availability-zone", "ap-northeast-2a"),
        ("/latest/meta-data/placement/region", "ap-northeast-2"),
        ("/latest/meta-data/placement/", "availability-zone\nregion"),
        ("/latest/meta-data/public-keys/", "0=deploy"),
        ("/latest/meta-data/public-keys/0/", "openssh-key"),
        ("/latest/meta-data/public-keys/0/openssh-key", "ssh-ed25519 AAAA"),
        ("/latest/meta-data/iam/", "info\nsecurity-credentials/"),
        ("/latest/meta-data/iam/security-credentials/", "academy-api-role"),
        ("/latest/meta-data/security-groups", "api\nworker"),
        ("/latest/user-data", "#!/bin/sh"),
        ("/latest/", "dynamic/\nmeta-data/\nuser-data"),
        # No spot notice, nothing that is not there, and nothing outside.
        ("/latest/meta-data/spot/instance-action", None),
        ("/latest/meta-data/instance", None),
        ("/latest/meta-data/iam/security-credentials/other-role", None),
        ("/", None),
        ("/1.0/meta-data/", None),
    ],
)
def test_answers_as_the_service_does(path: str, content: str | None) -> None:
    assert answer(FULL, path) == content


def test_tags_stand_below_tags_where_the_instance_is_told_them() -> None:
    tagged = replace(FULL, tags={"HoldUntil": "2026-01-31T09:30:00Z"})
    assert answer(tagged, "/latest/meta-data/tags/instance/HoldUntil") == "2026-01-31T09:30:00Z"
    assert answer(tagged, "/latest/meta-data/tags/instance/") == "HoldUntil"
    assert answer(FULL, "/latest/meta-data/tags/instance/HoldUntil") is None
    options = SimpleNamespace(instance_metadata_tags="enabled")
    instance = SimpleNamespace(metadata_options=options, get_tags=lambda: [{"key": "Name", "value": "x"}])
    assert tags_shown(instance) == {"Name": "x"}
    options.instance_metadata_tags = "disabled"
    assert tags_shown(instance) == {}


def test_an_announced_interruption_stands_below_spot() -> None:
    noticed = replace(FULL, notice={"instance-action": '{"action": "stop"}'})
    assert answer(noticed, "/latest/meta-data/spot/instance-action") == '{"action": "stop"}'
    assert answer(noticed, "/latest/meta-data/spot/") == "instance-action"
    assert answer(noticed, "/latest/meta-data/spot/termination-time") is None
    assert answer(FULL, "/latest/meta-data/spot/") is None


@pytest.mark.parametrize(
    "path",
    ["meta-data/public-ipv4", "meta-data/public-keys/", "meta-data/iam/", "meta-data/iam/info", "user-data"],
)
def test_what_an_instance_does_not_have_is_not_found(path: str) -> None:
    assert answer(BARE, f"/latest/{path}") is None


def test_role_credentials_are_what_the_sdks_read() -> None:
    document = json.loads(answer(FULL, "/latest/meta-data/iam/security-credentials/academy-api-role") or "")
    assert document == {
        "Code": "Success",
        "LastUpdated": "2026-01-02T03:04:05Z",
        "Type": "AWS-HMAC",
        "AccessKeyId": "ASIA1",
        "SecretAccessKey": "secret",
        "Token": "token",
        "Expiration": "2026-01-02T09:04:05Z",
    }


def test_the_identity_document_names_account_region_and_instance() -> None:
    document = json.loads(answer(BARE, "/latest/dynamic/instance-identity/document") or "")
    assert (document["accountId"], document["region"], document["instanceId"]) == (
        "123456789012",
        "ap-northeast-2",
        "i-1",
    )


def test_a_token_is_good_for_its_instance_until_it_ends() -> None:
    tokens = Tokens()
    token = tokens.issue("i-1", 60, now=1000.0)
    assert tokens.is_valid(token, "i-1", now=1059.9)
    assert not tokens.is_valid(token, "i-1", now=1060.0)
    assert not tokens.is_valid(token, "i-2", now=1000.0)
    assert not tokens.is_valid("made up", "i-1", now=1000.0)
    assert not tokens.is_valid(None, "i-1", now=1000.0)


def test_tokens_that_ended_are_forgotten() -> None:
    tokens = Tokens()
    first = tokens.issue("i-1", 1, now=1000.0)
    second = tokens.issue("i-1", 60, now=1002.0)
    assert not tokens.is_valid(first, "i-1", now=1000.5)
    assert tokens.is_valid(second, "i-1", now=1002.0)

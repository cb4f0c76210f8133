# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import base64
import hashlib
import json
from typing import Any

import pytest
from ansible_collections.academy.deploy.plugins.module_utils.ecr import (
    CONFIG_MEDIA_TYPES,
    IMAGE_MEDIA_TYPES,
    INDEX_MEDIA_TYPES,
    Authorization,
    Configuration,
    EcrError,
    Manifest,
    login_advice,
    parse_authorization,
    parse_configuration,
    parse_manifest,
    platform_name,
    registry_host,
    reject_failures,
    validate_digest,
    validate_tag,
)

DIGEST = "sha256:" + "ab" * 32
OTHER = "sha256:" + "cd" * 32
ENDPOINT = "https://123456789012.dkr.ecr.ap-northeast-2.amazonaws.com"


@pytest.mark.parametrize("tag", ["4f1c2d9", "v1.2.3-rc_1", "_x", "0", "a" * 128, "latest-1"])
def test_tags_that_name_a_build(tag: str) -> None:
    validate_tag(tag)


@pytest.mark.parametrize("tag", ["", " ", ".x", "-x", "a b", "a/b", "a:b", "a" * 129, "release\n", "릴리스"])
def test_tags_that_docker_does_not_know(tag: str) -> None:
    with pytest.raises(EcrError, match="is not valid"):
        validate_tag(tag)


def test_latest_is_refused() -> None:
    with pytest.raises(EcrError, match=r"'latest' is refused.*set the release to the build's commit"):
        validate_tag("latest")


@pytest.mark.parametrize("digest", ["", "ab" * 32, "sha256:" + "AB" * 32, "sha256:" + "ab" * 31, "sha512:" + "ab" * 32])
def test_what_is_no_digest(digest: str) -> None:
    with pytest.raises(EcrError, match="is not valid"):
        validate_digest(digest)


@pytest.mark.parametrize(
    ("region", "expected"),
    [
        ("ap-northeast-2", "123456789012.dkr.ecr.ap-northeast-2.amazonaws.com"),
        ("cn-north-1", "123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn"),
    ],
)
def test_registry_host(region: str, expected: str) -> None:
    assert registry_host("123456789012", region) == expected


@pytest.mark.parametrize(
    ("description", "expected"),
    [
        ({"os": "linux", "architecture": "arm64"}, "linux/arm64"),
        ({"os": "linux", "architecture": "arm64", "variant": "v8"}, "linux/arm64"),
        ({"os": "linux", "architecture": "amd64", "variant": ""}, "linux/amd64"),
        ({"os": "linux", "architecture": "amd64", "variant": "v3"}, "linux/amd64/v3"),
        ({"os": "linux", "architecture": "arm", "variant": "v7"}, "linux/arm/v7"),
    ],
)
def test_platform_name(description: dict[str, Any], expected: str) -> None:
    assert platform_name(description) == expected


@pytest.mark.parametrize(
    "description", [{}, {"os": "linux"}, {"architecture": "arm64"}, {"os": "", "architecture": ""}]
)
def test_an_image_without_platform(description: dict[str, Any]) -> None:
    with pytest.raises(EcrError, match="does not say its platform"):
        platform_name(description)


@pytest.mark.parametrize("media_type", IMAGE_MEDIA_TYPES)
def test_a_single_image_points_to_its_configuration(media_type: str) -> None:
    text = json.dumps({"schemaVersion": 2, "config": {"digest": DIGEST}, "layers": []})
    assert parse_manifest(text, media_type) == Manifest(config_digest=DIGEST)


@pytest.mark.parametrize("media_type", CONFIG_MEDIA_TYPES)
def test_a_configuration_of_an_image(media_type: str) -> None:
    text = json.dumps({"config": {"digest": DIGEST, "mediaType": media_type}})
    assert parse_manifest(text, IMAGE_MEDIA_TYPES[0]) == Manifest(config_digest=DIGEST)


@pytest.mark.parametrize("media_type", ["application/vnd.oci.empty.v1+json", "application/vnd.dev.cosign"])
def test_what_nobody_can_run_has_no_configuration_of_an_image(media_type: str) -> None:
    text = json.dumps({"config": {"digest": DIGEST, "mediaType": media_type}})
    assert parse_manifest(text, IMAGE_MEDIA_TYPES[0]) == Manifest()


@pytest.mark.parametrize("entry", [{}, {"platform": {}}, {"platform": None}])
def test_an_index_need_not_name_a_platform(entry: dict[str, Any]) -> None:
    entries = [{"digest": DIGEST, "platform": {"os": "linux", "architecture": "arm64"}}, {"digest": OTHER, **entry}]
    read = parse_manifest(json.dumps({"manifests": entries}), INDEX_MEDIA_TYPES[0])
    assert read == Manifest(("linux/arm64",), unnamed=(OTHER,), first=DIGEST)


@pytest.mark.parametrize("media_type", INDEX_MEDIA_TYPES)
def test_an_index_names_its_platforms_without_attestations(media_type: str) -> None:
    entries = [
        {"digest": "sha256:0", "platform": {"os": "unknown", "architecture": "unknown"}},
        {"digest": DIGEST, "platform": {"os": "linux", "architecture": "arm64", "variant": "v8"}},
        {"digest": "sha256:2", "platform": {"os": "linux", "architecture": "amd64"}},
    ]
    expected = Manifest(("linux/arm64", "linux/amd64"), first=DIGEST)
    assert parse_manifest(json.dumps({"manifests": entries}), media_type) == expected


@pytest.mark.parametrize(
    ("text", "media_type", "error"),
    [
        ("nonsense", IMAGE_MEDIA_TYPES[0], "the manifest is not JSON"),
        ("[]", IMAGE_MEDIA_TYPES[0], "the manifest is not a JSON object"),
        ("{}", IMAGE_MEDIA_TYPES[0], "the digest '' is not valid"),
        ('{"manifests": [{}]}', INDEX_MEDIA_TYPES[0], "the digest '' is not valid"),
        ('{"manifests": [{"platform": {"os": "linux"}}]}', INDEX_MEDIA_TYPES[0], "does not say its platform"),
        ("{}", "application/vnd.docker.distribution.manifest.v1+prettyjws", "not understood; push the image as one of"),
        ("{}", "", "has the media type ''"),
    ],
)
def test_a_manifest_that_cannot_be_used(text: str, media_type: str, error: str) -> None:
    with pytest.raises(EcrError, match=error):
        parse_manifest(text, media_type)


@pytest.mark.parametrize(
    ("process", "passes"),
    [
        ({}, True),
        ({"config": None}, True),
        ({"config": {"Entrypoint": None, "Cmd": ["python", "-m", "worker"]}}, True),
        ({"config": {"Cmd": ["/bin/sh", "-c", "python -m worker"]}}, False),
        ({"config": {"Entrypoint": ["/bin/sh", "-c"], "Cmd": ["python -m worker"]}}, False),
    ],
)
def test_the_configuration_names_platform_and_first_process(process: dict[str, Any], passes: bool) -> None:
    blob = json.dumps({"os": "linux", "architecture": "arm64", "variant": "v8", "rootfs": {}, **process}).encode()
    found = parse_configuration(blob, f"sha256:{hashlib.sha256(blob).hexdigest()}")
    assert found == Configuration("linux/arm64", passes)


def test_a_damaged_configuration_is_refused() -> None:
    with pytest.raises(EcrError, match=f"is damaged: {DIGEST} was asked for"):
        parse_configuration(b'{"os": "linux", "architecture": "arm64"}', DIGEST)


def test_a_missing_image_is_no_failure() -> None:
    reject_failures([{"failureCode": "ImageNotFound", "failureReason": "Requested image not found"}])
    with pytest.raises(EcrError, match="ECR answered UpstreamAccessDenied: no access"):
        reject_failures([{"failureCode": "UpstreamAccessDenied", "failureReason": "no access"}])


def test_authorization() -> None:
    token = base64.b64encode(b"AWS:pass:word").decode()
    assert parse_authorization(token, ENDPOINT) == Authorization("AWS", "pass:word", ENDPOINT.removeprefix("https://"))


@pytest.mark.parametrize(
    "token", ["secret", "", "\u00e9", *(base64.b64encode(t).decode() for t in (b"s3cr3t", b":x", b"x:"))]
)
def test_what_is_no_authorization_is_not_repeated(token: str) -> None:
    with pytest.raises(EcrError) as refused:
        parse_authorization(token, ENDPOINT)
    assert not token or token not in str(refused.value)


@pytest.mark.parametrize(
    ("error", "told"),
    [
        ("An error occurred (ExpiredTokenException) when calling GetAuthorizationToken: The security token", True),
        ("An error occurred (ExpiredToken) when calling GetAuthorizationToken: expired", True),
        ("An error occurred (RequestExpired) when calling GetAuthorizationToken: Request has expired.", True),
        ("Error when retrieving token from sso: Token has expired and refresh failed", True),
        ("An error occurred (AccessDeniedException) when calling GetAuthorizationToken: no", False),
    ],
)
def test_credentials_that_a_build_outlasted(error: str, told: bool) -> None:
    assert ("Sign in again" in login_advice(error)) is told

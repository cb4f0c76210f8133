# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The calls that the module makes, against what botocore's model of ECR allows; nothing leaves the process."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from ansible_collections.academy.deploy.plugins.module_utils import ecr_image
from ansible_collections.academy.deploy.plugins.module_utils.aws_calls import ReadError
from ansible_collections.academy.deploy.plugins.module_utils.aws_state import observe
from ansible_collections.academy.deploy.plugins.module_utils.ecr import (
    ACCEPTED_MEDIA_TYPES,
    IMAGE_MEDIA_TYPES,
    INDEX_MEDIA_TYPES,
)
from botocore.stub import Stubber

from tests.unit import aws_clients

TAG = {"imageTag": "4f1c2d9"}
DIGEST = "sha256:" + "ab" * 32
OTHER = "sha256:" + "cd" * 32
REGISTRY = "123456789012.dkr.ecr.ap-northeast-2.amazonaws.com"
CONFIG = json.dumps(
    {"os": "linux", "architecture": "arm64", "config": {"Cmd": ["/bin/sh", "-c", "python worker.py"]}}
).encode()
CONFIG_DIGEST = f"sha256:{hashlib.sha256(CONFIG).hexdigest()}"
URL = "https://storage.example.com/blob"
SINGLE = {"schemaVersion": 2, "config": {"digest": CONFIG_DIGEST}}
FIRST = "sha256:" + "cd" * 32
INDEX = {"schemaVersion": 2, "manifests": [{"digest": FIRST, "platform": {"os": "linux", "architecture": "amd64"}}]}
FOUND = {
    "found": True,
    "repository_found": True,
    "registry": REGISTRY,
    "digest": DIGEST,
    "reference": f"{REGISTRY}/academy-api@{DIGEST}",
    "tags": ["4f1c2d9", "stable"],
    "pushed_at": "2026-01-31T09:30:00+00:00",
    "size_bytes": 210763776,
}


@pytest.fixture
def client() -> Any:
    return aws_clients.client("ecr")


@pytest.fixture
def ecr(client: Any) -> Iterator[Stubber]:
    with Stubber(client) as stubber:
        yield stubber
        stubber.assert_no_pending_responses()


def find(client: Any, **more: str) -> dict[str, Any]:
    certificates = {"validate_certs": True, "aws_ca_bundle": None}
    found: dict[str, Any] = ecr_image.find_image(
        client,
        "ap-northeast-2",
        {"repository_name": "academy-api", "image_tag": TAG["imageTag"], **certificates, **more},
    )
    return found


def answer(
    ecr: Stubber,
    *,
    images: list[dict[str, Any]],
    failures: list[dict[str, Any]],
    registry_id: str = "",
    image_id: dict[str, str] = TAG,
) -> None:
    expected: dict[str, Any] = {
        "repositoryName": "academy-api",
        "imageIds": [image_id],
        "acceptedMediaTypes": list(ACCEPTED_MEDIA_TYPES),
    }
    if registry_id:
        expected["registryId"] = registry_id
    ecr.add_response("batch_get_image", {"images": images, "failures": failures}, expected)


def image(manifest: dict[str, Any], media_type: str) -> dict[str, Any]:
    return {
        "registryId": "123456789012",
        "repositoryName": "academy-api",
        "imageId": {"imageDigest": DIGEST, **TAG},
        "imageManifest": json.dumps(manifest),
        "imageManifestMediaType": media_type,
    }


def answer_details(ecr: Stubber) -> None:
    details = {
        "imageDigest": DIGEST,
        "imageTags": ["stable", "4f1c2d9"],
        "imagePushedAt": datetime(2026, 1, 31, 9, 30, tzinfo=UTC),
        "imageSizeInBytes": 210763776,
    }
    ecr.add_response(
        "describe_images",
        {"imageDetails": [details]},
        {"repositoryName": "academy-api", "imageIds": [{"imageDigest": DIGEST}]},
    )


def serve(monkeypatch: pytest.MonkeyPatch, blob: bytes | OSError) -> None:
    def open_url(url: str, **_options: Any) -> io.BytesIO:
        assert url == URL
        if isinstance(blob, OSError):
            raise blob
        return io.BytesIO(blob)

    monkeypatch.setattr(ecr_image, "open_url", open_url)


def answer_single(ecr: Stubber, image_id: dict[str, str] = TAG) -> None:
    answer(ecr, images=[image(SINGLE, IMAGE_MEDIA_TYPES[0])], failures=[], image_id=image_id)
    ecr.add_response(
        "get_download_url_for_layer",
        {"downloadUrl": URL, "layerDigest": CONFIG_DIGEST},
        {"repositoryName": "academy-api", "layerDigest": CONFIG_DIGEST},
    )


def test_a_single_image(ecr: Stubber, client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    answer_single(ecr)
    answer_details(ecr)
    serve(monkeypatch, CONFIG)
    assert find(client) == FOUND | {"platforms": ["linux/arm64"], "passes_signals": False}


def test_an_index_is_started_as_its_first_image(ecr: Stubber, client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    answer(ecr, images=[image(INDEX, INDEX_MEDIA_TYPES[0])], failures=[])
    answer_single(ecr, {"imageDigest": FIRST})
    answer_details(ecr)
    serve(monkeypatch, CONFIG)
    assert find(client) == FOUND | {"platforms": ["linux/amd64"], "passes_signals": False}


def test_an_index_whose_image_is_gone_does_not_tell_how_it_is_started(ecr: Stubber, client: Any) -> None:
    answer(ecr, images=[image(INDEX, INDEX_MEDIA_TYPES[0])], failures=[])
    answer(ecr, images=[], failures=[{"failureCode": "ImageNotFound"}], image_id={"imageDigest": FIRST})
    answer_details(ecr)
    assert find(client) == FOUND | {"platforms": ["linux/amd64"], "passes_signals": None}


def test_an_index_without_platforms_is_asked_for_each_of_its_images(
    ecr: Stubber, client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = {"manifests": [{"digest": OTHER}, {"platform": {"os": "unknown", "architecture": "unknown"}}]}
    answer(ecr, images=[image(index, INDEX_MEDIA_TYPES[0])], failures=[])
    answer_single(ecr, {"imageDigest": OTHER})
    answer_details(ecr)
    serve(monkeypatch, CONFIG)
    assert find(client) == FOUND | {"platforms": ["linux/arm64"], "passes_signals": False}


def test_no_such_image(ecr: Stubber, client: Any) -> None:
    answer(ecr, images=[], failures=[{"imageId": TAG, "failureCode": "ImageNotFound"}], registry_id="123456789012")
    assert find(client, registry_id="123456789012") == {"found": False, "repository_found": True}


def test_no_such_repository(ecr: Stubber, client: Any) -> None:
    ecr.add_client_error("batch_get_image", "RepositoryNotFoundException")
    assert find(client) == {"found": False, "repository_found": False}


def test_a_refusal_is_no_missing_image(ecr: Stubber, client: Any) -> None:
    ecr.add_client_error("batch_get_image", "AccessDeniedException")
    with pytest.raises(ecr_image.ImageError, match=r"repository academy-api \(ecr:BatchGetImage\): .*AccessDenied"):
        find(client)


def test_a_failed_download_says_what_failed(ecr: Stubber, client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    answer_single(ecr)
    serve(monkeypatch, OSError("connection refused"))
    with pytest.raises(ecr_image.ImageError, match=r"academy-api: .*could not be downloaded .* connection refused"):
        find(client)


def test_a_tag_that_names_whatever_was_last_is_refused(ecr: Stubber, client: Any) -> None:
    with pytest.raises(ecr_image.ImageError, match=r"academy-api: the tag 'latest' is refused"):
        find(client, image_tag="latest")


def test_an_image_by_its_digest(ecr: Stubber, client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    answer_single(ecr, {"imageDigest": DIGEST})
    answer_details(ecr)
    serve(monkeypatch, CONFIG)
    options = {"repository_name": "academy-api", "image_digest": DIGEST}
    found = FOUND | {"platforms": ["linux/arm64"], "passes_signals": False}
    assert (
        ecr_image.find_image(client, "ap-northeast-2", {**options, "validate_certs": True, "aws_ca_bundle": None})
        == found
    )


NAME = "academy-api:4f1c2d9"


def test_the_one_pass_over_aws_downloads_as_its_connection_says(
    ecr: Stubber, client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer_single(ecr)
    answer_details(ecr)
    downloads = []

    def open_url(url: str, **options: Any) -> io.BytesIO:
        downloads.append((url, options["validate_certs"], options["ca_path"]))
        return io.BytesIO(CONFIG)

    monkeypatch.setattr(ecr_image, "open_url", open_url)
    connection = {"validate_certs": False, "aws_ca_bundle": "/ca"}
    found = observe({"container_images": [NAME], **connection}, lambda _: client)
    assert found == {"container_images": {NAME: FOUND | {"platforms": ["linux/arm64"], "passes_signals": False}}}
    assert downloads == [(URL, False, "/ca")]


@pytest.mark.parametrize("code", ["RepositoryNotFoundException", ""], ids=["no repository", "no image"])
def test_the_one_pass_leaves_out_an_image_that_does_not_exist(ecr: Stubber, client: Any, code: str) -> None:
    if code:
        ecr.add_client_error("batch_get_image", code)
    else:
        answer(ecr, images=[], failures=[{"imageId": TAG, "failureCode": "ImageNotFound"}])
    assert observe({"container_images": [NAME]}, lambda _: client) == {"container_images": {}}


def test_the_one_pass_says_which_image_cannot_be_read(
    ecr: Stubber, client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer_single(ecr)
    serve(monkeypatch, b"no JSON")
    with pytest.raises(ReadError) as error:
        observe({"container_images": [NAME]}, lambda _: client)
    assert error.value.told().startswith(f"Cannot read container_images {NAME} (ecr:BatchGetImage): ")

# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import hashlib
import json
from base64 import b64decode, b64encode
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localcloud import settings
from localcloud.api import Api
from localcloud.front import Proxy
from localcloud.guard import Guard
from localcloud.registry import (
    ManifestError,
    Registry,
    Target,
    Tokens,
    Verdict,
    action_of,
    basic_credentials,
    find_image,
    is_frozen,
    read_manifest,
    read_path,
    record_image,
    refuse_overwrite,
)
from localcloud.wire import ApiError

NOW = datetime(2030, 1, 1, tzinfo=UTC)
KEY = settings.OPERATOR_ACCESS_KEY
DOCKER_TYPE = "application/vnd.docker.distribution.manifest.v2+json"
INDEX_TYPE = "application/vnd.oci.image.index.v1+json"
LAYER = "sha256:" + "1" * 64
CONFIG = "sha256:" + "2" * 64


def basic(user: str, password: str) -> str:
    return "Basic " + b64encode(f"{user}:{password}".encode()).decode()


def manifest_bytes(marker: str = "a") -> bytes:
    content = {
        "schemaVersion": 2,
        "mediaType": DOCKER_TYPE,
        "config": {"digest": CONFIG, "size": 30},
        "layers": [{"digest": LAYER, "size": 1000}],
        "annotations": {"marker": marker},
    }
    return json.dumps(content, indent=3).encode()


FIRST, SECOND = (read_manifest(manifest_bytes(marker), "") for marker in "ab")


@pytest.fixture
def api() -> Any:
    api = Api()
    yield api
    api.backends("ecr").reset()


@pytest.fixture
def registry(api: Api) -> Registry:
    return Registry(api, Proxy(), Guard(api), clock=lambda: NOW)


@pytest.fixture(params=["IMMUTABLE"])
def repository(request: pytest.FixtureRequest, api: Api) -> Any:
    return api.backends("ecr").create_repository("academy-api", None, None, None, request.param, [])


mutable = pytest.mark.parametrize("repository", ["MUTABLE"], indirect=True)


class TestTokens:
    def test_each_token_is_another_and_lives_twelve_hours(self) -> None:
        tokens = Tokens()
        (first, expires_at), (second, _) = tokens.issue(NOW, KEY), tokens.issue(NOW, KEY)
        assert first != second
        assert b64decode(first[:16]) == b64decode(second[:16]) == b'{"payload":"'
        assert expires_at == NOW + timedelta(hours=12)
        assert tokens.judge(basic("AWS", first), expires_at - timedelta(seconds=1)) is Verdict.ACCEPTED
        assert tokens.judge(basic("AWS", first), expires_at) is Verdict.EXPIRED

    @pytest.mark.parametrize("authorization", ["", "Bearer x", basic("AWS", "guess"), basic("AWS", ""), "Basic ?"])
    def test_anything_else_is_refused(self, authorization: str) -> None:
        tokens = Tokens()
        tokens.issue(NOW, KEY)
        assert tokens.judge(authorization, NOW) is Verdict.REFUSED

    def test_the_user_is_always_aws(self) -> None:
        tokens = Tokens()
        password, _ = tokens.issue(NOW, KEY)
        assert tokens.judge(basic("root", password), NOW) is Verdict.REFUSED

    def test_a_token_knows_who_asked_for_it(self) -> None:
        tokens = Tokens()
        passwords = {key: tokens.issue(NOW, key)[0] for key in ("ASIA1", "ASIA2")}
        assert {key: tokens.holder(basic("AWS", password)) for key, password in passwords.items()} == {
            "ASIA1": "ASIA1",
            "ASIA2": "ASIA2",
        }

    @given(user=st.text().filter(lambda text: ":" not in text), password=st.text())
    def test_credentials_survive_the_header(self, user: str, password: str) -> None:
        assert basic_credentials(basic(user, password)) == (user, password)

    @given(st.text())
    def test_no_header_breaks_it(self, header: str) -> None:
        basic_credentials(header)
        basic_credentials(f"Basic {header}")


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/v2/academy-api/manifests/v1", Target("academy-api", "v1")),
        (f"/v2/team/academy-api/manifests/{LAYER}", Target("team/academy-api", LAYER)),
        (f"/v2/academy-api/blobs/{LAYER}", Target("academy-api")),
        ("/v2/academy-api/blobs/uploads/", Target("academy-api")),
        ("/v2/academy-api/blobs/uploads/0f-1", Target("academy-api")),
        ("/v2/academy-api/tags/list", Target("academy-api", tags=True)),
        ("/v2/_catalog", None),
        ("/v1/search", None),
        ("/", None),
    ],
)
def test_read_path(path: str, expected: Target | None) -> None:
    assert read_path(path) == expected


class TestReadManifest:
    def test_the_digest_is_that_of_the_bytes(self) -> None:
        body = manifest_bytes()
        manifest = read_manifest(body, "")
        assert manifest.digest == "sha256:" + hashlib.sha256(body).hexdigest()
        assert (manifest.text.encode(), manifest.media_type, manifest.size) == (body, DOCKER_TYPE, 1030)
        assert manifest.blobs == {CONFIG: 30, LAYER: 1000}

    def test_an_index_has_no_blobs(self) -> None:
        index = {"schemaVersion": 2, "manifests": [{"digest": LAYER, "size": 7}]}
        manifest = read_manifest(json.dumps(index).encode(), f"{INDEX_TYPE}; charset=utf-8")
        assert (manifest.media_type, manifest.blobs, manifest.size) == (INDEX_TYPE, {}, None)

    @pytest.mark.parametrize(
        "body", [b"", b"{}", b"[]", b"null", b"\xff", b"{", b'{"layers": [1]}', b'{"config": {"digest": "x"}}']
    )
    def test_anything_else_is_no_manifest(self, body: bytes) -> None:
        with pytest.raises(ManifestError):
            read_manifest(body, "")


class TestImageList:
    def test_a_push_is_listed_under_tag_and_digest(self, repository: Any, api: Api) -> None:
        record_image(repository, FIRST, "v1")
        image = find_image(repository, "v1")
        assert image is find_image(repository, FIRST.digest)
        assert (image.image_digest, image.image_size_in_bytes, image.image_tags) == (FIRST.digest, 1030, ["v1"])
        found = api.backends("ecr").batch_get_image("academy-api", image_ids=[{"imageTag": "v1"}])["images"]
        assert [entry.get_image_manifest() for entry in found] == [FIRST.text]
        layers = api.backends("ecr").batch_check_layer_availability("academy-api", [LAYER, CONFIG])
        assert (len(layers["layers"]), layers["failures"]) == (2, [])

    def test_the_same_push_again_changes_nothing(self, repository: Any) -> None:
        record_image(repository, FIRST, "v1")
        record_image(repository, FIRST, "v1")
        record_image(repository, FIRST, None)
        assert [(image.image_digest, image.image_tags) for image in repository.images] == [(FIRST.digest, ["v1"])]

    def test_one_image_has_many_tags(self, repository: Any) -> None:
        record_image(repository, FIRST, "v1")
        record_image(repository, FIRST, "v2")
        assert [image.image_tags for image in repository.images] == [["v1", "v2"]]

    def test_an_immutable_tag_stays(self, repository: Any) -> None:
        record_image(repository, FIRST, "v1")
        refuse_overwrite(repository, "v2", SECOND.digest)
        refuse_overwrite(repository, None, SECOND.digest)
        with pytest.raises(ApiError, match="'v1' already exists in the 'academy-api' repository") as refusal:
            record_image(repository, SECOND, "v1")
        assert refusal.value.code == "ImageTagAlreadyExistsException"
        assert find_image(repository, "v1").image_digest == FIRST.digest
        assert find_image(repository, SECOND.digest) is None

    @mutable
    def test_a_mutable_tag_moves_and_its_image_stays(self, repository: Any) -> None:
        record_image(repository, FIRST, "v1")
        record_image(repository, SECOND, "v1")
        assert find_image(repository, "v1").image_digest == SECOND.digest
        old = find_image(repository, FIRST.digest)
        assert (old.image_tags, old.image_tag) == ([], None)

    def test_a_deleted_image_is_gone_and_may_come_back(self, repository: Any, api: Api) -> None:
        record_image(repository, FIRST, "v1")
        api.backends("ecr").batch_delete_image("academy-api", image_ids=[{"imageDigest": FIRST.digest}])
        assert find_image(repository, "v1") is None
        record_image(repository, SECOND, "v1")
        assert find_image(repository, "v1").image_digest == SECOND.digest


@pytest.mark.parametrize(
    ("immutable", "filters", "expected"),
    [(True, None, True), (False, None, False), (True, ["dev*"], False), (False, ["dev*"], True), (True, ["x*"], True)],
)
def test_is_frozen(immutable: bool, filters: list[str] | None, expected: bool) -> None:
    repository = SimpleNamespace(
        is_tag_immutable=lambda: immutable,
        image_tag_mutability_exclusion_filters=[{"filter": pattern} for pattern in filters or []],
    )
    assert is_frozen(repository, "dev-1") is expected


def ask(api: Api, action: str, **parameters: Any) -> Any:
    """Call an operation the way the API does it, without HTTP."""
    request = SimpleNamespace(host_url="https://api.ecr.example.com/")
    call: Any = SimpleNamespace(name=f"ecr.{action}", parameters=parameters, access_key=KEY, request=request)
    (hook,) = api.hooks.of(call)
    assert hook.instead is not None
    return hook.instead(call)


@pytest.mark.usefixtures("registry", "repository")
class TestApiCalls:
    def test_the_token_names_the_registry(self, api: Api) -> None:
        (data,) = ask(api, "GetAuthorizationToken")["authorizationData"]
        assert data["proxyEndpoint"] == f"https://{settings.REGISTRY_HOST}"
        assert data["expiresAt"] == NOW + timedelta(hours=12)
        credentials = basic_credentials("Basic " + data["authorizationToken"])
        assert credentials is not None
        assert credentials[0] == "AWS"

    def test_a_pushed_layer_has_a_url(self, api: Api, repository: Any) -> None:
        record_image(repository, FIRST, "v1")
        answer = ask(api, "GetDownloadUrlForLayer", repositoryName="academy-api", layerDigest=CONFIG)
        assert answer["downloadUrl"] == f"https://api.ecr.example.com/_localcloud/blobs/academy-api/{CONFIG}"
        with pytest.raises(ApiError, match="LayersNotFoundException"):
            ask(api, "GetDownloadUrlForLayer", repositoryName="academy-api", layerDigest="sha256:" + "9" * 64)
        with pytest.raises(ApiError, match=r"RepositoryNotFoundException.*'other'"):
            ask(api, "GetDownloadUrlForLayer", repositoryName="other", layerDigest=CONFIG)

    def test_put_image_gives_another_tag(self, api: Api, repository: Any) -> None:
        record_image(repository, FIRST, "v1")
        asked = {"repositoryName": "academy-api", "imageManifest": FIRST.text}
        image = ask(api, "PutImage", **asked, imageTag="v2")["image"]
        assert image["imageId"] == {"imageDigest": FIRST.digest, "imageTag": "v2"}
        assert find_image(repository, "v2").image_digest == FIRST.digest
        with pytest.raises(ApiError, match="ImageAlreadyExistsException"):
            ask(api, "PutImage", **asked, imageTag="v2")
        record_image(repository, SECOND, "v3")
        with pytest.raises(ApiError, match="ImageTagAlreadyExistsException"):
            ask(api, "PutImage", **asked, imageTag="v3")
        with pytest.raises(ApiError, match="docker push"):
            ask(api, "PutImage", repositoryName="academy-api", imageManifest="{}", imageTag="v9")


@pytest.mark.parametrize(
    ("method", "path", "action"),
    [
        ("GET", "/v2/academy-api/manifests/v1", "ecr:BatchGetImage"),
        ("HEAD", "/v2/academy-api/manifests/v1", "ecr:BatchGetImage"),
        ("GET", "/v2/academy-api/blobs/sha256:0", "ecr:GetDownloadUrlForLayer"),
        ("HEAD", "/v2/academy-api/blobs/sha256:0", "ecr:BatchCheckLayerAvailability"),
        ("GET", "/v2/academy-api/tags/list", "ecr:ListImages"),
        ("POST", "/v2/academy-api/blobs/uploads/", "ecr:InitiateLayerUpload"),
        ("PATCH", "/v2/academy-api/blobs/uploads/1", "ecr:UploadLayerPart"),
        ("PUT", "/v2/academy-api/blobs/uploads/1", "ecr:CompleteLayerUpload"),
        ("PUT", "/v2/academy-api/manifests/v1", "ecr:PutImage"),
    ],
)
def test_every_request_is_an_action_of_ecr(method: str, path: str, action: str) -> None:
    target = read_path(path)
    assert target is not None
    assert action_of(method, path, target) == action

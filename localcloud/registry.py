# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""ECR: a real registry as the store of content, and moto's repositories as the one truth about images and tags.

The gateway stands between: it demands a token that GetAuthorizationToken handed out, turns tags into digests by moto's
image list, and writes each manifest that was pushed into that list. What the list does not name cannot be pulled, so
BatchDeleteImage and lifecycle policies need nothing of the registry itself.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
import secrets
import threading
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import Enum
from fnmatch import fnmatchcase
from functools import partial
from http import HTTPStatus
from typing import Any, Final, TypeVar
from urllib.error import URLError

from aiohttp import web
from moto.ecr.models import Image

from localcloud import settings
from localcloud.api import Api, Environ, StartResponse
from localcloud.direct import urlopen
from localcloud.front import CHUNK_BYTES, Proxy, end_to_end
from localcloud.guard import DeniedError, Guard
from localcloud.permissions import repository_arn
from localcloud.policy import Need, PolicyError
from localcloud.store import URL
from localcloud.wire import ApiError, Call

T = TypeVar("T")

USER: Final = "AWS"
# As those of AWS, an encoded {"payload":"...: whoever searches for one can tell it from anything else.
TOKEN_START: Final = "eyJwYXlsb2FkIjoi"
TOKEN_LIFE: Final = timedelta(hours=12)
MANIFEST_BYTES_MAX: Final = 4 * 1024 * 1024
BLOB_TIMEOUT_SECONDS: Final = 30

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_PATH = re.compile(r"/v2/(?P<repository>.+?)/(?:(?P<kind>manifests)/(?P<reference>[^/]+)|(?P<tags>tags)/list|blobs/.+)")


# --- tokens -------------------------------------------------------------------------------------------------------


class Verdict(Enum):
    """What a registry request's credentials are worth."""

    ACCEPTED = "accepted"
    REFUSED = "refused"
    EXPIRED = "expired"


class Tokens:
    """The registry passwords that were handed out."""

    def __init__(self) -> None:
        self._issued: dict[str, tuple[datetime, str]] = {}
        self._lock = threading.Lock()

    def issue(self, now: datetime, access_key: str) -> tuple[str, datetime]:
        password, expires_at = TOKEN_START + secrets.token_urlsafe(48), now + TOKEN_LIFE
        with self._lock:
            self._issued[password] = expires_at, access_key
        return password, expires_at

    def holder(self, authorization: str) -> str:
        """The access key of whoever asked for a token that was accepted: it allows what its holder may do."""
        _, password = basic_credentials(authorization) or ("", "")
        with self._lock:
            return self._issued[password][1]

    def judge(self, authorization: str, now: datetime) -> Verdict:
        user, password = basic_credentials(authorization) or ("", "")
        with self._lock:
            expires_at, _ = self._issued.get(password, (None, ""))
        if user != USER or expires_at is None:
            return Verdict.REFUSED
        return Verdict.ACCEPTED if now < expires_at else Verdict.EXPIRED


def basic_credentials(authorization: str) -> tuple[str, str] | None:
    """User and password of an HTTP Basic header."""
    scheme, _, encoded = authorization.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        user, colon, password = b64decode(encoded, validate=True).decode().partition(":")
    except ValueError:
        return None
    return (user, password) if colon else None


# --- manifests and moto's image list ------------------------------------------------------------------------------


@dataclass(frozen=True)
class Manifest:
    """What an image manifest, or an index of several, says."""

    text: str
    media_type: str
    digest: str
    blobs: Mapping[str, int] = field(default_factory=dict)

    @property
    def size(self) -> int | None:
        """What DescribeImages calls the size: all blobs. An index has none of its own."""
        return sum(self.blobs.values()) or None


class ManifestError(ValueError):
    """Bytes that are no manifest."""


def read_manifest(body: bytes, content_type: str) -> Manifest:
    """Understand the body of a manifest PUT. Its digest is that of the bytes as they are."""
    try:
        text = body.decode()
        content = json.loads(text)
        config = [content["config"]] if "config" in content else []
        blobs = {blob["digest"]: int(blob["size"]) for blob in [*config, *content.get("layers", [])]}
        # OCI manifests need not repeat their type; the header must have it then.
        media_type = content.get("mediaType") or content_type.partition(";")[0].strip()
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ManifestError(f"not an image manifest: {error!r}") from error
    if not media_type:
        raise ManifestError("neither the manifest nor the request names a media type")
    return Manifest(text, media_type, f"sha256:{hashlib.sha256(body).hexdigest()}", blobs)


def find_image(repository: Any, reference: str) -> Any:
    """The image of a repository under a tag or a digest; None if it has none."""
    if _DIGEST.fullmatch(reference):
        return next((image for image in repository.images if image.image_digest == reference), None)
    return next((image for image in repository.images if reference in image.image_tags), None)


def is_frozen(repository: Any, tag: str) -> bool:
    """Whether an existing tag may not move to another image."""
    filters = repository.image_tag_mutability_exclusion_filters or []
    excepted = any(fnmatchcase(tag, entry["filter"]) for entry in filters)
    return bool(repository.is_tag_immutable()) != excepted


def refuse_overwrite(repository: Any, tag: str | None, digest: str) -> None:
    """ECR's refusal to move a tag of an immutable repository."""
    holder = find_image(repository, tag) if tag else None
    if tag and holder and holder.image_digest != digest and is_frozen(repository, tag):
        raise ApiError(
            "ImageTagAlreadyExistsException",
            f"The image tag '{tag}' already exists in the '{repository.name}' repository and cannot be overwritten "
            "because the tag is immutable.",
        )


def record_image(repository: Any, manifest: Manifest, tag: str | None) -> Any:
    """Enter a pushed image into the repository's list; the tag leaves the image that had it."""
    refuse_overwrite(repository, tag, manifest.digest)
    image = find_image(repository, manifest.digest)
    if image is None:
        image = Image(
            repository.registry_id, None, manifest.text, repository.name, manifest.media_type, manifest.digest
        )
        image.get_image_size_in_bytes = lambda: manifest.size  # moto counts the configuration alone
        repository.images.append(image)
    repository.layers.update(manifest.blobs)
    if tag:
        tag_image(repository, image, tag)
    return image


def tag_image(repository: Any, image: Any, tag: str) -> None:
    """Give a tag to an image; its former holder stays, without it."""
    holder = find_image(repository, tag)
    if holder is not None and holder is not image:
        holder.remove_tag(tag)
        if not holder.image_tags:
            holder.image_tag = None
    image.update_tag(tag)


# --- the gateway --------------------------------------------------------------------------------------------------


class RegistryError(Exception):
    """A refusal in the registry's own protocol."""

    def __init__(self, status: HTTPStatus, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code

    def response(self, host: str) -> web.Response:
        headers = {"Docker-Distribution-Api-Version": "registry/2.0"}
        if self.status is HTTPStatus.UNAUTHORIZED:
            headers["WWW-Authenticate"] = f'Basic realm="https://{host}/",service="ecr.amazonaws.com"'
        body = {"errors": [{"code": self.code, "message": str(self)}]}
        return web.json_response(body, status=self.status, headers=headers)


@dataclass(frozen=True)
class Target:
    """What a registry path is about."""

    repository: str
    manifest: str | None = None
    tags: bool = False


def read_path(path: str) -> Target | None:
    """Understand a path of the registry protocol; None for one that ECR does not serve."""
    match = _PATH.fullmatch(path)
    return Target(match["repository"], match["reference"], bool(match["tags"])) if match else None


def action_of(method: str, path: str, target: Target) -> str:
    """The IAM action that a request of the registry protocol amounts to."""
    if target.tags:
        return "ecr:ListImages"
    if target.manifest is not None:
        return "ecr:PutImage" if method == "PUT" else "ecr:BatchGetImage"
    if "/blobs/uploads/" in path:
        return {"POST": "ecr:InitiateLayerUpload", "PUT": "ecr:CompleteLayerUpload"}.get(method, "ecr:UploadLayerPart")
    return "ecr:BatchCheckLayerAvailability" if method == "HEAD" else "ecr:GetDownloadUrlForLayer"


def _no_repository(name: str) -> str:
    return f"The repository with name '{name}' does not exist in the registry with id '{settings.ACCOUNT_ID}'"


def _tags(repository: Any) -> list[str]:
    return sorted(tag for image in repository.images for tag in image.image_tags)


def _digest_of(repository: Any, reference: str) -> str:
    image = find_image(repository, reference)
    if image is None:
        raise RegistryError(HTTPStatus.NOT_FOUND, "MANIFEST_UNKNOWN", "Requested image not found")
    return str(image.image_digest)


def _manifest_path(target: Target, digest: str) -> str:
    return f"/v2/{target.repository}/manifests/{digest}"


class Registry:
    """ECR's registry endpoint and those of its API calls that moto lacks or answers otherwise."""

    def __init__(
        self, api: Api, proxy: Proxy, guard: Guard, clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._api = api
        self._proxy = proxy
        self._guard = guard
        self._clock = clock
        self._tokens = Tokens()
        self._blobs_path = api.mount("blobs", self._serve_blob)
        api.hooks.register("ecr", "GetAuthorizationToken", instead=self._get_authorization_token)
        api.hooks.register("ecr", "GetDownloadUrlForLayer", instead=self._get_download_url)
        api.hooks.register("ecr", "PutImage", instead=self._put_image)

    # --- the registry protocol, called by the front --------------------------------------------------------------

    async def handle(self, request: web.Request) -> web.StreamResponse:
        try:
            self._authenticate(request)
            if request.path.rstrip("/") == "/v2":
                return web.json_response({}, headers={"Docker-Distribution-Api-Version": "registry/2.0"})
            target = read_path(request.path)
            if target is None:
                raise RegistryError(HTTPStatus.NOT_FOUND, "UNSUPPORTED", f"{request.path} is not served")
            await asyncio.to_thread(self._authorize, request, target)
            return await self._route(request, target)
        except RegistryError as error:
            return error.response(request.host)

    def _authenticate(self, request: web.Request) -> None:
        match self._tokens.judge(request.headers.get("Authorization", ""), self._clock()):
            case Verdict.REFUSED:
                raise RegistryError(HTTPStatus.UNAUTHORIZED, "UNAUTHORIZED", "Not Authorized")
            case Verdict.EXPIRED:
                message = "Your authorization token has expired. Reauthenticate and try again."
                raise RegistryError(HTTPStatus.FORBIDDEN, "DENIED", message)

    def _authorize(self, request: web.Request, target: Target) -> None:
        holder = self._tokens.holder(request.headers.get("Authorization", ""))
        action = action_of(request.method, request.path, target)
        try:
            self._guard.authorize(holder, Need(action, repository_arn(target.repository)))
        except DeniedError as denied:
            raise RegistryError(HTTPStatus.FORBIDDEN, "DENIED", str(denied)) from denied
        except PolicyError as error:
            raise RegistryError(HTTPStatus.NOT_IMPLEMENTED, "UNSUPPORTED", str(error)) from error

    async def _route(self, request: web.Request, target: Target) -> web.StreamResponse:
        if request.method == "DELETE" and "/blobs/uploads/" not in request.path:
            raise RegistryError(HTTPStatus.METHOD_NOT_ALLOWED, "UNSUPPORTED", "images are deleted by BatchDeleteImage")
        if target.tags:
            return web.json_response({"name": target.repository, "tags": await self._locked(target, _tags)})
        if target.manifest is None:
            await self._locked(target, lambda repository: None)
            return await self._proxy.forward(request, URL)
        if request.method == "PUT":
            return await self._push_manifest(request, target, target.manifest)
        digest = await self._locked(target, lambda repository: _digest_of(repository, target.manifest or ""))
        return await self._proxy.forward(request, URL, _manifest_path(target, digest))

    async def _push_manifest(self, request: web.Request, target: Target, reference: str) -> web.StreamResponse:
        body = await request.content.read(MANIFEST_BYTES_MAX + 1)
        while len(body) <= MANIFEST_BYTES_MAX and (more := await request.content.read(MANIFEST_BYTES_MAX)):
            body += more
        try:
            manifest = read_manifest(body, request.headers.get("Content-Type", ""))
        except ManifestError as error:
            raise RegistryError(HTTPStatus.BAD_REQUEST, "MANIFEST_INVALID", str(error)) from error
        tag = None if _DIGEST.fullmatch(reference) else reference
        if tag is None and reference != manifest.digest:
            raise RegistryError(HTTPStatus.BAD_REQUEST, "DIGEST_INVALID", f"the manifest's digest is {manifest.digest}")
        await self._locked(target, lambda repository: refuse_overwrite(repository, tag, manifest.digest))
        path = _manifest_path(target, manifest.digest)
        async with self._proxy.request(request, URL, path, body) as answer:
            content = await answer.read()
            if answer.status == HTTPStatus.CREATED:
                await self._locked(target, lambda repository: record_image(repository, manifest, tag))
            return web.Response(status=answer.status, body=content, headers=end_to_end(answer.headers))

    async def _locked(self, target: Target, work: Callable[[Any], T]) -> T:
        """Do something with moto's repository, without stopping the front while the API is busy."""

        def run() -> T:
            with self._api.lock:
                repository = self._api.backends("ecr").repositories.get(target.repository)
                if repository is None:
                    message = _no_repository(target.repository)
                    raise RegistryError(HTTPStatus.NOT_FOUND, "NAME_UNKNOWN", message)
                try:
                    return work(repository)
                except ApiError as error:
                    raise RegistryError(HTTPStatus.BAD_REQUEST, "TAG_INVALID", error.message) from error

        return await asyncio.to_thread(run)

    # --- the API calls -------------------------------------------------------------------------------------------

    def _get_authorization_token(self, call: Call) -> Mapping[str, Any]:
        password, expires_at = self._tokens.issue(self._clock(), call.access_key)
        token = b64encode(f"{USER}:{password}".encode()).decode()
        data = {
            "authorizationToken": token,
            "expiresAt": expires_at,
            "proxyEndpoint": f"https://{settings.REGISTRY_HOST}",
        }
        return {"authorizationData": [data]}

    def _get_download_url(self, call: Call) -> Mapping[str, Any]:
        name, digest = call.parameters["repositoryName"], call.parameters["layerDigest"]
        if digest not in self._repository(name).layers:
            raise ApiError(
                "LayersNotFoundException",
                f"The layer with digest '{digest}' does not exist in the repository with name '{name}' in the registry "
                f"with id '{settings.ACCOUNT_ID}'",
            )
        # Where the caller asked: this machine knows no name of AWS, and the operator's machine nothing else.
        place = f"{call.request.host_url.rstrip('/')}{self._blobs_path}"
        return {"downloadUrl": f"{place}/{name}/{digest}", "layerDigest": digest}

    def _put_image(self, call: Call) -> Mapping[str, Any]:
        """Only a new tag for an image that was pushed: layers uploaded through the API would lie nowhere."""
        repository = self._repository(call.parameters["repositoryName"])
        text, tag = call.parameters["imageManifest"], call.parameters.get("imageTag")
        digest = f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"
        image = find_image(repository, digest)
        if image is None:
            raise ApiError(
                "LayersNotFoundException",
                f"No image with digest '{digest}' was pushed to the repository with name '{repository.name}'. The "
                "embedded cloud takes new images through docker push; PutImage gives another tag to such an image.",
            )
        if not tag or tag in image.image_tags:
            raise ApiError(
                "ImageAlreadyExistsException",
                f"Image with digest '{digest}' and tag '{tag}' already exists in the repository with name "
                f"'{repository.name}' in registry with id '{settings.ACCOUNT_ID}'",
            )
        refuse_overwrite(repository, tag, digest)
        tag_image(repository, image, tag)
        return {
            "image": {
                "registryId": repository.registry_id,
                "repositoryName": repository.name,
                "imageId": {"imageDigest": digest, "imageTag": tag},
                "imageManifest": image.image_manifest,
                "imageManifestMediaType": image.image_manifest_media_type,
            }
        }

    def _repository(self, name: str) -> Any:
        repository = self._api.backends("ecr").repositories.get(name)
        if repository is None:
            raise ApiError("RepositoryNotFoundException", _no_repository(name))
        return repository

    # --- what GetDownloadUrlForLayer points at -------------------------------------------------------------------

    def _serve_blob(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        repository, _, digest = environ["PATH_INFO"].strip("/").rpartition("/")
        try:
            blob = urlopen(f"{URL}/v2/{repository}/blobs/{digest}", timeout=BLOB_TIMEOUT_SECONDS)
        except URLError as error:
            start_response("404 Not Found", [("Content-Type", "text/plain")])
            return [f"{repository} has no blob {digest}: {error}\n".encode()]
        headers = [("Content-Type", "application/octet-stream"), ("Content-Length", blob.headers["Content-Length"])]
        start_response("200 OK", headers)
        return _chunks(blob)


def _chunks(blob: Any) -> Iterator[bytes]:
    with blob:
        yield from iter(partial(blob.read, CHUNK_BYTES), b"")

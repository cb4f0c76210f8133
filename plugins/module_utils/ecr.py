# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an image in ECR is: its tag, its platforms and the reference by which every host runs the same bytes."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from dataclasses import dataclass
from typing import Any

from .first_process import passes_signals

INDEX_MEDIA_TYPES = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
)
IMAGE_MEDIA_TYPES = (
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)
CONFIG_MEDIA_TYPES = (
    "application/vnd.oci.image.config.v1+json",
    "application/vnd.docker.container.image.v1+json",
)
ACCEPTED_MEDIA_TYPES = INDEX_MEDIA_TYPES + IMAGE_MEDIA_TYPES

# A variant that says no more than its architecture does.
DEFAULT_VARIANTS = {"arm64": "v8", "amd64": "v1"}

TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
EXPIRED = re.compile(r"\((ExpiredToken\w*|RequestExpired)\)|[Tt]oken has expired")
DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


class EcrError(ValueError):
    """Something about an image is not what it has to be."""


@dataclass(frozen=True)
class Manifest:
    """Either an index, which names platforms, or one image, whose configuration blob names it.

    An index need not name them: of `unnamed`, the digests of those of its manifests, each says its own.
    """

    platforms: tuple[str, ...] = ()
    unnamed: tuple[str, ...] = ()
    first: str | None = None  # of an index: the digest of its first image
    config_digest: str | None = None


@dataclass(frozen=True)
class Configuration:
    """What an image says of itself."""

    platform: str
    passes_signals: bool  # whether its first process passes the signal to end on


@dataclass(frozen=True)
class Authorization:
    """A login to a registry for a while."""

    username: str
    password: str
    registry: str


def validate_tag(tag: str) -> None:
    """Refuse a tag that cannot name one build for good."""
    if not TAG.fullmatch(tag):
        raise EcrError(
            f"the tag {tag!r} is not valid: it takes 1 to 128 letters, digits, '_', '.' and '-' and starts with "
            "neither '.' nor '-'; set the release to the build's commit"
        )
    if tag == "latest":
        raise EcrError(
            "the tag 'latest' is refused: it names whatever was pushed last, so nothing can be compared with it or "
            "rolled back to it; set the release to the build's commit"
        )


def validate_digest(digest: str) -> None:
    if not DIGEST.fullmatch(digest):
        raise EcrError(
            f"the digest {digest!r} is not valid: 'sha256:' and 64 lower-case hexadecimal digits are expected"
        )


def registry_host(registry_id: str, region: str) -> str:
    """Return the name under which Docker reaches the registry of an account."""
    suffix = "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com"
    return f"{registry_id}.dkr.ecr.{region}.{suffix}"


def reject_failures(failures: list[dict[str, Any]]) -> None:
    """Let pass that there is no such image; anything else that ECR has against the request is an error."""
    for failure in failures:
        if failure["failureCode"] != "ImageNotFound":
            raise EcrError(f"ECR answered {failure['failureCode']}: {failure.get('failureReason', 'no reason given')}")


def platform_name(description: dict[str, Any]) -> str:
    """Return os/architecture[/variant] in the short form, as Docker's --platform takes it."""
    system, architecture, variant = (description.get(key, "") for key in ("os", "architecture", "variant"))
    if not system or not architecture:
        raise EcrError("the image does not say its platform (os and architecture); build it with Docker or BuildKit")
    if not variant or variant == DEFAULT_VARIANTS.get(architecture):
        return f"{system}/{architecture}"
    return f"{system}/{architecture}/{variant}"


def parse_manifest(text: str, media_type: str) -> Manifest:
    """Read the manifest that ECR returned with this media type."""
    document = _json_object(text, "manifest")
    if media_type in INDEX_MEDIA_TYPES:
        return _manifest_of_index(document)
    if media_type in IMAGE_MEDIA_TYPES:
        config = document.get("config", {})
        digest = config.get("digest", "")
        validate_digest(digest)
        # Signatures and the like come as images with a configuration of their own kind: nobody can run those.
        return Manifest(config_digest=digest if config.get("mediaType") in (None, *CONFIG_MEDIA_TYPES) else None)
    raise EcrError(
        f"the manifest has the media type {media_type!r}, which is not understood; "
        f"push the image as one of: {', '.join(ACCEPTED_MEDIA_TYPES)}"
    )


def parse_configuration(blob: bytes, digest: str) -> Configuration:
    """Read a configuration blob, after making sure that it is the one that was asked for."""
    found = f"sha256:{hashlib.sha256(blob).hexdigest()}"
    if found != digest:
        raise EcrError(f"the configuration blob is damaged: {digest} was asked for and {found} arrived; try again")
    document = _json_object(blob, "configuration blob")
    process = document.get("config") or {}
    argv = [*(process.get("Entrypoint") or []), *(process.get("Cmd") or [])]
    return Configuration(platform_name(document), passes_signals(argv))


def parse_authorization(token: str, endpoint: str) -> Authorization:
    """Take apart what GetAuthorizationToken returned. No error repeats the token."""
    try:
        username, separator, password = base64.b64decode(token, validate=True).decode("ascii").partition(":")
    except ValueError:
        raise EcrError("the authorization token is not base64 text") from None
    registry = endpoint.removeprefix("https://").rstrip("/")
    if not separator or not username or not password or not registry:
        raise EcrError("the authorization token does not hold a user name, a password and an endpoint")
    return Authorization(username=username, password=password, registry=registry)


def login_advice(error: str) -> str:
    """What to do about a login that AWS refuses: a build may outlast the credentials with which the run began."""
    if not EXPIRED.search(error):
        return ""
    return (
        ", because the AWS credentials have expired. Sign in again (aws sso login, or whatever gave you these) and run "
        "again: what was built stays on the engine, and nothing was deployed"
    )


def _manifest_of_index(document: dict[str, Any]) -> Manifest:
    # BuildKit adds attestations as entries of an unknown platform: nobody can run those.
    images = [entry for entry in document.get("manifests", []) if (entry.get("platform") or {}).get("os") != "unknown"]
    unnamed = [entry.get("digest", "") for entry in images if not entry.get("platform")]
    for digest in unnamed:
        validate_digest(digest)
    return Manifest(
        platforms=tuple(platform_name(entry["platform"]) for entry in images if entry.get("platform")),
        unnamed=tuple(unnamed),
        first=images[0].get("digest") if images else None,
    )


def _json_object(text: str | bytes, what: str) -> dict[str, Any]:
    try:
        document = json.loads(text)
    except ValueError:
        raise EcrError(f"the {what} is not JSON") from None
    if not isinstance(document, dict):
        raise EcrError(f"the {what} is not a JSON object")
    return document

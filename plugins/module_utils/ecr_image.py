# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Looking up an image in ECR: the calls, and the download that tells a single image's platform."""

from __future__ import annotations

import http.client
from collections.abc import Mapping
from typing import Any

from ansible.module_utils.urls import open_url

from .aws_calls import Client, ReadError, Record, ask
from .ecr import (
    ACCEPTED_MEDIA_TYPES,
    Configuration,
    EcrError,
    Manifest,
    parse_configuration,
    parse_manifest,
    registry_host,
    reject_failures,
    validate_digest,
    validate_tag,
)

NO_REPOSITORY = "RepositoryNotFoundException"
DOWNLOAD_TIMEOUT_SECONDS = 30


class ImageError(Exception):
    """Why an image cannot be looked up."""


def find_image(ecr: Client, region: str, options: Mapping[str, Any]) -> Record:
    """What ecr_image_info tells, by its own options. Raises ImageError."""
    repository = options["repository_name"]
    try:
        return _find(ecr, region, options)
    except EcrError as error:
        raise ImageError(f"Cannot look up an image in the repository {repository}: {error}") from error
    except ReadError as error:
        told = f"Cannot look up an image in the repository {repository} ({error.action}): {error.cause}"
        raise ImageError(told) from error


def read_container_image(certificates: Mapping[str, Any], ecr: Client, name: str) -> Record | None:
    """An image by repository:tag, as find_image has it; None where ECR has no such image."""
    repository, _, tag = name.rpartition(":")
    try:
        found = _find(ecr, ecr.meta.region_name, {**certificates, "repository_name": repository, "image_tag": tag})
    except EcrError as error:
        raise ReadError("ecr:BatchGetImage", error) from error
    return found if found["found"] else None


def _find(ecr: Client, region: str, options: Mapping[str, Any]) -> Record:
    repository = {"repositoryName": options["repository_name"]}
    if options.get("registry_id"):
        repository["registryId"] = options["registry_id"]
    answer = _images(ecr, repository, [_image_id(options)])
    if answer is None:
        return {"found": False, "repository_found": False}
    if not answer["images"]:
        reject_failures(answer["failures"])
        return {"found": False, "repository_found": True}

    image = answer["images"][0]
    digest = image["imageId"]["imageDigest"]
    registry = registry_host(image["registryId"], region)
    manifest = _manifest(image)
    configurations = _configurations(ecr, repository, manifest, options)
    # The first image of an index that names its platforms was asked for how it is started alone.
    unnamed = [] if manifest.platforms and not manifest.unnamed else configurations
    details = ask(ecr, "describe_images", **repository, imageIds=[{"imageDigest": digest}])["imageDetails"][0]
    return {
        "found": True,
        "repository_found": True,
        "registry": registry,
        "digest": digest,
        "reference": f"{registry}/{options['repository_name']}@{digest}",
        "platforms": [*manifest.platforms, *(configuration.platform for configuration in unnamed)],
        "tags": sorted(details.get("imageTags", [])),
        "pushed_at": details["imagePushedAt"].isoformat(),
        "size_bytes": details.get("imageSizeInBytes", 0),
        "passes_signals": configurations[0].passes_signals if configurations else None,
    }


def _configurations(
    ecr: Client, repository: Mapping[str, str], manifest: Manifest, options: Mapping[str, Any]
) -> list[Configuration]:
    """Of an image its own; of an index those of the images whose platforms it does not name, or else of its first."""
    parts, first = [manifest], [manifest.first] if manifest.first else []
    if asked := [*manifest.unnamed] or first:
        answer = _images(ecr, repository, [{"imageDigest": digest} for digest in asked])
        parts = [_manifest(image) for image in answer["images"]]
    found = []
    for digest in [part.config_digest for part in parts if part.config_digest]:
        layer = ask(ecr, "get_download_url_for_layer", **repository, layerDigest=digest)
        found.append(parse_configuration(_download(layer["downloadUrl"], options), digest))
    return found


def _images(ecr: Client, repository: Mapping[str, str], image_ids: list[dict[str, str]]) -> Any:
    media_types = list(ACCEPTED_MEDIA_TYPES)
    return ask(ecr, "batch_get_image", NO_REPOSITORY, **repository, imageIds=image_ids, acceptedMediaTypes=media_types)


def _manifest(image: Record) -> Manifest:
    return parse_manifest(image["imageManifest"], image["imageManifestMediaType"])


def _image_id(options: Mapping[str, Any]) -> dict[str, str]:
    if options.get("image_tag") is not None:
        validate_tag(options["image_tag"])
        return {"imageTag": options["image_tag"]}
    validate_digest(options["image_digest"])
    return {"imageDigest": options["image_digest"]}


def _download(url: str, options: Mapping[str, Any]) -> bytes:
    certificates = {"validate_certs": options["validate_certs"], "ca_path": options["aws_ca_bundle"]}
    try:
        with open_url(url, timeout=DOWNLOAD_TIMEOUT_SECONDS, **certificates) as response:
            blob: bytes = response.read()
    except (OSError, http.client.HTTPException) as error:
        raise EcrError(f"its configuration could not be downloaded from the registry's storage: {error}") from error
    return blob

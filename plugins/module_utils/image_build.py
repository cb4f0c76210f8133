# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How Docker's client builds an image with BuildKit, and what is to be done where it cannot."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .lines import lines

ENVIRONMENT: Mapping[str, str] = {
    # Clients before 23 have BuildKit built in and have to be asked for it; later ones bring it as the plugin buildx.
    "DOCKER_BUILDKIT": "1",
    # The engine's own builder: one that "docker buildx create --use" made does not see the engine's images.
    "BUILDX_BUILDER": "default",
    # The provenance that buildx adds makes an index of one image, and clients before 23 do not know --provenance.
    "BUILDX_NO_DEFAULT_ATTESTATIONS": "1",
}
INSPECT = "{{.Id}} {{.Os}}/{{.Architecture}}"
SHOWN_LINES = 20
USER_INFO = re.compile(r"://[^/@\s]+@")
NOISE = re.compile(r"#\d+ (sha256:|DONE|CACHED|transferring)|-{6,}$|$")

# What the output of a failed build says → what to do, in which the build's own options may be named.
REMEDIES: Mapping[str, str] = {
    r"exec format error": (
        "The engine at {docker_host} has no emulator for {platform} that containers can use. Name an engine of that "
        "processor in images_docker_host, or install the emulator there (roles/images/README.md says how)."
    ),
    r"buildx component is missing": (
        "Install Docker's plugin buildx on this machine (package docker-buildx, or docker-buildx-plugin of Docker's "
        "own packages), or name a client that has it in images_docker_cli."
    ),
    r"authorization token has expired|no basic auth credentials|401 Unauthorized|authentication required": (
        "The login to the registry of a base image has expired or is missing. Log in there again (ECR: aws ecr "
        "get-login-password --region REGION | {docker_cli} login --username AWS --password-stdin REGISTRY)."
    ),
    r"failed to resolve source metadata|pull access denied|no match for platform|manifest unknown": (
        "The image in a FROM is neither on the engine nor to be pulled for {platform}. Name one that is (BASE_IMAGE "
        "in images_build_args)."
    ),
    r"[Uu]nknown instruction|unknown flag: ": (
        "Correct the line; where it is a heredoc or an option that newer builders know, use an engine of Docker 23 or "
        "later, or let the Dockerfile begin with a syntax line that the engine can pull (# syntax=docker/dockerfile:1)."
    ),
    r"annot connect to the Docker daemon|error during connect|unexpected EOF": (
        "The engine at {docker_host} (images_docker_host) does not answer, or no longer: start it, or name one that "
        "runs."
    ),
    r"no space left on device": "Make room on the engine at {docker_host}: docker builder prune.",
}
OTHERWISE = "Correct the Dockerfile or the source, commit, and release that commit."


@dataclass(frozen=True)
class Image:
    """An image on the engine."""

    id: str
    platform: str


def docker_command(options: Mapping[str, Any], *arguments: str) -> list[str]:
    return [options["docker_cli"], "--host", options["docker_host"], *arguments]


def build_arguments(options: Mapping[str, Any]) -> list[str]:
    """What follows the client's name and the engine's."""
    arguments = [f"{name}={value}" for name, value in options["args"].items()]
    return [
        "build",
        "--progress=plain",
        f"--platform={options['platform']}",
        f"--file={options['path']}/{options['dockerfile']}",
        f"--tag={reference(options)}",
        *(word for argument in arguments for word in ("--build-arg", argument)),
        options["path"],
    ]


def reference(options: Mapping[str, Any]) -> str:
    return f"{options['name']}:{options['tag']}"


def parse_image(text: str) -> Image:
    """What `docker image inspect` prints by INSPECT."""
    identifier, platform = text.split()
    return Image(identifier, platform)


def build_failure(options: Mapping[str, Any], output: str) -> str:
    """Which Dockerfile failed, how the output ends, and what to do."""
    # The address of an index or a repository may hold a password.
    told = [USER_INFO.sub("://***@", line.rstrip()) for line in lines(output) if not NOISE.match(line)]
    remedies = [remedy for sign, remedy in REMEDIES.items() if re.search(sign, output)]
    remedy = (remedies or [OTHERWISE])[0].format_map(options)
    return "\n".join(
        [
            f"{options['dockerfile']} could not be built for {options['platform']}, so nothing was pushed:",
            *(f"  {line}" for line in told[-SHOWN_LINES:]),
            remedy,
        ]
    )


def platform_failure(options: Mapping[str, Any], image: Image) -> str | None:
    """An image whose hosts could not run it."""
    if image.platform == options["platform"]:
        return None
    return (
        f"{options['dockerfile']} became an image for {image.platform}, and image_platform is {options['platform']}, "
        "so nothing was pushed. Remove --platform from its last FROM, or name a base image of that platform "
        "(BASE_IMAGE in images_build_args)."
    )

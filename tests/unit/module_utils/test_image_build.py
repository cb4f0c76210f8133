# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How an image is built, and what is said where that fails. The outputs are those of Docker 20.10 and 26."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.academy.deploy.plugins.module_utils.image_build import (
    OTHERWISE,
    Image,
    build_arguments,
    build_failure,
    docker_command,
    parse_image,
    platform_failure,
)

OPTIONS: dict[str, Any] = {
    "name": "academy-api",
    "tag": "4f1c2d9",
    "path": "/src",
    "dockerfile": "docker/api/Dockerfile",
    "platform": "linux/arm64",
    "args": {},
    "docker_host": "ssh://builder",
    "docker_cli": "/usr/bin/docker",
}


def test_the_client_is_told_which_engine() -> None:
    assert docker_command(OPTIONS, "version") == ["/usr/bin/docker", "--host", "ssh://builder", "version"]


def test_an_image_is_built_for_one_platform() -> None:
    options = {**OPTIONS, "args": {"RELEASE": "4f1c2d9", "JOBS": 4}}
    assert build_arguments(options) == [
        "build", "--progress=plain", "--platform=linux/arm64", "--file=/src/docker/api/Dockerfile",
        "--tag=academy-api:4f1c2d9", "--build-arg", "RELEASE=4f1c2d9", "--build-arg", "JOBS=4", "/src",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("output", "remedy"),
    [
        ("#4 0.176 exec /bin/sh: exec format error\nprocess did not complete successfully", "has no emulator"),
        ("ERROR: BuildKit is enabled but the buildx component is missing or broken.", "Install Docker's plugin buildx"),
        (
            "ERROR: unexpected status: Your authorization token has expired. Reauthenticate",
            "Log in there again",
        ),
        ("pull access denied, repository does not exist: authorization failed: no basic auth credentials", "Log in"),
        ("failed to resolve source metadata for docker.io/library/python:3.11: failed to do request", "in a FROM"),
        ("ERROR: failed to solve: no match for platform in manifest: not found", "in a FROM is neither"),
        ("dockerfile parse error line 3: unknown instruction: SET", "Docker 23 or later"),
        ("dockerfile parse error on line 3: unknown instruction: SET", "Docker 23 or later"),
        ("dockerfile parse error line 2: unknown flag: link", "Docker 23 or later"),
        ("Cannot connect to the Docker daemon at unix:///x. Is the docker daemon running?", "ssh://builder (images_"),
        ("failed to dial gRPC: cannot connect to the Docker daemon. Is 'docker daemon' running?", "does not answer"),
        ("Installing collected packages: urllib3\nunexpected EOF", "or no longer: start it"),
        ("write /x: no space left on device", "docker builder prune"),
        ('process "/bin/sh -c exit 1" did not complete successfully: exit code: 1', OTHERWISE),
        ("", OTHERWISE),
    ],
)
def test_a_failed_build_says_what_to_do(output: str, remedy: str) -> None:
    told = build_failure(OPTIONS, output)
    assert told.startswith("docker/api/Dockerfile could not be built for linux/arm64, so nothing was pushed:")
    assert remedy in told.split("\n")[-1]
    assert "{" not in told


def test_a_failed_build_shows_the_step_that_failed_and_no_noise() -> None:
    output = "#1 sha256:ab\n#1 DONE 0.0s\n\n#2 CACHED\n" + "old\n" * 40 + " > [2/2] RUN false:\n------\nexit code: 1\n"
    told = build_failure(OPTIONS, output).split("\n")
    assert told[-3:-1] == ["   > [2/2] RUN false:", "  exit code: 1"]
    assert len(told) == 22
    assert not any("sha256" in line or "DONE" in line or "----" in line for line in told)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("sha256:ab linux/arm64\n", None),
        ("sha256:ab linux/amd64\n", "became an image for linux/amd64, and image_platform is linux/arm64"),
    ],
)
def test_an_image_of_another_platform_is_refused(text: str, told: str | None) -> None:
    failure = platform_failure(OPTIONS, parse_image(text))
    assert (failure is None) == (told is None)
    assert (told or "") in (failure or "")


def test_an_image_as_docker_tells_it() -> None:
    assert parse_image("sha256:ab linux/arm64\n") == Image("sha256:ab", "linux/arm64")

# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""On the story's cloud: what an image for Graviton hosts takes where the build machine is none, and where it may not
run.

The base is of Debian's arm64 packages, and the example's own Dockerfiles are built on it by an emulator.
"""

from __future__ import annotations

import json
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from localcloud import demo, settings
from localcloud.shell import docker
from plugins.module_utils.ecr import IMAGE_MEDIA_TYPES
from tests import emulation, support

PLATFORM = "linux/arm64"
BASE = "academy-arm64-base"
REPOSITORY = "academy-messaging-worker"
RELEASE = f"arm64-{secrets.token_hex(4)}"
REFERENCE = f"{settings.REGISTRY_HOST}/{REPOSITORY}:{RELEASE}"
HEREDOC = f"""\
FROM {BASE}
RUN --mount=type=cache,target=/root/.cache <<END
set -e
uname -m
echo {RELEASE}
END
"""
RUN = ("run", "--rm", f"--platform={PLATFORM}", REFERENCE)
PROGRAM = "import platform, django, psycopg; print(platform.machine(), psycopg.pq.__impl__)"


def build(context: Path, image: str) -> support.Run:
    """As roles/images builds."""
    arguments = {
        "name": image, "tag": "latest", "path": str(context), "dockerfile": "Dockerfile", "platform": PLATFORM,
        "docker_host": settings.BUILDER_URL, "docker_cli": "/usr/bin/docker",
    }  # fmt: skip
    return support.module("academy.deploy.image_build", arguments, name=f"arm64-{image}")


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A base image on the build machine, which takes no program to make; with it no byte code, which takes long."""
    context = tmp_path_factory.mktemp("base")
    (context / "root.tar").hardlink_to(emulation.arm64_root())
    (context / "Dockerfile").write_text("FROM scratch\nADD root.tar /\nENV PIP_NO_COMPILE=1\n", encoding="utf-8")
    build(context, BASE).expect()
    yield
    docker("image", "rm", "--force", BASE, host=settings.BUILDER_URL)


def images(source: Path, playbook: str, name: str, **variables: object) -> support.Run:
    """Run a playbook for one image, of a release that no other test knows."""
    definition = {"name": REPOSITORY, "dockerfile": "docker/messaging-worker/Dockerfile"}
    values = {
        "release": RELEASE, "images_definitions": [definition], "images_source_dir": str(source),
        "images_build_args": {"BASE_IMAGE": BASE}, "images_requirements": ["requirements.txt"], **variables,
    }  # fmt: skip
    return support.playbook(playbook, "--extra-vars", json.dumps(values), name=f"arm64-{name}")


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example, with packages of its own."""
    target = tmp_path_factory.mktemp("source") / "academy"
    shutil.copytree(support.ROOT / "examples/academy", target, ignore=shutil.ignore_patterns("*.whl", ".*_cache"))
    return target


@pytest.fixture
def no_emulator() -> None:
    if emulation.is_registered():
        pytest.skip("this machine runs programs of arm64 already, and has not been told to by these tests")


def test_without_an_emulator_nothing_is_built(no_emulator: None, source: Path) -> None:
    said = support.words(images(source, "playbooks/images.yml", "off", image_platform=PLATFORM).expect(2).output)
    assert f"has no emulator for {PLATFORM} (image_platform)" in said
    assert "apt-get install qemu-user-static binfmt-support" in said


def test_a_step_that_the_engine_cannot_run_says_so(no_emulator: None, base: None, tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text(HEREDOC, encoding="utf-8")
    said = support.words(build(tmp_path, "academy-arm64-off").expect(2).output)
    assert "exec format error" in said
    assert f"has no emulator for {PLATFORM} that containers can use" in said


def test_with_one_the_images_are_built_pushed_and_run(base: None, source: Path, tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text(HEREDOC, encoding="utf-8")
    with emulation.registered():
        build(tmp_path, "academy-arm64-heredoc").expect()
        images(source, "playbooks/images.yml", "on", image_platform=PLATFORM).expect()
        ran = docker(*RUN, "python", "-c", PROGRAM, host=settings.BUILDER_URL)
    assert ran == "aarch64 binary"
    (image,) = demo.client("ecr").batch_get_image(repositoryName=REPOSITORY, imageIds=[{"imageTag": RELEASE}])["images"]
    # Provenance would have made it an index.
    assert image["imageManifestMediaType"] in IMAGE_MEDIA_TYPES


@pytest.mark.parametrize("playbook", ["playbooks/deploy.yml", "playbooks/rollback.yml"])
def test_an_image_for_other_hosts_is_refused_before_any_is_touched(source: Path, playbook: str) -> None:
    run = images(source, playbook, f"refused-{Path(playbook).stem}").expect(2)
    said = support.words(run.output)
    assert f"{REPOSITORY}:{RELEASE} in ECR is an image for {PLATFORM}, and image_platform is linux/amd64" in said
    assert set(run.changed().values()) == {0}

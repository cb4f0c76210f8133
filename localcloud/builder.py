# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The build machine: a Docker engine inside the VPC, so that a build pushes to ECR's own name over trusted TLS.

The machine's engine cannot: it asks the machine's resolver and does not trust the embedded cloud's authority, and
neither shall be changed for a demo.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from localcloud import settings
from localcloud.services import NESTED_ENGINE_OPTIONS, Service, wait_until
from localcloud.shell import docker, docker_succeeds

START_TIMEOUT_SECONDS: Final = 300.0


class Builder:
    """A container with its own engine, whose API is a socket on the machine."""

    def __init__(self, image: str, base_image_archive: Path) -> None:
        self._base_image_archive = base_image_archive
        self._service = Service(
            name="academy-localcloud-builder",
            kind=settings.KIND_BUILDER,
            image=image,
            address=settings.BUILDER_ADDRESS,
            # Containers of a build ask the VPC's resolver too, and the socket belongs to root alone.
            command=["dockerd", f"--host={settings.BUILDER_URL}", "--group=root", f"--dns={settings.RESOLVER}"],
            options=[*NESTED_ENGINE_OPTIONS, f"--volume={settings.BUILDER_DIR}:{settings.BUILDER_DIR}"],
            volume="/var/lib/docker",
        )

    def start(self) -> None:
        settings.BUILDER_DIR.mkdir(parents=True, exist_ok=True)
        self._service.create_volume()
        self._service.create()
        host = settings.BUILDER_URL
        wait_until(lambda: docker_succeeds("version", host=host), "the builder's engine answers", START_TIMEOUT_SECONDS)
        docker("load", "--quiet", f"--input={self._base_image_archive}", host=host)

# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The store of image content: a real registry in a container, which only the gateway of `registry` is meant to ask."""

from __future__ import annotations

from typing import Final

from localcloud import settings
from localcloud.direct import urlopen
from localcloud.services import Service, wait_until

PORT: Final = 5000
URL: Final = f"http://{settings.REGISTRY_ADDRESS}:{PORT}"
START_TIMEOUT_SECONDS: Final = 300.0

# Nothing of it is secret, and nobody but the gateway is meant to ask: who may do what is decided there.
CONFIGURATION: Final = f"""\
version: 0.1
log: {{level: warn, accesslog: {{disabled: true}}}}
storage:
  cache: {{blobdescriptor: inmemory}}
  filesystem: {{rootdirectory: /var/lib/docker-registry}}
  maintenance: {{uploadpurging: {{enabled: false}}}}
http: {{addr: ":{PORT}", relativeurls: true}}
"""


class Store:
    """The registry's container. It lives and dies with the cloud, as moto's repositories do."""

    def __init__(self, image: str) -> None:
        script = 'printf %s "$0" >/etc/registry.yml && exec docker-registry serve /etc/registry.yml'
        self._service = Service(
            name="academy-localcloud-registry",
            kind=settings.KIND_REGISTRY,
            image=image,
            address=settings.REGISTRY_ADDRESS,
            command=["sh", "-c", script, CONFIGURATION],
        )

    def start(self) -> None:
        self._service.create()
        wait_until(self._answers, "the registry answers", START_TIMEOUT_SECONDS)

    @staticmethod
    def _answers() -> bool:
        try:
            with urlopen(f"{URL}/v2/", timeout=1):
                return True
        except OSError:
            return False

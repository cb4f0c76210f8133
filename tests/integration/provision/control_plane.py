# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The embedded cloud's API alone, without hosts, databases and a registry's store: a free account within a second.

IAM is enforced as in the whole cloud, and functions run when they are invoked; no schedule invokes them. What an
instance would be told at 169.254.169.254 is under
/_localcloud/metadata/<its private address>/; a repository asked for under /_localcloud/pushes/ has an image then. The
keys of an operator whom only the published policies allow anything are under /_localcloud/operator. A certificate asked
for under /_localcloud/ages/<days>/<its ARN> ends in so many days, or has ended.

python -m tests.integration.provision.control_plane <port>

Ends with its standard input, so that it never outlives the tests, whatever ends them.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from email.message import Message
from pathlib import Path
from typing import Any

from localcloud import databases, fixes, settings, strict
from localcloud.api import Api, Environ, StartResponse
from localcloud.certificate_manager import CertificateManager
from localcloud.certificates import create_authority
from localcloud.front import Proxy
from localcloud.functions import Functions
from localcloud.guard import Guard
from localcloud.keys import Keys
from localcloud.metadata import TOKEN_HEADER, TOKEN_TTL_HEADER, Metadata
from localcloud.operator_user import ensure_operator_user
from localcloud.registry import Registry
from localcloud.spot import NoHosts, Spot
from localcloud.wire import Call
from localcloud.zones import Zones

# Longer than Ansible takes to start what it has just stopped, on a machine that has more to do.
SETTLE_SECONDS = 40.0
MANIFEST = {
    "schemaVersion": 2,
    "mediaType": "application/vnd.docker.distribution.manifest.v2+json",
    "config": {"mediaType": "application/vnd.docker.container.image.v1+json", "size": 2, "digest": "sha256:0"},
    "layers": [],
}


def show_gp3_performance(api: Api) -> None:
    """A gp3 database says how fast its storage is, as the databases of the whole cloud do; rds_instance reads it."""

    def complete(call: Call, result: Mapping[str, Any]) -> None:
        for instance in api.backends("rds").databases.values():
            instance.iops, instance.storage_throughput = databases.GP3_IOPS, databases.GP3_THROUGHPUT

    api.hooks.register("rds", "CreateDBInstance", after=complete)


class Addresses:
    """Instances by their private address, where no hosts run."""

    def __init__(self, api: Api) -> None:
        self._api = api

    def at(self, address: str) -> Any | None:
        instances = self._api.backends("ec2").all_instances()
        return next((instance for instance in instances if instance.private_ip == address), None)


def serve_metadata(api: Api) -> None:
    """The metadata service itself, but for its address and its server."""
    metadata = Metadata(api, Addresses(api))

    def serve(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        _, address, path = environ["PATH_INFO"].split("/", 2)
        headers = Message()
        for name in (TOKEN_HEADER, TOKEN_TTL_HEADER):
            if value := environ.get(f"HTTP_{name.upper().replace('-', '_')}"):
                headers[name] = value
        answer = metadata.put if environ["REQUEST_METHOD"] == "PUT" else metadata.get
        status, body = answer(address, f"/{path}", headers)
        start_response(f"{status.value} {status.phrase}", [("Content-Type", "text/plain")])
        return [body.encode()]

    api.mount("metadata", serve)


def serve_pushes(api: Api) -> None:
    """What a push leaves in ECR's list of images, where no engine pushes and no store keeps layers."""

    def serve(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        digest = f"sha256:{'0' * 64}"
        api.backends("ecr").put_image(environ["PATH_INFO"].strip("/"), json.dumps(MANIFEST), "1", digest=digest)
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [digest.encode()]

    api.mount("pushes", serve)


def serve_operator(api: Api) -> None:
    """The operator's keys, which the whole cloud writes into a file."""
    keys = json.dumps(asdict(ensure_operator_user(api))).encode()

    def serve(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        start_response("200 OK", [("Content-Type", "application/json")])
        return [keys]

    api.mount("operator", serve)


def serve_certificates(api: Api) -> None:
    """Certificates that wait for their records, and grow old when they are told to."""
    zones, authority = Zones(api), create_authority()
    manager = CertificateManager(api, zones.public, authority=lambda: authority)
    zones.listeners.append(manager.records_changed)

    def serve(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        _, days, arn = environ["PATH_INFO"].split("/", 2)
        with api.lock:
            manager.grow_old(arn, int(days))
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [days.encode()]

    api.mount("ages", serve)


def main(port: int) -> None:
    settings.API_PORT = port  # type: ignore[misc]  # final everywhere else: there is one cloud, and this is none
    api = Api()
    fixes.install(api)
    strict.install(api)
    Spot(api, NoHosts(), settle_seconds=SETTLE_SECONDS)
    guard = Guard(api)
    Keys(api, guard, NoHosts())
    Registry(api, Proxy(), guard)  # for those of ECR's API calls that moto lacks
    show_gp3_performance(api)
    serve_metadata(api)
    serve_pushes(api)
    serve_operator(api)
    serve_certificates(api)
    with tempfile.TemporaryDirectory() as directory:
        functions = Functions(api, Path(directory) / "functions")
        functions.start()
        api.start()
        api.ready()
        sys.stdin.read()
        functions.stop()


if __name__ == "__main__":
    main(int(sys.argv[1]))

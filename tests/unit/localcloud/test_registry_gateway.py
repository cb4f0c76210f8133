# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The registry protocol as a Docker client speaks it, through the front, before a store that keeps what it is given."""

from __future__ import annotations

import hashlib
import http.client
import json
import socket
import ssl
import threading
from base64 import b64decode, b64encode
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import IPv4Address
from types import SimpleNamespace
from typing import Any

import pytest

from localcloud import registry, settings
from localcloud.api import Api
from localcloud.certificates import create_authority, sign
from localcloud.front import CERTIFICATE_NAMES, Front, Proxy
from localcloud.guard import Guard
from localcloud.permissions import repository_arn

INDEX_TYPE = "application/vnd.oci.image.index.v1+json"
CONFIG = b'{"architecture": "arm64", "os": "linux"}'


def digest_of(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def manifest(marker: str) -> bytes:
    config = {"digest": digest_of(CONFIG), "size": len(CONFIG)}
    return json.dumps({"schemaVersion": 2, "mediaType": "x/manifest", "config": config, "note": marker}).encode()


class Store(BaseHTTPRequestHandler):
    """As little of a registry as the gateway needs: what was PUT under a path can be had there again."""

    protocol_version = "HTTP/1.1"
    content: dict[str, bytes]

    def do_PUT(self) -> None:
        self.content[self.path] = self.rfile.read(int(self.headers["Content-Length"]))
        self._send(201, b"")

    def do_GET(self) -> None:
        if self.path in self.content:
            self._send(200, self.content[self.path])
        else:
            self._send(404, b"the store has no such content")

    do_HEAD = do_GET  # noqa: N815 (http.server's name)

    def _send(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Docker-Content-Digest", self.path.rpartition("/")[2])
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


@dataclass
class Client:
    """A Docker client, logged in."""

    port: int
    api: Api
    authorization: str = ""
    now: datetime = datetime(2030, 1, 1, tzinfo=UTC)

    def log_in(self, access_key: str = settings.OPERATOR_ACCESS_KEY) -> None:
        call: Any = SimpleNamespace(name="ecr.GetAuthorizationToken", parameters={}, access_key=access_key)
        (hook,) = self.api.hooks.of(call)
        assert hook.instead is not None
        self.authorization = "Basic " + hook.instead(call)["authorizationData"][0]["authorizationToken"]

    def ask(self, method: str, path: str, body: bytes | None = None) -> tuple[int, http.client.HTTPMessage, bytes]:
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        connection = http.client.HTTPSConnection("127.0.0.1", self.port, context=context, timeout=20)
        headers = {"Host": settings.REGISTRY_HOST, "Authorization": self.authorization, "Content-Type": INDEX_TYPE}
        with closing(connection):
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read()

    def refusal(self, method: str, path: str, body: bytes | None = None) -> tuple[int, str, str]:
        status, _, answer = self.ask(method, path, body)
        (error,) = json.loads(answer)["errors"]
        return status, error["code"], error["message"]

    def images(self) -> list[tuple[str, list[str]]]:
        with self.api.lock:
            images = self.api.backends("ecr").repositories["academy-api"].images
            return [(image.image_digest, image.image_tags) for image in images]


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Iterator[Client]:
    store = ThreadingHTTPServer(("127.0.0.1", 0), type("OneStore", (Store,), {"content": {}}))
    threading.Thread(target=store.serve_forever, args=[0.02], daemon=True).start()
    monkeypatch.setattr(registry, "URL", f"http://127.0.0.1:{store.server_port}")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    api, proxy = Api(), Proxy()
    client = Client(port, api)
    gateway = registry.Registry(api, proxy, Guard(api), clock=lambda: client.now)
    certificate = sign(create_authority(), CERTIFICATE_NAMES)
    hosts = {settings.REGISTRY_HOST: gateway.handle}
    front = Front(certificate, proxy, hosts, address=IPv4Address("127.0.0.1"), port=port)
    api.backends("ecr").create_repository("academy-api", None, None, None, "IMMUTABLE", [])
    client.log_in()
    front.start()
    yield client
    front.stop()
    store.shutdown()
    store.server_close()
    for service in ("ecr", "iam", "sts"):
        api.backends(service).reset()


def test_the_challenge_asks_for_basic_credentials(client: Client) -> None:
    assert client.ask("GET", "/v2/")[0] == 200
    client.authorization = "Basic " + b64encode(b"AWS:guess").decode()
    status, headers, _ = client.ask("GET", "/v2/")
    assert status == 401
    assert headers["WWW-Authenticate"] == f'Basic realm="https://{settings.REGISTRY_HOST}/",service="ecr.amazonaws.com"'


def test_a_token_dies_after_twelve_hours(client: Client) -> None:
    client.now += timedelta(hours=12)
    assert client.refusal("GET", "/v2/")[:2] == (403, "DENIED")
    client.log_in()
    assert client.ask("GET", "/v2/")[0] == 200


def test_a_pushed_image_is_pulled_by_tag_and_by_digest(client: Client) -> None:
    body = manifest("a")
    digest = digest_of(body)
    assert client.ask("PUT", "/v2/academy-api/manifests/v1", body)[0] == 201
    assert client.images() == [(digest, ["v1"])]
    for reference in ("v1", digest):
        status, headers, content = client.ask("GET", f"/v2/academy-api/manifests/{reference}")
        assert (status, headers["Docker-Content-Digest"], content) == (200, digest, body)
    assert json.loads(client.ask("GET", "/v2/academy-api/tags/list")[2]) == {"name": "academy-api", "tags": ["v1"]}


def test_an_index_lists_its_images_untagged(client: Client) -> None:
    child = manifest("child")
    index = json.dumps({"schemaVersion": 2, "manifests": [{"digest": digest_of(child), "size": len(child)}]}).encode()
    assert client.ask("PUT", f"/v2/academy-api/manifests/{digest_of(child)}", child)[0] == 201
    assert client.ask("PUT", "/v2/academy-api/manifests/v1", index)[0] == 201
    assert client.images() == [(digest_of(child), []), (digest_of(index), ["v1"])]


def test_an_immutable_tag_takes_the_same_image_only(client: Client) -> None:
    assert client.ask("PUT", "/v2/academy-api/manifests/v1", manifest("a"))[0] == 201
    assert client.ask("PUT", "/v2/academy-api/manifests/v1", manifest("a"))[0] == 201
    status, code, message = client.refusal("PUT", "/v2/academy-api/manifests/v1", manifest("b"))
    assert (status, code) == (400, "TAG_INVALID")
    assert "'v1' already exists in the 'academy-api' repository and cannot be overwritten" in message
    assert client.images() == [(digest_of(manifest("a")), ["v1"])]


def test_what_ecr_no_longer_lists_cannot_be_pulled(client: Client) -> None:
    client.ask("PUT", "/v2/academy-api/manifests/v1", manifest("a"))
    with client.api.lock:
        client.api.backends("ecr").batch_delete_image("academy-api", image_ids=[{"imageTag": "v1"}])
    for reference in ("v1", digest_of(manifest("a"))):
        assert client.refusal("GET", f"/v2/academy-api/manifests/{reference}")[:2] == (404, "MANIFEST_UNKNOWN")


@pytest.mark.parametrize(
    ("method", "path"),
    [("PUT", "/v2/other/manifests/v1"), ("GET", "/v2/other/manifests/v1"), ("POST", "/v2/other/blobs/uploads/")],
)
def test_a_repository_must_exist(client: Client, method: str, path: str) -> None:
    assert client.refusal(method, path, manifest("a")) == (
        404,
        "NAME_UNKNOWN",
        f"The repository with name 'other' does not exist in the registry with id '{settings.ACCOUNT_ID}'",
    )


@pytest.mark.parametrize(
    ("method", "path", "body", "expected"),
    [
        ("PUT", "/v2/academy-api/manifests/v1", b"{", (400, "MANIFEST_INVALID")),
        ("PUT", f"/v2/academy-api/manifests/{digest_of(b'x')}", manifest("a"), (400, "DIGEST_INVALID")),
        ("DELETE", "/v2/academy-api/manifests/v1", None, (405, "UNSUPPORTED")),
        ("GET", "/v2/_catalog", None, (404, "UNSUPPORTED")),
    ],
)
def test_other_refusals(client: Client, method: str, path: str, body: bytes | None, expected: tuple[int, str]) -> None:
    assert client.refusal(method, path, body)[:2] == expected


def test_a_blob_passes_through_and_has_a_url_of_its_own(client: Client) -> None:
    path = f"/v2/academy-api/blobs/{digest_of(CONFIG)}"
    client.ask("PUT", path, CONFIG)
    assert client.ask("GET", path)[2] == CONFIG
    said: list[str] = []
    environ = {"PATH_INFO": f"/_localcloud/blobs/academy-api/{digest_of(CONFIG)}"}
    body = b"".join(client.api(environ, lambda status, headers: said.append(status)))
    assert (said, body) == (["200 OK"], CONFIG)
    environ = {"PATH_INFO": f"/_localcloud/blobs/academy-api/{digest_of(b'x')}"}
    assert b"has no blob" in b"".join(client.api(environ, lambda status, headers: said.append(status)))
    assert said[1].startswith("404")


def test_the_token_is_not_the_same_for_two(client: Client) -> None:
    first = client.authorization
    client.log_in()
    assert b64decode(first.split()[1]) != b64decode(client.authorization.split()[1])
    assert client.ask("GET", "/v2/")[0] == 200


def test_a_role_pulls_what_its_policy_names_and_pushes_nothing(client: Client) -> None:
    client.ask("PUT", "/v2/academy-api/manifests/v1", manifest("a"))
    blob = f"/v2/academy-api/blobs/{digest_of(CONFIG)}"
    client.ask("PUT", blob, CONFIG)
    iam = client.api.backends("iam")
    role = iam.create_role("host", "{}", "/", None, "", [], None)
    session = client.api.backends("sts").assume_role(settings.REGION, "i-1", role.arn, None, 3600, None)
    client.log_in(session.access_key_id)

    def allow(*actions: str) -> None:
        statement = {"Effect": "Allow", "Action": actions, "Resource": repository_arn("academy-api")}
        iam.put_role_policy("host", "pull", json.dumps({"Version": "2012-10-17", "Statement": [statement]}))

    assert client.refusal("GET", "/v2/academy-api/manifests/v1") == (
        403,
        "DENIED",
        f"User: arn:aws:sts::{settings.ACCOUNT_ID}:assumed-role/host/i-1 is not authorized to perform: "
        f"ecr:BatchGetImage on resource: {repository_arn('academy-api')} because no identity-based policy allows the "
        "ecr:BatchGetImage action",
    )
    assert client.ask("GET", "/v2/")[0] == 200  # which takes the token alone
    allow("ecr:BatchGetImage")
    assert client.ask("GET", "/v2/academy-api/manifests/v1")[0] == 200
    assert client.refusal("GET", blob)[:2] == (403, "DENIED")
    allow("ecr:GetDownloadUrlForLayer")
    assert client.ask("GET", blob)[0] == 200
    assert client.refusal("GET", "/v2/academy-api/manifests/v1")[:2] == (403, "DENIED")
    assert client.refusal("PUT", "/v2/academy-api/manifests/v2", manifest("b"))[:2] == (403, "DENIED")
    assert client.refusal("GET", "/v2/other/manifests/v1")[:2] == (403, "DENIED")
    iam.delete_role_policy("host", "pull")
    iam.delete_role("host")
    assert client.refusal("GET", blob)[:2] == (403, "DENIED")

# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import http.client
import os
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import IPv4Address
from typing import Any
from urllib.parse import urlsplit

import botocore.session
import pytest
from aiohttp import web
from botocore.config import Config
from multidict import CIMultiDict, CIMultiDictProxy

from localcloud import settings
from localcloud.certificates import Certificate, create_authority, sign
from localcloud.front import CERTIFICATE_NAMES, Front, Proxy, end_to_end, tell_address
from localcloud.resolver import Answer, answer

BODY = b"x" * 3_000_000


class Echo(BaseHTTPRequestHandler):
    """Answers with what it received."""

    protocol_version = "HTTP/1.1"

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.send_response(404 if self.path == "/missing" else 200)
        self.send_header("X-Host", self.headers["Host"])
        self.send_header("X-Path", self.path)
        self.send_header("X-Received", str(len(body)))
        self.send_header("X-Chunked", str("Transfer-Encoding" in self.headers))
        self.send_header("X-Accept", self.headers.get("Accept", "none"))
        self.send_header("X-Came-By", self.headers.get("X-Forwarded-Proto", "none"))
        self.send_header("X-Agent", self.headers.get("User-Agent", "none"))
        self.send_header("Content-Length", str(len(body) or 7))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body or b"nothing")

    do_GET = do_HEAD = do_PUT = _answer  # noqa: N815 (http.server's names)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture(scope="module")
def certificate() -> Certificate:
    return sign(create_authority(), CERTIFICATE_NAMES)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture(scope="module")
def front(certificate: Certificate) -> Iterator[int]:
    upstream = ThreadingHTTPServer(("127.0.0.1", 0), Echo)
    threading.Thread(target=upstream.serve_forever, args=[0.02], daemon=True).start()

    async def special(request: web.Request) -> web.StreamResponse:
        return web.Response(text="special")

    port = free_port()
    front = Front(
        certificate,
        Proxy(),
        {"special.example": special, settings.CHECKIP_HOST: tell_address},
        address=IPv4Address("127.0.0.1"),
        port=port,
        api=f"http://127.0.0.1:{upstream.server_port}",
    )
    front.start()
    front.start()
    yield port
    front.stop()
    front.stop()
    upstream.shutdown()
    upstream.server_close()


def ask(
    port: int, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None
) -> tuple[http.client.HTTPResponse, bytes]:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    connection = http.client.HTTPSConnection("127.0.0.1", port, context=context, timeout=20)
    with closing(connection):
        connection.request(method, path, body, headers or {})
        response = connection.getresponse()
        return response, response.read()


class TestFront:
    def test_host_path_and_query_arrive_as_sent(self, front: int) -> None:
        response, _ = ask(front, "GET", "/a%2Fb/c?x=%20y&x", headers={"Host": "logs.ap-northeast-2.amazonaws.com"})
        assert response.headers["X-Host"] == "logs.ap-northeast-2.amazonaws.com"
        assert response.headers["X-Path"] == "/a%2Fb/c?x=%20y&x"

    def test_the_api_learns_that_it_was_tls(self, front: int) -> None:
        response, _ = ask(front, "GET", "/", headers={"X-Forwarded-Proto": "http"})
        assert response.headers["X-Came-By"] == "https"

    def test_a_name_of_r2_is_s3_to_the_api(self, front: int) -> None:
        response, _ = ask(front, "GET", "/bucket/key", headers={"Host": "0123abcd.r2.cloudflarestorage.com"})
        assert response.headers["X-Host"] == "s3.ap-northeast-2.amazonaws.com"
        assert response.headers["X-Path"] == "/bucket/key"

    def test_a_body_streams_both_ways_with_its_length(self, front: int) -> None:
        response, body = ask(front, "PUT", "/", BODY)
        assert (response.headers["X-Received"], response.headers["X-Chunked"]) == (str(len(BODY)), "False")
        assert body == BODY

    def test_expect_is_answered_here(self, front: int) -> None:
        response, body = ask(front, "PUT", "/", b"12345", {"Expect": "100-continue"})
        assert (response.status, body) == (200, b"12345")

    def test_head_keeps_the_length(self, front: int) -> None:
        response, body = ask(front, "HEAD", "/")
        assert (response.status, response.headers["Content-Length"], body) == (200, "7", b"")

    def test_nothing_is_added_to_the_request(self, front: int) -> None:
        response, _ = ask(front, "GET", "/")
        assert (response.headers["X-Accept"], response.headers["X-Agent"]) == ("none", "none")

    def test_the_status_passes_through(self, front: int) -> None:
        assert ask(front, "GET", "/missing")[0].status == 404

    def test_a_named_host_has_its_own_handler(self, front: int) -> None:
        assert ask(front, "GET", "/", headers={"Host": "special.example:443"})[1] == b"special"

    def test_a_caller_is_told_its_own_address(self, front: int) -> None:
        response, body = ask(front, "GET", "/", headers={"Host": settings.CHECKIP_HOST})
        assert (response.status, response.headers.get_content_type(), body) == (200, "text/plain", b"127.0.0.1\n")


def test_a_dead_upstream_is_named(certificate: Certificate) -> None:
    port = free_port()
    address = IPv4Address("127.0.0.1")
    front = Front(certificate, Proxy(), {}, address=address, port=port, api="http://127.0.0.1:9")
    front.start()
    try:
        response, body = ask(port, "GET", "/", headers={"Host": "logs.ap-northeast-2.amazonaws.com"})
        assert response.status == 503
        assert b"logs.ap-northeast-2.amazonaws.com" in body
    finally:
        front.stop()


# One operation of each service that the collection or an operator calls. What botocore signs goes to a name of its
# endpoint rules, which differ by operation for no service here but S3.
OPERATIONS: list[tuple[str, str, dict[str, Any]]] = [
    ("acm", "list_certificates", {}),
    ("budgets", "describe_budgets", {"AccountId": settings.ACCOUNT_ID}),
    ("ce", "list_cost_allocation_tags", {}),
    ("cloudwatch", "describe_alarms", {}),
    ("ec2", "describe_instances", {}),
    ("ecr", "get_authorization_token", {}),
    ("elbv2", "describe_load_balancers", {}),
    ("events", "list_rules", {}),
    ("freetier", "get_account_plan_state", {}),
    ("iam", "list_roles", {}),
    ("lambda", "list_functions", {}),
    ("logs", "describe_log_groups", {}),
    ("rds", "describe_db_instances", {}),
    ("resourcegroupstaggingapi", "get_resources", {}),
    ("route53", "list_hosted_zones", {}),
    ("s3", "list_buckets", {}),
    ("s3", "get_object", {"Bucket": "academy-video", "Key": "clip.mp4"}),
    ("service-quotas", "list_services", {}),
    ("sns", "list_topics", {}),
    ("sqs", "list_queues", {}),
    ("ssm", "describe_parameters", {}),
    ("sts", "get_caller_identity", {}),
]


def called_host(service: str, operation: str, arguments: dict[str, Any]) -> str:
    """The host to which botocore would send a call."""
    client = botocore.session.Session().create_client(
        service,
        region_name=settings.REGION,
        aws_access_key_id="key",
        aws_secret_access_key="secret",
        config=Config(retries={"max_attempts": 0}, proxies={}),
    )
    called: list[str] = []

    def stop(request: Any, **_: Any) -> None:
        called.append(str(urlsplit(request.url).hostname))
        raise InterruptedError

    client.meta.events.register("before-send", stop)
    with pytest.raises(InterruptedError):
        getattr(client, operation)(**arguments)
    return called[0]


def is_covered(host: str) -> bool:
    return host in CERTIFICATE_NAMES or f"*.{host.partition('.')[2]}" in CERTIFICATE_NAMES


@pytest.mark.parametrize(("service", "operation", "arguments"), OPERATIONS)
def test_the_certificate_and_the_resolver_know_the_names_that_botocore_calls(
    service: str, operation: str, arguments: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_CONFIG_FILE", os.devnull)
    host = called_host(service, operation, arguments)
    assert is_covered(host), host
    answered = answer(host, "A", lambda _: None, lambda _: None, outside=True)
    assert answered == Answer(address=settings.RESOLVER), host


@pytest.mark.parametrize(
    ("host", "covered"),
    [
        ("sts.amazonaws.com", True),  # the global endpoint, which older SDKs call
        (settings.REGISTRY_HOST, True),
        ("checkip.amazonaws.com", True),
        ("0123abcd.r2.cloudflarestorage.com", True),
        ("a.b.c.ap-northeast-2.amazonaws.com", False),
        ("amazonaws.com.example", False),
    ],
)
def test_the_certificate_covers_what_sdks_do_not_call(host: str, covered: bool) -> None:
    assert is_covered(host) is covered


def test_headers_of_the_connection_stay_behind() -> None:
    headers = CIMultiDictProxy(
        CIMultiDict([("Connection", "close, X-Mine"), ("X-Mine", "1"), ("TE", "gzip"), ("A", "1"), ("A", "2")])
    )
    assert list(end_to_end(headers).items()) == [("A", "1"), ("A", "2")]


def test_a_taken_port_says_what_to_do(certificate: Certificate, front: int) -> None:
    second = Front(certificate, Proxy(), {}, address=IPv4Address("127.0.0.1"), port=front)
    with pytest.raises(OSError, match=rf"127\.0\.0\.1:{front}.*ss -lnp"):
        second.start()
    second.stop()

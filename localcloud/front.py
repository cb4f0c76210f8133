# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The TLS front: what a host, and the operator's machine, reach under an AWS name.

Requests stream through in both directions. The registry's host goes to the registry's gateway, every other name to the
AWS API with its Host header kept, because the API finds service and region by it, and queues have their URLs from it.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
import tempfile
import threading
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import Future
from ipaddress import IPv4Address
from typing import Final

import aiohttp
from aiohttp import web
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from localcloud import settings
from localcloud.certificates import Certificate
from localcloud.resolver import port_taken

log = logging.getLogger(__name__)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

CHUNK_BYTES: Final = 256 * 1024
CONNECT_TIMEOUT_SECONDS: Final = 5.0

# RFC 9110 7.6.1: these belong to one connection. Expect is answered by the front itself.
HOP_BY_HOP: Final = frozenset(
    {
        "connection",
        "expect",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)

# A wildcard covers one label only, hence one entry for each depth that AWS uses. A test asks botocore for its names.
CERTIFICATE_NAMES: Final = (
    settings.AWS_DOMAIN,
    f"*.{settings.AWS_DOMAIN}",
    f"*.{settings.REGION}.{settings.AWS_DOMAIN}",
    f"*.queue.{settings.AWS_DOMAIN}",
    f"*.ecr.{settings.REGION}.{settings.AWS_DOMAIN}",
    f"*.dkr.ecr.{settings.REGION}.{settings.AWS_DOMAIN}",
    f"*.s3.{settings.AWS_DOMAIN}",
    f"*.s3.{settings.REGION}.{settings.AWS_DOMAIN}",
    # Services that are in one region for the whole world.
    f"*.us-east-1.{settings.AWS_DOMAIN}",
    f"*.us-east-1.{settings.AWS_API_DOMAIN}",
    f"*.{settings.STORAGE_DOMAIN}",
)


def end_to_end(headers: CIMultiDictProxy[str]) -> CIMultiDict[str]:
    """The headers that travel on, without those that belong to the one connection."""
    named = {name.strip().lower() for value in headers.getall("Connection", []) for name in value.split(",")}
    return CIMultiDict((name, value) for name, value in headers.items() if name.lower() not in HOP_BY_HOP | named)


def forwarded(headers: CIMultiDictProxy[str]) -> CIMultiDict[str]:
    """A client's headers as they go upstream, which learns how the client came."""
    travelling = end_to_end(headers)
    travelling["X-Forwarded-Proto"] = "https"
    if "Host" in travelling:
        travelling["Host"] = api_host(travelling["Host"])
    return travelling


def api_host(host: str) -> str:
    """The host as the API knows it: whatever account a name of R2 carries, S3 stands in for it."""
    return settings.STORAGE_HOST if host.endswith(f".{settings.STORAGE_DOMAIN}") else host


def server_context(certificate: Certificate) -> ssl.SSLContext:
    """A TLS context with this certificate. OpenSSL reads files only; the key is on disk no longer."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    with tempfile.NamedTemporaryFile() as file:
        file.write(certificate.certificate + certificate.key)
        file.flush()
        context.load_cert_chain(file.name)
    return context


async def tell_address(request: web.Request) -> web.StreamResponse:
    """The address that the caller comes from, as checkip.amazonaws.com tells it."""
    return web.Response(text=f"{request.remote}\n")


class Proxy:
    """Passes a request on to a plain HTTP server and streams the answer back."""

    def __init__(self) -> None:
        self._session: aiohttp.ClientSession | None = None

    async def open(self) -> None:
        # One connection for each request: a kept one may be closed by the server just while it is used again.
        connector = aiohttp.TCPConnector(limit=0, force_close=True)
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_TIMEOUT_SECONDS)
        self._session = aiohttp.ClientSession(connector=connector, timeout=timeout, auto_decompress=False)

    async def close(self) -> None:
        if self._session:
            await self._session.close()
            self._session = None

    def request(
        self, request: web.Request, upstream: str, path: str | None = None, body: bytes | None = None
    ) -> aiohttp.client._RequestContextManager:
        """The upstream request; path and body replace the client's where they are given."""
        if self._session is None:
            raise RuntimeError("the front is not running")
        payload = body if body is not None else (request.content if request.body_exists else None)
        return self._session.request(
            request.method,
            URL(upstream + (path or request.raw_path), encoded=True),
            headers=forwarded(request.headers),
            skip_auto_headers=("Accept", "Accept-Encoding", "Content-Type", "User-Agent"),
            data=payload,
            allow_redirects=False,
        )

    async def forward(self, request: web.Request, upstream: str, path: str | None = None) -> web.StreamResponse:
        async with self.request(request, upstream, path) as answer:
            response = web.StreamResponse(
                status=answer.status, reason=answer.reason, headers=end_to_end(answer.headers)
            )
            await response.prepare(request)
            async for chunk in answer.content.iter_chunked(CHUNK_BYTES):
                await response.write(chunk)
            await response.write_eof()
            return response


class Front:
    """The listening front: one TLS server on one address, in an event loop of its own."""

    def __init__(
        self,
        certificate: Certificate,
        proxy: Proxy,
        hosts: Mapping[str, Handler],
        *,
        address: IPv4Address = settings.RESOLVER,
        port: int = settings.FRONT_PORT,
        api: str = settings.API_URL,
    ) -> None:
        self._certificate = certificate
        self._proxy = proxy
        self._hosts = hosts
        self._address = address
        self._port = port
        self._api = api
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._runner: web.AppRunner | None = None

    def start(self) -> None:
        if self._thread:
            return
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="front", daemon=True)
        self._thread.start()
        try:
            self._run(self._open())
        except OSError as error:
            self.stop()
            raise port_taken(error, self._address, self._port) from error

    def stop(self) -> None:
        if not (self._loop and self._thread):
            return
        self._run(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        self._loop = self._thread = None

    def _run(self, work: Awaitable[None]) -> None:
        assert self._loop is not None

        async def run() -> None:
            await work

        future: Future[None] = asyncio.run_coroutine_threadsafe(run(), self._loop)
        future.result()

    async def _open(self) -> None:
        await self._proxy.open()
        application = web.Application()
        application.router.add_route("*", "/{path:.*}", self._handle)
        self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=1)
        await self._runner.setup()
        context = server_context(self._certificate)
        await web.TCPSite(self._runner, str(self._address), self._port, ssl_context=context).start()

    async def _close(self) -> None:
        if self._runner:
            await self._runner.cleanup()
            self._runner = None
        await self._proxy.close()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        host = request.host.partition(":")[0].lower()
        try:
            if host in self._hosts:
                return await self._hosts[host](request)
            return await self._proxy.forward(request, self._api)
        except aiohttp.ClientError as error:
            log.warning("%s https://%s%s: no answer behind the front: %s", request.method, host, request.path, error)
            return web.Response(status=503, text=f"nothing answers behind {host}: {error}\n")

# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The instance metadata service, version 2 only.

A request to 169.254.169.254 on the cloud's bridge is redirected here; its source address tells which instance asks.
Answers leave with the instance's hop limit as IP TTL, so that a limit of 1 does not reach a nested container.
"""

from __future__ import annotations

import json
import logging
import secrets
import socket
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.message import Message
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Protocol

from localcloud import settings
from localcloud.api import Api
from localcloud.credentials import Credentials, issue, timestamp
from localcloud.spot import request_of

log = logging.getLogger(__name__)

TOKEN_PATH = "/latest/api/token"
TOKEN_HEADER = "X-aws-ec2-metadata-token"
TOKEN_TTL_HEADER = "X-aws-ec2-metadata-token-ttl-seconds"
TOKEN_TTL_SECONDS = range(1, 21_600 + 1)

CREDENTIALS_RENEWED_BEFORE_END = timedelta(hours=1)


@dataclass(frozen=True)
class Subject:
    """What the service tells an instance about itself."""

    instance_id: str
    image_id: str
    instance_type: str
    architecture: str
    availability_zone: str
    launched: datetime
    private_address: str
    private_name: str
    public_address: str | None
    public_name: str | None
    lifecycle: str
    mac: str
    security_groups: tuple[str, ...]
    key_name: str | None = None
    public_key: str | None = None
    profile_arn: str | None = None
    profile_id: str | None = None
    role: str | None = None
    credentials: Credentials | None = None
    user_data: str | None = None
    # What stands below spot/: nothing until EC2 announces that it interrupts the instance.
    notice: Mapping[str, str] = field(default_factory=dict)
    # Only where the instance is told them.
    tags: Mapping[str, str] = field(default_factory=dict)


def documents(subject: Subject) -> dict[str, str]:
    """Every document below /latest/ by its path."""
    region = subject.availability_zone[:-1]
    found = {
        "meta-data/ami-id": subject.image_id,
        "meta-data/hostname": subject.private_name,
        "meta-data/instance-id": subject.instance_id,
        "meta-data/instance-life-cycle": subject.lifecycle,
        "meta-data/instance-type": subject.instance_type,
        "meta-data/local-hostname": subject.private_name,
        "meta-data/local-ipv4": subject.private_address,
        "meta-data/mac": subject.mac,
        "meta-data/placement/availability-zone": subject.availability_zone,
        "meta-data/placement/region": region,
        "meta-data/security-groups": "\n".join(subject.security_groups),
        "meta-data/services/domain": settings.AWS_DOMAIN,
        "meta-data/services/partition": "aws",
        "dynamic/instance-identity/document": json.dumps(
            {
                "accountId": settings.ACCOUNT_ID,
                "architecture": subject.architecture,
                "availabilityZone": subject.availability_zone,
                "imageId": subject.image_id,
                "instanceId": subject.instance_id,
                "instanceType": subject.instance_type,
                "pendingTime": timestamp(subject.launched),
                "privateIp": subject.private_address,
                "region": region,
                "version": "2017-09-30",
            },
            indent=2,
        ),
    }
    if subject.public_address:
        found["meta-data/public-ipv4"] = subject.public_address
        found["meta-data/public-hostname"] = subject.public_name or ""
    if subject.public_key:
        found["meta-data/public-keys/0/openssh-key"] = subject.public_key
    if subject.profile_arn:
        found["meta-data/iam/info"] = json.dumps(
            {
                "Code": "Success",
                "LastUpdated": timestamp(subject.credentials.issued if subject.credentials else subject.launched),
                "InstanceProfileArn": subject.profile_arn,
                "InstanceProfileId": subject.profile_id,
            },
            indent=2,
        )
    if subject.role and subject.credentials:
        found[f"meta-data/iam/security-credentials/{subject.role}"] = subject.credentials.document()
    if subject.user_data:
        found["user-data"] = subject.user_data
    found |= {f"meta-data/tags/instance/{key}": value for key, value in subject.tags.items()}
    return found | {f"meta-data/spot/{name}": content for name, content in subject.notice.items()}


def answer(subject: Subject, path: str) -> str | None:
    """The document or listing at a path; None where there is none."""
    found = documents(subject)
    prefix = "/latest/"
    if not path.startswith(prefix):
        return None
    wanted = path[len(prefix) :].rstrip("/")
    if wanted in found:
        return found[wanted]
    below = [
        name[len(wanted) + 1 :] if wanted else name for name in found if not wanted or name.startswith(f"{wanted}/")
    ]
    entries = sorted({name.partition("/")[0] + ("/" if "/" in name else "") for name in below})
    if wanted == "meta-data/public-keys" and entries:
        return f"0={subject.key_name}"
    return "\n".join(entries) or None


def tags_shown(instance: Any) -> dict[str, str]:
    """The tags that an instance is told: all of them, or none."""
    shown = instance.metadata_options.instance_metadata_tags == "enabled"
    return {tag["key"]: tag["value"] for tag in instance.get_tags()} if shown else {}


class Tokens:
    """The session tokens that were given out, each good for one instance until it ends."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._tokens: dict[str, tuple[str, float]] = {}

    def issue(self, instance_id: str, seconds: int, now: float) -> str:
        token = secrets.token_urlsafe(40)
        with self._lock:
            self._tokens = {known: owner for known, owner in self._tokens.items() if owner[1] > now}
            self._tokens[token] = (instance_id, now + seconds)
        return token

    def is_valid(self, token: str | None, instance_id: str, now: float) -> bool:
        with self._lock:
            owner, end = self._tokens.get(token or "", ("", 0.0))
        return owner == instance_id and end > now


class Addresses(Protocol):
    """Whoever knows which of moto's instances is at a private address."""

    def at(self, address: str) -> Any | None: ...


class Metadata:
    """The service itself, behind the address to which the firewall redirects."""

    def __init__(self, api: Api, instances: Addresses) -> None:
        self._api = api
        self._instances = instances
        self._tokens = Tokens()
        self._credentials: dict[tuple[str, str], Credentials] = {}
        self._server: ThreadingHTTPServer | None = None

    def start(self) -> None:
        self._server = _Server((str(settings.METADATA_BACKEND), settings.METADATA_PORT), self)
        threading.Thread(target=self._server.serve_forever, name="metadata", daemon=True).start()

    def stop(self) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()

    def hop_limit(self, address: str) -> int | None:
        """How far an answer to this address may travel; None where no instance is."""
        with self._api.lock:
            instance = self._instances.at(address)
            return None if instance is None else int(instance.metadata_options.http_put_response_hop_limit)

    def put(self, address: str, path: str, headers: Message) -> tuple[HTTPStatus, str]:
        """Answer a PUT: only tokens are given out."""
        with self._api.lock:
            instance = self._instances.at(address)
        if instance is None:
            return HTTPStatus.NOT_FOUND, ""
        if instance.metadata_options.http_endpoint == "disabled" or "X-Forwarded-For" in headers:
            return HTTPStatus.FORBIDDEN, ""
        if path != TOKEN_PATH:
            return HTTPStatus.METHOD_NOT_ALLOWED, ""
        seconds = headers.get(TOKEN_TTL_HEADER, "")
        if not seconds.isdecimal() or int(seconds) not in TOKEN_TTL_SECONDS:
            return HTTPStatus.BAD_REQUEST, ""
        return HTTPStatus.OK, self._tokens.issue(instance.id, int(seconds), time.monotonic())

    def get(self, address: str, path: str, headers: Message) -> tuple[HTTPStatus, str]:
        """Answer a GET, given a valid token."""
        with self._api.lock:
            instance = self._instances.at(address)
            if instance is None:
                return HTTPStatus.NOT_FOUND, ""
            if instance.metadata_options.http_endpoint == "disabled":
                return HTTPStatus.FORBIDDEN, ""
            if not self._tokens.is_valid(headers.get(TOKEN_HEADER), instance.id, time.monotonic()):
                return HTTPStatus.UNAUTHORIZED, ""
            content = answer(self._subject(instance), path)
        return (HTTPStatus.NOT_FOUND, "") if content is None else (HTTPStatus.OK, content)

    def _subject(self, instance: Any) -> Subject:
        ec2 = self._api.backends("ec2")
        key = ec2.key_pairs.get(instance.key_name)
        association = ec2.iam_instance_profile_associations.get(instance.id)
        profile = association.iam_instance_profile if association else None
        role = profile.roles[0] if profile and profile.roles else None
        request = request_of(ec2, instance.id)
        return Subject(
            instance_id=instance.id,
            image_id=instance.image_id,
            instance_type=instance.instance_type,
            architecture=instance.architecture,
            availability_zone=instance.placement.availability_zone,
            launched=instance.launch_time.replace(tzinfo=UTC),
            private_address=str(instance.private_ip),
            private_name=instance.private_dns_name,
            public_address=instance.public_ip,
            public_name=instance.public_dns_name,
            lifecycle=instance.lifecycle or "on-demand",
            mac=instance.nics[0].mac_address,
            security_groups=tuple(group.name for group in instance.security_groups),
            key_name=instance.key_name,
            public_key=key.public_key.strip() if key else None,
            profile_arn=profile.arn if profile else None,
            profile_id=profile.id if profile else None,
            role=role.name if role else None,
            credentials=self._role_credentials(instance.id, role.arn) if role else None,
            user_data=instance.user_data or None,
            notice=request.notice.documents() if request and request.notice else {},
            tags=tags_shown(instance),
        )

    def _role_credentials(self, instance_id: str, role_arn: str) -> Credentials:
        """The role's keys; new ones well before the old ones end."""
        now = datetime.now(UTC)
        known = self._credentials.get((instance_id, role_arn))
        if known and known.expires - now > CREDENTIALS_RENEWED_BEFORE_END:
            return known
        issued = issue(self._api, role_arn, instance_id, now)
        self._credentials[instance_id, role_arn] = issued
        return issued


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def __init__(self, address: tuple[str, int], metadata: Metadata) -> None:
        self.metadata = metadata
        super().__init__(address, _Handler)

    def get_request(self) -> tuple[socket.socket, Any]:
        connection, address = super().get_request()
        hop_limit = self.metadata.hop_limit(address[0])
        if hop_limit is not None:
            connection.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, hop_limit)
        return connection, address

    def handle_error(self, request: Any, client_address: Any) -> None:
        log.exception("a metadata request of %s failed", client_address)


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    server_version = "EC2ws"
    protocol_version = "HTTP/1.1"
    timeout = 60

    def do_PUT(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        status, body = self.server.metadata.put(self.client_address[0], self.path, self.headers)
        # AWS's SDK for Go (Docker's awslogs, the ECR credential helper) takes no token without its life.
        life = {TOKEN_TTL_HEADER: self.headers[TOKEN_TTL_HEADER]} if status is HTTPStatus.OK else {}
        self._send(status, body, life)

    def do_GET(self) -> None:
        status, body = self.server.metadata.get(self.client_address[0], self.path, self.headers)
        self._send(status, body)

    def _send(self, status: HTTPStatus, body: str, headers: Mapping[str, str] | None = None) -> None:
        content = body.encode()
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:
        log.debug("%s " + format, self.client_address[0], *args)

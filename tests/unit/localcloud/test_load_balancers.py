# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Load balancers from the control plane to the wire: the real proxy, between network namespaces, asked over TLS."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import socket
import ssl
import subprocess
import threading
import time
import warnings
from collections.abc import Awaitable, Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import boto3
import pytest
from aiohttp import ClientSession, ClientWebSocketResponse, WSMsgType, web
from cryptography import x509

from localcloud import certificates, engine, fixes, machine, operator_machine, settings
from localcloud.api import Api
from localcloud.balancer import place as places
from localcloud.balancer.load_balancers import LoadBalancers
from localcloud.balancer.place import Place as ProxyPlace
from localcloud.certificate_manager import CertificateManager
from localcloud.operator_machine import processes_in
from localcloud.public_addresses import PublicAddresses
from localcloud.resolver import answer
from localcloud.security_groups import Member, SecurityGroups
from localcloud.shell import run
from localcloud.zones import Zones
from tests.namespaces import NAMESPACES, Network, Place, network
from tests.support import wait_until

# A region of its own, so that no other test sees what these leave behind.
REGION = "eu-west-2"
# How long a second of the control plane lasts here.
SECOND = 0.02
NAME = "www.academy.example"
MODERN, OLD = "ELBSecurityPolicy-TLS13-1-2-2021-06", "ELBSecurityPolicy-2016-08"
# RFC 8441 3: by this setting of HTTP/2 a server says that it takes WebSocket in it.
CONNECT_PROTOCOL = b"\x00\x08"


# --- whoever is asked ---------------------------------------------------------------------------------------------


@dataclass
class Application:
    """A target: a server in its namespace that tells who asked, answers its health check as it is told, and echoes."""

    name: str
    place: Place
    health: int = 200
    probes: list[dict[str, str]] = field(default_factory=list)
    stop: Callable[[], None] = field(default=lambda: None)

    def serve(self) -> None:
        listening = self.place.inside(lambda: socket.create_server((str(self.place.address), 8000)))
        loop, ended = asyncio.new_event_loop(), asyncio.Event()
        serving = threading.Thread(target=loop.run_until_complete, args=[self._serve(listening, ended)], daemon=True)
        serving.start()

        def stop() -> None:
            loop.call_soon_threadsafe(ended.set)
            serving.join(20)
            loop.close()

        self.stop = stop

    async def _serve(self, listening: socket.socket, ended: asyncio.Event) -> None:
        application = web.Application()
        application.router.add_get("/socket", self._echo)
        application.router.add_get("/{path:.*}", self._answer)
        runner = web.AppRunner(application, shutdown_timeout=1)
        await runner.setup()
        await web.SockSite(runner, listening).start()
        await ended.wait()
        await runner.cleanup()

    async def _answer(self, request: web.Request) -> web.Response:
        if request.path == "/health":
            self.probes.append({**request.headers, "from": request.remote or ""})
        told = "\n".join(
            [self.name, request.raw_path, *(f"{name}: {value}" for name, value in request.headers.items())]
        )
        return web.Response(text=told, status=self.health if request.path == "/health" else 200)

    async def _echo(self, request: web.Request) -> web.WebSocketResponse:
        """It speaks first, and answers what is a question."""
        channel = web.WebSocketResponse()
        await channel.prepare(request)
        await channel.send_str(f"this is {self.name}")
        async for message in channel:
            if message.type is WSMsgType.BINARY:
                await channel.send_bytes(message.data[::-1])
            elif message.data.endswith("?"):
                await channel.send_str(message.data.upper())
        return channel


@dataclass(frozen=True)
class Answered:
    """What a client was answered."""

    status: int
    headers: Mapping[str, str]
    body: str
    protocol: str | None = None


@dataclass
class Cloud:
    """A control plane, its load balancers between the namespaces, and a client out in the world."""

    net: Network
    api: Api
    zones: Zones
    addresses: PublicAddresses
    authority: certificates.Certificate
    clients: dict[str, Any] = field(default_factory=dict)

    def client(self, service: str) -> Any:
        if service not in self.clients:
            self.clients[service] = boto3.client(  # type: ignore[call-overload]
                service,
                endpoint_url=f"http://{settings.API_HOST}:{self.api.port}",
                region_name=REGION,
                aws_access_key_id=settings.OPERATOR_ACCESS_KEY,
                aws_secret_access_key=settings.OPERATOR_SECRET_KEY,
            )
        return self.clients[service]

    @property
    def elbv2(self) -> Any:
        return self.client("elbv2")

    def resolve(self, name: str) -> list[IPv4Address]:
        found = answer(name, "A", lambda _: None, self.addresses.owner, outside=True, hosted=self.zones.find)
        return [IPv4Address(one.value) for one in found.records if one.type == "A"] if found else []

    def connect(
        self, name: str, port: int, context: ssl.SSLContext | None, server: str, *, source: Place | None = None
    ) -> Any:
        """A connection from the world, or from somebody else, to where a name leads."""
        address = self.resolve(name)[0]

        def attempt() -> socket.socket:
            return socket.create_connection((str(address), port), timeout=20)

        plain = (source or self.net.world).inside(attempt)
        return context.wrap_socket(plain, server_hostname=server) if context else plain

    def trusting(self, *, alpn: tuple[str, ...] = ()) -> ssl.SSLContext:
        context = ssl.create_default_context(cadata=self.authority.certificate.decode())
        if alpn:
            context.set_alpn_protocols(list(alpn))
        return context

    def ask(
        self,
        path: str = "/",
        *,
        name: str = NAME,
        port: int = 443,
        headers: Mapping[str, str] | None = None,
        source: Place | None = None,
    ) -> Answered:
        context = self.trusting() if port == 443 else None
        with contextlib.closing(self.connect(name, port, context, name, source=source)) as connection:
            lines = {"Host": name, "Connection": "close", **(headers or {})}
            text = "".join([f"GET {path} HTTP/1.1\r\n", *(f"{n}: {v}\r\n" for n, v in lines.items()), "\r\n"])
            connection.sendall(text.encode())
            return answered(connection)

    def speaks(self, version: ssl.TLSVersion) -> bool:
        """Whether a client that knows this version of TLS alone is served."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(cadata=self.authority.certificate.decode())
        context.set_ciphers("ALL:@SECLEVEL=0")
        with warnings.catch_warnings():
            # That nobody should speak them any more is what is tried.
            warnings.simplefilter("ignore", DeprecationWarning)
            context.minimum_version = context.maximum_version = version
        try:
            with contextlib.closing(self.connect(NAME, 443, context, NAME)):
                return True
        except (ssl.SSLError, ConnectionError):
            return False

    def health(self, group: str, **asked: Any) -> dict[str, tuple[str, str | None]]:
        found = self.elbv2.describe_target_health(TargetGroupArn=group, **asked)["TargetHealthDescriptions"]
        return {one["Target"]["Id"]: (one["TargetHealth"]["State"], one["TargetHealth"].get("Reason")) for one in found}


def answered(connection: Any) -> Answered:
    said = b""
    with contextlib.suppress(ssl.SSLEOFError):
        while part := connection.recv(65536):
            said += part
    head, _, body = said.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in lines)
    return Answered(int(first.split()[1]), headers, body.decode())


# --- the scene ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def net() -> Iterator[Network]:
    programs = {"haproxy": machine.PROGRAMS["haproxy"]}
    engine.install_packages(engine.missing_packages(programs), print)
    with network(IPv4Address("172.31.5.4"), IPv4Address("172.31.5.5"), IPv4Address("172.31.99.99")) as made:
        # Public addresses lie behind the machine, not in the world.
        run("ip", "-n", made.world.namespace, "route", "add", "203.0.113.16/28", "via", "203.0.113.1")
        yield made


@pytest.fixture(scope="module")
def cloud(net: Network, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    directory: Path = tmp_path_factory.mktemp("lb")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(settings, "REGION", REGION)
        patch.setattr(settings, "API_PORT", 0)
        patch.setattr(settings, "BALANCER_DIR", directory)
        patch.setattr(settings, "LOG_FILE", directory / "log")
        patch.setattr(settings, "OPERATOR_INTERFACE", "world")
        api = Api()
        fixes.install(api)
        addresses, zones, authority = PublicAddresses(api), Zones(api), certificates.create_authority()
        began = time.monotonic()
        manager = CertificateManager(
            api, zones.public, authority=lambda: authority,
            clock=lambda: time.time() + (time.monotonic() - began) / SECOND,
        )  # fmt: skip
        zones.listeners.append(manager.records_changed)
        place = ProxyPlace(NAMESPACES / net.hosts[2].namespace)
        balancers = LoadBalancers(api, zones, place=place, second=SECOND)
        instances = Instances(api)
        groups = SecurityGroups(api, [instances, balancers], load=net.load)
        balancers.listeners.append(groups.changed)
        api.start()
        groups.start()
        balancers.start()
        made = Cloud(net, api, zones, addresses, authority)
        yield made
        balancers.stop()
        groups.stop()
        api.stop()


class Instances:
    """moto's instances, which are namespaces here."""

    def __init__(self, api: Api) -> None:
        self._api = api

    def members(self) -> Iterator[Member]:
        for instance in self._api.backends("ec2").all_instances():
            groups = tuple(group.id for group in instance.security_groups)
            yield Member(IPv4Address(instance.private_ip), groups)


@dataclass
class Scene:
    """An open academy: a load balancer with its certificate in front of two hosts."""

    cloud: Cloud
    applications: list[Application]
    instances: list[str]
    group: str
    balancer: str
    secure: str
    api_group: str
    balancer_group: str
    certificate: str
    shown: dict[str, Any]

    def healthy(self, *numbers: int) -> bool:
        wanted = {self.instances[number]: ("healthy", None) for number in numbers}
        found = self.cloud.health(self.group)
        return wanted.items() <= found.items()

    def answering(self) -> set[str]:
        return {self.cloud.ask().body.split("\n")[0] for _ in range(4)}

    def become(self, **statuses: int) -> None:
        for application in self.applications:
            application.health = statuses.get(application.name, 200)


def permission(port: int, source: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [{"IpProtocol": "tcp", "FromPort": port, "ToPort": port, **source}]


def everybody() -> dict[str, Any]:
    return {"IpRanges": [{"CidrIp": "0.0.0.0/0"}]}


def set_attribute(cloud: Cloud, balancer: str, name: str, value: str) -> None:
    attributes = [{"Key": name, "Value": value}]
    cloud.elbv2.modify_load_balancer_attributes(LoadBalancerArn=balancer, Attributes=attributes)


def issued(cloud: Cloud) -> tuple[str, str]:
    """A certificate, requested and validated by its record in our zone, and that zone."""
    acm, route53 = cloud.client("acm"), cloud.client("route53")
    zone = str(route53.create_hosted_zone(Name="academy.example", CallerReference="test")["HostedZone"]["Id"])
    arn = str(acm.request_certificate(DomainName=NAME, ValidationMethod="DNS")["CertificateArn"])

    def described() -> Any:
        return acm.describe_certificate(CertificateArn=arn)["Certificate"]

    assert described()["Status"] == "PENDING_VALIDATION"
    wait_until(lambda: "ResourceRecord" in described()["DomainValidationOptions"][0], "the record is named", 20)
    record = described()["DomainValidationOptions"][0]["ResourceRecord"]
    record_set = {
        "Name": record["Name"], "Type": "CNAME", "TTL": 60, "ResourceRecords": [{"Value": record["Value"]}]
    }  # fmt: skip
    change(cloud, zone, record_set)
    wait_until(lambda: described()["Status"] == "ISSUED", "it is issued", 20)
    return arn, zone


def change(cloud: Cloud, zone: str, record_set: Mapping[str, Any], action: str = "UPSERT") -> None:
    changes = [{"Action": action, "ResourceRecordSet": record_set}]
    cloud.client("route53").change_resource_record_sets(HostedZoneId=zone, ChangeBatch={"Changes": changes})


@pytest.fixture(scope="module")
def scene(cloud: Cloud) -> Iterator[Scene]:
    ec2, elbv2 = cloud.client("ec2"), cloud.elbv2
    subnets = sorted(ec2.describe_subnets()["Subnets"], key=lambda one: one["AvailabilityZone"])[:2]
    group_ids = [ec2.create_security_group(GroupName=name, Description=name)["GroupId"] for name in ("balancer", "api")]
    for port in (80, 443):
        ec2.authorize_security_group_ingress(GroupId=group_ids[0], IpPermissions=permission(port, everybody()))
    from_balancer = {"UserIdGroupPairs": [{"GroupId": group_ids[0]}]}
    ec2.authorize_security_group_ingress(GroupId=group_ids[1], IpPermissions=permission(8000, from_balancer))
    instances = [
        ec2.run_instances(
            ImageId="ami-12c6146b", InstanceType="t3.micro", MinCount=1, MaxCount=1, SubnetId=subnets[0]["SubnetId"],
            PrivateIpAddress=str(place.address), SecurityGroupIds=[group_ids[1]],
        )["Instances"][0]["InstanceId"]
        for place in cloud.net.hosts[:2]
    ]  # fmt: skip
    applications = [Application(name, place) for name, place in zip(("one", "two"), cloud.net.hosts, strict=False)]
    for application in applications:
        application.serve()
    certificate, zone = issued(cloud)
    created = elbv2.create_load_balancer(
        Name="academy", Subnets=[one["SubnetId"] for one in subnets], SecurityGroups=[group_ids[0]]
    )["LoadBalancers"][0]
    group = elbv2.create_target_group(
        Name="api", Protocol="HTTP", Port=8000, VpcId=subnets[0]["VpcId"], HealthCheckPath="/health",
        HealthCheckIntervalSeconds=10, HealthCheckTimeoutSeconds=5, HealthyThresholdCount=2,
    )["TargetGroups"][0]["TargetGroupArn"]  # fmt: skip
    # It drains for as long as it is sent to, and a little longer.
    delay = {"Key": "deregistration_delay.timeout_seconds", "Value": "20"}
    elbv2.modify_target_group_attributes(TargetGroupArn=group, Attributes=[delay])
    balancer = created["LoadBalancerArn"]
    secure = elbv2.create_listener(
        LoadBalancerArn=balancer, Protocol="HTTPS", Port=443, SslPolicy=MODERN,
        Certificates=[{"CertificateArn": certificate}],
        DefaultActions=[{"Type": "forward", "TargetGroupArn": group}],
    )["Listeners"][0]["ListenerArn"]  # fmt: skip
    set_attribute(cloud, balancer, "idle_timeout.timeout_seconds", "1000")
    redirect = {"Protocol": "HTTPS", "Port": "443", "StatusCode": "HTTP_301"}
    elbv2.create_listener(
        LoadBalancerArn=balancer, Protocol="HTTP", Port=80,
        DefaultActions=[{"Type": "redirect", "RedirectConfig": redirect}],
    )  # fmt: skip
    alias = {
        "DNSName": created["DNSName"], "HostedZoneId": created["CanonicalHostedZoneId"], "EvaluateTargetHealth": False
    }  # fmt: skip
    change(cloud, zone, {"Name": NAME, "Type": "A", "AliasTarget": alias})
    cloud.net.load(operator_machine.ruleset(cloud.addresses.owners()))
    wait_until(
        lambda: elbv2.describe_load_balancers()["LoadBalancers"][0]["State"]["Code"] == "active", "it is active", 20
    )
    elbv2.register_targets(TargetGroupArn=group, Targets=[{"Id": one} for one in instances])
    made = Scene(
        cloud, applications, instances, group, balancer, secure, group_ids[1], group_ids[0], certificate, created
    )
    wait_until(lambda: made.healthy(0, 1), "both are healthy", 30)
    yield made
    for application in applications:
        application.stop()


@pytest.fixture
def opened(scene: Scene) -> Scene:
    """The scene with both hosts registered and healthy, whatever a test before did."""
    scene.become()
    scene.cloud.elbv2.register_targets(TargetGroupArn=scene.group, Targets=[{"Id": one} for one in scene.instances])
    wait_until(lambda: scene.healthy(0, 1), "both are healthy", 30)
    wait_until(lambda: scene.answering() == {"one", "two"}, "both answer", 30)
    return scene


# --- the place ----------------------------------------------------------------------------------------------------


def test_the_place_is_plugged_into_the_bridge_and_leaves_nothing(
    net: Network, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, address = tmp_path / "net", IPv4Address("172.31.99.1")
    monkeypatch.setattr(settings, "BALANCER_DIR", tmp_path)
    monkeypatch.setattr(places, "NAMESPACE", file)
    host, there = net.hosts[0], Place(file.name, address)

    def make() -> subprocess.Popen[bytes]:
        places.make()
        place = ProxyPlace(file)
        place.have([IPv4Address("172.31.99.2"), IPv4Address("172.31.99.3")])
        place.have([address, IPv4Address("172.31.99.3")])
        assert place.addresses() == {address, IPv4Address("172.31.99.3")}
        return subprocess.Popen(place.command("sleep", "60"))

    # As nothing is judged here, but by the bridge.
    net.load(f"add table inet {settings.GROUPS_TABLE}\nflush table inet {settings.GROUPS_TABLE}\n")
    left = net.machine.inside(make)
    try:
        assert host.ping(there) == "open"
    finally:
        net.machine.inside(lambda: reaped(left, places.remove))
        run("umount", str(file))
    assert left.poll() is not None
    interfaces = net.machine.inside(lambda: run("ip", "link", "show"))
    assert settings.BALANCER_INTERFACE not in interfaces
    assert processes_in(file) == []


def reaped(process: subprocess.Popen[bytes], end: Callable[[], object]) -> None:
    """End something while its parent takes note, as the cloud's own process would."""
    waiting = threading.Thread(target=process.wait)
    waiting.start()
    end()
    waiting.join(20)


# --- what a client sees -------------------------------------------------------------------------------------------


def test_whoever_creates_it_again_is_told_of_the_one_there_is(opened: Scene) -> None:
    subnets = [zone["SubnetId"] for zone in opened.shown["AvailabilityZones"]]
    again = opened.cloud.elbv2.create_load_balancer(Name="academy", Subnets=subnets)["LoadBalancers"][0]
    assert (again["LoadBalancerArn"], again["DNSName"]) == (opened.balancer, opened.shown["DNSName"])
    assert len(opened.cloud.elbv2.describe_load_balancers()["LoadBalancers"]) == 1


def test_the_public_name_leads_over_tls_to_both_hosts(opened: Scene) -> None:
    cloud = opened.cloud
    assert len(cloud.resolve(NAME)) == 2
    assert cloud.resolve(NAME) == cloud.resolve(opened.shown["DNSName"])
    found = cloud.ask("/courses?page=2", headers={"X-Forwarded-For": "198.51.100.7"})
    lines = dict(line.lower().split(": ", 1) for line in found.body.split("\n")[2:])
    assert (found.status, found.body.split("\n")[1]) == (200, "/courses?page=2")
    assert lines["x-forwarded-for"] == "198.51.100.7, 203.0.113.2"
    assert (lines["x-forwarded-proto"], lines["x-forwarded-port"]) == ("https", "443")
    assert lines["host"] == NAME
    assert lines["x-amzn-trace-id"].startswith("root=1-")


def test_a_host_reaches_it_by_the_public_name_too_and_comes_from_its_public_address(opened: Scene) -> None:
    host = opened.cloud.net.hosts[1]
    (public,) = [one for one, private in opened.cloud.addresses.owners().items() if private == host.address]
    assert f"x-forwarded-for: {public}\n" in opened.cloud.ask(source=host).body.lower()


def test_plain_http_is_redirected_with_path_and_query(opened: Scene) -> None:
    found = opened.cloud.ask("/a/b?c=d&e=%2F", port=80)
    assert (found.status, found.headers["location"]) == (301, f"https://{NAME}:443/a/b?c=d&e=%2f")
    assert found.headers["server"] == "awselb/2.0"
    assert opened.cloud.ask("/a", port=80).headers["location"] == f"https://{NAME}:443/a"


def test_the_modern_policy_refuses_what_the_old_one_takes(opened: Scene) -> None:
    cloud = opened.cloud
    versions = (ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1, ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3)
    assert [cloud.speaks(version) for version in versions] == [False, False, True, True]
    cloud.elbv2.modify_listener(ListenerArn=opened.secure, SslPolicy=OLD)
    wait_until(lambda: cloud.speaks(ssl.TLSVersion.TLSv1), "TLS 1.0 is taken", 20)
    assert [cloud.speaks(version) for version in versions] == [True, True, True, False]
    cloud.elbv2.modify_listener(ListenerArn=opened.secure, SslPolicy=MODERN)
    wait_until(lambda: not cloud.speaks(ssl.TLSVersion.TLSv1), "TLS 1.0 is refused", 20)


def test_a_client_may_speak_http_2(opened: Scene) -> None:
    context = opened.cloud.trusting(alpn=("h2", "http/1.1"))
    with contextlib.closing(opened.cloud.connect(NAME, 443, context, NAME)) as connection:
        assert connection.selected_alpn_protocol() == "h2"
        # The preface, empty settings, and a request on stream 1: GET, https, / and the authority, in HPACK.
        block = b"\x82\x87\x84" + b"\x41" + bytes([len(NAME)]) + NAME.encode()
        head = len(block).to_bytes(3, "big") + b"\x01\x05\x00\x00\x00\x01" + block
        connection.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\x00\x00\x00\x04\x00\x00\x00\x00\x00" + head)
        frames = connection.makefile("rb")
        told: dict[int, bytes] = {}
        while 0x01 not in told:  # the answer's headers
            header = frames.read(9)
            told.setdefault(header[3], frames.read(int.from_bytes(header[:3], "big")))
    assert told[0x01][0] == 0x88  # :status 200
    settings_told = [told[0x04][start : start + 2] for start in range(0, len(told[0x04]), 6)]
    assert settings_told
    assert CONNECT_PROTOCOL not in settings_told


@contextlib.contextmanager
def idle_timeout(opened: Scene, seconds: int) -> Iterator[None]:
    """With another idle timeout, by which a connection ends that nothing is said on."""
    cloud, name = opened.cloud, "idle_timeout.timeout_seconds"
    set_attribute(cloud, opened.balancer, name, str(seconds))
    try:

        def ends() -> bool:
            with contextlib.closing(cloud.connect(NAME, 443, cloud.trusting(), NAME)) as connection:
                connection.settimeout(2)
                connection.sendall(f"GET / HTTP/1.1\r\nHost: {NAME}\r\n\r\n".encode())
                try:
                    while connection.recv(4096):
                        pass
                except TimeoutError:
                    return False
                return True

        wait_until(ends, "a connection that idles ends", 30)
        yield
    finally:
        set_attribute(cloud, opened.balancer, name, "1000")


async def converse(cloud: Cloud, talk: Callable[[ClientWebSocketResponse], Awaitable[None]]) -> None:
    """With a target by WebSocket, from the world through 443."""
    address = f"https://{cloud.resolve(NAME)[0]}/socket"
    async with (
        ClientSession(headers={"Host": NAME}) as session,
        session.ws_connect(address, ssl=cloud.trusting(), server_hostname=NAME) as channel,
    ):
        assert await channel.receive_str() in ("this is one", "this is two")
        await talk(channel)


def test_a_websocket_carries_frames_both_ways_and_ends_when_neither_side_sends(opened: Scene) -> None:
    cloud, idle = opened.cloud, 50 * SECOND

    async def talk(channel: ClientWebSocketResponse) -> None:
        await channel.send_str("ping?")
        assert await channel.receive_str() == "PING?"
        large = bytes(range(256)) * 1024
        await channel.send_bytes(large)
        assert await channel.receive_bytes() == large[::-1]
        # One side is enough, and for longer than the timeout.
        for _ in range(3):
            await asyncio.sleep(idle * 0.6)
            await channel.send_str("here I am")
        await channel.send_str("and you?")
        assert await channel.receive_str() == "AND YOU?"
        began = time.monotonic()
        ended = await channel.receive(timeout=10 * idle)
        assert ended.type is not WSMsgType.TEXT
        assert channel.closed
        assert time.monotonic() - began > idle * 0.8

    with idle_timeout(opened, 50):
        cloud.net.world.inside(lambda: asyncio.run(converse(cloud, talk)))


# --- what becomes of targets --------------------------------------------------------------------------------------


def test_probes_come_from_the_load_balancer_and_name_the_target(opened: Scene) -> None:
    wait_until(lambda: all(application.probes for application in opened.applications), "both are probed", 20)
    interfaces = opened.cloud.client("ec2").describe_network_interfaces()["NetworkInterfaces"]
    own = {one["PrivateIpAddress"] for one in interfaces if one["Description"].startswith("ELB app/academy/")}
    for application in opened.applications:
        probe = application.probes[-1]
        assert probe["from"] in own
        assert (probe["Host"], probe["User-Agent"]) == (f"{application.place.address}:8000", "ELB-HealthChecker/2.0")


def test_an_unhealthy_target_gets_nothing_unless_all_are(opened: Scene) -> None:
    opened.become(one=400)
    mismatch = ("unhealthy", "Target.ResponseCodeMismatch")
    wait_until(lambda: opened.cloud.health(opened.group)[opened.instances[0]] == mismatch, "one is unhealthy", 30)
    wait_until(lambda: opened.answering() == {"two"}, "two answers alone", 30)
    opened.become(one=400, two=503)
    wait_until(lambda: set(opened.cloud.health(opened.group).values()) == {mismatch}, "both are unhealthy", 30)
    wait_until(lambda: opened.answering() == {"one", "two"}, "it fails open", 30)


def test_a_deregistered_target_drains_and_is_gone(opened: Scene) -> None:
    cloud, (one, two) = opened.cloud, opened.instances
    cloud.elbv2.deregister_targets(TargetGroupArn=opened.group, Targets=[{"Id": one}])
    assert cloud.health(opened.group)[one] == ("draining", "Target.DeregistrationInProgress")
    wait_until(lambda: opened.answering() == {"two"}, "two answers alone", 30)
    wait_until(lambda: set(cloud.health(opened.group)) == {two}, "one is gone", 30)
    assert cloud.health(opened.group, Targets=[{"Id": one}]) == {one: ("unused", "Target.NotRegistered")}


def test_a_stopped_host_is_unused_and_comes_back(opened: Scene) -> None:
    ec2, one = opened.cloud.client("ec2"), opened.instances[0]
    ec2.stop_instances(InstanceIds=[one])
    assert opened.cloud.health(opened.group)[one] == ("unused", "Target.InvalidState")
    wait_until(lambda: opened.answering() == {"two"}, "two answers alone", 30)
    ec2.start_instances(InstanceIds=[one])
    wait_until(lambda: opened.healthy(0, 1), "both are healthy", 30)


# --- who may reach whom -------------------------------------------------------------------------------------------


def test_security_groups_hold_on_both_sides(opened: Scene) -> None:
    cloud = opened.cloud
    host, address = cloud.net.hosts[0], cloud.resolve(NAME)[0]
    balancer = Place(cloud.net.hosts[2].namespace, address)
    assert cloud.net.world.connect(balancer, 443) == "open"
    assert cloud.net.world.connect(balancer, 8000) == "silent"
    assert cloud.net.hosts[1].connect(host, 8000) == "silent"
    ec2, rule = cloud.client("ec2"), permission(8000, {"UserIdGroupPairs": [{"GroupId": opened.balancer_group}]})
    ec2.revoke_security_group_ingress(GroupId=opened.api_group, IpPermissions=rule)
    timed_out = {("unhealthy", "Target.Timeout")}
    wait_until(lambda: set(cloud.health(opened.group).values()) == timed_out, "no probe arrives", 30)
    ec2.authorize_security_group_ingress(GroupId=opened.api_group, IpPermissions=rule)
    wait_until(lambda: opened.healthy(0, 1), "both are healthy", 30)


# --- what it answers itself, and how it changes -------------------------------------------------------------------


def test_it_answers_in_awss_words_where_no_target_does(opened: Scene) -> None:
    cloud = opened.cloud
    elbv2, (one, two) = cloud.elbv2, opened.instances
    closed = [{"Id": one, "Port": 8001}]
    elbv2.deregister_targets(TargetGroupArn=opened.group, Targets=[{"Id": one}, {"Id": two}])
    wait_until(lambda: cloud.ask().status == 503, "nobody is registered", 30)
    assert cloud.ask().headers["server"] == "awselb/2.0"
    # Nobody listens there, which the host says; or its group lets nobody in, and it says nothing.
    ec2, rule = cloud.client("ec2"), permission(8001, {"UserIdGroupPairs": [{"GroupId": opened.balancer_group}]})
    ec2.authorize_security_group_ingress(GroupId=opened.api_group, IpPermissions=rule)
    elbv2.register_targets(TargetGroupArn=opened.group, Targets=closed)
    refused = ("unhealthy", "Target.FailedHealthChecks")
    wait_until(lambda: cloud.health(opened.group).get(one) == refused, "nobody listens", 30)
    wait_until(lambda: cloud.ask().status == 502, "the connection is refused", 30)
    ec2.revoke_security_group_ingress(GroupId=opened.api_group, IpPermissions=rule)
    wait_until(lambda: cloud.ask().status == 504, "the connection times out", 30)
    assert cloud.ask().headers["server"] == "awselb/2.0"
    elbv2.deregister_targets(TargetGroupArn=opened.group, Targets=[*closed, {"Id": "i-0123456789abcdef0"}])
    assert cloud.health(opened.group)[one][0] == "draining"


def test_a_change_of_a_listener_cuts_nobody_off(opened: Scene) -> None:
    cloud, context = opened.cloud, opened.cloud.trusting()
    with contextlib.closing(cloud.connect(NAME, 443, context, NAME)) as connection:

        def ask() -> int:
            connection.sendall(f"GET / HTTP/1.1\r\nHost: {NAME}\r\n\r\n".encode())
            found = http.client.HTTPResponse(connection)
            found.begin()
            found.read()
            return found.status

        assert ask() == 200
        conditions = [{"Field": "path-pattern", "Values": ["/closed/*"]}]
        fixed = {"StatusCode": "503", "ContentType": "text/plain", "MessageBody": "100 %: it's closed\n"}
        elbv2 = cloud.elbv2
        rule = elbv2.create_rule(
            ListenerArn=opened.secure, Priority=1, Conditions=conditions,
            Actions=[{"Type": "fixed-response", "FixedResponseConfig": fixed}],
        )["Rules"][0]["RuleArn"]  # fmt: skip
        wait_until(lambda: cloud.ask("/closed/today").body == fixed["MessageBody"], "the rule acts", 30)
        assert ask() == 200
    assert cloud.ask("/closed").status == 200
    elbv2.delete_rule(RuleArn=rule)
    wait_until(lambda: cloud.ask("/closed/today").status == 200, "the rule is gone", 30)


@contextlib.contextmanager
def constant_requests(cloud: Cloud) -> Iterator[list[int]]:
    """Three clients that ask all the time, on a connection for as long as the other side keeps it, as browsers do."""
    ended, statuses = threading.Event(), list[int]()

    def ask() -> None:
        connection = None
        while not ended.is_set():
            if connection is None:
                connection = cloud.connect(NAME, 443, cloud.trusting(), NAME)
            connection.sendall(f"GET / HTTP/1.1\r\nHost: {NAME}\r\n\r\n".encode())
            found = http.client.HTTPResponse(connection)
            found.begin()
            found.read()
            statuses.append(found.status)
            if found.will_close:
                connection.close()
                connection = None
        if connection is not None:
            connection.close()

    with ThreadPoolExecutor(3) as pool:
        clients = [pool.submit(ask) for _ in range(3)]
        try:
            yield statuses
        finally:
            ended.set()
        for client in clients:
            client.result(30)


def has_grown(statuses: list[int], beyond: int) -> bool:
    return len(statuses) > beyond


def test_no_request_is_lost_while_hosts_leave_stop_and_come_back(opened: Scene) -> None:
    cloud, ec2 = opened.cloud, opened.cloud.client("ec2")
    with constant_requests(cloud) as statuses:
        for instance, application in zip(opened.instances, opened.applications, strict=True):
            targets = [{"Id": instance}]
            cloud.elbv2.deregister_targets(TargetGroupArn=opened.group, Targets=targets)
            wait_until(lambda: len(cloud.health(opened.group)) == 1, "it is gone", 30)
            ec2.stop_instances(InstanceIds=[instance])
            application.stop()
            wait_until(partial(has_grown, statuses, len(statuses) + 20), "the other one answers", 30)
            application.serve()
            ec2.start_instances(InstanceIds=[instance])
            cloud.elbv2.register_targets(TargetGroupArn=opened.group, Targets=targets)
            wait_until(lambda: opened.healthy(0, 1), "both are healthy", 30)
    assert set(statuses) == {200}


def test_no_request_is_lost_while_the_certificate_is_replaced(opened: Scene) -> None:
    cloud, acm = opened.cloud, opened.cloud.client("acm")

    def serial(arn: str) -> str:
        """Of one that is issued."""
        return str(acm.describe_certificate(CertificateArn=arn)["Certificate"].get("Serial", ""))

    def served() -> str:
        """Of the one that a new client is shown."""
        with contextlib.closing(cloud.connect(NAME, 443, cloud.trusting(), NAME)) as connection:
            shown = x509.load_der_x509_certificate(connection.getpeercert(binary_form=True))
            return str(shown.serial_number)

    with constant_requests(cloud) as statuses:
        assert served() == serial(opened.certificate)
        # Of the same name, whose record stands.
        asked = {"DomainName": NAME, "ValidationMethod": "DNS", "IdempotencyToken": "another"}
        successor = str(acm.request_certificate(**asked)["CertificateArn"])
        wait_until(lambda: serial(successor) != "", "it is issued", 20)
        cloud.elbv2.modify_listener(ListenerArn=opened.secure, Certificates=[{"CertificateArn": successor}])
        wait_until(lambda: served() == serial(successor), "a client is shown the successor", 30)
    assert set(statuses) == {200}
    assert serial(successor) != serial(opened.certificate)


def test_it_goes_with_all_that_is_its_own_and_its_targets_can_be_given_to_another(opened: Scene) -> None:
    """The last one: afterwards there is no load balancer any more."""
    cloud, elbv2 = opened.cloud, opened.cloud.elbv2
    place = ProxyPlace(NAMESPACES / cloud.net.hosts[2].namespace)
    before, name = place.addresses(), str(opened.shown["DNSName"])
    assert proxies(cloud)
    assert {cloud.addresses.owner(address) for address in cloud.resolve(name)} == before
    elbv2.delete_load_balancer(LoadBalancerArn=opened.balancer)
    assert cloud.resolve(name) == []
    assert before.isdisjoint(cloud.addresses.owners().values())
    assert cloud.health(opened.group)[opened.instances[0]] == ("unused", "Target.NotInUse")
    assert elbv2.describe_target_groups()["TargetGroups"][0]["LoadBalancerArns"] == []
    wait_until(lambda: not place.addresses(), "its addresses are gone", 30)
    wait_until(lambda: not proxies(cloud), "so is its proxy", 30)


def proxies(cloud: Cloud) -> list[int]:
    return processes_in(NAMESPACES / cloud.net.hosts[2].namespace)

# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The application load balancers: elbv2 as moto keeps it, made true by a proxy, probes and network interfaces.

A call changes moto's state, and at once what follows from it in the control plane: interfaces with their addresses, who
is registered. One thread brings the proxy to that state, and another one probes the targets, from the load balancers'
own addresses; both look again by themselves, because time and hosts change things without a call.
"""

from __future__ import annotations

import http.client
import logging
import ssl
import threading
import time
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Address
from typing import Any, Final

from localcloud import settings
from localcloud.api import Api
from localcloud.balancer import place as places
from localcloud.balancer import targets as life
from localcloud.balancer.config import Server, Use, placed
from localcloud.balancer.place import Place
from localcloud.balancer.proxy import Proxy, ProxyError
from localcloud.balancer.state import Balancer, read_balancer, read_group
from localcloud.balancer.targets import Checks, Health, Situation, Target, Verdict
from localcloud.security_groups import Member
from localcloud.shell import CommandError
from localcloud.wire import ApiError, Call
from localcloud.zones import Zones

log = logging.getLogger(__name__)

SERVICES: Final = ("acm", "ec2", "elbv2")
# docs.aws.amazon.com/general/latest/gr/elb.html: what an alias names for an application load balancer of our region.
HOSTED_ZONE_ID: Final = "ZWKZPGTI48KDX"
LOOK_SECONDS: Final = 1.0  # hosts stop without a call
PROBERS: Final = 8
HEALTH_CHECKER: Final = "ELB-HealthChecker/2.0"
END_SECONDS: Final = 10.0


# --- pure decisions -----------------------------------------------------------------------------------------------


def dns_name(name: str, arn: str, scheme: str, region: str) -> str:
    """The name that a load balancer gets: another one for each that was ever made."""
    prefix = "internal-" if scheme == "internal" else ""
    return f"{prefix}{name}-{zlib.crc32(arn.encode()) + 10**9}.{region}.elb.{settings.AWS_DOMAIN}".lower()


def interface_description(arn: str) -> str:
    """What the interfaces of a load balancer are called: ELB app/NAME/ID."""
    return f"ELB {arn.partition(':loadbalancer/')[2]}"


def probe_host(address: str, port: int, protocol: str) -> str:
    """The Host header of a probe: the target's address, with the port where that is not the usual one (facts 7.5)."""
    return address if port == {"HTTP": 80, "HTTPS": 443}.get(protocol) else f"{address}:{port}"


def read_checks(group: Any) -> Checks:
    """How moto's target group has its targets probed."""
    return Checks(
        protocol=str(group.health_check_protocol or "HTTP"),
        port=str(group.health_check_port or "traffic-port"),
        path=group.health_check_path or "/",
        interval=float(group.health_check_interval_seconds or 30),
        timeout=float(group.health_check_timeout_seconds or 5),
        healthy_threshold=int(group.healthy_threshold_count or 5),
        unhealthy_threshold=int(group.unhealthy_threshold_count or 2),
        codes=(getattr(group, "matcher", None) or {}).get("HttpCode") or "200",
        enabled=bool(group.health_check_enabled),
    )


def probe(address: str, port: int, checks: Checks, source: IPv4Address, timeout: float) -> Verdict:
    """Ask a target as a load balancer does; runs where the load balancers are."""
    origin = (str(source), 0)
    if checks.protocol == "HTTPS":
        # As an ALB, which does not ask whose certificate that is.
        context = ssl._create_unverified_context()
        connection: http.client.HTTPConnection = http.client.HTTPSConnection(
            address, port, timeout=timeout, source_address=origin, context=context
        )
    else:
        connection = http.client.HTTPConnection(address, port, timeout=timeout, source_address=origin)
    headers = {
        "Host": probe_host(address, port, checks.protocol),
        "User-Agent": HEALTH_CHECKER,
        "Accept-Encoding": "gzip, compressed",
        "Connection": "close",
    }
    try:
        connection.request("GET", checks.path, headers=headers)
        return Verdict(status=connection.getresponse().status)
    except TimeoutError:
        return Verdict(timed_out=True)
    except (OSError, http.client.HTTPException):
        return Verdict()
    finally:
        connection.close()


# --- the component ------------------------------------------------------------------------------------------------


@dataclass
class Watched:
    """A target group's targets, and where the proxy has them."""

    targets: tuple[Target, ...] = ()
    places: Mapping[str, int] = field(default_factory=dict)
    asked: set[str] = field(default_factory=set)  # whom a probe is under way to


class LoadBalancers:
    """All application load balancers. What is theirs in moto is changed under the API's lock alone."""

    def __init__(
        self,
        api: Api,
        zones: Zones,
        *,
        place: Place | None = None,
        second: float = 1.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._api = api
        self._zones = zones
        self._own_place = place is None
        self._place = place or Place()
        self._second = second  # how long one of the control plane's seconds lasts; tests have little time
        self._clock = clock
        self._proxy = Proxy(self._place, settings.BALANCER_DIR, settings.LOG_FILE, second)
        self._interfaces: dict[str, dict[str, Any]] = {}  # load balancer -> subnet -> moto's interface
        self._groups: dict[str, Watched] = {}
        self._addresses: set[IPv4Address] = set()  # which the place has
        self._changed = threading.Event()
        self._ended = threading.Event()
        self._threads: list[threading.Thread] = []
        self._probers: ThreadPoolExecutor | None = None
        # Who hears that an address is another one's now, which not only calls bring about.
        self.listeners: list[Callable[[], None]] = []
        hooks = api.hooks
        hooks.register("elbv2", "CreateLoadBalancer", before=self._refuse_elsewhere, after=self._created)
        hooks.register("elbv2", "DeregisterTargets", instead=self._deregister)
        hooks.register("elbv2", "DescribeTargetHealth", instead=self._describe_health)
        hooks.register("elbv2", "SetSubnets", before=self._refuse_elsewhere)
        api.listeners.append(self._hear)

    # --- the component ------------------------------------------------------------------------------------------

    def start(self) -> None:
        if self._own_place:
            places.make()
        self._probers = ThreadPoolExecutor(PROBERS, thread_name_prefix="probe", initializer=self._place.enter)
        self._threads = [threading.Thread(target=self._follow, name="load balancers", daemon=True)]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._ended.set()
        self.changed()
        for thread in self._threads:
            thread.join(END_SECONDS)
        if self._probers:
            self._probers.shutdown(wait=False, cancel_futures=True)
        self._proxy.stop()

    def changed(self) -> None:
        """Say that something may be otherwise now."""
        self._changed.set()

    def members(self) -> Iterator[Member]:
        """Every address of a load balancer with its security groups. Hold the API's lock."""
        balancers = self._api.backends("elbv2").load_balancers
        for arn, interfaces in self._interfaces.items():
            if arn in balancers:
                groups = tuple(balancers[arn].security_groups or ())
                for interface in interfaces.values():
                    yield Member(IPv4Address(interface.private_ip_address), groups)

    # --- calls; they come under the API's lock --------------------------------------------------------------------

    def _refuse_elsewhere(self, call: Call) -> None:
        """The bridge is the default VPC, and nowhere else."""
        named = [*(call.parameters.get("Subnets") or [])]
        named += [mapping.get("SubnetId") for mapping in call.parameters.get("SubnetMappings") or []]
        for subnet in self._api.backends("ec2").describe_subnets():
            if subnet.id in named and not subnet.cidr.subnet_of(settings.VPC_CIDR):
                raise ApiError(
                    "InvalidSubnet",
                    f"The embedded cloud has load balancers in {settings.VPC_CIDR} only, the default VPC; the subnet "
                    f"{subnet.id} is {subnet.cidr_block}.",
                )

    def _created(self, call: Call, result: dict[str, Any]) -> Mapping[str, Any]:
        shown = result["LoadBalancers"][0]
        balancer = self._api.backends("elbv2").load_balancers[shown["LoadBalancerArn"]]
        if balancer.type != "application":
            return result
        balancer.dns_name = dns_name(balancer.name, balancer.arn, balancer.scheme, settings.REGION)
        balancer.canonical_hosted_zone_id = HOSTED_ZONE_ID
        balancer.activate = lambda: None  # it is active when the proxy has its addresses
        if not balancer.security_groups:
            balancer.security_groups = [self._api.backends("ec2").get_default_security_group(balancer.vpc_id).id]
        names = {
            "DNSName": balancer.dns_name,
            "CanonicalHostedZoneId": HOSTED_ZONE_ID,
            "SecurityGroups": balancer.security_groups,
        }
        return {"LoadBalancers": [{**shown, **names}]}

    def _deregister(self, call: Call) -> Mapping[str, Any]:
        """Who is not registered is no error (botocore elbv2 DeregisterTargets), as it is to moto."""
        group = self._api.backends("elbv2").target_groups.get(call.parameters["TargetGroupArn"])
        if group is None:
            raise ApiError("TargetGroupNotFound", "One or more target groups not found")
        for target in call.parameters.get("Targets") or []:
            known = group.targets.get(target["Id"])
            if known is not None and int(target.get("Port") or known["Port"]) == int(known["Port"]):
                group.deregister([target])
        return {}

    def _hear(self, call: Call) -> None:
        if call.service in SERVICES and call.writes:
            self._keep_interfaces()
            self._keep_targets()
            self.changed()

    def _keep_interfaces(self) -> None:
        """One interface in each subnet of each load balancer, and none of a load balancer that is gone."""
        ec2, balancers = self._api.backends("ec2"), self._api.backends("elbv2").load_balancers
        changed = False
        for arn in sorted({*self._interfaces, *balancers}):
            balancer = balancers.get(arn)
            if balancer is not None and balancer.type != "application":
                continue
            there = self._interfaces.setdefault(arn, {})
            wanted = {subnet.id: subnet for subnet in balancer.subnets} if balancer else {}
            for gone in there.keys() - wanted.keys():
                interface = there.pop(gone)
                interface.public_ip = None  # so that whoever follows public addresses hears of it
                interface.delete()
                changed = True
            for subnet_id in sorted(wanted.keys() - there.keys()):
                there[subnet_id] = self._make_interface(ec2, balancer, wanted[subnet_id])
                changed = True
            for interface in there.values():
                groups = [ec2.get_security_group_from_id(group) for group in balancer.security_groups or []]
                interface._group_set = [group for group in groups if group]
            if not there:
                del self._interfaces[arn]
        if changed:
            self._tell_names()
            for listener in self.listeners:
                listener()

    def _make_interface(self, ec2: Any, balancer: Any, subnet: Any) -> Any:
        interface = ec2.create_network_interface(
            subnet,
            subnet.get_available_subnet_ip(None),
            group_ids=[],
            description=interface_description(balancer.arn),
            public_ip_auto_assign=balancer.scheme != "internal",
        )
        interface.requester_managed, interface.status = True, "in-use"
        interface.interface_type, interface.requester_id = "interface", "amazon-elb"
        return interface

    def _tell_names(self) -> None:
        """A load balancer's name is its public addresses, everywhere; an internal one's are private."""
        balancers = self._api.backends("elbv2").load_balancers
        self._zones.have_balancers(
            {
                balancers[arn].dns_name: tuple(
                    sorted(IPv4Address(one.public_ip or one.private_ip_address) for one in interfaces.values())
                )
                for arn, interfaces in self._interfaces.items()
                if arn in balancers
            }
        )

    def _keep_targets(self) -> None:
        """Whoever is registered in moto is watched; whoever was drains. Hold the API's lock."""
        ec2, groups = self._api.backends("ec2"), self._api.backends("elbv2").target_groups
        for arn in [arn for arn in self._groups if arn not in groups]:
            del self._groups[arn]
        for arn, group in groups.items():
            if group.target_type not in ("instance", "ip"):
                continue
            instances = {target: ec2.get_instance_by_id(target) for target in group.targets if target.startswith("i-")}
            # Terminated instances are deregistered.
            group.deregister_terminated_instances(
                [target for target, one in instances.items() if one is None or one.state == "terminated"]
            )
            wanted = [(target["Id"], int(target["Port"])) for target in group.targets.values()]
            watched = self._groups.setdefault(arn, Watched())
            delay = read_group(group).deregistration_delay * self._second
            watched.targets = life.registered(watched.targets, wanted, self._clock(), delay)

    def _describe_health(self, call: Call) -> Mapping[str, Any]:
        group = self._api.backends("elbv2").target_groups.get(call.parameters["TargetGroupArn"])
        if group is None:
            raise ApiError("TargetGroupNotFound", "One or more target groups not found")
        self._keep_targets()
        known = {target.key: (target, one) for target, one in self._health(group)}
        asked = [
            (target["Id"], int(target["Port"]) if target.get("Port") else None)
            for target in call.parameters.get("Targets") or []
        ]
        shown = []
        for target, one in known.values():
            if not asked or (target.id, None) in asked or (target.id, target.port) in asked:
                shown.append(_description(group, target.id, target.port, one))
        for identifier, port in asked:
            if not any(target.id == identifier and port in (None, target.port) for target, _ in known.values()):
                shown.append(_description(group, identifier, port or int(group.port), life.NOT_REGISTERED))
        return {"TargetHealthDescriptions": shown}

    # --- what is so now; hold the API's lock --------------------------------------------------------------------

    def _health(self, group: Any) -> list[tuple[Target, Health]]:
        watched, checks = self._groups.get(group.arn, Watched()), read_checks(group)
        users = self._users(group)
        zones = {subnet.availability_zone for balancer in users for subnet in balancer.subnets}
        return [
            (target, life.health(target, self._situation(target, zones), checks, in_use=bool(users)))
            for target in watched.targets
        ]

    def _users(self, group: Any) -> list[Any]:
        """The load balancers whose listeners send something to a group."""
        balancers = self._api.backends("elbv2").load_balancers
        return [balancers[arn] for arn in group.load_balancer_arns if arn in balancers]

    def _situation(self, target: Target, zones: Iterable[str]) -> Situation:
        if not target.id.startswith("i-"):
            return Situation(target.id, running=True, zone_enabled=True)
        instance = self._api.backends("ec2").get_instance_by_id(target.id)
        if instance is None:
            return Situation(None, running=False, zone_enabled=False)
        zone = instance._placement.zone
        # One that is about to stop still answers, and says by its probes when it does not.
        running = instance.state in ("running", "stopping", "shutting-down")
        return Situation(str(instance.private_ip), running, zone in zones)

    def _snapshot(self) -> tuple[list[Balancer], dict[str, list[Server]]]:
        """Everything that the proxy is told."""
        elbv2, certificates = self._api.backends("elbv2"), self._api.backends("acm")._certificates
        balancers = [
            read_balancer(
                elbv2.load_balancers[arn],
                sorted(IPv4Address(one.private_ip_address) for one in interfaces.values()),
                elbv2.target_groups,
                certificates,
            )
            for arn, interfaces in self._interfaces.items()
            if arn in elbv2.load_balancers
        ]
        used = {group.arn for balancer in balancers for group in balancer.groups}
        return balancers, {arn: self._servers(elbv2.target_groups[arn]) for arn in sorted(used)}

    def _servers(self, group: Any) -> list[Server]:
        watched = self._groups.setdefault(group.arn, Watched())
        health = {target.key: (target, one) for target, one in self._health(group)}
        uses = life.uses(health, self._clock(), self._lag)
        addresses = {key: self._situation(target, ()).address for key, (target, _) in health.items()}
        watched.places = placed(watched.places, [key for key, address in addresses.items() if address])
        return [
            Server(place, IPv4Address(addresses[key]), health[key][0].port, uses.get(key, Use.OFF))
            for key, place in sorted(watched.places.items(), key=lambda one: one[1])
        ]

    @property
    def _lag(self) -> float:
        return life.DEREGISTRATION_LAG_SECONDS * self._second

    # --- the thread ---------------------------------------------------------------------------------------------

    def _follow(self) -> None:
        while True:
            with self._api.lock:
                wait = self._seconds_until_due()
            self._changed.wait(wait)
            self._changed.clear()
            if self._ended.is_set():
                return
            try:
                self._act()
            except (CommandError, ProxyError, OSError):
                log.exception("the load balancers did not become what they shall be; they stay as they were")
            except Exception:
                log.exception("the load balancers")

    def _seconds_until_due(self) -> float | None:
        """How long nothing happens by itself; None where there is nothing to look after."""
        if not any(watched.targets for watched in self._groups.values()):
            return None
        now, looks = self._clock(), [LOOK_SECONDS * self._second]
        groups = self._api.backends("elbv2").target_groups
        for arn, watched in self._groups.items():
            idle = [target for target in watched.targets if target.key not in watched.asked]
            delay = read_group(groups[arn]).deregistration_delay * self._second if arn in groups else 0.0
            due = life.next_look(idle, now, delay, self._lag)
            if due is not None:
                looks.append(due - now)
        return max(0.01, min(looks))

    def _act(self) -> None:
        with self._api.lock:
            self._keep_targets()
            self._probe_due()
            balancers, servers = self._snapshot()
        addresses = {address for balancer in balancers for address in balancer.addresses}
        if addresses - self._addresses:
            self._place.have(self._addresses | addresses)  # those that are gone serve until the proxy knows
            self._addresses |= addresses
        if balancers or self._proxy.has_begun:
            self._proxy.apply(balancers, servers)
        if addresses != self._addresses:
            self._place.have(addresses)
            self._addresses = addresses
        with self._api.lock:
            for balancer in balancers:
                known = self._api.backends("elbv2").load_balancers.get(balancer.arn)
                if known is not None and balancer.addresses:
                    known.state = "active"

    def _probe_due(self) -> None:
        """Send a probe to each target that is due. Hold the API's lock."""
        for arn, watched in self._groups.items():
            group = self._api.backends("elbv2").target_groups.get(arn)
            users = self._users(group) if group is not None else []
            checks = read_checks(group) if group is not None else Checks(enabled=False)
            zones = {subnet.availability_zone for balancer in users for subnet in balancer.subnets}
            watched.targets = tuple(
                self._probed(arn, target, self._situation(target, zones), checks, users) for target in watched.targets
            )

    def _probed(self, arn: str, target: Target, situation: Situation, checks: Checks, users: Sequence[Any]) -> Target:
        """A target with a probe under way, if it is due."""
        now, asked = self._clock(), self._groups[arn].asked
        if target.left_at is not None:
            return target
        if not (users and checks.enabled and situation.running and situation.zone_enabled):
            # Whoever comes back begins anew.
            return replace(target, checked=life.Checked(), due=now + LOOK_SECONDS * self._second)
        if target.due > now or target.key in asked:
            return target
        asked.add(target.key)
        self._send_probe(arn, target, situation, checks, users[0].arn)
        return replace(target, due=now + checks.interval * self._second)

    def _send_probe(self, arn: str, target: Target, situation: Situation, checks: Checks, balancer: str) -> None:
        sources = sorted(IPv4Address(one.private_ip_address) for one in self._interfaces.get(balancer, {}).values())
        if self._probers is None or not sources or situation.address is None:
            self._groups[arn].asked.discard(target.key)
            return
        port = target.port if checks.port == "traffic-port" else int(checks.port)
        address, timeout = situation.address, checks.timeout * max(self._second, 0.1)

        def finished(future: Future[Verdict]) -> None:
            if future.cancelled():
                return
            failed = future.exception()
            if failed is not None:
                log.warning("cannot probe %s: %s", target.key, failed)
            self._note(arn, target.key, checks, future.result() if failed is None else Verdict())

        # Each node of a load balancer probes in life; here they take turns.
        source = sources[int(self._clock() / max(0.01, checks.interval * self._second)) % len(sources)]
        self._probers.submit(probe, address, port, checks, source, timeout).add_done_callback(finished)

    def _note(self, arn: str, key: str, checks: Checks, verdict: Verdict) -> None:
        """A probe came back."""
        with self._api.lock:
            watched = self._groups.get(arn)
            if watched is None:
                return
            watched.asked.discard(key)
            watched.targets = tuple(
                replace(target, checked=target.checked.after(checks, verdict)) if target.key == key else target
                for target in watched.targets
            )
        self.changed()


def _description(group: Any, identifier: str, port: int, one: Health) -> dict[str, Any]:
    checked = str(port) if group.health_check_port in (None, "traffic-port") else str(group.health_check_port)
    return {
        "Target": {"Id": identifier, "Port": port},
        "HealthCheckPort": checked,
        "TargetHealth": one.shown(),
    }

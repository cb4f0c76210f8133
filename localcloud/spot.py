# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Spot: the request behind every Spot instance, and its interruption on order.

moto takes no notice of how a launch asks for Spot. Here every such launch makes a request, whose state follows from
its instance's as at AWS. Nobody but the operator of the cloud takes capacity away and gives it back:

    POST /_localcloud/spot/<instance id>/interrupt?seconds=120
    POST /_localcloud/spot/<instance id>/over
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from http import HTTPStatus
from typing import Any, Protocol
from urllib.parse import parse_qs

from moto.ec2.models.core import TaggedEC2Resource
from moto.ec2.models.spot_requests import LaunchSpecification
from moto.ec2.utils import random_spot_request_id

from localcloud import settings
from localcloud.api import Api
from localcloud.fixes import launch_data, template_data
from localcloud.wire import ApiError, Call

log = logging.getLogger(__name__)

NOTICE_SECONDS = 120
# How long EC2 takes to launch the next instance of a persistent request.
RELAUNCH_SECONDS = 5.0
# How long a request stays active after its instance has stopped. EC2 says no number.
SETTLE_SECONDS = 5.0
REQUEST_TAGS = "spot-instances-request"
PERSISTENT, ONE_TIME = "persistent", "one-time"
TERMINATE = "terminate"
GONE = ("shutting-down", "terminated")
MESSAGES: Mapping[str, str] = {
    "fulfilled": "Your spot request is fulfilled.",
    "instance-stopped-by-user": "Your instance was stopped by the user.",
    "instance-stopped-no-capacity": "Your instance was stopped because there is no longer Spot capacity available.",
    "marked-for-stop": "Your instance is marked for stop.",
    "pending-evaluation": "Your Spot request has been submitted for review, and is pending evaluation.",
    "request-canceled-and-instance-running": "Your Spot request is canceled, but your instance is still running.",
}


# --- pure decisions -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Wish:
    """How a launch asks for Spot, with EC2's defaults."""

    kind: str
    behavior: str
    max_price: str | None = None
    valid_until: datetime | None = None


@dataclass(frozen=True)
class Notice:
    """That EC2 will take the instance's capacity, when, and what then becomes of it."""

    action: str
    at: datetime
    done: bool = False

    def documents(self) -> dict[str, str]:
        """What the metadata service says of it, below `spot/`. The termination time is there for no other action."""
        if self.done:
            return {}
        time = self.at.strftime("%Y-%m-%dT%H:%M:%SZ")
        found = {"instance-action": json.dumps({"action": self.action, "time": time})}
        return {**found, "termination-time": time} if self.action == TERMINATE else found


def wish(launch: Mapping[str, Any]) -> Wish | None:
    """What a launch's market options say; None for an on-demand instance."""
    market = launch.get("InstanceMarketOptions") or {}
    if market.get("MarketType") != "spot":
        return None
    options = market.get("SpotOptions") or {}
    behavior = options.get("InstanceInterruptionBehavior") or TERMINATE
    kind = options.get("SpotInstanceType") or ONE_TIME
    return Wish(kind, behavior, options.get("MaxPrice"), options.get("ValidUntil"))


def request_tags(*layers: Mapping[str, Any]) -> dict[str, str]:
    """The tags for the request, of the template and then of the launch itself."""
    return {
        tag["Key"]: tag.get("Value", "")
        for layer in layers
        for specification in layer.get("TagSpecifications") or []
        if specification.get("ResourceType") == REQUEST_TAGS
        for tag in specification.get("Tags") or []
    }


def standing(
    kind: str, instance_state: str, *, cancelled: bool, notice: Notice | None, settling: bool = False
) -> tuple[str, str]:
    """State and status code of a request. An instance that went down by itself was stopped by its user.

    A request that settles has not noticed yet that its instance has stopped.
    """
    reason = "no-capacity" if notice is not None and notice.done else "by-user"
    announced = None if notice is None or notice.done else notice.action
    if instance_state in GONE:
        over = kind == ONE_TIME or cancelled
        state, code = ("closed", f"instance-terminated-{reason}") if over else ("open", "pending-evaluation")
    elif instance_state == "stopped" and not settling:
        state, code = "disabled", f"instance-stopped-{reason}"
    elif cancelled:
        state, code = "cancelled", "request-canceled-and-instance-running"
    elif announced == TERMINATE:
        state, code = "closed", "instance-terminated-no-capacity"
    elif announced or instance_state in ("stopping", "stopped"):
        state, code = "active", "marked-for-stop"
    else:
        state, code = "active", "fulfilled"
    return "cancelled" if cancelled else state, code


# --- the requests -------------------------------------------------------------------------------------------------


class Request(TaggedEC2Resource):  # type: ignore[misc]  # moto is not typed
    """A Spot Instance request as DescribeSpotInstanceRequests shows it. moto keeps it beside its own."""

    def __init__(self, ec2: Any, instance: Any, asked: Wish, tags: Mapping[str, str], settle_seconds: float) -> None:
        self.ec2_backend = ec2
        self.id: str = random_spot_request_id()
        self.instance = instance
        self.type = asked.kind
        self.instance_interruption_behavior = asked.behavior
        self.spot_price = asked.max_price
        self.valid_until = asked.valid_until
        self.create_time = datetime.now(UTC)
        self.product_description = "Linux/UNIX"
        association = ec2.iam_instance_profile_associations.get(instance.id)
        self.profile = association.iam_instance_profile if association else None
        self.cancelled = False
        self.notice: Notice | None = None
        self._settle_seconds = settle_seconds
        self._settled_at = 0.0
        self.add_tags(dict(tags))

    @property
    def spot_instance_request_id(self) -> str:
        return self.id

    @property
    def instance_id(self) -> str:
        return str(self.instance.id)

    @property
    def launched_availability_zone(self) -> str:
        return str(self.instance.placement.availability_zone)

    @property
    def state(self) -> str:
        return self._standing()[0]

    @property
    def status(self) -> dict[str, Any]:
        code = self._standing()[1]
        return {"Code": code, "Message": MESSAGES.get(code, "")}

    @property
    def status_code(self) -> str:
        return self._standing()[1]

    @property
    def launch_specification(self) -> LaunchSpecification:
        instance = self.instance
        specification = LaunchSpecification(
            kernel_id=None,
            ramdisk_id=None,
            image_id=instance.image_id,
            key_name=instance.key_name,
            instance_type=instance.instance_type,
            placement=self.launched_availability_zone,
            monitored=False,
            subnet_id=instance.subnet_id,
        )
        specification.groups = list(instance.security_groups)
        return specification

    def _standing(self) -> tuple[str, str]:
        settling = time.monotonic() < self._settled_at
        return standing(self.type, self.instance.state, cancelled=self.cancelled, notice=self.notice, settling=settling)

    def instance_stopped(self) -> None:
        """Its instance has just stopped, which it takes a while to notice."""
        self._settled_at = time.monotonic() + self._settle_seconds

    @property
    def startable(self) -> bool:
        """Whether its user may start the stopped instance: neither at once, nor what EC2 itself stopped."""
        return self.state == "disabled" and (self.notice is None or not self.notice.done)


def request_of(ec2: Any, instance_id: str) -> Request | None:
    """The request behind an instance, if it is a Spot instance."""
    requests = ec2.spot_instance_requests.values()
    return next((request for request in requests if request.instance_id == instance_id), None)


def set_reason(instance: Any, reason: str) -> None:
    """Let an instance say why it is in its state: <code>: <message>."""
    instance.state_reason.code, instance.state_reason.message = reason.partition(":")[0], reason


class Hosts(Protocol):
    """Whoever makes an instance's state true. Called under the API's lock."""

    def power_on(self, instance: Any) -> None: ...
    def power_off(self, instance: Any) -> None: ...
    def remove(self, instance: Any) -> None: ...
    def adopt(self, instances: list[Any]) -> None: ...
    def give_up(self, instance: Any, reason: str) -> None: ...


class NoHosts:
    """Where instances are moto's descriptions and nothing else."""

    def power_on(self, instance: Any) -> None:
        instance.start()

    def power_off(self, instance: Any) -> None:
        instance.stop()

    def remove(self, instance: Any) -> None:
        instance.terminate()

    def adopt(self, instances: list[Any]) -> None:
        """They are what they are."""

    def give_up(self, instance: Any, reason: str) -> None:
        instance.stop()
        set_reason(instance, reason)


class OrderError(ValueError):
    """An interruption that cannot be; says why."""


class Spot:
    """All Spot requests, the API's reactions that concern them, and the page that takes orders."""

    def __init__(
        self,
        api: Api,
        hosts: Hosts,
        relaunch_seconds: float = RELAUNCH_SECONDS,
        settle_seconds: float = SETTLE_SECONDS,
    ) -> None:
        self._api = api
        self._hosts = hosts
        self._relaunch_seconds = relaunch_seconds
        self._settle_seconds = settle_seconds
        self._launches: dict[str, Callable[[], Any]] = {}  # instance → how another one like it is launched
        self._remember_launches(api.backends("ec2"))
        hooks = api.hooks
        hooks.register("ec2", "RunInstances", after=self._launched)
        hooks.register("ec2", "StartInstances", after=self._started)
        hooks.register("ec2", "StopInstances", after=self._stopped)
        hooks.register("ec2", "TerminateInstances", after=self._terminated)
        hooks.register("ec2", "CancelSpotInstanceRequests", instead=self._cancel)
        hooks.register("ec2", "RequestSpotInstances", before=self._refuse_request)
        api.mount(settings.SPOT_PAGE, self)

    # --- launches -----------------------------------------------------------------------------------------------

    def _remember_launches(self, ec2: Any) -> None:
        run_instances = ec2.run_instances

        def run_and_remember(image_id: str, count: int, *arguments: Any, **kwargs: Any) -> Any:
            again = dict(kwargs)
            reservation = run_instances(image_id, count, *arguments, **kwargs)
            for instance in reservation.instances:
                self._launches[instance.id] = lambda: run_and_remember(image_id, 1, *arguments, **dict(again))
            return reservation

        ec2.run_instances = run_and_remember

    def _launched(self, call: Call, result: dict[str, Any]) -> Mapping[str, Any] | None:
        ec2 = self._api.backends("ec2")
        asked = wish(launch_data(ec2, call.parameters))
        if asked is None:
            return None
        tags = request_tags(template_data(ec2, call.parameters), call.parameters)
        for launched in result["Instances"]:
            instance = ec2.get_instance(launched["InstanceId"])
            request = Request(ec2, instance, asked, tags, self._settle_seconds)
            ec2.spot_instance_requests[request.id] = request
            instance.spot_instance_request_id = launched["SpotInstanceRequestId"] = request.id
        return result

    def _refuse_request(self, call: Call) -> None:
        raise ApiError("UnsupportedOperation", "The embedded cloud launches Spot instances by RunInstances only.")

    # --- states -------------------------------------------------------------------------------------------------

    def _started(self, call: Call, result: Mapping[str, Any]) -> None:
        for changed in result["StartingInstances"]:
            request = request_of(self._api.backends("ec2"), changed["InstanceId"])
            if request is not None:
                request.notice = None

    def _stopped(self, call: Call, result: Mapping[str, Any]) -> None:
        """Where there are hosts, they take their time, and tell when they are down."""
        for changed in result["StoppingInstances"]:
            request = request_of(self._api.backends("ec2"), changed["InstanceId"])
            if request is not None and changed["PreviousState"]["Name"] != "stopped":
                request.instance_stopped()

    def _terminated(self, call: Call, result: Mapping[str, Any]) -> None:
        for changed in result["TerminatingInstances"]:
            request = request_of(self._api.backends("ec2"), changed["InstanceId"])
            if request is not None and request.state == "open":
                log.info("%s lost %s and opens again", request.id, request.instance_id)
                self._later(self._relaunch_seconds, partial(self._relaunch, request))

    def _relaunch(self, request: Request) -> None:
        """EC2 fulfils a persistent request again, until somebody cancels it."""
        if request.state != "open":
            return
        (instance,) = self._launches[request.instance_id]().instances
        if request.profile is not None:
            self._api.backends("ec2").associate_iam_instance_profile(instance.id, request.profile.name)
        instance.spot_instance_request_id = request.id
        request.instance, request.notice = instance, None
        self._hosts.adopt([instance])
        log.info("%s got %s", request.id, request.instance_id)

    def _cancel(self, call: Call) -> Mapping[str, Any]:
        if call.parameters.get("DryRun"):
            raise ApiError("DryRunOperation", "Request would have succeeded, but DryRun flag is set.", 412)
        requests = self._api.backends("ec2").spot_instance_requests
        names = call.parameters.get("SpotInstanceRequestIds") or []
        for name in names:
            if name not in requests:
                raise ApiError(
                    "InvalidSpotInstanceRequestID.NotFound", f"The spot instance request ID '{name}' does not exist"
                )
        for name in names:
            request = requests[name]
            if request.state == "disabled":
                self._hosts.remove(request.instance)
            if request.state != "closed":
                request.cancelled = True
        return {
            "CancelledSpotInstanceRequests": [
                {"SpotInstanceRequestId": name, "State": requests[name].state} for name in names
            ]
        }

    # --- interruptions ------------------------------------------------------------------------------------------

    def interrupt(self, instance_id: str, seconds: float = NOTICE_SECONDS) -> Notice:
        """Announce that the capacity is wanted back, and take it after that time."""
        with self._api.lock:
            request = self._spot_request(instance_id)
            if request.instance.state != "running":
                raise OrderError(f"{instance_id} is {request.instance.state}: EC2 interrupts what runs.")
            if request.notice is not None:
                raise OrderError(f"{instance_id} will be interrupted at {request.notice.at:%H:%M:%S} UTC already.")
            action = request.instance_interruption_behavior
            request.notice = notice = Notice(action, datetime.now(UTC) + timedelta(seconds=seconds))
        log.info("%s will be interrupted (%s) in %s s", instance_id, action, seconds)
        self._later(seconds, partial(self._reclaim, request, notice))
        return notice

    def _reclaim(self, request: Request, notice: Notice) -> None:
        if request.notice is not notice:
            return  # stopped and started again meanwhile, or terminated and replaced
        instance = request.instance
        if instance.state not in ("pending", "running"):
            request.notice = None  # its user was faster
            return
        request.notice = replace(notice, done=True)
        reason = "Server.SpotInstanceTermination" if notice.action == TERMINATE else "Server.SpotInstanceShutdown"
        (self._hosts.remove if notice.action == TERMINATE else self._hosts.power_off)(instance)
        set_reason(instance, f"{reason}: Spot instance interruption")
        log.info("%s was interrupted (%s)", instance.id, notice.action)

    def end(self, instance_id: str) -> None:
        """Give the capacity back: EC2 starts the instance that it stopped."""
        with self._api.lock:
            request = self._spot_request(instance_id)
            if request.notice is None or not request.notice.done or request.instance.state != "stopped":
                raise OrderError(f"{instance_id} is {request.instance.state}, and not stopped by an interruption.")
            if request.cancelled:
                raise OrderError(f"{request.id} is cancelled: EC2 starts nothing for it.")
            request.notice = None
            self._hosts.power_on(request.instance)
        log.info("%s has its capacity back", instance_id)

    def _spot_request(self, instance_id: str) -> Request:
        request = request_of(self._api.backends("ec2"), instance_id)
        if request is None:
            raise OrderError(f"{instance_id} is no Spot instance of this cloud.")
        return request

    def _later(self, seconds: float, act: Callable[[], None]) -> None:
        def act_alone() -> None:
            with self._api.lock:
                act()

        timer = threading.Timer(seconds, act_alone)
        timer.daemon = True
        timer.start()

    # --- WSGI ---------------------------------------------------------------------------------------------------

    def __call__(self, environ: Mapping[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        status, content = self._answer(environ)
        body = json.dumps(content).encode()
        headers = [("Content-Type", "application/json"), ("Content-Length", str(len(body)))]
        start_response(f"{status.value} {status.phrase}", headers)
        return [body]

    def _answer(self, environ: Mapping[str, Any]) -> tuple[HTTPStatus, dict[str, str]]:
        instance_id, _, order = str(environ["PATH_INFO"]).strip("/").partition("/")
        if environ["REQUEST_METHOD"] != "POST":
            return HTTPStatus.METHOD_NOT_ALLOWED, {"error": "orders want POST"}
        try:
            if order == "over":
                self.end(instance_id)
                return HTTPStatus.OK, {"instance": instance_id}
            if order == "interrupt":
                given = parse_qs(environ.get("QUERY_STRING", "")).get("seconds", [str(NOTICE_SECONDS)])[0]
                if not given.isdecimal():
                    return HTTPStatus.BAD_REQUEST, {"error": f"seconds: a whole number is wanted, found '{given}'"}
                notice = self.interrupt(instance_id, int(given))
                return HTTPStatus.OK, {
                    "instance": instance_id, "action": notice.action, "at": notice.at.isoformat(timespec="seconds"),
                }  # fmt: skip
        except OrderError as error:
            return HTTPStatus.CONFLICT, {"error": str(error)}
        return HTTPStatus.NOT_FOUND, {"error": f"there is no order '{order}'"}

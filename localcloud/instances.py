# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""EC2 instances: each is a systemd container at the private address that moto gave it.

moto keeps the instance's description; this module makes its state true. Every host has one thread, which brings the
container to the state that was asked for last, and only then tells moto that it is reached.
"""

from __future__ import annotations

import logging
import shutil
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from ipaddress import IPv4Address, ip_address
from pathlib import Path
from typing import Any

from localcloud import settings
from localcloud.api import Api
from localcloud.events import ContainerEnd, ContainerEnds
from localcloud.security_groups import Member
from localcloud.shell import CommandError, docker, docker_succeeds, labels
from localcloud.spot import request_of, set_reason
from localcloud.volumes import Attachment, Volumes, disks_file, switch_off_swap
from localcloud.wire import ApiError, Call

log = logging.getLogger(__name__)

STATE_CODES: Mapping[str, int] = {
    "pending": 0,
    "running": 16,
    "shutting-down": 32,
    "terminated": 48,
    "stopping": 64,
    "stopped": 80,
}
# Files of /proc that show a host itself instead of the machine, through lxcfs.
OWN_VIEWS = ("meminfo", "uptime")
# There where the kernel has nothing but cgroup v2, by which Docker decides too.
UNIFIED_CGROUPS = Path("/sys/fs/cgroup/cgroup.controllers")
# Docker mounts a container's own part of cgroup v2 read-only, and systemd needs to write there.
INIT_ON_UNIFIED_CGROUPS = ("sh", "-c", "mount -o remount,bind,rw /sys/fs/cgroup && exec /sbin/init")
# The exit code of a container whose init asked for a reboot: the kernel ends it with SIGHUP (SIGINT for a power-off).
EXIT_OF_REBOOT = 128 + 1

BOOT_TIMEOUT_SECONDS = 600
STOP_TIMEOUT_SECONDS = 120
TERMINATE_TIMEOUT_SECONDS = 30
POLL_SECONDS = 0.25
SSH_PORT = 22


class Goal(Enum):
    """What a host shall become."""

    RUNNING = "running"
    STOPPED = "stopped"
    TERMINATED = "terminated"


@dataclass(frozen=True)
class HostPlan:
    """Everything that the container of an instance is made from."""

    instance_id: str
    image: str
    address: str
    hostname: str
    memory_mib: int
    unified_cgroups: bool


def docker_volumes(instance_id: str) -> dict[str, str]:
    """Docker volume -> directory in the host. Neither Docker's store nor swap can lie on the container's overlay."""
    return {
        f"{instance_id}-docker": settings.HOST_DOCKER_DIR,
        f"{instance_id}-swap": settings.HOST_SWAP_DIR,
    }


def create_arguments(plan: HostPlan) -> list[str]:
    """The arguments of `docker create` for a host: systemd as the first process, with a Docker engine of its own."""
    mounts = {
        **({} if plan.unified_cgroups else {"/sys/fs/cgroup": "/sys/fs/cgroup:rw"}),
        str(settings.INSTANCES_DIR / plan.instance_id): f"{settings.HOST_BOOT_DIR}:ro",
        **{str(settings.LXCFS_DIR / f"proc/{name}"): f"/proc/{name}:ro" for name in OWN_VIEWS},
        **docker_volumes(plan.instance_id),
    }
    return [
        f"--name={plan.instance_id}",
        f"--hostname={plan.hostname}",
        *labels(settings.KIND_INSTANCE, **{settings.LABEL_INSTANCE: plan.instance_id}),
        f"--network={settings.NETWORK_NAME}",
        f"--ip={plan.address}",
        f"--dns={settings.RESOLVER}",
        f"--memory={plan.memory_mib}m",
        "--memory-swap=-1",
        "--cap-add=ALL",
        "--cap-drop=SYS_RESOURCE",
        "--security-opt=seccomp=unconfined",
        "--security-opt=apparmor=unconfined",
        "--security-opt=systempaths=unconfined",
        "--device-cgroup-rule=a *:* rwm",
        # With cgroup v2 systemd, and the engine through it, see the host's own part alone, so that all that runs in it
        # lies below the host's limit. With v1 docker-setup-runtimes.sh has the engine put its containers there.
        f"--cgroupns={'private' if plan.unified_cgroups else 'host'}",
        "--env=container=docker",
        "--tmpfs=/run",
        "--tmpfs=/tmp",
        "--log-opt=max-size=1m",
        *(f"--volume={source}:{target}" for source, target in mounts.items()),
        plan.image,
        *(INIT_ON_UNIFIED_CGROUPS if plan.unified_cgroups else ()),
    ]


class Host:
    """One instance's container and the thread that keeps it."""

    def __init__(self, instances: Instances, instance: Any) -> None:
        self.instance = instance
        self.id: str = instance.id
        self.address = str(instance.private_ip)
        self.goal = Goal.RUNNING
        self._all = instances
        self._reached: Goal | None = None
        self._restart = False
        self._new_disks = False
        self._changed = threading.Condition()
        self._stop_seconds = STOP_TIMEOUT_SECONDS
        self._up_since: int | None = (
            None  # in nanoseconds, as Docker's events have it; None while it is meant to be down
        )
        self._volume_ids: set[str] = set()

    def begin(self) -> None:
        threading.Thread(target=self._work, name=self.id, daemon=True).start()

    def ask(self, goal: Goal, *, stop_seconds: int = STOP_TIMEOUT_SECONDS) -> None:
        """Ask for a state. Hold the API's lock, so that the goal and moto's state change together."""
        with self._changed:
            self.goal = goal
            self._stop_seconds = stop_seconds
            self._changed.notify()

    def ask_restart(self) -> None:
        """Ask for a reboot of the running host."""
        with self._changed:
            self._restart = True
            self._changed.notify()

    def ask_disks(self) -> None:
        """Ask that the running host's disks follow the volumes that are attached to it."""
        with self._changed:
            self._new_disks = True
            self._changed.notify()

    def container_ended(self, exit_code: int, at: int) -> None:
        """The container ended; unless it was told to, the host did that itself."""
        up_since = self._up_since
        if up_since is None or at < up_since:
            return
        if exit_code == EXIT_OF_REBOOT:
            log.info("%s reboots itself", self.id)
            self.ask_restart()
        else:
            log.info("%s went down by itself (exit code %s)", self.id, exit_code)
            self._all.went_down_by_itself(self)

    # --- the thread ---------------------------------------------------------------------------------------------

    def _work(self) -> None:
        steps: Mapping[Goal, Callable[[], None]] = {
            Goal.RUNNING: self._run,
            Goal.STOPPED: self._stop,
            Goal.TERMINATED: self._terminate,
        }
        while self._reached is not Goal.TERMINATED:
            with self._changed:
                self._changed.wait_for(lambda: self.goal is not self._reached or self._restart or self._new_disks)
                goal = self.goal
            try:
                steps[goal]()
            except Exception as error:
                log.exception("%s could not become %s", self.id, goal.value)
                self._all.failed(self, goal, str(error))
            else:
                self._all.reached(self, goal)
            self._reached = goal

    def _run(self) -> None:
        if self._reached is Goal.RUNNING and not self._restart:
            self._connect_disks()
            docker("exec", self.id, "systemctl", "start", settings.HOST_DISKS_UNIT)
            self._disconnect_others()
            return
        started = time.monotonic()
        if self._restart:
            self._restart = False
            self._down(self._stop_seconds)
        if not docker_succeeds("container", "inspect", self.id):
            self._create()
        self._connect_disks()
        self._up_since = time.time_ns()
        docker("start", self.id)
        if self._await_boot():
            log.info("%s is up after %.1f s", self.id, time.monotonic() - started)

    def _create(self) -> None:
        (settings.INSTANCES_DIR / self.id).mkdir(parents=True, exist_ok=True)
        for name in docker_volumes(self.id):
            marks = labels(settings.KIND_INSTANCE, **{settings.LABEL_INSTANCE: self.id})
            docker("volume", "create", *marks, name)
        with self._all.api.lock:
            plan = self._all.plan(self.instance)
        self._await(lambda: self._all.is_alone_at_its_address(self), TERMINATE_TIMEOUT_SECONDS * 2)
        docker("create", *create_arguments(plan))

    def _connect_disks(self) -> None:
        self._new_disks = False
        attachments = self._attachments()
        self._volume_ids.update(attachment.volume_id for attachment in attachments)
        disks = self._all.volumes.connect(attachments, self.id)
        (settings.INSTANCES_DIR / self.id / settings.HOST_DISKS_FILE).write_text(disks_file(disks))

    def _disconnect_others(self) -> None:
        """Release the disks of volumes that are no longer attached."""
        released = self._volume_ids - {attachment.volume_id for attachment in self._attachments()}
        self._all.volumes.disconnect(released)
        self._volume_ids -= released

    def _attachments(self) -> list[Attachment]:
        with self._all.api.lock:
            return Volumes.attachments(self.instance)

    def _await_boot(self) -> bool:
        """Wait until systemd has started everything and sshd answers."""
        if self._await(lambda: _ssh_answers(self.address) and self._booted(), BOOT_TIMEOUT_SECONDS):
            return True
        if self.goal is Goal.RUNNING:
            log.error("%s: not up after %s s; it counts as running", self.id, BOOT_TIMEOUT_SECONDS)
        return False

    def _await(self, condition: Callable[[], bool], seconds: int) -> bool:
        """Wait for a condition of a host that is coming up, unless something else is asked for meanwhile."""
        deadline = time.monotonic() + seconds
        while self.goal is Goal.RUNNING and time.monotonic() < deadline:
            if condition():
                return True
            with self._changed:
                self._changed.wait(POLL_SECONDS)
        return False

    def _booted(self) -> bool:
        try:
            state = docker("exec", self.id, "sh", "-c", "systemctl is-system-running || true", timeout=20)
            if state == "degraded":
                failed = docker("exec", self.id, "systemctl", "--failed", "--plain", "--no-legend", timeout=20)
                log.warning("%s: units that failed at boot: %s", self.id, failed)
        except CommandError:
            return False
        return state in ("running", "degraded")

    def _stop(self) -> None:
        self._new_disks = False  # seen at the next start
        self._down(self._stop_seconds)
        self._disconnect_others()

    def _terminate(self) -> None:
        self._down(TERMINATE_TIMEOUT_SECONDS)
        if docker_succeeds("container", "inspect", self.id):
            docker("rm", "--force", self.id)
        for name in docker_volumes(self.id):
            if docker_succeeds("volume", "inspect", name):
                docker("volume", "rm", name)
        self._all.volumes.remove_deleted(self._volume_ids)
        shutil.rmtree(settings.INSTANCES_DIR / self.id, ignore_errors=True)

    def _down(self, seconds: int) -> None:
        """Stop the container and take its swap and disks away; the same for one that is down already."""
        self._up_since = None
        if docker_succeeds("container", "inspect", self.id):
            docker("stop", f"--time={seconds}", self.id, timeout=seconds + 60)
        for name, directory in docker_volumes(self.id).items():
            if directory == settings.HOST_SWAP_DIR and docker_succeeds("volume", "inspect", name):
                switch_off_swap(name)
        self._all.volumes.disconnect(self._volume_ids)


class Instances:
    """All instances, and the API's reactions that concern them."""

    def __init__(self, api: Api, volumes: Volumes, host_image: str) -> None:
        self.api = api
        self.volumes = volumes
        self._host_image = host_image
        # Who hears that an instance came or is gone, which not only calls bring about.
        self.listeners: list[Callable[[], None]] = []
        self._hosts: dict[str, Host] = {}
        self._ends = ContainerEnds(settings.LABEL_INSTANCE, self._container_ended)
        hooks = api.hooks
        hooks.register("ec2", "RunInstances", after=self._launched)
        hooks.register("ec2", "StartInstances", instead=self._start_instances)
        hooks.register("ec2", "StopInstances", instead=self._stop_instances)
        hooks.register("ec2", "RebootInstances", after=self._rebooted)
        hooks.register("ec2", "TerminateInstances", instead=self._terminate_instances)
        hooks.register("ec2", "AttachVolume", after=self._disks_changed)
        hooks.register("ec2", "DetachVolume", after=self._disks_changed)

    # --- the component ------------------------------------------------------------------------------------------

    def start(self) -> None:
        self._ends.start()

    def stop(self) -> None:
        self._ends.stop()

    def _container_ended(self, end: ContainerEnd) -> None:
        host = self._hosts.get(end.label)
        if host is not None:
            host.container_ended(end.exit_code, end.at)

    # --- what other parts ask -----------------------------------------------------------------------------------

    def at(self, address: str) -> Any | None:
        """moto's instance at a private address, if one lives there. Hold the API's lock."""
        for host in self._hosts.values():
            if host.address == address and host.instance.state not in ("terminated", "stopped"):
                return host.instance
        return None

    def members(self) -> Iterator[Member]:
        """Every instance with its security groups. Hold the API's lock.

        One that goes down keeps its network until it is down, unless another one waits for its address.
        """
        for host in sorted(self._hosts.values(), key=lambda host: host.goal is not Goal.TERMINATED):
            yield Member(IPv4Address(host.address), tuple(group.id for group in host.instance.security_groups))

    def summary(self) -> list[dict[str, str]]:
        """What `status` shows."""
        with self.api.lock:
            return [
                {
                    "id": host.id,
                    "name": next((tag["value"] for tag in host.instance.get_tags() if tag["key"] == "Name"), ""),
                    "state": host.instance.state,
                    "address": host.address,
                    "type": host.instance.instance_type,
                }
                for host in self._hosts.values()
            ]

    def plan(self, instance: Any) -> HostPlan:
        """What the container of moto's instance is made from. Hold the API's lock."""
        return HostPlan(
            instance_id=instance.id,
            image=self._host_image,
            address=str(instance.private_ip),
            hostname=str(instance.private_dns_name),
            memory_mib=self._memory_mib(instance.instance_type),
            unified_cgroups=UNIFIED_CGROUPS.exists(),
        )

    def _memory_mib(self, instance_type: str) -> int:
        described = self.api.backends("ec2").describe_instance_types([instance_type], {})
        return int(described[0]["MemoryInfo"]["SizeInMiB"]) * settings.SHOWN_PERCENT // 100

    # --- what hosts report --------------------------------------------------------------------------------------

    def reached(self, host: Host, goal: Goal) -> None:
        with self.api.lock:
            if host.goal is not goal or host.instance.state == goal.value:
                return
            _set_state(host.instance, goal.value)
            request = request_of(self.api.backends("ec2"), host.id)
            if goal is Goal.STOPPED and request is not None:
                request.instance_stopped()
            if goal is Goal.TERMINATED:
                del self._hosts[host.id]
                self._tell()
        log.info("%s is %s", host.id, goal.value)

    def failed(self, host: Host, goal: Goal, reason: str) -> None:
        """A host that cannot come up is stopped, and its state reason says why; one that cannot go down is left."""
        with self.api.lock:
            reason = f"Server.InternalError: {reason}"
            if goal is not Goal.RUNNING:
                set_reason(host.instance, reason)
                self.reached(host, goal)
            elif host.goal is goal:
                self.give_up(host.instance, reason)

    def is_alone_at_its_address(self, host: Host) -> bool:
        """moto hands out the address of a terminated instance while its container is still going down."""
        with self.api.lock:
            return all(other is host or other.address != host.address for other in self._hosts.values())

    def went_down_by_itself(self, host: Host) -> None:
        with self.api.lock:
            instance = host.instance
            if instance.state not in ("pending", "running"):
                return
            if instance.instance_initiated_shutdown_behavior == "terminate":
                instance.terminate()
                _set_state(instance, "shutting-down")
                host.ask(Goal.TERMINATED)
            else:
                instance.stop()
                _set_state(instance, "stopping")
                host.ask(Goal.STOPPED)
            set_reason(instance, "Client.InstanceInitiatedShutdown: Instance initiated shutdown")

    # --- what may become of an instance, whoever asks; hold the API's lock -----------------------------------------

    def adopt(self, instances: list[Any]) -> None:
        """Make hosts of instances that moto has just launched."""
        for instance in instances:
            self._hosts[instance.id] = host = Host(self, instance)
            _set_state(instance, "pending")
            host.begin()
        self._tell()

    def power_on(self, instance: Any) -> None:
        if instance.state == "stopped":
            instance.start()
            _set_state(instance, "pending")
            self._hosts[instance.id].ask(Goal.RUNNING)

    def power_off(self, instance: Any, seconds: int = STOP_TIMEOUT_SECONDS) -> None:
        if instance.state == "running":
            instance.stop()
            _set_state(instance, "stopping")
        if instance.state == "stopping":
            self._hosts[instance.id].ask(Goal.STOPPED, stop_seconds=seconds)

    def give_up(self, instance: Any, reason: str) -> None:
        """Stop an instance that was to come up and cannot."""
        instance.stop()
        set_reason(instance, reason)
        _set_state(instance, "stopping")
        self._hosts[instance.id].ask(Goal.STOPPED)

    def remove(self, instance: Any) -> None:
        if instance.state in ("shutting-down", "terminated"):
            return
        self.api.backends("ec2").terminate_instances([instance.id])
        _set_state(instance, "shutting-down")
        self._hosts[instance.id].ask(Goal.TERMINATED)

    def _tell(self) -> None:
        for listener in self.listeners:
            listener()

    # --- reactions to calls -------------------------------------------------------------------------------------

    def _launched(self, call: Call, result: dict[str, Any]) -> Mapping[str, Any]:
        backend = self.api.backends("ec2")
        ids = [launched["InstanceId"] for launched in result["Instances"]]
        instances = backend.get_multi_instances_by_id(ids)
        for instance in instances:
            if ip_address(instance.private_ip) not in settings.VPC_CIDR:
                backend.terminate_instances(ids)
                raise ApiError(
                    "Unsupported",
                    f"The embedded cloud can give an instance addresses of {settings.VPC_CIDR} only, the default VPC; "
                    f"the subnet {instance.subnet_id} gave it {instance.private_ip}. Launch it in the default VPC.",
                )
        self.adopt(instances)
        for launched in result["Instances"]:
            launched["State"] = _state("pending")
        return result

    def _start_instances(self, call: Call) -> Mapping[str, Any]:
        return {"StartingInstances": self._change(call, self.power_on)}

    def _stop_instances(self, call: Call) -> Mapping[str, Any]:
        seconds = 0 if call.parameters.get("Force") else STOP_TIMEOUT_SECONDS

        for instance in self._instances(call):
            if instance.disable_api_stop:
                raise ApiError(
                    "OperationNotPermitted",
                    f"The instance '{instance.id}' may not be stopped. Modify its 'disableApiStop' instance attribute "
                    "and try again.",
                )
        return {"StoppingInstances": self._change(call, lambda instance: self.power_off(instance, seconds))}

    def _terminate_instances(self, call: Call) -> Mapping[str, Any]:
        for instance in self._instances(call):
            if instance.disable_api_termination:
                raise ApiError(
                    "OperationNotPermitted",
                    f"The instance '{instance.id}' may not be terminated. Modify its 'disableApiTermination' instance "
                    "attribute and try again.",
                )
        return {"TerminatingInstances": self._change(call, self.remove)}

    def _rebooted(self, call: Call, result: Mapping[str, Any]) -> None:
        for instance in self._instances(call):
            self._hosts[instance.id].ask_restart()

    def _disks_changed(self, call: Call, result: Mapping[str, Any]) -> None:
        self._hosts[result["InstanceId"]].ask_disks()

    def _instances(self, call: Call) -> list[Any]:
        if call.parameters.get("DryRun"):
            raise ApiError("DryRunOperation", "Request would have succeeded, but DryRun flag is set.", 412)
        instances: list[Any] = self.api.backends("ec2").get_multi_instances_by_id(call.parameters["InstanceIds"])
        return instances

    def _change(self, call: Call, change: Callable[[Any], None]) -> list[dict[str, Any]]:
        """Apply a change to each instance of a call; returns the states before and after as AWS does."""
        changes = []
        for instance in self._instances(call):
            before = _state(instance.state)
            change(instance)
            after = _state(instance.state)
            changes.append({"InstanceId": instance.id, "PreviousState": before, "CurrentState": after})
        return changes


def _state(name: str) -> dict[str, Any]:
    return {"Name": name, "Code": STATE_CODES[name]}


def _set_state(instance: Any, name: str) -> None:
    instance._state.name, instance._state.code = name, STATE_CODES[name]


def _ssh_answers(address: str) -> bool:
    """Whether sshd answers, whatever the security groups let anybody else reach."""
    try:
        with socket.socket() as connection:
            connection.settimeout(2)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, settings.CONTROL_MARK)
            connection.connect((address, SSH_PORT))
            return connection.recv(4) == b"SSH-"
    except OSError:
        return False

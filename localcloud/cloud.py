# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The embedded cloud as a whole: up, down, status, and the process that carries it.

Whoever runs holds the lock of settings.LOCK_FILE for as long as it lives, so that a killed cloud is known as such.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import logging
import os
import platform
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, NoReturn, Protocol
from urllib.error import HTTPError
from urllib.parse import quote, urlencode
from urllib.request import Request

from localcloud import certificates, engine, images, machine, operator_key, operator_machine, settings
from localcloud.direct import urlopen

if TYPE_CHECKING:
    from localcloud.api import Api

Progress = Callable[[str], None]

log = logging.getLogger(__name__)

OPERATION_LOCK_FILE = settings.STATE_DIR / "operation.lock"
READY_SECONDS = 600
END_SECONDS = 90
KILL_SECONDS = 10
LOCK_SECONDS = 2
STATUS_URL = f"{settings.API_URL}/_localcloud/status"
ACCOUNT_URL = f"{settings.API_URL}/_localcloud/{settings.ACCOUNT_PAGE}"
SPOT_URL = f"{settings.API_URL}/_localcloud/{settings.SPOT_PAGE}"


class CloudError(RuntimeError):
    """The embedded cloud cannot do what was asked; says why, and what to do."""


class Component(Protocol):
    """A part of the running cloud."""

    def start(self) -> None: ...
    def stop(self) -> None: ...


# --- the commands -------------------------------------------------------------------------------------------------


def up(progress: Progress) -> bool:
    """Bring the cloud up; False where it was up already."""
    _require_root_on_linux()
    with _one_operation(progress):
        if is_running():
            _await_ready(progress, status, is_running)  # one whose `up` was interrupted goes on starting
            return False
        engine.install_packages(engine.missing_packages(machine.PROGRAMS), progress)
        machine.refuse_taken_ports()
        images.ensure_images(progress)  # and with them the engine
        machine.remove_everything(progress)
        machine.refuse_overlap()
        operator_key.ensure_operator_key()
        progress("starting the cloud")
        _start_process(progress)
        return True


def down(progress: Progress, *, purge: bool = False) -> None:
    """Stop the cloud, or clean up after one that was killed."""
    _require_root_on_linux()
    with _one_operation(progress):
        engine.remove_own_policy()
        _end_process(progress)
        if purge or machine.anything_left():
            engine.ensure_engine(progress)
        machine.remove_everything(progress)
        if purge:
            images.purge_images(progress)
        if engine.stop_engine():
            progress("stopped the Docker engine that was started for the cloud")
        shutil.rmtree(settings.RUNTIME_DIR, ignore_errors=True)


def status() -> dict[str, Any]:
    """What runs, from the cloud itself; {"state": "down"} where there is none."""
    if not is_running():
        return {"state": "down"}
    try:
        with urlopen(STATUS_URL, timeout=10) as answer:
            content: dict[str, Any] = json.load(answer)
            return content
    except (OSError, ValueError):
        return unanswered(_read_status())


def unanswered(noted: Mapping[str, Any]) -> dict[str, Any]:
    """The status of a cloud whose API does not answer: what its file says, except that it is ready."""
    content = {"state": "starting", **noted}
    return {**content, "state": "not answering"} if content["state"] == "ready" else content


def interrupt(instance_id: str, seconds: int | None = None, *, over: bool = False) -> dict[str, str]:
    """Announce that EC2 takes a Spot instance's capacity and take it, or give it back."""
    order = "over" if over else "interrupt" if seconds is None else f"interrupt?seconds={seconds}"
    return _post(f"{SPOT_URL}/{quote(instance_id, safe='')}/{order}")


def circumstances(wanted: Mapping[str, str]) -> dict[str, Any]:
    """What the account is like (localcloud.circumstances), after it was made as wanted."""
    return _post(f"{ACCOUNT_URL}?{urlencode(wanted)}")


def _post(url: str) -> dict[str, Any]:
    try:
        with urlopen(Request(url, method="POST"), timeout=10) as answer:
            content: dict[str, Any] = json.load(answer)
            return content
    except HTTPError as error:
        raise CloudError(json.load(error)["error"]) from None
    except OSError as error:
        raise CloudError(f"The embedded cloud does not answer ({error}). Is it up? See `status`.") from error


def environment() -> dict[str, str]:
    """The environment with which any AWS tool talks to the cloud."""
    return {
        "AWS_ENDPOINT_URL": settings.API_URL,
        "AWS_REGION": settings.REGION,
        "AWS_DEFAULT_REGION": settings.REGION,
        "AWS_ACCESS_KEY_ID": settings.OPERATOR_ACCESS_KEY,
        "AWS_SECRET_ACCESS_KEY": settings.OPERATOR_SECRET_KEY,
        "AWS_CA_BUNDLE": str(settings.CA_CERTIFICATE),
    }


def enter(command: Sequence[str]) -> NoReturn:
    """Become a command on the operator's machine."""
    _require_root_on_linux()
    if not is_running() or _read_status().get("state") != "ready":
        raise CloudError("The operator's machine is a part of the embedded cloud, which is not up: `up` first.")
    operator_machine.enter(command)


def is_running() -> bool:
    """Whether a living process carries the cloud."""
    try:
        with settings.LOCK_FILE.open() as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
            return False
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True


# --- the process --------------------------------------------------------------------------------------------------


def serve() -> None:
    """Carry the cloud until a signal says to end. Runs in a process of its own."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(threadName)s %(name)s: %(message)s")
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: ended.set())
    lock = settings.LOCK_FILE.open("w")
    _lock_for_life(lock)
    settings.PID_FILE.write_text(f"{os.getpid()}\n")
    with contextlib.ExitStack() as stack:
        stack.callback(machine.remove_everything, log.info)
        try:
            _start_components(stack)
        except Exception as error:
            log.exception("the cloud did not start")
            _write_status({"state": "failed", "error": str(error)})
            return
        _write_status({"state": "ready"})
        log.info("ready")
        ended.wait()
        log.info("ending")


def _lock_for_life(lock: IO[str]) -> None:
    """Take the lock that says that the cloud lives; whoever looks whether one does has it for an instant."""
    deadline = time.monotonic() + LOCK_SECONDS
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise CloudError("Another process carries the embedded cloud.") from None
            time.sleep(0.02)


def _start_components(stack: contextlib.ExitStack) -> None:
    # Imported here because moto takes seconds to load, which no other command needs.
    from localcloud.builder import Builder  # noqa: PLC0415
    from localcloud.operator_user import ensure_operator_user  # noqa: PLC0415
    from localcloud.services import Together  # noqa: PLC0415
    from localcloud.store import Store  # noqa: PLC0415

    made = images.ensure_images(log.info)
    machine.make_network()
    machine.start_lxcfs()
    with ThreadPoolExecutor(1) as background:
        # These take seconds too, and little of this process.
        containers = background.submit(Together(Store(made.services), Builder(made.builder, made.python_archive)).start)
        api, components = _compose(made)
        for name, component in components.items():
            _report_step(name)
            stack.callback(component.stop)
            component.start()
        _report_step("registry and builder")
        containers.result()
    ensure_operator_user(api).write(settings.OPERATOR_USER_KEYS)
    api.ready()


def _compose(made: images.Images) -> tuple[Api, dict[str, Component]]:
    """Everything that runs in this process, in the order in which it starts."""
    from localcloud import fixes, storage, strict  # noqa: PLC0415
    from localcloud.api import Api  # noqa: PLC0415
    from localcloud.balancer.load_balancers import LoadBalancers  # noqa: PLC0415
    from localcloud.certificate_manager import CertificateManager  # noqa: PLC0415
    from localcloud.databases import Databases  # noqa: PLC0415
    from localcloud.front import CERTIFICATE_NAMES, Front, Proxy, tell_address  # noqa: PLC0415
    from localcloud.functions import Functions  # noqa: PLC0415
    from localcloud.guard import Guard  # noqa: PLC0415
    from localcloud.instances import Instances  # noqa: PLC0415
    from localcloud.keys import Keys  # noqa: PLC0415
    from localcloud.metadata import Metadata  # noqa: PLC0415
    from localcloud.public_addresses import PublicAddresses  # noqa: PLC0415
    from localcloud.registry import Registry  # noqa: PLC0415
    from localcloud.resolver import Names, Resolver  # noqa: PLC0415
    from localcloud.schedules import Schedules  # noqa: PLC0415
    from localcloud.security_groups import SecurityGroups  # noqa: PLC0415
    from localcloud.spot import Spot  # noqa: PLC0415
    from localcloud.status import Status  # noqa: PLC0415
    from localcloud.volumes import Volumes  # noqa: PLC0415
    from localcloud.zones import Zones  # noqa: PLC0415

    api = Api()
    fixes.install(api)
    strict.install(api)
    storage.install(api)
    names, addresses, proxy = Names(), PublicAddresses(api), Proxy()
    guard = Guard(api)
    registry = Registry(api, proxy, guard)
    instances = Instances(api, Volumes(api), made.host)
    databases = Databases(api, names, made.services)
    zones = Zones(api)
    zones.listeners.append(CertificateManager(api, zones.public).records_changed)
    balancers = LoadBalancers(api, zones)
    groups = SecurityGroups(api, [instances, databases, balancers])
    for holder in (instances, balancers):
        holder.listeners.append(groups.changed)
    instances.listeners.append(balancers.changed)
    functions = Functions(api)
    Spot(api, instances)
    Keys(api, guard, instances)
    certificate = certificates.issue(CERTIFICATE_NAMES)
    api.mount("status", Status(api, instances))
    return api, {
        "resolver": Resolver(names, addresses.owner, hosted=zones.find),
        "security groups": groups,
        "databases": databases,
        "front": Front(
            certificate, proxy, {settings.REGISTRY_HOST: registry.handle, settings.CHECKIP_HOST: tell_address}
        ),
        "operator's machine": operator_machine.OperatorMachine(addresses),
        "load balancers": balancers,
        "instances": instances,
        "metadata": Metadata(api, instances),
        "api": api,
        "functions": functions,
        "schedules": Schedules(api, functions),
    }


# --- starting and ending the process ------------------------------------------------------------------------------


def _start_process(progress: Progress) -> None:
    machine.note_making()
    for directory in (settings.RUNTIME_DIR, settings.LOG_DIR, settings.DISKS_DIR, settings.INSTANCES_DIR):
        directory.mkdir(parents=True, exist_ok=True)
    settings.STATUS_FILE.unlink(missing_ok=True)
    if settings.LOG_FILE.exists():
        settings.LOG_FILE.replace(settings.LOG_FILE.with_suffix(".log.1"))
    with settings.LOG_FILE.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "localcloud", "serve"],
            stdin=subprocess.DEVNULL, stdout=output, stderr=output,
            cwd=Path(__file__).resolve().parent.parent, start_new_session=True,
        )  # fmt: skip
    _await_ready(progress, _read_status, lambda: process.poll() is None)


def _await_ready(progress: Progress, look: Callable[[], dict[str, Any]], lives: Callable[[], bool]) -> None:
    deadline = time.monotonic() + READY_SECONDS
    step = None
    while (found := look()).get("state") != "ready":
        if found.get("state") == "failed" or not lives():
            raise CloudError(
                f"The cloud did not start: {found.get('error', 'its process ended')}. See {settings.LOG_FILE}."
            )
        if time.monotonic() > deadline:
            raise CloudError(
                f"The cloud was not ready after {READY_SECONDS} s. See {settings.LOG_FILE}; try `down` first."
            )
        if found.get("step") != step:
            step = found.get("step")
            progress(f"starting {step}")
        time.sleep(0.05)


def _end_process(progress: Progress) -> None:
    if not is_running():
        return
    pid = int(settings.PID_FILE.read_text())
    progress("ending the cloud")
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGTERM)
    if _ends_within(END_SECONDS):
        return
    progress(f"process {pid} did not end within {END_SECONDS} s; killing it")
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)  # with the commands that it runs: it leads a session of its own
    if not _ends_within(KILL_SECONDS):
        raise CloudError(f"Process {pid} still carries the cloud although it was killed. End it, then run this again.")


def _ends_within(seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while is_running():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


def _report_step(step: str) -> None:
    log.info("starting %s", step)
    _write_status({"state": "starting", "step": step})


def _write_status(content: dict[str, Any]) -> None:
    """Replace the status file at once, so that no reader sees half of it."""
    new = settings.STATUS_FILE.with_suffix(".new")
    new.write_text(json.dumps({"pid": os.getpid(), **content}))
    new.replace(settings.STATUS_FILE)


def _read_status() -> dict[str, Any]:
    try:
        content: dict[str, Any] = json.loads(settings.STATUS_FILE.read_text())
    except FileNotFoundError:
        return {}
    return content


# --- conditions ---------------------------------------------------------------------------------------------------


def _require_root_on_linux() -> None:
    if platform.system() != "Linux":
        raise CloudError(
            f"The embedded cloud needs Linux (this is {platform.system()}): use a Linux virtual machine or WSL2."
        )
    if os.geteuid() != 0:
        raise CloudError("The embedded cloud makes containers, loop devices and firewall rules: run it as root.")
    if operator_machine.is_inside():
        raise CloudError("This is the operator's machine, and the cloud is not in it: run this outside (`exit`).")


@contextlib.contextmanager
def _one_operation(progress: Progress) -> Iterator[IO[str]]:
    """Let `up` and `down` happen one after another."""
    settings.STATE_DIR.mkdir(parents=True, exist_ok=True)
    with OPERATION_LOCK_FILE.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            progress("waiting for another `up` or `down` to end")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield lock

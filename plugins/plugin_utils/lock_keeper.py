# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keeps a run's deploy lock and holds while it lives, and ends them with it.

A process of its own, because a step of the run may last for longer than the lease. It ends with the run: where Ansible
comes to its end, the callback deploy_lock says with what result, and the lock is ended and the release recorded. Where
the run is interrupted or killed, something of it may still be at work on a host: nothing is renewed any more, so the
leases run out.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

from ..module_utils.aws_calls import ReadError, ask, ask_all
from ..module_utils.aws_state import filters_of, read_lock_generations, tags_of
from ..module_utils.deploy_lock import DONE, END, SHIPPED, Lock, lock_name, lock_path, lock_text, read_locks, time_text
from ..module_utils.hold import hold_time, to_renew
from ..module_utils.releases import Release, release_text, releases_name
from ..module_utils.tags import HOLD_TAG

PARAMETER: Mapping[str, Any] = {"Type": "String", "Tier": "Standard", "Overwrite": False}
RENEW_SECONDS = 120
# A call that hangs must not outlast the run's end: the callback waits for its answer.
BOUNDED = Config(connect_timeout=5, read_timeout=10, retries={"max_attempts": 2})
LOOK_SECONDS = 0.2
INTERRUPTED = "interrupted"


@dataclass(frozen=True)
class Order:
    """What a keeper is told: the lock, the run, and how to reach AWS."""

    deployment_name: str
    generation: int
    directory: str
    pid: int
    region: str
    endpoint_url: str | None
    connection: Mapping[str, Any]
    ends_deployment: bool = False  # whether none is left after the run, once it has succeeded


class Keeper:
    def __init__(self, order: Order) -> None:
        self._order = order
        self._directory = Path(order.directory)
        self._shipped: Mapping[str, Any] | None = None
        connection = dict(order.connection)
        session = boto3.session.Session(profile_name=connection.pop("profile_name", None), region_name=order.region)
        make_client: Any = session.client
        self._ssm, self._ec2 = (
            make_client(service, endpoint_url=order.endpoint_url, config=BOUNDED, **connection)
            for service in ("ssm", "ec2")
        )

    def keep(self) -> None:
        """Until the run ends. By the clock and not by time that counts: a laptop that slept renews at once."""
        last = time.time()
        while self.runs() and not self._end.exists():
            if time.time() - last >= RENEW_SECONDS:
                last = time.time()
                self._tell(self.renew)
            # Here, because an interrupted run takes the file with it.
            self._read_shipped()
            time.sleep(LOOK_SECONDS)
        self._read_shipped()
        result = self._end.read_text(encoding="utf-8") if self._end.exists() else INTERRUPTED
        self._tell(lambda: self.finish(result))
        if self._directory.exists():
            self._directory.joinpath(DONE).touch()

    @property
    def _end(self) -> Path:
        return self._directory / END

    def runs(self) -> bool:
        """Whether the run is there: Ansible removes its directory, and who is killed leaves it."""
        try:
            os.kill(self._order.pid, 0)
        except ProcessLookupError:
            return False
        return self._directory.exists()

    def _read_shipped(self) -> None:
        with suppress(FileNotFoundError):
            self._shipped = json.loads((self._directory / SHIPPED).read_text(encoding="utf-8"))

    def _tell(self, act: Callable[[], None]) -> None:
        """What goes wrong is said at the end of the run, and tried again in the next turn."""
        try:
            act()
        except ReadError as error:
            print(f"{error.action}: {error.cause}", file=sys.stderr, flush=True)
        except Exception as error:  # whatever it is: a keeper that has ended renews nothing
            print(repr(error), file=sys.stderr, flush=True)

    def own(self) -> Lock | None:
        """The lock as SSM has it; None where it is another run's by now."""
        locks = read_locks(read_lock_generations(self._ssm, lock_path(self._order.deployment_name)))
        return locks[-1] if locks and locks[-1].generation == self._order.generation else None

    def _put(self, name: str, value: str) -> None:
        ask(self._ssm, "put_parameter", Name=name, Value=value, **{**PARAMETER, "Overwrite": True})

    def _put_lock(self, lock: Lock) -> None:
        self._put(lock_name(self._order.deployment_name, lock.generation), lock_text(lock))

    def renew(self) -> None:
        lock, now = self.own(), datetime.now(UTC)
        if lock is None:
            return
        self._put_lock(lock.renewed(now))
        filters = filters_of({"tag:Project": self._order.deployment_name, "tag-key": HOLD_TAG})
        reservations = ask_all(self._ec2, "describe_instances", "Reservations", Filters=filters)
        held = {
            instance["InstanceId"]: tags_of(instance["Tags"])[HOLD_TAG]
            for reservation in reservations
            for instance in reservation["Instances"]
        }
        if ids := to_renew(held, lock.taken_at, now):
            ask(self._ec2, "create_tags", Resources=ids, Tags=[{"Key": HOLD_TAG, "Value": hold_time(now)}])

    def finish(self, result: str) -> None:
        lock = self.own()
        if lock is None:
            return
        # community.aws.ssm_parameter could remove them, but lists the parameters of the whole account for it, which no
        # operator has to be allowed.
        if self._order.ends_deployment and result == "succeeded":
            locks = read_lock_generations(self._ssm, lock_path(self._order.deployment_name))
            for name in (releases_name(self._order.deployment_name), *(found["Name"] for found in locks)):
                ask(self._ssm, "delete_parameter", "ParameterNotFound", Name=name)
            return
        if self._shipped is not None:
            release = Release(
                result=result,
                playbook=lock.playbook,
                owner=lock.owner,
                host=lock.host,
                started_at=lock.taken_at,
                ended_at=time_text(datetime.now(UTC)),
                **self._shipped,
            )
            self._put(releases_name(self._order.deployment_name), release_text(release))
        if result != INTERRUPTED:
            self._put_lock(replace(lock, ended=True))


if __name__ == "__main__":
    keeper = Keeper(Order(**json.load(sys.stdin)))
    # Whoever has started it waits for a word, and then listens no more.
    print("ready", flush=True)
    keeper.keep()

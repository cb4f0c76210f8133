# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Takes the deploy lock for a run, and starts the process that keeps it until the run ends, however it ends."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from os import environ, getppid
from pathlib import Path
from typing import Any, ClassVar

from ansible import constants, context
from ansible.errors import AnsibleActionFail
from ansible_collections.amazon.aws.plugins.plugin_utils.botocore import get_aws_connection_info

from ..module_utils.aws_calls import ReadError, ask
from ..module_utils.aws_state import read_caller, read_lock_generations
from ..module_utils.deploy_lock import (
    DIRECTORY,
    LEASE,
    SHIPPED,
    TROUBLE,
    Decision,
    Lock,
    decide,
    holder,
    lock_name,
    lock_path,
    lock_text,
    loss,
    outlived,
    playbook_name,
    read_locks,
    refusal,
    rivals,
    time_text,
    who,
)
from ..module_utils.findings import report
from ..plugin_utils.aws_action import AwsAction, advised
from ..plugin_utils.lock_keeper import PARAMETER, Order

# Everything of this collection, from where the keeper imports it.
ROOT = Path(__file__).resolve().parents[2]
# Others may take and end the lock between two looks; nobody does so again and again.
ATTEMPTS = 3


class ActionModule(AwsAction):
    _supports_check_mode = True
    SPECIFICATION: ClassVar[Mapping[str, Any]] = {
        "deployment_name": {"type": "str", "required": True},
        "release": {"type": "str", "required": True},
        "break_lock": {"type": "bool", "default": False},
        "digests": {"type": "dict"},
        "ends_deployment": {"type": "bool", "default": False},
    }

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        parameters = self.take(self._task.args, self.SPECIFICATION)
        # It passes with the run, as a hold does.
        result["changed"] = False
        if self._task.check_mode:
            return result
        try:
            result["generation"] = self._held(parameters)
        except ReadError as error:
            error.section = error.section or "the deploy lock"
            raise AnsibleActionFail(advised(error.told())) from error
        if parameters["digests"] is not None:
            # Not the lock's release: one that was taken to provision knows of none.
            shipped = {name: parameters[name] for name in ("release", "digests")}
            new = self._directory / f"{SHIPPED}.new"
            new.write_text(json.dumps(shipped), encoding="utf-8")
            new.rename(self._directory / SHIPPED)
        return result

    @property
    def _directory(self) -> Path:
        """The run's own, which Ansible removes at its end."""
        return Path(constants.DEFAULT_LOCAL_TMP) / DIRECTORY

    def _held(self, parameters: Mapping[str, Any]) -> int:
        """The generation that this run has from now on. Raises ReadError and AnsibleActionFail."""
        ssm, run = self.client("ssm"), f"{socket.gethostname()}:{self._directory.parent.name}"
        for _ in range(ATTEMPTS):
            locks, now = read_locks(read_lock_generations(ssm, lock_path(parameters["deployment_name"]))), _now()
            found = decide(locks, run, now, breaks=parameters["break_lock"], had=self._directory.exists())
            if found.becomes == "lost":
                raise AnsibleActionFail("\n".join(report([loss(found.found, now)])))
            if found.becomes == "refused" and found.found:
                raise AnsibleActionFail("\n".join(report([refusal(found.found, now)])))
            if found.becomes == "held" or self._taken(ssm, found, run, parameters):
                break
        else:
            raise AnsibleActionFail("deploy lock: others took it again and again. Run again.")
        if not self._directory.exists():
            self._keep(found.generation, parameters)
        return found.generation

    def _taken(self, ssm: Any, found: Decision, run: str, parameters: Mapping[str, Any]) -> bool:
        """Whether the generation could be created, and nobody has a later one."""
        deployment, now = parameters["deployment_name"], _now()
        owner = who(read_caller(self.client("sts"), True)["arn"])
        playbook = playbook_name(context.CLIARGS["args"][0])
        lock = Lock(
            found.generation, run, owner, socket.gethostname(), playbook, parameters["release"],
            taken_at=time_text(now), expires_at=time_text(now + LEASE),
        )  # fmt: skip
        name = lock_name(deployment, lock.generation)
        if not ask(ssm, "put_parameter", "ParameterAlreadyExists", Name=name, Value=lock_text(lock), **PARAMETER):
            return False
        locks = read_locks(read_lock_generations(ssm, lock_path(deployment)))
        if rivals(locks, lock.generation, _now(), breaks=parameters["break_lock"]):
            ask(ssm, "delete_parameter", "ParameterNotFound", Name=name)
            return False
        for generation in outlived(locks, lock.generation):
            ask(ssm, "delete_parameter", "ParameterNotFound", Name=lock_name(deployment, generation))
        if found.found:
            self._display.warning(f"The deploy lock was broken. It was that of {holder(found.found, now)}.")
        return True

    def _keep(self, generation: int, parameters: Mapping[str, Any]) -> None:
        """Start the keeper: a process of its own, which outlives this one and ends with the run."""
        self._directory.mkdir(mode=0o700)
        region, endpoint_url, connection = get_aws_connection_info(self)
        connection.pop("aws_config", None)
        deployment, ends = parameters["deployment_name"], parameters["ends_deployment"]
        order = Order(deployment, generation, str(self._directory), getppid(), region, endpoint_url, connection, ends)
        trouble = self._directory / TROUBLE
        with trouble.open("wb") as errors:
            keeper = subprocess.Popen(
                [sys.executable, "-m", "plugins.plugin_utils.lock_keeper"],
                # Keys neither in arguments nor in the environment.
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                env={**environ, "PYTHONPATH": str(ROOT)},
                cwd=ROOT,
                start_new_session=True,
            )
        assert keeper.stdin
        assert keeper.stdout
        with keeper.stdin, keeper.stdout:
            keeper.stdin.write(json.dumps(asdict(order)).encode())
            keeper.stdin.close()
            if not keeper.stdout.readline():
                raise AnsibleActionFail(f"deploy lock: its keeper did not start: {trouble.read_text(encoding='utf-8')}")


def _now() -> datetime:
    return datetime.now(UTC)

# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Collects what is known of the hosts of a run, and tells what becomes of each."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from ansible.plugins.action import ActionBase

from ..module_utils.hold import hold_time
from ..module_utils.reachability import answer_seconds
from ..module_utils.rollout import API, VARIABLES, Host, Run, decide, nobody_report, unreached
from ..module_utils.services import rows
from ..plugin_utils.operator_address import ask_address
from ..plugin_utils.variables import plain

NAMES: Mapping[str, Any] = {"type": "list", "elements": "str", "default": []}
OPTIONS: Mapping[str, Any] = {
    "hosts": NAMES,
    "asked": NAMES,
    "release": {"type": "str", "default": ""},
    "services": {"type": "dict", "default": {}},
    "wake_workers": {"type": "bool", "default": False},
    "interrupts_jobs": {"type": "bool", "default": False},
    "answer_seconds": {"type": "int", "default": 10},
    "boot_seconds": {"type": "int", "default": 300},
    "operator_address_url": {"type": "str", "default": ""},
    "operator_cidrs": NAMES,
}


def see(name: str, hostvars: Mapping[str, Any]) -> Host:
    found = hostvars[name]
    return Host.of(name, {variable: plain(found[variable]) for variable in VARIABLES if variable in found})


class ActionModule(ActionBase):  # type: ignore[misc]
    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        variables = task_vars or {}
        _, options = self.validate_argument_spec(argument_spec=OPTIONS)
        now, groups = datetime.now(UTC), variables["groups"]
        run = Run(
            options["release"],
            options["wake_workers"],
            options["interrupts_jobs"],
            self._task.check_mode,
            options["asked"],
            variables["ansible_run_tags"],
            variables["ansible_skip_tags"],
            groups,
            rows(options["services"]),
        )
        hosts = [see(name, variables["hostvars"]) for name in options["hosts"]]
        # Also those beyond the run: their tags tell what the database knows.
        api_hosts = [see(name, variables["hostvars"]) for name in groups.get(API, [])] if hosts else []
        result.update(decide(run, hosts, api_hosts), changed=False, held_until=hold_time(now))
        result["answer_seconds"] = {
            host.name: answer_seconds(host.launched, now, options["answer_seconds"], options["boot_seconds"])
            for host in hosts
            if host.runs
        }
        is_nobody = bool(unreached(hosts)) and not result["answering"]
        address = ask_address(options["operator_address_url"]) if is_nobody else None
        result["nobody_answers"] = nobody_report(hosts, address, options["operator_cidrs"]) if is_nobody else ""
        return result

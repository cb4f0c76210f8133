# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Puts together what several tasks of plan_info found, and tells it to people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.plugins.action import ActionBase

from ..module_utils.plan.report import deployment_entries, host_entries, report

OPTIONS: Mapping[str, Any] = {
    "aws": {"type": "dict", "required": True},
    "hosts": {"type": "list", "elements": "str", "required": True},
    "result": {"type": "str", "required": True},
}


class ActionModule(ActionBase):  # type: ignore[misc]
    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        validated = ArgumentSpecValidator(OPTIONS).validate(self._task.args)
        if validated.error_messages:
            raise AnsibleActionFail("; ".join(validated.error_messages))
        options = validated.validated_parameters
        hostvars = (task_vars or {})["hostvars"]
        entries, compared = [*options["aws"]["entries"]], []
        for host in options["hosts"]:
            variables, found = hostvars[host], options["aws"]["states"].get(host)
            looked = variables.get(options["result"], {})
            if "entries" in looked:
                entries += looked["entries"]
                compared.append(host)
            if not found:
                continue
            seen = {
                **found,
                "why": looked.get("msg", ""),
                "wanted": variables["release"],
                "aws_region": variables["aws_region"],
            }
            entries += deployment_entries(host, seen) if host in compared else host_entries(host, seen)
        told = report(entries, compared)
        for line in told.pop("text"):
            self._display.display(line)
        return {**result, "changed": False, "report": told}

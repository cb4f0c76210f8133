# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Puts together what tasks of status_info read, and tells it to people as one table."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.plugins.action import ActionBase

from ..module_utils.placeholders import unfilled
from ..module_utils.status import report

OPTIONS: Mapping[str, Any] = {
    "aws": {"type": "dict", "required": True},
    "hosts": {"type": "list", "elements": "str", "required": True},
    "queue_names": {"type": "list", "elements": "str", "required": True},
    "release": {"type": "str", "required": True},
    "result": {"type": "str", "required": True},
}


class ActionModule(ActionBase):  # type: ignore[misc]
    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        validated = ArgumentSpecValidator(OPTIONS).validate(self._task.args)
        if validated.error_messages:
            raise AnsibleActionFail("; ".join(validated.error_messages))
        options, hostvars = validated.validated_parameters, (task_vars or {})["hostvars"]
        hosts = {}
        for host in options["hosts"]:
            found = hostvars[host].get(options["result"], {})
            hosts[host] = {
                "may_be_stopped": hostvars[host]["instance_may_be_stopped"],
                "look": found if "services" in found else {},
                "why": found.get("msg", ""),
            }
        # One that nobody has filled in is not wanted.
        release = "" if unfilled({"release": options["release"]}) else options["release"]
        told = report(release, hosts, options["queue_names"], options["aws"], datetime.now(UTC))
        for line in told.pop("text"):
            self._display.display(line)
        return {**result, "changed": False, "report": told}

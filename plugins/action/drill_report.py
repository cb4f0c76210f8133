# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes what a drill has shown, tells it, and fails where a step did not come."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.plugins.action import ActionBase

from ..module_utils.drill import drill_report, drill_table

MODE = 0o644
OPTIONS: Mapping[str, Any] = {
    "path": {"type": "path", "required": True},
    "about": {"type": "dict", "required": True},
    "sent_at": {"type": "str", "required": True},
    "judged": {"type": "dict", "required": True},
    "followed": {"type": "dict", "required": True},
}


class ActionModule(ActionBase):  # type: ignore[misc]
    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        validated = ArgumentSpecValidator(OPTIONS).validate(self._task.args)
        if validated.error_messages:
            raise AnsibleActionFail("; ".join(validated.error_messages))
        given = validated.validated_parameters
        report = drill_report(given["about"], given["sent_at"], given["judged"], given["followed"])
        file = Path(given["path"])
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"{json.dumps(report, indent=4, sort_keys=True, ensure_ascii=False)}\n", encoding="utf-8")
        file.chmod(MODE)
        self._display.display("\n".join(drill_table(report)))
        failed = {} if report["ok"] else {"failed": True, "msg": report["reason"]}
        return {**result, "changed": True, **failed}

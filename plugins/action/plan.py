# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Binds a role's inputs, reads once what it asks for, and tells what it would change."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible.errors import AnsibleActionFail

from ..module_utils.aws_state import ReadError, UnfitNetworkError, observe
from ..module_utils.findings import errors, report
from ..module_utils.plan import Plan, Role, applied, diff, lines
from ..module_utils.plan.roles import ROLES
from ..module_utils.preflight import network_findings
from ..plugin_utils.aws_action import AwsAction, advised
from ..plugin_utils.variables import bind, code_sha256_of


class ActionModule(AwsAction):
    _supports_check_mode = True
    _supports_diff = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        name = self.take(self._task.args, {"role": {"type": "str", "required": True, "choices": [*ROLES]}})["role"]
        role = ROLES[name]
        inputs, findings = bind(name, task_vars or {}, self._loader)
        findings += [finding for rule in role.rules for finding in rule.findings(inputs)]
        inputs["check_mode"] = self._task.check_mode
        if role.has_code:
            inputs["code_sha256"] = code_sha256_of(name)
        plan = Plan(refusals=findings) if errors(findings) else self._plan(role, inputs)
        result.update(
            changed=False,
            refusals=[finding.as_dict() for finding in plan.refusals],
            differences=[change.as_dict() for change in plan.changes],
            # In check mode there is nothing left for the role's tasks to do.
            changes=applied([] if self._task.check_mode else plan.changes, role.applies),
        )
        if errors(plan.refusals):
            return {**result, "failed": True, "msg": "\n".join(report(errors(plan.refusals)))}
        for line in lines(plan.changes, name):
            self._display.display(line)
        if self._task.check_mode:
            result.update(changed=bool(plan.changes), diff=[diff(change) for change in plan.changes])
        return result

    def _plan(self, role: Role, inputs: Mapping[str, Any]) -> Plan:
        try:
            found = observe(role.reads(inputs), self.client)
        except UnfitNetworkError as error:
            return Plan(refusals=network_findings(str(error)))
        except ReadError as error:
            raise AnsibleActionFail(advised(error.told())) from error
        return role.decide(inputs, found)

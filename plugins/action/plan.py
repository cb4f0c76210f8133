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

HOST_STATE = "academy.deploy.host_state_info"


class ActionModule(AwsAction):
    _supports_check_mode = True
    _supports_diff = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        name = self.take(self._task.args, {"role": {"type": "str", "required": True, "choices": [*ROLES]}})["role"]
        role = ROLES[name]
        variables = task_vars or {}
        inputs, findings = bind(name, variables, self._loader, role.texts)
        findings += [finding for rule in role.rules for finding in rule.findings(inputs)]
        if role.has_code:
            inputs["code_sha256"] = code_sha256_of(name)
        plan = Plan(refusals=findings) if errors(findings) else self._plan(role, inputs, variables)
        refusals = [*plan.refusals, *([] if self._task.check_mode else plan.missing)]
        result.update(
            changed=False,
            settled=not plan.unsettled,
            refusals=[finding.as_dict() for finding in refusals],
            differences=[change.as_dict() for change in plan.changes],
            # In check mode there is nothing left for the role's tasks to do.
            changes=applied([] if self._task.check_mode else plan.changes, role.applies),
        )
        if errors(refusals):
            return {**result, "failed": True, "msg": "\n".join(report(errors(refusals)))}
        if plan.unsettled:
            # Told where the task that asks again and again gives up.
            return {**result, "msg": "\n".join(report(plan.unsettled))}
        begin = f"{variables['inventory_hostname']}: " if role.on_host else ""
        for line in lines(plan.changes, name):
            self._display.display(f"{begin}{line}")
        if self._task.check_mode:
            result.update(changed=bool(plan.changes), diff=[diff(change) for change in plan.changes])
        return result

    def _plan(self, role: Role, inputs: Mapping[str, Any], variables: dict[str, Any]) -> Plan:
        asked = role.reads(inputs)
        if role.on_host:
            return role.decide(inputs, self._see_host(asked, variables))
        try:
            found = observe(asked, self.client)
        except UnfitNetworkError as error:
            return Plan(refusals=network_findings(str(error)))
        except ReadError as error:
            raise AnsibleActionFail(advised(error.told())) from error
        return role.decide(inputs, found)

    def _see_host(self, asked: Mapping[str, Any], variables: dict[str, Any]) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self._execute_module(HOST_STATE, module_args={**asked}, task_vars=variables)
        if found.get("failed") or found.get("unreachable"):
            raise AnsibleActionFail(f"{HOST_STATE} failed: {found.get('msg')}")
        return found

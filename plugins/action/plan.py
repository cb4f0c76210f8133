# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Binds a role's inputs, reads once what it asks for, and tells what it would change."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ansible.errors import AnsibleActionFail

from ..module_utils.aws_calls import ReadError
from ..module_utils.aws_state import UnfitNetworkError
from ..module_utils.deployment_state import Deployment, read_deployment
from ..module_utils.findings import errors, report
from ..module_utils.plan import Change, Plan, Role, applied, diff, lines
from ..module_utils.plan.roles import DECISIONS
from ..module_utils.preflight import network_findings
from ..plugin_utils.aws_action import advised
from ..plugin_utils.plan_action import PlanAction

OPTIONS: Mapping[str, Any] = {
    "role": {"type": "str", "required": True, "choices": [*DECISIONS]},
    "hosts": {"type": "list", "elements": "str"},
    "decided": {"type": "dict"},
}


class ActionModule(PlanAction):
    _supports_diff = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        options = self.take(self._task.args, OPTIONS, mutually_exclusive=[("hosts", "decided")])
        if options["decided"] is not None:
            return {**result, **options["decided"]}
        name, hosts, variables = options["role"], options["hosts"], task_vars or {}
        role = DECISIONS[name]
        if role.each_host != (hosts is not None):
            raise AnsibleActionFail(f"hosts: must {'be given' if role.each_host else 'not be given'} for {name}")
        inputs, findings = self.inputs_of(name, hosts, variables)
        plan = Plan(refusals=findings) if errors(findings) else self._plan(role, inputs, variables)
        # In check mode no other role has made what this one needs.
        refusals = [*plan.refusals, *([] if self._task.check_mode else plan.missing)]
        if errors(refusals):
            # Ansible shows all of a failed result, and the message alone is for people.
            return {**result, "failed": True, "settled": True, "msg": "\n".join(report(errors(refusals)))}
        if plan.unsettled:
            plan = Plan(unsettled=plan.unsettled, known=plan.known)
        result.update(self._told(role, plan.changes, plan.pending))
        result.update(
            refusals=[finding.as_dict() for finding in refusals], settled=not plan.unsettled, known=plan.known
        )
        if plan.unsettled:
            # Told where the task that asks again and again gives up.
            return {**result, "msg": "\n".join(report(plan.unsettled))}
        for line in [
            *report(plan.notices),
            *lines(plan.changes, plan.tag or name, variables["inventory_hostname"] if role.on_host else ""),
        ]:
            self._display.display(line)
        # Each host says by itself that it would be changed.
        return {**result, "changed": False, "hosts": self._told_by_host(role, plan)} if role.each_host else result

    def _told(self, role: Role, changes: Sequence[Change], pending: Sequence[Change]) -> dict[str, Any]:
        told = {
            "changed": self._task.check_mode and bool(changes),
            "differences": [change.as_dict() for change in changes],
            # In check mode there is nothing left for the role's tasks to do.
            "changes": applied([] if self._task.check_mode else [*changes, *pending], role.applies),
        }
        return {**told, "diff": [diff(change) for change in changes]} if self._task.check_mode else told

    def _told_by_host(self, role: Role, plan: Plan) -> dict[str, dict[str, Any]]:
        """The same of each host that has something to do."""

        def of(changes: Iterable[Change], host: str) -> list[Change]:
            return [change for change in changes if change.host == host]

        hosts = dict.fromkeys(change.host for change in [*plan.changes, *plan.pending])
        return {host: self._told(role, of(plan.changes, host), of(plan.pending, host)) for host in hosts}

    def _plan(self, role: Role, inputs: Mapping[str, Any], variables: dict[str, Any]) -> Plan:
        asked = role.reads(inputs)
        try:
            if role.of_deployment:
                return role.decide(inputs, read_deployment(Deployment(**asked), self.client))
            if not role.on_host:
                return role.decide(inputs, self.read_aws(asked))
            aws = {"aws": self.read_aws(role.asks(inputs))} if role.asks else {}
        except UnfitNetworkError as error:
            return Plan(refusals=network_findings(str(error)))
        except ReadError as error:
            raise AnsibleActionFail(advised(error.told())) from error
        return role.decide(inputs, {**(self.read_host(asked, variables) if asked else {}), **aws})

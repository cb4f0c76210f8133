# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Binds a role's inputs, reads once what it asks for, and tells what it would change."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ansible.errors import AnsibleActionFail

from ..module_utils.aws_calls import ReadError
from ..module_utils.aws_state import UnfitNetworkError, observe
from ..module_utils.findings import Finding, errors, of_hosts, report
from ..module_utils.plan import Change, Plan, Role, applied, diff, lines
from ..module_utils.plan.roles import ROLES
from ..module_utils.preflight import network_findings
from ..plugin_utils.aws_action import AwsAction, advised
from ..plugin_utils.variables import HOSTS_GROUP, bind, bind_hosts, code_sha256_of

OPTIONS: Mapping[str, Any] = {
    "role": {"type": "str", "required": True, "choices": [*ROLES]},
    "hosts": {"type": "list", "elements": "str"},
    "decided": {"type": "dict"},
}
HOST_STATE = "academy.deploy.host_state_info"


class ActionModule(AwsAction):
    _supports_check_mode = True
    _supports_diff = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        options = self.take(self._task.args, OPTIONS, mutually_exclusive=[("hosts", "decided")])
        if options["decided"] is not None:
            return {**result, **options["decided"]}
        name, hosts, variables = options["role"], options["hosts"], task_vars or {}
        role = ROLES[name]
        if role.each_host != (hosts is not None):
            raise AnsibleActionFail(f"hosts: must {'be given' if role.each_host else 'not be given'} for {name}")
        inputs, findings = self._inputs(name, hosts, variables)
        plan = Plan(refusals=findings) if errors(findings) else self._plan(role, inputs, variables)
        # In check mode no other role has made what this one needs.
        refusals = [*plan.refusals, *([] if self._task.check_mode else plan.missing)]
        if errors(refusals) or plan.unsettled:
            plan = Plan(unsettled=plan.unsettled)
        result.update(self._told(role, plan.changes, plan.pending))
        result.update(
            refusals=[finding.as_dict() for finding in refusals], settled=not plan.unsettled, known=plan.known
        )
        if errors(refusals):
            return {**result, "failed": True, "msg": "\n".join(report(errors(refusals)))}
        if plan.unsettled:
            # Told where the task that asks again and again gives up.
            return {**result, "msg": "\n".join(report(plan.unsettled))}
        begin = f"{variables['inventory_hostname']}: " if role.on_host else ""
        for line in lines(plan.changes, plan.tag or name):
            self._display.display(f"{begin}{line}")
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

    def _inputs(
        self, name: str, hosts: Sequence[str] | None, variables: Mapping[str, Any]
    ) -> tuple[dict[str, Any], list[Finding]]:
        """What the role decides by, and everything that is wrong with it."""
        role = ROLES[name]
        if hosts is None:
            inputs, findings = bind(name, variables, self._loader, role.texts)
            own = {"code_sha256": code_sha256_of(name)} if role.has_code else {}
            if role.on_host:
                own["inventory_hostname"] = variables["inventory_hostname"]
            return {**inputs, **own}, [*findings, *role.findings(inputs)]
        bound, by_host = bind_hosts(name, hosts, variables, self._loader)
        findings = of_hosts({host: [*by_host[host], *role.findings(bound[host])] for host in hosts})
        return {"hosts": bound, "inventory": variables["groups"].get(HOSTS_GROUP, [])}, findings

    def _plan(self, role: Role, inputs: Mapping[str, Any], variables: dict[str, Any]) -> Plan:
        asked = role.reads(inputs)
        try:
            if not role.on_host:
                return role.decide(inputs, self._see_aws(asked))
            aws = {"aws": self._see_aws(role.asks(inputs))} if role.asks else {}
        except UnfitNetworkError as error:
            return Plan(refusals=network_findings(str(error)))
        except ReadError as error:
            raise AnsibleActionFail(advised(error.told())) from error
        return role.decide(inputs, {**(self._see_host(asked, variables) if asked else {}), **aws})

    def _see_aws(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        return observe({**self.get_options(), **asked}, self.client)

    def _see_host(self, asked: Mapping[str, Any], variables: dict[str, Any]) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self._execute_module(HOST_STATE, module_args={**asked}, task_vars=variables)
        if found.get("failed"):
            raise AnsibleActionFail(f"{HOST_STATE} failed: {found.get('msg')}")
        return found

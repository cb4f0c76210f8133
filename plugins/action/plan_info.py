# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Has several roles decide by one read, and tells everything that they would change or refuse."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ansible.errors import AnsibleActionFail

from ..module_utils.aws_calls import ReadError
from ..module_utils.aws_state import UnfitNetworkError
from ..module_utils.findings import errors
from ..module_utils.placeholders import unfilled
from ..module_utils.plan import Plan, merged
from ..module_utils.plan.report import Entry, account_entries, plan_entries, states_of, unknown_entry
from ..module_utils.plan.roles import ROLES
from ..module_utils.preflight import network_findings, placeholder_findings
from ..plugin_utils.aws_action import advised
from ..plugin_utils.plan_action import PlanAction

ON_HOST = [name for name, role in ROLES.items() if role.on_host]
OPTIONS: Mapping[str, Any] = {
    "shared": {"type": "bool", "default": False},
    "hosts": {"type": "list", "elements": "str", "default": []},
    "roles": {"type": "list", "elements": "str", "choices": ON_HOST},
}
# A network that does not fit is its matter.
NETWORK = "network"


class ActionModule(PlanAction):
    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        options = self.take(self._task.args, OPTIONS, mutually_exclusive=[("shared", "roles"), ("hosts", "roles")])
        variables = task_vars or {}
        if options["roles"] is None:
            return {**result, "changed": False, **self._aws(options["shared"], options["hosts"], variables)}
        return {**result, "changed": False, "entries": self._host(options["roles"], variables)}

    def _aws(self, shared: bool, hosts: Sequence[str], variables: Mapping[str, Any]) -> dict[str, Any]:
        """What the roles that call AWS would do: those of what the hosts share, and those of each host."""
        placeholders = {name for raw in self._raw(shared, hosts, variables) for name in unfilled(raw)}
        if placeholders:
            refused = Plan(placeholder_findings(sorted(placeholders)))
            return {"entries": plan_entries("", refused), "states": {}}
        own = variables["hostvars"].raw_get("localhost") if shared else variables
        entries, inputs = self._bound(
            {
                name: hosts if role.each_host else None
                for name, role in ROLES.items()
                if not role.on_host and (hosts if role.each_host else shared)
            },
            {**own, "hostvars": variables["hostvars"], "groups": variables["groups"]},
        )
        asked = merged([{"caller": True}, *(ROLES[name].reads(values) for name, values in inputs.items())])
        try:
            found = self.read_aws(asked)
        except UnfitNetworkError as error:
            refused = Plan(network_findings(str(error)))
            why = "the network does not fit"
            return {"entries": [*entries, *plan_entries(NETWORK, refused), unknown_entry("AWS", why)], "states": {}}
        except (ReadError, AnsibleActionFail) as error:
            why = advised(error.told() if isinstance(error, ReadError) else str(error))
            return {"entries": [*entries, unknown_entry("AWS", why)], "states": {}}
        foreign = account_entries(found["caller"], own["aws_account_id"])
        if foreign:
            return {"entries": [*entries, *foreign], "states": {}}
        decided = self._decided(inputs, found)
        return {"entries": [*entries, *decided], "states": states_of(inputs.get("instance", {}), found)}

    def _raw(self, shared: bool, hosts: Iterable[str], variables: Mapping[str, Any]) -> Iterable[Mapping[str, Any]]:
        names = [*(["localhost"] if shared else []), *hosts]
        return (variables["hostvars"].raw_get(name) for name in names)

    def _host(self, roles: Sequence[str], variables: dict[str, Any]) -> list[Entry]:
        """What the roles would do that run on the task's host."""
        host = variables["inventory_hostname"]
        entries, inputs = self._bound(dict.fromkeys(roles), variables, host)
        try:
            found = self.read_host(merged(ROLES[name].reads(values) for name, values in inputs.items()), variables)
        except AnsibleActionFail as error:
            return [*entries, unknown_entry(host, str(error), host)]
        return [*entries, *self._decided(inputs, found, host)]

    def _bound(
        self, roles: Mapping[str, Sequence[str] | None], variables: Mapping[str, Any], host: str = ""
    ) -> tuple[list[Entry], dict[str, Any]]:
        """The inputs of the roles of which nothing is refused, and what is refused of the others."""
        entries, inputs = [], {}
        for name, hosts in roles.items():
            values, findings = self.inputs_of(name, hosts, variables)
            if errors(findings):
                entries += plan_entries(name, Plan(findings), host)
            else:
                inputs[name] = values
        return entries, inputs

    def _decided(self, inputs: Mapping[str, Any], found: Mapping[str, Any], host: str = "") -> list[Entry]:
        return [
            entry
            for name, values in inputs.items()
            for entry in plan_entries(name, ROLES[name].decide(values, found), host)
        ]

# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Has several roles decide by one read, and tells everything that they would change or refuse."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from ansible.errors import AnsibleActionFail

from ..module_utils.aws_calls import ReadError
from ..module_utils.aws_state import UnfitNetworkError
from ..module_utils.findings import errors, report
from ..module_utils.placeholders import unfilled
from ..module_utils.plan import Plan, merged
from ..module_utils.plan.report import Entry, account_entries, plan_entries, states_of, unknown_entry
from ..module_utils.plan.roles import ROLES
from ..module_utils.preflight import network_findings, placeholder_findings
from ..module_utils.services import on_host, roles_of_host
from ..plugin_utils.aws_action import advised
from ..plugin_utils.plan_action import PlanAction
from ..plugin_utils.variables import bind, container_variables

CONTAINER = "container"
OPTIONS: Mapping[str, Any] = {
    "shared": {"type": "bool", "default": False},
    "hosts": {"type": "list", "elements": "str", "default": []},
    "aws": {"type": "dict"},
}
# What the containers of hosts are told of AWS.
OF_CONTAINERS = ("container_images", "db_instance", "log_streams")
# A network that does not fit is its matter.
NETWORK = "network"


class Bound(NamedTuple):
    """A role against whose inputs nothing was found."""

    role: str
    inputs: Mapping[str, Any]


class Decided(NamedTuple):
    """A role and its decision."""

    role: str
    plan: Plan


def entries_of(decided: Iterable[Decided], host: str = "") -> list[Entry]:
    return [entry for role, plan in decided for entry in plan_entries(role, plan, host)]


def roles_of(decided: Iterable[Decided]) -> list[str]:
    """Those that have something to do, to wait for or to refuse."""
    return [*dict.fromkeys(role for role, plan in decided if not plan.is_empty)]


class ActionModule(PlanAction):
    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        options = self.take(
            self._task.args,
            OPTIONS,
            mutually_exclusive=[("shared", "aws"), ("hosts", "aws")],
        )
        variables = task_vars or {}
        if options["aws"] is None:
            return {**result, "changed": False, **self._aws(options["shared"], options["hosts"], variables)}
        return {**result, "changed": False, **self._host(options["aws"], variables)}

    def _aws(self, shared: bool, hosts: Sequence[str], variables: Mapping[str, Any]) -> dict[str, Any]:
        """What the roles that call AWS would do: those of what the hosts share, and those of each host."""
        asked_roles = {
            name: hosts if role.each_host else None
            for name, role in ROLES.items()
            if not role.on_host and (hosts if role.each_host else shared)
        }
        # Where AWS was not compared every role has to see for itself.
        nothing: dict[str, Any] = {"roles": [*asked_roles], "states": {}, "aws": {}}
        raw = {name: self._raw(name, variables) for name in [*(["localhost"] if shared else []), *hosts]}
        placeholders = {name for values in raw.values() for name in unfilled(values)}
        if placeholders:
            return {"entries": plan_entries("", Plan(placeholder_findings(sorted(placeholders)))), **nothing}
        own = next(iter(raw.values()), variables)
        decided, bound = self._bound(asked_roles, own)
        asked = merged(
            [
                {"caller": True},
                *(ROLES[role].reads(inputs) for role, inputs in bound),
                *self._asked_for_containers(hosts, raw),
            ]
        )
        try:
            found = self.read_aws(asked)
        except UnfitNetworkError as error:
            refused = plan_entries(NETWORK, Plan(network_findings(str(error))))
            unknown = unknown_entry("AWS", "its network does not fit")
            return {"entries": [*entries_of(decided), *refused, unknown], **nothing}
        except (ReadError, AnsibleActionFail) as error:
            why = advised(error.told() if isinstance(error, ReadError) else str(error))
            return {"entries": [*entries_of(decided), unknown_entry("AWS", why)], **nothing}
        foreign = account_entries(found["caller"], own["aws_account_id"])
        if foreign:
            return {"entries": [*entries_of(decided), *foreign], **nothing}
        decided += self._decided(bound, found)
        return {
            "entries": entries_of(decided),
            "roles": roles_of(decided),
            "states": states_of(dict(bound).get("instance", {}), found),
            "aws": {name: found[name] for name in OF_CONTAINERS if name in found},
        }

    def _raw(self, host: str, variables: Mapping[str, Any]) -> dict[str, Any]:
        raw = variables["hostvars"].raw_get(host)
        return {**raw, "hostvars": variables["hostvars"], "groups": variables["groups"]}

    def _asked_for_containers(
        self, hosts: Iterable[str], raw: Mapping[str, Mapping[str, Any]]
    ) -> Iterable[Mapping[str, Any]]:
        """What the containers of hosts need to know of AWS. What is wrong with them is told of hosts that run."""
        role = ROLES[CONTAINER]
        for host in hosts:
            for variables in self._of_services(raw[host]):
                common = self.shared_by_roles(variables)
                inputs, findings = bind(CONTAINER, variables, self._loader, shared=common, only=role.asked_by)
                if role.asks and not errors(findings):
                    yield role.asks({**inputs, "inventory_hostname": host})

    def _of_services(self, variables: Mapping[str, Any]) -> list[dict[str, Any]]:
        """The variables of each service of a host."""
        found = on_host(self.resolved(variables, "services"), variables["group_names"])
        return [container_variables(row.role, service, variables, self._loader) for service, row in found.items()]

    def _host(self, aws: Mapping[str, Any], variables: dict[str, Any]) -> dict[str, Any]:
        """What the roles would do that run on the task's host, those of its services among them."""
        host = variables["inventory_hostname"]
        asked = roles_of_host(self.resolved(variables, "services"), variables["group_names"], variables)
        # The roles of services have no inputs of their own but what they hand to container.
        decided, bound = self._bound({name: None for name in asked if name in ROLES}, variables)
        unread = []
        for of_service in self._of_services(variables):
            refused, one = self._bound({CONTAINER: None}, of_service)
            decided += refused
            if aws:
                bound += one
            elif one:
                unread.append(of_service["container_service"])
        unknown = [unknown_entry(f"{host}: {', '.join(unread)}", "AWS was not read", host)] if unread else []
        try:
            found = self.read_host(merged(ROLES[role].reads(inputs) for role, inputs in bound), variables)
        except AnsibleActionFail as error:
            unknown.append(unknown_entry(host, str(error), host))
            return {"entries": [*entries_of(decided, host), *unknown], "roles": [*asked, CONTAINER]}
        decided += self._decided(bound, {**found, "aws": aws})
        return {
            "entries": [*entries_of(decided, host), *unknown],
            "roles": [*roles_of(decided), *([CONTAINER] if unread else [])],
        }

    def _bound(
        self, roles: Mapping[str, Sequence[str] | None], variables: Mapping[str, Any]
    ) -> tuple[list[Decided], list[Bound]]:
        """The roles whose inputs are refused, and those that can decide."""
        refused, bound = [], []
        for name, hosts in roles.items():
            inputs, findings = self.inputs_of(name, hosts, variables)
            if errors(findings):
                refused.append(Decided(name, Plan(errors(findings))))
            else:
                bound.append(Bound(name, inputs))
        return refused, bound

    def _decided(self, bound: Iterable[Bound], found: Mapping[str, Any]) -> list[Decided]:
        decided = [Decided(role, ROLES[role].decide(inputs, found)) for role, inputs in bound]
        for line in report([notice for _, plan in decided for notice in plan.notices]):
            self._display.display(line)
        return decided

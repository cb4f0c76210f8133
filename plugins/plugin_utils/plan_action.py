# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What every task that decides for roles does: bind their inputs, and read what they ask for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ansible.errors import AnsibleActionFail

from ..module_utils.aws_state import observe
from ..module_utils.findings import Finding, of_hosts
from ..module_utils.plan.roles import DECISIONS
from ..module_utils.services import HOSTS_GROUP
from .aws_action import AwsAction
from .variables import Variables, bind, bind_hosts, code_sha256_of, hosts_of

HOST_STATE = "academy.deploy.host_state_info"


class PlanAction(AwsAction):
    _supports_check_mode = True

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        # By host, what the roles have in common. A task sees nothing change.
        self._shared: dict[str, Variables] = {}

    def inputs_of(
        self, name: str, hosts: Sequence[str] | None, variables: Mapping[str, Any]
    ) -> tuple[dict[str, Any], list[Finding]]:
        """What a role decides by, and everything that is wrong with it. With `hosts` where it decides for each host."""
        role = DECISIONS[name]
        if hosts is None:
            common = self.shared_by_roles(variables)
            inputs, findings = bind(name, variables, self._loader, role.texts, shared=common)
            own: dict[str, Any] = {"code_sha256": code_sha256_of(name)} if role.has_code else {}
            if role.has_hosts:
                hosts_found, unknown = hosts_of(variables, self._loader)
                own, findings = {**own, **hosts_found}, [*findings, *unknown]
            if role.on_host:
                own |= {name: variables[name] for name in ("inventory_hostname", "group_names")}
            inputs = {**inputs, **own}
            return inputs, [*findings, *role.findings(inputs)]
        bound, by_host = bind_hosts(name, hosts, variables, self._loader, self._shared)
        findings = of_hosts({host: [*by_host[host], *role.findings(bound[host])] for host in hosts})
        return {"hosts": bound, "inventory": variables["groups"].get(HOSTS_GROUP, [])}, findings

    def resolved(self, variables: Mapping[str, Any], name: str) -> Any:
        """A host's variable, which there must be."""
        return self.shared_by_roles(variables).take([name]).values[name]

    def shared_by_roles(self, variables: Mapping[str, Any]) -> Variables:
        host = variables["inventory_hostname"]
        return self._shared.setdefault(host, Variables(variables, host, self._loader))

    def read_aws(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        """What AWS tells. Raises ReadError, or UnfitNetworkError where the network is asked for."""
        return observe({**self.get_options(), **asked}, self.client)

    def read_host(self, asked: Mapping[str, Any], variables: dict[str, Any]) -> Mapping[str, Any]:
        """What host_state_info tells of the task's host. Raises AnsibleActionFail."""
        found: Mapping[str, Any] = self._execute_module(HOST_STATE, module_args={**asked}, task_vars=variables)
        if found.get("failed"):
            raise AnsibleActionFail(f"{HOST_STATE} failed: {found.get('msg')}")
        return found

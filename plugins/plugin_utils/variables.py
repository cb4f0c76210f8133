# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Variables resolved one by one on the control node: one that cannot be resolved must not hide the others."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from functools import cache, partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

from ansible.errors import AnsibleError, AnsibleUndefinedVariable
from ansible.template import trust_as_template
from ansible.vars.hostvars import HostVarsVars

from ..module_utils.archive import archive_of, code_sha256
from ..module_utils.findings import Finding, of_hosts
from ..module_utils.role_inputs import judge_inputs, unresolved_findings
from ..module_utils.services import HOSTS_GROUP
from ..module_utils.tree import read_entries

# The table of the application's variables. It has values that not everybody needs: it is looked at row by row.
TABLE = "application_variables"
ROLES = Path(__file__).resolve().parents[2] / "roles"
INCLUDE_ROLE, CONTAINER_ROLE = "ansible.builtin.include_role", "academy.deploy.container"
KIND = "instance_kind"
UNDEFINED = re.compile(r"'(\w+)' is undefined")


def plain(value: Any) -> Any:
    """All of a value resolved, so that nothing that is undefined hides in it."""
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return value


class Variables:
    """A host's variables, resolved one by one."""

    def __init__(self, variables: Mapping[str, Any], host: str, loader: Any) -> None:
        self._resolve = HostVarsVars(variables, loader=loader, host=host)
        self.values: dict[str, Any] = {}
        self.unresolved: dict[str, str] = {}

    def take(self, names: Iterable[str]) -> Variables:
        for name in names:
            if name in self._resolve and name not in self.values and name not in self.unresolved:
                self._take(name, partial(self._resolve.__getitem__, name))
        return self

    def take_template(self, name: str, template: Any) -> Variables:
        self._take(name, partial(self._resolve._templar.template, template))
        return self

    def _take(self, name: str, resolved: Callable[[], Any]) -> None:
        try:
            self.values[name] = plain(resolved())
        except AnsibleUndefinedVariable as error:
            missing = UNDEFINED.search(str(error))
            self.unresolved[name] = missing[1] if missing else ""
        except (AnsibleError, ValueError, TypeError):
            # What it says may hold a value.
            self.unresolved[name] = ""


@cache  # The loader keeps what it has read, but copies it for each who asks.
def role_options(role: str, loader: Any) -> Mapping[str, Mapping[str, Any]]:
    """The inputs of a role, as its argument specs declare them. Nobody changes them."""
    specs = loader.load_from_file(str(ROLES / role / "meta" / "argument_specs.yml"))
    return MappingProxyType(specs["argument_specs"]["main"]["options"])


@cache
def role_defaults(role: str, loader: Any) -> Mapping[str, Any]:
    """What a role says where nobody else does. Nobody changes it."""
    file = ROLES / role / "defaults" / "main.yml"
    found = loader.load_from_file(str(file), trusted_as_template=True) if file.exists() else None
    return MappingProxyType(found or {})


def container_variables(role: str, service: str, variables: Mapping[str, Any], loader: Any) -> dict[str, Any]:
    """A host's variables as the role container has them where a service's role includes it."""
    tasks = loader.load_from_file(str(ROLES / role / "tasks" / "main.yml"), trusted_as_template=True)
    (handed,) = (task["vars"] for task in tasks if task.get(INCLUDE_ROLE, {}).get("name") == CONTAINER_ROLE)
    return {**role_defaults(role, loader), **variables, **handed, "container_service": service}


def code_sha256_of(role: str) -> str:
    """What Lambda will say of the code in a role's files once it has it."""
    return code_sha256(archive_of(read_entries(str(ROLES / role / "files"))))


def bind(
    role: str,
    variables: Mapping[str, Any],
    loader: Any,
    texts: Iterable[str] = (),
    *,
    shared: Variables | None = None,
    only: Collection[str] | None = None,
) -> tuple[dict[str, Any], list[Finding]]:
    """A role's inputs of their types, and everything that is wrong with them, whether the role is in scope or not.

    Of the role's own files that are named, those that end in .j2 are rendered. `shared` is what other roles of the same
    host have resolved already, which most of the time goes into, and `only` names the inputs that are wanted.
    """
    options = role_options(role, loader)
    if only is not None:
        options = {name: spec for name, spec in options.items() if name in only}
    known = {**role_defaults(role, loader), **variables}
    host = variables["inventory_hostname"]
    own = Variables(known, host, loader)
    # What bears the role's name is its own; all else is the inventory's.
    common = shared or Variables(variables, host, loader)
    for name in options:
        (own if name.startswith(f"{role}_") else common).take([name])
    found = {name: value for name, value in {**common.values, **own.values}.items() if name in options}
    unresolved = {name: why for name, why in {**common.unresolved, **own.unresolved}.items() if name in options}
    resolved = {name: spec for name, spec in options.items() if name not in unresolved}
    values, findings = judge_inputs(found, resolved)
    findings = [*unresolved_findings(unresolved), *findings]
    if findings or not texts:
        return values, findings
    rendered = Variables({**known, **values}, host, loader)
    for name in texts:
        text = (ROLES / role / name).read_text(encoding="utf-8")
        if name.endswith(".j2"):
            rendered.take_template(name, trust_as_template(text))
        else:
            rendered.values[name] = text
    return {**values, "texts": rendered.values}, unresolved_findings(rendered.unresolved)


def hosts_of(variables: Mapping[str, Any], loader: Any) -> tuple[dict[str, Any], list[Finding]]:
    """The groups of the inventory and the kinds of its hosts, as far as they are known, and whose kind is not."""
    kinds: dict[str, str] = {}
    findings = {}
    for host in variables["groups"].get(HOSTS_GROUP, []):
        raw = {**variables["hostvars"].raw_get(host), "hostvars": variables["hostvars"]}
        found = Variables(raw, host, loader).take([KIND])
        findings[host] = unresolved_findings(found.unresolved)
        if KIND in found.values:
            kinds[host] = str(found.values[KIND])
    groups = {name: [*hosts] for name, hosts in variables["groups"].items()}
    return {"groups": groups, "kinds": kinds}, of_hosts(findings)


def bind_hosts(
    role: str, hosts: Iterable[str], variables: Mapping[str, Any], loader: Any, shared: dict[str, Variables]
) -> tuple[dict[str, dict[str, Any]], dict[str, list[Finding]]]:
    """The same for each of several hosts, by its own variables and with its name and groups."""
    values, findings = {}, {}
    for host in hosts:
        raw = {**variables["hostvars"].raw_get(host), "hostvars": variables["hostvars"]}
        common = shared.setdefault(host, Variables(raw, host, loader))
        bound, findings[host] = bind(role, raw, loader, shared=common)
        values[host] = {**bound, "inventory_hostname": host, "group_names": raw["group_names"]}
    return values, findings


def table_rows(table: Mapping[str, Any], variables: Mapping[str, Any], loader: Any) -> tuple[dict[str, Any], Variables]:
    """The rows of the table without their values, and those values as far as they can be resolved.

    What is no row stays as it is: it is judged with the others.
    """
    values, rows = Variables(variables, "localhost", loader), Variables(variables, "localhost", loader)
    for name, row in table.items():
        if not isinstance(row, Mapping):
            rows.values[name] = row
            continue
        rows.take_template(name, {key: None if key == "value" else item for key, item in row.items()})
        if "value" in row:
            values.take_template(name, row["value"])
    values.unresolved.update(rows.unresolved)
    return rows.values, values

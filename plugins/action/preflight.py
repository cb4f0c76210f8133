# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Collects the inputs on the control node, has them judged, and asks AWS once for what only AWS knows."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from ..module_utils.application_environment import table_findings
from ..module_utils.aws_calls import ReadError
from ..module_utils.aws_state import THREADS, UnfitNetworkError, observe
from ..module_utils.findings import Finding, errors, report
from ..module_utils.image_source import missing_files, read_work_tree, source_findings, work_tree_findings
from ..module_utils.network import MINIMUM_ZONES
from ..module_utils.opening import opening_findings, opening_reads
from ..module_utils.operator_policy import (
    DOCUMENTS,
    Question,
    Refusal,
    own_document,
    principal_of,
    questions,
    read_documents,
    refusal_findings,
    refusals,
    unknown_findings,
)
from ..module_utils.placeholders import unfilled
from ..module_utils.plan.roles import ROLES as DECISIONS
from ..module_utils.preflight import (
    CONNECTION,
    CONTROL_OPTIONS,
    Subject,
    aws_findings,
    environment_findings,
    image_findings,
    judge,
    network_findings,
    once,
    own_settings,
    public_key_findings,
    unreachable_findings,
)
from ..module_utils.reachability import changed_address_findings
from ..module_utils.services import HOSTS_GROUP, WORKER, image_definitions, on_host, role_findings, roles_of_host
from ..module_utils.young_account import account_findings
from ..module_utils.young_account import reads as account_reads
from ..plugin_utils.aws_action import AwsAction, advised
from ..plugin_utils.operator_address import ask_address
from ..plugin_utils.variables import ROLES, TABLE, Variables, role_defaults, role_options, table_rows

# Without these AWS cannot be asked, or must not.
CALLER_VARIABLES = ("aws_region", "aws_account_id")
ADDRESS_VARIABLES = ("operator_address_url", "operator_cidrs")
PERMISSION_VARIABLES = (*CALLER_VARIABLES, "deployment_name")
OPENING_VARIABLES = (
    "stage",
    "public_name",
    "certificate_arn",
    "load_balancer_name",
    "load_balancer_target_group_name",
    "network_security_group_names",
    "deployment_tags",
)
IMAGE_VARIABLES = ("release", "image_platform", "services")
KEY_BYTES = 16 * 1024
ALL_ROLES = {path.name for path in ROLES.iterdir()}
# What the inventory knows of a host that exists.
INSTANCE_ID = "aws_instance_id"
# Whose roles call AWS from the control node.
CONTROL = "control"


def options_of(roles: Iterable[str], loader: Any) -> dict[str, Mapping[str, Any]]:
    """The inputs of some roles together."""
    options: dict[str, Mapping[str, Any]] = {}
    for role in roles:
        for name, spec in role_options(role, loader).items():
            # What one role demands is not made optional by another.
            if not options.get(name, {}).get("required"):
                options[name] = spec
    options.pop(TABLE, None)
    return options


def subjects(
    roles: Mapping[str, Any], variables: Mapping[str, Any], raw_hosts: Mapping[str, Mapping[str, Any]], loader: Any
) -> tuple[Subject, dict[str, Subject]]:
    """The control node and the hosts, with all that the roles take and the rules judge."""
    options = options_of(roles[CONTROL], loader)
    control = Variables(variables, "localhost", loader).take({**options, **CONTROL_OPTIONS})
    # Only where a decision is asked here: other roles' defaults need what is known when they run.
    defaults = {
        name: value
        for role in roles[HOSTS_GROUP]
        if role in DECISIONS
        for name, value in role_defaults(role, loader).items()
    }
    services = control.values.get("services")
    services = services if isinstance(services, Mapping) else {}
    hosts = {}
    for host, raw in raw_hosts.items():
        groups = raw["group_names"]
        # What the role container takes is given by the roles that call it.
        here = roles_of_host(services, groups, raw)
        if not services and isinstance(variables.get("services"), Mapping):
            # Rows that cannot be resolved name their roles all the same.
            here += [row.get("role", WORKER) for name, row in variables["services"].items() if name in groups]
        here = [role for role in here if role in ALL_ROLES]
        wanted = options_of([*roles[HOSTS_GROUP], *here], loader)
        known = {**defaults, **raw, "hostvars": variables["hostvars"]}
        found = Variables(known, host, loader).take(wanted)
        hosts[host] = Subject(found.values, wanted, found.unresolved, groups)
    return Subject(control.values, options, control.unresolved), hosts


class ActionModule(AwsAction):
    _supports_check_mode = True
    _connection_arguments: dict[str, Any]

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        variables = task_vars or {}
        options = self._options()
        raw_hosts = {host: variables["hostvars"].raw_get(host) for host in variables["groups"].get(HOSTS_GROUP, [])}
        control, hosts = subjects(options["roles"], variables, raw_hosts, self._loader)
        placeholders = {name for raw in (variables, *raw_hosts.values()) for name in unfilled(raw)}
        findings, values, complete = judge(control, hosts, placeholders)
        # Of rows that cannot be resolved the names are known all the same, to which the application's table refers.
        named = variables.get("services", ())
        services = values.get("services", dict.fromkeys(named if isinstance(named, Mapping) else ()))
        groups = {group for raw in raw_hosts.values() for group in raw["group_names"]}
        findings += role_findings(services, ALL_ROLES)
        findings += self._environment(variables, services, hosts) if services else []
        findings += self._public_keys(hosts, raw_hosts)
        sources = [] if "images_source_dir" in placeholders else self._sources(values)
        # What cannot be resolved is a finding like any other, which it would not be in the play's module_defaults.
        self._connection_arguments = {**values.get(CONNECTION, {}), **self._connection_arguments}
        wrong = {*placeholders, *control.unresolved, *(finding.subject for finding in errors(findings))}
        if options["aws"] and CONNECTION not in wrong and self._are_right(CALLER_VARIABLES, values, wrong):
            opens = self._are_right(OPENING_VARIABLES, values, wrong)
            new_hosts = {host for host, raw in raw_hosts.items() if INSTANCE_ID not in raw}
            asked, caller = self._ask_aws(values, complete, opens, new_hosts)
            findings += asked
            answered = not {"aws", "account"} & {finding.id for finding in asked}
            if answered and self._are_right(ADDRESS_VARIABLES, values, wrong):
                findings += changed_address_findings(
                    ask_address(values["operator_address_url"]), values["operator_cidrs"]
                )
            if options["permissions"] and answered and self._are_right(PERMISSION_VARIABLES, values, wrong):
                findings += self._ask_permissions(values, caller)
            if (options["images"] or sources) and answered and self._are_right(IMAGE_VARIABLES, values, wrong):
                images = self._ask_images(values, [row.name for row in on_host(services, groups).values()])
                findings += images if options["images"] else []
                # Nothing is built where nothing is missing.
                sources = sources if images else []
        findings += sources
        findings = once(findings)
        lines = report(findings)
        result.update(changed=False, findings=[finding.as_dict() for finding in findings], report=lines)
        if errors(findings):
            count = len(errors(findings))
            title = [
                f"{count} finding(s) must be fixed first; nothing was changed.",
                f"먼저 고쳐야 할 항목이 {count}개 있습니다. 아무것도 변경하지 않았습니다.",
                "",
            ]
            result.update(failed=True, msg="\n".join([*title, *lines]))
        return result

    def _options(self) -> dict[str, Any]:
        """Our own; the rest is AWS's connection and goes on to the modules that ask it."""
        specification = {
            "roles": {"type": "dict", "required": True},
            "aws": {"type": "bool", "default": True},
            "images": {"type": "bool", "default": False},
            "permissions": {"type": "bool", "default": True},
        }
        own = {name: value for name, value in self._task.args.items() if name in specification}
        validated = ArgumentSpecValidator(specification).validate(own)
        if validated.error_messages:
            raise AnsibleActionFail("; ".join(validated.error_messages))
        self._connection_arguments = {
            name: value for name, value in self._task.args.items() if name not in specification
        }
        parameters: dict[str, Any] = validated.validated_parameters
        return parameters

    def _environment(
        self, variables: Mapping[str, Any], services: Mapping[str, Any], hosts: Mapping[str, Subject]
    ) -> list[Finding]:
        """The application's table, row by row: a row whose value is missing must not hide the others."""
        table = variables.get(TABLE)
        if not isinstance(table, Mapping):
            return table_findings(table, services)
        found, resolved = table_rows(table, variables, self._loader)
        return environment_findings(found, services, resolved.values, resolved.unresolved, own_settings(hosts))

    def _are_right(self, names: Iterable[str], values: Mapping[str, Any], wrong: Collection[str]) -> bool:
        return all(name in values and name not in wrong for name in names)

    def _path(self, path: str) -> Path:
        """As Ansible finds it: from the working directory, or from the playbook's."""
        return Path(path) if Path(path).exists() else Path(self._loader.path_dwim(path))

    def _public_keys(self, hosts: Mapping[str, Subject], raw_hosts: Mapping[str, Mapping[str, Any]]) -> list[Finding]:
        """Of hosts that are yet to be made, as far as the inventory knows."""
        files = {
            subject.values.get("instance_public_key_file")
            for host, subject in hosts.items()
            if INSTANCE_ID not in raw_hosts[host]
        }
        findings = []
        for name in sorted(file for file in files if isinstance(file, str)):
            try:
                with self._path(name).open("rb") as file:
                    text = file.read(KEY_BYTES).decode("utf-8", "replace")
            except (OSError, ValueError):
                text = None
            findings += public_key_findings(name, text)
        return findings

    def _sources(self, values: Mapping[str, Any]) -> list[Finding]:
        definitions = values.get("images_definitions") or image_definitions(values.get("services", {}))
        directory = values.get("images_source_dir")
        if not directory or not definitions:
            return []
        root = str(Path(directory).expanduser())
        files = [definition["dockerfile"] for definition in definitions]
        missing = missing_files(root, [*filter(None, [values.get("images_base_dockerfile")]), *files])
        if missing or "release" not in values:
            return source_findings(directory, missing)
        return work_tree_findings(directory, values["release"], read_work_tree(root, values["release"]))

    def _ask_aws(
        self, values: Mapping[str, Any], hosts: Sequence[Mapping[str, Any]], opens: bool, new_hosts: Collection[str]
    ) -> tuple[list[Finding], str]:
        """What AWS's answer has against the inputs, opening among them, and who asked."""
        opening = opening_reads(values) if opens else {}
        options = {
            "caller": True,
            **account_reads(),
            "minimum_zones": MINIMUM_ZONES,
            "instance_types": sorted({host["instance_type"] for host in hosts}),
            "image_parameters": sorted({host["instance_ami_parameter"] for host in hosts}),
            **{name: values[name] for name in ("vpc_id", "subnet_ids") if values.get(name)},
            **(
                {"security_group_names": [*values["network_security_group_names"].values()], **opening}
                if opening
                else {}
            ),
        }
        findings, state = [], {}
        try:
            self.take(self._connection_arguments)
            state = observe(options, self.client)
        except UnfitNetworkError as error:
            findings, state = network_findings(str(error)), error.state
        except ReadError as error:
            findings = unreachable_findings(advised(error.told()), values["aws_region"])
        except AnsibleActionFail as error:
            findings = unreachable_findings(str(error), values["aws_region"])
        if opening and "security_groups" in state:
            findings = [*findings, *opening_findings(values, state)]
        caller = state.get("caller", {}).get("arn", "")
        young = account_findings(state, hosts, values.get("database_backup_retention_days"), new_hosts)
        return [*findings, *aws_findings(state, values["aws_account_id"], hosts), *young], caller

    def _ask_permissions(self, values: Mapping[str, Any], caller: str) -> list[Finding]:
        """Whether the caller may do what the published policies allow."""
        principal = principal_of(caller)
        if principal is None:
            return unknown_findings(caller, "neither a user nor a role")
        own = (values["aws_account_id"], values["deployment_name"], values["aws_region"])
        documents = {name: own_document(text, *own) for name, text in read_documents(DOCUMENTS).items()}
        iam = self.client("iam")

        def refused(question: Question) -> list[Refusal]:
            return refusals(question, question.ask(iam, principal))

        first, *others = questions(documents)
        try:
            # Who may not ask is told so once.
            found = refused(first)
            with ThreadPoolExecutor(THREADS) as pool:
                found += [refusal for answer in pool.map(refused, others) for refusal in answer]
        except ReadError as error:
            return unknown_findings(caller, str(error.cause))
        return refusal_findings(caller, found)

    def _ask_images(self, values: Mapping[str, Any], repositories: list[str]) -> list[Finding]:
        tag = values["release"]
        names = {name: f"{name}:{tag}" for name in repositories}
        try:
            asked = {**self.get_options(), "container_images": [*names.values()]}
            found = observe(asked, self.client)["container_images"]
        except ReadError as error:
            return unreachable_findings(advised(error.told()), values["aws_region"])
        images = {name: found.get(image) for name, image in names.items()}
        return image_findings(images, tag, values["image_platform"])

# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The local inventory's inputs, collected as the preflight collects them, once for all tests."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from ansible.inventory.manager import InventoryManager
from ansible.parsing.dataloader import DataLoader
from ansible.vars.hostvars import HostVars
from ansible.vars.manager import VariableManager

from plugins.action.preflight import subjects
from plugins.module_utils.findings import Finding
from plugins.module_utils.preflight import Subject, judge
from plugins.plugin_utils.variables import table_rows
from tests import support

ROLES = yaml.safe_load((support.ROOT / "roles/preflight/vars/main.yml").read_text(encoding="utf-8"))[
    "__preflight_roles"
]

PASSWORD = "AcaDmY.x~y-z_12"


def collected() -> tuple[Subject, dict[str, Subject], dict[str, Any], dict[str, Any]]:
    """The control node, the hosts, and the application's table: rows and values."""
    return collected_of(support.ROOT / "inventories/local/hosts.yml")


@cache
def collected_of(hosts_file: Path) -> tuple[Subject, dict[str, Subject], dict[str, Any], dict[str, Any]]:
    """The same of another inventory."""
    os.environ.pop("ANSIBLE_INVENTORY", None)
    loader = DataLoader()
    loader.set_basedir(str(support.ROOT))
    inventory = InventoryManager(loader, sources=[str(hosts_file)])
    manager = VariableManager(loader, inventory)
    hostvars = HostVars(inventory, manager, loader)
    variables = {**manager.get_vars(host=inventory.get_host("localhost")), "hostvars": hostvars}
    # What plugins give, whose loader is that of a running Ansible.
    variables |= {
        "release": "1a2b3c4",
        "database_password": PASSWORD,
        "ansible_check_mode": True,
    }
    raw = {host: hostvars.raw_get(host) for host in inventory.get_groups_dict()["instances"]}
    control, hosts = subjects(ROLES, variables, raw, loader)
    rows, values = table_rows(variables["application_variables"], variables, loader)
    return control, hosts, rows, values.values


def judged(
    change: Mapping[str, Any], *, host: str = "", without: tuple[str, ...] = (), placeholders: tuple[str, ...] = ()
) -> list[Finding]:
    """What is found when one input is another: the control node's, or that of one host."""
    control, hosts, _, _ = collected()
    if host:
        found = hosts[host]
        # Its default is the other's value, which was resolved before.
        if "transcode_volume_size_gib" in change:
            change = {**change, "instance_data_volume_size_gib": change["transcode_volume_size_gib"]}
        changed = replace(found, values={**found.values, **change})
        hosts = {**hosts, host: changed}
    else:
        kept = {name: value for name, value in control.values.items() if name not in without}
        control = replace(control, values={**kept, **change})
    findings, _, _ = judge(control, hosts, placeholders)
    return findings

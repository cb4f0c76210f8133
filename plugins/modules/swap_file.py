#!/usr/bin/python
# Copyright: academy.deploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

DOCUMENTATION = r"""
---
module: swap_file
short_description: Keep one swap file of a given size in use
description:
  - Writes, signs and turns on a swap file, or turns it off and removes it.
  - Every step is decided from what the host shows (size, holes, signature, C(/proc/swaps)), so a run that was
    interrupted at any point is repaired by the next.
  - A file that holds anything but swap space or zeros is never overwritten.
  - Keeps its line in C(/etc/fstab) too, which turns it on at every boot. All other lines stay as they are.
version_added: 0.1.0
extends_documentation_fragment:
  - academy.deploy.attributes.writes
author:
  - academy.deploy contributors (@academy)
attributes:
  diff_mode:
    description: Shows size, signature, use and the file's line in C(/etc/fstab), before and after.
    support: full
options:
  path:
    description: Absolute path of the file.
    type: path
    required: true
  size_mib:
    description: Its size in MiB. V(0) removes the file.
    type: int
    required: true
"""

EXAMPLES = r"""
- name: Keep 2 GiB of swap
  academy.deploy.swap_file:
    path: /swapfile
    size_mib: 2048

- name: Do without swap
  academy.deploy.swap_file:
    path: /swapfile
    size_mib: 0
"""

RETURN = r"""
steps:
  description: What was done, or in check mode would be done.
  type: list
  elements: str
  returned: success
  sample: [write, sign, turn on, enter]
"""

import os
import tempfile

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.findings import texts
from ..module_utils.fstab import PATH as FSTAB
from ..module_utils.fstab import parse_fstab, with_source
from ..module_utils.host_storage import read_swap_file, read_text
from ..module_utils.swap import MIB, describe, describe_wanted, plan_swap, wanted_entry, writing_command


def apply(module: AnsibleModule, step: str, path: str, size_mib: int) -> None:
    if step == "remove":
        os.unlink(path)
    elif step == "protect":
        protect(path)
    elif step == "enter":
        write_fstab(module, with_source(read_text(FSTAB), path, wanted_entry(path, size_mib * MIB)))
    else:
        if step == "write":
            # Closed before the first byte: what is swapped out must never be readable by others.
            os.close(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600))
        commands = {
            "turn off": ["swapoff", path],
            "write": writing_command(path, size_mib, file_system(module, path)),
            "sign": ["mkswap", path],
            "turn on": ["swapon", path],
        }
        module.run_command(commands[step], check_rc=True)


def file_system(module: AnsibleModule, path: str) -> str:
    """The type of the file system that carries the file."""
    command = ["findmnt", "--noheadings", "--output=FSTYPE", "--target", os.path.dirname(path)]
    return str(module.run_command(command, check_rc=True)[1]).strip()


def protect(path: str) -> None:
    os.chown(path, 0, 0)
    os.chmod(path, 0o600)


def write_fstab(module: AnsibleModule, text: str) -> None:
    """All at once: a host that is stopped halfway through the file would not boot."""
    descriptor, name = tempfile.mkstemp(dir=module.tmpdir)
    with os.fdopen(descriptor, "w", encoding="utf-8", errors="surrogateescape", newline="") as file:
        file.write(text)
    os.chmod(name, 0o644)
    # Keeps mode and owner of a file that is there.
    module.atomic_move(name, FSTAB)


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path", "required": True},
            "size_mib": {"type": "int", "required": True},
        },
        supports_check_mode=True,
    )
    path, size_mib = module.params["path"], module.params["size_mib"]
    found, fstab = read_swap_file(path), parse_fstab(read_text(FSTAB))
    plan = plan_swap(found, size_mib * MIB, fstab)
    if plan.refusals:
        module.fail_json(msg="\n".join(texts(plan.refusals)))
    if not module.check_mode:
        for step in plan.steps:
            apply(module, step, path, size_mib)
    module.exit_json(
        changed=bool(plan.steps),
        steps=plan.steps,
        diff={"before": describe(found, fstab), "after": describe_wanted(path, size_mib * MIB)},
    )


if __name__ == "__main__":
    main()

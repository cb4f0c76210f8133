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
author:
  - academy.deploy contributors (@academy)
attributes:
  check_mode:
    description: Says what would be done without doing it.
    support: full
  diff_mode:
    description: Shows size, signature and use, and C(/etc/fstab), before and after.
    support: full
  idempotent:
    description: Run again, it changes nothing.
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
import stat
import tempfile

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.fstab import PATH as FSTAB
from ..module_utils.host_state import meminfo_bytes
from ..module_utils.swap import (
    MIB,
    Room,
    SwapFile,
    content_of,
    describe,
    fstab_with,
    parse_swaps,
    plan_swap,
    signed_bytes,
)


def read_text(path: str) -> str:
    # As it stands, and so it is written: the other lines of fstab are not ours.
    with open(path, encoding="utf-8", newline="") as file:
        return file.read()


def read_swap_file(path: str) -> SwapFile:
    used = {swap.path: swap.used_bytes for swap in parse_swaps(read_text("/proc/swaps"))}
    try:
        status = os.lstat(path)
    except FileNotFoundError:
        return SwapFile(path)
    if not stat.S_ISREG(status.st_mode):
        return SwapFile(path, exists=True, regular=False)
    page_bytes = os.sysconf("SC_PAGE_SIZE")
    with open(path, "rb") as file:
        head = file.read(page_bytes)
    return SwapFile(
        path,
        exists=True,
        private=status.st_uid == 0 and stat.S_IMODE(status.st_mode) == 0o600,
        size_bytes=status.st_size,
        allocated_bytes=status.st_blocks * 512,
        content=content_of(head, page_bytes),
        signed_bytes=signed_bytes(head, page_bytes),
        active=path in used,
        used_bytes=used.get(path, 0),
    )


def read_room(directory: str) -> Room:
    disk = os.statvfs(directory)
    return Room(disk.f_bavail * disk.f_frsize, meminfo_bytes(read_text("/proc/meminfo"), "MemAvailable"))


def apply(module: AnsibleModule, step: str, path: str, size_mib: int) -> None:
    if step == "remove":
        os.unlink(path)
    elif step == "protect":
        protect(path)
    else:
        if step == "write":
            # Closed before the first byte: what is swapped out must never be readable by others.
            os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600))
        commands = {
            "turn off": ["swapoff", path],
            # Not fallocate: preallocated extents count as holes on some file systems.
            "write": ["dd", "if=/dev/zero", f"of={path}", "bs=1M", f"count={size_mib}", "conv=fsync"],
            "sign": ["mkswap", path],
            "turn on": ["swapon", path],
        }
        module.run_command(commands[step], check_rc=True)


def protect(path: str) -> None:
    os.chown(path, 0, 0)
    os.chmod(path, 0o600)


def write_fstab(module: AnsibleModule, text: str) -> None:
    """All at once: a host that is stopped halfway through the file would not boot."""
    descriptor, name = tempfile.mkstemp(dir=module.tmpdir)
    with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as file:
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
    directory = os.path.dirname(path)
    if not os.path.isdir(directory):
        module.fail_json(msg=f"there is no directory {directory} for the swap file; create it or name another path")
    found = read_swap_file(path)
    plan = plan_swap(found, size_mib * MIB, read_room(directory))
    if plan.problem:
        module.fail_json(msg=plan.problem)
    wanted = (
        SwapFile(path)
        if size_mib == 0
        else SwapFile(path, exists=True, size_bytes=size_mib * MIB, signed_bytes=size_mib * MIB, active=True)
    )
    fstab = read_text(FSTAB) if os.path.exists(FSTAB) else ""
    wanted_fstab = fstab_with(fstab, path, size_mib * MIB)
    enter = () if fstab == wanted_fstab else ("enter",)
    if not module.check_mode:
        for step in plan.steps:
            apply(module, step, path, size_mib)
        if enter:
            write_fstab(module, wanted_fstab)
    steps = [*plan.steps, *enter]
    module.exit_json(
        changed=bool(steps),
        steps=steps,
        diff=[
            {"before": describe(found), "after": describe(wanted if plan.steps else found)},
            {"before_header": FSTAB, "after_header": FSTAB, "before": fstab, "after": wanted_fstab},
        ],
    )


if __name__ == "__main__":
    main()

#!/usr/bin/python
# Copyright: academy.deploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

DOCUMENTATION = r"""
---
module: volume_filesystem
short_description: Make an XFS file system on an EBS volume that holds nothing, and refuse any other disk
description:
  - Finds the disk of a volume by its id, looks at it, and says by which UUID it can be mounted.
  - A disk gets an XFS file system if it has no signature (file system, partition table, LVM, RAID, swap) and reads as
    zeros wherever it is read - the first and last 4 MiB, the places where ext, XFS and btrfs keep copies of their
    superblocks, and a thousand blocks of 64 KiB spread evenly. One XFS file system is left as it is. Everything else is
    refused with what was found and where, how to look further, and what to do.
  - C(mkfs.xfs) is never forced, and discards nothing. Its UUID is derived from the volume's id, and a record below
    C(/var/lib/academy/volumes) is written before it and removed after it. With that record, what an interrupted run of
    our own has left is known again and, as nothing can be stored on it, repeated; anything else beside it is refused.
  - Mounting is not this module's.
version_added: 0.1.0
extends_documentation_fragment:
  - academy.deploy.attributes.writes
author:
  - academy.deploy contributors (@academy)
attributes:
  check_mode:
    description: >-
      Reads the disk just as well, and says what would be done without doing it; the returned UUID is the one that the
      file system would have.
    support: full
  diff_mode:
    description: Shows what the disk holds before and after.
    support: full
options:
  volume_id:
    description: Id of the EBS volume.
    type: str
    required: true
  size_gib:
    description: Size that the disk must at least have, in GiB.
    type: int
    required: true
  mount_point:
    description: Where the file system belongs. Refused while something else is mounted there or files lie there.
    type: path
    required: true
"""

EXAMPLES = r"""
- name: Prepare the volume for mounting
  academy.deploy.volume_filesystem:
    volume_id: vol-0123456789abcdef0
    size_gib: 100
    mount_point: /mnt/transcode
"""

RETURN = r"""
uuid:
  description: UUID of the file system.
  type: str
  returned: success
  sample: 5f0e1a1c-7d3c-5c1e-8a51-1f1e5dd1f6a0
"""

import os
import time

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.findings import texts
from ..module_utils.host_storage import read_volume
from ..module_utils.volume import (
    Disk,
    describe,
    describe_planned,
    filesystem_uuid,
    plan_volume,
    record_path,
    record_text,
)


def write_record(path: str, text: str) -> None:
    """On the disk, name and all, before it returns: a host may lose its power in the middle of mkfs.xfs."""
    directory = os.path.dirname(path)
    os.makedirs(directory, mode=0o755, exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def apply(module: AnsibleModule, step: str, disk: Disk, volume_id: str) -> None:
    record = record_path(volume_id)
    if step in ("record", "note"):
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        write_record(record, record_text(volume_id, disk.size_bytes, now, now if step == "note" else ""))
    elif step == "forget":
        os.unlink(record)
    elif step == "clear":
        module.run_command(["wipefs", "--all", disk.path], check_rc=True)
    else:
        # Without -f it refuses a signature, and with -K it discards nothing: what nobody read is not lost either.
        module.run_command(["mkfs.xfs", "-K", "-m", f"uuid={filesystem_uuid(volume_id)}", disk.path], check_rc=True)


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "volume_id": {"type": "str", "required": True},
            "size_gib": {"type": "int", "required": True},
            "mount_point": {"type": "path", "required": True},
        },
        supports_check_mode=True,
    )
    volume_id = module.params["volume_id"]

    def run(command: list[str]) -> str:
        return str(module.run_command(command, check_rc=True)[1])

    found = read_volume(run, volume_id, module.params["mount_point"], wait_seconds=0)
    plan = plan_volume(found, module.params["size_gib"])
    if plan.refusals:
        module.fail_json(msg="\n".join(texts(plan.refusals)))
    # What has no disk is refused.
    if found.disk and not module.check_mode:
        for step in plan.steps:
            apply(module, step, found.disk, volume_id)
    module.exit_json(
        changed=bool(plan.steps),
        uuid=plan.filesystem_uuid,
        diff={"before": describe(found), "after": describe_planned(found, plan)},
    )


if __name__ == "__main__":
    main()

#!/usr/bin/python
# Copyright: academy.deploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

DOCUMENTATION = r"""
---
module: volume_filesystem
short_description: Make an XFS file system on an EBS volume that holds nothing, and refuse any other disk
description:
  - Finds the disk of a volume by its id, waits for it, looks at it, and says by which UUID it can be mounted.
  - A disk gets an XFS file system if it has no signature (file system, partition table, LVM, RAID, swap) and reads as
    zeros wherever it is read - the first and last 4 MiB, the places where ext, XFS and btrfs keep copies of their
    superblocks, and a thousand blocks of 64 KiB spread evenly. One XFS file system is left as it is. Everything else is
    refused with what was found and where, how to look further, and what to do.
  - C(mkfs.xfs) is never forced, and discards nothing. Its UUID is derived from the volume's id, and a record below
    C(/var/lib/academy/volumes) is written before it and removed after it. With that record, what an interrupted run of
    our own has left is known again and, as nothing can be stored on it, repeated; anything else beside it is refused.
  - Mounting is not this module's.
version_added: 0.1.0
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
  idempotent:
    description: Run again, it changes nothing.
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
  wait_seconds:
    description: How long to wait for the disk to appear.
    type: int
    default: 60
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
device:
  description: Path of the disk at present; it may be another one after the next boot.
  type: str
  returned: success
  sample: /dev/nvme1n1
device_number:
  description: Major and minor number of the disk.
  type: str
  returned: success
  sample: "259:1"
mounted:
  description: Whether it is mounted at the mount point already.
  type: bool
  returned: success
"""

import os
import time
import uuid
from dataclasses import replace

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.disk_content import Found, inspect, probe_ranges
from ..module_utils.fstab import Mount, parse_mountinfo
from ..module_utils.volume import (
    XFS_HEAD_BYTES,
    Disk,
    MountPoint,
    describe,
    device_link,
    filesystem_uuid,
    mounted_device,
    parse_children,
    parse_record,
    parse_signatures,
    places,
    plan_volume,
    record_path,
    record_text,
    worth_reading,
    xfs_state,
)


def wait_for(link: str, seconds: int) -> bool:
    deadline = time.monotonic() + seconds
    while not os.path.exists(link):
        if time.monotonic() >= deadline:
            return False
        time.sleep(1)
    return True


def run(module: AnsibleModule, *command: str) -> str:
    return str(module.run_command(list(command), check_rc=True)[1])


def read_mounts() -> tuple[Mount, ...]:
    with open("/proc/self/mountinfo", encoding="utf-8", newline="") as file:
        return parse_mountinfo(file.read())


def read_disk(module: AnsibleModule, path: str) -> Disk:
    device = os.stat(path).st_rdev
    device_number = f"{os.major(device)}:{os.minor(device)}"
    partitions, users = parse_children(run(module, "lsblk", "--json", "--output", "NAME,TYPE", path))
    with open(path, "rb") as file:
        head = file.read(XFS_HEAD_BYTES)
    found_uuid, unfinished = xfs_state(head)
    return Disk(
        path=path,
        device_number=device_number,
        size_bytes=int(run(module, "blockdev", "--getsize64", path)),
        signatures=parse_signatures(run(module, "wipefs", "--no-act", "--json", path)),
        partitions=partitions,
        filesystem_uuid=found_uuid,
        unfinished=unfinished,
        users=users,
        mounted_at=places(read_mounts(), device_number),
    )


def read_contents(disk: Disk, own_uuid: bytes) -> Disk:
    """Add what lies where a disk is read. It may be as quick as a second, and is done only where it decides."""
    contents: list[Found] = []
    offset = 0
    descriptor = os.open(disk.path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        # Nothing is read ahead, and nothing is believed that was read before somebody wrote past the cache.
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_RANDOM)
        for wanted in probe_ranges(disk.size_bytes):
            offset = wanted.offset
            data = os.pread(descriptor, wanted.length, offset)
            if len(data) < wanted.length:
                return replace(disk, unreadable=f"byte {offset + len(data)}: it ends there")
            contents += inspect(offset, data, own_uuid)
    except OSError as error:
        return replace(disk, unreadable=f"byte {offset}: {error.strerror}")
    finally:
        os.close(descriptor)
    return replace(disk, contents=tuple(contents))


def read_record(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except FileNotFoundError:
        return ""


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
        run(module, "wipefs", "--all", disk.path)
    else:
        # Without -f it refuses a signature, and with -K it discards nothing: what nobody read is not lost either.
        run(module, "mkfs.xfs", "-K", "-m", f"uuid={filesystem_uuid(volume_id)}", disk.path)


def read_mount_point(path: str) -> MountPoint:
    device_number = mounted_device(read_mounts(), path)
    entries = () if device_number or not os.path.isdir(path) else tuple(sorted(os.listdir(path)))
    return MountPoint(path, device_number, entries)


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "volume_id": {"type": "str", "required": True},
            "size_gib": {"type": "int", "required": True},
            "mount_point": {"type": "path", "required": True},
            "wait_seconds": {"type": "int", "default": 60},
        },
        supports_check_mode=True,
    )
    volume_id = module.params["volume_id"]
    link = device_link(volume_id)
    if not wait_for(link, module.params["wait_seconds"]):
        module.fail_json(
            msg=f"{link} did not appear within {module.params['wait_seconds']} seconds; see whether {volume_id} is "
            f"attached to this instance (aws ec2 describe-volumes --volume-ids {volume_id}), attach it and run again"
        )
    disk = read_disk(module, os.path.realpath(link))
    if worth_reading(disk):
        disk = read_contents(disk, uuid.UUID(filesystem_uuid(volume_id)).bytes)
    record = parse_record(read_record(record_path(volume_id)), volume_id, disk.size_bytes)
    place = read_mount_point(module.params["mount_point"])
    plan = plan_volume(disk, place, volume_id, module.params["size_gib"], record)
    if plan.problem:
        module.fail_json(msg=plan.problem)
    if not module.check_mode:
        for step in plan.steps:
            apply(module, step, disk, volume_id)
    before = describe(disk)
    module.exit_json(
        changed=bool(plan.steps),
        uuid=plan.filesystem_uuid,
        device=disk.path,
        device_number=disk.device_number,
        mounted=place.device_number == disk.device_number,
        diff={
            "before": before,
            "after": f"{disk.path}: XFS {plan.filesystem_uuid}\n" if "format" in plan.steps else before,
        },
    )


if __name__ == "__main__":
    main()

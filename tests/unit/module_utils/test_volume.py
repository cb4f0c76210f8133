# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A disk that holds anything is never formatted, and only the right disk is mounted."""

from __future__ import annotations

import json
import struct
import uuid
from dataclasses import asdict, replace

import pytest

from plugins.module_utils.disk_content import Found
from plugins.module_utils.findings import texts
from plugins.module_utils.fstab import Mount, parse_mountinfo
from plugins.module_utils.volume import (
    GIB,
    XFS_HEAD_BYTES,
    XFS_IN_PROGRESS_OFFSET,
    XFS_INODES_OFFSET,
    XFS_MAGIC,
    XFS_UUID_OFFSET,
    Disk,
    MountPoint,
    Plan,
    Record,
    Volume,
    describe,
    describe_planned,
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
    volume_of,
    worth_reading,
    xfs_state,
)

VOLUME = "vol-0123456789abcdef0"
OWN = filesystem_uuid(VOLUME)
FOREIGN = "0b9c2f7e-3a55-4c6d-9b1e-000000000001"
PLACE = MountPoint("/mnt/transcode")
EMPTY = Disk("/dev/nvme1n1", "259:1", 100 * GIB)
XFS = replace(EMPTY, signatures=("xfs",), filesystem_uuid=FOREIGN)
MAKE = ("record", "format", "forget")
RESUME = ("note", "clear", "format", "forget")
NO_RECORD, BEGUN, CLEARED = Record(), Record(begun=True), Record(begun=True, cleared=True)
OURS = Found(0, "an XFS superblock", "xfs_repair -n {path}", own=True)
DATA = Found(9 * GIB)
# What mkfs.xfs leaves when it is killed: with its superblock, or, killed for the second time, without it.
KILLED = replace(XFS, filesystem_uuid=OWN, unfinished=True, contents=(OURS, replace(OURS, offset=25 * GIB)))
KILLED_TWICE = replace(EMPTY, contents=(replace(OURS, offset=25 * GIB),))


def planned(disk: Disk, place: MountPoint = PLACE, record: Record = NO_RECORD) -> Plan:
    return plan_volume(Volume(VOLUME, place, disk=disk, record=record), 100)


def refused(plan: Plan) -> str:
    assert plan.steps == ()
    (text,) = texts(plan.refusals)
    return text


@pytest.mark.parametrize(
    ("disk", "place", "steps", "uuid_"),
    [
        pytest.param(EMPTY, PLACE, MAKE, OWN, id="holds nothing"),
        pytest.param(replace(EMPTY, size_bytes=200 * GIB), PLACE, MAKE, OWN, id="larger than asked"),
        pytest.param(XFS, PLACE, (), FOREIGN, id="holds an XFS"),
        pytest.param(
            replace(XFS, mounted_at=(PLACE.path,)),
            replace(PLACE, device_number="259:1"),
            (),
            FOREIGN,
            id="mounted where it belongs",
        ),
    ],
)
def test_plan(disk: Disk, place: MountPoint, steps: tuple[str, ...], uuid_: str) -> None:
    plan = planned(disk, place)
    assert (plan.steps, plan.filesystem_uuid, plan.refusals) == (steps, uuid_, ())


@pytest.mark.parametrize(
    ("disk", "record", "steps", "uuid_"),
    [
        pytest.param(EMPTY, BEGUN, MAKE, OWN, id="killed before its first write"),
        pytest.param(KILLED, BEGUN, RESUME, OWN, id="killed"),
        pytest.param(KILLED, CLEARED, RESUME, OWN, id="killed twice, with a superblock"),
        pytest.param(KILLED_TWICE, CLEARED, RESUME, OWN, id="killed twice"),
        pytest.param(replace(XFS, filesystem_uuid=OWN), BEGUN, ("forget",), OWN, id="killed after its last write"),
        pytest.param(XFS, CLEARED, ("forget",), FOREIGN, id="somebody made one by hand since"),
    ],
)
def test_plan_with_a_record(disk: Disk, record: Record, steps: tuple[str, ...], uuid_: str) -> None:
    plan = planned(disk, record=record)
    assert (plan.steps, plan.filesystem_uuid, plan.refusals) == (steps, uuid_, ())


@pytest.mark.parametrize(
    ("disk", "says"),
    [
        pytest.param(
            replace(KILLED, contents=(OURS, DATA)),
            "holds an unfinished file system (xfs), data at byte 9663676416",
            id="data beside it",
        ),
        pytest.param(replace(KILLED_TWICE, contents=(OURS, DATA)), "it holds data at byte", id="data beside the rest"),
        pytest.param(replace(EMPTY, contents=(DATA,)), "it holds data at byte 9663676416", id="data alone"),
        pytest.param(replace(KILLED, filesystem_uuid=FOREIGN), "an unfinished file system (xfs);", id="another UUID"),
        pytest.param(replace(KILLED, signatures=("xfs", "gpt")), "a partition table (gpt)", id="a partition table too"),
        pytest.param(replace(KILLED, signatures=("ext4",)), "a file system (ext4)", id="another file system"),
        pytest.param(replace(KILLED, partitions=("nvme1n1p1",)), "partition nvme1n1p1", id="partitions"),
        pytest.param(replace(KILLED_TWICE, partitions=("nvme1n1p1",)), "partition nvme1n1p1", id="partitions alone"),
    ],
)
def test_refusals_with_a_record(disk: Disk, says: str) -> None:
    text = refused(planned(disk, record=CLEARED))
    assert says in text
    assert "There is no record" not in text


def test_a_finished_file_system_of_ours_that_lost_its_head_is_not_taken_for_an_unfinished_one() -> None:
    text = refused(planned(KILLED_TWICE, record=BEGUN))
    assert "it holds an XFS superblock at byte 26843545600" in text


@pytest.mark.parametrize(
    ("disk", "place", "says"),
    [
        pytest.param(
            replace(EMPTY, size_bytes=99 * GIB), PLACE, "has 99 GiB, but transcode_volume_size_gib", id="small"
        ),
        pytest.param(
            replace(EMPTY, signatures=("ext4",)), PLACE, "it holds a file system (ext4);", id="foreign file system"
        ),
        pytest.param(
            replace(EMPTY, signatures=("gpt", "gpt", "PMBR")),
            PLACE,
            "it holds a partition table (gpt);",
            id="partition table",
        ),
        pytest.param(replace(EMPTY, partitions=("nvme1n1p1",)), PLACE, "partition nvme1n1p1", id="partitions"),
        pytest.param(replace(EMPTY, signatures=("LVM2_member",)), PLACE, "a physical volume of LVM", id="LVM"),
        pytest.param(replace(EMPTY, signatures=("linux_raid_member",)), PLACE, "a member of a RAID", id="RAID"),
        pytest.param(replace(EMPTY, signatures=("swap",)), PLACE, "holds swap space", id="swap"),
        pytest.param(
            replace(XFS, signatures=("xfs", "gpt")),
            PLACE,
            "a file system (xfs), a partition table (gpt)",
            id="XFS and a partition table",
        ),
        pytest.param(
            replace(XFS, unfinished=True), PLACE, "an unfinished file system (xfs)", id="someone else's unfinished mkfs"
        ),
        pytest.param(
            KILLED,
            PLACE,
            "(xfs); only a disk that holds nothing is formatted, and only a single XFS file system is mounted. "
            f"There is no record (/var/lib/academy/volumes/{VOLUME}.json) that its mkfs.xfs was ours",
            id="an unfinished mkfs without a record",
        ),
        pytest.param(KILLED_TWICE, PLACE, "an XFS superblock at byte 26843545600", id="our XFS without its head"),
        pytest.param(
            replace(
                EMPTY,
                contents=(
                    Found(1048576),
                    Found(134217728, "an ext backup superblock", "e2fsck -n -b 32768 -B 4096 {path}"),
                    Found(4294967296, blocks=2),
                ),
            ),
            PLACE,
            "it holds an ext backup superblock at byte 134217728, data at byte 1048576 (without a signature; of the "
            "blocks that were read 4 are not zeros); only a disk that holds nothing is formatted, and only a single "
            "XFS file system is mounted. Look further (e2fsck -n -b 32768 -B 4096 /dev/nvme1n1; "
            "hexdump -C -s 1048576 -n 512 /dev/nvme1n1). Save what is on it; if it may be lost, make the file system "
            "yourself (wipefs --all /dev/nvme1n1 && mkfs.xfs /dev/nvme1n1) and run again",
            id="no signature",
        ),
        pytest.param(
            replace(EMPTY, unreadable="byte 4096: Input/output error"),
            PLACE,
            "cannot be read (byte 4096: Input/output error)",
            id="unreadable",
        ),
        pytest.param(replace(EMPTY, users=("lvm data",)), PLACE, "in use by lvm data", id="in use"),
        pytest.param(replace(XFS, mounted_at=("/srv",)), PLACE, "already mounted at /srv", id="mounted elsewhere"),
        pytest.param(XFS, replace(PLACE, device_number="259:7"), "another device (259:7)", id="place is taken"),
        pytest.param(
            XFS, replace(PLACE, entries=("a.mp4", "b")), "holds a.mp4, b, which mounting would hide", id="files"
        ),
    ],
)
def test_refusals(disk: Disk, place: MountPoint, says: str) -> None:
    assert says in refused(planned(disk, place))


def test_a_disk_that_does_not_appear_is_refused() -> None:
    text = refused(plan_volume(Volume(VOLUME, PLACE, waited_seconds=60), 100))
    assert "_vol0123456789abcdef0 did not appear within 60 seconds. See whether" in text


@pytest.mark.parametrize(
    "found",
    [
        Volume(VOLUME, replace(PLACE, entries=("a",)), 60),
        Volume(VOLUME, PLACE, 60, KILLED, CLEARED),
        Volume(VOLUME, PLACE, 0, replace(EMPTY, users=("lvm data",), partitions=("nvme1n1p1",), mounted_at=("/srv",))),
    ],
)
def test_what_a_host_shows_is_the_same_on_the_control_node(found: Volume) -> None:
    assert volume_of(json.loads(json.dumps(asdict(found)))) == found


def test_names_follow_from_the_volume_id() -> None:
    assert device_link(VOLUME) == "/dev/disk/by-id/nvme-Amazon_Elastic_Block_Store_vol0123456789abcdef0"
    assert filesystem_uuid(VOLUME) == OWN != filesystem_uuid("vol-0123456789abcdef1")


@pytest.mark.parametrize(
    ("text", "record"),
    [
        (record_text(VOLUME, 100 * GIB, "2026-01-01T00:00:00Z"), BEGUN),
        (record_text(VOLUME, 100 * GIB, "2026-01-01T00:00:00Z", "2026-01-01T00:00:00Z"), CLEARED),
        (record_text("vol-0123456789abcdef1", 100 * GIB, "2026-01-01T00:00:00Z"), Record()),
        (record_text(VOLUME, 200 * GIB, "2026-01-01T00:00:00Z"), Record()),
        (record_text(VOLUME, 100 * GIB, "")[:40], Record()),
        ("[" * 100_000, Record()),
        ("[]", Record()),
        ("{}", Record()),
        ("", Record()),
    ],
)
def test_a_record_is_of_one_disk(text: str, record: Record) -> None:
    assert parse_record(text, VOLUME, 100 * GIB) == record


def test_each_volume_has_a_record_of_its_own() -> None:
    assert record_path(VOLUME) == f"/var/lib/academy/volumes/{VOLUME}.json"


@pytest.mark.parametrize(
    ("disk", "worth"),
    [(EMPTY, True), (KILLED, True), (XFS, False), (replace(EMPTY, signatures=("ext4",)), False)],
)
def test_a_disk_is_read_where_its_signatures_do_not_say_enough(disk: Disk, worth: bool) -> None:
    assert worth_reading(disk) is worth


def superblock(in_progress: int, inodes: int) -> bytes:
    head = bytearray(XFS_HEAD_BYTES)
    head[: len(XFS_MAGIC)] = XFS_MAGIC
    head[XFS_UUID_OFFSET : XFS_UUID_OFFSET + 16] = uuid.UUID(OWN).bytes
    head[XFS_IN_PROGRESS_OFFSET] = in_progress
    struct.pack_into(">Q", head, XFS_INODES_OFFSET, inodes)
    return bytes(head)


@pytest.mark.parametrize(
    ("head", "state"),
    [
        (b"", ("", False)),
        (bytes(XFS_HEAD_BYTES), ("", False)),
        (superblock(0, 64), (OWN, False)),
        (superblock(1, 0), (OWN, True)),
        (superblock(1, 64), (OWN, True)),
        (superblock(1, 128), (OWN, False)),
    ],
)
def test_superblock(head: bytes, state: tuple[str, bool]) -> None:
    assert xfs_state(head) == state


@pytest.mark.parametrize(
    ("output", "signatures"),
    [
        ("", ()),
        ('{"signatures":[]}', ()),
        (
            '{"signatures": [{"device":"nvme1n1", "offset":"0x438", "type":"ext4", "uuid":null, "label":null}]}',
            ("ext4",),
        ),
    ],
)
def test_wipefs(output: str, signatures: tuple[str, ...]) -> None:
    assert parse_signatures(output) == signatures


def test_lsblk() -> None:
    output = (
        '{"blockdevices": [{"name":"nvme1n1", "type":"disk", "children": ['
        '{"name":"nvme1n1p1", "type":"part"}, {"name":"vg-data", "type":"lvm"}]}]}'
    )
    assert parse_children(output) == (("nvme1n1p1",), ("lvm vg-data",))
    assert parse_children('{"blockdevices": [{"name":"nvme1n1", "type":"disk"}]}') == ((), ())


MOUNTINFO = """\
22 1 259:0 / / rw,relatime shared:1 - xfs /dev/nvme0n1p1 rw
90 22 0:50 / /mnt/transcode rw - tmpfs tmpfs rw
91 22 259:1 / /mnt/transcode rw,relatime - xfs /dev/nvme1n1 rw
92 22 259:1 /jobs /srv/my\\040jobs rw,relatime - xfs /dev/nvme1n1 rw
"""


def test_mounts() -> None:
    mounts = parse_mountinfo(MOUNTINFO)
    assert mounts[3] == Mount("/srv/my jobs", "259:1", "/jobs", "/dev/nvme1n1", "xfs", "rw,relatime")
    assert mounted_device(mounts, "/mnt/transcode") == "259:1"
    assert mounted_device(mounts, "/srv") == ""
    assert places(mounts, "259:1") == ("/mnt/transcode",)


RECORD = record_path(VOLUME)


@pytest.mark.parametrize(
    ("disk", "record", "before", "after"),
    [
        (EMPTY, Record(), ("nothing", None), (f"XFS {OWN}", None)),
        (XFS, Record(), ("a file system (xfs)", None), ("a file system (xfs)", None)),
        (XFS, BEGUN, ("a file system (xfs)", RECORD), ("a file system (xfs)", None)),
        (
            replace(KILLED, contents=()),
            CLEARED,
            ("an unfinished file system (xfs)", RECORD),
            (f"XFS {OWN}", None),
        ),
    ],
)
def test_description(disk: Disk, record: Record, before: tuple[str, str | None], after: tuple[str, str | None]) -> None:
    found = Volume(VOLUME, PLACE, disk=disk, record=record)
    assert describe(found) == dict(zip(("holds", "record"), before, strict=True))
    assert describe_planned(found, plan_volume(found, 100)) == dict(zip(("holds", "record"), after, strict=True))

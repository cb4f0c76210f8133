# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A disk that holds nothing gets a file system, a mount that is broken in any way is repaired, all else is refused."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any

import pytest

from plugins.module_utils.findings import texts
from plugins.module_utils.fstab import Entry, Mount, render
from plugins.module_utils.plan import Plan, applied, diff, lines
from plugins.module_utils.plan.transcode_volume import LIVE, MODE, OPTIONS, ROLE
from plugins.module_utils.volume import GIB, Disk, MountPoint, Record, Volume, filesystem_uuid, record_path

VOLUME = "vol-0123456789abcdef0"
OWN = filesystem_uuid(VOLUME)
PLACE = "/mnt/transcode"
INPUTS = {
    "transcode_volume_size_gib": 100,
    "transcode_volume_mount_point": PLACE,
    "transcode_volume_device_name": "/dev/sdf",
    "transcode_volume_wait_seconds": 60,
    "transcode_volume_block_device_mappings": [
        {"device_name": "/dev/xvda", "ebs": {"volume_id": "vol-root"}},
        {"device_name": "/dev/sdf", "ebs": {"volume_id": VOLUME}},
    ],
}
EMPTY = Disk("/dev/nvme1n1", "259:1", 100 * GIB)
XFS = replace(EMPTY, signatures=("xfs",), filesystem_uuid=OWN)
RESOURCE = f"/dev/nvme1n1 ({VOLUME})"

LINE = Entry(f"UUID={OWN}", PLACE, "xfs", OPTIONS)
TWICE = f"{render(LINE)}; {render(LINE)}"
BOOT = Entry("UUID=2", "/boot", "xfs", "defaults")
LIVE_MOUNT = Mount(PLACE, "259:1", options="rw,noatime")
UNIT = {
    "id": "mnt-transcode.mount",
    "fragment_path": "/run/systemd/generator/mnt-transcode.mount",
    "load_state": "loaded",
    "need_daemon_reload": False,
}
NO_UNIT = {**UNIT, "fragment_path": "", "load_state": "not-found"}
DIRECTORY = {"kind": "directory", "owner": "root", "group": "root", "mode": MODE}


def state(
    disk: Disk | None = XFS,
    *,
    record: Record | None = None,
    entries: tuple[Entry, ...] = (BOOT, LINE),
    directory: dict[str, str] | None = None,
    unit: dict[str, Any] | None = None,
    mounts: tuple[Mount, ...] = (Mount("/", "259:0"), LIVE_MOUNT),
) -> dict[str, Any]:
    """A host, of which everything is as wanted but what is named."""
    at = [mount.device_number for mount in mounts if mount.target == PLACE]
    place = MountPoint(PLACE, at[-1] if at else "")
    return {
        "volumes": {VOLUME: asdict(Volume(VOLUME, place, 60, disk, record or Record()))},
        "mounts": [asdict(mount) for mount in mounts],
        "fstab": [asdict(entry) for entry in entries],
        "fstab_not_utf8": [],
        "paths": {PLACE: directory or DIRECTORY},
        "units": {PLACE: {**UNIT, **(unit or {})}},
    }


NEW = state(EMPTY, entries=(BOOT,), directory={"kind": "absent"}, unit=NO_UNIT, mounts=())


def decided(found: dict[str, Any], **others: Any) -> Plan:
    return ROLE.decide({**INPUTS, **others}, found)


def test_an_fstab_that_the_module_cannot_read_is_refused_before_anything_is_changed() -> None:
    assert decided({**state(), "fstab_not_utf8": [1]}).refusals == ()
    plan = decided({**NEW, "fstab_not_utf8": [1, 3]})
    assert not plan.changes
    assert "/etc/fstab: must be UTF-8, and is not in line 1, 3" in texts(plan.refusals)[0]


def told(found: dict[str, Any]) -> list[str]:
    end = " (guide §8.1; --tags transcode_volume)"
    plan = decided(found)
    assert not plan.refusals
    shown = lines(plan.changes, "transcode_volume")
    assert all(line.endswith(end) for line in shown)
    return [line.removesuffix(end).removeprefix(f"~ {PLACE}: ") for line in shown]


@pytest.mark.parametrize(
    ("found", "differs"),
    [
        pytest.param(state(), [], id="as wanted"),
        pytest.param(NEW, [f"~ {RESOURCE}: holds: nothing -> XFS {OWN}", f"+ {PLACE}: create"], id="new host"),
        pytest.param(
            state(record=Record(begun=True)),
            [f"~ {RESOURCE}: record: {record_path(VOLUME)} -> none"],
            id="a record of what came to its end",
        ),
        pytest.param(state(mounts=()), ["mount: none -> /dev/nvme1n1"], id="not mounted"),
        pytest.param(
            state(mounts=(), directory={**DIRECTORY, "mode": "0000"}),
            ["mount: none -> /dev/nvme1n1", "mode: 0000 -> 1777"],
            id="not mounted, closed",
        ),
        pytest.param(
            state(mounts=(replace(LIVE_MOUNT, options="ro,noatime"),)),
            [f"options: ro,noatime -> {LIVE}"],
            id="remounted read-only",
        ),
        pytest.param(
            state(mounts=(replace(LIVE_MOUNT, options="rw,noexec,noatime"),)),
            [f"options: rw,noexec,noatime -> {LIVE}"],
            id="remounted noexec",
        ),
        pytest.param(state(entries=(BOOT,)), [f"fstab: none -> {render(LINE)}"], id="lost in fstab"),
        pytest.param(
            state(entries=(replace(LINE, options="defaults"),)),
            [f"fstab: {render(replace(LINE, options='defaults'))} -> {render(LINE)}"],
            id="other options",
        ),
        pytest.param(
            state(entries=(replace(LINE, source="UUID=2"),)),
            [f"fstab: {render(replace(LINE, source='UUID=2'))} -> {render(LINE)}"],
            id="another disk's UUID",
        ),
        pytest.param(state(entries=(LINE, LINE)), [f"fstab: {TWICE[:119]}… -> {render(LINE)}"], id="twice"),
        pytest.param(state(directory={**DIRECTORY, "mode": "0755"}), ["mode: 0755 -> 1777"], id="closed"),
        pytest.param(
            state(directory={**DIRECTORY, "owner": "ec2-user"}), ["owner: ec2-user -> root"], id="somebody else's"
        ),
        pytest.param(state(unit={"fragment_path": ""}), ["unit: not of fstab -> loaded"], id="unknown to systemd"),
        pytest.param(state(unit={"load_state": "masked"}), ["unit: masked -> loaded"], id="masked"),
        pytest.param(
            state(unit={"need_daemon_reload": True}), ["unit: older than fstab -> loaded"], id="fstab not read again"
        ),
    ],
)
def test_changes(found: dict[str, Any], differs: list[str]) -> None:
    assert told(found) == differs


def test_a_new_host_is_shown_field_by_field() -> None:
    filesystem, mount = map(diff, decided(NEW).changes)
    assert (filesystem["before"], filesystem["after"]) == ("holds: nothing\n", f"holds: XFS {OWN}\n")
    assert mount["before"] == ""
    assert mount["after"] == (
        f"mount: /dev/nvme1n1\noptions: {LIVE}\nfstab: {render(LINE)}\nkind: directory\nowner: root\ngroup: root\n"
        f"mode: {MODE}\nunit: loaded\n"
    )


@pytest.mark.parametrize(
    ("found", "is_mounted", "is_remounted"),
    [
        (NEW, False, False),
        (state(mounts=()), False, False),
        (state(entries=()), True, False),
        (state(mounts=(replace(LIVE_MOUNT, options="ro"),)), True, True),
    ],
)
def test_what_the_tasks_get(found: dict[str, Any], is_mounted: bool, is_remounted: bool) -> None:
    plan = decided(found)
    (item,) = applied(plan.changes, ROLE.applies)["mounts"]
    assert item == {
        "name": PLACE,
        "source": f"UUID={OWN}",
        "options": OPTIONS,
        "mode": MODE,
        "device": "/dev/nvme1n1",
        "unit": "mnt-transcode.mount",
        "is_mounted": is_mounted,
        "is_remounted": is_remounted,
        "reason": plan.changes[-1].reason,
    }


@pytest.mark.parametrize("disk", [EMPTY, XFS])
def test_only_what_gets_a_file_system_is_given_to_the_module_that_makes_one(disk: Disk) -> None:
    items = applied(decided(state(disk, mounts=())).changes, ROLE.applies)["filesystems"]
    assert [item["volume_id"] for item in items] == ([VOLUME] if disk is EMPTY else [])


@pytest.mark.parametrize(
    ("found", "says"),
    [
        pytest.param(state(None), "did not appear within 60 seconds", id="absent"),
        pytest.param(state(replace(EMPTY, signatures=("ext4",))), "it holds a file system (ext4);", id="foreign"),
        pytest.param(
            state(mounts=(LIVE_MOUNT, replace(LIVE_MOUNT, device_number="8:1"))),
            "another device (8:1) is mounted at /mnt/transcode, where /dev/nvme1n1 belongs",
            id="covered",
        ),
    ],
)
def test_refusals(found: dict[str, Any], says: str) -> None:
    plan = decided(found)
    assert not plan.changes
    (text,) = texts(plan.refusals)
    assert says in text


def test_one_volume_is_looked_at() -> None:
    wanted = {"volume_id": VOLUME, "mount_point": PLACE, "wait_seconds": 60}
    assert ROLE.reads(INPUTS) == {"paths": [PLACE], "units": [PLACE], "volumes": [wanted]}


def test_a_volume_that_aws_does_not_know_yet_is_missing_and_one_of_several_is_not_guessed() -> None:
    none = {"transcode_volume_device_name": "/dev/sdz"}
    assert ROLE.reads({**INPUTS, **none})["volumes"] == []
    plan = decided(state(), **none)
    assert not plan.changes
    assert "AWS knows this host with 0 volumes at /dev/sdz" in texts(plan.missing)[0]
    twice = {"transcode_volume_block_device_mappings": INPUTS["transcode_volume_block_device_mappings"] * 2}  # type: ignore[operator]
    assert ROLE.reads({**INPUTS, **twice})["volumes"] == []
    plan = decided(state(), **twice)
    assert not plan.changes
    assert "AWS knows this host with 2 volumes at /dev/sdf" in texts(plan.refusals)[0]

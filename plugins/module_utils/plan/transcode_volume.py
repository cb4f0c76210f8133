# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The transcoding disk: a file system on one that holds nothing, mounted now and at every boot, open to every user."""

from __future__ import annotations

from ..findings import NOT_SHOWN, Finding, Words
from ..fstab import Entry, Mount, encoding_findings, render
from ..role_inputs import path_findings
from ..volume import Disk, describe, describe_planned, mounted_at, plan_volume, volume_of
from . import Change, Plan, Role, Rule, Values, compare

WHY = "guide §8.1"
# nofail: a host without its disk must still boot and be reachable.
OPTIONS = "defaults,noatime,nofail"
# The container's user is not root, and this directory becomes its /tmp.
MODE = "1777"
# Of the live options, those that matter whatever fstab says.
LIVE = "rw,exec"


def volume_ids(inputs: Values) -> list[str]:
    """The volumes that AWS knows at the device's name."""
    return [
        str(mapping["ebs"]["volume_id"])
        for mapping in inputs["transcode_volume_block_device_mappings"]
        if mapping["device_name"] == inputs["transcode_volume_device_name"]
    ]


def attachment_finding(device: str, count: int) -> Finding:
    return Finding(
        "volume_attachment",
        "transcode_volume_device_name",
        NOT_SHOWN,
        Words(
            f"AWS knows this host with {count} volumes at {device}; one volume is needed",
            f"AWS가 아는 이 호스트의 {device} 볼륨은 {count}개이며, 하나가 필요합니다",
        ),
        Words(
            "playbooks/provision.yml --tags instance creates it with its host, and of a host that is there it says "
            "which volume to attach, and how. Or correct transcode_volume_device_name.",
            "playbooks/provision.yml --tags instance가 호스트와 함께 만들며, 이미 있는 호스트라면 연결할 볼륨과 방법을 "
            "알려 줍니다. 아니면 transcode_volume_device_name을 고치십시오.",
        ),
    )


def reads(inputs: Values) -> Values:
    place = inputs["transcode_volume_mount_point"]
    wait_seconds = inputs["transcode_volume_wait_seconds"]
    volumes = [{"volume_id": name, "mount_point": place, "wait_seconds": wait_seconds} for name in volume_ids(inputs)]
    # Of several none is looked at.
    return {"paths": [place], "units": [place], "volumes": volumes if len(volumes) == 1 else []}


def decide(inputs: Values, found: Values) -> Plan:
    ids = volume_ids(inputs)
    if len(ids) != 1:
        finding = attachment_finding(inputs["transcode_volume_device_name"], len(ids))
        return Plan(refusals=[finding]) if ids else Plan(missing=[finding])
    volume = volume_of(found["volumes"][ids[0]])
    plan = plan_volume(volume, inputs["transcode_volume_size_gib"])
    if plan.refusals or not volume.disk:
        return Plan(refusals=plan.refusals)
    disk = volume.disk
    filesystem = {"filesystems": {"volume_id": volume.volume_id}}
    mounts = mount_changes(inputs["transcode_volume_mount_point"], disk, plan.filesystem_uuid, found)
    # Before the disk is formatted, and only where the file is to be changed.
    unreadable = encoding_findings(found["fstab_not_utf8"]) if mounts else []
    if unreadable:
        return Plan(refusals=unreadable)
    return Plan(
        changes=[
            *compare(
                f"{disk.path} ({volume.volume_id})",
                describe_planned(volume, plan),
                describe(volume),
                WHY,
                lambda _: filesystem,
            ),
            *mounts,
        ]
    )


def mount_changes(place: str, disk: Disk, uuid: str, found: Values) -> list[Change]:
    entry = Entry(f"UUID={uuid}", place, "xfs", OPTIONS)
    live = mounted_at(tuple(Mount(**mount) for mount in found["mounts"]), place)
    entries = [render(Entry(**line)) for line in found["fstab"] if line["target"] == place]
    directory, unit = found["paths"][place], found["units"][place]
    wanted = {
        "mount": disk.path,
        "options": LIVE,
        "fstab": render(entry),
        "kind": "directory",
        "owner": "root",
        "group": "root",
        "mode": MODE,
        "unit": "loaded",
    }
    now = {
        # By the number of the device: what is mounted there is the very disk of the volume.
        "mount": disk.path if live and live.device_number == disk.device_number else None,
        # Whatever fstab says, somebody may have mounted it again in another way.
        "options": LIVE if not live or _is_open(live) else live.options,
        "fstab": "; ".join(entries) or None,
        **{name: directory.get(name) for name in ("kind", "owner", "group", "mode")},
        "unit": _unit_state(unit),
    }
    return compare(
        place,
        wanted,
        now if live or entries else None,
        WHY,
        lambda fields: {
            "mounts": {
                "source": entry.source,
                "options": OPTIONS,
                "mode": MODE,
                "device": disk.path,
                "unit": unit["id"],
                "is_mounted": bool(live),
                "is_remounted": bool(live) and "options" in fields,
            }
        },
    )


def _is_open(live: Mount) -> bool:
    return {"rw", "noexec"} & set(live.options.split(",")) == {"rw"}


def _unit_state(unit: Values) -> str:
    # One that is masked mounts nothing at the next boot.
    if unit["load_state"] != "loaded":
        return str(unit["load_state"])
    # A unit without a file is systemd's own view of what is mounted; it knows no fstab entry for it.
    if not unit["fragment_path"]:
        return "not of fstab"
    return "older than fstab" if unit["need_daemon_reload"] else "loaded"


ROLE = Role(
    reads,
    decide,
    applies=("filesystems", "mounts"),
    rules=(Rule(lambda path: path_findings("transcode_volume_mount_point", path), ("transcode_volume_mount_point",)),),
    on_host=True,
)

# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from pathlib import Path

import pytest

from localcloud.volumes import Attachment, Disk, disks_file, loop_devices, nvme_nodes, swap_file_names

SWAPS_HEADER = "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n"


def test_data_volumes_follow_the_root_disk_in_the_order_of_their_names() -> None:
    attachments = [Attachment("vol-b", "/dev/sdg", 10), Attachment("vol-a", "/dev/sdf", 100)]
    named = [(attachment.volume_id, node) for attachment, node in nvme_nodes(attachments)]
    assert named == [("vol-a", "nvme1n1"), ("vol-b", "nvme2n1")]


def test_the_disks_file_has_one_line_for_each_disk() -> None:
    disks = [Disk("vol-0123", "nvme1n1", 7, 3), Disk("vol-4567", "nvme2n1", 7, 12)]
    assert disks_file(disks) == "vol-0123 nvme1n1 7:3\nvol-4567 nvme2n1 7:12\n"
    assert disks_file([]) == ""


def test_only_loop_devices_of_our_directory_are_ours() -> None:
    listing = """{"loopdevices": [
        {"name": "/dev/loop0", "back-file": "/var/lib/ours/vol-1.img"},
        {"name": "/dev/loop1", "back-file": "/var/lib/ours/vol-2.img (deleted)"},
        {"name": "/dev/loop2", "back-file": "/var/lib/ours-not/vol-3.img"},
        {"name": "/dev/loop3", "back-file": null}
    ]}"""
    assert loop_devices(listing, Path("/var/lib/ours")) == {
        "/dev/loop0": Path("/var/lib/ours/vol-1.img"),
        "/dev/loop1": Path("/var/lib/ours/vol-2.img"),
    }


def test_a_machine_without_loop_devices_prints_nothing() -> None:
    assert loop_devices("", Path("/var/lib/ours")) == {}


@pytest.mark.parametrize(
    ("lines", "names"),
    [
        ("", set()),
        ("/var/swap/api-1 file 2097148 0 -2\n", {"api-1"}),
        # The container that switched it on is gone.
        ("/api-1 file 2097148 0 -2\n", {"api-1"}),
        ("/var/swap/with\\040space file 2097148 0 -2\n", {"with space"}),
        ("/dev/vda2 partition 2097148 0 -2\n/swapfile file 2097148 0 -3\n", {"swapfile"}),
    ],
)
def test_swap_files_are_known_by_name(lines: str, names: set[str]) -> None:
    assert swap_file_names(SWAPS_HEADER + lines) == names

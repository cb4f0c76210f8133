# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Disks and swap files as files: what is read of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from plugins.module_utils import host_storage
from plugins.module_utils.disk_content import MIB, SAMPLES
from plugins.module_utils.fstab import Mount
from plugins.module_utils.host_storage import (
    read_contents,
    read_mount_point,
    read_swap_file,
    read_text,
    read_volume,
)
from plugins.module_utils.swap import SwapFile
from plugins.module_utils.volume import Disk, MountPoint, Volume

GIB = 1024**3
SIZE = 20 * GIB
OWN = bytes(range(16))


def disk(path: Path | str, size: int = SIZE) -> Disk:
    return Disk(str(path), "259:1", size)


@pytest.fixture
def sparse(tmp_path: Path) -> Path:
    path = tmp_path / "disk"
    with path.open("wb") as file:
        file.truncate(SIZE)
    return path


def write(path: Path, offset: int, data: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(data)


def test_a_fresh_disk_holds_nothing(sparse: Path) -> None:
    assert read_contents(disk(sparse), OWN) == disk(sparse)


@pytest.mark.parametrize(
    ("offset", "length"),
    [
        pytest.param(0, 1, id="first byte"),
        pytest.param(MIB - 1, 1, id="end of the first MiB"),
        pytest.param(SIZE - MIB, 1, id="last MiB"),
        pytest.param(SIZE - 1, 1, id="last byte"),
        pytest.param(64 * MIB + 100, 1, id="the second superblock of btrfs"),
        pytest.param(128 * MIB + 100, 1, id="the first backup of ext4"),
        pytest.param(SIZE // 4 * 3 + 100, 1, id="the last group of XFS"),
        pytest.param(SIZE // 2 + 777 * MIB, SIZE // SAMPLES + 4096, id="a thousandth in the middle"),
    ],
)
def test_data_is_found_wherever_it_lies_alone(sparse: Path, offset: int, length: int) -> None:
    write(sparse, offset, b"x" * length)
    found = read_contents(disk(sparse), OWN)
    assert not found.unreadable
    assert found.contents
    assert all(offset // 512 * 512 <= block.offset < offset + length for block in found.contents)


def test_of_a_full_disk_little_is_told(sparse: Path) -> None:
    write(sparse, 0, b"x" * 4 * MIB)
    (block,) = read_contents(disk(sparse), OWN).contents
    assert (block.offset, block.blocks) == (0, 1024)


def test_what_cannot_be_read_is_told(sparse: Path) -> None:
    assert read_contents(disk(sparse, 21 * GIB), OWN).unreadable == f"byte {SIZE}: it ends there"
    # The first page of a process is never mapped: reading it is an I/O error.
    assert read_contents(disk("/proc/self/mem"), OWN).unreadable == "byte 0: Input/output error"


def test_a_text_is_read_as_it_stands(tmp_path: Path) -> None:
    path = tmp_path / "text"
    assert read_text(str(path)) == ""
    path.write_bytes(b"a\r\n\xff")
    assert read_text(str(path)).encode(errors="surrogateescape") == b"a\r\n\xff"


def test_a_swap_file_is_told_with_the_room_around_it(tmp_path: Path) -> None:
    path = tmp_path / "swapfile"
    absent = read_swap_file(str(path))
    assert not absent.exists
    assert absent.disk_free_bytes
    assert absent.memory_available_bytes
    path.write_bytes(b"data" * 1024)
    path.chmod(0o644)
    found = read_swap_file(str(path))
    assert (found.exists, found.regular, found.size_bytes, found.content) == (True, True, 4096, "other")
    assert (found.private, found.active) == (False, False)


def test_what_is_no_file_and_what_has_no_directory(tmp_path: Path) -> None:
    assert not read_swap_file(str(tmp_path)).regular
    assert read_swap_file("/nowhere/swapfile") == SwapFile("/nowhere/swapfile")


def test_a_disk_is_waited_for_no_longer_than_asked(tmp_path: Path) -> None:
    assert read_volume(lambda command: "", "vol-0", str(tmp_path), 0) == Volume("vol-0", MountPoint(str(tmp_path)))


def test_a_mount_point_is_told_by_its_device_or_by_some_of_its_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = str(tmp_path)
    for name in "gfedcba":
        (tmp_path / name).touch()
    assert read_mount_point(place) == MountPoint(place, entries=("a", "b", "c", "d", "e"))
    assert read_mount_point(f"{place}/nowhere") == MountPoint(f"{place}/nowhere")
    monkeypatch.setattr(host_storage, "read_mounts", lambda: (Mount(place, "259:1"),))
    assert read_mount_point(place) == MountPoint(place, "259:1")

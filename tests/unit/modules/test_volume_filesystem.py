# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Disks as files: what is read of one, and the record that outlives a kill."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from ansible_collections.academy.deploy.plugins.module_utils.disk_content import MIB, SAMPLES
from ansible_collections.academy.deploy.plugins.module_utils.volume import Disk
from ansible_collections.academy.deploy.plugins.modules.volume_filesystem import (
    read_contents,
    read_record,
    write_record,
)

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


def test_what_cannot_be_read_is_told(sparse: Path) -> None:
    assert read_contents(disk(sparse, 21 * GIB), OWN).unreadable == f"byte {SIZE}: it ends there"
    # The first page of a process is never mapped: reading it is an I/O error.
    assert read_contents(disk("/proc/self/mem"), OWN).unreadable == "byte 0: Input/output error"


def test_a_record_is_written_and_read(tmp_path: Path) -> None:
    path = tmp_path / "academy" / "volumes" / "record.json"
    assert read_record(str(path)) == ""
    write_record(str(path), "text\n")
    assert read_record(str(path)) == "text\n"
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o755
    write_record(str(path), "")
    assert read_record(str(path)) == ""

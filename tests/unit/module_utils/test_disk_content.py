# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A disk without a signature is read where data shows, and what is read is told for what it is."""

from __future__ import annotations

import itertools
import os
import re
import shutil
import struct
import subprocess
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from plugins.module_utils.disk_content import (
    BLOCK,
    END,
    KIB,
    MIB,
    SAMPLE,
    SAMPLES,
    SECTOR,
    TIB,
    Found,
    Range,
    btrfs_places,
    condensed,
    ext_places,
    inspect,
    merged,
    probe_ranges,
    summary,
    xfs_places,
)

GIB = 1024**3
OWN = bytes(range(16))
SIZES = st.integers(1, 16 * TIB // SECTOR).map(lambda sectors: sectors * SECTOR)


def covered(ranges: Sequence[Range], offset: int, length: int = 1) -> bool:
    return any(found.offset <= offset and offset + length <= found.end for found in ranges)


@settings(max_examples=40)
@given(SIZES)
@example(SECTOR)
@example(100 * GIB)
@example(16 * TIB)
def test_what_is_read_lies_on_the_disk_in_order_and_in_whole_blocks(size: int) -> None:
    ranges = probe_ranges(size)
    assert all(found.length > 0 and found.offset % BLOCK == 0 for found in ranges)
    assert all(found.end % BLOCK == 0 or found.end == size for found in ranges)
    assert all(before.end < after.offset for before, after in itertools.pairwise(ranges))
    assert ranges[-1].end == size


@settings(max_examples=40)
@given(SIZES)
@example(END + 1)
def test_both_ends_are_read(size: int) -> None:
    ranges = probe_ranges(size)
    assert covered(ranges, 0, min(size, END))
    assert covered(ranges, max(0, size - END), min(size, END))


@settings(max_examples=40)
@given(st.integers(1, SAMPLES * SAMPLE // SECTOR).map(lambda sectors: sectors * SECTOR))
@example(SAMPLES * SAMPLE)
def test_a_small_disk_is_read_as_a_whole(size: int) -> None:
    assert probe_ranges(size) == (Range(0, size),)


@settings(max_examples=40)
@given(SIZES.filter(lambda size: size > SAMPLES * SAMPLE), st.floats(0, 1, exclude_max=True))
def test_nothing_longer_than_a_thousandth_stays_unread(size: int, at: float) -> None:
    stretch = size // SAMPLES + BLOCK
    begin = int(at * (size - stretch))
    assert any(
        begin <= found.offset < begin + stretch or found.offset < begin < found.end for found in probe_ranges(size)
    )


@pytest.mark.parametrize("gib", [1, 8, 100, 16384])
def test_reading_takes_seconds(gib: int) -> None:
    ranges = probe_ranges(gib * GIB)
    assert len(ranges) < 10_000
    assert sum(found.length for found in ranges) < 128 * MIB


def backup_groups(groups: int) -> set[int]:
    """Of sparse_super, as ext2fs_bg_has_super() has it."""
    return {
        group
        for group in range(1, groups)
        if group == 1 or any(group == base**power for base in (3, 5, 7) for power in range(1, 40))
    }


@settings(max_examples=40)
@given(SIZES.filter(lambda size: size < 256 * GIB), st.sampled_from([1, 2, 4]), st.sampled_from([0, MIB]))
def test_every_backup_of_an_ext_superblock_is_read(size: int, block_kib: int, start: int) -> None:
    block = block_kib * KIB
    group_bytes = 8 * block * block
    # With blocks of 1 KiB the first group begins with the second block.
    first = start + (KIB if block == KIB else 0)
    groups = max(0, size - first) // group_bytes
    ranges = probe_ranges(size)
    assert [group for group in backup_groups(groups) if not covered(ranges, first + group * group_bytes, KIB)] == []


@pytest.mark.parametrize(
    ("size", "places"),
    [
        (8 * MIB, set()),
        # Groups of 8 MiB, on the disk itself and behind its first MiB.
        (16 * MIB, {8, 9}),
        # And of 16 MiB.
        (33 * MIB, {8, 9, 16, 17, 24, 25, 32}),
        # The eleventh is the last one, which sparse_super2 takes.
        (90 * MIB, {start + group for start in (0, 1) for group in (8, 24, 40, 56, 72, 88, 16, 48, 80, 32, 64)}),
    ],
)
def test_places_of_ext(size: int, places: set[int]) -> None:
    assert ext_places(size) == {place * MIB for place in places}


@settings(max_examples=40)
@given(SIZES, st.sampled_from([2, 4, 5, 8, 16, 32]))
def test_every_group_of_an_xfs_is_read(size: int, groups: int) -> None:
    blocks = size // BLOCK
    group_blocks = -(-blocks // groups)
    wanted = {number * group_blocks * BLOCK for number in range(1, groups) if number * group_blocks < blocks}
    assert wanted <= xfs_places(size)
    ranges = probe_ranges(size)
    assert [place for place in wanted if not covered(ranges, place, BLOCK)] == []


@pytest.mark.parametrize("start", [0, MIB])
@pytest.mark.parametrize("gib", [8, 20, 50, 91, 100, 110, 120, 200, 500, 1000])
def test_the_second_group_of_every_smaller_xfs_is_read(gib: int, start: int) -> None:
    """Of a disk that was enlarged, and of a partition, whose end tools put in several places."""
    ranges = probe_ranges(gib * GIB)
    missed = [
        (old, end)
        for old in range(1, gib + 1)
        for end in (0, MIB, 33 * SECTOR, 34 * SECTOR)
        if not covered(ranges, start + -(-((old * GIB - start - end) // BLOCK) // 4) * BLOCK, BLOCK)
    ]
    assert missed == []


@pytest.mark.parametrize("gib", [8, 100, 1000])
@pytest.mark.parametrize("groups", range(2, 129))
def test_the_second_group_of_an_xfs_with_one_for_each_processor_is_read(gib: int, groups: int) -> None:
    size = -(-(gib * GIB // BLOCK) // groups)
    for stripe in (1, 16, 32, 64, 128):
        for blocks in (size // stripe * stripe, -(-size // stripe) * stripe):
            assert blocks * BLOCK in xfs_places(gib * GIB), (stripe, blocks)


def test_an_xfs_of_more_than_four_tebibytes_has_larger_groups() -> None:
    assert {number * (TIB - BLOCK) for number in range(1, 9)} <= xfs_places(8 * TIB + MIB)


def test_places_of_btrfs() -> None:
    assert btrfs_places(GIB) == {64 * KIB, 64 * MIB, MIB + 64 * KIB, 65 * MIB}
    assert 256 * GIB in btrfs_places(257 * GIB)


def test_ranges_become_whole_blocks_without_overlap() -> None:
    wanted = [Range(9000, 10), Range(0, 1), Range(4096, 10), Range(90_000, 10), Range(30_000, 10)]
    assert merged(wanted, 31_000) == (Range(0, 12288), Range(28672, 2328))


def ext_superblock(group: int, block_shift: int = 2, magic: int = 0xEF53, revision: int = 1) -> bytes:
    sector = bytearray(SECTOR)
    struct.pack_into("<II", sector, 20, 1 if block_shift == 0 else 0, block_shift)
    struct.pack_into("<I", sector, 32, 8 * (KIB << block_shift))
    struct.pack_into("<HH", sector, 56, magic, 1)
    struct.pack_into("<I", sector, 76, revision)
    struct.pack_into("<H", sector, 90, group)
    return bytes(sector)


def block(sector: bytes, at: int = 0) -> bytes:
    return (bytes(at) + sector).ljust(BLOCK, b"\0")


@pytest.mark.parametrize(
    ("data", "at", "kind", "look"),
    [
        (block(b"x", 700), 512, "data", "hexdump -C -s {offset} -n 512 {path}"),
        (b"\0\1", 0, "data", "hexdump -C -s {offset} -n 512 {path}"),
        (block(ext_superblock(1)), 0, "an ext backup superblock", "e2fsck -n -b 32768 -B 4096 {path}"),
        (block(ext_superblock(3, 0), 1024), 1024, "an ext backup superblock", "e2fsck -n -b 24577 -B 1024 {path}"),
        (block(ext_superblock(0), 1024), 1024, "an ext superblock", "e2fsck -n {path}"),
        # Any data has the two bytes of the magic now and then.
        (block(ext_superblock(1, revision=7)), 0, "data", "hexdump -C -s {offset} -n 512 {path}"),
        (block(ext_superblock(1, magic=1)), 0, "data", "hexdump -C -s {offset} -n 512 {path}"),
        (block(b"XFSB"), 0, "an XFS superblock", "xfs_repair -n {path}"),
        (block(b"XAGF", 512), 512, "an XFS allocation group", "xfs_repair -n {path}"),
        (
            block(b"_BHRfS_M", 64),
            0,
            "a btrfs superblock",
            "btrfs inspect-internal dump-super --all {path}",
        ),
        (block(b"EFI PART", 3584), 3584, "a partition table (gpt)", "sfdisk --list {path}"),
        (block(b"LABELONE", 512), 512, "a label of LVM", "pvck {path}"),
        (block(b"SKUL\xba\xbe"), 0, "the second header of LUKS", "cryptsetup luksDump {path}"),
        (block(b"\xfc\x4e\x2b\xa9"), 0, "a superblock of a RAID", "mdadm --examine {path}"),
        (block(b"SWAPSPACE2", 4086), 3584, "swap space", "hexdump -C -s {offset} -n 512 {path}"),
    ],
)
def test_what_a_block_looks_like(data: bytes, at: int, kind: str, look: str) -> None:
    assert inspect(MIB, bytes(BLOCK) + data, OWN) == [Found(MIB + BLOCK + at, kind, look)]


def test_zeros_are_nothing_and_what_carries_our_uuid_is_ours() -> None:
    assert inspect(0, bytes(3 * BLOCK + SECTOR), OWN) == []
    found = inspect(0, block(b"XFSB" + OWN) + bytes(BLOCK) + block(b"x"), OWN)
    assert [(one.offset, one.own) for one in found] == [(0, True), (2 * BLOCK, False)]


def test_summary_has_one_of_each_kind_and_data_last() -> None:
    first, second, third = Found(1), Found(2, "swap space"), Found(3, "swap space")
    assert summary([third, first, second]) == [replace(second, blocks=2), first]


def test_of_all_blocks_the_first_of_each_kind_is_kept_ours_apart() -> None:
    ours, theirs = Found(5, own=True), Found(1)
    blocks = [theirs, ours, replace(theirs, offset=7), replace(theirs, offset=9), replace(ours, offset=8)]
    assert condensed(blocks) == [replace(ours, blocks=2), replace(theirs, blocks=3)]
    assert summary(condensed(blocks)) == [replace(theirs, blocks=5)]


def probed(file: Path) -> list[Found]:
    with file.open("rb") as disk:
        return [
            found
            for wanted in probe_ranges(file.stat().st_size)
            for found in inspect(wanted.offset, os.pread(disk.fileno(), wanted.length, wanted.offset), OWN)
        ]


def tool(name: str) -> str:
    found = shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin:/sbin")
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found


def made(file: Path, gib: int, *command: str) -> Path:
    """A file system as its own tool makes it on a sparse file."""
    program = tool(command[0])
    with file.open("wb") as disk:
        disk.truncate(gib * GIB)
    subprocess.run([program, *command[1:], str(file)], check=True, capture_output=True)
    return file


def without_its_head(file: Path) -> Path:
    with file.open("r+b") as disk:
        disk.write(bytes(END))
    return file


@pytest.mark.parametrize(
    "options",
    [
        pytest.param(("-b", "1024"), id="1k"),
        pytest.param(("-b", "2048"), id="2k"),
        pytest.param(("-b", "4096"), id="4k"),
        pytest.param(("-b", "4096", "-O", "bigalloc"), id="bigalloc"),
        pytest.param(("-b", "4096", "-O", "sparse_super2"), id="sparse_super2"),
        pytest.param(("-b", "4096", "-O", "^sparse_super,^resize_inode"), id="every group"),
    ],
)
def test_an_ext_without_its_head_is_found(tmp_path: Path, options: tuple[str, ...]) -> None:
    file = made(tmp_path / "disk", 3, "mkfs.ext4", "-q", "-F", *options)
    assert "an ext backup superblock" in {found.kind for found in probed(without_its_head(file))}


@pytest.mark.parametrize("block_bytes", [1024, 2048, 4096])
def test_every_backup_that_dumpe2fs_knows_is_read(tmp_path: Path, block_bytes: int) -> None:
    file = made(tmp_path / "disk", 3, "mkfs.ext4", "-q", "-F", "-b", str(block_bytes))
    output = subprocess.run([tool("dumpe2fs"), str(file)], check=True, capture_output=True, text=True).stdout
    known = {int(number) * block_bytes for number in re.findall(r"Backup superblock at (\d+)", output)}
    assert len(known) >= 5
    assert known == {found.offset for found in probed(file) if found.kind == "an ext backup superblock"}


@pytest.mark.parametrize("options", [(), ("-d", "agcount=7"), ("-b", "size=1024")])
def test_an_xfs_without_its_head_is_found(tmp_path: Path, options: tuple[str, ...]) -> None:
    file = made(tmp_path / "disk", 3, "mkfs.xfs", "-q", *options)
    assert "an XFS superblock" in {found.kind for found in probed(without_its_head(file))}


def test_an_xfs_without_its_head_is_found_on_a_disk_that_was_enlarged(tmp_path: Path) -> None:
    file = made(tmp_path / "disk", 37, "mkfs.xfs", "-q")
    with without_its_head(file).open("r+b") as disk:
        disk.truncate(91 * GIB)
    assert "an XFS superblock" in {found.kind for found in probed(file)}


def test_an_xfs_without_its_head_is_found_in_a_partition(tmp_path: Path) -> None:
    file = tmp_path / "disk"
    with file.open("wb") as disk:
        disk.truncate(100 * GIB)
    # To the last sector before the second partition table.
    sectors = (100 * GIB - MIB) // SECTOR - 33
    command = [tool("losetup"), "--find", "--show", f"--offset={MIB}", f"--sizelimit={sectors * SECTOR}", str(file)]
    partition = subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
    try:
        subprocess.run([tool("mkfs.xfs"), "-q", partition], check=True, capture_output=True)
    finally:
        subprocess.run(["losetup", "--detach", partition], check=True)
    assert "an XFS superblock" in {found.kind for found in probed(without_its_head(file))}


def test_a_btrfs_without_its_head_is_found(tmp_path: Path) -> None:
    file = made(tmp_path / "disk", 3, "mkfs.btrfs", "-q")
    assert "a btrfs superblock" in {found.kind for found in probed(without_its_head(file))}

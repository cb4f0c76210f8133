# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What lies on a disk that shows no signature? Where it is read, and what the bytes look like."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

KIB = 1024
MIB = 1024**2
GIB = 1024**3
TIB = 1024**4

SECTOR = 512
# Everything is read and judged in blocks of this size; a disk may end with a shorter one.
BLOCK = 4 * KIB

# Both ends hold most of what describes a disk: file systems, LVM and LUKS the first, RAID and the second GPT the last.
END = 4 * MIB
SAMPLES = 1000
SAMPLE = 64 * KIB
# A file system begins with the disk, or where every tool of today puts the first partition.
STARTS = (0, MIB)

# A group of ext has eight times as many blocks as a block has bytes: 8 MiB with blocks of 1 KiB, 128 MiB with 4 KiB,
# other powers of two with bigalloc. Backups lie in group 1, in the powers of these, with sparse_super2 in the last one.
EXT_SMALLEST_GROUP = 8 * MIB
EXT_BACKUP_BASES = (3, 5, 7)
# mkfs.xfs makes 4 equal groups, on a RAID up to 32, in newer versions one for each CPU, and none of 1 TiB or more. On
# stripes of a RAID their size is a multiple of these blocks.
XFS_USUAL_GROUPS = 4
XFS_GROUP_COUNTS = range(2, 129)
XFS_LARGEST_GROUP_BLOCKS = TIB // BLOCK - 1
XFS_GROUPS = 32
XFS_STRIPE_BLOCKS = (1, 16, 32, 64, 128)
# The disk may have been enlarged and its file system not: whole GiB, or in so many steps where they are more.
XFS_SMALLER_SIZES = 1024
# Where a partition ends before the disk: at the last sector, at the last MiB, or before the second GPT.
ENDS = (0, MIB, 33 * SECTOR, 34 * SECTOR)
BTRFS_SUPERBLOCKS = (64 * KIB, 64 * MIB, 256 * 1024 * MIB)

# What a sector looks like: offset in it, magic bytes, and the command that shows more.
MAGICS = (
    (0, b"XFSB", "an XFS superblock", "xfs_repair -n {path}"),
    (0, b"XAGF", "an XFS allocation group", "xfs_repair -n {path}"),
    (64, b"_BHRfS_M", "a btrfs superblock", "btrfs inspect-internal dump-super --all {path}"),
    (0, b"EFI PART", "a partition table (gpt)", "sfdisk --list {path}"),
    (0, b"LABELONE", "a label of LVM", "pvck {path}"),
    (0, b"LUKS\xba\xbe", "a header of LUKS", "cryptsetup luksDump {path}"),
    (0, b"SKUL\xba\xbe", "the second header of LUKS", "cryptsetup luksDump {path}"),
    (0, b"\xfc\x4e\x2b\xa9", "a superblock of a RAID", "mdadm --examine {path}"),
    (502, b"SWAPSPACE2", "swap space", "hexdump -C -s {offset} -n 512 {path}"),
)
DATA = "data"
SHOW_DATA = "hexdump -C -s {offset} -n 512 {path}"

EXT_MAGIC = 0xEF53
EXT_FIELDS_BYTES = 92


@dataclass(frozen=True)
class Range:
    """A stretch of the disk that is read at once."""

    offset: int
    length: int

    @property
    def end(self) -> int:
        return self.offset + self.length


@dataclass(frozen=True)
class Found:
    """A block that is not zeros: where it begins to differ, what it looks like, and whether it carries our UUID.

    Where several are told as one, it is the first of `blocks`.
    """

    offset: int
    kind: str = DATA
    look: str = SHOW_DATA
    own: bool = False
    blocks: int = 1


def probe_ranges(size_bytes: int) -> tuple[Range, ...]:
    """Where a disk of this size is read, in order and without overlap. A small one is read as a whole."""
    ends = [Range(0, END), Range(max(size_bytes - END, 0), END)]
    samples = [Range(size_bytes * index // SAMPLES, SAMPLE) for index in range(SAMPLES)]
    places = {*ext_places(size_bytes), *xfs_places(size_bytes), *btrfs_places(size_bytes)}
    return merged([*ends, *samples, *(Range(place, BLOCK) for place in places)], size_bytes)


def ext_places(size_bytes: int) -> set[int]:
    """Where ext2, ext3 and ext4 keep copies of their superblock, whatever the size of their blocks."""
    places = set()
    for start in STARTS:
        group = EXT_SMALLEST_GROUP
        while start + group < size_bytes:
            last = (size_bytes - start - 1) // group
            places |= {start + number * group for number in {1, last, *powers(last)}}
            group *= 2
    return places


def powers(limit: int) -> Iterator[int]:
    """The powers of the bases of sparse_super up to a limit."""
    for base in EXT_BACKUP_BASES:
        power = base
        while power <= limit:
            yield power
            power *= base


def xfs_places(size_bytes: int) -> set[int]:
    """Where XFS keeps copies of its superblock, at the start of each allocation group.

    Of the file system that mkfs.xfs makes on the whole disk the first of them, of all others the second one.
    """
    blocks = size_bytes // BLOCK
    places = set()
    for count in XFS_GROUP_COUNTS:
        group = -(-blocks // count)
        places |= {group * number for number in range(1, min(count, XFS_GROUPS + 1))}
        for stripe in XFS_STRIPE_BLOCKS:
            places |= {group // stripe * stripe, -(-group // stripe) * stripe}
    places |= {XFS_LARGEST_GROUP_BLOCKS * number for number in range(1, XFS_GROUPS + 1)}
    return {place * BLOCK for place in places if 0 < place < blocks} | smaller_xfs_places(size_bytes)


def smaller_xfs_places(size_bytes: int) -> set[int]:
    """Where an XFS that does not fill the disk has its second group: one of before it grew, or one in a partition."""
    step = max(1, size_bytes // GIB // XFS_SMALLER_SIZES) * GIB
    ends = {whole - end for whole in (*range(step, size_bytes, step), size_bytes) for end in ENDS}
    places = {
        start + -(-((end - start) // BLOCK) // XFS_USUAL_GROUPS) * BLOCK
        for start in STARTS
        for end in ends
        if end > start
    }
    return {place for place in places if place < size_bytes}


def btrfs_places(size_bytes: int) -> set[int]:
    """Where btrfs keeps its superblocks."""
    places = {start + place for start in STARTS for place in BTRFS_SUPERBLOCKS}
    return {place for place in places if place < size_bytes}


def merged(ranges: Iterable[Range], size_bytes: int) -> tuple[Range, ...]:
    """The same stretches, of whole blocks and within the disk, each byte once."""
    result: list[Range] = []
    for wanted in sorted(ranges, key=lambda wanted: wanted.offset):
        offset = wanted.offset // BLOCK * BLOCK
        end = min(-(-wanted.end // BLOCK) * BLOCK, size_bytes)
        if end <= offset:
            continue
        if result and offset <= result[-1].end:
            before = result.pop()
            offset, end = before.offset, max(before.end, end)
        result.append(Range(offset, end - offset))
    return tuple(result)


def inspect(offset: int, data: bytes, own_uuid: bytes) -> list[Found]:
    """What is not zeros in a stretch that was read."""
    if data == bytes(len(data)):
        return []
    blocks = ((at, data[at : at + BLOCK]) for at in range(0, len(data), BLOCK))
    return [_found(offset + at, block, own_uuid) for at, block in blocks if block != bytes(len(block))]


def summary(contents: Iterable[Found]) -> list[Found]:
    """The first of each kind for all of them, what was recognised before what was not."""
    firsts: dict[str, Found] = {}
    for found in sorted(contents, key=lambda found: found.offset):
        first = firsts.get(found.kind)
        firsts[found.kind] = replace(first, blocks=first.blocks + found.blocks) if first else found
    return sorted(firsts.values(), key=lambda found: (found.kind == DATA, found.offset))


def condensed(contents: Sequence[Found]) -> list[Found]:
    """All that is decided by: a full disk has thousands of blocks. What carries our UUID stays apart."""
    return [first for own in (True, False) for first in summary(found for found in contents if found.own is own)]


def _found(offset: int, block: bytes, own_uuid: bytes) -> Found:
    own = own_uuid in block
    sectors = [(at, block[at : at + SECTOR]) for at in range(0, len(block), SECTOR)]
    for at, sector in sectors:
        kind, look = _recognised(sector)
        if kind:
            return Found(offset + at, kind, look, own)
    first = next(at for at, sector in sectors if sector != bytes(len(sector)))
    return Found(offset + first, own=own)


def _recognised(sector: bytes) -> tuple[str, str]:
    for at, magic, kind, look in MAGICS:
        if sector.startswith(magic, at):
            return kind, look
    return _ext_superblock(sector)


def _ext_superblock(sector: bytes) -> tuple[str, str]:
    """Two bytes of magic are soon found in any data, so that more of the superblock must make sense."""
    if len(sector) < EXT_FIELDS_BYTES:
        return "", ""
    first_block, block_shift = struct.unpack_from("<II", sector, 20)
    (group_blocks,) = struct.unpack_from("<I", sector, 32)
    magic, state = struct.unpack_from("<HH", sector, 56)
    (revision,) = struct.unpack_from("<I", sector, 76)
    (group,) = struct.unpack_from("<H", sector, 90)
    if magic != EXT_MAGIC or first_block > 1 or block_shift > 6 or revision > 1 or state > 7:
        return "", ""
    if not group:
        return "an ext superblock", "e2fsck -n {path}"
    block = first_block + group * group_blocks
    return "an ext backup superblock", f"e2fsck -n -b {block} -B {KIB << block_shift} {{path}}"

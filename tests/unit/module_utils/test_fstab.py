# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""fstab keeps every line that is not ours, and says the same after it is written and read."""

from __future__ import annotations

import pytest

from plugins.module_utils.fstab import Entry, Mount, escape, parse_fstab, parse_mountinfo, render, unescape, with_source

DISK = Entry("UUID=1", "/mnt/a b", "xfs", "defaults,nofail")
SWAP = Entry("/swapfile", "none", "swap", "sw")


@pytest.mark.parametrize(
    ("text", "entries"),
    [
        ("", ()),
        ("# a comment of several words\n\n   # another one\nbroken line\n", ()),
        ("UUID=1 /mnt/a\\040b xfs defaults,nofail 0 0\n", (DISK,)),
        ("UUID=1\t/mnt/a\\040b\txfs  defaults,nofail\n", (DISK,)),
        ("/dev/sda1 / ext4\n", (Entry("/dev/sda1", "/", "ext4", "defaults"),)),
        ("/dev/sda1 / ext4 ro 1 2 # extra\n", (Entry("/dev/sda1", "/", "ext4", "ro", "1", "2"),)),
    ],
)
def test_parse(text: str, entries: tuple[Entry, ...]) -> None:
    assert parse_fstab(text) == entries


@pytest.mark.parametrize("entry", [DISK, SWAP, Entry("/dev/a", "/mnt/x\\y\tz", "ext4", "ro", "1", "2")])
def test_a_written_entry_is_read_as_it_was(entry: Entry) -> None:
    assert parse_fstab(render(entry)) == (entry,)


@pytest.mark.parametrize("field", ["plain", "a b", "a\\040b", "tab\there", "line\nbreak"])
def test_escaping_is_undone(field: str) -> None:
    assert " " not in escape(field)
    assert unescape(escape(field)) == field


@pytest.mark.parametrize(
    ("text", "wanted", "after"),
    [
        pytest.param("", SWAP, "/swapfile none swap sw 0 0\n", id="first"),
        pytest.param("# kept", SWAP, "# kept\n/swapfile none swap sw 0 0\n", id="behind a line without an end"),
        pytest.param("/swapfile none swap sw\n# kept\n", SWAP, "/swapfile none swap sw\n# kept\n", id="as wanted"),
        pytest.param("/swapfile none swap sw", SWAP, "/swapfile none swap sw", id="as wanted, without an end"),
        pytest.param("/swapfile none swap sw\n/swapfile none swap sw\n", SWAP, "/swapfile none swap sw\n", id="twice"),
        pytest.param("/swapfile none swap pri=5\n", SWAP, "/swapfile none swap sw 0 0\n", id="other options"),
        pytest.param("UUID=1 /a xfs\n/swapfile none swap sw\n", None, "UUID=1 /a xfs\n", id="no longer wanted"),
        pytest.param("UUID=1 /a xfs", None, "UUID=1 /a xfs", id="never wanted"),
    ],
)
def test_with_source(text: str, wanted: Entry | None, after: str) -> None:
    assert with_source(text, "/swapfile", wanted) == after


def test_mountinfo() -> None:
    text = (
        "22 1 259:1 / / rw,relatime shared:1 - xfs /dev/root rw,attr2\n"
        "nonsense\n"
        "23 22 259:2 /jobs /srv/my\\040jobs rw - xfs /dev/nvme1n1 rw\n"
    )
    assert parse_mountinfo(text) == (
        Mount("/", "259:1", "/", "/dev/root", "xfs", "rw,relatime"),
        Mount("/srv/my jobs", "259:2", "/jobs", "/dev/nvme1n1", "xfs", "rw"),
    )

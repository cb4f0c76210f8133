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


# What Python takes for blanks or the ends of lines, and getmntent and the kernel do not.
ODD = "x\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029\u00a0\u3000y"


def test_only_a_line_feed_ends_a_line_and_only_spaces_and_tabs_part_its_fields() -> None:
    text = f"# kept\u2028/swapfile none swap sw 0 0\n/dev/a\t/mnt/{ODD} xfs ro 0 0\n"
    assert parse_fstab(text) == (Entry("/dev/a", f"/mnt/{ODD}", "xfs", "ro"),)
    assert with_source(text, "/swapfile", SWAP) == f"{text}/swapfile none swap sw 0 0\n"
    assert with_source(text, "/swapfile", None) == text
    assert with_source(text, "/dev/a", None) == "# kept\u2028/swapfile none swap sw 0 0\n"
    [mount] = parse_mountinfo(f"22 1 259:1 / /mnt/{ODD} rw - xfs /dev/{ODD} rw\n")
    assert (mount.target, mount.source) == (f"/mnt/{ODD}", f"/dev/{ODD}")


@pytest.mark.parametrize(
    ("line", "options"), [("/swapfile none swap sw 0 0\r", "sw"), ("/swapfile none swap sw\r", "sw\r")]
)
def test_a_carriage_return_ends_a_number_and_belongs_to_everything_else(line: str, options: str) -> None:
    """The other lines of a file that Windows wrote keep theirs."""
    assert parse_fstab(f"{line}\n") == (Entry("/swapfile", "none", "swap", options),)
    text = f"# kept\r\n{line}\n"
    after = text if options == "sw" else "# kept\r\n/swapfile none swap sw 0 0\n"
    assert with_source(text, "/swapfile", SWAP) == after


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

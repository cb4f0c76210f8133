# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""fstab keeps every line that is not ours, and says the same after it is written and read."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plugins.module_utils.fstab import (
    Entry,
    Mount,
    encoding_findings,
    escape,
    lines_of_no_utf8,
    parse_fstab,
    parse_mountinfo,
    render,
    unescape,
    with_source,
)

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


@pytest.mark.parametrize("line", ["/swap\\146ile none swap sw 0 0", "/swapfile none sw\\141p sw 0 0"])
def test_no_more_is_unescaped_than_the_boot_does(line: str) -> None:
    """getmntent, by which systemd makes its units, knows four escapes; to it this is another file."""
    assert with_source(f"{line}\n", "/swapfile", SWAP).endswith("/swapfile none swap sw 0 0\n")
    assert SWAP not in parse_fstab(line)


@given(st.characters(exclude_characters=" \t\n\\", exclude_categories=["Cs"]))
def test_a_character_that_is_no_blank_parts_nothing(character: str) -> None:
    text = f"/swapfile{character} none swap sw 0 0\n"
    assert SWAP not in parse_fstab(text)
    assert SWAP in parse_fstab(with_source(text, "/swapfile", SWAP))


@given(st.binary(max_size=60))
def test_other_lines_stay_as_they_are_in_any_encoding(comment: bytes) -> None:
    before = b"# " + comment.replace(b"\n", b"") + b"\n"
    text = with_source(before.decode("utf-8", "surrogateescape"), "/swapfile", SWAP)
    assert text.encode("utf-8", "surrogateescape") == before + b"/swapfile none swap sw 0 0\n"


@given(st.text(alphabet=st.characters(codec="utf-8")), st.integers(min_value=1, max_value=3))
def test_a_line_that_is_no_utf8_is_named(text: str, lines: int) -> None:
    before = "# kept\n" * lines
    assert encoding_findings(lines_of_no_utf8(before + text)) == []
    broken = (before.encode() + "# 스왑\n".encode("cp949")).decode("utf-8", "surrogateescape")
    (finding,) = encoding_findings(lines_of_no_utf8(broken))
    assert finding.subject == "/etc/fstab"
    assert f"line {lines + 1}" in finding.text_en
    assert f"{lines + 1}번째 줄" in finding.text_ko
    assert "iconv" in finding.remedy.en
    assert "iconv" in finding.remedy.ko


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

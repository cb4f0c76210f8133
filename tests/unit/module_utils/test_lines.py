# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A line ends at a line feed, for everybody who reads something here."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from plugins.module_utils.lines import breaks_in, lines, pieces, words
from tests.support import ROOT

# All but the line feed at which str.splitlines() cuts.
OTHERS = "\r\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029"
# What runs on the operator's machine and on the hosts, and what the embedded cloud's hosts read in the kernel's place.
SHIPPED = ("plugins", "roles", "playbooks", "localcloud/images/host/files")
CUTS_TOO_MUCH = re.compile(r"\.splitlines\(|\b(stdout|stderr)_lines\b")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", []),
        ("a", ["a"]),
        ("a\n", ["a"]),
        ("a\nb", ["a", "b"]),
        ("a\n\nb\n\n", ["a", "", "b", ""]),
        ("a\r\nb\r\n", ["a\r", "b\r"]),
        (f"a{OTHERS}b\nc", [f"a{OTHERS}b", "c"]),
    ],
)
def test_lines(text: str, found: list[str]) -> None:
    assert lines(text) == found


def test_words_are_parted_by_spaces_and_tabs_alone() -> None:
    assert words(f" a\tb  c{OTHERS}\u00a0\u3000d ") == ["a", "b", f"c{OTHERS}\u00a0\u3000d"]


def test_breaks_are_told_by_code_point_once() -> None:
    assert breaks_in("a\u2028b\x85c\u2028d\t\x7f") == ["U+2028", "U+0085", "U+0009", "U+007F"]
    assert breaks_in("아카데미 a\u00a0b\u3000c\u200bd\ufdcf\ufdf0\ufffd") == []
    assert breaks_in("\ufffe\uffff\U0010ffff\ufdd0\ufdef") == ["U+FFFE", "U+FFFF", "U+10FFFF", "U+FDD0", "U+FDEF"]


def test_pieces_are_what_any_reader_may_make_of_it() -> None:
    assert pieces(f"a{OTHERS}b\x9bc") == ["a", *[""] * (len(OTHERS) - 1), "b", "c"]


def test_everything_at_which_python_cuts_is_a_break() -> None:
    assert set(breaks_in(OTHERS)) == {f"U+{ord(each):04X}" for each in OTHERS}
    assert len(f"a{'a'.join(OTHERS)}a".splitlines()) == len(OTHERS) + 1


def shipped() -> Iterator[tuple[Path, str]]:
    for directory in SHIPPED:
        for path in (ROOT / directory).rglob("*"):
            if path.suffix in {".py", ".yml", ".j2", ".sh"} or (path.is_file() and not path.suffix):
                yield path.relative_to(ROOT), path.read_text(encoding="utf-8")


def test_nobody_cuts_text_of_others_elsewhere() -> None:
    """str.splitlines() and stdout_lines make two lines of one value, so that its rest passes for something else."""
    found = {str(path) for path, text in shipped() if CUTS_TOO_MUCH.search(text)}
    # Its home says why.
    assert found == {"plugins/module_utils/lines.py"}

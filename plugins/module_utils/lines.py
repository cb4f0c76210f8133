# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a line is, for all that reads or writes text of others: it ends at a line feed, and at nothing else.

So the kernel's tables, fstab, rpm, systemd's answers and Docker's environment files are read. `str.splitlines()` also
cuts at U+2028, U+0085 and seven others: one value would become two lines, and the rest of a secret a name, which may be
shown. So do Ansible's `stdout_lines`.

A carriage return in front of the line feed stays a part of the line, as it does for most of those readers. In a team's
own .env it is a finding (environment_lint), and a file of ours that has one differs from what is wanted.
"""

from __future__ import annotations

import unicodedata

# Controls, and Unicode's own separators of lines and paragraphs: what some reader takes for the end of a line (Python,
# YAML, JavaScript, editors), or shows in no way at all.
BREAKING = {"Cc", "Zl", "Zp"}


def lines(text: str) -> list[str]:
    """The lines of a text, each without its end."""
    found = text.split("\n")
    return found if found[-1] else found[:-1]


def words(line: str) -> list[str]:
    """The fields of a line as the kernel writes and getmntent reads them: spaces and tabs part them, nothing else."""
    return [word for word in line.replace("\t", " ").split(" ") if word]


def is_break(character: str) -> bool:
    """Whether it could end a line for somebody, or is a control character or none at all."""
    return unicodedata.category(character) in BREAKING or _is_noncharacter(ord(character))


def _is_noncharacter(code: int) -> bool:
    """Of Unicode's code points those that never become characters: readers drop them, or end there."""
    return code & 0xFFFE == 0xFFFE or 0xFDD0 <= code <= 0xFDEF


def breaks_in(text: str) -> list[str]:
    """By code point, once each, in their order: U+2028."""
    return list(dict.fromkeys(f"U+{ord(character):04X}" for character in text if is_break(character)))


def pieces(text: str) -> list[str]:
    """What is left of a text that somebody cuts wherever a line could end."""
    return "".join("\n" if is_break(character) else character for character in text).split("\n")

# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""/etc/fstab and the kernel's tables that are written like it: what is mounted, and what will be at the next boot."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from .findings import NOT_SHOWN, Finding, Words
from .lines import lines as lines_of
from .lines import words

PATH = "/etc/fstab"
# All that getmntent unescapes, by which systemd makes its units of mounts and swap: the boot knows no other.
UNESCAPED = {"\\040": " ", "\\011": "\t", "\\012": "\n", "\\134": "\\", "\\\\": "\\"}
ESCAPE = re.compile(r"\\(?:040|011|012|134|\\)")
# What would end a field, in the order in which it is replaced.
ESCAPED = {"\\": "\\134", " ": "\\040", "\t": "\\011", "\n": "\\012"}


@dataclass(frozen=True)
class Entry:
    """One line of fstab."""

    source: str
    target: str
    fstype: str
    options: str = "defaults"
    dump: str = "0"
    passno: str = "0"


@dataclass(frozen=True)
class Mount:
    """Something mounted: where, and from which device (its number, as in "259:1")."""

    target: str
    device_number: str
    root: str = "/"
    source: str = ""
    fstype: str = ""
    options: str = ""


def parse_fstab(text: str) -> tuple[Entry, ...]:
    """The entries of fstab. Comments and lines that are none are left out."""
    return tuple(entry for entry in map(_entry, lines_of(text)) if entry)


def render(entry: Entry) -> str:
    """The entry as a line of fstab."""
    fields = (entry.source, entry.target, entry.fstype, entry.options, entry.dump, entry.passno)
    return " ".join(map(escape, fields))


def with_source(text: str, source: str, wanted: Entry | None) -> str:
    """fstab with one entry for this source, `wanted`, or with none. All other lines stay as they are."""
    lines = []
    kept = False
    for line in lines_of(text):
        found = _entry(line)
        if not found or found.source != source:
            lines.append(line)
        elif found == wanted and not kept:
            lines.append(line)
            kept = True
    if wanted and not kept:
        lines.append(render(wanted))
    return text if lines == lines_of(text) else "".join(f"{line}\n" for line in lines)


def lines_of_no_utf8(text: str) -> list[int]:
    """The numbers of the lines in another encoding, of a text that was read with surrogates for their bytes."""
    surrogates = re.compile("[\ud800-\udfff]")
    return [number for number, line in enumerate(lines_of(text), start=1) if surrogates.search(line)]


def encoding_findings(numbers: Sequence[int]) -> list[Finding]:
    """What the module that mounts cannot read: its Python stops there without naming the file."""
    if not numbers:
        return []
    shown = ", ".join(map(str, numbers))
    return [
        Finding(
            "fstab_encoding",
            PATH,
            NOT_SHOWN,
            Words(f"must be UTF-8, and is not in line {shown}", f"UTF-8이어야 하는데 {shown}번째 줄이 아닙니다"),
            Words(
                "Rewrite these lines, mostly comments, on the host; of a Korean Windows: iconv -f CP949 -t UTF-8.",
                "호스트에서 그 줄(대개 주석)을 다시 쓰십시오. 한국어 Windows의 파일이면 iconv -f CP949 -t UTF-8.",
            ),
        )
    ]


def parse_mountinfo(text: str) -> tuple[Mount, ...]:
    """/proc/self/mountinfo, in the order in which things were mounted: the last one at a place is what is seen."""
    mounts = []
    for line in lines_of(text):
        place, _, device = line.partition(" - ")
        fields, what = words(place), words(device)
        if len(fields) >= 6 and len(what) >= 2:
            mounts.append(
                Mount(
                    target=unescape(fields[4]),
                    device_number=fields[2],
                    root=unescape(fields[3]),
                    source=unescape(what[1]),
                    fstype=what[0],
                    options=fields[5],
                )
            )
    return tuple(mounts)


def escape(field: str) -> str:
    for character, code in ESCAPED.items():
        field = field.replace(character, code)
    return field


def unescape(field: str) -> str:
    """A field of one of the kernel's tables."""
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), field)


def _entry(line: str) -> Entry | None:
    fields = [ESCAPE.sub(lambda found: UNESCAPED[found[0]], field) for field in words(line)]
    if len(fields) < 3 or fields[0].startswith("#"):
        return None
    # A number ends where its digits do, also at the carriage return of a file that Windows wrote.
    return Entry(*fields[:4], *(field.removesuffix("\r") or "0" for field in fields[4:6]))

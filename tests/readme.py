# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The commands of the READMEs, which tests run as they stand there."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from tests.support import ROOT

ENGLISH, KOREAN = ROOT / "README.md", ROOT / "README.ko.md"
BLOCK = re.compile(r"^( *)```console\n(.*?)^ *```", re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"`([^`]+)`")
PROGRAMS = ("ansible-", "cp ", "python ", "make ", ". ", "eval ", "-")
# What a reader puts in the place of these is no part of the command.
PLACEHOLDER = re.compile(r"<[^<>]+>")


def section(readme: Path, heading: str) -> str:
    """What stands below a heading of the second level, until the next."""
    _, found, rest = readme.read_text(encoding="utf-8").partition(f"\n## {heading}\n")
    assert found, f"{readme.name} has no section {heading!r}"
    return rest.partition("\n## ")[0]


def blocks(text: str) -> list[str]:
    """The lines of the console blocks, in their order."""
    return [line.strip() for _, block in BLOCK.findall(text) for line in block.splitlines() if line.strip()]


def commands(text: str) -> list[str]:
    """Every command in the text, in blocks or in a sentence, with placeholders that are the same in each language."""
    inline = [code for code in INLINE.findall(BLOCK.sub("", text)) if code.startswith(PROGRAMS)]
    return [PLACEHOLDER.sub("<…>", command) for command in [*blocks(text), *inline]]


def script(lines: Iterable[str]) -> str:
    """The lines as one shell script that ends at the first failure."""
    return "\n".join(["set -euo pipefail", *lines])

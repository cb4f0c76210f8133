# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A name of a task or play can be read alone in a log: nothing in it stands for something that another line says."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
FILES = sorted([*ROOT.glob("roles/*/tasks/**/*.yml"), *ROOT.glob("playbooks/**/*.yml"), ROOT / "site.yml"])
# "they", "its" and "their" may refer to what the same name has said before.
ALONE = re.compile(r"\b(it|them|those|these|ones?|whoever|there)\b|^\W*\w+ (its|their|whose)\b", re.IGNORECASE)
CHILDREN = ("tasks", "pre_tasks", "post_tasks", "handlers", "block", "rescue", "always")


def names(steps: list[dict[str, Any]]) -> Iterator[str]:
    for step in steps:
        yield from [step["name"]] if "name" in step else []
        for child in CHILDREN:
            yield from names(step.get(child, []))


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_names_of_tasks(file: Path) -> None:
    found = names(yaml.safe_load(file.read_text(encoding="utf-8")))
    assert [name for name in found if ALONE.search(name.rpartition("| ")[2])] == []


@pytest.mark.parametrize(
    "name",
    [
        "Ask AWS whose credentials these are",
        "Wait for it",
        "stop | Tell them",
        "report | Read its last log lines",
        "Reach one",
    ],
)
def test_a_name_that_needs_another_line(name: str) -> None:
    assert ALONE.search(name.rpartition("| ")[2])

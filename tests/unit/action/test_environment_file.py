# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real run over files that are there already: whatever they hold, no part of it is shown at any verbosity."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests import support

NEW = "new-canary-0e1a9b7d3c5f"
# What other readers take for the end of a line stands between them.
OLD = ["old-canary-5f0e", "1a1c7d3c-second", "third-9b7d3c5f1a"]
REFUSED = "refused"
ALL_TOLD = ["DB_PORT", "OLD_NAME", "SECRET_KEY"]
# By its case: the value of a file that is there, and the names that are told of that file.
FILES = {
    "line separator": ("\u2028".join(OLD), ALL_TOLD),
    "line separators as names": ("\u2028".join(f"{part}=" for part in OLD), ALL_TOLD),
    "two kinds": (f"{OLD[0]}\u2029{OLD[1]}\x85{OLD[2]}", ALL_TOLD),
    "vertical tab": ("\x0b".join(OLD), ALL_TOLD),
    "carriage return": ("\r".join(OLD), ALL_TOLD),
    "several lines": ("\n".join(OLD), ["DB_PORT", "SECRET_KEY"]),
    "several lines in quotes": ("'" + "=\n".join(OLD) + "'", ["DB_PORT", "SECRET_KEY"]),
}


def task(path: Path, secret: str) -> dict[str, Any]:
    arguments = {"path": str(path), "settings": {"DB_PORT": 5432}, "secrets": {"SECRET_KEY": secret}}
    return {"name": path.name, "academy.deploy.environment_file": arguments, "register": "written"}


@pytest.fixture(scope="module")
def printed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """By its case, all that a run has printed of it. In check mode: only root could write a file of root's."""
    directory = tmp_path_factory.mktemp("run")
    tasks: list[dict[str, Any]] = []
    for name, (value, _) in FILES.items():
        path = directory / name
        path.write_bytes(f"DB_PORT=1\nSECRET_KEY={value}\nOLD_NAME=gone\n".encode())
        tasks += [task(path, NEW), {"name": f"result of {name}", "ansible.builtin.debug": {"var": "written"}}]
    tasks.append({**task(directory / REFUSED, "{{ refused }}"), "ignore_errors": True})
    playbook, variables = directory / "play.json", directory / "variables.json"
    playbook.write_text(json.dumps([{"hosts": "localhost", "gather_facts": False, "tasks": tasks}]), encoding="utf-8")
    given = {"refused": "\u2028".join(OLD), "ansible_python_interpreter": sys.executable}
    variables.write_text(json.dumps(given), encoding="utf-8")
    temporary = {f"ANSIBLE_{place}_TEMP": str(directory / "tmp") for place in ("LOCAL", "REMOTE")}
    done = subprocess.run(
        [Path(sys.executable).with_name("ansible-playbook"), "--inventory=localhost,", "--connection=local",
         f"--extra-vars=@{variables}", "--check", "--diff", "-vvv", playbook],
        cwd=support.ROOT, env={**os.environ, **temporary}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    sections = done.stdout.split("\nTASK [")[1:]
    found = {section.partition("]")[0].removeprefix("result of "): "" for section in sections}
    for section in sections:
        found[section.partition("]")[0].removeprefix("result of ")] += section
    return {**found, "errors": done.stderr}


def test_no_part_of_any_value_is_printed(printed: dict[str, str]) -> None:
    values = {value: value for value in [*OLD, NEW]}
    assert {*FILES, REFUSED, "errors"} <= set(printed)
    for case, text in printed.items():
        assert support.found_in(values, [text.encode()]) == set(), case


@pytest.mark.parametrize("case", FILES)
def test_what_the_file_held_is_told_by_name(printed: dict[str, str], case: str) -> None:
    lines = printed[case].split("\n")
    before = next(index for index, line in enumerate(lines) if line.startswith("-sha256"))
    shown = [line[1:] for line in lines[before + 1 :] if line.startswith("-")]
    assert [name for name in ALL_TOLD if name in shown] == FILES[case][1]
    assert "+SECRET_KEY  (changed)" in lines
    # Among the names of the result, too.
    assert ("    - OLD_NAME" in lines) is ("OLD_NAME" in FILES[case][1])


def test_such_a_value_is_refused(printed: dict[str, str]) -> None:
    assert (
        "SECRET_KEY: contains a line break, control character or noncharacter (U+2028)"
        in printed[REFUSED] + printed["errors"]
    )

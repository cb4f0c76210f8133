# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The search for secrets reads all that is there, while others make and remove files beside it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests import leaks


def test_files_below_are_all_but_those_that_go_meanwhile(tmp_path: Path) -> None:
    directories = [tmp_path / name for name in ("a", "b")]
    for directory in directories:
        (directory / "deep").mkdir(parents=True)
        for file in ("first", "second", "deep/third"):
            (directory / file).write_text(file, encoding="utf-8")

    found = leaks.files_below(tmp_path)
    path, content = next(found)
    # The other directory is known already, and goes before it is read.
    seen, gone = directories if path.parent == directories[0] else reversed(directories)
    shutil.rmtree(gone)
    rest = dict(found)

    assert {path: content, **rest} == {seen / name: name.encode() for name in ("first", "second", "deep/third")}


def test_a_file_that_goes_before_it_is_read_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = {"first", "second"}
    for name in names:
        (tmp_path / name).write_text(name, encoding="utf-8")

    found = leaks.files_below(tmp_path)
    path, _ = next(found)
    for other in names - {path.name}:
        (tmp_path / other).unlink()
    monkeypatch.setattr(Path, "is_file", lambda asked: True)  # It was there when that was asked.

    assert list(found) == []


def test_what_cannot_be_searched_fails(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(NotADirectoryError):
        list(leaks.files_below(file))

# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The search for secrets reads all that is there, while others make and remove files beside it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests import leaks, support

# One that is cut wherever a line could end, by whoever prints it.
CANARY = "canary-7d3c5f\u20280e1a-한글-9b\x85second-half+/="


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


@pytest.mark.parametrize(
    "printed",
    [
        CANARY.encode(),
        "\n".join(CANARY.splitlines()).encode(),
        b"canary-7d3c5f",
        "0e1a-한글-9b".encode(),
        b'{"msg": "0e1a-\\ud55c\\uae00-9b"}',
        b"b'0e1a-\\xed\\x95\\x9c\\xea\\xb8\\x80-9b'",
        b"second-half%2B%2F%3D",
    ],
)
def test_a_secret_is_found_whole_in_part_and_escaped(printed: bytes) -> None:
    values = {"canary": CANARY, "other": "something-else"}
    text = b"x" * 90 + printed + b"y" * 90
    assert support.found_in(values, [text]) == {"canary"}
    for cut in range(90, 90 + len(printed)):
        assert support.found_in(values, [text[:cut], text[cut:]]) == {"canary"}


def test_what_is_no_secret_is_not_found() -> None:
    assert support.found_in({"canary": CANARY}, [b"canary", b"-7d3c5", b"0e1a", b"second"]) == set()

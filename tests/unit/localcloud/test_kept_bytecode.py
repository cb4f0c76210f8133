# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What Python compiles of an archive is kept, by its content alone."""

from __future__ import annotations

import marshal
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

SOURCE = Path("localcloud/images/host/files/usr/lib/python3/dist-packages")
NO_BYTECODE = "PYTHONDONTWRITEBYTECODE"
SAYS = "print({!r})\n"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Where the hook lies, as in site-packages."""
    home = tmp_path / "home"
    home.mkdir()
    for file in SOURCE.glob("kept_bytecode.*"):
        shutil.copy(file, home)
    return home


def said(home: Path, source: str, **environment: str) -> str:
    """What a module of an archive says, imported by a new Python that obeys this .pth file and no other."""
    archive = home.parent / "archive.zip"
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("module.py", source)
    program = "import site, sys; site.addsitedir(sys.argv[1]); sys.path.insert(0, sys.argv[2]); import module"
    command = [sys.executable, "-S", "-c", program, str(home), str(archive)]
    inherited = {name: value for name, value in os.environ.items() if name != NO_BYTECODE}
    done = subprocess.run(command, check=True, capture_output=True, text=True, env={**inherited, **environment})
    return done.stdout.strip()


def kept(home: Path) -> list[Path]:
    return list((home / "__pycache__").glob("archived.*"))


def test_a_source_is_compiled_once_whatever_archive_brings_it(home: Path) -> None:
    assert said(home, SAYS.format("first")) == "first"
    (bytecode,) = kept(home)
    # Who compiles again would not say this.
    bytecode.write_bytes(marshal.dumps(compile(SAYS.format("kept"), "module.py", "exec")))
    assert said(home, SAYS.format("first")) == "kept"


def test_another_source_is_another_bytecode(home: Path) -> None:
    assert [said(home, SAYS.format(text)) for text in ("first", "second", "first")] == ["first", "second", "first"]
    assert len(kept(home)) == 2


@pytest.mark.parametrize("damage", [b"", b"\x00", marshal.dumps(compile("", "module.py", "exec"))[:-1]])
def test_damaged_bytecode_is_replaced(home: Path, damage: bytes) -> None:
    said(home, SAYS.format("first"))
    (bytecode,) = kept(home)
    whole = bytecode.read_bytes()
    bytecode.write_bytes(damage)
    assert said(home, SAYS.format("first")) == "first"
    assert kept(home) == [bytecode]
    assert bytecode.read_bytes() == whole


def test_who_may_not_write_compiles_again(home: Path) -> None:
    # No directory, whoever asks.
    (home / "__pycache__").write_text("", encoding="utf-8")
    assert said(home, SAYS.format("first")) == "first"


def test_who_wants_no_bytecode_keeps_none(home: Path) -> None:
    assert said(home, SAYS.format("first"), **{NO_BYTECODE: "1"}) == "first"
    assert kept(home) == []

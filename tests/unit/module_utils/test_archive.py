# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The same tree is the same archive."""

from __future__ import annotations

import io
import os
import zipfile
from pathlib import Path

import pytest

from plugins.module_utils.archive import ArchiveError, archive_of, code_sha256
from plugins.module_utils.tree import Entry, read_entries

ENTRIES = [Entry("package/handler.py", "file", b"handler = 1\n"), Entry("run", "program", b"#!/bin/sh\n")]


def test_the_bytes_depend_on_the_content_alone() -> None:
    assert archive_of(ENTRIES) == archive_of(reversed(ENTRIES))
    # Written down, so that another version of Python or zlib that packs otherwise is noticed.
    assert code_sha256(archive_of(ENTRIES)) == "mCibXIEFm2F63JarJIjSo672IriP7FRBDjKaAKNg83o="


def test_lambda_can_read_it() -> None:
    with zipfile.ZipFile(io.BytesIO(archive_of(ENTRIES))) as archive:
        modes = {info.filename: (info.external_attr >> 16) & 0o777 for info in archive.infolist()}
        assert modes == {"package/handler.py": 0o644, "run": 0o755}
        assert archive.read("package/handler.py") == b"handler = 1\n"


def test_a_link_does_not_belong_into_it() -> None:
    with pytest.raises(ArchiveError, match="package/x: must be a file, found a link"):
        archive_of([Entry("package/x", "link", b"/etc/passwd")])


def test_times_and_caches_do_not_count(tmp_path: Path) -> None:
    (tmp_path / "package").mkdir()
    module = tmp_path / "package" / "handler.py"
    module.write_text("handler = 1\n")
    before = archive_of(read_entries(str(tmp_path)))
    os.utime(module, (0, 0))
    (tmp_path / "package" / "__pycache__").mkdir()
    (tmp_path / "package" / "__pycache__" / "handler.cpython-313.pyc").write_bytes(b"x")
    assert archive_of(read_entries(str(tmp_path))) == before
    module.write_text("handler = 2\n")
    assert archive_of(read_entries(str(tmp_path))) != before

# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The record that outlives a kill."""

from __future__ import annotations

import stat
from pathlib import Path

from ansible_collections.academy.deploy.plugins.modules.volume_filesystem import write_record


def test_a_record_is_written(tmp_path: Path) -> None:
    path = tmp_path / "academy" / "volumes" / "record.json"
    write_record(str(path), "text\n")
    assert path.read_text() == "text\n"
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o755
    write_record(str(path), "")
    assert path.read_text() == ""

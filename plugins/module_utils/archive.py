# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A source tree as the ZIP file that Lambda takes: the same bytes for the same content, wherever and whenever."""

from __future__ import annotations

import base64
import hashlib
import io
import zipfile
from collections.abc import Iterable

from .tree import Entry

# The first moment that a ZIP file can name.
MOMENT = (1980, 1, 1, 0, 0, 0)
UNIX = 3
# Lambda runs it as a user of its own, who must be able to read it.
MODES = {"file": 0o100644, "program": 0o100755}


class ArchiveError(ValueError):
    """Something that does not belong into an archive of code."""


def archive_of(entries: Iterable[Entry]) -> bytes:
    """Stored, not deflated: what a compressor makes of the same bytes depends on its version."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for entry in sorted(entries):
            if entry.kind not in MODES:
                raise ArchiveError(f"{entry.path}: must be a file, found a {entry.kind}. Replace it by its content.")
            info = zipfile.ZipInfo(entry.path, MOMENT)
            info.create_system = UNIX
            info.external_attr = MODES[entry.kind] << 16
            archive.writestr(info, entry.content)
    return buffer.getvalue()


def code_sha256(archive: bytes) -> str:
    """As Lambda tells it of the code that it has."""
    return base64.b64encode(hashlib.sha256(archive).digest()).decode()

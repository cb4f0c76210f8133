# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""One name for the content of a source tree."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase

# What never gets into an image: downloads, caches, and what only one machine has.
IGNORED = (".*_cache", ".env*", ".git", ".venv", "*.pyc", "__pycache__", "wheels")
DIGEST_LENGTH = 12


@dataclass(frozen=True, order=True)
class Entry:
    """One file or symbolic link: where it is, whether it can be run, and what it says or points to."""

    path: str
    kind: str
    content: bytes


def is_ignored(name: str, patterns: Iterable[str]) -> bool:
    """Tell whether a file or directory name is one that does not count."""
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def digest_of(entries: Iterable[Entry]) -> str:
    """Return the same short name for the same entries, in whichever order they come."""
    digest = hashlib.sha256()
    for entry in sorted(entries):
        for part in (entry.path.encode(), entry.kind.encode(), entry.content):
            # With its length before it, no part can run into the next.
            digest.update(b"%d:%b" % (len(part), part))
    return digest.hexdigest()[:DIGEST_LENGTH]

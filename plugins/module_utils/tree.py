# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""One name for the content of a source tree."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator
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


def read_entries(root: str, ignore: Iterable[str] = IGNORED) -> Iterator[Entry]:
    """Every file and symbolic link below a directory."""
    patterns = tuple(ignore)
    for directory, subdirectories, names in os.walk(root):
        links = [name for name in subdirectories if os.path.islink(os.path.join(directory, name))]
        subdirectories[:] = [name for name in subdirectories if not is_ignored(name, patterns)]
        for name in (*names, *links):
            if not is_ignored(name, patterns):
                yield _read_entry(root, os.path.join(directory, name))


def _read_entry(root: str, path: str) -> Entry:
    relative = os.path.relpath(path, root)
    if os.path.islink(path):
        return Entry(relative, "link", os.fsencode(os.readlink(path)))
    with open(path, "rb") as file:
        return Entry(relative, "program" if os.access(path, os.X_OK) else "file", file.read())

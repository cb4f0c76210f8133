# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter tree_digest: a release name for a source tree that has none."""

from __future__ import annotations

DOCUMENTATION = r"""
name: tree_digest
version_added: 0.1.0
short_description: Name the content of a source tree
description:
  - Returns twelve hexadecimal digits that change whenever a file below the directory changes, so that an edited source
    tree is a new release without a commit.
  - Names, contents, the permission to run and the targets of symbolic links count; times and owners do not.
positional: ignore
options:
  _input:
    description: The directory.
    type: path
    required: true
  ignore:
    description: Patterns of the names of files and directories that do not count.
    type: list
    elements: str
    default: [".*_cache", ".env*", ".git", ".venv", "*.pyc", "__pycache__", "wheels"]
author:
  - academy.deploy contributors (@academy)
"""

EXAMPLES = r"""
release: "{{ (inventory_dir ~ '/../../examples/academy') | academy.deploy.tree_digest }}"
"""

RETURN = r"""
_value:
  description: Twelve hexadecimal digits.
  type: str
  sample: 3f8a1c0d94b2
"""

import os
from collections.abc import Callable, Iterable

from ansible.errors import AnsibleFilterError

from ..module_utils.tree import IGNORED, digest_of, read_entries


def tree_digest(path: str, ignore: Iterable[str] = IGNORED) -> str:
    if not os.path.isdir(path):
        raise AnsibleFilterError(f"tree_digest needs a directory, and {path!r} is none")
    return digest_of(read_entries(path, ignore))


class FilterModule:
    def filters(self) -> dict[str, Callable[..., str]]:
        return {"tree_digest": tree_digest}

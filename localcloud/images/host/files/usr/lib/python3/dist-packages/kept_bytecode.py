# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Python keeps what it compiles of files, and nothing of what is in an archive.

Each Ansible module comes as an archive, with thousands of lines that are the same in all of them: compiling them anew
is a fifth of all processor time of a run. They are kept beside this file, by their content, as other bytecode is: by
whoever may write there, and unless PYTHONDONTWRITEBYTECODE says otherwise.
"""

from __future__ import annotations

import _imp
import marshal
import os
import sys
import zipimport

DIRECTORY = os.path.join(os.path.dirname(__file__), "__pycache__")


def keep() -> None:
    """Have zipimport compile each source only once on this machine."""
    compile_source = zipimport._compile_source  # type: ignore[attr-defined]  # known to Python alone

    def compile_once(path: str, source: bytes) -> object:
        kept = os.path.join(DIRECTORY, f"archived.{_imp.source_hash(sys.hexversion, source).hex()}.pyc")
        try:
            with open(kept, "rb") as file:
                return marshal.load(file)
        except (OSError, EOFError, ValueError, TypeError):
            code = compile_source(path, source)
        mine = f"{kept}.{os.getpid()}"
        try:
            os.makedirs(DIRECTORY, exist_ok=True)
            with open(mine, "xb") as file:
                marshal.dump(code, file)
            os.replace(mine, kept)
        except OSError:  # not everybody may write there, and nothing depends on it
            pass
        return code

    zipimport._compile_source = compile_once  # type: ignore[attr-defined]


if not sys.dont_write_bytecode:
    keep()

# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether the signal to end reaches the application, by the command that an image or a container is started with.

Docker sends it to a container's first process alone. A shell there waits for its child and passes nothing on, so a
worker never hears that it has to give its job back. A script in a file cannot be judged from here.
"""

from __future__ import annotations

import posixpath
import shlex
from collections.abc import Sequence

SHELLS = {"sh", "dash", "ash", "bash"}
# They pass signals on, but only to the process that they start. With -g they tell all.
INITS = {"tini", "tini-static", "docker-init"}
SEPARATORS = set(";&|()\n")


def passes_signals(argv: Sequence[str]) -> bool:
    """False where a shell runs a command given to it, and does not become that command."""
    rest = [*argv]
    if rest and posixpath.basename(rest[0]) in INITS:
        options = rest[1 : rest.index("--")] if "--" in rest else []
        rest = [] if "-g" in options else rest[2 + len(options) if "--" in rest else 1 :]
    if not rest or posixpath.basename(rest[0]) not in SHELLS:
        return True
    script = _script(rest[1:])
    if script is None:
        return True
    commands = _commands(script)
    # Bash alone becomes a single simple command by itself; dash, which is Debian's sh, does not.
    is_bash = posixpath.basename(rest[0]) == "bash" and len(commands) == 1 and not {"<", ">"} & set(script)
    return is_bash or not commands or commands[-1][0] == "exec"


def _script(arguments: Sequence[str]) -> str | None:
    """What stands behind -c, however the option is written; None for a script in a file."""
    for place, argument in enumerate(arguments):
        if argument.startswith("-") and not argument.startswith("--") and "c" in argument:
            return arguments[place + 1] if place + 1 < len(arguments) else ""
        is_value = place > 0 and arguments[place - 1].endswith("o")
        if not argument.startswith(("-", "+")) and not is_value:
            return None
    return None


def _commands(script: str) -> list[list[str]]:
    """The simple commands of a script, each as its words. What cannot be read is one that is no exec."""
    words = shlex.shlex(script, posix=True, punctuation_chars=";&|()\n")
    words.whitespace = " \t\r"
    words.whitespace_split = True
    commands: list[list[str]] = [[]]
    try:
        for word in words:
            if set(word) <= SEPARATORS:
                commands.append([])
            else:
                commands[-1].append(word)
    except ValueError:
        return [["?"], ["?"]]
    return [command for command in commands if command]

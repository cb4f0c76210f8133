# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How Docker's daemon is started, and which containers run that it does not know, from what the host's tools say.

Nothing here starts a command or opens a file. Of the daemon's options only the names are told: a proxy's address among
their values may hold a password.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

from .lines import lines

# Where Docker keeps its store by itself.
DOCKER_ROOT = "/var/lib/docker"
UNIT_PROPERTIES = ("FragmentPath", "DropInPaths", "ExecStart", "Environment", "EnvironmentFiles")
# As systemd shows a command: { path=… ; argv[]=… ; ignore_errors=no ; … }
ARGUMENTS = re.compile(r"argv\[\]=(.*?) ; ignore_errors=")
VARIABLE = re.compile(r"\$(?:\{(\w+)\}|(\w+))")
# In a file of the environment, where a quoted value may go over several lines.
ASSIGNMENT = re.compile(r"""^[ \t]*([A-Za-z_]\w*)=("(?:[^"\\]|\\.)*"|'[^']*'|[^\n]*)""", re.MULTILINE | re.DOTALL)
# Of dockerd's.
SHORT = {"D": "debug", "g": "data-root", "H": "host", "l": "log-level", "s": "storage-driver"}
SHIM = "containerd-shim"
NAMESPACE = "moby"


def daemon_options(systemctl_show: str, read: Callable[[str], str]) -> dict[str, str]:
    """The options that the unit's next start gives to the daemon, each with the file that says so.

    Wherever they stand: in the unit, in a drop-in, or in a variable that a file of its environment sets.
    """
    properties = [line.partition("=")[::2] for line in lines(systemctl_show)]

    def of(name: str) -> list[str]:
        return [value for found, value in properties if found == name and value]

    own_files = [*of("FragmentPath"), *(path for value in of("DropInPaths") for path in value.split())]
    variables = {
        name: (value, _last_with(own_files, f"{name}=", read))
        for text in of("Environment")
        for name, _, value in (word.partition("=") for word in _words(text))
    }
    for path in (value.partition(" (")[0] for value in of("EnvironmentFiles")):
        assigned = ASSIGNMENT.findall(read(path).replace("\\\n", ""))
        variables.update({name: (" ".join(_words(value)), path) for name, value in assigned})
    command = " ".join(found for value in of("ExecStart") for found in ARGUMENTS.findall(value))
    where = _last_with(own_files, "ExecStart=", read)
    options: dict[str, str] = {}
    for word in command.split():
        variable = VARIABLE.fullmatch(word)
        value, source = variables.get(variable[1] or variable[2], ("", "")) if variable else (word, where)
        options.update(dict.fromkeys(_option_names(value.split()), source))
    return options


def _last_with(paths: Iterable[str], text: str, read: Callable[[str], str]) -> str:
    """The file of a unit that decides: the last one that says it."""
    return next((path for path in reversed([*paths]) if text in read(path)), "")


def _words(text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError:  # a quote without its end
        return re.sub("[\"']", "", text).split()


def _option_names(arguments: Iterable[str]) -> list[str]:
    names = [word.lstrip("-").partition("=")[0] for word in arguments if re.match(r"--?[A-Za-z]", word)]
    return [SHORT.get(name[0], name) if len(name) == 1 else name for name in names]


def containers_of_shims(processes: Iterable[tuple[int, int, Sequence[str]]]) -> dict[str, int]:
    """Ids of the containers that run, each with a process of it, from (process, parent, command) of all of them.

    The shim that holds a container outlives the daemon; one that holds nothing any more is left behind and harmless.
    """
    known = list(processes)
    shims = {
        pid: command[command.index("-id") + 1]
        for pid, _, command in known
        if SHIM in command[0] and NAMESPACE in command and "-id" in command[:-1]
    }
    return {shims[parent]: pid for pid, parent, _ in reversed(known) if parent in shims}


def unseen(before: Mapping[str, int], known: Collection[str], after: Collection[str]) -> dict[str, int]:
    """Those that ran before and after the daemon was asked what it knows, and are none of it."""
    return {name: pid for name, pid in before.items() if name in after and name not in known}

# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Environment files that every reader understands alike, and what may be said about them without showing a value.

Docker, Ansible's docker modules, python-dotenv and compose agree only on plain lines NAME=value: no quotes, no
escapes, no interpolation, no blanks around the value. Anything else is refused instead of being read in four ways.
"""

from __future__ import annotations

import hashlib
import posixpath
import re
from collections.abc import Mapping
from dataclasses import dataclass

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
# What some reader unquotes, unescapes or expands.
SPECIAL = "\"'\\$`"
FILE_MODE = "0600"
# Shorter values are words of their own ("5432", "true"): masking them would make a log unreadable and hide nothing.
SHORTEST_MASKED = 6


class EnvironmentFileError(ValueError):
    """Everything that is wrong with an environment, one line each."""


@dataclass(frozen=True)
class Change:
    """How two environments differ, by name."""

    added: tuple[str, ...]
    removed: tuple[str, ...]
    changed: tuple[str, ...]


def environment(settings: Mapping[str, object], secrets: Mapping[str, object]) -> dict[str, str]:
    """Settings and secrets as one environment, sorted by name. Raises with everything that is wrong at once."""
    problems = [*_name_problems(settings, secrets)]
    texts = {}
    for name, value in {**settings, **secrets}.items():
        text = scalar_text(value)
        texts[name] = text or ""
        problems += [f"{name}: {problem}" for problem in value_problems(text, secret=name in secrets)]
    if problems:
        raise EnvironmentFileError("\n".join(problems))
    return dict(sorted(texts.items()))


def render(values: Mapping[str, str]) -> str:
    """The file."""
    return "".join(f"{name}={value}\n" for name, value in values.items())


def wanted_paths(path: str, text: str, directory_mode: str | None) -> list[dict[str, str]]:
    """The file, behind its directory where that is to be kept too, as host_state.path_differences takes them."""
    directory = {"path": posixpath.dirname(path), "kind": "directory", "mode": directory_mode or ""}
    file = {"path": path, "kind": "file", "mode": FILE_MODE, "content": text}
    return [directory, file] if directory_mode else [file]


def parse(text: str) -> dict[str, str]:
    """The names and values in a file, whoever wrote it."""
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return {name: value for name, _, value in (line.partition("=") for line in lines)}


def scalar_text(value: object) -> str | None:
    """A scalar as the application reads it; None for what is no scalar."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (int, float)):
        return str(value)
    return str(value) if isinstance(value, str) else None


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()


def compare(before: Mapping[str, str], after: Mapping[str, str]) -> Change:
    return Change(
        added=tuple(sorted(after.keys() - before.keys())),
        removed=tuple(sorted(before.keys() - after.keys())),
        changed=tuple(sorted(name for name in before.keys() & after.keys() if before[name] != after[name])),
    )


def describe(text: str, marked: Mapping[str, str] | None = None) -> str:
    """A file without its values, for --diff: its hash and its names, each with its mark."""
    marks = marked or {}
    names = sorted(parse(text))
    return f"sha256 {sha256(text)}\n" + "".join(f"{name}{marks.get(name, '')}\n" for name in names)


def redact(text: str, secrets: Mapping[str, object]) -> str:
    """Text with every secret replaced by its name."""
    values = {name: scalar_text(value) or "" for name, value in secrets.items()}
    # The longest first: a secret that is part of another one must not leave the other's rest behind.
    for name, value in sorted(values.items(), key=lambda item: len(item[1]), reverse=True):
        if len(value) >= SHORTEST_MASKED:
            text = text.replace(value, f"[{name}]")
    return text


def _name_problems(settings: Mapping[str, object], secrets: Mapping[str, object]) -> list[str]:
    problems = [
        f"{name}: a name has letters, digits and underscores and starts with no digit; rename it"
        for name in [*settings, *secrets]
        if not NAME.fullmatch(str(name))
    ]
    problems += [
        f"{name}: stands among the settings and among the secrets; take it out of one of them"
        for name in sorted(settings.keys() & secrets.keys())
    ]
    return problems


def value_problems(text: str | None, *, secret: bool) -> list[str]:
    """What is wrong with a value. Never says the value itself, only the character that is in the way."""
    if text is None:
        return ["must be a string, a number or a boolean; quote it or render it to one"]
    found = sorted({character for character in text if character in SPECIAL})
    rules = [
        (secret and not text, "is an empty secret; set it in the vault"),
        (
            bool(found),
            f"contains {' '.join(found)}, which readers of environment files unquote or expand; choose another",
        ),
        (text != text.strip(), "starts or ends with a blank; remove it"),
        (text.startswith("#") or " #" in text, "contains a # where a reader takes the rest for a comment; remove it"),
        (
            any(ord(character) < 32 or ord(character) == 127 for character in text.strip()),
            "contains a line break or control character; a value is one line (encode a key in base64)",
        ),
        (any("\ud800" <= character <= "\udfff" for character in text), "is not UTF-8; save the variables as UTF-8"),
    ]
    return [problem for broken, problem in rules if broken]

# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Environment files that every reader understands alike, and what may be said about them without showing a value.

Docker, Ansible's docker modules, python-dotenv and compose agree only on plain lines NAME=value: no quotes, no
escapes, no interpolation, no blanks around the value. Anything else is refused instead of being read in four ways.
"""

from __future__ import annotations

import hashlib
import html
import json
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple
from urllib.parse import quote, quote_plus

from .findings import Words
from .lines import breaks_in, lines, pieces

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
# Names that may be told although nobody knows them, and how a value begins. The last line of a key that somebody broke
# into lines may look like such a name, but behind it there is padding at most, and what closes a quote or a list.
PLAUSIBLE_NAME = re.compile(r"[A-Z][A-Z0-9]{0,15}(_[A-Z0-9]{1,15})+|[A-Z]{2,16}")
PLAUSIBLE_VALUE = re.compile(r"[\"'`]?[./]*\w")
QUOTES = "\"'"
# What some reader unquotes, unescapes or expands.
SPECIAL = f"{QUOTES}\\$`"
# Handed on by docker as it stands, and drawn by Django for its keys. As the whole of a value, or with a brace, it is
# somebody's reference to another variable.
PASSED_ON_IN_A_SECRET = "$"
REFERENCE = re.compile(r"\$\{|^\$[A-Za-z_]\w*$")
# What some reader lets a value of several lines begin with, and the end of a line that goes on in the next one.
MULTILINE_QUOTES = (*QUOTES, "`")
CONTINUATION = "\\"
# A value that ends with its line for everybody: without anything special, but for the quotes around it.
COMPLETE_VALUE = re.compile(rf"([{QUOTES}]?)[^{re.escape(SPECIAL)}]*\1")
FILE_MODE = "0600"
# Shorter values are words of their own ("5432", "true"): masking them would make a log unreadable and hide nothing.
SHORTEST_MASKED = 6
# How JSON and addresses write a character by its number, whose digits may be written large or small.
ESCAPE = re.compile(r"\\u[0-9a-f]{4}")
PERCENT = re.compile(r"%[0-9A-F]{2}")
SEPARATOR_ESCAPES = {ord(character): f"\\u{ord(character):04x}" for character in "\u2028\u2029"}
GO_ESCAPES = {**SEPARATOR_ESCAPES, **{ord(character): f"\\u{ord(character):04x}" for character in "<>&"}}
# Of a secret that is cut into lines, which no word of a log is by chance.
SHORTEST_PIECE_MASKED = 4


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
        problems += [f"{name}: {problem.text}" for problem in value_problems(text, secret=name in secrets)]
    if problems:
        raise EnvironmentFileError("\n".join(problems))
    return dict(sorted(texts.items()))


def render(values: Mapping[str, str]) -> str:
    """The file."""
    return "".join(f"{name}={value}\n" for name, value in values.items())


def wanted_path(path: str, text: str) -> dict[str, str]:
    """The file, as host_state.path_differences takes it."""
    return {"path": path, "kind": "file", "mode": FILE_MODE, "content": text}


def parse(text: str) -> dict[str, str]:
    """The names and values in a file, whoever wrote it."""
    return {name: value for name, _, value in (line.partition("=") for line in _written(text))}


def is_passed_over(line: str) -> bool:
    """Whether every reader does so: a comment, or nothing. Other blanks are a name to them."""
    return line.startswith("#") or not line.strip(" \t\r")


def _written(text: str) -> list[str]:
    return [line for line in lines(text) if not is_passed_over(line)]


class NamesTold:
    """Which names of a file may be shown, asked line by line. Without `known` the file is one of ours.

    In what somebody else wrote, what stands where a name belongs may be the rest of a secret of several lines. A name
    that nobody knows is told as long as it looks like one and every line before it ended for certain: already with
    `it's` a shell reads on in the next. A known name is told even then, because it tells nothing but itself, and such
    values are mostly harmless. It is not told within a value that a quote in front or a backslash at the end of its
    line keeps open, because there it names nothing.
    """

    def __init__(self, known: Collection[str] | None = None) -> None:
        self._known = known
        # Whether every line so far was one variable, and ended with it for everybody.
        self._sound = True
        # What keeps the value of a variable open.
        self._open = ""

    def tells(self, name: str, line: str) -> bool:
        """Whether the name may be shown that somebody reads in the next line."""
        written, equals, value = line.partition("=")
        within, known = self._open, self._known
        self._sound = self._sound and not within and bool(equals) and NAME.fullmatch(written) is not None
        plausible = self._sound and (known is None or _is_plausible(written, value))
        told = not within and (plausible or name in (known or ()))
        # Only a variable opens a value: what is untold may be a secret's line, whose quotes are characters of it.
        self._open = still_open(within, line if within else value if told else "")
        self._sound = self._sound and COMPLETE_VALUE.fullmatch(value.strip()) is not None
        return told


def names_told(text: str, known: Collection[str] | None = None) -> list[str]:
    """The names in a file that may be shown, a line each; `known` as for NamesTold."""
    told = NamesTold(known)
    named = ((line.partition("=")[0], line) for line in _written(text))
    return [name for name, line in named if told.tells(name, line)]


def _is_plausible(name: str, value: str) -> bool:
    return PLAUSIBLE_NAME.fullmatch(name) is not None and PLAUSIBLE_VALUE.match(value) is not None


def still_open(opened: str, text: str) -> str:
    """What keeps a value open behind a line of it: the quote that was open or begins it, or a backslash at its end.

    A backslash lets no quote end, also where some reader takes it for a character: too much is hidden rather than told.
    """
    text = text.strip()
    if opened not in MULTILINE_QUOTES and text.startswith(MULTILINE_QUOTES):
        opened, text = text[0], text[1:]
    if opened in MULTILINE_QUOTES and not re.search(rf"(?<!\\){opened}", text):
        return opened
    return CONTINUATION if text.endswith(CONTINUATION) else ""


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


def describe(text: str, marked: Mapping[str, str] | None = None, known: Collection[str] | None = None) -> str:
    """A file without its values, for --diff: its hash and its names, each with its mark; `known` as for NamesTold."""
    marks = marked or {}
    names = names_told(text, known)
    untold = len(_written(text)) - len(names)
    return "".join(
        [
            f"sha256 {sha256(text)}\n",
            *(f"{name}{marks.get(name, '')}\n" for name in sorted(set(names))),
            *([f"({untold} line(s) whose beginning is not shown)\n"] if untold else []),
        ]
    )


def redact(text: str, secrets: Mapping[str, object]) -> str:
    """Text with every secret replaced by its name, as it is, escaped, and cut into lines.

    All are found before any is replaced: where two overlap, the rest of the second one would not be found any more.
    """
    found = {(span, name) for name, value in secrets.items() for span in _spans(text, scalar_text(value) or "")}
    shown: list[str] = []
    end = 0
    # The longest first of those that begin together: one within another is not named.
    for (start, stop), name in sorted(found, key=lambda each: (each[0][0], -each[0][1], each[1])):
        mask = f"[{name}]"
        if start >= end:
            shown += [text[end:start], mask]
        elif stop > end and shown[-1] != mask:
            shown.append(mask)
        end = max(end, stop)
    return "".join([*shown, text[end:]])


def _spans(text: str, value: str) -> Iterator[tuple[int, int]]:
    """Where a value stands in a text, also where it overlaps itself."""
    for spelling in set(_spellings(value)):
        start = text.find(spelling)
        while start >= 0:
            yield start, start + len(spelling)
            start = text.find(spelling, start + 1)


def _spellings(value: str) -> Iterator[str]:
    """How a value may stand in what programs print: whole or in lines, and each as it is, or escaped in some way."""
    if len(value) < SHORTEST_MASKED:
        return
    cut = pieces(value)
    for part in (value, "\n".join(cut), *(piece for piece in cut if len(piece) >= SHORTEST_PIECE_MASKED)):
        yield part
        # JSON with and without Unicode in it.
        for ascii_only in (True, False):
            escaped = json.dumps(part, ensure_ascii=ascii_only)[1:-1]
            for spelling in (escaped, ESCAPE.sub(lambda found: found[0].upper().replace("\\U", "\\u"), escaped)):
                yield spelling
                # YAML in quotes differs in three characters; PHP escapes the slash, Go what means something to HTML.
                yield spelling.replace("\x85", "\\N").replace("\u2028", "\\L").replace("\u2029", "\\P")
                yield spelling.replace("/", "\\/")
                yield spelling.translate(SEPARATOR_ESCAPES)
                yield spelling.translate(GO_ESCAPES)
        # Python's text and bytes, HTML, and an address.
        encoded = part.encode("utf-8", "surrogatepass")
        yield from (repr(part)[1:-1], ascii(part)[1:-1], repr(encoded)[2:-1])
        yield from (html.escape(part, quote=False), html.escape(part), html.escape(part).replace("&#x27;", "&#39;"))
        for address in (quote(encoded), quote(encoded, safe=""), quote_plus(encoded)):
            yield from (address, PERCENT.sub(lambda found: found[0].lower(), address))


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


class Problem(NamedTuple):
    """What is wrong with a value, which is never told."""

    rule: Words
    remedy: Words

    @property
    def text(self) -> str:
        return f"{self.rule.en}; {self.remedy.en[0].lower()}{self.remedy.en[1:].rstrip('.')}"


def value_problems(text: str | None, *, secret: bool) -> list[Problem]:
    """What is wrong with a value. Never says the value itself, only the character that is in the way."""
    if text is None:
        rule = Words("must be a string, a number or a boolean", "문자열, 숫자 또는 참/거짓이어야 합니다")
        return [Problem(rule, Words("Quote it or render it to one.", "따옴표로 묶거나 그렇게 만드십시오."))]
    special = SPECIAL
    if secret and not REFERENCE.search(text):
        special = special.replace(PASSED_ON_IN_A_SECRET, "")
    found = " ".join(sorted({character for character in text if character in special}))
    # A blank at an end has a rule of its own.
    breaks = ", ".join(breaks_in(text.strip(" \t")))
    remove, another = Words("Remove it.", "지우십시오."), Words("Choose another.", "다른 값을 고르십시오.")
    rules = [
        (
            secret and not text,
            Words("is an empty secret", "비밀값이 비어 있습니다"),
            Words("Set it in the vault.", "볼트에 설정하십시오."),
        ),
        (
            bool(found),
            Words(
                f"contains {found}, which readers of environment files unquote or expand",
                f"env 파일을 읽는 프로그램마다 따옴표나 변수로 다르게 읽는 글자({found})가 있습니다",
            ),
            another,
        ),
        (text != text.strip(), Words("starts or ends with a blank", "앞이나 뒤에 공백이 있습니다"), remove),
        (
            text.startswith("#") or " #" in text,
            Words("contains a # where a reader takes the rest for a comment", "주석으로 읽히는 #이 있습니다"),
            remove,
        ),
        (
            bool(breaks),
            Words(
                f"contains a line break, control character or noncharacter ({breaks})",
                f"줄바꿈이나 제어 문자({breaks})가 있습니다",
            ),
            Words(
                "A value is one line: take it out (encode a key in base64).",
                "값은 한 줄입니다. 빼십시오(키는 base64로 인코딩하십시오).",
            ),
        ),
        (
            any("\ud800" <= character <= "\udfff" for character in text),
            Words("is not UTF-8", "UTF-8이 아닙니다"),
            Words("Save the variables as UTF-8.", "변수를 UTF-8로 저장하십시오."),
        ),
    ]
    return [Problem(rule, remedy) for broken, rule, remedy in rules if broken]

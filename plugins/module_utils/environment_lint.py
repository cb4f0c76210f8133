# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is wrong with a team's own .env, line by line, against the table of the application's variables.

The readers of such files agree only on plain lines NAME=value in UTF-8 with LF. No finding tells a value.
"""

from __future__ import annotations

import codecs
import hashlib
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from .application_environment import is_required, is_secret, value_findings
from .environment_file import NAME, QUOTES, NamesTold, is_passed_over
from .findings import NOT_SHOWN, Finding, Severity, Words
from .lines import breaks_in
from .lines import lines as lines_of
from .rds_password import KOREAN, PUBLISHED_PASSWORD_SHA256, TEMPLATE, check

Table = Mapping[str, Mapping[str, Any]]

UTF16_MARKS = {codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}
# Korean Windows' own, in which what is no UTF-8 is looked at further.
LEGACY_ENCODING = "cp949"
POWERSHELL = re.compile(r"\s*\$env:(\w+)\s*=", re.IGNORECASE)
BATCH = re.compile(r"\s*set\s+\"?(\w+)=", re.IGNORECASE)
EXPORT = re.compile(r"\s*export\s+(\w+)")
# What examples and guides print where a value belongs.
PLACEHOLDER = re.compile(
    r"CHANGE-?_?ME|<[^<>]*>|\byour[-_ ]|x{4,}|^(TODO|FIXME|example|sample|placeholder|password|secret|\.\.\.|…)$",
    re.IGNORECASE,
)

REWRITE = Words(
    "Save it as UTF-8 with LF line ends, without a mark: in VS Code at the lower right; not with PowerShell's > or "
    "Out-File.",
    "BOM 없는 UTF-8, LF 줄바꿈으로 저장하십시오(VS Code 오른쪽 아래). PowerShell의 > 나 Out-File은 쓰지 마십시오.",
)


@dataclass(frozen=True)
class Line:
    number: int
    name: str
    value: str
    # How it is named to people.
    where: str


def _at(number: int, name: str = "") -> str:
    return f"line {number}: {name}" if name else f"line {number}"


def _finding(rule: str, subject: str, words: Words, remedy: Words, severity: Severity = "error") -> Finding:
    return Finding(rule, subject, NOT_SHOWN, words, remedy, severity)


def decode(data: bytes) -> tuple[str, list[Finding]]:
    """The text as far as it can be read, and what is wrong with its encoding and its line ends."""
    findings: list[Finding] = []
    for mark, encoding in UTF16_MARKS.items():
        if data.startswith(mark) or (b"\0" in data and data[1:2] == b"\0" and encoding.endswith("le")):
            findings.append(
                _finding(
                    "utf16",
                    "the file",
                    Words(
                        "is UTF-16, as PowerShell's > and Out-File write it; nobody reads it",
                        "PowerShell의 > 와 Out-File이 쓰는 UTF-16입니다. 아무도 읽지 못합니다",
                    ),
                    REWRITE,
                )
            )
            text = data.removeprefix(mark).decode(encoding, "replace")
            return text, [*findings, *_line_end_findings(text)]
    if data.startswith(codecs.BOM_UTF8):
        findings.append(
            _finding(
                "byte_order_mark",
                _at(1),
                Words(
                    "begins with a byte order mark (BOM), which becomes part of the first name",
                    "BOM으로 시작합니다. 첫 변수 이름의 일부가 됩니다",
                ),
                REWRITE,
            )
        )
        data = data.removeprefix(codecs.BOM_UTF8)
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        findings.append(
            _finding(
                "not_utf8",
                _at(data[: error.start].count(b"\n") + 1),
                Words("is not UTF-8", "UTF-8이 아닙니다"),
                REWRITE,
            )
        )
        text = data.decode(LEGACY_ENCODING, "replace")
    return text, [*findings, *_line_end_findings(text)]


def _line_end_findings(text: str) -> list[Finding]:
    lines = [number for number, line in enumerate(lines_of(text), start=1) if "\r" in line]
    if not lines:
        return []
    return [
        _finding(
            "carriage_return",
            _at(lines[0]),
            Words(
                f"ends in CR LF, as Windows writes it ({len(lines)} line(s)); the CR becomes part of the value",
                f"Windows식 CRLF 줄바꿈입니다({len(lines)}줄). CR이 값의 일부가 됩니다",
            ),
            REWRITE,
        )
    ]


def _name_findings(number: int, raw: str, where: str) -> Iterator[Finding]:
    """What is wrong in front of the =."""
    plain = Words("Write NAME=value.", "NAME=value로 쓰십시오.")
    name = raw.strip()
    if raw != raw.lstrip():
        words = Words("begins with a blank", "공백으로 시작합니다")
        yield _finding("leading_blank", where, words, plain)
    if raw != raw.rstrip():
        words = Words("has a blank before the =", "= 앞에 공백이 있습니다")
        yield _finding("blank_before_equals", where, words, plain)
    if not NAME.fullmatch(name):
        words = Words(
            "its name must be letters, digits and underscores and begin with no digit",
            "이름은 영문자, 숫자, 밑줄이고 숫자로 시작하지 않아야 합니다",
        )
        yield _finding("name", _at(number), words, plain)


def _unscripted(line: str) -> tuple[str, str]:
    """The script that a line is of, and its variable as a file would have it."""
    for pattern, script in ((EXPORT, "export"), (POWERSHELL, "powershell"), (BATCH, "batch")):
        found = pattern.match(line)
        if found:
            return script, line[found.start(1) :]
    return "", line


def parse(text: str, known: Collection[str] = ()) -> tuple[list[Line], list[Finding]]:
    """The variables as somebody meant them, and what is wrong with how they are written."""
    lines: list[Line] = []
    findings: list[Finding] = []
    plain = Words("Write NAME=value.", "NAME=value로 쓰십시오.")
    told = NamesTold(known)
    for number, written in enumerate(lines_of(text), start=1):
        if is_passed_over(written):
            continue
        script, line = _unscripted(written.removesuffix("\r"))
        raw, equals, value = line.partition("=")
        name = raw.strip()
        where = _at(number, name if told.tells(name, line) else "")
        if name.startswith("#"):
            words = Words(
                "a comment must begin in the first column: some readers take this for a variable",
                "주석은 첫 칸에서 시작해야 합니다. 일부 프로그램은 변수로 읽습니다",
            )
            findings.append(_finding("comment", where, words, plain))
            continue
        if script:
            words = Words(
                f"is a line of a {'shell' if script == 'export' else 'Windows'} script ({script})",
                f"스크립트 문법({script})입니다",
            )
            findings.append(_finding(script, where, words, plain))
        if not equals:
            words = Words("has no =", "= 이 없습니다")
            findings.append(_finding("no_equals", where, words, plain))
            continue
        problems = list(_name_findings(number, raw, where))
        findings += problems
        if not any(problem.id == "name" for problem in problems):
            lines.append(Line(number, name, value, where))
    return lines, findings


def _duplicates(lines: Sequence[Line]) -> list[Finding]:
    first: dict[str, int] = {}
    findings = []
    for line in lines:
        if line.name in first:
            words = Words(
                f"stands in line {first[line.name]} too, and readers disagree on which counts",
                f"{first[line.name]}번째 줄에도 있습니다. 어느 것이 쓰일지 프로그램마다 다릅니다",
            )
            remedy = Words("Take one of them out.", "하나를 지우십시오.")
            findings.append(_finding("duplicate", line.where, words, remedy))
        else:
            first[line.name] = line.number
    return findings


def _unquoted(line: Line) -> tuple[str, list[Finding]]:
    """The value as it was meant, and that quotes were put around it."""
    value = line.value.strip()
    if len(value) >= 2 and value[0] in QUOTES and value[-1] == value[0]:
        words = Words(
            "stands in quotes, which docker run --env-file takes for a part of the value",
            "따옴표로 감싸져 있습니다. docker run --env-file은 따옴표까지 값으로 읽습니다",
        )
        remedy = Words("Take the quotes away.", "따옴표를 지우십시오.")
        return value[1:-1], [_finding("quotes", line.where, words, remedy)]
    return line.value, []


def _is_placeholder(value: str) -> bool:
    return bool(PLACEHOLDER.search(value)) or hashlib.sha256(value.encode()).hexdigest() == PUBLISHED_PASSWORD_SHA256


def _value(line: Line, row: Mapping[str, Any] | None, username: str) -> Iterator[Finding]:
    where = line.where
    value, quoted = _unquoted(line)
    yield from quoted
    if _is_placeholder(value):
        words = Words(
            "is a placeholder, or the example of a guide that everybody knows",
            "자리 표시자이거나 누구나 아는 가이드의 예시입니다",
        )
        yield _finding("placeholder", where, words, Words("Write the real value.", "실제 값을 쓰십시오."))
        return
    if TEMPLATE.search(value):
        words = Words(
            "contains {{, {% or {#, which Ansible takes for a template",
            "Ansible이 템플릿으로 읽는 {{, {%, {# 이 있습니다",
        )
        yield _finding("template", where, words, Words("Choose another.", "다른 값을 고르십시오."))
    # What is not in the table is judged by what readers make of it.
    judged = row if row is not None else {"required": False}
    if judged.get("type") == "password":
        for broken in (*(found := check(username, value)).violations, *found.cautions):
            if broken.subject == "master_password":
                severity: Severity = "error" if broken in found.violations else "warning"
                words = Words(broken.message.partition("; ")[0], KOREAN[broken.rule])
                remedy = Words("Choose another.", "다른 값을 고르십시오.")
                yield _finding(broken.rule, where, words, remedy, severity)
        if value and value == value.strip() and not breaks_in(value):
            return
    if judged.get("type") == "username":
        for broken in check(value, "").violations:
            if broken.subject == "master_username":
                words = Words(broken.message.partition("; ")[0], KOREAN[broken.rule])
                yield _finding(broken.rule, where, words, Words("Choose another.", "다른 값을 고르십시오."))
    for finding in value_findings(line.name, judged, value):
        # Neither a host's name nor a stage is known to a file.
        yield replace(finding, subject=where, found=NOT_SHOWN)


def _table_findings(lines: Sequence[Line], table: Table, known: Collection[str]) -> Iterator[Finding]:
    named = {line.name for line in lines}
    for line in lines:
        row = table.get(line.name)
        if row is None:
            words = Words(
                "is not in application_variables: no service would get it",
                "application_variables에 없어 배포되지 않습니다",
            )
            remedy = Words(
                "Declare it there with the services that need it, or take it out.",
                "필요한 서비스와 함께 선언하거나 지우십시오.",
            )
            yield _finding("unknown", line.where, words, remedy)
        elif row.get("source", "inventory") != "inventory":
            words = Words(
                "is given by the deployment itself, per host or from AWS: what stands here is not used",
                "배포가 호스트별로 또는 AWS에서 직접 정하므로 이 값은 쓰이지 않습니다",
            )
            yield _finding("given", line.where, words, Words("Take it out.", "지우십시오."), "warning")
    for name, row in table.items():
        if name not in {*named, *known} and is_required(row) and row.get("source", "inventory") == "inventory":
            words = Words("is missing, and the inventory has no value either", "빠져 있고 인벤토리에도 값이 없습니다")
            remedy = Words(
                f"Add it{', it is a secret' if is_secret(row) else ''}.",
                "추가하십시오" + ("(비밀값)." if is_secret(row) else "."),
            )
            yield _finding("missing", name, words, remedy)


def lint(data: bytes, table: Table, known: Collection[str] = ()) -> tuple[dict[str, str], list[Finding]]:
    """The values as they were meant, and everything that is wrong with the file, by line.

    What is known to the inventory need not stand in the file.
    """
    text, findings = decode(data)
    lines, written = parse(text, table)
    meant = {line.name: _unquoted(line)[0] for line in lines}
    username = next((meant[name] for name, row in table.items() if row.get("type") == "username" and name in meant), "")
    findings += [*written, *_duplicates(lines), *_table_findings(lines, table, known)]
    for line in lines:
        row = table.get(line.name)
        # What is not used need not be right.
        if row is None or row.get("source", "inventory") == "inventory":
            findings += _value(line, row, username)
    return meant, sorted(dict.fromkeys(findings), key=_order)


def _order(finding: Finding) -> tuple[int, str]:
    """The file first, then by line, then what is missing."""
    found = re.match(r"line (\d+)", finding.subject)
    if found:
        return int(found[1]), finding.id
    return (0, "") if finding.subject == "the file" else (10**9, finding.subject)


def vault_values(values: Mapping[str, str], table: Table) -> dict[str, str]:
    """The secrets of the file, by the names under which the vault keeps them."""
    return {str(row["variable"]): values[name] for name, row in table.items() if is_secret(row) and name in values}


def plain_settings(values: Mapping[str, str], table: Table, current: Mapping[str, object]) -> dict[str, str]:
    """The inventory's variables that the file would give another value. What is computed from others stays so."""
    return {
        str(row["variable"]): values[name]
        for name, row in table.items()
        if name in values
        and not is_secret(row)
        and row.get("source", "inventory") == "inventory"
        and row.get("variable")
        and row.get("type") != "queue"
        and str(current.get(name, "")) != values[name]
    }


# --- the vault ------------------------------------------------------------------------------------------------------


def quoted(value: str) -> str:
    """A YAML scalar that is this text, whatever it is: one line is all that passed the lint."""
    return "'" + value.replace("'", "''") + "'"


def merged_vault(
    text: str, current: Mapping[str, object], wanted: Mapping[str, str], overwrite: Sequence[str]
) -> tuple[str, list[str], list[str]]:
    """The vault's text with what is new or may be replaced, the names of both, and of what differs without consent."""
    differing = [name for name, value in wanted.items() if name in current and current[name] != value]
    refused = [name for name in differing if current[name] not in ("", None) and name not in overwrite]
    added = [name for name in wanted if name not in current]
    if refused:
        return text, [], refused
    for name in differing:
        line = re.compile(rf"^{re.escape(name)}[ \t]*:.*(\n[ \t]+.*)*$", re.MULTILINE)
        # A backslash in a value is one, and no reference.
        text = line.sub(f"{name}: {quoted(wanted[name])}".replace("\\", r"\\"), text, count=1)
    separator = "" if not text or text.endswith("\n") else "\n"
    text += separator + "".join(f"{name}: {quoted(wanted[name])}\n" for name in added)
    return text, sorted([*differing, *added]), []

# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is wrong with a team's own .env, line by line, against the table of the application's variables.

The readers of such files agree only on plain lines NAME=value in UTF-8 with LF. No finding tells a value.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

from .application_environment import content_findings, is_required, is_secret, judged_findings
from .characters import described, is_invisible
from .environment_file import NAME, PASSED_ON_IN_A_SECRET, QUOTES, NamesTold, is_passed_over
from .findings import NOT_SHOWN, Finding, Severity, Words, errors
from .lines import breaks_in
from .lines import lines as lines_of
from .rds_password import KOREAN, TEMPLATE, check

Table = Mapping[str, Mapping[str, Any]]

UTF16_MARKS = {codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}
# Korean Windows' own, in which what is no UTF-8 is looked at further.
LEGACY_ENCODING = "cp949"
# Characters of ASCII as UTF-16 writes them, several in a row.
WIDE_RUN = re.compile(rb"[\x0b-\x7f]\0(?:[\x01-\x7f]\0){3,}|(?:\0[\x01-\x7f]){4,}\0?")
IDEOGRAPHS_OF_LETTERS = re.compile("[\u2020-\u7e7e]")
ASSIGNMENT = re.compile(r"[A-Za-z_]\w*=")
POWERSHELL = re.compile(r"\s*\$env:(\w+)\s*=", re.IGNORECASE)
BATCH = re.compile(r"\s*set\s+\"?(\w+)=", re.IGNORECASE)
EXPORT = re.compile(r"\s*export\s+(\w+)")
# What is wrong with how lines are written, which is mostly so in many of them, and from how many on it is told once.
OF_WRITING = frozenset(
    {
        *("export", "powershell", "batch", "quotes", "comment", "no_equals", "name"),
        *("leading_blank", "blank_before_equals", "environment_value"),
    }
)
MANY_LINES = 4
# How Django's templates and images of PostgreSQL call what the table has.
OTHER_WORDS = {
    "DJANGO": "", "CLOUDFLARE": "", "CF": "", "POSTGRES": "DB", "POSTGRESQL": "DB", "PG": "DB", "PGSQL": "DB",
    "RDS": "DB", "DATABASE": "DB", "SQL": "DB", "USERNAME": "USER", "PASS": "PASSWORD", "PASSWD": "PASSWORD",
}  # fmt: skip
OTHER_NAMES = {
    "DB_DB": "DB_NAME", "PGDATABASE": "DB_NAME", "PGUSER": "DB_USER", "PGPASSWORD": "DB_PASSWORD", "PGPORT": "DB_PORT",
    "R2_ACCESS_KEY_ID": "R2_ACCESS_KEY", "R2_SECRET_ACCESS_KEY": "R2_SECRET_KEY", "R2_ENDPOINT_URL": "R2_ENDPOINT",
    "AWS_DEFAULT_REGION": "AWS_REGION", "SECRET": "SECRET_KEY",
}  # fmt: skip

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
    encoding = _wide_encoding(data)
    if encoding:
        words = Words(
            "is UTF-16, as PowerShell's > and Out-File write it; nobody reads it",
            "PowerShell의 > 와 Out-File이 쓰는 UTF-16입니다. 아무도 읽지 못합니다",
        )
        text = data.decode(encoding, "replace").removeprefix("\ufeff")
        findings = [_finding("utf16", "the file", words, REWRITE)]
    else:
        text, findings = _narrow(data)
    return _lines_ended(text, findings)


def _wide_encoding(data: bytes) -> str:
    """That of a file all of which is UTF-16, with its mark or without it; nothing for any other."""
    marked = next((encoding for mark, encoding in UTF16_MARKS.items() if data.startswith(mark)), "")
    if marked or b"\0" not in data:
        return marked
    zeros = {"utf-16-be": data[0::2].count(0), "utf-16-le": data[1::2].count(0)}
    encoding = max(zeros, key=lambda name: zeros[name])
    text = data.decode(encoding, "replace")
    # Two letters of ASCII that are taken for one character make an ideograph, hardly ever a syllable of Korean.
    pairs = sum(IDEOGRAPHS_OF_LETTERS.match(character) is not None for character in text)
    return encoding if 10 * pairs < len(text) and "\0" not in text else ""


def _narrow(data: bytes) -> tuple[str, list[Finding]]:
    """A file that is UTF-8, or should be: each of its lines as it can be read."""
    findings = []
    appended = WIDE_RUN.search(data)
    if appended:
        words = Words(
            "is UTF-16 from here on and the rest is not, as PowerShell's >> appends it",
            "여기부터 UTF-16입니다. PowerShell의 >> 로 덧붙이면 이렇게 됩니다",
        )
        line = data[: appended.start()].count(b"\n") + 1
        findings.append(_finding("mixed_encodings", _at(line), words, REWRITE))
        data = WIDE_RUN.sub(lambda run: run[0].replace(b"\0", b""), data)
    read, broken = [], []
    for number, written in enumerate(data.split(b"\n"), start=1):
        try:
            text = written.decode("utf-8")
        except UnicodeDecodeError:
            broken.append(number)
            text = written.decode(LEGACY_ENCODING, "replace")
        if text.startswith("\ufeff"):
            findings.append(_mark_finding(number))
        read.append(text.removeprefix("\ufeff"))
    if broken:
        findings.append(_finding("not_utf8", _at(broken[0]), Words("is not UTF-8", "UTF-8이 아닙니다"), REWRITE))
    return "\n".join(read), findings


def _mark_finding(number: int) -> Finding:
    words = Words(
        "begins with a byte order mark (BOM), which becomes part of the first name",
        "BOM으로 시작합니다. 첫 변수 이름의 일부가 됩니다",
    )
    if number > 1:
        words = Words(
            "begins with a byte order mark (BOM), as files do that are joined: it becomes part of the name",
            "BOM으로 시작합니다. 파일을 이어 붙이면 이렇게 되며 변수 이름의 일부가 됩니다",
        )
    return _finding("byte_order_mark", _at(number), words, REWRITE)


def _lines_ended(text: str, findings: list[Finding]) -> tuple[str, list[Finding]]:
    """With line feeds, also where carriage returns alone part what are lines to people."""
    pieces = text.rstrip("\n").split("\r")
    if any(finding.id in {"utf16", "mixed_encodings"} for finding in findings):
        # Whoever saves it anew gets other line ends too.
        return text, findings
    # A value may hold one; several assignments are several lines.
    if "\n" in text.rstrip("\n") or sum(1 for piece in pieces if ASSIGNMENT.match(piece)) < 2:
        return text, [*findings, *_line_end_findings(text)]
    words = Words(
        "ends in CR alone, as old Macs wrote it: to its readers all is one line",
        "옛 Mac식 CR 줄바꿈입니다. 읽는 프로그램에는 전체가 한 줄입니다",
    )
    return "\n".join(pieces), [*findings, _finding("carriage_return", _at(1), words, REWRITE)]


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
        seen = "".join(character for character in raw if not is_invisible(character))
        unseen = [character for character in raw if is_invisible(character)]
        if unseen and seen.strip() in known:
            raw = seen
        name = raw.strip()
        where = _at(number, name if told.tells(name, line) else "")
        if unseen and name in known:
            shown = ", ".join(dict.fromkeys(map(described, unseen)))
            words = Words(
                f"its name contains what nobody sees ({shown})", f"이름에 보이지 않는 글자({shown})가 있습니다"
            )
            findings.append(_finding("foreign_character", where, words, plain))
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
        if raw != raw.rstrip():
            # Told of what stands in front of the =, and the same habit.
            value = value.lstrip(" \t")
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


def _value(line: Line, row: Mapping[str, Any] | None, username: str) -> Iterator[Finding]:
    where = line.where
    value, quoted = _unquoted(line)
    yield from quoted
    # What is not in the table is judged by what readers make of it.
    judged = row if row is not None else {"required": False}
    # Neither a host's name nor a stage is known to a file, and it is named by its line.
    copied = [replace(finding, subject=where) for finding in content_findings(line.name, judged, value) if value]
    if any(finding.id in {"foreign_character", "placeholder"} for finding in errors(copied)):
        yield from copied
        return
    if TEMPLATE.search(value):
        words = Words(
            "contains {{, {% or {#, which Ansible takes for a template",
            "Ansible이 템플릿으로 읽는 {{, {%, {# 이 있습니다",
        )
        yield _finding("template", where, words, Words("Choose another.", "다른 값을 고르십시오."))
    if judged.get("type") in {"password", "username"}:
        yield from _login_findings(where, str(judged["type"]), username, value)
        if judged["type"] == "password" and value and value == value.strip() and not breaks_in(value):
            return
    for finding in judged_findings(line.name, judged, value):
        yield replace(finding, subject=where, found=NOT_SHOWN)
    if is_secret(judged) and PASSED_ON_IN_A_SECRET in value:
        words = Words(
            "contains $, which is deployed as it stands, while compose and shells put another value in its place",
            "$가 있습니다. 그대로 배포되지만 compose와 셸은 다른 값으로 바꿉니다",
        )
        remedy = Words(
            "See that the application runs with just these characters today, or make a new one: openssl rand -hex 32.",
            "지금 애플리케이션이 정확히 이 글자로 실행되는지 확인하거나 새로 만드십시오: openssl rand -hex 32.",
        )
        yield _finding("dollar", where, words, remedy, "warning")


def _login_findings(where: str, kind: str, username: str, value: str) -> Iterator[Finding]:
    """What RDS has against the name or the password of its master user."""
    found = check(username, value) if kind == "password" else check(value, "")
    for broken in (*found.violations, *found.cautions):
        if broken.subject == f"master_{kind}":
            severity: Severity = "error" if broken in found.violations else "warning"
            words = Words(broken.message.partition("; ")[0], KOREAN[broken.rule])
            yield _finding(broken.rule, where, words, Words("Choose another.", "다른 값을 고르십시오."), severity)


def _not_deployed(line: Line, row: Mapping[str, Any], deployed: object) -> list[Finding]:
    """A setting that no variable of the inventory takes over from the file, and that is deployed as another one."""
    own = row.get("variable") and row.get("type") != "queue"
    if own or is_secret(row) or deployed is None or str(deployed) == line.value:
        return []
    words = Words(
        f"is deployed as {deployed}, whatever stands here: the inventory decides it",
        f"여기에 무엇을 써도 {deployed}(으)로 배포됩니다. 인벤토리가 정합니다",
    )
    place = str(row.get("variable") or "application_variables")
    remedy = Words(
        f"If this one is meant, change it in {place} of the inventory; otherwise take the line out.",
        f"이 값이 맞다면 인벤토리의 {place}에서 바꾸고, 아니면 이 줄을 지우십시오.",
    )
    return [_finding("not_deployed", line.where, words, remedy, "warning")]


def _renamed(lines: Sequence[Line], table: Table) -> dict[str, str]:
    """Names of the file by which other projects call what the table has, and the file has not."""
    named = {line.name for line in lines}
    wanted = {
        _plain_name(name): name
        for name, row in table.items()
        if name not in named and row.get("source", "inventory") == "inventory"
    }
    return {
        line.name: wanted[_plain_name(line.name)]
        for line in lines
        if line.name not in table and _plain_name(line.name) in wanted
    }


def _plain_name(name: str) -> str:
    """A name without what projects put in front of it, in the words of the table."""
    words = [OTHER_WORDS.get(word, word) for word in name.upper().split("_")]
    plain = "_".join(word for word in words if word)
    return OTHER_NAMES.get(plain, plain)


def _table_findings(
    lines: Sequence[Line], table: Table, known: Collection[str], renamed: Mapping[str, str]
) -> Iterator[Finding]:
    named = {line.name for line in lines} | {*renamed.values()}
    for line in lines:
        row = table.get(line.name)
        if line.name in renamed:
            words = Words(
                f"is called {renamed[line.name]} here: by this name no service would get it",
                f"여기서는 {renamed[line.name]}입니다. 이 이름으로는 배포되지 않습니다",
            )
            remedy = Words(f"Write {renamed[line.name]}=….", f"{renamed[line.name]}=… 으로 쓰십시오.")
            yield _finding("renamed", line.where, words, remedy)
        elif row is None:
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


def lint(
    data: bytes, table: Table, current: Mapping[str, object] = MappingProxyType({})
) -> tuple[dict[str, str], list[Finding]]:
    """The values as they were meant, and everything that is wrong with the file, by line.

    What the inventory has a value for, `current`, need not stand in the file.
    """
    text, findings = decode(data)
    lines, written = parse(text, table)
    meant = {line.name: _unquoted(line)[0] for line in lines}
    username = next((meant[name] for name, row in table.items() if row.get("type") == "username" and name in meant), "")
    renamed = _renamed(lines, table)
    findings += [*written, *_duplicates(lines), *_table_findings(lines, table, current, renamed)]
    for line in lines:
        row = table.get(renamed.get(line.name, line.name))
        # What is not used need not be right.
        if row is None or row.get("source", "inventory") == "inventory":
            found = [*_value(line, row, username)]
            if row is not None and not errors(found):
                found += _not_deployed(line, row, current.get(line.name))
            findings += found
    return meant, sorted(_told_once(dict.fromkeys(findings)), key=_order)


def _told_once(findings: Iterable[Finding]) -> list[Finding]:
    """A slip that somebody made in line after line is told where it is first, with the others' numbers."""
    alike: dict[tuple[str, Words], list[Finding]] = {}
    for finding in findings:
        same = finding.id if finding.id in OF_WRITING else finding.subject
        alike.setdefault((same, finding.rule), []).append(finding)
    told: list[Finding] = []
    for found in alike.values():
        if len(found) < MANY_LINES:
            told += found
            continue
        ordered = sorted(found, key=_order)
        numbers = ", ".join(str(_order(finding)[0]) for finding in ordered)
        first = ordered[0]
        words = Words(f"{first.rule.en} (in lines {numbers})", f"{first.rule.ko} ({numbers}번째 줄)")
        told.append(replace(first, rule=words))
    return told


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

# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The application's variables as one table: who gets which, what it may be, and what each service's environment is.

A row has `services` (all without it; `workers` are those that take jobs from a queue), `required` (true), `secret`
(false), `source` (who knows the value: the inventory, the service's own row or role, or AWS once it exists), `value`,
`variable` (where an operator sets it) and its rule: `type`, `choices`, `minimum`, `maximum`, `per_host`. A value is
looked at only where it is needed: others may not be there yet.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from difflib import get_close_matches
from typing import Any

from .characters import foreign_in, invisible_in, is_prose, is_wrapped
from .database_rules import DATABASE_NAME_RULES, HIGHEST_PORT, LOWEST_PORT
from .environment_file import NAME, scalar_text, value_problems
from .findings import NOT_SHOWN, Finding, Severity, Words, errors, texts
from .name_rules import region_broken
from .placeholders import is_unfilled_secret, is_unfilled_setting
from .secret_rules import MAKE_ONE, RATHER_WEAK, broken_rule, is_rather_weak
from .services import Service
from .url_rules import AS_EXPECTED, Broken, api_broken, bucket_broken, endpoint_broken, url_broken

# Of `services`: all that take jobs from a queue.
WORKERS = "workers"
SOURCES = ("inventory", "role", "aws")
# How like a name of the table another one must be to be taken for a slip of it: one letter in ten.
LIKENESS = 0.9
TYPES = (
    "text", "integer", "boolean", "url", "endpoint", "api_url", "bucket", "queue", "region", "port", "database_name",
    "username", "password",
)  # fmt: skip
# What roles judge as inputs of their own, of which the preflight has asked them already.
JUDGED_AS_INPUTS = ("region", "port", "database_name", "username", "password")
# What the application is given by its address.
ADDRESSES = ("url", "endpoint", "api_url")
ROW_KEYS = {
    "services", "required", "secret", "source", "value", "variable", "type", "choices", "minimum", "maximum",
    "per_host", "stage",
}  # fmt: skip

PATTERNS = {
    "queue": (
        re.compile(r"[A-Za-z0-9_-]{1,80}"),
        Words(
            "must be a queue's name: 1 to 80 letters, digits, '-' or '_'; no URL",
            "큐 이름(영문자, 숫자, '-', '_' 1~80자)이어야 하며 URL이 아닙니다",
        ),
    ),
    "boolean": (re.compile("true|false"), Words("must be true or false", "true 또는 false여야 합니다")),
    "integer": (re.compile(r"-?\d{1,9}"), Words("must be a whole number", "정수여야 합니다")),
}

Row = Mapping[str, Any]
Table = Mapping[str, Row]
Services = Mapping[str, Service]


class ServiceEnvironmentError(ValueError):
    """Everything that is wrong with a service's environment, one line each."""


def gets(row: Row, service: str, services: Services) -> bool:
    named = row.get("services", [service])
    return service in named or (WORKERS in named and service in services and bool(services[service].receives_from))


def is_secret(row: Row) -> bool:
    return bool(row.get("secret", False))


def is_required(row: Row) -> bool:
    return bool(row.get("required", True))


def where(name: str, row: Row) -> str:
    """The variable to change, as far as there is one of its own."""
    return f"{name} ({row['variable']})" if row.get("variable") else name


def table_findings(table: Any, services: Collection[str]) -> list[Finding]:
    """What is wrong with the table itself, where these are the services. No value is looked at."""
    allowed = [*services, WORKERS]
    if not isinstance(table, Mapping) or not table:
        return [_malformed("application_variables", "must be a mapping of variables", "변수의 매핑이어야 합니다")]
    findings = []
    for name, row in table.items():
        subject = f"application_variables.{name}"
        if not isinstance(row, Mapping):
            findings.append(_malformed(subject, "must be a mapping", "매핑이어야 합니다"))
            continue
        rules = [
            (
                isinstance(name, str) and NAME.fullmatch(name) is not None,
                Words(
                    "its name is made of letters, digits and underscores, and begins with no digit",
                    "이름은 영문자, 숫자, 밑줄이고 숫자로 시작하지 않습니다",
                ),
                (),
            ),
            (not set(row) - ROW_KEYS, Words("its keys are {}", "키는 {}입니다"), sorted(ROW_KEYS)),
            (
                _within(row.get("services", allowed), allowed),
                Words("services are {}", "services는 {}입니다"),
                allowed,
            ),
            *(
                (
                    isinstance(row.get(key, False), bool),
                    Words(f"{key} is true or false", f"{key}는 true 또는 false입니다"),
                    (),
                )
                for key in ("required", "secret", "per_host")
            ),
            *(
                (
                    isinstance(row.get(key, 0), int) and not isinstance(row.get(key, 0), bool),
                    Words(f"{key} is a whole number, without quotes", f"{key}은(는) 따옴표 없는 정수입니다"),
                    (),
                )
                for key in ("minimum", "maximum")
            ),
            (
                _is_choices(row.get("choices", [""])),
                Words("choices are a list of texts", "choices는 문자열의 목록입니다"),
                (),
            ),
            *(
                (isinstance(row.get(key, ""), str), Words(f"{key} is a text", f"{key}은(는) 문자열입니다"), ())
                for key in ("variable", "stage")
            ),
            (
                row.get("source", "inventory") in SOURCES,
                Words("source is one of {}", "source는 {} 중 하나입니다"),
                SOURCES,
            ),
            (row.get("type", "text") in TYPES, Words("type is one of {}", "type은 {} 중 하나입니다"), TYPES),
            (
                row.get("source", "inventory") != "inventory" or "value" in row,
                Words("needs a value, or another source", "value 또는 다른 source가 필요합니다"),
                (),
            ),
            (
                not is_secret(row) or "variable" in row,
                Words("a secret names its variable in the vault", "비밀값은 볼트의 변수 이름(variable)이 필요합니다"),
                (),
            ),
        ]
        findings += [
            _malformed(subject, *(text.format(", ".join(listed)) for text in rule))
            for holds, rule, listed in rules
            if not holds
        ]
    return findings


def _within(found: Any, allowed: Collection[str]) -> bool:
    return isinstance(found, (list, tuple)) and bool(found) and all(item in allowed for item in found)


def _is_choices(found: Any) -> bool:
    return isinstance(found, (list, tuple)) and bool(found) and all(isinstance(item, (str, int)) for item in found)


def _malformed(subject: str, en: str, ko: str) -> Finding:
    return Finding(
        "application_variable_malformed",
        subject,
        NOT_SHOWN,
        Words(en, ko),
        Words("Fix the table in application.yml.", "application.yml의 표를 고치십시오."),
    )


def _kind_broken(row: Row, text: str) -> list[Broken]:
    """What the type of a value has against it."""
    kind = row.get("type", "text")
    if kind in PATTERNS:
        pattern, rule = PATTERNS[kind]
        return [] if pattern.fullmatch(text) else [(rule, AS_EXPECTED)]
    if kind == "bucket":
        return [*bucket_broken(text)]
    if kind == "region":
        return [*region_broken(text)]
    if kind == "port":
        rule = Words(
            f"must be a port from {LOWEST_PORT} to {HIGHEST_PORT}",
            f"{LOWEST_PORT}~{HIGHEST_PORT} 범위의 포트여야 합니다",
        )
        right = PATTERNS["integer"][0].fullmatch(text) and LOWEST_PORT <= int(text) <= HIGHEST_PORT
        return [] if right else [(rule, AS_EXPECTED)]
    if kind == "database_name":
        found = [finding for rule in DATABASE_NAME_RULES for finding in rule.judge(text)]
        return [(finding.rule, finding.remedy) for finding in found]
    return _address_broken(row, text) if kind in ADDRESSES else []


def _address_broken(row: Row, text: str) -> list[Broken]:
    broken = [*url_broken(text)]
    if broken or row["type"] == "url":
        return broken
    if row["type"] == "endpoint":
        return [*endpoint_broken(text)]
    return [*api_broken(text, str(row.get("stage", "test")))]


def _type_rules(row: Row, text: str, host: str) -> list[tuple[bool, Words, Words]]:
    rules: list[tuple[bool, Words, Words]] = [(False, *broken) for broken in _kind_broken(row, text)]
    again = AS_EXPECTED
    if row.get("choices"):
        choices = ", ".join(map(str, row["choices"]))
        rules.append(
            (
                text in map(str, row["choices"]),
                Words(f"must be one of {choices}", f"{choices} 중 하나여야 합니다"),
                again,
            )
        )
    if row.get("type") == "integer" and PATTERNS["integer"][0].fullmatch(text):
        least, most = row.get("minimum"), row.get("maximum")
        rules += [
            (
                least is None or int(text) >= least,
                Words(f"must be {least} or more", f"{least} 이상이어야 합니다"),
                again,
            ),
            (most is None or int(text) <= most, Words(f"must be {most} or less", f"{most} 이하여야 합니다"), again),
        ]
    if row.get("per_host") and host:
        rules.append(
            (
                # As a word: that of the tenth host is none of the first.
                re.search(rf"(?<![A-Za-z0-9]){re.escape(host)}(?![A-Za-z0-9])", text) is not None,
                Words(
                    f"must contain the host's name ({host}): two workers may not share it",
                    f"호스트 이름({host})이 들어 있어야 합니다. 두 워커가 같은 값을 쓸 수 없습니다",
                ),
                Words("Leave it to the inventory: {{ inventory_hostname }}.", "{{ inventory_hostname }}을 쓰십시오."),
            )
        )
    return rules


def _content(rule_id: str, subject: str, rule: Words, remedy: Words, severity: Severity = "error") -> Finding:
    return Finding(rule_id, subject, NOT_SHOWN, rule, remedy, severity)


def _foreign_findings(subject: str, row: Row, text: str) -> list[Finding]:
    """Characters that nobody typed. In a text for people some belong there, and none does that nobody sees."""
    foreign = foreign_in(text)
    if not foreign:
        return []
    is_text = row.get("type", "text") == "text" and not is_secret(row)
    belongs = is_text and is_prose(text) and not is_wrapped(text) and not invisible_in(text)
    shown = ", ".join(foreign)
    rule = Words(
        f"contains what nobody sees, or takes for another character ({shown})",
        f"보이지 않거나 다른 글자로 보이는 글자({shown})가 있습니다",
    )
    remedy = Words(
        "Type it again, or copy it from where it was made and not from a chat or a document.",
        "다시 입력하거나, 채팅이나 문서가 아니라 발급된 곳에서 복사하십시오.",
    )
    return [_content("foreign_character", subject, rule, remedy, "warning" if belongs else "error")]


def _placeholder_findings(name: str, subject: str, row: Row, text: str) -> list[Finding]:
    secret = is_secret(row)
    if not (is_unfilled_secret(text, name) if secret else is_unfilled_setting(text, name)):
        return []
    rule = Words(
        "is a placeholder, or the example of a guide that everybody knows",
        "자리 표시자이거나 누구나 아는 가이드의 예시입니다",
    )
    remedy = Words("Write the real value.", "실제 값을 쓰십시오.")
    # A sentence may say such words.
    severity: Severity = "warning" if not secret and is_prose(text) else "error"
    return [_content("placeholder", subject, rule, MAKE_ONE if secret else remedy, severity)]


def _secret_findings(subject: str, row: Row, text: str) -> list[Finding]:
    """How easily a secret is guessed. The database's has rules of its own."""
    if not is_secret(row) or row.get("type") == "password":
        return []
    if not text.isascii():
        rule = Words(
            "must be printable ASCII: neither headers of HTTP nor signatures carry anything else",
            "인쇄 가능 ASCII여야 합니다. HTTP 헤더와 서명에는 다른 글자를 쓸 수 없습니다",
        )
        return [_content("secret_ascii", subject, rule, MAKE_ONE)]
    broken = broken_rule(text)
    if broken:
        return [_content("secret_guessed", subject, *broken)]
    return [_content("secret_weak", subject, RATHER_WEAK, MAKE_ONE, "warning")] if is_rather_weak(text) else []


def content_findings(name: str, row: Row, text: str) -> list[Finding]:
    """What a value says of where it comes from: a chat, a guide, somebody's head. Never tells it.

    Of several reasons the first: what was meant is not there to be judged.
    """
    subject = where(name, row)
    return (
        _foreign_findings(subject, row, text)
        or _placeholder_findings(name, subject, row, text)
        or _secret_findings(subject, row, text)
    )


def judged_findings(name: str, row: Row, value: object, host: str = "") -> list[Finding]:
    """Everything that is wrong with one value of which somebody asks before it is used. Never tells a secret."""
    text = scalar_text(value)
    broken = value_findings(name, row, value, host)
    if not text or any(finding.id == "environment_value" for finding in broken):
        # One that readers understand differently is told so; only what it was copied with explains more.
        found = _foreign_findings(where(name, row), row, text or "")
        return errors(found) or broken
    found = content_findings(name, row, text)
    return found if errors(found) else [*found, *broken]


def _may_hold_a_secret(row: Row, text: str) -> bool:
    """An address may: in front of an @, or as a signature behind a question mark."""
    return is_secret(row) or (row.get("type") in ADDRESSES and bool({"@", "?", "#"} & {*text}))


def value_findings(name: str, row: Row, value: object, host: str = "") -> list[Finding]:
    """What is wrong with one value. Never tells a secret."""
    subject, secret = where(name, row), is_secret(row)
    text = scalar_text(value)
    shown = NOT_SHOWN if text is None or _may_hold_a_secret(row, text) else f"'{text}'"
    if text == "" and not secret:
        if not is_required(row):
            return []
        return [
            Finding(
                "environment_missing",
                subject,
                "nothing",
                Words("the application demands it", "애플리케이션에 반드시 필요합니다"),
                Words(
                    f"Set {row.get('variable', name)}; what AWS gives comes into being with playbooks/provision.yml.",
                    f"{row.get('variable', name)}을(를) 설정하십시오. AWS의 값은 playbooks/provision.yml이 만듭니다.",
                ),
            )
        ]
    findings = [
        Finding(
            "environment_value",
            subject,
            NOT_SHOWN,
            problem.rule,
            problem.remedy,
        )
        for problem in value_problems(text, secret=secret and (is_required(row) or text != ""))
    ]
    if findings or text is None:
        return findings
    return [
        Finding("environment_rule", subject, shown, rule, remedy)
        for holds, rule, remedy in _type_rules(row, text, host)
        if not holds
    ]


def _own_row(table: Table, name: str, service: str, services: Services) -> Row | None:
    """The row of what a service is given beside the table: the table's, or, of what its own row names, any value's."""
    if name in table:
        return table[name] if gets(table[name], service, services) else None
    return {} if service in services and name in services[service].environment else None


def own_findings(table: Table, own: Mapping[str, Mapping[str, Mapping[str, Any]]], services: Services) -> list[Finding]:
    """What is wrong with what the hosts give their services themselves: settings by host and service."""
    findings = []
    holders: dict[tuple[str, str], list[str]] = {}
    for host, given in own.items():
        for service, settings in given.items():
            for name, value in settings.items():
                row = _own_row(table, name, service, services)
                if row is None:
                    findings.append(_unknown(name, service))
                    continue
                findings += judged_findings(name, row, value, host)
                findings += _slip_findings(table, name, service, services)
                if row.get("per_host"):
                    holders.setdefault((name, str(value)), []).append(host)
    findings += [
        Finding(
            "environment_shared",
            where(name, table[name]),
            f"'{value}' for {', '.join(hosts)}",
            Words("two workers may not share it", "두 워커가 같은 값을 쓸 수 없습니다"),
            Words("Leave it to the inventory: {{ inventory_hostname }}.", "{{ inventory_hostname }}을 쓰십시오."),
        )
        for (name, value), hosts in holders.items()
        if len(hosts) > 1
    ]
    return findings


def _unknown(name: str, service: str) -> Finding:
    return Finding(
        "environment_unknown",
        name,
        NOT_SHOWN,
        Words(f"{service} does not get it by application_variables", f"{service}에 주는 변수가 아닙니다"),
        Words(
            "Declare it there or in the environment of the service's row, or take it out.",
            "application_variables나 서비스 행의 environment에 선언하거나 빼십시오.",
        ),
    )


def _slip_findings(table: Table, name: str, service: str, services: Services) -> list[Finding]:
    """A name that the service's own row declares, but that is like one which the table has for the service already."""
    known = [other for other, row in table.items() if gets(row, service, services)]
    return [
        Finding(
            "environment_slip",
            f"services.{service}.environment.{name}",
            NOT_SHOWN,
            Words(f"application_variables has {other}", f"application_variables에는 {other}이(가) 있습니다"),
            Words(
                f"Write {other}; if another variable is meant, declare it there too, with source: role.",
                f"{other}(으)로 쓰십시오. 다른 변수라면 그 표에도 source: role로 선언하십시오.",
            ),
        )
        for other in (get_close_matches(name, known, 1, LIKENESS) if name not in table else [])
    ]


def service_environment(
    table: Table, service: str, host: str, own: Mapping[str, Any], services: Services
) -> tuple[dict[str, Any], dict[str, Any], list[Finding]]:
    """Settings, secrets and all that is wrong with them. `own` is what the service is given beside the table."""
    settings: dict[str, Any] = {}
    secrets: dict[str, Any] = {}
    findings = table_findings(table, services)
    if findings:
        return settings, secrets, findings
    for name, value in own.items():
        own_row = _own_row(table, name, service, services)
        if own_row is None:
            findings.append(_unknown(name, service))
        else:
            settings[name] = value
            if name not in table:
                findings += value_findings(name, own_row, value, host)
            findings += _slip_findings(table, name, service, services)
    for name, row in table.items():
        if not gets(row, service, services):
            continue
        if name in own:
            findings += value_findings(name, row, own[name], host)
        elif row.get("source", "inventory") == "role":
            findings += value_findings(name, row, "", host)
        elif "value" in row:
            value = row["value"]
            findings += value_findings(name, row, value, host)
            if scalar_text(value) != "" or is_required(row):
                (secrets if is_secret(row) else settings)[name] = value
    return settings, secrets, findings


def checked_environment(
    table: Table, service: str, host: str, own: Mapping[str, Any], services: Services
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Settings and secrets of a service on a host. Raises with everything that is wrong."""
    settings, secrets, findings = service_environment(table, service, host, own, services)
    problems = texts(findings)
    if problems:
        raise ServiceEnvironmentError("\n".join(problems))
    return settings, secrets

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
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from .environment_file import NAME, scalar_text, value_problems
from .findings import NOT_SHOWN, Finding, Words, texts
from .services import Service

# Of `services`: all that take jobs from a queue.
WORKERS = "workers"
SOURCES = ("inventory", "role", "aws")
# How like a name of the table another one must be to be taken for a slip of it: one letter in ten.
LIKENESS = 0.9
TYPES = ("text", "integer", "boolean", "url", "api_url", "bucket", "queue", "username", "password")
ROW_KEYS = {
    "services", "required", "secret", "source", "value", "variable", "type", "choices", "minimum", "maximum",
    "per_host", "stage",
}  # fmt: skip

PATTERNS = {
    "bucket": (
        re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]"),
        Words(
            "must be a bucket's name: 3 to 63 lower-case letters, digits, dots and hyphens",
            "버킷 이름(영문 소문자, 숫자, 점, 하이픈 3~63자)이어야 합니다",
        ),
    ),
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


def _api_url_rules(url: str, stage: str) -> list[tuple[bool, Words, Words]]:
    """A public address changes whenever the host is stopped and started; the workers then report to nobody."""
    name = urlsplit(url).hostname or ""
    try:
        address = ip_address(name)
    except ValueError:
        address = None
    return [
        (
            address is None or address.is_private,
            Words(
                "must not hold a public address, which changes whenever the host is stopped and started",
                "퍼블릭 IP를 쓸 수 없습니다. 인스턴스를 Stop→Start하면 바뀝니다",
            ),
            Words(
                "Leave application_api_base_url out: the API's private address is then used; once open, the load "
                "balancer's name.",
                "빼면 API의 프라이빗 주소가 쓰입니다. 오픈 후에는 로드 밸런서 이름을 쓰십시오.",
            ),
        ),
        (
            stage != "open" or (url.startswith("https://") and address is None),
            Words(
                "must be https:// and the load balancer's name in stage open",
                "stage가 open이면 https:// 와 로드 밸런서의 도메인 이름이어야 합니다",
            ),
            Words(
                "Set application_api_base_url, such as https://api.example.com.",
                "application_api_base_url을 https://api.example.com처럼 설정하십시오.",
            ),
        ),
    ]


def _is_url(text: str) -> bool:
    try:
        parts = urlsplit(text)
        return parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def _type_rules(row: Row, text: str, host: str) -> list[tuple[bool, Words, Words]]:
    kind = row.get("type", "text")
    rules: list[tuple[bool, Words, Words]] = []
    again = Words("Write it as its service expects it.", "서비스가 기대하는 형식으로 쓰십시오.")
    if kind in PATTERNS:
        pattern, rule = PATTERNS[kind]
        rules.append((pattern.fullmatch(text) is not None, rule, again))
    if kind in {"url", "api_url"}:
        rule = Words(
            "must be a URL such as https://media.example.com", "https://media.example.com 같은 URL이어야 합니다"
        )
        rules.append((_is_url(text), rule, again))
        if kind == "api_url" and _is_url(text):
            rules += _api_url_rules(text, str(row.get("stage", "test")))
    if row.get("choices"):
        choices = ", ".join(map(str, row["choices"]))
        rules.append(
            (
                text in map(str, row["choices"]),
                Words(f"must be one of {choices}", f"{choices} 중 하나여야 합니다"),
                again,
            )
        )
    if kind == "integer" and PATTERNS["integer"][0].fullmatch(text):
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


def value_findings(name: str, row: Row, value: object, host: str = "") -> list[Finding]:
    """What is wrong with one value. Never tells a secret."""
    subject, secret = where(name, row), is_secret(row)
    text = scalar_text(value)
    shown = NOT_SHOWN if secret or text is None else f"'{text}'"
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
        for problem in value_problems(text, secret=secret and is_required(row))
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
                findings += value_findings(name, row, value, host)
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

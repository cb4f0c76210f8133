# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is wrong with an input, in English and in Korean: which variable, what was found, the rule, and what to do."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple

Severity = Literal["error", "warning"]
# What an error says where the value itself must not be told.
NOT_SHOWN = ""


class Words(NamedTuple):
    """The same in both languages."""

    en: str
    ko: str


@dataclass(frozen=True)
class Finding:
    """One broken rule. `found` is never a secret."""

    id: str
    subject: str  # the variable to change
    found: str
    rule: Words
    remedy: Words
    severity: Severity = "error"

    @property
    def text_en(self) -> str:
        found = f", found {self.found}" if self.found else ""
        return f"{self.subject}: {self.rule.en}{found}. {self.remedy.en}"

    @property
    def text_ko(self) -> str:
        found = f" (현재 값: {self.found})" if self.found else ""
        return f"{self.subject}: {self.rule.ko}{found}. {self.remedy.ko}"

    def as_dict(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "severity": self.severity,
            "subject": self.subject,
            "found": self.found,
            "rule": self.rule.en,
            "remedy": self.remedy.en,
            "text_en": self.text_en,
            "text_ko": self.text_ko,
        }


def texts(findings: Iterable[Finding]) -> list[str]:
    """The sentences that a role refuses with; what is only not wise refuses nothing."""
    return [finding.text_en for finding in findings if finding.severity == "error"]


def errors(findings: Iterable[Finding]) -> list[Finding]:
    return [finding for finding in findings if finding.severity == "error"]


def of_hosts(findings: Mapping[str, Sequence[Finding]]) -> list[Finding]:
    """Each finding once, with the hosts that have it unless all do."""
    hosts: dict[Finding, list[str]] = {}
    for host, found in findings.items():
        for finding in found:
            hosts.setdefault(finding, []).append(host)
    return [
        finding
        if len(names) == len(findings) or any(name in finding.text_en for name in names)
        else replace(finding, found=f"{finding.found} ({', '.join(names)})".strip())
        for finding, names in hosts.items()
    ]


def report(findings: Sequence[Finding]) -> list[str]:
    """All of it to be read by people, the errors first."""
    lines = []
    for severity, title_en, title_ko in (("error", "ERROR", "오류"), ("warning", "WARNING", "주의")):
        for finding in findings:
            if finding.severity == severity:
                lines += [f"[{title_en}] {finding.text_en}", f"[{title_ko}] {finding.text_ko}", ""]
    return lines[:-1]

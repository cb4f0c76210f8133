# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an operator must be allowed, read from the published policies, which are the only list of it.

docs/operator-policy-*.json speak of an example's account, region and deployment; here they speak of the operator's.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from .findings import NOT_SHOWN, Finding, Words
from .simulation import ALLOWED, Decision, Simulation

# What the documents say, and everybody replaces (docs/operator-policy.md).
EXAMPLE_ACCOUNT = "123456789012"
EXAMPLE_DEPLOYMENT = "academy"
EXAMPLE_REGION = "ap-northeast-2"
# Where the collection has them.
DOCUMENTS = Path(__file__).resolve().parents[2] / "docs"
PATTERN = "operator-policy-*.json"
# Who never removes a deployment does without.
OPTIONAL = ("operator-policy-teardown.json",)
SUBJECT = "AWS permissions"
GUIDE = "docs/operator-policy.md"
# As IAM's refusals put it, in every protocol.
REFUSED = re.compile(r"not authorized to perform: (?P<action>[a-z0-9-]+:\w+)(?: on resource: (?P<resource>\S+))?")


@dataclass(frozen=True)
class Question(Simulation):
    """One statement of a document, in the context that its conditions want to see."""

    document: str
    statement: str


@dataclass(frozen=True)
class Refusal:
    """Actions that IAM's simulation denies on one resource."""

    question: Question
    actions: tuple[str, ...]
    resource: str


def read_documents(directory: Path) -> dict[str, str]:
    """The documents' text, by file name."""
    return {file.name: file.read_text(encoding="utf-8") for file in sorted(directory.glob(PATTERN))}


def own_document(text: str, account_id: str, deployment_name: str, region: str) -> Mapping[str, Any]:
    """A document as the operator has to attach it."""
    replaced = text
    for example, own in (
        (EXAMPLE_DEPLOYMENT, deployment_name),
        (EXAMPLE_ACCOUNT, account_id),
        (EXAMPLE_REGION, region),
    ):
        replaced = replaced.replace(example, own)
    document: Mapping[str, Any] = json.loads(replaced)
    return document


def questions(documents: Mapping[str, Mapping[str, Any]]) -> list[Question]:
    return [
        Question(
            tuple(_several(statement["Action"])),
            tuple(_several(statement["Resource"])),
            tuple(
                (key, _several(values)[0])
                for tests in statement.get("Condition", {}).values()
                for key, values in tests.items()
            ),
            name,
            statement["Sid"],
        )
        for name, document in documents.items()
        for statement in document["Statement"]
    ]


def _several(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else list(value)


def principal_of(caller_arn: str) -> str | None:
    """Of whom IAM can tell what they may do: a user, or the role behind a session. Nobody else has policies."""
    if re.fullmatch(r"arn:[^:]+:iam::\d{12}:user/.+", caller_arn):
        return caller_arn
    session = re.fullmatch(r"arn:([^:]+):sts::(\d{12}):assumed-role/([^/]+)/.+", caller_arn)
    return f"arn:{session[1]}:iam::{session[2]}:role/{session[3]}" if session else None


def refusals(question: Question, decided: Iterable[Decision]) -> list[Refusal]:
    """What the simulation denies, by resource."""
    denied: dict[str, list[str]] = {}
    for decision in decided:
        if decision.outcome != ALLOWED:
            actions = denied.setdefault(decision.resource, [])
            actions += [decision.action] if decision.action not in actions else []
    return [Refusal(question, tuple(actions), resource) for resource, actions in denied.items()]


def refusal_findings(caller: str, refused: Iterable[Refusal]) -> list[Finding]:
    """What is missing, and the document that grants it."""
    return [
        Finding(
            "permissions",
            SUBJECT,
            f"{', '.join(refusal.actions)} on {refusal.resource}",
            Words(f"{caller} must be allowed what the run needs", f"{caller}에게 실행에 필요한 권한이 있어야 합니다"),
            Words(
                f"Attach docs/{refusal.question.document} (statement {refusal.question.statement}); {GUIDE} says how. "
                "Where other policies allow what is really needed: preflight_permissions: false.",
                f"docs/{refusal.question.document}({refusal.question.statement})을 연결하십시오"
                "(docs/operator-policy.ko.md). 다른 정책이 필요한 것을 이미 허용한다면 "
                "preflight_permissions: false로 두십시오.",
            ),
            "warning" if refusal.question.document in OPTIONAL else "error",
        )
        for refusal in refused
    ]


def unknown_findings(caller: str, why: str) -> list[Finding]:
    """IAM does not say, which is no reason to refuse."""
    return [
        Finding(
            "permissions_unknown",
            SUBJECT,
            why,
            Words(
                f"cannot tell whether {caller} may do all that the run needs",
                f"{caller}에게 실행에 필요한 권한이 모두 있는지 알 수 없습니다",
            ),
            Words(
                f"See {GUIDE}; a user or a role with these policies can be asked about.",
                "docs/operator-policy.ko.md를 보십시오. 그 정책을 가진 사용자나 역할이라면 확인할 수 있습니다.",
            ),
            "warning",
        )
    ]


def granting(action: str, documents: Mapping[str, Mapping[str, Any]]) -> str:
    """The document that grants an action to somebody; empty where none does."""
    wanted = action.lower()
    return next(
        (
            question.document
            for question in questions(documents)
            if any(fnmatchcase(wanted, granted.lower()) for granted in question.actions)
        ),
        "",
    )


def advice(message: str, texts: Mapping[str, str]) -> str:
    """What to do about a refusal of IAM's, by its own words; empty for every other error."""
    refused = REFUSED.search(message)
    if refused is None:
        return NOT_SHOWN
    action, resource = refused["action"], refused["resource"] or "*"
    document = granting(action, {name: json.loads(text) for name, text in texts.items()})
    where = f"docs/{document} grants it" if document else f"no document of {GUIDE} grants it"
    return f"The operator lacks {action} on {resource.rstrip('.')}: {where}."

# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a role's policies let a call pass, as far as can be told from the policies.

What is not understood, such as a condition on a key of which nothing is known, is neither a yes nor a no.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

ALLOWED, DENIED, UNKNOWN = "allowed", "denied", "unknown"

# Variables stand for something from this version on; in an older document they are ordinary text.
VERSION_WITH_VARIABLES = "2012-10-17"
TAG_KEYS = ("aws:resourcetag/", "ec2:resourcetag/")
ELEMENTS = frozenset({"Sid", "Effect", "Action", "NotAction", "Resource", "NotResource", "Condition"})
IF_EXISTS = "IfExists"
# How a pattern writes these characters when it means themselves.
ESCAPED = frozenset({"*", "?", "$"})

_TOKEN = re.compile(r"\$\{(?P<variable>[^}]*)\}|(?P<wildcard>[*?])|(?P<text>\$|[^$*?]+)")
_WILDCARDS = {"*": ".*", "?": "."}


@dataclass(frozen=True)
class Request:
    """One call: what it does, to what, and what is known of it by condition key in lower case.

    Of a resource all tags are known, so a tag that is not in the context is absent; of any other key nothing is known.
    """

    action: str
    resource: str
    context: Mapping[str, str]


@dataclass(frozen=True)
class Decision:
    """What the policies say, and the statement or the lack of one that says so."""

    outcome: str
    because: str


def decide(documents: Mapping[str, Mapping[str, Any]], request: Request) -> Decision:
    """A denial wins over every permission, and what nothing permits is denied. Documents are by policy name."""
    applying: dict[tuple[str, bool], str] = {}
    for policy, document in documents.items():
        variables = document.get("Version") == VERSION_WITH_VARIABLES
        for statement in _listed(document.get("Statement", [])):
            applies = _applies(statement, request, variables)
            if applies is not False:
                name = f"{policy}/{statement.get('Sid', 'statement without Sid')}"
                applying.setdefault((str(statement.get("Effect")), applies is True), name)
    for effect, certain, outcome in (
        ("Deny", True, DENIED),
        ("Deny", False, UNKNOWN),
        ("Allow", True, ALLOWED),
        ("Allow", False, UNKNOWN),
    ):
        if (effect, certain) in applying:
            return Decision(outcome, applying[effect, certain])
    return Decision(DENIED, f"no statement of {', '.join(sorted(documents)) or 'any policy'} allows it")


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _all(answers: Iterable[bool | None]) -> bool | None:
    """No as soon as one says no; else not known as soon as one does not know."""
    known = list(answers)
    return False if False in known else None if None in known else True


def _any(answers: Iterable[bool | None]) -> bool | None:
    known = list(answers)
    return True if True in known else None if None in known else False


def _not(answer: bool | None) -> bool | None:
    return None if answer is None else not answer


def _applies(statement: Mapping[str, Any], request: Request, variables: bool) -> bool | None:
    if set(statement) - ELEMENTS:
        return None
    context = request.context if variables else None
    return _all(
        [
            _named(
                statement,
                "Action",
                lambda pattern: _matches(pattern.lower(), request.action.lower(), None, wildcards=True),
            ),
            _named(statement, "Resource", lambda pattern: _matches(pattern, request.resource, context, wildcards=True)),
            *(
                _holds(operator, key, [str(value) for value in _listed(values)], request, variables)
                for operator, tests in statement.get("Condition", {}).items()
                for key, values in tests.items()
            ),
        ]
    )


def _named(statement: Mapping[str, Any], element: str, matches: Callable[[str], bool | None]) -> bool | None:
    if element in statement:
        return _any(matches(pattern) for pattern in _listed(statement[element]))
    return _not(_any(matches(pattern) for pattern in _listed(statement.get(f"Not{element}", []))))


def _is_known(key: str, context: Mapping[str, str]) -> bool:
    return key in context or key.startswith(TAG_KEYS)


# Operator → whether its values may hold wildcards, whether it ignores case, whether it says the opposite.
OPERATORS: Mapping[str, tuple[bool, bool, bool]] = {
    "StringEquals": (False, False, False),
    "StringNotEquals": (False, False, True),
    "StringEqualsIgnoreCase": (False, True, False),
    "StringNotEqualsIgnoreCase": (False, True, True),
    "StringLike": (True, False, False),
    "StringNotLike": (True, False, True),
    "ArnEquals": (True, False, False),
    "ArnLike": (True, False, False),
    "ArnNotEquals": (True, False, True),
    "ArnNotLike": (True, False, True),
    "Bool": (False, True, False),
}


def _holds(operator: str, key: str, values: list[str], request: Request, variables: bool) -> bool | None:
    lower = key.lower()
    plain = operator.removesuffix(IF_EXISTS)
    if (plain not in OPERATORS and operator != "Null") or not _is_known(lower, request.context):
        return None
    found = request.context.get(lower)
    if operator == "Null":
        return str(found is None).lower() in [value.lower() for value in values]
    wildcards, fold, negated = OPERATORS[plain]
    if found is None:
        # A condition on a key that a call does not have fails, unless it says IfExists or the opposite.
        return operator.endswith(IF_EXISTS) or negated
    context = request.context if variables else None
    matched = _any(
        _matches(value.lower(), found.lower(), context, wildcards=wildcards)
        if fold
        else _matches(value, found, context, wildcards=wildcards)
        for value in values
    )
    return _not(matched) if negated else matched


def _matches(pattern: str, value: str, context: Mapping[str, str] | None, *, wildcards: bool) -> bool | None:
    """Compare the whole value, with the pattern's variables filled in; without a context they are ordinary text."""
    expression = ""
    for token in _TOKEN.finditer(pattern):
        variable = token["variable"]
        if variable is not None and context is not None:
            if variable not in ESCAPED and not _is_known(variable.lower(), context):
                return None
            filled = variable if variable in ESCAPED else context.get(variable.lower())
            if filled is None:
                return False
            expression += re.escape(filled)
        elif token["wildcard"] and wildcards:
            expression += _WILDCARDS[token["wildcard"]]
        else:
            expression += re.escape(token[0])
    return re.fullmatch(expression, value, re.DOTALL) is not None

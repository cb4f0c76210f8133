# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""IAM's decision: may a call do this to that, by these identity policies?

Pure, and only as much of IAM as our policies use. What it does not know is an error that names it, never a silent yes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

# Variables stand for something from this version on; in an older document they are ordinary text.
VERSION_WITH_VARIABLES: Final = "2012-10-17"
VERSIONS: Final = (VERSION_WITH_VARIABLES, "2008-10-17")
ELEMENTS: Final = frozenset({"Sid", "Effect", "Action", "NotAction", "Resource", "NotResource", "Condition"})
# Operator → whether the wildcards of its values are ones.
COMPARISONS: Final[Mapping[str, bool]] = {"StringEquals": False, "StringLike": True}
# Before an operator: each of a key's several values has to pass its test. A key without values passes, too.
EVERY: Final = "ForAllValues:"
# "true" wants the key to be missing, "false" wants it to be there.
PRESENCE: Final = "Null"
# Condition keys, in lower case as IAM compares them: whole ones, and those that go on with a tag's key.
KEYS: Final = frozenset(
    {
        "aws:requestedregion",
        "aws:userid",
        "ec2:createaction",
        "ec2:instanceid",
        "iam:awsservicename",
        "iam:passedtoservice",
    }
)
# That have several values, or none.
LIST_KEYS: Final = frozenset({"aws:tagkeys", "route53:changeresourcerecordsetsrecordtypes"})
TAG_KEYS: Final = ("aws:requesttag/", "aws:resourcetag/", "ec2:resourcetag/")
ARN_PARTS: Final = 6

_TOKEN = re.compile(r"\$\{(?P<variable>[^}]*)\}|(?P<wildcard>[*?])|(?P<text>\$|[^$*?]+)")
_WILDCARDS: Final[Mapping[str, str]] = {"*": ".*", "?": "."}
# How a pattern writes these characters when it means themselves.
_ESCAPED: Final = frozenset({"*", "?", "$"})


class PolicyError(ValueError):
    """A policy, or a question about one, that is beyond what is understood here."""


@dataclass(frozen=True)
class Need:
    """What one call needs: an action on one resource, and what conditions may ask about it.

    resource is "*" for an action that concerns no particular one, and nothing where it is not known which it concerns.
    context is by condition key, in lower case; lists are the values of keys that have several. untold are beginnings of
    keys that may have a value which is not known here.
    """

    action: str
    resource: str | None
    context: Mapping[str, str] = field(default_factory=dict)
    lists: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    untold: tuple[str, ...] = ()


@dataclass(frozen=True)
class Condition:
    """One operator's test of one key: any of the values will do."""

    operator: str
    key: str
    values: tuple[str, ...]


@dataclass(frozen=True)
class Statement:
    """One statement of a policy."""

    sid: str
    effect: str
    actions: tuple[str, ...]
    resources: tuple[str, ...]
    conditions: tuple[Condition, ...] = ()
    other_actions: bool = False  # NotAction: all but these
    other_resources: bool = False  # NotResource: all but these
    variables: bool = True
    policy: str = ""  # whose it is


@dataclass(frozen=True)
class Decision:
    """Whether a need is met, and by which statement; no statement where nothing speaks of it."""

    allowed: bool
    statement: Statement | None = None


# --- reading ------------------------------------------------------------------------------------------------------


def read_policy(document: Mapping[str, Any], name: str = "policy") -> tuple[Statement, ...]:
    """The statements of a policy document; refuses what decide() would not understand."""
    version = document.get("Version", VERSIONS[-1])
    if version not in VERSIONS:
        raise PolicyError(f"{name}: the version {version} is not known here")
    statements = document.get("Statement", [])
    return tuple(
        _read_statement(content, str(content.get("Sid", f"{name}[{index}]")), version == VERSION_WITH_VARIABLES, name)
        for index, content in enumerate([statements] if isinstance(statements, Mapping) else statements)
    )


def _read_statement(content: Mapping[str, Any], sid: str, variables: bool, policy: str) -> Statement:
    if unknown := sorted(set(content) - ELEMENTS):
        raise PolicyError(f"{sid}: {unknown[0]} is not known here")
    if content.get("Effect") not in {"Allow", "Deny"}:
        raise PolicyError(f"{sid}: Effect is {content.get('Effect')!r}, neither Allow nor Deny")
    other_actions, actions = _one_of(content, "Action", "NotAction", sid)
    other_resources, resources = _one_of(content, "Resource", "NotResource", sid)
    if variables:
        _refuse_unknown_variables(resources, sid)
    return Statement(
        sid=sid,
        effect=str(content["Effect"]),
        actions=actions,
        resources=resources,
        conditions=tuple(_read_conditions(content.get("Condition", {}), sid, variables)),
        other_actions=other_actions,
        other_resources=other_resources,
        variables=variables,
        policy=policy,
    )


def _one_of(content: Mapping[str, Any], plain: str, negated: str, sid: str) -> tuple[bool, tuple[str, ...]]:
    if (plain in content) == (negated in content):
        raise PolicyError(f"{sid}: wants either {plain} or {negated}")
    return negated in content, _strings(content[negated if negated in content else plain])


def _read_conditions(content: Mapping[str, Any], sid: str, variables: bool) -> Iterator[Condition]:
    for operator, tests in content.items():
        every = operator.startswith(EVERY)
        if operator.removeprefix(EVERY) not in COMPARISONS and operator != PRESENCE:
            raise PolicyError(f"{sid}: the condition operator {operator} is not known here")
        for key, values in tests.items():
            if operator != PRESENCE and every != (key.lower() in LIST_KEYS):
                raise PolicyError(f"{sid}: {operator} of {key} is not known here")
            patterns = _strings(values)
            if variables:
                _refuse_unknown_variables(patterns, sid)
            yield Condition(operator, _known_key(key, sid), patterns)


def _refuse_unknown_variables(patterns: Iterable[str], sid: str) -> None:
    for token in (token for pattern in patterns for token in _TOKEN.finditer(pattern)):
        if token["variable"] is not None and token["variable"] not in _ESCAPED:
            _known_key(token["variable"], sid)


def _known_key(key: str, sid: str) -> str:
    lower = key.lower()
    if lower not in KEYS | LIST_KEYS and not lower.startswith(TAG_KEYS):
        raise PolicyError(f"{sid}: the condition key {key} is not known here")
    return lower


def _strings(value: Any) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(map(str, value))


# --- deciding -----------------------------------------------------------------------------------------------------


def decide_within(statements: Iterable[Statement], boundary: Iterable[Statement] | None, need: Need) -> Decision:
    """What policies say, and no more than a permissions boundary allows, where there is one."""
    decision = decide(statements, need)
    bounded = decision if boundary is None else decide(boundary, need)
    is_explicit = not decision.allowed and decision.statement is not None
    return decision if is_explicit or bounded.allowed else bounded


def missing_keys(statements: Iterable[Statement], need: Need) -> list[str]:
    """The keys that statements on this action ask about, and of which the context says nothing."""
    asked = dict.fromkeys(
        key
        for statement in statements
        if _names_action(statement, need.action)
        for key in (*(condition.key for condition in statement.conditions), *_variables(statement))
    )
    return [key for key in asked if key not in need.context and key not in need.lists]


def _variables(statement: Statement) -> Iterator[str]:
    patterns = (*statement.resources, *(value for condition in statement.conditions for value in condition.values))
    for token in (token for pattern in patterns if statement.variables for token in _TOKEN.finditer(pattern)):
        if token["variable"] is not None and token["variable"] not in _ESCAPED:
            yield token["variable"].lower()


def decide(statements: Iterable[Statement], need: Need) -> Decision:
    """A denial wins over every permission, and what nothing permits is denied."""
    applying = [statement for statement in statements if _applies(statement, need)]
    for effect, allowed in (("Deny", False), ("Allow", True)):
        for statement in applying:
            if statement.effect == effect:
                return Decision(allowed, statement)
    return Decision(False)


def _applies(statement: Statement, need: Need) -> bool:
    return (
        _names_action(statement, need.action)
        and _names_resource(statement, need)
        and all(_holds(condition, need, statement.variables) for condition in statement.conditions)
    )


def _names_action(statement: Statement, action: str) -> bool:
    found = any(matches(pattern.lower(), action.lower()) for pattern in statement.actions)
    return found != statement.other_actions


def _names_resource(statement: Statement, need: Need) -> bool:
    if need.resource is None:
        if statement.resources == ("*",):
            return not statement.other_resources
        raise PolicyError(f"{statement.sid} names resources, but which {need.action} is about is not known here")
    context = need.context if statement.variables else None
    found = any(matches_resource(pattern, need.resource, context) for pattern in statement.resources)
    return found != statement.other_resources


def _holds(condition: Condition, need: Need, variables: bool) -> bool:
    values = _values(condition.key, need)
    if condition.operator == PRESENCE:
        return str(not values).lower() in condition.values
    wildcards = COMPARISONS[condition.operator.removeprefix(EVERY)]
    context = need.context if variables else None
    passed = [
        any(matches(pattern, value, context, wildcards=wildcards) for pattern in condition.values) for value in values
    ]
    return all(passed) if condition.operator.startswith(EVERY) else any(passed)


def _values(key: str, need: Need) -> tuple[str, ...]:
    if key.startswith(need.untold):
        raise PolicyError(f"what {key} is for {need.action} on {need.resource} is not known here")
    if key in LIST_KEYS:
        return need.lists.get(key, ())
    return (need.context[key],) if key in need.context else ()


def matches_resource(pattern: str, resource: str, context: Mapping[str, str] | None = None) -> bool:
    """Whether a resource is one of those that a pattern names; a wildcard does not reach into an ARN's next part."""
    if pattern == "*":
        return True
    patterns, parts = _arn_parts(pattern), resource.split(":", ARN_PARTS - 1)
    return len(patterns) == len(parts) and all(
        matches(one, part, context) for one, part in zip(patterns, parts, strict=True)
    )


def _arn_parts(pattern: str) -> list[str]:
    """Split at colons, but not inside of a variable's braces."""
    colons = [match.start() for match in re.finditer(r":(?![^{]*\})", pattern)][: ARN_PARTS - 1]
    return [pattern[start + 1 : end] for start, end in zip([-1, *colons], [*colons, len(pattern)], strict=True)]


def matches(pattern: str, value: str, context: Mapping[str, str] | None = None, *, wildcards: bool = True) -> bool:
    """Compare the whole value, with the pattern's variables filled in from the context.

    What a variable stands for is compared literally. Nothing matches a variable that has no value.
    Without a context, variables are ordinary text.
    """
    expression = ""
    for token in _TOKEN.finditer(pattern):
        variable = token["variable"]
        if variable is not None and context is not None:
            filled = variable if variable in _ESCAPED else context.get(variable.lower())
            if filled is None:
                return False
            expression += re.escape(filled)
        elif token["wildcard"] and wildcards:
            expression += _WILDCARDS[token["wildcard"]]
        else:
            expression += re.escape(token[0])
    return re.fullmatch(expression, value, re.DOTALL) is not None

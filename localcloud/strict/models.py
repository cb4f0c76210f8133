# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The limits that botocore's service models state, enforced with each service's own validation error.

Only services that are known to enforce their model are listed: EC2, RDS, SQS and SNS validate by code of their own.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from moto.core.utils import get_service_model

from localcloud.strict.rule import Account, Check, Rule
from localcloud.wire import ApiError, Call

COMMON = "1 validation error detected: Value {value} at '{member}' failed to satisfy constraint: Member must {limit}"
ECR = "Invalid parameter at '{member}' failed to satisfy constraint: 'must {limit}'"


@dataclass(frozen=True)
class Validation:
    """How a service refuses what its model does not allow, and which families of limits are known to be enforced."""

    code: str
    families: tuple[str, ...]
    message: str = COMMON


SERVICES: Mapping[str, Validation] = {
    "acm": Validation("ValidationException", ("enum", "pattern")),
    "cloudwatch": Validation("ValidationError", ("enum", "length", "pattern", "range")),
    "ecr": Validation("InvalidParameterException", ("enum", "length", "required"), ECR),
    "elbv2": Validation("ValidationError", ("enum", "length", "range")),
    "events": Validation("ValidationException", ("enum", "length", "pattern", "required")),
    "iam": Validation("ValidationError", ("length", "pattern", "range", "required")),
    "lambda": Validation("ValidationException", ("enum", "length", "pattern", "range", "required")),
    "logs": Validation("InvalidParameterException", ("enum", "length", "pattern", "required")),
}
REFUSES: Mapping[str, str] = {
    "enum": "a value that the model does not list",
    "length": "a text or list that is shorter or longer than the model allows",
    "pattern": "a text that does not match the model's pattern",
    "range": "a number outside the model's range",
    "required": "a call without a member that the model requires",
}


@dataclass(frozen=True)
class Violation:
    """A value that breaks a limit of the model."""

    family: str
    member: str
    value: str
    limit: str


@cache
def model(service: str) -> Any:
    return get_service_model(service)


def violations(shape: Any, value: Any, member: str = "") -> Iterator[Violation]:
    """Every limit of a shape that a value breaks, in the model's order."""
    if value is None:
        return
    shown = "'*** Sensitive Data Redacted ***'" if shape.metadata.get("sensitive") else f"'{value}'"
    for family, limit in _broken_limits(shape, value):
        yield Violation(family, member, shown, limit)
    if shape.type_name == "structure":
        yield from _structure_violations(shape, value, member)
    elif shape.type_name == "list":
        for number, item in enumerate(value, start=1):
            yield from violations(shape.member, item, f"{member}.{number}.member")
    elif shape.type_name == "map":
        for key, item in value.items():
            yield from violations(shape.key, key, member)
            yield from violations(shape.value, item, f"{member}.{key}.member")


def _structure_violations(shape: Any, value: Mapping[str, Any], path: str) -> Iterator[Violation]:
    for name, member_shape in shape.members.items():
        member = ".".join(filter(None, (path, name[:1].lower() + name[1:])))
        if name in shape.required_members and value.get(name) is None:
            yield Violation("required", member, "null", "not be null")
        yield from violations(member_shape, value.get(name), member)


def _broken_limits(shape: Any, value: Any) -> Iterator[tuple[str, str]]:
    low, high = shape.metadata.get("min"), shape.metadata.get("max")
    if shape.type_name in ("string", "list", "map", "blob"):
        if low is not None and len(value) < low:
            yield "length", f"have length greater than or equal to {low}"
        if high is not None and len(value) > high:
            yield "length", f"have length less than or equal to {high}"
    elif shape.type_name in ("integer", "long", "double", "float"):
        if low is not None and value < low:
            yield "range", f"have value greater than or equal to {low}"
        if high is not None and value > high:
            yield "range", f"have value less than or equal to {high}"
    if shape.type_name == "string":
        pattern = _compiled(shape.metadata.get("pattern", ""))
        if pattern and not pattern.fullmatch(value):
            yield "pattern", f"satisfy regular expression pattern: {pattern.pattern}"
        if shape.enum and value not in shape.enum:
            yield "enum", f"satisfy enum value set: [{', '.join(shape.enum)}]"


@cache
def _compiled(pattern: str) -> re.Pattern[str] | None:
    """A model's pattern as Java means it; None where Python cannot read it (Unicode classes)."""
    try:
        return re.compile(pattern, re.ASCII) if pattern else None
    except re.error:
        return None


def _check(validation: Validation, family: str) -> Check:
    def check(call: Call, account: Account) -> ApiError | None:
        shape = model(call.service).operation_model(call.action).input_shape
        if shape is None:
            return None
        found = next((broken for broken in violations(shape, call.parameters) if broken.family == family), None)
        if found is None:
            return None
        message = validation.message.format(member=found.member, value=found.value, limit=found.limit)
        return ApiError(validation.code, message)

    return check


RULES = tuple(
    Rule(
        f"{service}-model-{family}",
        (f"{service}.*",),
        REFUSES[family],
        f"botocore {service} model",
        _check(validation, family),
    )
    for service, validation in SERVICES.items()
    for family in validation.families
)

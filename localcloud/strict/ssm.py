# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What Parameter Store refuses. That it creates nothing that exists, moto keeps itself."""

from __future__ import annotations

import re

from localcloud.strict.rule import Parameters, Rule, by_parameters
from localcloud.wire import ApiError

NAME = re.compile(r"/?[a-zA-Z0-9_.-]+(/[a-zA-Z0-9_.-]+)*")
LEVELS_MAX = 15
STANDARD_BYTES_MAX = 4096


def name(parameters: Parameters) -> ApiError | None:
    asked = (parameters.get("Name") or "").strip()
    if NAME.fullmatch(asked) and not ("/" in asked and not asked.startswith("/")):
        return None
    message = (
        'Parameter name: can\'t be prefixed with "ssm" (case-insensitive). If formed as a path, it can consist of '
        "sub-paths divided by slash symbol; each sub-path can be formed as a mix of letters, numbers and the following "
        "3 symbols .-_"
    )
    return ApiError("ValidationException", message)


def levels(parameters: Parameters) -> ApiError | None:
    if (parameters.get("Name") or "").count("/") <= LEVELS_MAX:
        return None
    message = f"A hierarchy can have a maximum of {LEVELS_MAX} levels."
    return ApiError("HierarchyLevelLimitExceededException", message)


def size(parameters: Parameters) -> ApiError | None:
    standard = (parameters.get("Tier") or "Standard") == "Standard"
    if not standard or len((parameters.get("Value") or "").encode()) <= STANDARD_BYTES_MAX:
        return None
    message = (
        f"Standard tier parameters support a maximum parameter value of {STANDARD_BYTES_MAX} characters. To create a "
        "larger parameter value, upgrade the parameter to use the advanced-parameter tier."
    )
    return ApiError("ValidationException", message)


RULES = (
    Rule(
        "ssm-parameter-name",
        ("ssm.PutParameter",),
        "a parameter name with other characters than `a-zA-Z0-9_.-`, or a hierarchy without the slash at its beginning",
        "botocore ssm PutParameterRequest.Name",
        by_parameters(name),
    ),
    Rule(
        "ssm-parameter-levels",
        ("ssm.PutParameter",),
        "a hierarchy of more than 15 levels",
        "botocore ssm PutParameterRequest.Name and HierarchyLevelLimitExceededException",
        by_parameters(levels),
    ),
    Rule(
        "ssm-parameter-size",
        ("ssm.PutParameter",),
        "a value of more than 4 KB in the standard tier",
        "botocore ssm PutParameterRequest.Value",
        by_parameters(size),
    ),
)

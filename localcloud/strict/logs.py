# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What CloudWatch Logs refuses beyond its model."""

from __future__ import annotations

from localcloud.strict.rule import Parameters, Rule, by_parameters
from localcloud.wire import ApiError

# The model says them in prose only.
RETENTION_DAYS = (
    1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653,
)  # fmt: skip
RESERVED_PREFIX = "aws/"


def retention(parameters: Parameters) -> ApiError | None:
    days = parameters.get("retentionInDays")
    if days is None or days in RETENTION_DAYS:
        return None
    message = (
        f"1 validation error detected: Value '{days}' at 'retentionInDays' failed to satisfy constraint: "
        f"Member must satisfy enum value set: {list(RETENTION_DAYS)}"
    )
    return ApiError("InvalidParameterException", message)


def group_name(parameters: Parameters) -> ApiError | None:
    if not (parameters.get("logGroupName") or "").startswith(RESERVED_PREFIX):
        return None
    message = f"Log group names starting with {RESERVED_PREFIX} are reserved for AWS."
    return ApiError("InvalidParameterException", message)


RULES = (
    Rule(
        "logs-retention",
        ("logs.PutRetentionPolicy",),
        "a retention that is not one of the 22 allowed numbers of days",
        "facts 9.1, botocore logs Days",
        by_parameters(retention),
    ),
    Rule(
        "logs-reserved-name",
        ("logs.CreateLogGroup",),
        "a log group whose name begins with `aws/`",
        "botocore logs CreateLogGroup",
        by_parameters(group_name),
    ),
)

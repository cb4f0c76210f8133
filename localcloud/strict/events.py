# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What EventBridge refuses beyond its model, and CloudWatch's alarms."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from localcloud.strict.rule import Account, Parameters, Rule, by_parameters
from localcloud.wire import ApiError, Call

PUT_TARGETS = "events.PutTargets"
RATE = re.compile(r"rate\((\d+) (minute|hour|day)(s?)\)")
CRON = re.compile(r"cron\((.*)\)")
CRON_FIELDS = 6
CRON_CHARACTERS = re.compile(r"[0-9A-Z,*/?L#W-]+")
TARGETS_PER_RULE = 5
INPUTS = ("Input", "InputPath", "InputTransformer")
SHORT_PERIODS = (10, 20, 30)
LONG_PERIOD = 3600
LONGEST_EVALUATION = 7 * 24 * 3600
LONGEST_EVALUATION_OF_SHORT_PERIODS = 24 * 3600


def is_schedule(expression: str) -> bool:
    """Whether EventBridge takes an expression: rate(1 minute), rate(5 minutes), cron(0 12 * * ? *)."""
    rate, cron = RATE.fullmatch(expression), CRON.fullmatch(expression)
    if rate:
        number, _, plural = rate.groups()
        return int(number) >= 1 and (int(number) == 1) == (plural == "")
    fields = cron[1].split(" ") if cron else []
    if len(fields) != CRON_FIELDS or not all(CRON_CHARACTERS.fullmatch(field) for field in fields):
        return False
    # Day of month and day of week cannot both be said.
    return [fields[2], fields[4]].count("?") == 1


def schedule(parameters: Parameters) -> ApiError | None:
    expression = parameters.get("ScheduleExpression")
    if not expression or is_schedule(expression):
        return None
    return ApiError("ValidationException", "Parameter ScheduleExpression is not valid.")


def inputs(parameters: Parameters) -> ApiError | None:
    for target in parameters.get("Targets") or []:
        if sum(target.get(name) is not None for name in INPUTS) > 1:
            message = (
                f"Only one of Input, InputPath, or InputTransformer must be provided for target {target.get('Id')}."
            )
            return ApiError("ValidationException", message)
    return None


def input_json(parameters: Parameters) -> ApiError | None:
    for target in parameters.get("Targets") or []:
        if not _is_json(target):
            return ApiError("ValidationException", f"JSON syntax error in input for target {target.get('Id')}")
    return None


def period(parameters: Parameters) -> ApiError | None:
    asked = parameters.get("Period")
    if asked is None or asked in SHORT_PERIODS or (asked > 0 and asked % 60 == 0):
        return None
    return ApiError("ValidationError", "Period must be 10, 20, 30 or a multiple of 60")


def data_points(parameters: Parameters) -> ApiError | None:
    wanted, evaluated = parameters.get("DatapointsToAlarm"), parameters.get("EvaluationPeriods")
    if wanted is None or evaluated is None or wanted <= evaluated:
        return None
    return ApiError("ValidationError", "DatapointsToAlarm must be less than or equal to EvaluationPeriods")


def evaluation(parameters: Parameters) -> ApiError | None:
    seconds, periods = parameters.get("Period"), parameters.get("EvaluationPeriods")
    if seconds is None or periods is None:
        return None
    longest = LONGEST_EVALUATION if seconds >= LONG_PERIOD else LONGEST_EVALUATION_OF_SHORT_PERIODS
    if seconds * periods <= longest:
        return None
    return ApiError("ValidationError", f"Metrics cannot be checked across more than {longest} seconds")


def one_statistic(parameters: Parameters) -> ApiError | None:
    """Of a metric; an alarm on an expression has its statistics elsewhere."""
    given = [name for name in ("Statistic", "ExtendedStatistic") if parameters.get(name)]
    if len(given) == 1 or (not given and not parameters.get("MetricName")):
        return None
    message = "Exactly one of Statistic and ExtendedStatistic must be specified with a metric"
    return ApiError("InvalidParameterCombination" if given else "MissingParameter", message)


def _is_json(target: Mapping[str, Any]) -> bool:
    if target.get("Input") is None:
        return True
    try:
        json.loads(target["Input"])
    except ValueError:
        return False
    return True


def _targets(call: Call, account: Account) -> ApiError | None:
    bus = account.backends("events").event_buses.get(call.parameters.get("EventBusName") or "default")
    rule = bus.rules.get(call.parameters.get("Rule")) if bus else None
    existing = {target["Id"] for target in rule.targets} if rule else set()
    given = {target.get("Id") for target in call.parameters.get("Targets") or []}
    if len(existing | given) <= TARGETS_PER_RULE:
        return None
    return ApiError("LimitExceededException", "The requested resource exceeds the maximum number allowed.")


RULES = (
    Rule(
        "events-schedule",
        ("events.PutRule",),
        "a schedule that is neither `rate(n units)` nor a `cron(…)` of six fields with one `?`",
        "botocore events PutRuleRequest.ScheduleExpression, eventbridge-ug",
        by_parameters(schedule),
    ),
    Rule(
        "events-targets",
        (PUT_TARGETS,),
        "a sixth target of a rule",
        "botocore events LimitExceededException, eventbridge-ug quotas; an account can raise it",
        _targets,
    ),
    Rule(
        "events-inputs",
        (PUT_TARGETS,),
        "a target with more than one kind of input",
        "botocore events PutTargets; message not verified",
        by_parameters(inputs),
    ),
    Rule(
        "events-input-json",
        (PUT_TARGETS,),
        "a target whose input is not JSON",
        "botocore events Target.Input; message not verified",
        by_parameters(input_json),
    ),
    Rule(
        "cloudwatch-period",
        ("cloudwatch.PutMetricAlarm",),
        "an alarm period that is not 10, 20, 30 or a multiple of 60",
        "botocore cloudwatch PutMetricAlarmInput.Period, awsdocs/aws-cloudformation-user-guide#777",
        by_parameters(period),
    ),
    Rule(
        "cloudwatch-data-points",
        ("cloudwatch.PutMetricAlarm",),
        "an alarm that needs more data points than it looks at",
        "botocore cloudwatch PutMetricAlarmInput.DatapointsToAlarm; code not verified",
        by_parameters(data_points),
    ),
    Rule(
        "cloudwatch-evaluation",
        ("cloudwatch.PutMetricAlarm",),
        "an alarm that looks back for more than seven days, or for more than one day in periods of less than an hour",
        "botocore cloudwatch PutMetricAlarmInput.Period; message not verified",
        by_parameters(evaluation),
    ),
    Rule(
        "cloudwatch-statistic",
        ("cloudwatch.PutMetricAlarm",),
        "an alarm on a metric with no statistic or two",
        "botocore cloudwatch PutMetricAlarmInput.Statistic, ExtendedStatistic; message not verified",
        by_parameters(one_statistic),
    ),
)

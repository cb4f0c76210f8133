# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The strict layer: the embedded cloud refuses what AWS refuses, with AWS's error codes; moto accepts nearly all of it.

A rule here is true of AWS and not kept by moto itself. `python -m localcloud.strict` prints them all.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence

from localcloud import circumstances
from localcloud.api import After, Api, Before
from localcloud.strict import (
    acm,
    ecr,
    elbv2,
    events,
    functions,
    iam,
    instances,
    logs,
    models,
    network,
    rds,
    route53,
    sns,
    sqs,
    ssm,
    volumes,
    young,
)
from localcloud.strict.rule import Account, Clock, Rule
from localcloud.wire import Call

__all__ = ["RULES", "Rule", "install", "table"]

# The models come first, as at AWS: what breaks a model is not looked at any further.
RULES: tuple[Rule, ...] = tuple(
    rule
    for module in (
        models,
        instances,
        volumes,
        network,
        rds,
        sqs,
        logs,
        ecr,
        elbv2,
        acm,
        route53,
        iam,
        events,
        functions,
        sns,
        ssm,
        young,
    )
    for rule in module.RULES
)


def install(api: Api, rules: Sequence[Rule] = RULES, clock: Clock = time.monotonic) -> Account:
    """Let the API refuse what AWS refuses of such an account."""
    account = Account(api.backends, clock, circumstances.install(api))
    for rule in rules:
        for operation in _operations(rule.operations):
            service, _, action = operation.partition(".")
            api.hooks.register(service, action, before=_before(rule, account), after=_after(rule, account))
    return account


def table(rules: Sequence[Rule] = RULES) -> str:
    """All rules as a Markdown table."""
    rows = [f"| `{rule.identifier}` | {rule.refuses} | {rule.source} |" for rule in rules]
    return "\n".join(["| Rule | Refuses | Source |", "|---|---|---|", *rows])


def _operations(names: Iterable[str]) -> Iterable[str]:
    for name in names:
        service, _, action = name.partition(".")
        if action == "*":
            yield from (f"{service}.{operation}" for operation in models.model(service).operation_names)
        else:
            yield name


def _before(rule: Rule, account: Account) -> Before:
    def refuse(call: Call) -> None:
        error = rule.check(call, account)
        if error is not None:
            raise error

    return refuse


def _after(rule: Rule, account: Account) -> After | None:
    record = rule.record
    return record and (lambda call, result: record(call, account, result))

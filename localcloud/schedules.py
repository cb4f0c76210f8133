# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""EventBridge's schedules, kept: an enabled rule with a rate invokes the functions that are its targets.

A scheduled minute lasts settings.SCHEDULE_MINUTE_SECONDS, because EventBridge knows none below a minute. As at AWS, the
function's policy must let the rule invoke it.
"""

from __future__ import annotations

import json
import logging
import re
import threading
import time
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from localcloud import settings
from localcloud.api import Api
from localcloud.functions import Functions
from localcloud.policy import matches_resource
from localcloud.wire import ApiError

log = logging.getLogger(__name__)

POLL_SECONDS: Final = 0.5
STOP_SECONDS: Final = 5
RATE: Final = re.compile(r"rate\((\d+) (minute|hour|day)s?\)")
MINUTES: Final[Mapping[str, int]] = {"minute": 1, "hour": 60, "day": 24 * 60}
PRINCIPAL: Final[Mapping[str, str]] = {"Service": "events.amazonaws.com"}
INVOKE: Final = "lambda:InvokeFunction"
FUNCTION_PREFIX: Final = f"arn:aws:lambda:{settings.REGION}:{settings.ACCOUNT_ID}:function:"


@dataclass(frozen=True)
class Target:
    """A function that a rule invokes, and with what."""

    rule: str
    function: str
    event: str | None = None  # in place of the usual one


def interval_seconds(expression: str, minute_seconds: float) -> float | None:
    """How long a rate's interval lasts here; None for a schedule of another kind."""
    rate = RATE.fullmatch(expression)
    return int(rate[1]) * MINUTES[rate[2]] * minute_seconds if rate else None


class Agenda:
    """When each rule is due: one interval after it was first seen, and then one after another."""

    def __init__(self, minute_seconds: float) -> None:
        self._minute_seconds = minute_seconds
        self._due: dict[tuple[str, str], float] = {}

    def due(self, rules: Mapping[str, str], now: float) -> list[str]:
        """The rules (with their schedules) whose time has come. One that is away or changed starts anew."""
        found = []
        following: dict[tuple[str, str], float] = {}
        for rule, expression in rules.items():
            interval = interval_seconds(expression, self._minute_seconds)
            if interval is None:
                continue
            at = self._due.get((rule, expression), now + interval)
            if at <= now:
                found.append(rule)
                at = max(at + interval, now)
            following[rule, expression] = at
        self._due = following
        return found


def may_invoke(statements: Iterable[Mapping[str, Any]], rule: str) -> bool:
    """Whether a function's policy lets a rule invoke it; what is not understood lets nobody."""
    return any(_lets(statement, rule) for statement in statements)


def _lets(statement: Mapping[str, Any], rule: str) -> bool:
    conditions = [
        (operator, key.lower(), value)
        for operator, tests in statement.get("Condition", {}).items()
        for key, value in tests.items()
    ]
    return (
        statement.get("Effect") == "Allow"
        and statement.get("Principal") == PRINCIPAL
        and statement.get("Action") == INVOKE
        and all(_holds(operator, key, value, rule) for operator, key, value in conditions)
    )


def _holds(operator: str, key: str, value: str, rule: str) -> bool:
    match operator, key:
        case "ArnLike", "aws:sourcearn":
            return matches_resource(value, rule)
        case "StringEquals", "aws:sourceaccount":
            return value == settings.ACCOUNT_ID
    return False


def scheduled_event(rule: str, now: datetime) -> dict[str, Any]:
    """What EventBridge tells a target when its time has come."""
    return {
        "version": "0",
        "id": str(uuid.uuid4()),
        "detail-type": "Scheduled Event",
        "source": "aws.events",
        "account": settings.ACCOUNT_ID,
        "time": now.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "region": settings.REGION,
        "resources": [rule],
        "detail": {},
    }


class Schedules:
    """Looks at the rules of the default bus, in a thread of its own."""

    def __init__(
        self, api: Api, functions: Functions, minute_seconds: float = settings.SCHEDULE_MINUTE_SECONDS
    ) -> None:
        self._api = api
        self._functions = functions
        self._agenda = Agenda(minute_seconds)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look_on, name="schedules", daemon=True)
        self._running: set[Target] = set()

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join(STOP_SECONDS)

    def _look_on(self) -> None:
        while not self._ended.wait(POLL_SECONDS):
            try:
                for target in self._due(time.monotonic()):
                    self._fire(target)
            except Exception:
                log.exception("could not look at the schedules")

    def _due(self, now: float) -> list[Target]:
        with self._api.lock:
            rules = self._api.backends("events").event_buses["default"].rules.values()
            enabled = {rule.arn: rule for rule in rules if rule.state == "ENABLED" and rule.scheduled_expression}
            due = self._agenda.due({arn: rule.scheduled_expression for arn, rule in enabled.items()}, now)
            return [
                Target(arn, target["Arn"].removeprefix(FUNCTION_PREFIX), target.get("Input"))
                for arn in due
                for target in enabled[arn].targets
                if target["Arn"].startswith(FUNCTION_PREFIX)
            ]

    def _fire(self, target: Target) -> None:
        if target in self._running:
            log.warning("%s: %s still runs, left out", target.rule, target.function)
            return
        self._running.add(target)
        threading.Thread(target=self._invoke, args=[target], name=f"schedule-{target.function}", daemon=True).start()

    def _invoke(self, target: Target) -> None:
        try:
            if not may_invoke(self._statements(target.function), target.rule):
                log.warning("%s may not invoke %s: its policy does not say so", target.rule, target.function)
                return
            event = json.loads(target.event) if target.event else scheduled_event(target.rule, datetime.now(UTC))
            outcome = self._functions.run(target.function, event)
            if outcome.failed:
                log.warning("%s failed: %s", target.function, outcome.payload.decode())
        except ApiError as error:
            log.warning("%s could not invoke %s: %s", target.rule, target.function, error)
        except Exception:
            log.exception("%s could not invoke %s", target.rule, target.function)
        finally:
            self._running.discard(target)

    def _statements(self, name: str) -> list[Mapping[str, Any]]:
        with self._api.lock:
            functions = self._api.backends("lambda").list_functions()
            found = next((function for function in functions if function.function_name == name), None)
            return list(found.policy.statements) if found else []

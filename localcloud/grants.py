# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which of the granted actions were used, and what was denied."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Mapping
from typing import Any, Final

from localcloud.policy import read_policy

# In the User-Agent of whoever uses a role's grants only to prove them: such calls are counted apart from real ones.
EXERCISE_MARK: Final = "academy-exercise"

# Role, statement, action.
Grant = tuple[str, str, str]
# Role → statement → action → calls; of what was denied: role → action → resource → calls.
Tally = Mapping[str, Mapping[str, Mapping[str, int]]]


class Ledger:
    """Counts what was allowed, by role, statement and action, and what was denied, by role, action and resource."""

    KINDS: Final = ("used", "denied", "exercised", "exercised_denied")

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counter: Counter[tuple[str, str, str, str]] = Counter()

    def allowed(self, role: str, statement: str, action: str, *, exercise: bool) -> None:
        self._count("exercised" if exercise else "used", role, statement, action)

    def denied(self, role: str, action: str, resource: str, *, exercise: bool) -> None:
        self._count("exercised_denied" if exercise else "denied", role, action, resource)

    def _count(self, kind: str, role: str, first: str, second: str) -> None:
        with self._lock:
            self._counter[kind, role, first, second] += 1

    def reset(self) -> None:
        with self._lock:
            self._counter.clear()

    def as_dict(self) -> dict[str, dict[str, dict[str, dict[str, int]]]]:
        with self._lock:
            counted = sorted(self._counter.items())
        found: dict[str, dict[str, dict[str, dict[str, int]]]] = {kind: {} for kind in self.KINDS}
        for (kind, role, first, second), calls in counted:
            found[kind].setdefault(role, {}).setdefault(first, {})[second] = calls
        return found


def granted(policies: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> set[Grant]:
    """Everything that the policies of each role (role → policy's name → document) allow, action by action."""
    return {
        (role, statement.sid, action)
        for role, documents in policies.items()
        for name, document in documents.items()
        for statement in read_policy(document, name)
        if statement.effect == "Allow"
        for action in statement.actions
    }


def unused(policies: Mapping[str, Mapping[str, Mapping[str, Any]]], *tallies: Tally) -> set[Grant]:
    """What is granted and in none of these parts of the ledger."""
    return granted(policies) - {
        (role, statement, action)
        for tally in tallies
        for role, statements in tally.items()
        for statement, actions in statements.items()
        for action in actions
    }

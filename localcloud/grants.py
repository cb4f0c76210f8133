# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which of the granted actions were used, and what was denied."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from localcloud.policy import read_policy

# In the User-Agent of whoever uses a role's grants only to prove them: such calls are counted apart from real ones.
EXERCISE_MARK: Final = "academy-exercise"

# Role, statement, action.
Grant = tuple[str, str, str]
# Role → statement → action → calls.
Tally = Mapping[str, Mapping[str, Mapping[str, int]]]
# Role → action → resource → caller → calls.
Denials = Mapping[str, Mapping[str, Mapping[str, Mapping[str, int]]]]


@dataclass(frozen=True)
class Denial:
    """What somebody was denied; the caller is the name of a role's session, of a host its instance's id."""

    role: str
    action: str
    resource: str
    caller: str

    @property
    def is_of_itself(self) -> bool:
        """Whether the caller wanted to do it to itself."""
        return self.resource.endswith(f":instance/{self.caller}")


class Ledger:
    """Counts what was allowed, by role, statement and action, and what was denied, with who wanted what."""

    KINDS: Final = ("used", "denied", "exercised", "exercised_denied")

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counter: Counter[tuple[str, ...]] = Counter()

    def allowed(self, role: str, statement: str, action: str, *, exercise: bool) -> None:
        self._count("exercised" if exercise else "used", role, statement, action)

    def denied(self, denial: Denial, *, exercise: bool) -> None:
        kind = "exercised_denied" if exercise else "denied"
        self._count(kind, denial.role, denial.action, denial.resource, denial.caller)

    def _count(self, *path: str) -> None:
        with self._lock:
            self._counter[path] += 1

    def reset(self) -> None:
        with self._lock:
            self._counter.clear()

    def as_dict(self) -> dict[str, dict[str, Any]]:
        with self._lock:
            counted = sorted(self._counter.items())
        found: dict[str, dict[str, Any]] = {kind: {} for kind in self.KINDS}
        for (*path, last), calls in counted:
            place: dict[str, Any] = found
            for key in path:
                place = place.setdefault(key, {})
            place[last] = calls
        return found


def denials(tally: Denials) -> set[Denial]:
    """Each of them once, from a part of the ledger."""
    return {
        Denial(role, action, resource, caller)
        for role, actions in tally.items()
        for action, resources in actions.items()
        for resource, callers in resources.items()
        for caller in callers
    }


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

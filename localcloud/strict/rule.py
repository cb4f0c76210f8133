# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a rule of the strict layer is, and what it sees of the account."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from localcloud.circumstances import Circumstances
from localcloud.wire import ApiError, Call

Parameters = Mapping[str, Any]
Clock = Callable[[], float]


@dataclass(frozen=True)
class Account:
    """The account's state: moto's backends, what it is like, and when something happened that moto forgets."""

    backends: Callable[[str], Any]
    clock: Clock
    circumstances: Circumstances = field(default_factory=Circumstances)
    moments: dict[tuple[str, str], float] = field(default_factory=dict)

    def note(self, event: str, subject: str) -> None:
        self.moments[event, subject] = self.clock()

    def seconds_since(self, event: str, subject: str) -> float | None:
        """How long ago something happened to a subject; None if it never did."""
        at = self.moments.get((event, subject))
        return None if at is None else self.clock() - at


Check = Callable[[Call, Account], ApiError | None]
Record = Callable[[Call, Account, Mapping[str, Any]], None]


@dataclass(frozen=True)
class Rule:
    """One thing that AWS refuses.

    operations  as "service.Operation"; "service.*" is all operations of a service
    refuses     what it refuses, for people
    source      where it is known from: a fact's number, a member of a botocore model, a public issue
    check       the error with which AWS refuses the call, if it does
    record      notes what a later check needs to know from a call that succeeded and its result
    """

    identifier: str
    operations: tuple[str, ...]
    refuses: str
    source: str
    check: Check
    record: Record | None = None


def by_parameters(decide: Callable[[Parameters], ApiError | None]) -> Check:
    """A check that needs nothing but the call's parameters."""
    return lambda call, _account: decide(call.parameters)

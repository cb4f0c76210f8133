# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What becomes of a target: registered, probed, healthy or not, drained, gone; in AWS's words.

Pure: a clock's seconds come in, and what a probe found. Sources: botocore elbv2 TargetHealth, alb-ug
target-group-health-checks (reasons, the first success, fail-open) and edit-target-group-attributes (draining).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import Enum
from typing import Final

from localcloud.balancer.config import Use

# How long a load balancer still sends to a target that is deregistered: facts 15.2.
DEREGISTRATION_LAG_SECONDS: Final = 15.0


class State(Enum):
    INITIAL = "initial"
    HEALTHY = "healthy"
    UNHEALTHY = "unhealthy"
    UNUSED = "unused"
    DRAINING = "draining"
    UNAVAILABLE = "unavailable"


@dataclass(frozen=True)
class Health:
    """A target's health as DescribeTargetHealth shows it."""

    state: State
    reason: str | None = None
    description: str | None = None

    def shown(self) -> dict[str, str]:
        words = {"State": self.state.value, "Reason": self.reason, "Description": self.description}
        return {name: word for name, word in words.items() if word is not None}


HEALTHY: Final = Health(State.HEALTHY)
REGISTERING: Final = Health(State.INITIAL, "Elb.RegistrationInProgress", "Target registration is in progress")
CHECKING: Final = Health(State.INITIAL, "Elb.InitialHealthChecking", "Initial health checks in progress")
NOT_IN_USE: Final = Health(
    State.UNUSED, "Target.NotInUse", "Target group is not configured to receive traffic from the load balancer"
)
OTHER_ZONE: Final = Health(
    State.UNUSED, "Target.NotInUse", "Target is in an Availability Zone that is not enabled for the load balancer"
)
NOT_REGISTERED: Final = Health(State.UNUSED, "Target.NotRegistered", "Target is not registered to the target group")
STOPPED: Final = Health(State.UNUSED, "Target.InvalidState", "Target is in the stopped state")
DRAINING: Final = Health(State.DRAINING, "Target.DeregistrationInProgress", "Target deregistration is in progress")
UNCHECKED: Final = Health(State.UNAVAILABLE, "Target.HealthCheckDisabled", "Health checks are disabled for this target")


# --- probes -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Checks:
    """How a target group has its targets probed."""

    protocol: str = "HTTP"
    port: str = "traffic-port"
    path: str = "/"
    interval: float = 30
    timeout: float = 5
    healthy_threshold: int = 5
    unhealthy_threshold: int = 2
    codes: str = "200"
    enabled: bool = True


@dataclass(frozen=True)
class Verdict:
    """What one probe found: a status, or nothing in time, or no HTTP."""

    status: int | None = None
    timed_out: bool = False


def matches(codes: str, status: int) -> bool:
    """Whether a matcher ("200", "200,302", "200-299") takes a status."""
    for part in codes.split(","):
        bounds = [int(number) for number in re.findall(r"\d+", part)]
        if bounds and bounds[0] <= status <= bounds[-1]:
            return True
    return False


def failure(codes: str, verdict: Verdict) -> Health | None:
    """How a target is unhealthy by one probe; None if it is not."""
    if verdict.timed_out:
        return Health(State.UNHEALTHY, "Target.Timeout", "Request timed out")
    if verdict.status is None:
        return Health(State.UNHEALTHY, "Target.FailedHealthChecks", "Health checks failed")
    if matches(codes, verdict.status):
        return None
    return Health(
        State.UNHEALTHY, "Target.ResponseCodeMismatch", f"Health checks failed with these codes: [{verdict.status}]"
    )


@dataclass(frozen=True)
class Checked:
    """What the probes of a target have found since it was registered, or since it could be probed again."""

    health: Health = REGISTERING
    successes: int = 0
    failures: int = 0

    def after(self, checks: Checks, verdict: Verdict) -> Checked:
        """The first success is enough for a new target; an unhealthy one needs several, and so does a failure."""
        failed = failure(checks.codes, verdict)
        if failed is None:
            successes = self.successes + 1
            enough = self.health.state is not State.UNHEALTHY or successes >= checks.healthy_threshold
            return Checked(HEALTHY if enough else self.health, successes, 0)
        failures = self.failures + 1
        if self.health.state is State.UNHEALTHY or failures >= checks.unhealthy_threshold:
            return Checked(failed, 0, failures)
        return Checked(CHECKING if self.health.state is State.INITIAL else self.health, 0, failures)


# --- a target's life ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Target:
    """A target that is registered, or was until not long ago."""

    id: str
    port: int
    checked: Checked = Checked()
    due: float = 0.0  # when it is probed next
    left_at: float | None = None  # when it was deregistered

    @property
    def key(self) -> str:
        return f"{self.id}:{self.port}"


@dataclass(frozen=True)
class Situation:
    """Where a target is: at an address, in a zone, in a state."""

    address: str | None
    running: bool
    zone_enabled: bool


def health(target: Target, situation: Situation, checks: Checks, *, in_use: bool) -> Health:
    """A target's health now."""
    if target.left_at is not None:
        return DRAINING
    if not in_use:
        return NOT_IN_USE
    if not situation.running:
        return STOPPED
    if not situation.zone_enabled:
        return OTHER_ZONE
    return target.checked.health if checks.enabled else UNCHECKED


def registered(
    targets: Iterable[Target], wanted: Iterable[tuple[str, int]], now: float, delay: float
) -> tuple[Target, ...]:
    """The targets after a look at who is registered: new ones come, those that left drain until their time is up."""
    current = {target.key: target for target in targets}
    found: dict[str, Target] = {}
    for identifier, port in wanted:
        new = Target(identifier, port, due=now)
        old = current.get(new.key)
        # Who is registered again while draining begins anew.
        found[new.key] = old if old is not None and old.left_at is None else new
    for key, target in current.items():
        if key not in found:
            left = target if target.left_at is not None else replace(target, left_at=now)
            if left.left_at is not None and now < left.left_at + delay:
                found[key] = left
    return tuple(found[key] for key in sorted(found))


def uses(targets: Mapping[str, tuple[Target, Health]], now: float, lag: float) -> dict[str, Use]:
    """What each target is used for. Where none is healthy every one is: the load balancer fails open."""
    staying = {key: one.state for key, (_, one) in targets.items()}
    good = {key for key, state in staying.items() if state in (State.HEALTHY, State.UNAVAILABLE)}
    chosen = good or {key for key, state in staying.items() if state in (State.UNHEALTHY, State.INITIAL)}
    found = {}
    for key, (target, one) in targets.items():
        if one.state is State.DRAINING:
            late = target.left_at is not None and now < target.left_at + lag
            was_good = target.checked.health.state is State.HEALTHY
            found[key] = Use.READY if late and was_good else Use.DRAIN
        elif one.state is State.UNUSED:
            found[key] = Use.OFF
        else:
            found[key] = Use.READY if key in chosen else Use.DRAIN
    return found


def next_look(targets: Iterable[Target], now: float, delay: float, lag: float) -> float | None:
    """When something changes by time alone: a probe is due, a lag or a delay is over."""
    moments = []
    for target in targets:
        if target.left_at is None:
            moments.append(target.due)
        else:
            moments += [moment for moment in (target.left_at + lag, target.left_at + delay) if moment > now]
    return min(moments, default=None)

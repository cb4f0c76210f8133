# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who deploys: a lease on the deployment, kept as numbered SSM parameters of which the highest counts.

SSM has no compare-and-swap, but refuses to create a parameter that exists. So whoever wants the deployment creates the
generation after the highest that it has read: of two who read the same one gets it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from .findings import Finding, Words
from .hold import HOLD_FORMAT, hold_end

LEASE = timedelta(minutes=10)
BREAK = "deploy_break_lock"
NOBODY = "unknown"
# In the run's temporary directory, and in it: what the run ships, how it ended, that all is done, what went wrong.
DIRECTORY, SHIPPED, END, DONE, TROUBLE = "deploy_lock", "shipped.json", "end", "done", "trouble"


@dataclass(frozen=True)
class Lock:
    """A generation of the lock: one run's."""

    generation: int
    run: str  # what tells this run from all others
    owner: str
    host: str
    playbook: str
    release: str
    taken_at: str
    expires_at: str
    ended: bool = False

    def is_held(self, now: datetime) -> bool:
        return not self.ended and now < hold_end(self.expires_at)

    def renewed(self, now: datetime) -> Lock:
        return replace(self, expires_at=time_text(now + LEASE))


@dataclass(frozen=True)
class Decision:
    """What becomes of a run that wants the deployment: it has it already, takes it, is refused, or has lost it."""

    becomes: Literal["held", "taken", "refused", "lost"]
    generation: int
    found: Lock | None = None  # the lock that is in the way or is broken, and the run's own where it has it already


def playbook_name(argument: str) -> str:
    """Of a playbook as the command line names it: by its file, or by its place in a collection."""
    file = argument.rpartition("/")[2]
    return file.rpartition(".")[0] if file.endswith((".yml", ".yaml")) else file.rpartition(".")[2]


def lock_path(deployment_name: str) -> str:
    return f"/{deployment_name}/lock"


def lock_name(deployment_name: str, generation: int) -> str:
    return f"{lock_path(deployment_name)}/{generation}"


def time_text(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime(HOLD_FORMAT)


def who(caller_arn: str) -> str:
    """The name in the ARN of a user, or of a role's session with the role."""
    return caller_arn.rpartition(":")[2].partition("/")[2] or caller_arn.rpartition(":")[2]


def lock_text(lock: Lock) -> str:
    content = asdict(lock)
    del content["generation"]
    return json.dumps(content, ensure_ascii=False)


def read_lock(parameter: Mapping[str, Any]) -> Lock | None:
    """A generation, of SSM's answer; None for what is not one. What nobody can read blocks no longer than a lease."""
    last = str(parameter["Name"]).rpartition("/")[2]
    if not last.isdecimal():
        return None
    try:
        lock = Lock(generation=int(last), **json.loads(parameter["Value"]))
        hold_end(lock.expires_at)
    except (ValueError, TypeError):
        changed: datetime = parameter["LastModifiedDate"]
        until = time_text(changed + LEASE)
        return Lock(int(last), NOBODY, NOBODY, NOBODY, NOBODY, NOBODY, time_text(changed), until)
    return lock


def read_locks(parameters: Iterable[Mapping[str, Any]]) -> list[Lock]:
    """All generations that are there, the highest last."""
    found = (read_lock(parameter) for parameter in parameters)
    return sorted((lock for lock in found if lock), key=lambda lock: lock.generation)


def decide(locks: Sequence[Lock], run: str, now: datetime, *, breaks: bool = False, had: bool = False) -> Decision:
    """What a run may do by what it has read, which breaks others' locks or had one itself."""
    if not locks:
        return Decision("lost" if had else "taken", 1)
    last = locks[-1]
    # Once it is over, others may take it at any moment.
    if last.run == run and last.is_held(now):
        return Decision("held", last.generation, last)
    if had or (last.run == run and not last.ended):
        return Decision("lost", last.generation, last)
    if last.is_held(now) and not breaks:
        return Decision("refused", last.generation, last)
    return Decision("taken", last.generation + 1, last if last.is_held(now) else None)


def rivals(locks: Iterable[Lock], own: int, now: datetime, *, breaks: bool = False) -> list[Lock]:
    """The locks that others have beside this run's, because it had read old answers: taken since, or renewed since."""
    found = [lock for lock in locks if lock.is_held(now)]
    return [lock for lock in found if lock.generation > own or (lock.generation == own - 1 and not breaks)]


def outlived(locks: Iterable[Lock], own: int) -> list[int]:
    """The generations that go. The one before stays: whoever has read it last tries for this one, and is refused."""
    return [lock.generation for lock in locks if lock.generation < own - 1]


def age_seconds(lock: Lock, now: datetime) -> int:
    return int((now - hold_end(lock.taken_at)).total_seconds())


def describe(lock: Lock | None, now: datetime) -> dict[str, Any]:
    """The lock for people and machines: held, expired (its run ended without a word), or free."""
    if lock is None or lock.ended:
        return {"state": "free"}
    told = {name: value for name, value in asdict(lock).items() if name not in ("run", "ended")}
    return {"state": "held" if lock.is_held(now) else "expired", "age_seconds": age_seconds(lock, now), **told}


def holder(lock: Lock, now: datetime) -> str:
    """Who has it, since when and until when, in words."""
    minutes = age_seconds(lock, now) // 60
    return (
        f"{lock.owner} on {lock.host} (playbooks/{lock.playbook}.yml, release {lock.release}) since {lock.taken_at}, "
        f"{minutes} min ago, until {lock.expires_at} unless it goes on"
    )


def loss(lock: Lock | None, now: datetime) -> Finding:
    """Of a run that slept for longer than its lease, or whose lock was broken: what it began to do is old by now."""
    return Finding(
        "deploy_lock_lost",
        "deploy lock",
        f"that of {holder(lock, now)}" if lock else "none",
        Words("this run had it and must still have it", "이 실행이 쥐고 있던 잠금을 계속 쥐고 있어야 합니다"),
        Words(
            "It slept for longer than ten minutes, or its lock was broken, so it goes no further. Run it again.",
            "10분 넘게 멈춰 있었거나 잠금이 해제되었으므로 더 진행하지 않습니다. 다시 실행하십시오.",
        ),
    )


def refusal(lock: Lock, now: datetime) -> Finding:
    return Finding(
        "deploy_lock",
        "deploy lock",
        holder(lock, now),
        Words("one run at a time changes a deployment", "한 번에 하나의 실행만 배포를 변경할 수 있습니다"),
        Words(
            f"Wait until it is done. If it is gone, its lock ends by itself at {lock.expires_at}; to break it now: "
            f"-e {BREAK}=true.",
            f"끝날 때까지 기다리십시오. 이미 중단된 실행이라면 잠금은 {lock.expires_at}에 저절로 끝납니다. "
            f"지금 해제하려면 -e {BREAK}=true를 주십시오.",
        ),
    )

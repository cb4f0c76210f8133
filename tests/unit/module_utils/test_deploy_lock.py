# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who gets the deployment, who is refused and why, and what becomes of the generations."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from plugins.module_utils.deploy_lock import (
    LEASE,
    Decision,
    Lock,
    decide,
    describe,
    lock_name,
    lock_text,
    loss,
    outlived,
    playbook_name,
    read_locks,
    refusal,
    rivals,
    time_text,
    who,
)

NOW = datetime(2026, 1, 31, 9, 30, tzinfo=UTC)
TAKEN = NOW - timedelta(minutes=4)


def lock(generation: int = 1, run: str = "other", *, expires: datetime = NOW + LEASE, ended: bool = False) -> Lock:
    times = time_text(TAKEN), time_text(expires)
    return Lock(generation, run, "alice", "desk", "deploy", "3f8a1c0d94b2", *times, ended=ended)


def parameter(name: str, value: str, changed: datetime = NOW) -> dict[str, Any]:
    return {"Name": name, "Value": value, "LastModifiedDate": changed}


HELD, EXPIRED, ENDED = lock(7), lock(7, expires=NOW), lock(7, ended=True)


@pytest.mark.parametrize(
    ("locks", "breaks", "expected"),
    [
        ([], False, Decision("taken", 1)),
        ([HELD], False, Decision("refused", 7, HELD)),
        ([HELD], True, Decision("taken", 8, HELD)),
        ([EXPIRED], False, Decision("taken", 8)),
        ([ENDED], False, Decision("taken", 8)),
        ([ENDED], True, Decision("taken", 8)),
        # The highest counts, whatever the one before says.
        ([lock(6), ENDED], False, Decision("taken", 8)),
        ([lock(6, ended=True), HELD], False, Decision("refused", 7, HELD)),
        ([lock(7, "mine")], False, Decision("held", 7, lock(7, "mine"))),
        # A laptop slept, and somebody else may be taking it.
        ([lock(7, "mine", expires=NOW)], False, Decision("lost", 7, lock(7, "mine", expires=NOW))),
        # Somebody else did.
        ([lock(6, "mine"), HELD], False, Decision("refused", 7, HELD)),
        ([lock(7, "mine", ended=True)], False, Decision("taken", 8)),
    ],
)
def test_what_becomes_of_a_run_that_wants_the_deployment(locks: list[Lock], breaks: bool, expected: Decision) -> None:
    assert decide(locks, "mine", NOW, breaks=breaks) == expected


@pytest.mark.parametrize("locks", [[], [HELD], [ENDED], [lock(6, "mine"), ENDED], [lock(7, "mine", ended=True)]])
def test_a_run_that_has_lost_its_lock_takes_no_other_one(locks: list[Lock]) -> None:
    for breaks in (False, True):
        assert decide(locks, "mine", NOW, breaks=breaks, had=True).becomes == "lost"
    assert decide([lock(7, "mine")], "mine", NOW, had=True).becomes == "held"
    assert "found that of alice on desk" in loss(HELD, NOW).text_en
    assert "found none. It slept for" in loss(None, NOW).text_en


def test_a_lease_that_is_renewed_lasts_ten_minutes_from_now_on() -> None:
    assert HELD.renewed(NOW).expires_at == "2026-01-31T09:40:00Z"
    assert HELD.renewed(NOW).is_held(NOW + timedelta(minutes=9, seconds=59))
    assert not HELD.renewed(NOW).is_held(NOW + timedelta(minutes=10))


def test_a_generation_is_read_as_it_was_written() -> None:
    written = [parameter(lock_name("academy", each.generation), lock_text(each)) for each in (lock(10), lock(9), HELD)]
    assert read_locks(written) == [HELD, lock(9), lock(10)]
    assert read_locks([parameter("/academy/lock/note", "{}")]) == []


@pytest.mark.parametrize("value", ["", "{}", "[]", '{"run": 1}', lock_text(HELD).replace("2026-01-31T09:4", "tomor")])
def test_what_nobody_can_read_blocks_for_ten_minutes_and_not_for_ever(value: str) -> None:
    (found,) = read_locks([parameter("/academy/lock/3", value, TAKEN)])
    assert (found.generation, found.owner, found.expires_at) == (3, "unknown", "2026-01-31T09:36:00Z")
    assert found.is_held(NOW)
    assert not found.is_held(NOW + LEASE)


def test_who_took_a_later_generation_is_a_rival() -> None:
    assert rivals([lock(6, ended=True), HELD, lock(8)], 7, NOW) == [lock(8)]
    assert rivals([lock(8, ended=True), lock(9, expires=NOW)], 7, NOW) == []
    # It was over when it was read, and its run has woken up and renewed it.
    assert rivals([lock(6), HELD], 7, NOW) == [lock(6)]
    assert rivals([lock(6), HELD], 7, NOW, breaks=True) == []
    assert rivals([lock(5), lock(6, expires=NOW), HELD], 7, NOW) == []


def test_the_generation_before_stays_so_that_who_has_read_it_is_refused() -> None:
    assert outlived([lock(4), lock(5), lock(6), HELD, lock(8)], 7) == [4, 5]


def test_the_lock_is_told_of() -> None:
    told = describe(HELD, NOW)
    assert told.pop("age_seconds") == 240
    assert told == {
        "state": "held",
        "generation": 7,
        "owner": "alice",
        "host": "desk",
        "playbook": "deploy",
        "release": "3f8a1c0d94b2",
        "taken_at": "2026-01-31T09:26:00Z",
        "expires_at": "2026-01-31T09:40:00Z",
    }
    assert describe(EXPIRED, NOW)["state"] == "expired"
    assert describe(ENDED, NOW) == describe(None, NOW) == {"state": "free"}


def test_a_refusal_says_whose_it_is_and_how_it_ends() -> None:
    found = refusal(HELD, NOW)
    assert found.text_en == (
        "deploy lock: one run at a time changes a deployment, found alice on desk (playbooks/deploy.yml, release "
        "3f8a1c0d94b2) since 2026-01-31T09:26:00Z, 4 min ago, until 2026-01-31T09:40:00Z unless it goes on. Wait until "
        "it is done. If it is gone, its lock ends by itself at 2026-01-31T09:40:00Z; to break it now: "
        "-e deploy_break_lock=true."
    )
    assert "-e deploy_break_lock=true" in found.text_ko


@pytest.mark.parametrize(
    ("arn", "name"),
    [
        ("arn:aws:iam::123456789012:user/alice", "alice"),
        ("arn:aws:iam::123456789012:user/team/alice", "team/alice"),
        ("arn:aws:sts::123456789012:assumed-role/Deployer/alice@example.com", "Deployer/alice@example.com"),
        ("arn:aws:iam::123456789012:root", "root"),
    ],
)
def test_an_owner_is_named_by_the_caller(arn: str, name: str) -> None:
    assert who(arn) == name


@pytest.mark.parametrize(
    ("argument", "name"),
    [("playbooks/teardown.yml", "teardown"), ("site.yaml", "site"), ("academy.deploy.teardown", "teardown")],
)
def test_a_playbook_has_one_name_however_it_is_called(argument: str, name: str) -> None:
    assert playbook_name(argument) == name

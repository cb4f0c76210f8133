# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who has the deployment, however runs end, and what is recorded of them. One account, one story."""

from __future__ import annotations

import contextlib
import signal
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from plugins.module_utils.aws_state import read_lock_generations, read_release_history
from plugins.module_utils.deploy_lock import LEASE, Lock, lock_name, lock_text, read_locks, time_text
from plugins.module_utils.hold import hold_end, hold_time
from plugins.module_utils.releases import Release, read_releases
from plugins.plugin_utils.lock_keeper import Keeper, Order
from tests import support
from tests.integration.conftest import Account

PLAYBOOK = "tests/integration/provision/deploy_lock.yml"
WAITS = r"^TASK \[Wait for the word\]"
SECONDS = 60


def locks(account: Account) -> list[Lock]:
    return read_locks(read_lock_generations(account.client("ssm"), "/academy/lock"))


def shipped(account: Account) -> list[Release]:
    return read_releases(read_release_history(account.client("ssm"), "/academy/releases"))


def command(account: Account, word: Path, release: str, *arguments: str) -> tuple[str, ...]:
    return *account.arguments(PLAYBOOK), "-e", f"word={word}", "-e", f"release={release}", *arguments


@contextlib.contextmanager
def running(account: Account, word: Path, release: str) -> Iterator[support.Background]:
    """A run that has the lock, and waits for the word."""
    with support.background_playbook(*command(account, word, release), name=f"lock-{release}") as run:
        run.wait_for_line(WAITS, SECONDS)
        yield run


def run(account: Account, word: Path, release: str, *arguments: str) -> support.Run:
    return support.playbook(*command(account, word, release, *arguments), name=f"lock-{release}")


@pytest.fixture
def word(tmp_path: Path) -> Path:
    return tmp_path / "word"


@pytest.fixture
def said(tmp_path: Path) -> Path:
    file = tmp_path / "said"
    file.write_text("go on", encoding="utf-8")
    return file


def test_one_run_at_a_time_has_the_deployment_and_check_mode_asks_for_nothing(
    account: Account, word: Path, said: Path
) -> None:
    with running(account, word, "first") as first:
        before = {call: count for call, count in account.calls().items() if call.startswith("ssm.")}
        refused = run(account, said, "second").expect(2)
        told = " ".join(refused.output.split())
        assert "found academy-operator on " in told
        assert "(playbooks/deploy_lock.yml, release first) since " in told
        assert "-e deploy_break_lock=true" in told
        after_refusal = {call: count for call, count in account.calls().items() if call.startswith("ssm.")}
        assert after_refusal == {**before, "ssm.GetParametersByPath": before["ssm.GetParametersByPath"] + 1}
        run(account, said, "checked", "--check").expect()
        assert {call: count for call, count in account.calls().items() if call.startswith("ssm.")} == after_refusal
        word.write_text("go on", encoding="utf-8")
        assert first.finish().expect().changed() == {"localhost": 0}
    (record,) = shipped(account)
    assert (record.release, record.result, record.digests) == ("first", "succeeded", {"academy-api": "sha256:1"})
    assert (record.owner, record.playbook) == ("academy-operator", "deploy_lock")
    assert record.started_at < record.ended_at
    assert [(lock.generation, lock.release, lock.ended) for lock in locks(account)] == [(1, "first", True)]


def test_of_two_that_begin_together_one_has_it(account: Account, said: Path) -> None:
    with contextlib.ExitStack() as stack:
        both = [
            stack.enter_context(
                support.background_playbook(*command(account, said, f"{name}-of-two"), name=f"lock-{name}-of-two")
            )
            for name in ("one", "other")
        ]
        statuses = sorted(each.finish().status for each in both)
    # Or one after the other, where the machine has more to do.
    assert statuses in ([0, 2], [0, 0])
    assert locks(account)[-1].ended
    assert [lock.generation for lock in locks(account)] == ([1, 2] if statuses == [0, 2] else [2, 3])


def test_a_run_that_fails_ends_its_lock_and_is_recorded(account: Account, tmp_path: Path) -> None:
    word = tmp_path / "fail"
    word.write_text("fail", encoding="utf-8")
    run(account, word, "none", "-e", "shipped=failing").expect(2)
    assert (shipped(account)[0].release, shipped(account)[0].result) == ("failing", "failed")
    assert (locks(account)[-1].release, locks(account)[-1].ended) == ("none", True)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_a_run_that_is_interrupted_leaves_a_lock_that_ends_or_is_broken(
    account: Account, word: Path, said: Path, number: signal.Signals
) -> None:
    count = len(shipped(account))
    release = f"broken-off-{number}"
    with running(account, word, release) as broken_off:
        # The keeper looks five times a second.
        time.sleep(1)
        broken_off.signal(number)
        broken_off.finish()
    support.wait_until(lambda: len(shipped(account)) > count, "the keeper sees that the run is over")
    assert (shipped(account)[0].release, shipped(account)[0].result) == (release, "interrupted")
    left = locks(account)[-1]
    assert (left.release, left.ended) == (release, False)
    # Nobody renews it any more.
    assert hold_end(left.expires_at) <= datetime.now(UTC) + LEASE
    assert f"release {release})" in " ".join(run(account, said, "refused").expect(2).output.split())
    breaking = run(account, said, "breaking", "-e", "deploy_break_lock=true").expect()
    assert f"was broken. It was that of academy-operator on {left.host}" in " ".join(breaking.output.split())
    assert locks(account)[-1].ended


def test_a_run_that_has_lost_the_lock_goes_no_further(account: Account, word: Path, said: Path) -> None:
    with running(account, word, "sleeping") as sleeping:
        run(account, said, "awake", "-e", "deploy_break_lock=true").expect()
        word.write_text("go on", encoding="utf-8")
        lost = sleeping.finish().expect(2)
    assert "this run had it and must still have it, found that of academy-operator" in " ".join(lost.output.split())
    # What is not its own it leaves alone.
    assert (shipped(account)[0].release, locks(account)[-1].release) == ("awake", "awake")


def test_with_the_playbook_that_ends_the_deployment_lock_and_records_go_and_another_one_begins_anew(
    account: Account, said: Path
) -> None:
    assert len(shipped(account)) > 1
    both = account.arguments("playbooks/teardown.yml", PLAYBOOK)
    support.playbook(
        *both, "-e", "confirm=academy", "-e", f"word={said}", "-e", "release=after", name="lock-teardown"
    ).expect()
    assert [(record.release, record.result) for record in shipped(account)] == [("after", "succeeded")]
    assert [(lock.generation, lock.release, lock.ended) for lock in locks(account)] == [(1, "after", True)]


def test_the_keeper_renews_what_is_its_runs_and_nothing_else(account: Account, tmp_path: Path) -> None:
    ec2, ssm, now = account.client("ec2"), account.client("ssm"), datetime.now(UTC)
    taken = now - timedelta(minutes=9)
    (image, *_) = ec2.describe_images(Filters=[{"Name": "architecture", "Values": ["arm64"]}])["Images"]
    holds = {
        "own": hold_time(taken + timedelta(minutes=1)),
        "earlier": hold_time(taken - timedelta(minutes=1)),
        "somebody's": "2099-01-31T09:30:00Z",
    }
    ids = {}
    for name, until in holds.items():
        tags = {"Project": "academy", "Name": name, "HoldUntil": until}
        tagged = [{"ResourceType": "instance", "Tags": [{"Key": key, "Value": value} for key, value in tags.items()]}]
        launched = ec2.run_instances(
            ImageId=image["ImageId"], InstanceType="t4g.small", MinCount=1, MaxCount=1, TagSpecifications=tagged
        )
        ids[name] = launched["Instances"][0]["InstanceId"]
    generation = locks(account)[-1].generation + 1
    own = Lock(generation, "run", "me", "here", "deploy", "r", time_text(taken), time_text(taken + LEASE))

    def put(lock: Lock) -> None:
        ssm.put_parameter(Name=lock_name("academy", lock.generation), Value=lock_text(lock), Type="String")

    def held() -> dict[str, str]:
        found = [instance for name in ids for instance in account.instances(name)]
        tags = [{tag["Key"]: tag["Value"] for tag in instance["Tags"]} for instance in found]
        return {tag["Name"]: tag["HoldUntil"] for tag in tags}

    put(own)
    keys: dict[str, Any] = {"aws_access_key_id": "LOCALCLOUDOPERATOR01", "aws_secret_access_key": "not-a-secret"}
    keeper = Keeper(Order("academy", generation, str(tmp_path), 0, ssm.meta.region_name, account.url, keys))
    keeper.renew()
    assert {name for name, until in held().items() if until != holds[name]} == {"own"}
    assert timedelta(minutes=8) < hold_end(held()["own"]) - datetime.now(UTC) <= timedelta(minutes=9)
    assert timedelta(minutes=9) < hold_end(locks(account)[-1].expires_at) - datetime.now(UTC) <= LEASE
    # Broken, it renews nothing any more.
    put(Lock(generation + 1, "other", "she", "there", "deploy", "r", time_text(now), time_text(now + LEASE)))
    before = held(), locks(account)
    keeper.renew()
    keeper.finish("succeeded")
    assert (held(), locks(account)) == before

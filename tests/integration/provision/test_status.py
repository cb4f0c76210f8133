# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What status.yml tells of an account without hosts, and what a rollback without a release goes back to."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from plugins.module_utils.deploy_lock import Lock, lock_name, lock_text
from plugins.module_utils.releases import Release, release_text, releases_name
from tests import support
from tests.integration.conftest import Account

RELEASES = releases_name("academy")
LOCK = Lock(2, "run", "somebody", "laptop", "deploy", "two", "2026-01-01T09:00:00Z", "2099-01-01T09:00:00Z")


@pytest.fixture(scope="module")
def shipped(account: Account) -> Account:
    """Queues and repositories, two releases that were shipped, and somebody who deploys."""
    account.provision("status", "--tags", "queues,registry").expect()
    ssm = account.client("ssm")
    for release in ("one", "two"):
        text = release_text(Release(release, "succeeded", "deploy", "somebody", "laptop", "", "2026-01-01T09:00:00Z"))
        ssm.put_parameter(Name=RELEASES, Value=text, Type="String", Overwrite=release != "one")
    ssm.put_parameter(Name=lock_name("academy", LOCK.generation), Value=lock_text(LOCK), Type="String")
    for service in ("api", "messaging-worker", "video-worker", "ai-worker-cpu"):
        account.push(f"academy-{service}")
    sqs = account.client("sqs")
    url = sqs.get_queue_url(QueueName="academy-messaging-jobs")["QueueUrl"]
    sqs.send_message(QueueUrl=url, MessageBody="{}")
    return account


def written(account: Account) -> tuple[dict[str, int], int]:
    """All writes, with those by which a run takes the lock."""
    return account.writes(), account.calls()["ssm.PutParameter"]


def status(account: Account, report: Path, *more: str, code: int = 2) -> dict[str, Any]:
    before = written(account)
    extra = ("-e", f"status_report_file={report}", *more)
    run = support.playbook(*account.arguments("playbooks/status.yml"), *extra, name="status").expect(code)
    assert written(account) == before
    assert set(run.changed().values()) == {0}
    told: dict[str, Any] = json.loads(report.read_text(encoding="utf-8"))
    assert told["status"] in run.output
    return told


@pytest.mark.parametrize("mode", [(), ("--check",)])
def test_status_tells_all_there_is_without_a_write(shipped: Account, tmp_path: Path, mode: tuple[str, ...]) -> None:
    told = status(shipped, tmp_path / "status.json", "-e", "release=CHANGE-ME", *mode)
    assert told["status"] == "attention"
    # Nobody named one.
    assert told["release"] == "two"
    assert {host["state"] for host in told["hosts"]} == {"absent"}
    assert (told["lock"]["state"], told["lock"]["owner"]) == ("held", "somebody")
    assert [(release["number"], release["release"]) for release in told["releases"]] == [(2, "two"), (1, "one")]
    waiting = {queue["queue"]: (queue["waiting"], queue["dead"]) for queue in told["queues"]}
    assert waiting.pop("academy-messaging-jobs") == (1, 0)
    assert set(waiting.values()) == {(0, 0)}


def test_a_rollback_names_the_images_that_are_gone_before_anything_is_touched(shipped: Account) -> None:
    before = written(shipped)
    rollback = shipped.arguments("playbooks/rollback.yml")
    run = support.playbook(*rollback, name="rollback-before").expect(2)
    said = " ".join(run.output.split())
    assert "ECR has no academy-api:one, academy-messaging-worker:one, academy-video-worker:one" in said
    run = support.playbook(*rollback, "-e", "release=zero", name="rollback-named").expect(2)
    assert "ECR has no academy-api:zero, " in " ".join(run.output.split())
    shipped.client("ssm").delete_parameter(Name=RELEASES)
    run = support.playbook(*rollback, name="rollback-nowhere").expect(2)
    assert "Name one that ECR has: -e release=" in " ".join(run.output.split())
    assert written(shipped) == before

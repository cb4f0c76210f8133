# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import fcntl
import threading
from pathlib import Path
from typing import Any

import pytest

from localcloud import cloud
from localcloud.cloud import CloudError, unanswered
from localcloud.status import describe


@pytest.mark.parametrize(
    ("noted", "state"),
    [
        ({}, "starting"),
        ({"state": "starting", "step": "front"}, "starting"),
        ({"state": "failed", "error": "no room"}, "failed"),
        ({"state": "ready", "pid": 7}, "not answering"),
    ],
)
def test_a_cloud_that_does_not_answer_is_never_ready(noted: dict[str, Any], state: str) -> None:
    content = unanswered(noted)
    assert content["state"] == state
    assert "is not ready" in describe(content)


def test_waits_for_a_cloud_that_is_starting() -> None:
    looks = iter([{"state": "starting"}, {"state": "starting", "step": "front"}, {"state": "ready"}])
    steps: list[str] = []
    cloud._await_ready(steps.append, lambda: next(looks), lambda: True)
    assert steps == ["starting front"]


@pytest.mark.parametrize(("found", "lives"), [({"state": "failed", "error": "no room"}, True), ({}, False)])
def test_does_not_wait_for_a_cloud_that_will_not_come(found: dict[str, Any], lives: bool) -> None:
    with pytest.raises(CloudError, match="did not start"):
        cloud._await_ready(lambda _: None, lambda: found, lambda: lives)


def test_the_lock_is_taken_although_somebody_looks_at_it(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with path.open("w") as mine, path.open() as another:
        fcntl.flock(another, fcntl.LOCK_SH)
        threading.Timer(0.1, lambda: fcntl.flock(another, fcntl.LOCK_UN)).start()
        cloud._lock_for_life(mine)
        with path.open() as late, pytest.raises(BlockingIOError):
            fcntl.flock(late, fcntl.LOCK_SH | fcntl.LOCK_NB)


def test_a_second_cloud_does_not_get_the_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cloud, "LOCK_SECONDS", 0.05)
    path = tmp_path / "lock"
    with path.open("w") as first, path.open("w") as second:
        cloud._lock_for_life(first)
        with pytest.raises(CloudError, match="Another process"):
            cloud._lock_for_life(second)

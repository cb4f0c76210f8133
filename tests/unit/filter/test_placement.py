# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the inventory and the tags of a run say of the services of one host."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.academy.deploy.plugins.filter.placement import beside, refusals

THRESHOLD = {"EC2_IDLE_STOP_THRESHOLD": "3"}
SHARED = {
    "host_services": ["video_worker", "ai_worker"],
    "host_stopping_services": ["video_worker", "ai_worker"],
    "host_memory_limits_mib": {"video_worker": "0", "ai_worker": 0},
    "instance_type": "t4g.large",
    "instance_may_be_stopped": "true",
    "worker_heartbeat": True,
    "worker_environment": {"WORKER_WAIT_SECONDS": 20},
    "container_idle_stop_threshold": 0,
}


@pytest.mark.parametrize(
    ("set_", "named"),
    [
        ({}, ""),
        ({"container_idle_stop_threshold": "5"}, "container_idle_stop_threshold: "),
        ({"worker_environment": THRESHOLD}, "worker_environment: "),
        ({"ai_worker_environment": THRESHOLD}, "ai_worker_environment: "),
        ({"api_environment": THRESHOLD}, ""),
    ],
)
def test_a_threshold_that_somebody_sets(set_: dict[str, Any], named: str) -> None:
    said = refusals(["h"], {"h": {**SHARED, **set_}}, {})
    assert len(said) == bool(named)
    assert all(problem.startswith(named) for problem in said)


@pytest.mark.parametrize(
    ("watchdog", "tags", "checks", "says"),
    [
        ('{"heartbeat_files": {"video": "/v", "ai": "/a"}}', ["all"], False, []),
        ('{"heartbeat_files": {"video": "/v", "ai": "/a"}}', ["ai_worker"], False, ["has EC2_IDLE_STOP_THRESHOLD"]),
        ("", ["ai_worker", "video_worker", "watchdog"], False, ["does not name ai, video"]),
        ("", ["all"], True, []),
        ("", ["ai_worker", "video_worker"], True, ["does not name"]),
        ("[]", ["all"], False, ["does not name"]),
    ],
)
def test_neighbours(watchdog: str, tags: list[str], checks: bool, says: list[str]) -> None:
    found = {"video": {"environment_names": list(THRESHOLD)}}
    run = {"tags": tags, "skip_tags": [], "checks": checks}
    said = beside("ai", {"video_worker": "video"}, found, host="h", settings={}, watchdog=watchdog, run=run)
    assert len(said) == len(says)
    assert all(expected in problem for expected, problem in zip(says, said, strict=True))

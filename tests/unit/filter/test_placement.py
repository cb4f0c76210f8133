# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tags of a run say of the neighbours of a container."""

from __future__ import annotations

import pytest
from ansible_collections.academy.deploy.plugins.filter.placement import beside

THRESHOLD = {"EC2_IDLE_STOP_THRESHOLD": "3"}


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

# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whom the starter serves."""

from __future__ import annotations

from typing import Any

from plugins.module_utils.starter import starter_workers

SERVICES: dict[str, Any] = {
    "api": {"receives_from": [], "stops_itself": False},
    "messaging_worker": {"receives_from": ["messages"], "stops_itself": False},
    "video_worker": {"receives_from": ["videos"], "stops_itself": True},
    "ai_worker": {"receives_from": ["lite", "basic"], "stops_itself": True},
    "later_worker": {"receives_from": ["later"], "stops_itself": True},
}
GROUPS: dict[str, list[str]] = {
    "api": ["a"],
    "messaging_worker": ["m"],
    "video_worker": ["v1", "v2"],
    "ai_worker": ["v2"],
    "later_worker": [],
}
WORKERS = {
    "video_worker": {"queues": ["videos"], "hosts": ["v1", "v2"]},
    "ai_worker": {"queues": ["lite", "basic"], "hosts": ["v2"]},
}


def test_it_serves_the_services_whose_hosts_stop_themselves_each_with_its_own_queues_and_hosts() -> None:
    assert starter_workers(SERVICES, GROUPS) == WORKERS

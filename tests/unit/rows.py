# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rows of services, as tests need them."""

from __future__ import annotations

from typing import Any


def row(name: str = "academy-x", memory_mib: Any = 400, **more: Any) -> dict[str, Any]:
    """A row that is as a row should be."""
    required = {"name": name, "log_group": f"/academy/{name}", "dockerfile": f"docker/{name}/Dockerfile"}
    return {**required, "memory_mib": memory_mib, **more}


# Those of the guide, as far as it matters which they are.
ROWS: dict[str, dict[str, Any]] = {
    "api": row("academy-api", 1400, role="api"),
    "messaging_worker": row("academy-messaging-worker", 448, role="messaging_worker", receives_from=["messages"]),
    "video_worker": row("academy-video-worker", 3200, role="video_worker", receives_from=["videos"], stops_itself=True),
    "ai_worker": row(
        "academy-ai-worker-cpu", 1200, role="ai_worker", receives_from=["lite", "basic"], stops_itself=True
    ),
}
# What follows for a kind of hosts from one row that says nothing more.
KIND: dict[str, Any] = {
    "containers": ["academy-x"],
    "log_groups": ["/academy/academy-x"],
    "sends_to": [],
    "receives_from": [],
    "stops_itself": False,
}

# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What belongs to a deployment: its tag decides, and a name only where there is none."""

from __future__ import annotations

import pytest

from plugins.module_utils.deployment_state import Deployment

WHOSE = Deployment("academy", {"queues": ["academy-video-jobs", "jobs"]})


@pytest.mark.parametrize(
    ("kind", "name", "tags", "owned"),
    [
        ("queues", "whatever", {"Project": "academy"}, True),
        ("queues", "academy-b-video-jobs", {"Project": "academy-b"}, False),
        ("queues", "academy-video-jobs", {"Project": "academy-b"}, False),
        ("queues", "academy-video-jobs", {"Project": ""}, False),
        ("queues", "academy-video-jobs", {}, True),
        ("queues", "academy-video-jobs", {"Owner": "demo"}, True),
        ("queues", "academy-video-jobs-2", {}, False),
        ("queues", "academy-others", {}, False),
        ("roles", "academy-video-jobs", {}, False),
    ],
)
def test_owns(kind: str, name: str, tags: dict[str, str], owned: bool) -> None:
    assert WHOSE.owns(kind, name, tags) is owned


@pytest.mark.parametrize(
    ("name", "looked_at"),
    [
        ("academy-api", True),
        ("academy-b-api", True),  # its tag will tell
        ("/academy/api", True),
        ("jobs", True),
        ("academy2-api", False),
        ("/academy-b/api", False),
        ("academy", False),
    ],
)
def test_whose_tags_are_read(name: str, looked_at: bool) -> None:
    assert WHOSE.may_own("queues", name) is looked_at

# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which log groups have to be made or mended."""

from __future__ import annotations

from typing import Any

import pytest

from plugins.module_utils.logs import log_group_changes

TAGS = {"Project": "a"}
GOOD: dict[str, Any] = {"retention_days": 14, "tags": TAGS}


@pytest.mark.parametrize(
    ("found", "reasons"),
    [
        ({}, ["missing"]),
        ({"/a/x": GOOD}, []),
        ({"/a/xy": GOOD}, ["missing"]),
        ({"/a/x": {**GOOD, "retention_days": 30}}, ["retention in days: 30 -> 14"]),
        ({"/a/x": {**GOOD, "retention_days": None}}, ["retention in days: for ever -> 14"]),
        ({"/a/x": {**GOOD, "tags": {}}}, ["tags: {} -> {'Project': 'a'}"]),
        ({"/a/x": {**GOOD, "tags": {**TAGS, "aws:cloudformation:stack-name": "x"}}}, []),
    ],
)
def test_log_group_changes(found: dict[str, Any], reasons: list[str]) -> None:
    changes = log_group_changes(["/a/x"], 14, TAGS, found)
    assert changes == [{"name": "/a/x", "reason": reason} for reason in reasons]

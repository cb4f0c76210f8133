# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which log groups have to be made or mended."""

from __future__ import annotations

from typing import Any

import pytest

from plugins.module_utils.logs import log_group_changes

GOOD: dict[str, Any] = {"log_group_name": "/a/x", "retention_in_days": 14, "tags": {"Project": "a"}}


@pytest.mark.parametrize(
    ("current", "reasons"),
    [
        ([], ["is missing"]),
        ([GOOD], []),
        ([{**GOOD, "log_group_name": "/a/xy"}], ["is missing"]),
        ([{**GOOD, "retention_in_days": 30}], ["keeps its events 30 instead of 14 days"]),
        ([{"log_group_name": "/a/x", "tags": {}}], ["keeps its events for ever instead of 14 days"]),
        ([{**GOOD, "tags": {}}], ["has other tags"]),
        ([{**GOOD, "tags": {"Project": "a", "aws:cloudformation:stack-name": "x"}}], []),
    ],
)
def test_log_group_changes(current: list[dict[str, Any]], reasons: list[str]) -> None:
    changes = log_group_changes(["/a/x"], 14, {"Project": "a"}, current)
    assert changes == [{"name": "/a/x", "reason": reason} for reason in reasons]

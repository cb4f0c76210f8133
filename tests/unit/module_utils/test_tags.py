# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which tags of a resource are anybody's to set."""

from __future__ import annotations

import pytest

from plugins.module_utils.tags import own_tags


@pytest.mark.parametrize(
    ("found", "own"),
    [
        ({}, {}),
        ({"Project": "academy"}, {"Project": "academy"}),
        ({"aws:backup:source-resource": "x", "Project": "academy"}, {"Project": "academy"}),
        ({"awsome": "x", "Project": "aws:x"}, {"awsome": "x", "Project": "aws:x"}),
    ],
)
def test_own_tags(found: dict[str, str], own: dict[str, str]) -> None:
    assert own_tags(found) == own

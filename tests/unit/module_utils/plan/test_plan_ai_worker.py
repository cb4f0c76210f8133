# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A lease ends before the job can be taken again."""

from __future__ import annotations

import pytest

from plugins.module_utils.plan.ai_worker import ROLE


@pytest.mark.parametrize(
    ("lease", "fits"), [(3540, True), (1, True), (3599, True), (3600, False), (0, False), (-1, False)]
)
def test_lease(lease: int, fits: bool) -> None:
    findings = ROLE.findings({"ai_worker_lease_seconds": lease, "ai_worker_visibility_seconds": 3600})
    assert [finding.subject for finding in findings] == ([] if fits else ["ai_worker_lease_seconds"])
    assert all("less than ai_worker_visibility_seconds (3600)" in finding.text_en for finding in findings)


def test_nothing_is_asked_and_nothing_changed() -> None:
    assert ROLE.reads({}) == {}
    assert not ROLE.decide({}, {}).changes

# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which containers on a host keep a worker from being run there."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from plugins.module_utils.placement import THRESHOLD, SharedHost, stop_findings, watchdog_findings

KNOWN = ["academy-video-worker", "academy-ai-worker-cpu"]
SHARED = SharedHost("h", {"video_worker": "academy-video-worker"}, followed=[], found={}, watched=KNOWN)
ALONE = {"academy-video-worker": {"environment_names": ["DEBUG", THRESHOLD]}}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        pytest.param({}, [], id="known to the watchdog, which alone decides"),
        pytest.param({"neighbours": {}, "settings": [THRESHOLD], "watched": []}, [], id="no neighbour"),
        pytest.param({"found": {"other": ALONE["academy-video-worker"]}}, [], id="somebody else's container"),
        pytest.param({"found": ALONE}, ["academy-video-worker has EC2_IDLE_STOP"], id="a neighbour from before"),
        pytest.param({"found": ALONE, "followed": ["video_worker"]}, [], id="a neighbour that this run brings up too"),
        pytest.param({"watched": KNOWN[:1]}, ["does not name academy-ai-worker-cpu,"], id="watchdog from before"),
        pytest.param({"watched": [], "found": ALONE}, ["would stop", "does not name"], id="run with a tag alone"),
        pytest.param({"settings": [THRESHOLD]}, ["among its settings, but shares h with video_worker"], id="its own"),
    ],
)
def test_neighbours(change: dict[str, Any], says: list[str]) -> None:
    settings = change.get("settings", ["DEBUG"])
    host = replace(SHARED, **{name: value for name, value in change.items() if name != "settings"})
    name = "academy-ai-worker-cpu"
    findings = [*stop_findings(host, name, settings), *watchdog_findings(host, name)]
    assert len(findings) == len(says)
    for finding, expected in zip(findings, says, strict=True):
        assert expected in finding.text_en

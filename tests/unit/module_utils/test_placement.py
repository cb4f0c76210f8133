# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which services get along on one host, and which are refused before anything is changed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from plugins.module_utils.placement import THRESHOLD, Host, SharedHost, neighbour_refusals, placement_refusals

MEMORY_MIB = {"t4g.small": 2048, "t4g.medium": 4096, "t4g.large": 8192}
API = Host("academy-api-1", "t4g.small", False, ["api"], [], True, {"api": 1400})
VIDEO = Host("academy-video-worker-1", "t4g.medium", True, [], ["video_worker"], True, {"video_worker": 3200})
BOTH = replace(
    VIDEO,
    instance_type="t4g.large",
    stopping=["video_worker", "ai_worker"],
    limits_mib={"video_worker": 3200, "ai_worker": 1200},
)


@pytest.mark.parametrize(
    "host",
    [
        pytest.param(API, id="API"),
        pytest.param(VIDEO, id="video"),
        pytest.param(replace(VIDEO, heartbeat=False), id="one worker needs no heartbeat"),
        pytest.param(
            replace(API, always_on=["api", "messaging_worker"], limits_mib={"api": 1200, "messaging_worker": 448}),
            id="messaging beside the API, to the last MiB",
        ),
        pytest.param(BOTH, id="video and AI"),
        pytest.param(replace(BOTH, instance_type="m9.huge"), id="memory that is not known"),
        pytest.param(replace(API, limits_mib={"api": 0}), id="no limit"),
        pytest.param(
            replace(VIDEO, thresholds=["worker_environment"]), id="a threshold where one worker stops the host"
        ),
    ],
)
def test_accepted(host: Host) -> None:
    assert placement_refusals([host], MEMORY_MIB) == []


@pytest.mark.parametrize(
    ("host", "says"),
    [
        pytest.param(
            replace(API, instance_type="t4g.large", stopping=["video_worker"]),
            ["video_worker would stop this host when there is nothing to do, but api must always run"],
            id="a worker that stops the API's host",
        ),
        pytest.param(
            replace(BOTH, heartbeat=False), ["worker_heartbeat: false, but video_worker and ai_worker"], id="no arbiter"
        ),
        pytest.param(
            replace(BOTH, instance_type="t4g.medium"),
            ["(video_worker_memory_mib 3200, ai_worker_memory_mib 1200) and 400 MiB for the system exceed the 4096"],
            id="too little memory",
        ),
        pytest.param(replace(API, limits_mib={"api": 1649}), ["api_memory_mib 1649"], id="one MiB too much"),
        pytest.param(
            replace(VIDEO, may_be_stopped=False),
            ["instance_may_be_stopped: false for academy-video-worker-1, but video_worker stops it"],
            id="a worker whose host must run",
        ),
        pytest.param(
            replace(API, may_be_stopped=True),
            ["instance_may_be_stopped: true for academy-api-1, but api must always run"],
            id="an API whose host may stop",
        ),
        pytest.param(
            replace(BOTH, thresholds=["container_idle_stop_threshold", "ai_worker_environment"]),
            ["container_idle_stop_threshold and ai_worker_environment: sets EC2_IDLE_STOP_THRESHOLD for "],
            id="a threshold where two stop it together",
        ),
        pytest.param(
            replace(API, thresholds=["api_environment"]),
            ["for academy-api-1, but api must always run"],
            id="a threshold where nobody does",
        ),
        pytest.param(
            replace(BOTH, instance_type="t4g.small", always_on=["api"], heartbeat=False),
            ["must always run", "worker_heartbeat", "2048 MiB of a t4g.small"],
            id="all at once",
        ),
    ],
)
def test_refused(host: Host, says: list[str]) -> None:
    problems = placement_refusals([API, host], MEMORY_MIB)
    assert len(problems) == len(says)
    for problem, expected in zip(problems, says, strict=True):
        assert expected in problem


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
    problems = neighbour_refusals(host, "academy-ai-worker-cpu", settings)
    assert len(problems) == len(says)
    for problem, expected in zip(problems, says, strict=True):
        assert expected in problem

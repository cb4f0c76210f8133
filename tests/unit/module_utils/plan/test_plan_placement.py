# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which services get along on one host, and which are refused before anything is changed."""

from __future__ import annotations

from typing import Any

import pytest

from plugins.module_utils.findings import texts
from plugins.module_utils.placement import THRESHOLD
from plugins.module_utils.plan.placement import ROLE
from tests.unit.rows import ROWS

MEMORY_MIB = {"t4g.small": 2048, "t4g.medium": 4096, "t4g.large": 8192}
FOUND = {"instance_types": {name: {"memory_mib": mib} for name, mib in MEMORY_MIB.items()}}
API: dict[str, Any] = {
    "inventory_hostname": "academy-api-1",
    "services": ROWS,
    "group_names": ["instances", "api"],
    "instance_type": "t4g.small",
    "instance_may_be_stopped": False,
    "worker_heartbeat": True,
    "placement_idle_stop_threshold": 0,
    "worker_environment": {"WORKER_WAIT_SECONDS": 20},
}
VIDEO: dict[str, Any] = {
    **API,
    "inventory_hostname": "academy-video-worker-1",
    "group_names": ["instances", "video_worker"],
    "instance_type": "t4g.medium",
    "instance_may_be_stopped": True,
}
BOTH: dict[str, Any] = {
    **VIDEO,
    "instance_type": "t4g.large",
    "group_names": ["instances", "video_worker", "ai_worker"],
}


def changed(service: str, **change: Any) -> dict[str, dict[str, Any]]:
    return {**ROWS, service: {**ROWS[service], **change}}


def refusals(host: dict[str, Any]) -> list[str]:
    hosts = {"other": API, "host": host}
    judged = [finding for values in hosts.values() for finding in ROLE.findings(values)]
    return texts([*judged, *ROLE.decide({"hosts": hosts, "inventory": [*hosts]}, FOUND).refusals])


@pytest.mark.parametrize(
    "host",
    [
        pytest.param(API, id="API"),
        pytest.param(VIDEO, id="video"),
        pytest.param({**VIDEO, "worker_heartbeat": False}, id="one worker needs no heartbeat"),
        pytest.param(
            {
                **API,
                "group_names": ["api", "messaging_worker"],
                "services": changed("api", memory_mib="995"),
            },
            id="messaging beside the API, to the last MiB",
        ),
        pytest.param(BOTH, id="video and AI"),
        pytest.param({**BOTH, "instance_type": "m9.huge"}, id="memory that is not known"),
        pytest.param({**API, "services": changed("api", memory_mib=0)}, id="no limit"),
        pytest.param(
            {**VIDEO, "worker_environment": {THRESHOLD: 5}},
            id="a threshold where one worker stops the host",
        ),
        pytest.param({**BOTH, "group_names": ["instances"]}, id="no service, none of ours"),
    ],
)
def test_accepted(host: dict[str, Any]) -> None:
    assert refusals(host) == []


@pytest.mark.parametrize(
    ("host", "says"),
    [
        pytest.param(
            {
                **API,
                "instance_type": "t4g.large",
                "group_names": ["api", "video_worker"],
            },
            ["video_worker would stop this host when there is nothing to do, but api must always run"],
            id="a worker that stops the API's host",
        ),
        pytest.param(
            {**BOTH, "worker_heartbeat": False},
            ["worker_heartbeat: false, but video_worker and ai_worker"],
            id="no arbiter",
        ),
        pytest.param(
            {**BOTH, "instance_type": "t4g.medium"},
            ["_memory_mib 3200, ai_worker_memory_mib 1200) and 400 MiB for the system exceed the 3686 MiB that"],
            id="too little memory",
        ),
        pytest.param(
            {**API, "services": changed("api", memory_mib=1444)}, ["api_memory_mib 1444"], id="one MiB too much"
        ),
        pytest.param(
            {**VIDEO, "instance_may_be_stopped": False},
            ["instance_may_be_stopped: false for academy-video-worker-1, but video_worker stops it"],
            id="a worker whose host must run",
        ),
        pytest.param(
            {**API, "instance_may_be_stopped": True},
            ["instance_may_be_stopped: true for academy-api-1, but api must always run"],
            id="an API whose host may stop",
        ),
        pytest.param(
            {
                **BOTH,
                "placement_idle_stop_threshold": 5,
                "services": changed("ai_worker", environment={"DEBUG": False, THRESHOLD: 5}),
            },
            ["container_idle_stop_threshold and ai_worker_environment: sets EC2_IDLE_STOP_THRESHOLD for "],
            id="a threshold where two stop it together",
        ),
        pytest.param(
            {**API, "services": changed("api", environment={THRESHOLD: 5})},
            ["for academy-api-1, but api must always run"],
            id="a threshold where nobody does",
        ),
        pytest.param(
            {
                **BOTH,
                "instance_type": "t4g.small",
                "group_names": ["video_worker", "ai_worker", "api"],
                "worker_heartbeat": False,
            },
            ["must always run", "worker_heartbeat", "1843 MiB that a t4g.small"],
            id="all at once",
        ),
    ],
)
def test_refused(host: dict[str, Any], says: list[str]) -> None:
    problems = refusals(host)
    assert len(problems) == len(says)
    for problem, expected in zip(problems, says, strict=True):
        assert expected in problem


def test_only_the_types_of_shared_hosts_are_read() -> None:
    assert ROLE.reads({"hosts": {"api": API, "video": VIDEO}}) == {}
    assert ROLE.reads({"hosts": {"api": API, "both": BOTH}}) == {"instance_types": ["t4g.large"]}

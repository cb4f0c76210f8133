# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What each kind of host needs to do, and the name of its role."""

from __future__ import annotations

from typing import Any

import pytest

from plugins.module_utils.identity import kinds_of_hosts, role_name

KIND: dict[str, Any] = {
    "containers": ["academy-x"],
    "log_groups": ["/academy/academy-x"],
    "sends_to": [],
    "receives_from": [],
    "stops_itself": False,
}
SERVICES: dict[str, Any] = {
    "api": {**KIND, "sends_to": ["a-jobs", "b-jobs"]},
    "messaging": {**KIND, "containers": ["academy-y"], "receives_from": ["b-jobs"]},
    "video": {**KIND, "containers": ["academy-z"], "receives_from": ["a-jobs"], "stops_itself": True},
}


@pytest.mark.parametrize(
    ("groups", "expected"),
    [
        pytest.param(
            {"api": ["h-1", "h-2"], "messaging": ["h-3"], "video": ["h-4"]},
            {"small": SERVICES["api"], "tiny": SERVICES["messaging"], "large": SERVICES["video"]},
            id="a host each",
        ),
        pytest.param(
            {"api": ["h-1", "h-2"], "messaging": ["h-2"], "video": []},
            {
                "small": {
                    **SERVICES["api"],
                    "containers": ["academy-x", "academy-y"],
                    "receives_from": ["b-jobs"],
                }
            },
            id="messaging on one of two API hosts",
        ),
        pytest.param(
            {"api": ["h-4"], "video": ["h-4"]},
            {
                "large": {
                    "containers": ["academy-x", "academy-z"],
                    "log_groups": ["/academy/academy-x"],
                    "sends_to": ["a-jobs", "b-jobs"],
                    "receives_from": ["a-jobs"],
                    "stops_itself": True,
                }
            },
            id="one that stops itself is enough",
        ),
    ],
)
def test_a_kind_may_do_what_the_services_on_its_hosts_need(
    groups: dict[str, list[str]], expected: dict[str, Any]
) -> None:
    kinds = {"h-1": "small", "h-2": "small", "h-3": "tiny", "h-4": "large"}
    before = {name: dict(needs) for name, needs in SERVICES.items()}
    assert kinds_of_hosts(SERVICES, groups, kinds) == expected
    assert before == SERVICES


def test_role_name() -> None:
    assert role_name("academy", "video-worker") == "academy-video-worker-role"

# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who may be a Spot instance and of which kind, and what an existing one really is."""

from __future__ import annotations

from typing import Any

import pytest

from plugins.module_utils.findings import texts
from plugins.module_utils.spot import market_findings, spot_findings

HOST = "academy-video-worker-1"
STOPS = {"spot_instance_type": "persistent", "instance_interruption_behavior": "stop"}
WANTED: dict[str, Any] = {"market_type": "spot", "options": STOPS, "may_be_stopped": True}
REQUEST = {
    "spot_instance_request_id": "sir-1",
    "type": "persistent",
    "instance_interruption_behavior": "stop",
    "state": "active",
    "tags": {"Project": "academy"},
}


@pytest.mark.parametrize(
    "wanted",
    [WANTED, {"market_type": "on-demand", "options": {}, "may_be_stopped": False}],
    ids=["spot that stops", "on-demand"],
)
def test_nothing_to_refuse(wanted: dict[str, Any]) -> None:
    assert spot_findings(HOST, **wanted) == []


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"options": {**STOPS, "spot_instance_type": "one-time"}}, ["found one-time", "cannot be stopped"]),
        (
            {"options": {**STOPS, "instance_interruption_behavior": "terminate"}},
            ["found terminate", "would be gone", "to stop"],
        ),
        ({"options": {**STOPS, "instance_interruption_behavior": "hibernate"}}, ["found hibernate", "an agent"]),
        ({"options": {"spot_instance_type": "persistent"}}, ["found missing", "instance_interruption_behavior"]),
        ({"may_be_stopped": False}, ["instance_market_type", "must run always", "on-demand"]),
    ],
)
def test_only_a_host_that_can_be_stopped_is_a_spot_instance(change: dict[str, Any], words: list[str]) -> None:
    (problem,) = texts(spot_findings(HOST, **{**WANTED, **change}))
    assert HOST in problem
    assert all(word in problem for word in words)


def test_all_that_is_wrong_is_said_at_once() -> None:
    options = {"spot_instance_type": "one-time", "instance_interruption_behavior": "terminate"}
    assert len(spot_findings(HOST, "spot", options, may_be_stopped=False)) == 3


def spot(**change: Any) -> dict[str, Any]:
    return {"instance_id": "i-1", "instance_lifecycle": "spot", "spot_request": {**REQUEST, **change}}


PLAIN: dict[str, Any] = {"instance_id": "i-1", "spot_request": None}


@pytest.mark.parametrize(
    ("instance", "market"),
    [
        (PLAIN, "on-demand"),
        (spot(), "spot"),
        (spot(state="disabled"), "spot"),
        (spot(state="open"), "spot"),
    ],
)
def test_an_instance_of_the_wanted_market(instance: dict[str, Any], market: str) -> None:
    assert market_findings(HOST, instance, market) == []


@pytest.mark.parametrize(
    ("instance", "market", "words"),
    [
        (PLAIN, "spot", ["spot wanted", f"{HOST} (i-1) is on-demand", "terminate-instances --instance-ids i-1"]),
        (spot(), "on-demand", ["on-demand wanted", "is spot", "--spot-instance-request-ids sir-1; aws ec2 terminate"]),
        ({**PLAIN, "instance_lifecycle": "scheduled"}, "on-demand", ["is scheduled"]),
        (
            spot(type="one-time", instance_interruption_behavior="terminate"),
            "spot",
            ["a request with spot_instance_type one-time and instance_interruption_behavior terminate", "paid for"],
        ),
        (spot(instance_interruption_behavior="hibernate"), "spot", ["instance_interruption_behavior hibernate"]),
        (spot(state="cancelled"), "spot", ["a request that is cancelled"]),
        (spot(state="closed"), "spot", ["a request that is closed"]),
        ({**PLAIN, "instance_lifecycle": "spot"}, "spot", ["no request", "terminate-instances"]),
    ],
)
def test_what_an_instance_is_and_cannot_change(instance: dict[str, Any], market: str, words: list[str]) -> None:
    (problem,) = texts(market_findings(HOST, instance, market))
    assert HOST in problem
    assert all(word in problem for word in words)

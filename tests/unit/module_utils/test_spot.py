# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who may be a Spot instance and of which kind, and what an existing one really is."""

from __future__ import annotations

from typing import Any

import pytest

from plugins.module_utils.spot import (
    launch_template_changes,
    market_refusals,
    request_tag_changes,
    spot_market_options,
    spot_refusals,
    spot_template_name,
)

HOST = "academy-video-worker-1"
STOPS = {"spot_instance_type": "persistent", "instance_interruption_behavior": "stop"}
WANTED: dict[str, Any] = {"market_type": "spot", "spot_options": STOPS, "may_be_stopped": True}
REQUEST = {
    "spot_instance_request_id": "sir-1",
    "type": "persistent",
    "instance_interruption_behavior": "stop",
    "state": "active",
    "tags": {"Project": "academy"},
}


@pytest.mark.parametrize(
    "wanted",
    [WANTED, {"market_type": "on-demand", "spot_options": {}, "may_be_stopped": False}],
    ids=["spot that stops", "on-demand"],
)
def test_nothing_to_refuse(wanted: dict[str, Any]) -> None:
    assert spot_refusals(HOST, wanted) == []


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"spot_options": {**STOPS, "spot_instance_type": "one-time"}}, ["found one-time", "cannot be stopped"]),
        (
            {"spot_options": {**STOPS, "instance_interruption_behavior": "terminate"}},
            ["found terminate", "would be gone", "to stop"],
        ),
        ({"spot_options": {**STOPS, "instance_interruption_behavior": "hibernate"}}, ["found hibernate", "an agent"]),
        ({"spot_options": {"spot_instance_type": "persistent"}}, ["found missing", "instance_interruption_behavior"]),
        ({"may_be_stopped": False}, ["instance_market_type", "must run always", "on-demand"]),
    ],
)
def test_only_a_host_that_can_be_stopped_is_a_spot_instance(change: dict[str, Any], words: list[str]) -> None:
    (problem,) = spot_refusals(HOST, {**WANTED, **change})
    assert HOST in problem
    assert all(word in problem for word in words)


def test_all_that_is_wrong_is_said_at_once() -> None:
    options = {"spot_instance_type": "one-time", "instance_interruption_behavior": "terminate"}
    assert len(spot_refusals(HOST, {**WANTED, "spot_options": options, "may_be_stopped": False})) == 3


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
    assert market_refusals(HOST, instance, {"market_type": market}) == []


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
    (problem,) = market_refusals(HOST, instance, {"market_type": market})
    assert HOST in problem
    assert all(word in problem for word in words)


TAGS = {"Project": "academy", "Role": "video-worker"}
TEMPLATE: dict[str, Any] = {
    "market_options": spot_market_options(STOPS),
    "request_tags": {**TAGS, "Name": HOST},
    "tags": TAGS,
}


def template(data: dict[str, Any] | None = None, **change: Any) -> dict[str, Any]:
    """A launch template as it should be, but for what is changed."""
    tags = [{"key": key, "value": value} for key, value in TEMPLATE["request_tags"].items()]
    return {
        "launch_template_id": "lt-1",
        "default_version": 2,
        "latest_version": 2,
        "data": {
            "instance_market_options": {"market_type": "spot", "spot_options": STOPS},
            "tag_specifications": [{"resource_type": "spot-instances-request", "tags": tags}],
            **(data or {}),
        },
        "tags": {**TAGS, "aws:cloudformation:stack-name": "theirs"},
        **change,
    }


def test_a_launch_template_as_it_should_be_is_left_alone() -> None:
    assert launch_template_changes(template(), TEMPLATE) == []
    assert spot_template_name(HOST) == "academy-video-worker-1-spot"


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (None, "launch template: missing"),
        (template(data={"instance_market_options": {"market_type": "spot"}}), "market options: "),
        (template(data={"tag_specifications": []}), "tags of what it launches: {} -> "),
        (template(data={"user_data": "Zm9v"}), "other data: {'user_data': 'Zm9v'} -> {}"),
        (template(default_version=1), "newest version is the default: 1 -> 2"),
        (template(tags={}), "tags: {} -> "),
    ],
)
def test_a_launch_template_that_differs_is_mended(found: dict[str, Any] | None, words: str) -> None:
    (why,) = launch_template_changes(found, TEMPLATE)
    assert why.startswith(words)


def test_the_request_is_found_again_by_its_tags() -> None:
    assert request_tag_changes([], {"Project": "academy"}) == []
    assert request_tag_changes([PLAIN], {"Project": "academy"}) == []
    assert request_tag_changes([spot()], {"Project": "academy"}) == []
    (why,) = request_tag_changes([spot(tags={"Owner": "x"})], {"Project": "academy"})
    assert why == "tags of the Spot request: {'Owner': 'x'} -> {'Project': 'academy'}"

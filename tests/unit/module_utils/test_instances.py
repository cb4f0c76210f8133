# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a new instance gets, and what about an existing one only a human may decide."""

from __future__ import annotations

from typing import Any

import pytest

from plugins.module_utils.instances import (
    host_refusals,
    instance_refusals,
    instance_volumes,
    instances_named,
    spread,
)

HOST = "academy-video-worker-1"
WANTED = {
    "instance_type": "t4g.medium",
    "root_volume_size_gib": 20,
    "data_volume_size_gib": 100,
    "memory_min_mib": 4096,
}


def instance(**change: Any) -> dict[str, Any]:
    return {
        "instance_id": "i-1",
        "instance_type": "t4g.medium",
        "state": {"name": "stopped"},
        "root_device_name": "/dev/xvda",
        "tags": {"Name": HOST},
        **change,
    }


def volume(device: str, size: int, **change: Any) -> dict[str, Any]:
    return {
        "id": f"vol-{device[-1]}",
        "size": size,
        "encrypted": True,
        "attachment_set": [{"instance_id": "i-1", "device": device}],
        **change,
    }


ROOT, DATA = volume("/dev/xvda", 20), volume("/dev/sdf", 100)


def test_the_data_volume_outlives_the_instance() -> None:
    root, data = instance_volumes(WANTED)
    assert (root["device_name"], root["ebs"]["delete_on_termination"]) == ("/dev/xvda", True)
    assert (data["device_name"], data["ebs"]["delete_on_termination"]) == ("/dev/sdf", False)
    assert [(item["ebs"]["volume_size"], item["ebs"]["encrypted"]) for item in (root, data)] == [
        (20, True),
        (100, True),
    ]


def test_a_host_without_data_volume_gets_none() -> None:
    assert len(instance_volumes({**WANTED, "data_volume_size_gib": 0})) == 1


def test_instances_named() -> None:
    others = [instance(tags={"Name": "other"}), instance(tags={}), {"instance_id": "i-2"}]
    assert instances_named([*others, instance()], HOST) == [instance()]


def test_hosts_are_spread_in_turn_whatever_the_order_of_the_inventory() -> None:
    hosts = ["c", "a", "d", "b"]
    assert [spread(["x", "y"], host, hosts) for host in "abcd"] == ["x", "y", "x", "y"]


@pytest.mark.parametrize(
    ("matches", "volumes"),
    [
        ([], []),
        ([instance()], [ROOT, DATA]),
        ([instance(state={"name": "running"})], [DATA, ROOT]),
        ([instance(attributes={"instance_initiated_shutdown_behavior": {"value": "stop"}})], [ROOT, DATA]),
    ],
    ids=["none yet", "stopped", "running", "stops"],
)
def test_nothing_to_refuse(matches: list[dict[str, Any]], volumes: list[dict[str, Any]]) -> None:
    assert instance_refusals(HOST, matches, volumes, WANTED, []) == []


@pytest.mark.parametrize(
    ("matches", "volumes", "words"),
    [
        ([instance(), instance(instance_id="i-2")], [], ["found 2: i-1, i-2"]),
        ([instance(instance_type="c7g.large")], [ROOT, DATA], ["instance_allow_type_change", "c7g.large (stopped)"]),
        ([instance()], [volume("/dev/xvda", 8), DATA], ["instance_root_volume_size_gib: 20", "8 GiB at /dev/xvda"]),
        ([instance()], [ROOT, volume("/dev/sdf", 50)], ["transcode_volume_size_gib: 100", "vol-f with 50 GiB"]),
        (
            [instance(attributes={"instance_initiated_shutdown_behavior": {"value": "terminate"}})],
            [ROOT, DATA],
            ["aws ec2 modify-instance-attribute --instance-id i-1 --instance-initiated-shutdown-behavior Value=stop"],
        ),
        ([instance()], [ROOT], ["100 GiB at /dev/sdf, found no volume"]),
        ([instance()], [ROOT, volume("/dev/sdf", 100, encrypted=False)], ["vol-f", "not encrypted"]),
    ],
)
def test_refusals(matches: list[dict[str, Any]], volumes: list[dict[str, Any]], words: list[str]) -> None:
    (problem,) = instance_refusals(HOST, matches, volumes, WANTED, [])
    assert HOST in problem
    assert all(word in problem for word in words)


def test_a_type_change_that_is_named_is_allowed() -> None:
    assert instance_refusals(HOST, [instance(instance_type="c7g.large")], [ROOT, DATA], WANTED, [HOST]) == []


@pytest.mark.parametrize(
    ("deployment_name", "change", "memory_mib", "words"),
    [
        ("academy", {}, 4096, []),
        ("academy", {"memory_min_mib": 0}, 0, []),
        ("academy", {"instance_type": "t4g.small"}, 2048, ["instance_memory_min_mib", "4096", "t4g.small has 2048"]),
        ("acad", {}, 4096, ["deployment_name", "acad-"]),
    ],
)
def test_what_a_host_should_be_is_judged_before_it_exists(
    deployment_name: str, change: dict[str, Any], memory_mib: int, words: list[str]
) -> None:
    problems = host_refusals(HOST, deployment_name, {**WANTED, **change}, memory_mib)
    assert len(problems) == bool(words)
    assert all(word in problems[0] and HOST in problems[0] for word in words)

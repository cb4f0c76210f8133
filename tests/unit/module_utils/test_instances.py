# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host may be, by the guide and by what AWS offers."""

from __future__ import annotations

from typing import Any

import pytest

from plugins.module_utils.findings import texts
from plugins.module_utils.instances import (
    launch_findings,
    launch_subnets,
    memory_findings,
    name_findings,
    volume_findings,
)
from tests.unit.rows import ROWS

HOST = "academy-video-worker-1"
AMI = "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-arm64"
INPUTS: dict[str, Any] = {
    "inventory_hostname": HOST,
    "group_names": ["video_worker"],
    "instance_type": "t4g.medium",
    "instance_ami_parameter": AMI,
    "instance_memory_min_mib": 4096,
    "services": ROWS,
}
SUBNETS = [{"subnet_id": "subnet-a", "zone": "a"}, {"subnet_id": "subnet-b", "zone": "b"}]


def launch_refusals(zones: list[str], architecture: str = "arm64", parameter: str = AMI) -> list[str]:
    offer = {"zones": zones, "memory_mib": 4096, "architectures": [architecture]}
    found = {
        "images": {parameter: "ami-1"},
        "instance_types": {"t4g.medium": offer} if zones else {},
        "network": {"subnets": SUBNETS},
    }
    return texts(launch_findings(INPUTS, found))


def test_a_host_without_an_image_is_refused_before_its_launch() -> None:
    (problem,) = launch_refusals(["b"], parameter="/another/image")
    assert all(word in problem for word in ("instance_ami_parameter", HOST, AMI))


def test_a_type_of_another_architecture_is_refused_before_its_launch() -> None:
    (problem,) = launch_refusals(["b"], architecture="x86_64")
    assert all(word in problem for word in ("instance_type", HOST, "arm64", "x86_64", "instance_ami_parameter"))


def test_an_instance_is_launched_where_its_type_is_offered() -> None:
    assert launch_subnets(SUBNETS, ["b", "c"]) == [SUBNETS[1]]
    assert launch_refusals(["b", "c"]) == []


@pytest.mark.parametrize(("zones", "word"), [(["c", "d"], "c, d"), ([], "no zone")])
def test_a_type_that_no_subnets_zone_offers_is_refused(zones: list[str], word: str) -> None:
    (problem,) = launch_refusals(zones)
    assert all(part in problem for part in (HOST, "t4g.medium", word, "subnet-b (b)"))


@pytest.mark.parametrize(
    ("change", "memory_mib", "words"),
    [
        ({}, 4096, []),
        ({"instance_memory_min_mib": 0}, 0, []),
        ({"instance_type": "t4g.small"}, 4001, ["instance_memory_min_mib", "4096", "t4g.small has 4001"]),
        (
            {"instance_memory_min_mib": 0, "group_names": ["ai_worker"]},
            1777,  # of which it shows nine tenths
            ["ai_worker_memory_mib 1200)", "exceed the 1599 MiB that", "90 % of its 1777"],
        ),
        ({"instance_memory_min_mib": 0, "group_names": ["ai_worker"]}, 1778, []),
        ({"instance_memory_min_mib": 1024}, 4001, ["4096", "has 4001"]),
    ],
)
def test_a_type_must_hold_what_the_host_runs(change: dict[str, Any], memory_mib: int, words: list[str]) -> None:
    host = {**INPUTS, **change}
    offer = {"zones": ["a"], "memory_mib": memory_mib, "architectures": ["arm64"]}
    problems = texts(memory_findings(host, {"instance_types": {host["instance_type"]: offer}}))
    assert len(problems) == bool(words)
    assert all(word in problems[0] and HOST in problems[0] for word in words)


@pytest.mark.parametrize(("deployment_name", "words"), [("academy", []), ("acad", ["deployment_name", "acad-"])])
def test_a_host_begins_with_the_name_of_its_deployment(deployment_name: str, words: list[str]) -> None:
    problems = texts(name_findings(HOST, deployment_name))
    assert len(problems) == bool(words)
    assert all(word in problems[0] and HOST in problems[0] for word in words)


@pytest.mark.parametrize(
    ("groups", "root_gib", "data_gib", "words"),
    [
        (["ai_worker"], 8, 0, []),
        (["api"], 30, 0, []),
        (["video_worker"], 20, 100, []),
        (["ai_worker"], 7, 0, ["instance_root_volume_size_gib", "8 GiB or more (Amazon Linux 2023)"]),
        (["ai_worker"], 16385, 0, ["16384 at most"]),
        (["api"], 20, 0, ["instance_root_volume_size_gib", "30 GiB or more (§6.1)"]),
        (["video_worker"], 20, 99, ["transcode_volume_size_gib", "100 GiB or more (§8)"]),
    ],
)
def test_volumes_are_as_large_as_the_guide_demands(
    groups: list[str], root_gib: int, data_gib: int, words: list[str]
) -> None:
    problems = texts(volume_findings(HOST, groups, root_gib, data_gib))
    assert len(problems) == bool(words)
    assert all(word in problems[0] and HOST in problems[0] for word in words)

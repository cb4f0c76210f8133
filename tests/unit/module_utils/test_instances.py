# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a new instance gets, and what about an existing one only a human may decide."""

from __future__ import annotations

from typing import Any

import pytest

from plugins.module_utils.instances import (
    foreign_refusals,
    host_refusals,
    instance_changes,
    instance_refusals,
    instance_volumes,
    kept_tags,
    launch_refusals,
    launch_subnets,
    own_instances,
    spread,
    volume_tag_changes,
    volume_type_changes,
)

HOST = "academy-video-worker-1"
WANTED = {
    "instance_type": "t4g.medium",
    "ami_parameter": "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-arm64",
    "root_volume_size_gib": 20,
    "data_volume_size_gib": 100,
    "memory_min_mib": 4096,
    "memory_limits_mib": {"video_worker": 3200},
    "market_type": "on-demand",
}


def volume(device: str, size: int, **change: Any) -> dict[str, Any]:
    return {
        "volume_id": f"vol-{device[-1]}",
        "volume_type": "gp3",
        "availability_zone": "zone-a",
        "size": size,
        "encrypted": True,
        "attachments": [{"instance_id": "i-1", "delete_on_termination": device == "/dev/xvda"}],
        **change,
    }


ROOT, DATA = volume("/dev/xvda", 20), volume("/dev/sdf", 100)
MORTAL = volume("/dev/sdf", 100, attachments=[{"instance_id": "i-1", "delete_on_termination": True}])


def instance(**change: Any) -> dict[str, Any]:
    return {
        "instance_id": "i-1",
        "instance_type": "t4g.medium",
        "state": {"name": "stopped"},
        "root_device_name": "/dev/xvda",
        "instance_initiated_shutdown_behavior": "stop",
        "volumes": {"/dev/xvda": ROOT, "/dev/sdf": DATA},
        "tags": {"Name": HOST},
        **change,
    }


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


def namesake(instance_id: str, **tags: str) -> dict[str, Any]:
    return {"instance_id": instance_id, "tags": tags}


OWN = namesake("i-own", Name=HOST, Project="academy", Role="video-worker")
OTHERS = [
    namesake("i-other-host", Name="academy-video-worker-2", Project="academy"),
    namesake("i-untagged"),
    {"instance_id": "i-without-tags"},
]


def test_a_host_is_who_carries_its_name_and_the_deployments() -> None:
    by_hand, of_another = namesake("i-by-hand", Name=HOST), namesake("i-another", Name=HOST, Project="other")
    assert own_instances([*OTHERS, by_hand, OWN, of_another], HOST, "academy") == [OWN]


def test_no_host_is_launched_beside_a_namesake() -> None:
    assert foreign_refusals(HOST, [*OTHERS, OWN], "academy") == []
    by_hand, of_another = namesake("i-by-hand", Name=HOST), namesake("i-another", Name=HOST, Project="other")
    first, second = foreign_refusals(HOST, [OWN, by_hand, of_another], "academy")
    for message, parts in (
        (first, ("i-by-hand", "its Project tag is missing", "--tags Key=Project,Value=academy")),
        (second, ("i-another", "its Project tag is other")),
    ):
        assert message.startswith(f"{HOST}: ")
        assert all(part in message for part in parts)


OFFER: dict[str, Any] = {"zones": [], "memory_mib": 4096, "architectures": ["arm64"]}
IMAGES = {str(WANTED["ami_parameter"]): "ami-1"}


def test_a_host_without_an_image_is_refused_before_its_launch() -> None:
    (problem,) = launch_refusals(HOST, WANTED, SUBNETS, {**OFFER, "zones": ["b"]}, {"/another/image": "ami-1"})
    assert all(word in problem for word in ("instance_ami_parameter", HOST, str(WANTED["ami_parameter"])))


def test_a_type_of_another_architecture_is_refused_before_its_launch() -> None:
    (problem,) = launch_refusals(HOST, WANTED, SUBNETS, {**OFFER, "zones": ["b"], "architectures": ["x86_64"]}, IMAGES)
    assert all(word in problem for word in ("instance_type", HOST, "arm64", "x86_64", "instance_ami_parameter"))


def test_hosts_are_spread_in_turn_whatever_the_order_of_the_inventory() -> None:
    hosts = ["c", "a", "d", "b"]
    assert [spread(["x", "y"], host, hosts) for host in "abcd"] == ["x", "y", "x", "y"]


@pytest.mark.parametrize(
    "matches",
    [[], [instance()], [instance(state={"name": "running"})], [instance(instance_initiated_shutdown_behavior=None)]],
    ids=["none yet", "stopped", "running", "not told"],
)
def test_nothing_to_refuse(matches: list[dict[str, Any]]) -> None:
    assert instance_refusals(HOST, matches, WANTED, []) == []


@pytest.mark.parametrize(
    ("matches", "words"),
    [
        ([instance(), instance(instance_id="i-2")], ["found 2: i-1, i-2"]),
        ([instance(instance_type="c7g.large")], ["instance_allow_type_change", "c7g.large (stopped)"]),
        (
            [instance(volumes={"/dev/xvda": volume("/dev/xvda", 8), "/dev/sdf": DATA})],
            ["instance_root_volume_size_gib: 20", "8 GiB at /dev/xvda"],
        ),
        (
            [instance(volumes={"/dev/xvda": ROOT, "/dev/sdf": volume("/dev/sdf", 50)})],
            ["transcode_volume_size_gib: 100", "vol-f with 50 GiB"],
        ),
        (
            [instance(instance_initiated_shutdown_behavior="terminate")],
            ["aws ec2 modify-instance-attribute --instance-id i-1 --instance-initiated-shutdown-behavior Value=stop"],
        ),
        ([instance(volumes={"/dev/xvda": ROOT})], ["100 GiB at /dev/sdf, found no volume"]),
        (
            [instance(volumes={"/dev/xvda": ROOT, "/dev/sdf": volume("/dev/sdf", 100, encrypted=False)})],
            ["vol-f", "not encrypted"],
        ),
        (
            [instance(volumes={"/dev/xvda": ROOT, "/dev/sdf": MORTAL})],
            [
                "vol-f at /dev/sdf would be deleted with i-1",
                "aws ec2 modify-instance-attribute --instance-id i-1 --block-device-mappings "
                '\'[{"DeviceName": "/dev/sdf", "Ebs": {"DeleteOnTermination": false}}]\'',
            ],
        ),
    ],
)
def test_refusals(matches: list[dict[str, Any]], words: list[str]) -> None:
    (problem,) = instance_refusals(HOST, matches, WANTED, [])
    assert HOST in problem
    assert all(word in problem for word in words)


def test_a_type_change_that_is_named_is_allowed() -> None:
    assert instance_refusals(HOST, [instance(instance_type="c7g.large")], WANTED, [HOST]) == []


def test_a_spot_instance_never_changes_its_type() -> None:
    request = {"type": "persistent", "instance_interruption_behavior": "stop", "state": "disabled"}
    spot = instance(instance_type="c7g.large", instance_lifecycle="spot", spot_request=request)
    (problem,) = instance_refusals(HOST, [spot], {**WANTED, "market_type": "spot"}, [HOST])
    assert "never changes the type of a Spot instance" in problem


def test_an_instance_of_another_market_is_refused() -> None:
    (problem,) = instance_refusals(HOST, [instance()], {**WANTED, "market_type": "spot"}, [])
    assert "instance_market_type: spot wanted" in problem


SUBNETS = [{"subnet_id": "subnet-a", "zone": "a"}, {"subnet_id": "subnet-b", "zone": "b"}]


def test_an_instance_is_launched_where_its_type_is_offered() -> None:
    assert launch_subnets(SUBNETS, ["b", "c"]) == [SUBNETS[1]]
    assert launch_refusals(HOST, WANTED, SUBNETS, {**OFFER, "zones": ["b", "c"]}, IMAGES) == []


@pytest.mark.parametrize(("zones", "word"), [(["c", "d"], "c, d"), ([], "no zone")])
def test_a_type_that_no_subnets_zone_offers_is_refused(zones: list[str], word: str) -> None:
    (problem,) = launch_refusals(HOST, WANTED, SUBNETS, {**OFFER, "zones": zones}, IMAGES)
    assert all(part in problem for part in (HOST, "t4g.medium", word, "subnet-b (b)"))


KEPT: dict[str, Any] = {
    **WANTED,
    "instance_profile": "academy-video-worker-role",
    "security_group": "academy-worker-sg",
    "metadata_options": {"http_tokens": "required", "http_put_response_hop_limit": 2},
    "tags": {"Name": HOST, "Project": "academy"},
}


def kept(**change: Any) -> dict[str, Any]:
    """An instance as it should be, but for what is changed."""
    return instance(
        **{
            "iam_instance_profile": {"arn": "arn:aws:iam::123456789012:instance-profile/academy-video-worker-role"},
            "security_groups": [{"group_id": "sg-1", "group_name": "academy-worker-sg"}],
            "network_interfaces": [{}],
            "metadata_options": {**KEPT["metadata_options"], "state": "applied"},
            "tags": {**KEPT["tags"], "aws:autoscaling:groupName": "theirs"},
            **change,
        }
    )


@pytest.mark.parametrize(
    "matches",
    [
        [],
        [kept()],
        [kept(state={"name": "running"})],
        [kept(network_interfaces=[{}, {}], security_groups=[])],
        [kept(metadata_options={"http_tokens": "required"})],
    ],
    ids=["none yet", "stopped", "running", "a second interface", "an option that the region does not know"],
)
def test_an_instance_as_it_should_be_is_left_alone(matches: list[dict[str, Any]]) -> None:
    assert instance_changes(matches, KEPT) == []


def test_what_a_deployment_sets_is_no_difference_and_outlives_mending() -> None:
    passing = {"HoldUntil": "2026-01-31T09:30:00Z", "Release": "3f8a1c0d94b2"}
    matches = [kept(tags={**KEPT["tags"], **passing})]
    assert instance_changes(matches, KEPT) == []
    assert kept_tags(matches) == passing
    assert kept_tags([kept()]) == kept_tags([]) == {}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"instance_type": "t4g.small"}, "instance type: t4g.small -> t4g.medium"),
        ({"iam_instance_profile": {}}, "instance profile: None -> academy-video-worker-role"),
        (
            {"iam_instance_profile": {"arn": "arn:aws:iam::123456789012:instance-profile/other"}},
            "instance profile: other -> academy-video-worker-role",
        ),
        (
            {"metadata_options": {"http_tokens": "optional", "http_put_response_hop_limit": 1}},
            "http_tokens: optional -> required; http_put_response_hop_limit: 1 -> 2",
        ),
        ({"security_groups": []}, "security groups: [] -> ['academy-worker-sg']"),
        (
            {"security_groups": [{"group_name": "academy-worker-sg"}, {"group_name": "wide-open"}]},
            "security groups: ['academy-worker-sg', 'wide-open'] -> ['academy-worker-sg']",
        ),
        ({"tags": {"Name": HOST}}, f"tags: {{'Name': '{HOST}'}} -> "),
    ],
)
def test_an_instance_that_differs_is_mended(change: dict[str, Any], reason: str) -> None:
    (found,) = instance_changes([kept(**change)], KEPT)
    assert found.startswith(reason)


@pytest.mark.parametrize(
    ("deployment_name", "change", "memory_mib", "words"),
    [
        ("academy", {}, 4096, []),
        ("academy", {"memory_min_mib": 0}, 0, []),
        ("academy", {"instance_type": "t4g.small"}, 3600, ["instance_memory_min_mib", "4096", "t4g.small has 3600"]),
        ("academy", {"memory_min_mib": 0}, 3599, ["video_worker_memory_mib 3200", "exceed the 3599 MiB of"]),
        ("acad", {}, 4096, ["deployment_name", "acad-"]),
        ("academy", {"groups": ["api"]}, 4096, ["instance_root_volume_size_gib", "30 GiB or more (§6.1)"]),
    ],
)
def test_what_a_host_should_be_is_judged_before_it_exists(
    deployment_name: str, change: dict[str, Any], memory_mib: int, words: list[str]
) -> None:
    problems = host_refusals(HOST, deployment_name, {**WANTED, **change}, memory_mib)
    assert len(problems) == bool(words)
    assert all(word in problems[0] and HOST in problems[0] for word in words)


def test_volumes_carry_the_tags_of_their_instance() -> None:
    tags = {"Name": HOST, "Project": "academy"}
    tagged, untagged = {**ROOT, "tags": {**tags, "aws:backup": "x"}}, {**DATA, "tags": {"Name": HOST}}
    found = instance(volumes={"/dev/xvda": tagged, "/dev/sdf": untagged})
    (change,) = volume_tag_changes([found], {**WANTED, "tags": tags})
    assert (change["volume_id"], change["tags"]) == (DATA["volume_id"], tags)
    assert change["reason"].startswith(f"tags: {{'Name': '{HOST}'}} -> ")
    assert volume_tag_changes([], {**WANTED, "tags": tags}) == []


def test_volumes_of_a_launch_are_of_the_guides_type_and_others_are_their_owners() -> None:
    old = {device: volume(device, 100, volume_type="gp2") for device in ("/dev/xvda", "/dev/sdf", "/dev/sdg")}
    changes = volume_type_changes([instance(volumes=old)], WANTED)
    assert [change["volume_id"] for change in changes] == ["vol-a", "vol-f"]
    assert {(change["zone"], change["volume_type"], change["reason"]) for change in changes} == {
        ("zone-a", "gp3", "volume type: gp2 -> gp3")
    }
    (root,) = volume_type_changes([instance(volumes=old)], {**WANTED, "data_volume_size_gib": 0})
    assert root["volume_id"] == "vol-a"
    assert volume_type_changes([instance()], WANTED) == volume_type_changes([], WANTED) == []

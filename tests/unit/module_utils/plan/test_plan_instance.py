# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a new instance gets, and what about an existing one only a human may decide."""

from __future__ import annotations

from typing import Any

import pytest

from plugins.module_utils.findings import texts
from plugins.module_utils.plan import Change
from plugins.module_utils.plan.instance import (
    METADATA_OPTIONS,
    ROLE,
    foreign_findings,
    instance_changes,
    instance_findings,
    instance_volumes,
    own_instances,
    pending_changes,
    request_changes,
    spread,
    template_changes,
    template_name,
    volume_changes,
)
from tests.unit.rows import ROWS

HOST = "academy-video-worker-1"
AMI = "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-arm64"
STOPS = {"spot_instance_type": "persistent", "instance_interruption_behavior": "stop"}
TAGS = {"Project": "academy", "Role": "video-worker"}
# The inputs of a host.
INPUTS: dict[str, Any] = {
    "inventory_hostname": HOST,
    "group_names": ["instances", "video_worker"],
    "deployment_name": "academy",
    "deployment_tags": {"Project": "academy"},
    "instance_kind": "video-worker",
    "instance_type": "t4g.medium",
    "instance_ami_parameter": AMI,
    "instance_root_volume_size_gib": 20,
    "instance_data_volume_size_gib": 100,
    "instance_memory_min_mib": 4096,
    "services": ROWS,
    "instance_security_group": "academy-worker-sg",
    "instance_market_type": "on-demand",
    "instance_spot_options": STOPS,
    "instance_may_be_stopped": True,
    "instance_cpu_credits": "unlimited",
    "instance_key_name": "academy-operator",
    "instance_public_key_file": "~/.ssh/id_ed25519.pub",
    "instance_allow_type_change": [],
}
SPOT = {**INPUTS, "instance_market_type": "spot"}


def volume(device: str, size: int, **change: Any) -> dict[str, Any]:
    return {
        "volume_id": f"vol-{device[-1]}",
        "volume_type": "gp3",
        "availability_zone": "zone-a",
        "size": size,
        "encrypted": True,
        "attachments": [{"instance_id": "i-1", "delete_on_termination": device == "/dev/xvda"}],
        "tags": {**TAGS, "Name": HOST},
        **change,
    }


ROOT, DATA = volume("/dev/xvda", 20), volume("/dev/sdf", 100)
MORTAL = volume("/dev/sdf", 100, attachments=[{"instance_id": "i-1", "delete_on_termination": True}])


def instance(**change: Any) -> dict[str, Any]:
    """An instance as it should be, but for what is changed."""
    return {
        "instance_id": "i-1",
        "instance_type": "t4g.medium",
        "state": {"name": "stopped"},
        "subnet_id": "subnet-a",
        "placement": {"availability_zone": "zone-a"},
        "root_device_name": "/dev/xvda",
        "instance_initiated_shutdown_behavior": "stop",
        "volumes": {"/dev/xvda": ROOT, "/dev/sdf": DATA},
        "free_volumes": [],
        "iam_instance_profile": {"arn": "arn:aws:iam::123456789012:instance-profile/academy-video-worker-role"},
        "security_groups": [{"group_id": "sg-1", "group_name": "academy-worker-sg"}],
        "network_interfaces": [{}],
        "metadata_options": {**METADATA_OPTIONS, "state": "applied"},
        "tags": {**TAGS, "Name": HOST, "aws:autoscaling:groupName": "theirs"},
        **change,
    }


FOUND: dict[str, Any] = {
    "instances": [],
    "free_volumes": [],
    "images": {AMI: "ami-1"},
    "instance_types": {
        "t4g.medium": {"zones": ["b", "c"], "memory_mib": 4096, "architectures": ["arm64"], "has_cpu_credits": True}
    },
    "launch_templates": {},
    "network": {
        "vpc_id": "vpc-1",
        "subnets": [{"subnet_id": f"subnet-{zone}", "zone": zone} for zone in ("a", "b", "c")],
    },
}


def decide(found: dict[str, Any], **change: Any) -> Any:
    host = {**INPUTS, **change}
    inventory = ["academy-api-1", HOST, "academy-video-worker-2"]
    return ROLE.decide({"hosts": {HOST: host}, "inventory": inventory}, {**FOUND, **found})


def loops(changes: list[Change]) -> list[str]:
    return [loop for change in changes for loop in change.apply]


def test_all_hosts_are_read_at_once() -> None:
    other = {**SPOT, "inventory_hostname": "other", "instance_type": "t4g.small", "vpc_id": "vpc-2"}
    reads = ROLE.reads({"hosts": {HOST: {**INPUTS, "vpc_id": "vpc-1"}, "other": other}, "inventory": []})
    assert reads["instance_filters"]["tag:Name"] == [HOST, "other"]
    assert (reads["instance_types"], reads["image_parameters"]) == (["t4g.medium", "t4g.small"], [AMI])
    assert (reads["launch_template_names"], reads["vpc_id"], reads["minimum_zones"]) == (["other-spot"], "vpc-1", 1)


def test_a_missing_instance_is_launched_where_its_type_is_offered_and_waited_for() -> None:
    plan = decide({})
    (change,) = plan.changes
    assert (list(plan.refusals), change.resource, change.verb, change.host) == ([], HOST, "create", HOST)
    assert set(change.apply) == {"key_pairs", "launches"}
    filters, launch = change.apply["launches"]["filters"], change.apply["launches"]["launch"]
    assert (launch["image_id"], launch["vpc_id"], launch["tags"]) == ("ami-1", "vpc-1", TAGS)
    # Its own zone first, then where else its type is offered.
    assert launch["subnet_ids"] == ["subnet-c", "subnet-b"]
    assert launch["instance_profile"] == "academy-video-worker-role"
    assert filters["tag:Name"] == HOST
    assert "terminated" not in filters["instance-state-name"]
    assert launch["cpu_credits"] == "unlimited"
    assert "launch_template" not in launch
    assert change.apply["key_pairs"]["key_name"] == "academy-operator"


def test_a_type_without_cpu_credits_is_launched_without_their_mode() -> None:
    offer = {"zones": ["b"], "memory_mib": 4096, "architectures": ["arm64"], "has_cpu_credits": False}
    (change,) = decide({"instance_types": {"c7g.large": offer}}, instance_type="c7g.large").changes
    assert "cpu_credits" not in change.apply["launches"]["launch"]


def test_a_spot_instance_is_launched_by_its_template() -> None:
    template, launch = decide({}, instance_market_type="spot").changes
    assert (template.resource, template.verb, loops([template])) == (f"{HOST}-spot", "create", ["templates"])
    assert launch.apply["launches"]["launch"]["launch_template"] == f"{HOST}-spot"


def test_a_launch_that_was_begun_is_waited_for_and_no_change() -> None:
    plan = decide({"instances": [instance(state={"name": "pending"})]})
    assert plan.changes == []
    assert [(change.host, loops([change])) for change in plan.pending] == [(HOST, ["launches"])]
    assert "launch" not in plan.pending[0].apply["launches"]
    assert pending_changes(INPUTS, {"instances": [instance()]}) == []


def test_of_a_host_that_is_refused_nothing_is_planned_and_of_the_others_all() -> None:
    other = {**INPUTS, "inventory_hostname": "other"}
    twice = [instance(), instance(instance_id="i-2")]
    inputs = {"hosts": {HOST: INPUTS, "other": other}, "inventory": [HOST, "other"]}
    plan = ROLE.decide(inputs, {**FOUND, "instances": twice})
    assert [finding.id for finding in plan.refusals] == ["instance_namesakes"]
    assert {change.host for change in [*plan.changes, *plan.pending]} == {"other"}


def test_every_host_that_is_refused_is_named() -> None:
    other = {**INPUTS, "inventory_hostname": "other"}
    inputs = {"hosts": {HOST: INPUTS, "other": other}, "inventory": [HOST, "other"]}
    problems = texts(ROLE.decide(inputs, {**FOUND, "images": {}}).refusals)
    assert [name in problem for name, problem in zip((HOST, "other"), problems, strict=True)] == [True, True]


def test_a_type_that_nobody_knows_is_refused_for_an_existing_host_too() -> None:
    found = {"instances": [instance()]}
    plan = decide(found, instance_type="t9.none", instance_allow_type_change=[HOST])
    assert [finding.id for finding in plan.refusals] == ["instance_type_offered"]


def test_the_data_volume_outlives_the_instance() -> None:
    root, data = instance_volumes(INPUTS)
    assert (root["device_name"], root["ebs"]["delete_on_termination"]) == ("/dev/xvda", True)
    assert (data["device_name"], data["ebs"]["delete_on_termination"]) == ("/dev/sdf", False)
    assert [(item["ebs"]["volume_size"], item["ebs"]["encrypted"]) for item in (root, data)] == [
        (20, True),
        (100, True),
    ]


def test_a_host_without_data_volume_gets_none() -> None:
    assert len(instance_volumes({**INPUTS, "instance_data_volume_size_gib": 0})) == 1


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
    assert own_instances(INPUTS, [*OTHERS, by_hand, OWN, of_another]) == [OWN]


def test_no_host_is_launched_beside_a_namesake() -> None:
    assert foreign_findings(INPUTS, [*OTHERS, OWN]) == []
    by_hand, of_another = namesake("i-by-hand", Name=HOST), namesake("i-another", Name=HOST, Project="other")
    first, second = texts(foreign_findings(INPUTS, [OWN, by_hand, of_another]))
    for message, parts in (
        (first, ("i-by-hand", "its Project tag is missing", "--tags Key=Project,Value=academy")),
        (second, ("i-another", "its Project tag is other")),
    ):
        assert message.startswith(f"{HOST}: ")
        assert all(part in message for part in parts)


def test_hosts_are_spread_in_turn_whatever_the_order_of_the_inventory() -> None:
    hosts = ["c", "a", "d", "b"]
    assert [spread(["x", "y"], host, hosts) for host in "abcd"] == ["x", "y", "x", "y"]


@pytest.mark.parametrize(
    "matches",
    [[], [instance()], [instance(state={"name": "running"})], [instance(instance_initiated_shutdown_behavior=None)]],
    ids=["none yet", "stopped", "running", "not told"],
)
def test_nothing_to_refuse(matches: list[dict[str, Any]]) -> None:
    assert instance_findings(INPUTS, matches) == []


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
    (problem,) = texts(instance_findings(INPUTS, matches))
    assert HOST in problem
    assert all(word in problem for word in words)


FREE = volume("/dev/sdf", 100, attachments=[])
FAR = {**FREE, "volume_id": "vol-far", "availability_zone": "zone-b"}
THEIRS = {**FREE, "volume_id": "vol-theirs", "tags": {"Name": "academy-video-worker-2"}}
ATTACH = "--instance-id i-1 --device /dev/sdf"


@pytest.mark.parametrize(
    ("free", "words"),
    [
        ([FREE], ["Name tag: vol-f (100 GiB, zone-a), found", f"attach-volume --volume-id vol-f {ATTACH}"]),
        ([FREE, FAR], ["vol-f (100 GiB, zone-a), vol-far (100 GiB, zone-b)", f"--volume-id vol-f {ATTACH}"]),
        ([FREE, {**FREE, "volume_id": "vol-g"}], ["the one that holds its work", f"--volume-id <id> {ATTACH}"]),
        ([FAR], ["create-snapshot --volume-id vol-far", "create-volume --availability-zone zone-a", ATTACH]),
        ([THEIRS], ["Name tag: none", "--availability-zone zone-a --volume-type gp3 --encrypted --size 100", ATTACH]),
    ],
    ids=["its own", "its own in two zones", "two of its own", "in another zone", "another host's"],
)
def test_a_detached_volume_is_named_and_how_to_attach_it(free: list[dict[str, Any]], words: list[str]) -> None:
    plan = decide({"instances": [instance(volumes={"/dev/xvda": ROOT})], "free_volumes": free})
    (finding,) = plan.refusals
    for text in (finding.text_en, finding.text_ko):
        assert "/dev/sdf" in text
        assert "vol-theirs" not in text
        assert "terminat" not in text
        assert [word for word in words if word.startswith(("--", "create-")) and word not in text] == []
    assert [word for word in words if word not in finding.text_en] == []
    assert plan.changes == []


def test_a_type_change_that_is_named_is_allowed() -> None:
    named = {**INPUTS, "instance_allow_type_change": [HOST]}
    assert instance_findings(named, [instance(instance_type="c7g.large")]) == []


def test_a_spot_instance_never_changes_its_type() -> None:
    request = {
        "spot_instance_request_id": "sir-1",
        "type": "persistent",
        "instance_interruption_behavior": "stop",
        "state": "disabled",
    }
    spot = instance(instance_type="c7g.large", instance_lifecycle="spot", spot_request=request)
    (problem,) = texts(instance_findings({**SPOT, "instance_allow_type_change": [HOST]}, [spot]))
    assert "never changes the type of a Spot instance" in problem


def test_an_instance_of_another_market_is_refused() -> None:
    (problem,) = texts(instance_findings(SPOT, [instance()]))
    assert "instance_market_type: spot wanted" in problem


@pytest.mark.parametrize(
    "found",
    [
        instance(),
        instance(state={"name": "running"}),
        instance(network_interfaces=[{}, {}], security_groups=[]),
        instance(metadata_options={"http_tokens": "required"}),
        instance(tags={**TAGS, "Name": HOST, "HoldUntil": "2026-01-31T09:30:00Z", "Release": "3f8a1c0d94b2"}),
    ],
    ids=[
        "stopped",
        "running",
        "a second interface",
        "an option that the region does not know",
        "what a deployment sets",
    ],
)
def test_an_instance_as_it_should_be_is_left_alone(found: dict[str, Any]) -> None:
    plan = decide({"instances": [found]})
    assert [*plan.refusals, *plan.changes, *plan.pending] == []


def test_what_a_deployment_sets_outlives_an_update() -> None:
    passing = {"HoldUntil": "2026-01-31T09:30:00Z", "Release": "3f8a1c0d94b2"}
    (change,) = instance_changes(INPUTS, instance(tags={**passing, "Name": HOST}))
    assert change.apply["updates"]["tags"] == {**TAGS, **passing}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"instance_type": "t4g.small"}, "instance_type: t4g.small -> t4g.medium"),
        ({"iam_instance_profile": {}}, "instance_profile: none -> academy-video-worker-role"),
        (
            {"iam_instance_profile": {"arn": "arn:aws:iam::123456789012:instance-profile/other"}},
            "instance_profile: other -> academy-video-worker-role",
        ),
        (
            {"metadata_options": {"http_tokens": "optional", "http_put_response_hop_limit": 1}},
            "http_tokens: optional -> required; http_put_response_hop_limit: 1 -> 2",
        ),
        ({"security_groups": []}, 'security_groups: [] -> ["academy-worker-sg"]'),
        (
            {"security_groups": [{"group_name": "academy-worker-sg"}, {"group_name": "wide-open"}]},
            'security_groups: ["academy-worker-sg", "wide-open"] -> ["academy-worker-sg"]',
        ),
        ({"tags": {"Name": HOST}}, "tags: Project none -> academy, Role none -> video-worker"),
    ],
)
def test_an_instance_that_differs_is_updated(change: dict[str, Any], reason: str) -> None:
    (found,) = instance_changes(INPUTS, instance(**change))
    assert found.reason.startswith(reason)
    assert found.apply["updates"]["instance_id"] == "i-1"


def test_volumes_carry_the_tags_of_their_instance() -> None:
    tags = {**TAGS, "Name": HOST}
    tagged, untagged = {**ROOT, "tags": {**tags, "aws:backup": "x"}}, {**DATA, "tags": {"Name": HOST}}
    (change,) = volume_changes(INPUTS, instance(volumes={"/dev/xvda": tagged, "/dev/sdf": untagged}))
    assert (change.resource, change.apply) == (DATA["volume_id"], {"volume_tags": {"tags": tags}})
    assert change.reason.startswith("tags: Project none -> academy, Role none -> video-worker")


def test_volumes_of_a_launch_are_of_the_guides_type_and_others_are_their_owners() -> None:
    old = {device: volume(device, 100, volume_type="gp2") for device in ("/dev/xvda", "/dev/sdf", "/dev/sdg")}
    changes = volume_changes(INPUTS, instance(volumes=old))
    assert [change.resource for change in changes] == ["vol-a", "vol-f"]
    assert [change.apply for change in changes] == [
        {"volume_types": {"zone": "zone-a", "volume_type": "gp3"}},
        {"volume_types": {"zone": "zone-a", "volume_type": "gp3"}},
    ]
    assert {change.reason for change in changes} == {"volume_type: gp2 -> gp3"}
    (root,) = volume_changes({**INPUTS, "instance_data_volume_size_gib": 0}, instance(volumes=old))
    assert root.resource == "vol-a"


def template(data: dict[str, Any] | None = None, **change: Any) -> dict[str, Any]:
    """A launch template as it should be, but for what is changed."""
    tags = [{"key": key, "value": value} for key, value in {**TAGS, "Name": HOST}.items()]
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
    assert template_changes(SPOT, {f"{HOST}-spot": template()}) == []
    assert template_name(HOST) == "academy-video-worker-1-spot"


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (None, "missing"),
        (template(data={"instance_market_options": {"market_type": "spot"}}), "market_options: "),
        (template(data={"tag_specifications": []}), "tags_of_launched: spot-instances-request none -> "),
        (template(data={"user_data": "Zm9v"}), "other_data: user_data Zm9v -> none"),
        (template(default_version=1), "default_version: 1 -> 2"),
        (template(tags={}), "tags: Project none -> academy, Role none -> video-worker"),
    ],
)
def test_a_launch_template_that_differs_is_updated(found: dict[str, Any] | None, words: str) -> None:
    (change,) = template_changes(SPOT, {f"{HOST}-spot": found} if found else {})
    assert change.reason.startswith(words)
    assert change.apply["templates"]["market_options"] == {"market_type": "spot", "spot_options": STOPS}


def test_the_request_is_found_again_by_its_tags() -> None:
    request = {"spot_instance_request_id": "sir-1", "tags": {**TAGS, "Name": HOST}}
    assert request_changes(SPOT, []) == []
    assert request_changes(SPOT, [instance(spot_request=None)]) == []
    assert request_changes(SPOT, [instance(spot_request=request)]) == []
    (change,) = request_changes(SPOT, [instance(spot_request={**request, "tags": {"Owner": "x"}})])
    assert (change.resource, loops([change])) == ("sir-1", ["requests"])
    assert change.reason.startswith("tags: Project none -> academy, ")

# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a teardown is refused, what it removes in which order, what it leaves."""

from __future__ import annotations

from typing import Any

import pytest

from plugins.module_utils.deployment_state import KINDS
from plugins.module_utils.teardown import (
    KEPT,
    WORDS,
    confirmation_problems,
    costs,
    data_volumes,
    names_without_tags,
    remains,
    teardown_refusals,
    teardown_steps,
    unsaved_volumes,
)

NOTHING: dict[str, list[dict[str, Any]]] = {kind.name: [] for kind in KINDS}
OPTIONS = {"disk_snapshots": True, "final_snapshot": True, "delete_images": True}
DISKS = {
    "/dev/xvda": {"id": "vol-root", "ends_with_it": True},
    "/dev/sdf": {"id": "vol-data", "ends_with_it": False},
}
TAGS = {"Project": "academy", "Environment": "local", "Role": "video-worker"}
HOST: dict[str, Any] = {
    "id": "i-1", "name": "academy-video-worker-1", "protected": False, "root_device": "/dev/xvda", "disks": DISKS,
    "tags": TAGS,
}  # fmt: skip
DATABASE = {"name": "academy-db", "id": "arn:aws:db", "status": "available", "protected": True, "tags": TAGS}
VOLUME = {"id": "vol-data", "name": "academy-video-worker-1", "ends_with_instance": False, "tags": TAGS}
BALANCER = {"name": "academy-alb", "id": "arn:aws:alb", "protected": False, "tags": TAGS}


def there(**found: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    tagged = {kind: [{"untagged": False, **each} for each in records] for kind, records in found.items()}
    return {**NOTHING, **tagged}


def refusals(found: dict[str, list[dict[str, Any]]], *named: str, **options: bool) -> list[str]:
    return teardown_refusals(there(**found), named, named, {**OPTIONS, **options})


def test_every_kind_that_is_found_is_removed_or_named_as_kept() -> None:
    assert {kind.name for kind in KINDS} == {*WORDS, *KEPT}


def test_what_an_interrupted_run_leaves_without_tags_is_known_by_name() -> None:
    assert names_without_tags("academy", {"video": {"name": "jobs"}}, ["images"], ["/academy/api"]) == {
        "queues": ["jobs", "jobs-dlq"],
        "repositories": ["images"],
        "log_groups": ["/academy/api"],
        "topics": ["academy-alarms"],
        "rules": ["academy-starter"],
        "functions": ["academy-starter"],
    }


@pytest.mark.parametrize("confirm", ["", "academ", "academy-b", "ACADEMY", "true"])
def test_only_the_whole_name_confirms(confirm: str) -> None:
    (problem,) = confirmation_problems(confirm, "academy")
    assert f"found {confirm or 'nothing'}. This inventory's is academy:" in problem
    assert "-e confirm=academy." in problem
    assert confirmation_problems("academy", "academy") == []


def test_a_deployment_as_it_should_be_is_not_refused() -> None:
    whole = {
        "instances": [HOST],
        "volumes": [VOLUME],
        "databases": [DATABASE],
        "load_balancers": [BALANCER],
        "queues": [{"name": "jobs", "messages": 0}],
        "repositories": [{"name": "images", "images": 2}, {"name": "killed", "images": 0, "untagged": True}],
        "log_groups": [{"name": "logs", "holds_logs": True}, {"name": "kill", "holds_logs": False, "untagged": True}],
    }
    assert refusals(whole) == []


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (
            {"queues": [{"name": "jobs", "messages": 3}]},
            ["jobs: must be empty", '{"teardown_purge_queues": ["named", "jobs"]}'],
        ),
        (
            {"repositories": [{"name": "images", "images": 3, "untagged": True}]},
            ["repository images: must be empty", "3 images in it", '{"teardown_allow_untagged": ["named", "images"]}'],
        ),
        (
            {"log_groups": [{"name": "/academy/api", "holds_logs": True, "untagged": True}]},
            ["log group /academy/api: must be empty", "logs in it", '["named", "/academy/api"]'],
        ),
        (
            {"databases": [{**DATABASE, "status": "stopped", "protected": False}]},
            ["found stopped", "start-db-instance --db-instance-id", "teardown_final_database_snapshot=false"],
        ),
        (
            {"databases": [{**DATABASE, "status": "incompatible-network"}]},
            ["found incompatible-network", "aws rds describe-events", "cannot be lifted before."],
        ),
        (
            {"instances": [{**HOST, "protected": True}]},
            ["academy-video-worker-1 (i-1)", "--no-disable-api-termination"],
        ),
        (
            {"instances": [{**HOST, "disks": {**DISKS, "/dev/sdf": {"id": "vol-data", "ends_with_it": True}}}]},
            ["vol-data at /dev/sdf", '"DeleteOnTermination": false', "teardown_snapshot_data_disks=false"],
        ),
        (
            {"load_balancers": [{**BALANCER, "protected": True}]},
            ["academy-alb", "deletion_protection.enabled,Value=false"],
        ),
        (
            {"instances": [{**HOST, "name": "bastion", "tags": {"Project": "academy"}}]},
            [
                "instance bastion (i-1): carries", "not Environment and Role,",
                "aws ec2 create-tags --resources i-1 --tags Key=Project,Value=<another>.",
                "aws ec2 create-tags --resources i-1 --tags Key=Environment,Value=<any> Key=Role,Value=<any>.",
            ],
        ),
        (
            {"volumes": [{**VOLUME, "name": "", "tags": {"Project": "academy", "Role": "x"}}]},
            ["volume vol-data: carries", "not Environment,", "vol-data --tags Key=Environment,Value=<any>."],
        ),
        (
            {"databases": [{**DATABASE, "tags": {"Project": "academy", "Environment": "x"}}]},
            ["database academy-db: carries", "not Role,", "aws rds add-tags-to-resource --resource-name arn:aws:db"],
        ),
        (
            {"load_balancers": [{**BALANCER, "tags": {}}]},
            ["load balancer academy-alb: carries", "aws elbv2 add-tags --resource-arns arn:aws:alb"],
        ),
    ],
)  # fmt: skip
def test_refusals(found: dict[str, list[dict[str, Any]]], words: list[str]) -> None:
    (problem,) = refusals(found, "named")
    assert all(word in problem for word in words)


@pytest.mark.parametrize(
    "found",
    [
        {"queues": [{"name": "named", "messages": 3}]},
        {"databases": [{**DATABASE, "status": "stopped", "protected": False}]},
        {"instances": [{**HOST, "disks": {"/dev/sdf": {"id": "vol-data", "ends_with_it": True}}}]},
        {"repositories": [{"name": "named", "images": 3, "untagged": True}]},
        {"log_groups": [{"name": "named", "holds_logs": True, "untagged": True}]},
    ],
)
def test_consent(found: dict[str, list[dict[str, Any]]]) -> None:
    assert refusals(found, "named", disk_snapshots=False, final_snapshot=False) == []


@pytest.mark.parametrize("status", ["stopped", "stopping"])
def test_a_protected_database_that_cannot_be_modified_is_refused_whatever_becomes_of_its_data(status: str) -> None:
    (problem,) = refusals({"databases": [{**DATABASE, "status": status}]}, final_snapshot=False)
    assert "aws rds start-db-instance --db-instance-identifier academy-db" in problem
    assert "teardown_final_database_snapshot" not in problem


def test_images_that_are_kept_need_no_consent() -> None:
    untagged = {"repositories": [{"name": "images", "images": 3, "untagged": True}]}
    assert refusals(untagged, delete_images=False) == []


def test_a_database_that_is_already_being_deleted_is_not_refused() -> None:
    assert refusals({"databases": [{**DATABASE, "status": "deleting"}]}) == []


def test_steps_are_in_the_order_of_removal_and_say_how() -> None:
    found = there(
        security_groups=[{"name": "academy-api-sg", "id": "sg-1"}],
        queues=[{"name": "jobs", "messages": 2, "untagged": True}],
        repositories=[{"name": "academy-api", "images": 4}],
        volumes=[VOLUME, {**VOLUME, "id": "vol-root", "ends_with_instance": True}],
        databases=[DATABASE],
        spot_requests=[{"name": "", "id": "sir-1"}],
        instances=[HOST],
        load_balancers=[BALANCER],
        snapshots=[{"id": "snap-1", "volume_id": "vol-data", "state": "completed", "tags": {}}],
    )
    lines = [
        "load balancer academy-alb",
        "Spot request sir-1",
        "instance academy-video-worker-1 (i-1)",
        "database academy-db, after a final snapshot",
        "volume academy-video-worker-1 (vol-data), after a snapshot",
        "volume academy-video-worker-1 (vol-root), with its instance",
        "queue jobs, without a Project tag, with 2 messages",
        "repository academy-api, with 4 images",
        "security group academy-api-sg (sg-1)",
    ]
    assert teardown_steps(found, OPTIONS) == lines
    assert remains(found, OPTIONS) == [f"{line}: still there" for line in lines]
    assert data_volumes(found) == [{**VOLUME, "untagged": False}]
    without = teardown_steps(found, {"disk_snapshots": False, "final_snapshot": False, "delete_images": False})
    assert [line for line in without if "without a snapshot" in line or "repository" in line] == [
        "database academy-db, without a snapshot",
        "volume academy-video-worker-1 (vol-data), without a snapshot",
    ]


@pytest.mark.parametrize(
    ("state", "role", "saved"),
    [
        ("completed", "teardown", True),
        ("pending", "teardown", True),
        ("error", "teardown", False),
        ("completed", "backup", False),
    ],
)
def test_only_a_teardown_s_own_snapshot_saves_a_disk(state: str, role: str, saved: bool) -> None:
    snapshot = {"id": "snap-1", "volume_id": "vol-data", "state": state, "tags": {"Role": role}}
    found = there(volumes=[VOLUME], snapshots=[snapshot])
    assert [volume["id"] for volume in unsaved_volumes(found, "teardown")] == ([] if saved else ["vol-data"])


def test_what_still_costs_money_comes_with_its_end() -> None:
    found = there(
        snapshots=[{"id": "snap-1", "volume_id": "vol-data", "size_gib": 100}],
        database_snapshots=[{"name": "academy-db-final-x", "size_gib": 20}],
        addresses=[{"id": "eipalloc-1", "address": "203.0.113.7"}],
        repositories=[{"name": "academy-api", "images": 2}, {"name": "academy-none", "images": 0}],
    )
    lines = costs(found, delete_images=False, region="r")
    assert [line.partition(": ")[2] for line in lines] == [
        "aws ec2 delete-snapshot --region r --snapshot-id snap-1",
        "aws rds delete-db-snapshot --region r --db-snapshot-identifier academy-db-final-x",
        "aws ec2 release-address --region r --allocation-id eipalloc-1",
        "aws ecr delete-repository --region r --force --repository-name academy-api",
    ]
    assert len(costs(found, delete_images=True, region="r")) == 3
    assert costs(NOTHING, delete_images=True, region="r") == []

# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a teardown is refused, what it removes in which order, what it leaves."""

from __future__ import annotations

from typing import Any

import pytest

from plugins.module_utils.deployment_state import KINDS
from plugins.module_utils.findings import errors, texts
from plugins.module_utils.plan import Plan, applied, diff
from plugins.module_utils.plan.roles import DECISIONS, ROLES
from plugins.module_utils.plan.teardown import KEPT, ROLE, WORDS
from tests.unit.rows import row

Found = dict[str, list[dict[str, Any]]]

NOTHING: Found = {kind.name: [] for kind in KINDS}
INPUTS: dict[str, Any] = {
    "teardown_confirm": "academy",
    "teardown_purge_queues": ["named"],
    "teardown_allow_untagged": ["named"],
    "teardown_allow_protected": [],
    "public_name": "",
    "teardown_snapshot_data_disks": True,
    "teardown_final_database_snapshot": True,
    "teardown_delete_images": True,
    "teardown_wait_minutes": 60,
    "queues_jobs": {"video": {"name": "jobs"}},
    "services": {"api": row("images", log_group="/academy/api")},
    "starter_log_group": "/academy/starter",
    "database_identifier": "academy-db",
    "load_balancer_access_logs_bucket": "academy-alb-logs-1",
    "aws_region": "r",
    "deployment_name": "academy",
    "deployment_tags": {"Project": "academy", "Owner": "demo"},
}
DISKS = {
    "/dev/xvda": {"id": "vol-root", "ends_with_it": True},
    "/dev/sdf": {"id": "vol-data", "ends_with_it": False},
}
TAGS = {"Project": "academy", "Environment": "local", "Role": "video-worker"}
HOST: dict[str, Any] = {
    "id": "i-1", "name": "academy-video-worker-1", "protected": False, "root_device": "/dev/xvda", "disks": DISKS,
    "tags": TAGS, "spot_request_id": "",
}  # fmt: skip
DATABASE = {"name": "academy-db", "id": "arn:aws:db", "status": "available", "protected": True, "tags": TAGS}
VOLUME = {"id": "vol-data", "name": "academy-video-worker-1", "ends_with_instance": False, "tags": TAGS}
BALANCER = {"name": "academy-alb", "id": "arn:aws:alb", "protected": False, "tags": TAGS}


def there(**found: list[dict[str, Any]]) -> Found:
    tagged = {kind: [{"untagged": False, **each} for each in records] for kind, records in found.items()}
    return {**NOTHING, **tagged}


def plan(found: Found, **inputs: Any) -> Plan:
    return ROLE.decide({**INPUTS, **inputs}, there(**found))


def refusals(found: Found, **inputs: Any) -> list[str]:
    return texts(plan(found, **inputs).refusals)


def lists(found: Found, **inputs: Any) -> Found:
    """What the tasks get, without what they have nothing of."""
    items = applied(plan(found, **inputs).changes, ROLE.applies)
    short = {
        name: [{key: item[key] for key in item if key != "reason"} for item in found] for name, found in items.items()
    }
    return {name: found for name, found in short.items() if found}


def test_every_kind_that_is_found_is_removed_or_named_as_kept() -> None:
    assert {kind.name for kind in KINDS} == {*WORDS, *KEPT}


def test_nobody_but_its_own_playbook_asks_for_it() -> None:
    assert set(DECISIONS) - set(ROLES) == {"host_update", "teardown"}


def test_what_an_interrupted_run_leaves_without_tags_is_known_by_name() -> None:
    assert ROLE.reads(INPUTS) == {
        "name": "academy",
        "untagged": {
            "queues": ["jobs", "jobs-dlq"],
            "repositories": ["images"],
            "log_groups": [
                "/academy/api",
                "/academy/starter",
                "/aws/rds/instance/academy-db/postgresql",
                "/aws/rds/instance/academy-db/upgrade",
            ],
            "topics": ["academy-alarms"],
            "rules": ["academy-starter"],
            "functions": ["academy-starter"],
            "buckets": ["academy-alb-logs-1"],
        },
    }


@pytest.mark.parametrize("confirm", ["", "academ", "academy-b", "ACADEMY", "true"])
def test_only_the_whole_name_confirms(confirm: str) -> None:
    (problem,) = refusals({}, teardown_confirm=confirm)
    assert f"found {confirm or 'nothing'}. This inventory's is academy:" in problem
    assert "-e confirm=academy." in problem


def test_everything_is_refused_at_once_and_in_korean_too() -> None:
    found: Found = {"queues": [{"name": "jobs", "messages": 3}], "load_balancers": [{**BALANCER, "protected": True}]}
    told = errors(plan(found, teardown_confirm="").refusals)
    assert [finding.subject for finding in told] == ["confirm", "jobs", "academy-alb"]
    assert all(finding.rule.ko and finding.remedy.ko for finding in told)


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
            ['{"teardown_allow_protected": ["academy-alb"]}', "deletion_protection.enabled,Value=false"],
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
def test_refusals(found: Found, words: list[str]) -> None:
    (problem,) = refusals(found)
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
def test_consent(found: Found) -> None:
    named = {"teardown_snapshot_data_disks": False, "teardown_final_database_snapshot": False}
    assert refusals(found, **named) == []


@pytest.mark.parametrize("status", ["stopped", "stopping"])
def test_a_protected_database_that_cannot_be_modified_is_refused_whatever_becomes_of_its_data(status: str) -> None:
    (problem,) = refusals({"databases": [{**DATABASE, "status": status}]}, teardown_final_database_snapshot=False)
    assert "aws rds start-db-instance --db-instance-identifier academy-db" in problem
    assert "teardown_final_database_snapshot" not in problem


def test_images_that_are_kept_need_no_consent() -> None:
    untagged = {"repositories": [{"name": "images", "images": 3, "untagged": True}]}
    assert refusals(untagged, teardown_delete_images=False) == []


def test_a_database_that_is_already_being_deleted_is_not_refused() -> None:
    assert refusals({"databases": [{**DATABASE, "status": "deleting"}]}) == []


def test_changes_are_in_the_order_of_removal_and_say_how() -> None:
    found: Found = {
        "security_groups": [{"name": "academy-api-sg", "id": "sg-1"}],
        "queues": [{"name": "named", "messages": 2, "untagged": True}],
        "repositories": [{"name": "academy-api", "images": 4}],
        "volumes": [VOLUME, {**VOLUME, "id": "vol-root", "ends_with_instance": True}],
        "databases": [DATABASE],
        "spot_requests": [{"name": "", "id": "sir-1"}],
        "instances": [HOST],
        "load_balancers": [BALANCER],
        "snapshots": [{"id": "snap-1", "volume_id": "vol-data", "state": "completed", "tags": {}, "size_gib": 8}],
    }
    changes = plan(found).changes
    assert [change.resource for change in changes] == [
        "load balancer academy-alb",
        "Spot request sir-1",
        "instance academy-video-worker-1 (i-1)",
        "database academy-db, after a final snapshot",
        "volume academy-video-worker-1 (vol-data), after a snapshot",
        "volume academy-video-worker-1 (vol-root), with its instance",
        "queue named, without a Project tag, with 2 messages",
        "repository academy-api, with 4 images",
        "security group academy-api-sg (sg-1)",
    ]
    assert {(change.verb, change.why) for change in changes} == {("remove", "belongs to academy")}
    assert "messages: 2" in diff(changes[6])["before"]
    kept = {"snapshot_data_disks": False, "final_database_snapshot": False, "delete_images": False}
    without = plan(found, **{f"teardown_{name}": value for name, value in kept.items()}).changes
    assert [told for told in (change.resource for change in without) if "snapshot" in told or "repository" in told] == [
        "database academy-db, without a snapshot",
        "volume academy-video-worker-1 (vol-data), without a snapshot",
    ]


def test_tasks_get_names_as_aws_knows_them() -> None:
    group = {"name": "academy-api-sg", "id": "sg-1", "description": "API", "vpc_id": "vpc-1", "tags": TAGS}
    found: Found = {
        "security_groups": [group],
        "repositories": [{"name": "images", "images": 1}],
        "databases": [DATABASE],
    }
    database = {"name": "academy-db", "id": "arn:aws:db", "final_snapshot": True}
    assert lists(found) == {
        "security_groups": [{"name": "academy-api-sg", "id": "sg-1", "description": "API", "vpc_id": "vpc-1"}],
        "repositories": [{"name": "images", "force": True}],
        "databases": [database],
        "protected_databases": [database],
    }
    unprotected = {"databases": [{**DATABASE, "protected": False}]}
    assert lists(unprotected, teardown_final_database_snapshot=False) == {
        "databases": [{**database, "final_snapshot": False}]
    }
    kept = {"repositories": [{"name": "images", "images": 1}, {"name": "killed", "images": 0}]}
    assert lists(kept, teardown_delete_images=False) == {"repositories": [{"name": "killed", "force": False}]}


def test_the_request_of_an_instance_is_cancelled_once() -> None:
    hosts = [{**HOST, "id": "i-1", "spot_request_id": "sir-1"}, {**HOST, "id": "i-2", "spot_request_id": "sir-2"}]
    found: Found = {"instances": hosts, "spot_requests": [{"name": "", "id": "sir-1"}]}
    assert [request["id"] for request in lists(found)["spot_requests"]] == ["sir-1", "sir-2"]


@pytest.mark.parametrize(
    ("state", "role", "disk_snapshots", "step"),
    [
        ("completed", "teardown", True, "volumes"),
        ("pending", "teardown", True, "unsettled"),
        ("error", "teardown", True, "disk_snapshots"),
        ("completed", "backup", True, "disk_snapshots"),
        ("pending", "teardown", False, "volumes"),
        ("error", "teardown", False, "volumes"),
    ],
)
def test_a_disk_is_deleted_only_once_a_teardown_s_own_snapshot_is_complete(
    state: str, role: str, disk_snapshots: bool, step: str
) -> None:
    snapshot = {"id": "snap-1", "volume_id": "vol-data", "state": state, "tags": {"Role": role}, "size_gib": 8}
    found: Found = {"volumes": [VOLUME], "snapshots": [snapshot]}
    unsettled = plan(found, teardown_snapshot_data_disks=disk_snapshots).unsettled
    assert [finding.subject for finding in unsettled] == (["snapshot of vol-data"] if step == "unsettled" else [])
    steps = lists(found, teardown_snapshot_data_disks=disk_snapshots)
    assert [*steps] == [step] if step != "unsettled" else "volumes" not in steps


def test_a_disk_that_has_a_complete_snapshot_does_not_wait_for_another() -> None:
    both = [
        {"id": state, "volume_id": "vol-data", "state": state, "tags": {"Role": "teardown"}, "size_gib": 8}
        for state in ("pending", "completed")
    ]
    found: Found = {"volumes": [VOLUME], "snapshots": both}
    assert plan(found).unsettled == []
    assert [*lists(found)] == ["volumes"]


def test_a_snapshot_is_tagged_as_a_teardown_s() -> None:
    tags = {"Project": "academy", "Owner": "demo", "Role": "teardown", "Name": VOLUME["name"]}
    assert lists({"volumes": [VOLUME]}) == {
        "disk_snapshots": [{"name": VOLUME["name"], "id": "vol-data", "tags": tags}]
    }


def test_a_disk_that_its_instance_takes_along_is_told_and_left_to_it() -> None:
    found: Found = {"volumes": [{**VOLUME, "ends_with_instance": True}]}
    assert len(plan(found).changes) == 1
    assert lists(found) == {}


@pytest.mark.parametrize(("status", "waits"), [("available", 0), ("modifying", 1), ("deleting", 1), ("failed", 0)])
def test_a_database_that_is_being_changed_or_deleted_is_waited_for(status: str, waits: int) -> None:
    unsettled = plan({"databases": [{**DATABASE, "status": status}]}).unsettled
    assert [finding.text_en.partition(",")[0] for finding in unsettled] == [
        "academy-db: must come to its end before the rest is removed"
    ] * waits


def test_what_is_kept_comes_with_its_end_and_refuses_nothing() -> None:
    found: Found = {
        "snapshots": [{"id": "snap-1", "volume_id": "vol-data", "size_gib": 100, "state": "completed", "tags": {}}],
        "database_snapshots": [{"name": "academy-db-final-x", "size_gib": 20}],
        "addresses": [{"id": "eipalloc-1", "address": "203.0.113.7"}],
        "repositories": [{"name": "academy-api", "images": 2}, {"name": "academy-none", "images": 0}],
        "buckets": [{"name": "academy-alb-logs-1"}],
    }
    kept = plan(found, teardown_delete_images=False).refusals
    assert errors(kept) == []
    assert [finding.text_en.partition(" To remove it: ")[2] for finding in kept] == [
        "aws ec2 delete-snapshot --region r --snapshot-id snap-1",
        "aws rds delete-db-snapshot --region r --db-snapshot-identifier academy-db-final-x",
        "aws ec2 release-address --region r --allocation-id eipalloc-1",
        "aws ecr delete-repository --region r --force --repository-name academy-api",
        "aws s3 rb --force s3://academy-alb-logs-1 --region r",
    ]
    assert len(plan(found).refusals) == 4
    assert plan({}) == Plan([], [], unsettled=[])


def test_a_protected_load_balancer_goes_once_it_is_named_and_no_other_does() -> None:
    found: Found = {"load_balancers": [{**BALANCER, "protected": True}]}
    assert len(refusals(found, teardown_allow_protected=["academy"])) == 1
    assert refusals(found, teardown_allow_protected="academy-alb") == []
    protected = lists(found, teardown_allow_protected=["academy-alb"])["protected_load_balancers"]
    assert [item["id"] for item in protected] == ["arn:aws:alb"]


def test_a_public_name_is_left_in_dns_and_told() -> None:
    (finding,) = [each for each in plan({}, public_name="api.example.com").refusals if each.severity == "warning"]
    assert (finding.subject, "taken over" in finding.text_en) == ("api.example.com", True)
    assert plan({}).refusals == []

# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading a deployment, against what botocore's models of the services allow; nothing leaves the process."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from ansible_collections.academy.deploy.plugins.module_utils.aws_calls import ReadError
from ansible_collections.academy.deploy.plugins.module_utils.deployment_state import (
    KINDS,
    Deployment,
    _read_kind,
    read_deployment,
)
from botocore.stub import Stubber

from tests.unit import aws_clients

WHOSE = Deployment(
    "academy", {"queues": ["jobs"], "topics": ["academy-alarms"], "log_groups": ["/a", "/b", "/c"], "buckets": ["logs"]}
)
BY_NAME = {kind.name: kind for kind in KINDS}
PROJECT = [{"Key": "Project", "Value": "academy"}]
URL = "https://sqs.ap-northeast-2.amazonaws.com/123456789012"


@pytest.fixture
def stubs(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Stubber]]:
    # One after the other, so that the answers come in their order.
    monkeypatch.setattr("ansible_collections.academy.deploy.plugins.module_utils.deployment_state.THREADS", 1)
    made = {service: Stubber(aws_clients.client(service)) for service in {kind.service for kind in KINDS}}
    for stub in made.values():
        stub.activate()
    yield made
    for stub in made.values():
        stub.assert_no_pending_responses()


def read(stubs: dict[str, Stubber], kind: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = _read_kind(BY_NAME[kind], stubs[BY_NAME[kind].service].client, WHOSE)
    return found


def test_queues_by_tag_or_by_their_exact_name(stubs: dict[str, Stubber]) -> None:
    sqs = stubs["sqs"]
    queues: dict[str, dict[str, str]] = {
        "academy-b-jobs": {"Project": "academy-b"},
        "academy-jobs": {"Project": "academy"},
        "jobs": {},
        "jobs-of-others": {},
        "once-called-so": {"Project": "academy"},
    }
    listed = [f"{URL}/{name}" for name in [*queues, "academy-gone", "going"]]
    # The second page of them, too.
    sqs.add_response("list_queues", {"QueueUrls": listed[:2], "NextToken": "more"}, {"MaxResults": 1000})
    sqs.add_response("list_queues", {"QueueUrls": listed[2:]}, {"MaxResults": 1000, "NextToken": "more"})
    counts = {"ApproximateNumberOfMessages": "1", "ApproximateNumberOfMessagesNotVisible": "2"}
    for name, tags in queues.items():
        sqs.add_response("list_queue_tags", {"Tags": tags}, {"QueueUrl": f"{URL}/{name}"})
        if name in ("academy-jobs", "jobs", "once-called-so"):
            attributes = {**counts, "ApproximateNumberOfMessagesDelayed": "3"}
            sqs.add_response("get_queue_attributes", {"Attributes": attributes})
    # Listed for a while after its end, and gone between the two calls.
    sqs.add_client_error("list_queue_tags", "AWS.SimpleQueueService.NonExistentQueue")
    sqs.add_response("list_queue_tags", {"Tags": {"Project": "academy"}})
    sqs.add_client_error("get_queue_attributes", "AWS.SimpleQueueService.NonExistentQueue")
    assert [(queue["name"], queue["messages"]) for queue in read(stubs, "queues")] == [
        ("academy-jobs", 6), ("jobs", 6), ("once-called-so", 6)
    ]  # fmt: skip


def test_repositories_and_subnet_groups_are_found_by_their_tag_whatever_their_name(stubs: dict[str, Stubber]) -> None:
    projects = {"media-api": "academy", "academy-others": "others"}
    ecr, rds = stubs["ecr"], stubs["rds"]
    repositories = [{"repositoryName": name, "repositoryArn": f"arn:repository:{name}"} for name in projects]
    ecr.add_response("describe_repositories", {"repositories": repositories})
    groups = [{"DBSubnetGroupName": name, "DBSubnetGroupArn": f"arn:subgrp:{name}"} for name in projects]
    rds.add_response("describe_db_subnet_groups", {"DBSubnetGroups": groups})
    for name, project in projects.items():
        tags = [{"Key": "Project", "Value": project}]
        arns = {"ecr": {"resourceArn": f"arn:repository:{name}"}, "rds": {"ResourceName": f"arn:subgrp:{name}"}}
        ecr.add_response("list_tags_for_resource", {"tags": tags}, arns["ecr"])
        rds.add_response("list_tags_for_resource", {"TagList": tags}, arns["rds"])
        if project == "academy":
            digest = f"sha256:{'0' * 64}"
            ecr.add_response("list_images", {"imageIds": [{"imageDigest": digest, "imageTag": tag} for tag in "ab"]})
    assert [(found["name"], found["images"]) for found in read(stubs, "repositories")] == [("media-api", 1)]
    assert [found["name"] for found in read(stubs, "subnet_groups")] == ["media-api"]


def test_of_parameter_groups_only_those_are_asked_that_are_named_like_ours(stubs: dict[str, Stubber]) -> None:
    rds, names = stubs["rds"], ("academy-db-postgres16", "academy-db-postgres15", "default.postgres16", "media")
    groups = [{"DBParameterGroupName": name, "DBParameterGroupArn": f"arn:pg:{name}"} for name in names]
    rds.add_response("describe_db_parameter_groups", {"DBParameterGroups": groups})
    tags = {"TagList": [{"Key": "Project", "Value": "academy"}]}
    rds.add_response("list_tags_for_resource", tags, {"ResourceName": "arn:pg:academy-db-postgres16"})
    rds.add_response("list_tags_for_resource", {"TagList": []}, {"ResourceName": "arn:pg:academy-db-postgres15"})
    assert [found["name"] for found in read(stubs, "parameter_groups")] == ["academy-db-postgres16"]


def test_an_alarm_without_tags_belongs_to_whose_topic_it_tells(stubs: dict[str, Stubber]) -> None:
    topics = {
        "academy-x": "academy-alarms",
        "academy-y": "academy-alarms-of-others",
        "academy-b-z": "academy-b-alarms",
        "somebody-s": "academy-alarms",
        "media-jobs-dlq-not-empty": "academy-alarms",
    }
    alarms = [
        {"AlarmName": name, "AlarmArn": f"arn:alarm:{name}", "AlarmActions": [f"arn:aws:sns:r:1:{topic}"]}
        for name, topic in topics.items()
    ]
    stubs["cloudwatch"].add_response("describe_alarms", {"MetricAlarms": alarms})
    for name in topics:
        tags = PROJECT if name.startswith("media") else []
        stubs["cloudwatch"].add_response("list_tags_for_resource", {"Tags": tags})
    assert [(alarm["name"], alarm["untagged"]) for alarm in read(stubs, "alarms")] == [
        ("academy-x", True), ("media-jobs-dlq-not-empty", False)
    ]  # fmt: skip


def test_a_log_group_with_bytes_or_a_stream_holds_logs(stubs: dict[str, Stubber]) -> None:
    logs = stubs["logs"]
    groups = {"/a": (5, {}), "/b": (0, {"Project": "academy"}), "/c": (0, {})}
    listed = [{"logGroupName": name, "arn": f"arn:{name}:*", "storedBytes": held} for name, (held, _) in groups.items()]
    logs.add_response("describe_log_groups", {"logGroups": listed})
    for name, (held, tags) in groups.items():
        logs.add_response("list_tags_for_resource", {"tags": tags}, {"resourceArn": f"arn:{name}"})
        if not held:
            streams = [{"logStreamName": "academy-api-1"}] * (name == "/b")
            logs.add_response("describe_log_streams", {"logStreams": streams}, {"logGroupName": name, "limit": 1})
    found = [(group["holds_logs"], group["untagged"]) for group in read(stubs, "log_groups")]
    assert found == [(True, True), (True, False), (False, True)]


def test_load_balancers_are_asked_for_their_tags_twenty_at_a_time(stubs: dict[str, Stubber]) -> None:
    groups = [{"TargetGroupName": f"g-{n:02}", "TargetGroupArn": f"arn:{n}"} for n in range(21)]
    elbv2 = stubs["elbv2"]
    elbv2.add_response("describe_target_groups", {"TargetGroups": groups})
    for part in (groups[:20], groups[20:]):
        arns = [group["TargetGroupArn"] for group in part]
        elbv2.add_response(
            "describe_tags",
            {"TagDescriptions": [{"ResourceArn": arn, "Tags": PROJECT} for arn in arns]},
            {"ResourceArns": arns},
        )
    assert len(read(stubs, "target_groups")) == 21


def test_the_bucket_of_access_logs_is_found_by_its_name_unless_it_is_another_s(stubs: dict[str, Stubber]) -> None:
    def found(project: str) -> list[dict[str, Any]]:
        s3 = stubs["s3"]
        s3.add_response("get_bucket_location", {}, {"Bucket": "logs"})
        for operation in ("get_public_access_block", "get_bucket_lifecycle_configuration", "get_bucket_policy"):
            s3.add_client_error(operation, "NoSuchBucket")
        tags = {"TagSet": [{"Key": "Project", "Value": project}]}
        s3.add_response("get_bucket_tagging", tags, {"Bucket": "logs"})
        return read(stubs, "buckets")

    assert [one["name"] for one in found("academy")] == ["logs"]
    assert found("another") == []
    stubs["s3"].add_client_error("get_bucket_location", "NoSuchBucket")
    assert read(stubs, "buckets") == []


def test_an_error_names_what_was_read(stubs: dict[str, Stubber]) -> None:
    stubs["iam"].add_client_error("list_roles", "AccessDenied")
    with pytest.raises(ReadError) as error:
        read(stubs, "roles")
    assert (error.value.section, error.value.action) == ("roles", "iam:ListRoles")


def test_all_kinds_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    module = "ansible_collections.academy.deploy.plugins.module_utils.deployment_state"
    monkeypatch.setattr(f"{module}._read_kind", lambda kind, client, whose: [kind.name, client, whose.name])
    made: list[str] = []

    def client(service: str) -> str:
        made.append(service)
        return service

    found = read_deployment(WHOSE, client)
    assert found == {kind.name: [kind.name, kind.service, "academy"] for kind in KINDS}
    assert made == sorted(set(made))

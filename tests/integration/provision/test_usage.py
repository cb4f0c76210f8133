# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""After all other tests of the AWS roles: that the operator whom the policies limit used every grant of them.

Two lists that are never added up: what the playbooks did, and what these tests do with the operator's keys.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from localcloud import settings
from localcloud.grants import granted, unused
from localcloud.operator_user import USER, documents
from tests.integration.conftest import Account
from tests.policies import USED_BY_THE_STORY, Credentials, Host, Use, queue_url

OTHERS = {file.stem for file in Path(__file__).parent.glob("test_*.py")} - {Path(__file__).stem}
OTHERWISE = {"repositoryName": "named-otherwise"}
KEYS = ["Foreign"]


def arn(service: str, resource: str) -> str:
    return f"arn:aws:{service}:{settings.REGION}:{settings.ACCOUNT_ID}:{resource}"


# Statement and action that no playbook uses on these accounts.
ELSEWHERE: dict[tuple[str, str], Use] = {
    # AWS makes these by itself, where they are missing.
    ("MakeServiceRoles", "iam:CreateServiceLinkedRole"): Use(
        "iam", "CreateServiceLinkedRole", {"AWSServiceName": "spot.amazonaws.com"}
    ),
    # Foreign tags are left alone, until something else of the same thing is repaired.
    ("KeepRoles", "iam:UntagRole"): Use("iam", "UntagRole", {"RoleName": "academy-api-role", "TagKeys": KEYS}),
    ("KeepProfiles", "iam:UntagInstanceProfile"): Use(
        "iam", "UntagInstanceProfile", {"InstanceProfileName": "academy-api-role", "TagKeys": KEYS}
    ),
    ("KeepQueues", "sqs:UntagQueue"): Use(
        "sqs", "UntagQueue", {"QueueUrl": queue_url("academy-video-jobs"), "TagKeys": KEYS}
    ),
    ("KeepDatabase", "rds:RemoveTagsFromResource"): Use(
        "rds", "RemoveTagsFromResource", {"ResourceName": arn("rds", "db:academy-db"), "TagKeys": KEYS}
    ),
    ("KeepLogs", "logs:UntagLogGroup"): Use(
        "logs", "UntagLogGroup", {"logGroupName": "/academy/academy-api", "tags": KEYS}
    ),
    ("KeepStarter", "lambda:UntagResource"): Use(
        "lambda", "UntagResource", {"Resource": arn("lambda", "function:academy-starter"), "TagKeys": KEYS}
    ),
    ("KeepSchedule", "events:UntagResource"): Use(
        "events", "UntagResource", {"ResourceARN": arn("events", "rule/academy-starter"), "TagKeys": KEYS}
    ),
    ("KeepTopic", "sns:UntagResource"): Use(
        "sns", "UntagResource", {"ResourceArn": arn("sns", "academy-alarms"), "TagKeys": KEYS}
    ),
    ("KeepAlarms", "cloudwatch:UntagResource"): Use(
        "cloudwatch", "UntagResource", {"ResourceARN": arn("cloudwatch", "alarm:academy-x"), "TagKeys": KEYS}
    ),
    # status.yml and rollback.yml need hosts to tell of.
    ("SeeReleases", "ssm:GetParameterHistory"): Use("ssm", "GetParameterHistory", {"Name": "/academy/releases"}),
    # Nothing here was named otherwise once but a queue, an alarm and a subnet group.
    ("SeeWhoseItIs", "ecr:ListTagsForResource"): Use(
        "ecr", "ListTagsForResource", {"resourceArn": arn("ecr", "repository/named-otherwise")}
    ),
    ("EndWhatWasNamedOtherwise", "ecr:ListImages"): Use("ecr", "ListImages", OTHERWISE),
    ("EndWhatWasNamedOtherwise", "ecr:DeleteRepository"): Use("ecr", "DeleteRepository", OTHERWISE),
}


def used(operator_grants: dict[str, dict[str, Any]], kind: str = "used") -> list[Any]:
    return [grants[kind] for grants in operator_grants.values()]


@pytest.fixture(scope="module")
def operator(account: Account) -> Host:
    keys = json.loads(account.operator.read_text(encoding="utf-8"))
    return Host(Credentials(keys["aws_access_key"], keys["aws_secret_key"]), account.url)


def test_every_grant_is_used_by_the_playbooks_or_known_not_to_be(operator_grants: dict[str, dict[str, Any]]) -> None:
    if lacking := OTHERS - set(operator_grants):
        pytest.skip(f"only after all of them: {', '.join(sorted(lacking))}")
    ours = {USER: dict(documents())}
    assert granted(ours)
    found = unused(ours, *used(operator_grants))
    assert found == {(USER, statement, action) for statement, action in {*ELSEWHERE, *USED_BY_THE_STORY}}


def test_what_they_do_not_use_works_all_the_same(account: Account, operator: Host) -> None:
    account.client("ecr").create_repository(**OTHERWISE, tags=[{"Key": "Project", "Value": "academy"}])
    refused = [(grant, operator.error(use)) for grant, use in ELSEWHERE.items() if operator.is_denied(use)]
    assert refused == []
    exercised = account.grants()["exercised"][USER]
    assert {(statement, action) for statement, actions in exercised.items() for action in actions} >= set(ELSEWHERE)

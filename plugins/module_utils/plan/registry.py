# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""One image repository for each container: tags never move, what is pushed is scanned, and only images without a tag
expire."""

from __future__ import annotations

from typing import Any

from ..names import repository_arn
from ..policies import as_text
from ..services import ROWS, repositories
from ..tags import own_tags, role_tags
from . import Plan, Role, Values, compare

WHY = "guide §6.2"


def lifecycle_policy(untagged_expiry_days: int) -> dict[str, Any]:
    """What ECR removes by itself."""
    return {
        "rules": [
            {
                "rulePriority": 1,
                "description": "Images without a tag; a deployed image always has one",
                "selection": {
                    "tagStatus": "untagged",
                    "countType": "sinceImagePushed",
                    "countUnit": "days",
                    "countNumber": untagged_expiry_days,
                },
                "action": {"type": "expire"},
            }
        ]
    }


def reads(inputs: Values) -> Values:
    return {"repository_names": repositories(inputs["services"])}


def decide(inputs: Values, found: Values) -> Plan:
    policy = lifecycle_policy(inputs["registry_untagged_expiry_days"])
    tags = role_tags(inputs["deployment_tags"], "registry")
    wanted = {
        "image_tag_mutability": "IMMUTABLE",
        "scan_on_push": True,
        "lifecycle_policy": as_text(policy),
        "tags": tags,
    }
    changes = []
    for name in repositories(inputs["services"]):
        arn = repository_arn(name, inputs["aws_region"], inputs["aws_account_id"])

        def apply(differing: frozenset[str], arn: str = arn) -> dict[str, Values]:
            # The module that makes a repository gives it no tags.
            items: dict[str, Values] = {"tags": {"arn": arn, "tags": tags}} if "tags" in differing else {}
            return {**items, "repositories": {"lifecycle_policy": policy}} if differing - {"tags"} else items

        now = found["repositories"].get(name)
        if now is not None:
            now = {**now, "lifecycle_policy": as_text(now["lifecycle_policy"]), "tags": own_tags(now["tags"])}
        changes += compare(name, wanted, now, WHY, apply)
    return Plan(changes=changes)


ROLE = Role(reads, decide, applies=("repositories", "tags"), rules=(ROWS,))

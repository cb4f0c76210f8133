# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What ECR refuses in a lifecycle policy beyond what moto checks."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from localcloud.strict.rule import Parameters, Rule, by_parameters
from localcloud.wire import ApiError

PUT = "ecr.PutLifecyclePolicy"
LifecycleRules = Sequence[Mapping[str, Any]]
# Of these a policy may have one rule each.
SINGLE_STATUSES = ("untagged", "any")


def priorities(rules: LifecycleRules) -> str | None:
    found = [rule.get("rulePriority") for rule in rules]
    if not all(isinstance(priority, int) and priority >= 1 for priority in found):
        return "rulePriority must be a positive integer"
    return "rulePriority must be unique" if len(set(found)) < len(found) else None


def single_statuses(rules: LifecycleRules) -> str | None:
    """For untagged and for any images there is one rule per storage class."""
    selected = [(_selection(rule).get("tagStatus"), _selection(rule).get("storageClass")) for rule in rules]
    for status, storage in selected:
        if status in SINGLE_STATUSES and selected.count((status, storage)) > 1:
            return f"only one rule may have tagStatus {status}"
    return None


def any_comes_last(rules: LifecycleRules) -> str | None:
    by_status = [(rule.get("rulePriority"), _selection(rule).get("tagStatus")) for rule in rules]
    last = max((priority for priority, _ in by_status if isinstance(priority, int)), default=None)
    misplaced = any(status == "any" and priority != last for priority, status in by_status)
    return "the rule with tagStatus any must have the highest rulePriority" if misplaced else None


def count_unit(rules: LifecycleRules) -> str | None:
    for selection in map(_selection, rules):
        counts_days = str(selection.get("countType")).startswith("since")
        if counts_days != ("countUnit" in selection):
            return "countUnit belongs to countType sinceImagePushed, and to no other"
    return None


def tag_selection(rules: LifecycleRules) -> str | None:
    for selection in map(_selection, rules):
        names_tags = bool(selection.get("tagPrefixList") or selection.get("tagPatternList"))
        if names_tags != (selection.get("tagStatus") == "tagged"):
            return "tagPrefixList or tagPatternList belongs to tagStatus tagged, and to no other"
    return None


def _selection(rule: Mapping[str, Any]) -> Mapping[str, Any]:
    selection = rule.get("selection")
    return selection if isinstance(selection, dict) else {}


def _rules(parameters: Parameters) -> LifecycleRules:
    """The policy's rules; none where it is no policy at all, which moto refuses."""
    try:
        rules = json.loads(parameters.get("lifecyclePolicyText") or "")["rules"]
    except (ValueError, LookupError, TypeError):
        return []
    return rules if isinstance(rules, list) and all(isinstance(rule, dict) for rule in rules) else []


def _rule(name: str, refuses: str, decide: Any) -> Rule:
    def check(parameters: Parameters) -> ApiError | None:
        reason = decide(_rules(parameters))
        if reason is None:
            return None
        message = (
            "Invalid parameter at 'LifecyclePolicyText' failed to satisfy constraint: "
            f"'Lifecycle policy validation failure: {reason}'"
        )
        return ApiError("InvalidParameterException", message)

    source = "ecr-ug lifecycle policy parameters; message not verified"
    return Rule(f"ecr-lifecycle-{name}", (PUT,), refuses, source, by_parameters(check))


RULES = (
    _rule("priority", "a lifecycle policy with two rules of one priority, or a priority below 1", priorities),
    _rule("status", "a lifecycle policy with two rules for untagged, or two for any images", single_statuses),
    _rule("order", "a lifecycle policy whose rule for any images is not the last", any_comes_last),
    _rule("unit", "a lifecycle rule by age without unit, or by number with one", count_unit),
    _rule("tags", "a lifecycle rule for tagged images that names no tags, or the reverse", tag_selection),
)

# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Decisions about roles and their policies, for templates."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from ansible_collections.academy.deploy.plugins.module_utils.identity import (
    Deployment,
    host_policy,
    inline_policy_changes,
    role_name,
)


def policy_changes(
    kinds: Mapping[str, Mapping[str, Any]],
    observed: Sequence[Mapping[str, Any]],
    deployment_name: str,
    region: str,
    account_id: str,
) -> list[dict[str, Any]]:
    """From what iam_policy_info found for each kind to the inline policies to be written or removed."""
    deployment = Deployment(deployment_name, region, account_id)
    return [
        asdict(change)
        for kind, result in zip(kinds, observed, strict=True)
        for change in inline_policy_changes(
            role_name(deployment_name, kind),
            f"{deployment_name}-host",
            host_policy(kinds[kind], deployment),
            {policy["policy_name"]: policy["policy_document"] for policy in result["policies"]}
            if "policies" in result
            else None,
        )
    ]


class FilterModule:
    def filters(self) -> dict[str, Callable[..., Any]]:
        return {
            "host_role_name": role_name,
            "inline_policy_changes": policy_changes,
        }

# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Roles and policies."""

from __future__ import annotations

from localcloud import settings
from tests.unit.localcloud.strict.world import Case, World


def two_inline(world: World, *sizes: int) -> None:
    role = world.role()
    for size in sizes:
        world.inline(world.long_policy(size), role)


def same_name(world: World, suffix: str) -> None:
    world.role(f"{world.role()}{suffix}".upper())


CASES = [
    Case(
        "iam-trust-json",
        "MalformedPolicyDocument",
        lambda w: w.role(trust="none"),
        lambda w: w.role(),
    ),
    Case(
        "iam-trust-principal",
        "MalformedPolicyDocument",
        lambda w: w.role(trust=w.trust(Principal=None)),
        lambda w: w.role(trust=w.trust(Principal={"Service": "ec2.amazonaws.com"})),
    ),
    Case(
        "iam-trust-resource",
        "MalformedPolicyDocument",
        lambda w: w.role(trust=w.trust(Resource="*")),
        lambda w: w.role(trust=w.trust(Sid="Hosts")),
    ),
    Case(
        "iam-trust-action",
        "MalformedPolicyDocument",
        lambda w: w.role(trust=w.trust(Action=["sts:AssumeRole", "ec2:RunInstances"])),
        lambda w: w.role(trust=w.trust(Action=["sts:AssumeRole", "sts:TagSession"])),
    ),
    Case(
        "iam-trust-size",
        "LimitExceeded",
        lambda w: w.role(trust=w.trust(Sid="x" * 2048)),
        lambda w: w.role(trust=w.trust(Sid="x" * 1800)),
    ),
    Case(
        "iam-identity-principal",
        "MalformedPolicyDocument",
        lambda w: w.inline(w.policy(Principal="*")),
        lambda w: w.inline(w.policy()),
    ),
    Case(
        "iam-statement-id",
        "MalformedPolicyDocument",
        lambda w: w.managed(w.policy(Sid="stop-self")),
        lambda w: w.managed(w.policy(Sid="StopSelf")),
    ),
    Case(
        "iam-inline-size",
        "LimitExceeded",
        lambda w: two_inline(w, 5000, 5200),
        lambda w: two_inline(w, 5000, 4900),
    ),
    Case(
        "iam-managed-size",
        "LimitExceeded",
        lambda w: w.managed(w.long_policy(6144)),
        lambda w: w.managed(w.long_policy(6000)),
    ),
    Case(
        "iam-attachments",
        "LimitExceeded",
        lambda w: w.role_with_managed(11),
        lambda w: w.role_with_managed(10),
    ),
    Case(
        "iam-boundary",
        "NoSuchEntity",
        lambda w: w.role(PermissionsBoundary=f"arn:aws:iam::{settings.ACCOUNT_ID}:policy/missing"),
        lambda w: w.role(PermissionsBoundary=w.managed()),
    ),
    Case(
        "iam-role-case",
        "EntityAlreadyExists",
        lambda w: same_name(w, ""),
        lambda w: same_name(w, "-other"),
    ),
]

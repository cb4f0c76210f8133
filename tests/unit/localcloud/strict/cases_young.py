# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""An account that is young: each case makes it so for its own calls alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict

from tests.unit.localcloud.strict.cases_compute import STOPS, settled, spot, start
from tests.unit.localcloud.strict.world import Attempt, Case, World


def young(attempt: Attempt, **circumstances: str) -> Attempt:
    """What happens while the account is like that."""

    def attempted(world: World) -> object:
        found = world.account.circumstances
        before = {name: str(value) for name, value in asdict(found).items()}
        found.change(circumstances)
        try:
            return attempt(world)
        finally:
            found.change(before)

    return attempted


def used_vcpus(world: World, *, is_spot: bool) -> int:
    """Of all that other cases left running; every case here runs t4g.small, which has two."""
    found = [one for one in world.api.backends("ec2").all_instances() if one.state in ("pending", "running")]
    kinds = {one.id for one in found if (one.lifecycle == "spot") == is_spot}
    types = world.api.backends("ec2").describe_instance_types()
    vcpus = {kind["InstanceType"]: kind["VCpuInfo"]["DefaultVCpus"] for kind in types}
    return sum(vcpus[one.instance_type] for one in found if one.id in kinds)


def with_vcpus_left(attempt: Attempt, left: int, *, is_spot: bool = False) -> Attempt:
    name = "spot_vcpus" if is_spot else "on_demand_vcpus"

    def attempted(world: World) -> object:
        return young(attempt, **{name: str(used_vcpus(world, is_spot=is_spot) + left)})(world)

    return attempted


def prepared(prepare: Callable[[World], str], act: Callable[[World, str], object], left: int, **kind: bool) -> Attempt:
    """A start of what was stopped before the quota was counted."""

    def attempted(world: World) -> object:
        name = prepare(world)
        return with_vcpus_left(lambda w: act(w, name), left, **kind)(world)

    return attempted


def new_profile(world: World, seconds: float) -> None:
    profile = world.profile()
    world.now += seconds
    world.run(IamInstanceProfile={"Name": profile})


def new_role(world: World, seconds: float) -> None:
    role = world.role()
    world.now += seconds
    world.function(Role=f"arn:aws:iam::123456789012:role/{role}")


def associate_new(world: World) -> None:
    world.ec2.associate_iam_instance_profile(InstanceId=world.run(), IamInstanceProfile={"Name": world.profile()})


def in_zone(letter: str) -> Attempt:
    return lambda w: young(lambda w: w.run(SubnetId=w.subnet("a")), full_zones=f"{w.zone('c')},{w.zone(letter)}")(w)


def start_in_full_zone(world: World) -> None:
    instance = world.stopped()
    young(lambda w: start(w, instance), full_zones=world.zone("a"))(world)


SPOT = {"InstanceMarketOptions": spot(**STOPS)}

CASES = [
    Case(
        "free-plan-instance-type",
        "InvalidParameterCombination",
        young(lambda w: w.run(InstanceType="t4g.medium"), plan="FREE"),
        young(lambda w: w.run(InstanceType="t4g.small"), plan="FREE"),
    ),
    Case(
        "free-plan-backups",
        "FreeTierRestrictionError",
        young(lambda w: w.database(BackupRetentionPeriod=7), plan="FREE"),
        young(lambda w: w.database(BackupRetentionPeriod=1), plan="FREE"),
    ),
    Case(
        "free-plan-backups",
        "FreeTierRestrictionError",
        young(lambda w: w.modified_database(BackupRetentionPeriod=2), plan="FREE"),
        lambda w: w.modified_database(BackupRetentionPeriod=2),
    ),
    Case(
        "ec2-vcpu-quota",
        "VcpuLimitExceeded",
        with_vcpus_left(lambda w: w.run(), 1),
        with_vcpus_left(lambda w: w.run(), 2),
    ),
    Case(
        "ec2-vcpu-quota",
        "VcpuLimitExceeded",
        prepared(World.stopped, start, 1),
        prepared(World.stopped, start, 2),
    ),
    Case(
        "ec2-vcpu-quota",
        "MaxSpotInstanceCountExceeded",
        with_vcpus_left(lambda w: w.run(**SPOT), 1, is_spot=True),
        # Spot instances count towards their own quota alone.
        with_vcpus_left(lambda w: w.run(**SPOT), 0),
    ),
    Case(
        "ec2-vcpu-quota",
        "MaxSpotInstanceCountExceeded",
        prepared(lambda w: settled(w, w.run(**SPOT)), start, 1, is_spot=True),
        prepared(lambda w: settled(w, w.run(**SPOT)), start, 2, is_spot=True),
    ),
    Case("ec2-capacity", "InsufficientInstanceCapacity", in_zone("a"), in_zone("b")),
    Case("ec2-capacity", "InsufficientInstanceCapacity", start_in_full_zone, in_zone("b")),
    Case(
        "ec2-new-instance-profile",
        "InvalidParameterValue",
        young(lambda w: new_profile(w, 19), iam_seconds="20"),
        young(lambda w: new_profile(w, 20), iam_seconds="20"),
    ),
    Case(
        "ec2-new-instance-profile",
        "InvalidParameterValue",
        young(associate_new, iam_seconds="20"),
        associate_new,
    ),
    Case(
        "lambda-new-role",
        "InvalidParameterValueException",
        young(lambda w: new_role(w, 19), iam_seconds="20"),
        young(lambda w: new_role(w, 20), iam_seconds="20"),
    ),
]

# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Parameter groups and log exports as RDS shows them, where moto does not."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from botocore.exceptions import ClientError

from localcloud import settings
from tests.unit.localcloud.strict.cases_data import parameter_group
from tests.unit.localcloud.strict.world import REGION, World


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(settings, "API_PORT", 0)
        patch.setattr(settings, "REGION", REGION)
        world = World()
        yield world
        world.api.stop()


def status(world: World, database: str) -> str:
    (found,) = world.rds.describe_db_instances(DBInstanceIdentifier=database)["DBInstances"]
    return str(found["DBParameterGroups"][0]["ParameterApplyStatus"])


def set_force_ssl(world: World, group: str, value: str) -> None:
    parameter = {"ParameterName": "rds.force_ssl", "ParameterValue": value, "ApplyMethod": "pending-reboot"}
    world.rds.modify_db_parameter_group(DBParameterGroupName=group, Parameters=[parameter])


@pytest.mark.parametrize("operation", ["describe_db_parameter_groups", "describe_db_parameters"])
def test_a_group_that_is_missing_is_an_error(world: World, operation: str) -> None:
    with pytest.raises(ClientError) as error:
        getattr(world.rds, operation)(DBParameterGroupName="missing")
    assert error.value.response["Error"]["Code"] == "DBParameterGroupNotFound"


def test_parameters_are_shown_that_nobody_set(world: World) -> None:
    group = parameter_group(world)
    asked = {"DBParameterGroupName": group}
    found = {one["ParameterName"]: one for one in world.rds.describe_db_parameters(**asked)["Parameters"]}
    assert (found["rds.force_ssl"]["ParameterValue"], found["rds.force_ssl"]["Source"]) == ("1", "system")
    assert world.rds.describe_db_parameters(**asked, Source="user")["Parameters"] == []
    set_force_ssl(world, group, "0")
    (changed,) = world.rds.describe_db_parameters(**asked, Source="user")["Parameters"]
    assert (changed["ParameterName"], changed["ParameterValue"]) == ("rds.force_ssl", "0")


def test_another_group_waits_for_a_restart(world: World) -> None:
    database, group = world.database(), parameter_group(world)
    assert status(world, database) == "in-sync"
    world.rds.modify_db_instance(DBInstanceIdentifier=database, DBParameterGroupName=group, ApplyImmediately=True)
    assert status(world, database) == "pending-reboot"
    world.rds.reboot_db_instance(DBInstanceIdentifier=database)
    world.rds.modify_db_instance(DBInstanceIdentifier=database, DBParameterGroupName=group)
    assert status(world, database) == "in-sync"


def test_a_changed_parameter_waits_where_its_group_is_used(world: World) -> None:
    group = parameter_group(world)
    database, other = world.database(DBParameterGroupName=group), world.database()
    set_force_ssl(world, group, "1")
    assert status(world, database) == "in-sync"
    set_force_ssl(world, group, "0")
    assert (status(world, database), status(world, other)) == ("pending-reboot", "in-sync")


def test_a_log_that_is_exported_has_a_group_for_ever_unless_somebody_made_one(world: World) -> None:
    logs, database = world.client("logs"), world.database(EnableCloudwatchLogsExports=["upgrade"])
    prefix = f"/aws/rds/instance/{database}/"
    logs.create_log_group(logGroupName=f"{prefix}postgresql")
    logs.put_retention_policy(logGroupName=f"{prefix}postgresql", retentionInDays=14)
    world.rds.modify_db_instance(
        DBInstanceIdentifier=database, CloudwatchLogsExportConfiguration={"EnableLogTypes": ["postgresql"]}
    )
    found = logs.describe_log_groups(logGroupNamePrefix=prefix)["logGroups"]
    assert [(group["logGroupName"].removeprefix(prefix), group.get("retentionInDays")) for group in found] == [
        ("postgresql", 14),
        ("upgrade", None),
    ]

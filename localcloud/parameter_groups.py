# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""RDS parameter groups and log exports, as far as moto leaves them out.

moto answers a group that does not exist by an empty list, on which rds_instance_param_group fails; shows of a group
only what somebody set, so that the module takes every parameter for unknown; and calls every instance in sync.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from moto.rds.exceptions import DBParameterGroupNotFoundError
from moto.rds.models import DBInstance

from localcloud.api import Api
from localcloud.wire import Call

# Some of PostgreSQL's on RDS, one of each sort.
PARAMETERS: Final[Mapping[str, Mapping[str, Any]]] = {
    name: {
        "ParameterName": name,
        "DataType": data_type,
        "AllowedValues": allowed,
        "ApplyType": apply_type,
        "IsModifiable": modifiable,
        **({} if value is None else {"ParameterValue": value}),
    }
    for name, data_type, allowed, apply_type, modifiable, value in (
        ("config_file", "string", "", "static", False, "/rdsdbdata/config/postgresql.conf"),
        ("log_min_duration_statement", "integer", "-1-2147483647", "dynamic", True, None),
        ("max_connections", "integer", "6-8388607", "static", True, "LEAST({DBInstanceClassMemory/9531392},5000)"),
        # Of PostgreSQL 15 and newer; older ones begin with 0.
        ("rds.force_ssl", "boolean", "0,1", "dynamic", True, "1"),
    )
}
FORCE_SSL: Final = "rds.force_ssl"


def install(api: Api) -> None:
    rds = api.backends("rds")
    _refuse_unknown_groups(rds)
    _keep_what_waits(rds)
    DBInstance.parameters_wait = False
    DBInstance.db_parameter_group_status_list = property(_groups_of)
    api.hooks.register("rds", "DescribeDBParameters", after=_show_all_parameters)
    for operation in ("CreateDBInstance", "ModifyDBInstance"):
        api.hooks.register("rds", operation, after=_make_log_groups)
    for operation in ("RebootDBInstance", "StartDBInstance"):
        api.hooks.register("rds", operation, after=_apply_what_waits)


def value_of(group: Any, name: str) -> str | None:
    """What a parameter is in a group, whoever set it."""
    value: str | None = {**PARAMETERS.get(name, {}), **group.parameters.get(name, {})}.get("ParameterValue")
    return value


def _groups_of(instance: Any) -> list[dict[str, str]]:
    status = "pending-reboot" if instance.parameters_wait else "in-sync"
    return [
        {"DBParameterGroupName": group.name, "ParameterApplyStatus": status} for group in instance.db_parameter_groups()
    ]


def _refuse_unknown_groups(rds: Any) -> None:
    describe = rds.describe_db_parameter_groups

    def describe_known(asked: Mapping[str, Any]) -> Any:
        found = describe(asked)
        if asked.get("db_parameter_group_name") and not found:
            raise DBParameterGroupNotFoundError(asked["db_parameter_group_name"])
        return found

    rds.describe_db_parameter_groups = describe_known


def _keep_what_waits(rds: Any) -> None:
    """Another group, and a parameter that is changed for the next restart, wait for it."""
    modify_instance, modify_group = rds.modify_db_instance, rds.modify_db_parameter_group

    def modify_instance_and_wait(name: str, changes: Any) -> Any:
        (instance,) = rds.describe_db_instances(name)
        before = instance.db_parameter_group_name
        modify_instance(name, changes)
        instance.parameters_wait |= instance.db_parameter_group_name != before
        return instance

    def modify_group_and_wait(name: str, changes: Iterable[Mapping[str, Any]]) -> Any:
        group = rds.db_parameter_groups.get(name)
        waits = group is not None and any(
            one["ApplyMethod"] == "pending-reboot" and one["ParameterValue"] != value_of(group, one["ParameterName"])
            for one in changes
        )
        for instance in rds.databases.values():
            instance.parameters_wait |= waits and instance.db_parameter_group_name == name
        return modify_group(name, changes)

    rds.modify_db_instance = modify_instance_and_wait
    rds.modify_db_parameter_group = modify_group_and_wait


def _show_all_parameters(call: Call, result: Mapping[str, Any]) -> Mapping[str, Any]:
    """Also those that nobody set."""
    (group,) = Api.backends("rds").describe_db_parameter_groups(
        {"db_parameter_group_name": call.parameters["DBParameterGroupName"]}
    )
    told = [
        {**known, "Source": "user" if name in group.parameters else "system", **group.parameters.get(name, {})}
        for name, known in PARAMETERS.items()
    ]
    return {"Parameters": [one for one in told if call.parameters.get("Source") in (None, one["Source"])]}


def _apply_what_waits(call: Call, result: Mapping[str, Any]) -> None:
    Api.backends("rds").databases[result["DBInstance"]["DBInstanceIdentifier"]].parameters_wait = False


def _make_log_groups(call: Call, result: Mapping[str, Any]) -> None:
    """RDS makes the group of a log that it is told to export, where it is missing; such a one keeps all for ever."""
    logs = Api.backends("logs")
    identifier = result["DBInstance"]["DBInstanceIdentifier"]
    changed = call.parameters.get("CloudwatchLogsExportConfiguration") or {}
    for kind in [*(call.parameters.get("EnableCloudwatchLogsExports") or []), *(changed.get("EnableLogTypes") or [])]:
        name = f"/aws/rds/instance/{identifier}/{kind}"
        if name not in logs.groups:
            logs.create_log_group(name, {})

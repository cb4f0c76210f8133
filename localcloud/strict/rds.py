# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What RDS for PostgreSQL refuses."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from fractions import Fraction
from typing import Any

from localcloud.parameter_groups import PARAMETERS
from localcloud.strict.rule import Account, Parameters, Rule, by_parameters
from localcloud.wire import ApiError, Call

ENGINE = "postgres"
CREATE = "rds.CreateDBInstance"
MODIFY = "rds.ModifyDBInstance"
CREATE_GROUP = "rds.CreateDBSubnetGroup"
CHANGE_PARAMETERS = "rds.ModifyDBParameterGroup"

USER_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,15}")
RESERVED_USERS = frozenset({"admin", "rdsadmin", "rdsrepladmin", "rds_superuser"})
PASSWORD_LENGTHS = range(8, 128 + 1)
PASSWORD = re.compile(r"[!-~]*")
PASSWORD_FORBIDDEN = frozenset('/@"')
DATABASE_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,62}")
SUBNET_GROUP_NAME = re.compile(r"[A-Za-z][A-Za-z0-9._ -]{0,254}")
PARAMETER_GROUP_NAME = re.compile(r"(?=.{1,255}$)[A-Za-z](-?[A-Za-z0-9])*")
LOG_TYPES = frozenset({"postgresql", "upgrade", "iam-db-auth-error"})
PORTS = range(1150, 65535 + 1)
BACKUP_RETENTION_DAYS = range(35 + 1)
STORAGE_GIB: Mapping[str, range] = {
    "gp2": range(20, 65536 + 1),
    "gp3": range(20, 65536 + 1),
    "io1": range(100, 65536 + 1),
    "io2": range(100, 65536 + 1),
    "standard": range(5, 3072 + 1),
}
CHOSEN_PERFORMANCE_FROM_GIB = 400
STOPPED = frozenset({"stopping", "stopped", "starting"})
AUTOSCALING_HEADROOM = Fraction(110, 100)


# --- pure decisions -----------------------------------------------------------------------------------------------


def user_name(parameters: Parameters) -> ApiError | None:
    user = parameters.get("MasterUsername") or ""
    if USER_NAME.fullmatch(user):
        return None
    return ApiError("InvalidParameterValue", f"The parameter MasterUsername is not a valid identifier: {user}")


def reserved_user(parameters: Parameters) -> ApiError | None:
    user = parameters.get("MasterUsername") or ""
    if user.lower() not in RESERVED_USERS and not user.lower().startswith("pg_"):
        return None
    message = f"MasterUsername {user} cannot be used as it is a reserved word used by the engine"
    return ApiError("InvalidParameterValue", message)


def missing_password(parameters: Parameters) -> ApiError | None:
    if parameters.get("MasterUserPassword") or parameters.get("ManageMasterUserPassword"):
        return None
    message = "The parameter MasterUserPassword must be provided and must not be blank."
    return ApiError("InvalidParameterValue", message)


def password_length(parameters: Parameters) -> ApiError | None:
    password = parameters.get("MasterUserPassword")
    if not password or len(password) in PASSWORD_LENGTHS:
        return None
    message = "The parameter MasterUserPassword is not a valid password because it is not 8 to 128 characters long."
    return ApiError("InvalidParameterValue", message)


def password_characters(parameters: Parameters) -> ApiError | None:
    password = parameters.get("MasterUserPassword") or ""
    if PASSWORD.fullmatch(password) and not PASSWORD_FORBIDDEN & set(password):
        return None
    message = (
        "The parameter MasterUserPassword is not a valid password. "
        "Only printable ASCII characters besides '/', '@', '\"', ' ' may be used."
    )
    return ApiError("InvalidParameterValue", message)


def database_name(parameters: Parameters) -> ApiError | None:
    name = parameters.get("DBName")
    if not name or DATABASE_NAME.fullmatch(name):
        return None
    message = "DBName must begin with a letter and contain only alphanumeric characters."
    return ApiError("InvalidParameterValue", message)


def port(parameters: Parameters) -> ApiError | None:
    asked = parameters.get("Port", parameters.get("DBPortNumber"))
    if asked is None or asked in PORTS:
        return None
    message = f"Invalid endpoint port {asked}, valid port range is {PORTS[0]}-{PORTS[-1]}."
    return ApiError("InvalidParameterValue", message)


def storage_type(parameters: Parameters) -> ApiError | None:
    asked = parameters.get("StorageType")
    if asked is None or asked in STORAGE_GIB or asked.startswith("aurora"):
        return None
    return ApiError("InvalidParameterValue", f"Invalid storage type: {asked}")


def storage_kind(parameters: Parameters) -> str:
    """The storage type of a new instance; who asks for IOPS and for no type gets io1."""
    default = "gp3" if parameters.get("Iops") is None else "io1"
    return str(parameters.get("StorageType") or default)


def storage_size(parameters: Parameters) -> ApiError | None:
    size, kind = parameters.get("AllocatedStorage"), storage_kind(parameters)
    if size is None or size in STORAGE_GIB.get(kind, (size,)):
        return None
    return _invalid_size(size, kind)


def storage_performance(parameters: Parameters) -> ApiError | None:
    chosen = parameters.get("Iops") is not None or parameters.get("StorageThroughput") is not None
    if (
        not chosen
        or storage_kind(parameters) != "gp3"
        or parameters.get("AllocatedStorage", 0) >= CHOSEN_PERFORMANCE_FROM_GIB
    ):
        return None
    message = (
        f"You can't specify IOPS or storage throughput for engine {ENGINE} "
        f"and a storage size less than {CHOSEN_PERFORMANCE_FROM_GIB}."
    )
    return ApiError("InvalidParameterCombination", message)


def maximum_storage(maximum: int | None, allocated: int, *, is_new: bool) -> ApiError | None:
    """Storage autoscaling needs room; a maximum equal to what an existing instance has switches it off."""
    if maximum is None or maximum >= allocated * AUTOSCALING_HEADROOM or (maximum == allocated and not is_new):
        return None
    if maximum <= allocated:
        return ApiError("InvalidParameterCombination", "Max storage size must be greater than storage size")
    message = "The maximum allocated storage must be increased by at least 10 percent."
    return ApiError("InvalidParameterCombination", message)


def storage_shrink(asked: int | None, current: int, kind: str) -> ApiError | None:
    return _invalid_size(asked, kind) if asked is not None and asked < current else None


def engine_version(asked: str | None, current: str, *, major_allowed: bool) -> ApiError | None:
    """A version may only grow, and its major only with leave. A bare major names any of its minors."""
    if not asked or f"{current}.".startswith(f"{asked}."):
        return None
    if _version(asked) < _version(current):
        return ApiError("InvalidParameterCombination", f"Cannot upgrade {ENGINE} from {current} to {asked}")
    if _version(asked)[0] != _version(current)[0] and not major_allowed:
        message = "The AllowMajorVersionUpgrade flag must be present when upgrading to a new major version."
        return ApiError("InvalidParameterCombination", message)
    return None


def backup_retention(parameters: Parameters) -> ApiError | None:
    days = parameters.get("BackupRetentionPeriod")
    if days is None or days in BACKUP_RETENTION_DAYS:
        return None
    message = f"Invalid backup retention period: {days}. Retention period must be between 0 and 35"
    return ApiError("InvalidParameterValue", message)


def instance_class(parameters: Parameters) -> ApiError | None:
    asked = parameters.get("DBInstanceClass")
    if asked is None or asked.startswith("db."):
        return None
    return ApiError("InvalidParameterValue", f"Invalid DB Instance class: {asked}")


def multi_az_zone(parameters: Parameters) -> ApiError | None:
    if not parameters.get("MultiAZ") or not parameters.get("AvailabilityZone"):
        return None
    message = "Requesting a specific availability zone is not valid for Multi-AZ instances."
    return ApiError("InvalidParameterCombination", message)


def subnet_group_name(parameters: Parameters) -> ApiError | None:
    name = parameters.get("DBSubnetGroupName", "")
    if SUBNET_GROUP_NAME.fullmatch(name):
        return None
    return ApiError("InvalidParameterValue", f"The parameter DBSubnetGroupName is not a valid identifier: {name}")


def reserved_subnet_group(parameters: Parameters) -> ApiError | None:
    if parameters.get("DBSubnetGroupName", "").lower() != "default":
        return None
    return ApiError("InvalidParameterValue", "DBSubnetGroupName default is reserved")


def subnet_zones(zones: Iterable[str]) -> ApiError | None:
    found = set(zones)
    if len(found) != 1:
        return None
    message = (
        "The DB subnet group doesn't meet Availability Zone (AZ) coverage requirement. "
        f"Current AZ coverage: {found.pop()}. Add subnets to cover at least 2 AZs."
    )
    return ApiError("DBSubnetGroupDoesNotCoverEnoughAZs", message)


def group_vpc(database_vpc: str, group_vpcs: Iterable[str]) -> ApiError | None:
    for vpc in group_vpcs:
        if vpc != database_vpc:
            message = (
                "The DB instance and EC2 security group are in different VPCs. "
                f"The DB instance is in {database_vpc} and the EC2 security group is in {vpc}"
            )
            return ApiError("InvalidParameterCombination", message)
    return None


def final_snapshot(parameters: Parameters) -> ApiError | None:
    skipped, snapshot = parameters.get("SkipFinalSnapshot", False), parameters.get("FinalDBSnapshotIdentifier")
    if skipped and snapshot:
        message = "FinalDBSnapshotIdentifier can not be specified when SkipFinalSnapshot is set"
        return ApiError("InvalidParameterCombination", message)
    if not skipped and not snapshot:
        message = "FinalDBSnapshotIdentifier is required unless SkipFinalSnapshot is specified."
        return ApiError("InvalidParameterCombination", message)
    return None


def parameter_group_name(parameters: Parameters) -> ApiError | None:
    name = parameters.get("DBParameterGroupName") or ""
    if PARAMETER_GROUP_NAME.fullmatch(name):
        return None
    return ApiError("InvalidParameterValue", f"The parameter DBParameterGroupName is not a valid identifier: {name}")


def unknown_parameter(parameters: Parameters) -> ApiError | None:
    for one in parameters.get("Parameters") or []:
        if one.get("ParameterName") not in PARAMETERS:
            return ApiError("InvalidParameterValue", f"Could not find parameter with name: {one.get('ParameterName')}")
    return None


def static_parameter(parameters: Parameters) -> ApiError | None:
    for one in parameters.get("Parameters") or []:
        known = PARAMETERS.get(one.get("ParameterName"), {})
        if one.get("ApplyMethod") == "immediate" and known.get("ApplyType") == "static":
            message = "cannot use immediate apply method for static parameter"
            return ApiError("InvalidParameterCombination", message)
    return None


def parameter_family(group: str, family: str, fitting: str) -> ApiError | None:
    if family == fitting:
        return None
    message = (
        f"The parameter group {group} with DBParameterGroupFamily {family} can't be used for this instance. "
        f"Use a parameter group with DBParameterGroupFamily {fitting}."
    )
    return ApiError("InvalidParameterCombination", message)


def log_types(parameters: Parameters) -> ApiError | None:
    changed = parameters.get("CloudwatchLogsExportConfiguration") or {}
    asked = {*(parameters.get("EnableCloudwatchLogsExports") or []), *(changed.get("EnableLogTypes") or [])}
    if asked <= LOG_TYPES:
        return None
    message = (
        f"You cannot use the log types {', '.join(map(repr, sorted(asked - LOG_TYPES)))} with engine version {ENGINE}. "
        "For supported log types, see the documentation."
    )
    return ApiError("InvalidParameterCombination", message)


def _invalid_size(size: int, kind: str) -> ApiError:
    message = f"Invalid storage size for engine name {ENGINE} and storage type {kind}: {size}"
    return ApiError("InvalidParameterCombination", message)


def _version(text: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", text)) or (0,)


# --- reading the account ------------------------------------------------------------------------------------------


def _instance(call: Call, account: Account) -> Any | None:
    return account.backends("rds").databases.get(call.parameters.get("DBInstanceIdentifier"))


def _maximum_storage(call: Call, account: Account) -> ApiError | None:
    existing = None if call.name == CREATE else _instance(call, account)
    allocated = int(call.parameters.get("AllocatedStorage") or (existing.allocated_storage if existing else 0))
    return maximum_storage(call.parameters.get("MaxAllocatedStorage"), allocated, is_new=existing is None)


def _storage_shrink(call: Call, account: Account) -> ApiError | None:
    existing = _instance(call, account)
    if existing is None:
        return None
    asked = call.parameters.get("AllocatedStorage")
    return storage_shrink(asked, int(existing.allocated_storage), existing.storage_type)


def _engine_version(call: Call, account: Account, *, downgrade: bool) -> ApiError | None:
    existing = _instance(call, account)
    if existing is None:
        return None
    allowed = downgrade or bool(call.parameters.get("AllowMajorVersionUpgrade"))
    error = engine_version(call.parameters.get("EngineVersion"), existing.engine_version, major_allowed=allowed)
    return error if error is None or downgrade == error.message.startswith("Cannot") else None


def _downgrade(call: Call, account: Account) -> ApiError | None:
    return _engine_version(call, account, downgrade=True)


def _major_upgrade(call: Call, account: Account) -> ApiError | None:
    return _engine_version(call, account, downgrade=False)


def _stopped(call: Call, account: Account) -> ApiError | None:
    existing = _instance(call, account)
    if existing is None or existing.status not in STOPPED:
        return None
    name = call.parameters["DBInstanceIdentifier"]
    return ApiError("InvalidDBInstanceState", f"Database instance {name} is not in available state.")


def _unknown_subnet(call: Call, account: Account) -> ApiError | None:
    known = {subnet.id for subnet in account.backends("ec2").describe_subnets()}
    for name in call.parameters.get("SubnetIds") or []:
        if name not in known:
            return ApiError("InvalidSubnet", f"The subnet ID '{name}' does not exist")
    return None


def _subnet_zones(call: Call, account: Account) -> ApiError | None:
    asked = call.parameters.get("SubnetIds") or []
    subnets = account.backends("ec2").describe_subnets()
    return subnet_zones(subnet.availability_zone for subnet in subnets if subnet.id in asked)


def _subnet_group_in_use(call: Call, account: Account) -> ApiError | None:
    name = call.parameters.get("DBSubnetGroupName", "").lower()
    for database in account.backends("rds").databases.values():
        if database.db_subnet_group is not None and database.db_subnet_group.name == name:
            message = (
                f"Cannot delete the subnet group '{name}' because at least one database instance: "
                f"{database.db_instance_identifier} is still using it."
            )
            return ApiError("InvalidDBSubnetGroupStateFault", message)
    return None


def _parameter_family(call: Call, account: Account) -> ApiError | None:
    existing = None if call.name == CREATE else _instance(call, account)
    version = call.parameters.get("EngineVersion") or (existing.engine_version if existing else "")
    group = account.backends("rds").db_parameter_groups.get(call.parameters.get("DBParameterGroupName") or "")
    if group is None or not version:
        return None
    return parameter_family(group.name, group.family, f"{ENGINE}{_version(version)[0]}")


def _parameter_group_in_use(call: Call, account: Account) -> ApiError | None:
    name = call.parameters.get("DBParameterGroupName") or ""
    if all(database.db_parameter_group_name != name for database in account.backends("rds").databases.values()):
        return None
    message = (
        f"One or more database instances are still members of this parameter group {name}, so the group cannot be "
        "deleted"
    )
    return ApiError("InvalidDBParameterGroupState", message)


def _groups(call: Call, account: Account) -> dict[str, Any]:
    ec2 = account.backends("ec2")
    return {name: ec2.get_security_group_from_id(name) for name in call.parameters.get("VpcSecurityGroupIds") or []}


def _unknown_group(call: Call, account: Account) -> ApiError | None:
    for name, group in _groups(call, account).items():
        if group is None:
            return ApiError("InvalidParameterValue", f"Invalid security group , groupId= {name}, groupName=.")
    return None


def _group_vpc(call: Call, account: Account) -> ApiError | None:
    existing = None if call.name == CREATE else _instance(call, account)
    rds = account.backends("rds")
    wanted = call.parameters.get("DBSubnetGroupName") or ""
    # moto's instance does not even have the attribute where it has no subnet group.
    group = getattr(existing, "db_subnet_group", None) if existing else rds.subnet_groups.get(wanted)
    default = account.backends("ec2").get_default_vpc()
    vpc = group.vpc_id if group else getattr(default, "id", "")
    return group_vpc(vpc, [found.vpc_id for found in _groups(call, account).values() if found])


RULES = (
    Rule(
        "rds-user-name",
        (CREATE,),
        "a master user name that is not 1-16 letters, digits and underscores, first a letter",
        "facts 1.5, botocore rds CreateDBInstanceMessage.MasterUsername",
        by_parameters(user_name),
    ),
    Rule(
        "rds-reserved-user-name",
        (CREATE,),
        "a master user name that the engine reserves: `admin`, `rdsadmin`, `pg_…`",
        "facts 1.5",
        by_parameters(reserved_user),
    ),
    Rule(
        "rds-password-missing",
        (CREATE,),
        "an instance without a master password",
        "botocore rds CreateDBInstanceMessage.ManageMasterUserPassword",
        by_parameters(missing_password),
    ),
    Rule(
        "rds-password-length",
        (CREATE, MODIFY),
        "a master password shorter than 8 or longer than 128 characters",
        "facts 1.1",
        by_parameters(password_length),
    ),
    Rule(
        "rds-password-characters",
        (CREATE, MODIFY),
        'a master password with `/`, `@`, `"`, a space, or anything but printable ASCII',
        "facts 1.2",
        by_parameters(password_characters),
    ),
    Rule(
        "rds-database-name",
        (CREATE,),
        "a database name that is not 1-63 letters, digits and underscores, first a letter",
        "facts 1.6",
        by_parameters(database_name),
    ),
    Rule(
        "rds-port",
        (CREATE, MODIFY),
        "a port outside 1150-65535",
        "facts 1.6",
        by_parameters(port),
    ),
    Rule(
        "rds-storage-type",
        (CREATE, MODIFY),
        "a storage type that RDS does not have",
        "botocore rds CreateDBInstanceMessage.StorageType; code not verified",
        by_parameters(storage_type),
    ),
    Rule(
        "rds-storage-size",
        (CREATE,),
        "storage outside its type's range: gp3 20-65536 GiB",
        "facts 1.7, convox/rack#2846",
        by_parameters(storage_size),
    ),
    Rule(
        "rds-storage-performance",
        (CREATE,),
        "IOPS or throughput for gp3 below 400 GiB",
        "facts 1.7, cdklabs/awscdk-service-spec#1322",
        by_parameters(storage_performance),
    ),
    Rule(
        "rds-maximum-storage",
        (CREATE, MODIFY),
        "a storage maximum less than 10 % above the allocated storage",
        "facts 1.8, ministryofjustice/cloud-platform-environments#7471 and #24422",
        _maximum_storage,
    ),
    Rule(
        "rds-storage-shrink",
        (MODIFY,),
        "less storage than there is",
        "facts 1.8 and 11.6",
        _storage_shrink,
    ),
    Rule(
        "rds-modify-stopped",
        (MODIFY,),
        "changing an instance that is stopped, its deletion protection too",
        "rds-ug/USER_StopInstance.md, botocore rds InvalidDBInstanceStateFault; message not verified",
        _stopped,
    ),
    Rule(
        "rds-engine-downgrade",
        (MODIFY,),
        "an older engine version",
        "facts 11.7, ansible-collections/amazon.aws#1583",
        _downgrade,
    ),
    Rule(
        "rds-major-upgrade",
        (MODIFY,),
        "a new major version without AllowMajorVersionUpgrade",
        "aws-controllers-k8s/community#1265",
        _major_upgrade,
    ),
    Rule(
        "rds-backup-retention",
        (CREATE, MODIFY),
        "a backup retention outside 0-35 days",
        "facts 1.9",
        by_parameters(backup_retention),
    ),
    Rule(
        "rds-instance-class",
        (CREATE, MODIFY),
        "an instance class that does not begin with `db.`",
        "ryanmurakami/trash-panda-buffet#5",
        by_parameters(instance_class),
    ),
    Rule(
        "rds-multi-az-zone",
        (CREATE,),
        "a chosen zone for a Multi-AZ instance",
        "botocore rds CreateDBInstanceMessage.AvailabilityZone; code not verified",
        by_parameters(multi_az_zone),
    ),
    Rule(
        "rds-subnet-group-name",
        (CREATE_GROUP,),
        "a subnet group name with other characters than letters, digits, `.`, `_`, space and `-`, or over 255",
        "facts 1.6",
        by_parameters(subnet_group_name),
    ),
    Rule(
        "rds-subnet-group-default",
        (CREATE_GROUP,),
        "a subnet group named `default`",
        "facts 1.6; code not verified",
        by_parameters(reserved_subnet_group),
    ),
    Rule(
        "rds-subnet-unknown",
        (CREATE_GROUP, "rds.ModifyDBSubnetGroup"),
        "a subnet that does not exist",
        "botocore rds InvalidSubnet",
        _unknown_subnet,
    ),
    Rule(
        "rds-subnet-group-zones",
        (CREATE_GROUP, "rds.ModifyDBSubnetGroup"),
        "a subnet group in one zone",
        "facts 1.20, botocore rds DBSubnetGroupDoesNotCoverEnoughAZs",
        _subnet_zones,
    ),
    Rule(
        "rds-subnet-group-in-use",
        ("rds.DeleteDBSubnetGroup",),
        "deleting a subnet group that an instance uses",
        "botocore rds DeleteDBSubnetGroup and InvalidDBSubnetGroupStateFault",
        _subnet_group_in_use,
    ),
    Rule(
        "rds-security-group-unknown",
        (CREATE, MODIFY),
        "a security group that does not exist",
        "botocore rds CreateDBInstanceMessage.VpcSecurityGroupIds; code not verified",
        _unknown_group,
    ),
    Rule(
        "rds-security-group-vpc",
        (CREATE, MODIFY),
        "a security group of another VPC",
        "terraform-aws-modules/terraform-aws-rds#451",
        _group_vpc,
    ),
    Rule(
        "rds-parameter-group-name",
        ("rds.CreateDBParameterGroup",),
        "a parameter group name that is not 1-255 letters, digits and single hyphens, first a letter, last no hyphen",
        "botocore rds CreateDBParameterGroupMessage.DBParameterGroupName; code not verified",
        by_parameters(parameter_group_name),
    ),
    Rule(
        "rds-parameter-group-family",
        (CREATE, MODIFY),
        "a parameter group of another major version's family",
        "mattermost/mattermost-load-test-ng#707",
        _parameter_family,
    ),
    Rule(
        "rds-parameter-group-in-use",
        ("rds.DeleteDBParameterGroup",),
        "deleting a parameter group that an instance uses",
        "hashicorp/terraform-provider-aws#6448",
        _parameter_group_in_use,
    ),
    Rule(
        "rds-parameter-unknown",
        (CHANGE_PARAMETERS,),
        "a parameter that PostgreSQL on RDS does not have; of the embedded cloud those are few",
        "botocore rds ModifyDBParameterGroupMessage.Parameters; wording not verified",
        by_parameters(unknown_parameter),
    ),
    Rule(
        "rds-parameter-static",
        (CHANGE_PARAMETERS,),
        "a static parameter that is to be applied immediately",
        "botocore rds ModifyDBParameterGroupMessage.Parameters",
        by_parameters(static_parameter),
    ),
    Rule(
        "rds-log-types",
        (CREATE, MODIFY),
        "the export of a log that PostgreSQL does not write",
        "awsdocs/amazon-rds-user-guide#80",
        by_parameters(log_types),
    ),
    Rule(
        "rds-final-snapshot",
        ("rds.DeleteDBInstance",),
        "a deletion that neither names a final snapshot nor skips it, or does both",
        "facts 1.19",
        by_parameters(final_snapshot),
    ),
)

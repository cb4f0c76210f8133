# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""RDS: a real PostgreSQL behind each endpoint name, TLS only unless its parameter group says otherwise, reachable as
soon as the API says `available`.

moto keeps the description of an instance; this module makes it true. Containers are made, stopped and removed one
after another by one worker, so that a second wish for the same name waits for the first.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import re
import secrets
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from ipaddress import IPv4Address
from typing import Any, Final

from localcloud import certificates, settings
from localcloud.api import Api
from localcloud.parameter_groups import FORCE_SSL, value_of
from localcloud.resolver import Names
from localcloud.security_groups import Member
from localcloud.services import Service, wait_until
from localcloud.shell import CommandError, docker, docker_succeeds, labels
from localcloud.wire import ApiError, Call

log = logging.getLogger(__name__)

ENGINE: Final = "postgres"
ADMINISTRATOR: Final = "rdsadmin"  # RDS's own superuser; the master user is none
SUPERUSER_ROLE: Final = "rds_superuser"
PORT: Final = 5432
SCRAM_ITERATIONS: Final = 4096
START_TIMEOUT_SECONDS: Final = 300.0

# What RDS answers for gp3 below 400 GiB, where neither can be chosen. moto leaves them out; rds_instance needs them.
GP3_IOPS: Final = 3000
GP3_THROUGHPUT: Final = 125

DATA_DIR: Final = "/srv/database"
SOCKET_DIR: Final = "/tmp"
BIN_DIR: Final = "/usr/lib/postgresql/{major}/bin"

# The server's files are written from standard input: the key must not appear among anyone's arguments.
INITIALIZE: Final = """\
install --directory --owner=postgres --group=postgres --mode=0700 {data}/cluster
cd {data}/cluster
exec setpriv --reuid=postgres --regid=postgres --clear-groups sh -eu <<'SCRIPT'
umask 077
{bin}/initdb --pgdata=. --username={administrator} --encoding=UTF8 --locale=C.UTF-8 --auth=reject --no-sync
cat >pg_hba.conf <<'END'
local all {administrator} peer map=administrator
hostssl all {administrator} all reject
{clients}
END
echo 'administrator postgres {administrator}' >pg_ident.conf
cat >>postgresql.conf <<'END'
listen_addresses = '*'
port = {port}
unix_socket_directories = '{socket}'
password_encryption = 'scram-sha-256'
ssl = on
ssl_cert_file = 'server.crt'
ssl_key_file = 'server.key'
END
cat >server.crt <<'END'
{certificate}
END
cat >server.key <<'END'
{key}
END
SCRIPT
"""

# What takes the place of the line of all clients, whatever it was, at a restart.
ADMIT: Final = "sed --in-place '$c {clients}' {data}/cluster/pg_hba.conf"

# moto would answer these with an instance that has no server behind it.
UNSUPPORTED: Final = (
    "CreateDBCluster",
    "CreateDBInstanceReadReplica",
    "RestoreDBInstanceFromDBSnapshot",
    "RestoreDBInstanceToPointInTime",
)


# --- pure decisions -----------------------------------------------------------------------------------------------


def choose_version(wanted: str | None, available: str) -> str:
    """The full version for an EngineVersion parameter: a bare major gets the minor that is there, as at RDS."""
    if wanted in (None, available, available.partition(".")[0]):
        return available
    raise ApiError("InvalidParameterCombination", f"Cannot find version {wanted} for {ENGINE}")


def refuse_creation(parameters: Mapping[str, Any]) -> None:
    """What RDS has and this embedded one has not."""
    if parameters.get("Engine") != ENGINE:
        raise ApiError(
            "InvalidParameterValue", f"Invalid DB engine: {parameters.get('Engine')}. The embedded cloud has {ENGINE}."
        )
    if parameters.get("ManageMasterUserPassword"):
        message = "The embedded cloud does not manage master passwords: give MasterUserPassword."
        raise ApiError("InvalidParameterCombination", message)


def scram_verifier(password: str, salt: bytes) -> str:
    """What PostgreSQL stores for a password (RFC 5803), so that the password itself stays in this process."""
    salted = hashlib.pbkdf2_hmac("sha256", password.encode("ascii"), salt, SCRAM_ITERATIONS)
    stored_key = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    server_key = hmac.digest(salted, b"Server Key", "sha256")
    encoded_salt, stored, server = (b64encode(part).decode() for part in (salt, stored_key, server_key))
    return f"SCRAM-SHA-256${SCRAM_ITERATIONS}:{encoded_salt}${stored}:{server}"


def clients_line(force_ssl: str | None) -> str:
    """pg_hba.conf's last line, as RDS writes it for rds.force_ssl."""
    return f"host{'ssl' if force_ssl == '1' else ''} all all all scram-sha-256"


def identifier(name: str) -> str:
    """A quoted SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def creation_sql(user: str, verifier: str, database: str | None) -> str:
    """The master user as RDS makes it: no superuser, but the owner of its database and able to make more."""
    owner = identifier(user)
    statements = [
        f"CREATE ROLE {SUPERUSER_ROLE} NOLOGIN",
        f"GRANT pg_monitor, pg_signal_backend, pg_checkpoint TO {SUPERUSER_ROLE} WITH ADMIN OPTION",
        f"CREATE ROLE {owner} LOGIN CREATEDB CREATEROLE PASSWORD '{verifier}' IN ROLE {SUPERUSER_ROLE}",
        f"ALTER DATABASE postgres OWNER TO {owner}",
    ]
    if database and database != "postgres":
        statements.append(f"CREATE DATABASE {identifier(database)} OWNER {owner}")
    return ";\n".join(statements) + ";\n"


def password_sql(user: str, verifier: str) -> str:
    return f"ALTER ROLE {identifier(user)} PASSWORD '{verifier}';\n"


def container_name(instance_identifier: str) -> str:
    return f"academy-localcloud-database-{instance_identifier.lower()}"


def free_address(used: set[IPv4Address]) -> IPv4Address:
    """The lowest database address that no database has."""
    for address in settings.DATABASES_CIDR.hosts():
        if address not in used:
            return address
    raise ApiError("InstanceQuotaExceeded", f"All addresses of {settings.DATABASES_CIDR} are taken by databases")


def visible(instance: Mapping[str, Any]) -> dict[str, Any]:
    """An instance as RDS shows it: without endpoint until there is one."""
    hidden = {"Endpoint"} if instance["DBInstanceStatus"] == "creating" else set()
    return {name: value for name, value in instance.items() if name not in hidden}


# --- the instances ------------------------------------------------------------------------------------------------


class Databases:
    """The PostgreSQL containers behind moto's DB instances."""

    def __init__(self, api: Api, names: Names, image: str) -> None:
        self._api = api
        self._names = names
        self._image = image
        self._services: dict[str, Service] = {}
        self._queue = ThreadPoolExecutor(max_workers=1, thread_name_prefix="databases")
        hooks = api.hooks
        hooks.register("rds", "CreateDBInstance", before=self._before_create, after=self._after_create)
        hooks.register("rds", "DescribeDBInstances", after=self._after_describe)
        hooks.register("rds", "DescribeDBEngineVersions", instead=self._describe_versions)
        hooks.register("rds", "ModifyDBInstance", before=self._before_modify, after=self._after_modify)
        hooks.register("rds", "StopDBInstance", after=self._after_stop)
        hooks.register("rds", "StartDBInstance", after=self._after_start)
        hooks.register("rds", "RebootDBInstance", before=self._before_reboot, after=self._after_reboot)
        hooks.register("rds", "DeleteDBInstance", after=self._after_delete)
        for action in UNSUPPORTED:
            hooks.register("rds", action, instead=self._refuse)

    def start(self) -> None:
        """Nothing runs before the first CreateDBInstance."""

    def stop(self) -> None:
        self._queue.shutdown(cancel_futures=True)

    def members(self) -> Iterator[Member]:
        """Every database with its security groups. Hold the API's lock."""
        for instance in self._api.backends("rds").databases.values():
            service = self._services.get(container_name(instance.db_instance_identifier))
            if service is not None:
                yield Member(service.address, tuple(instance.vpc_security_group_ids))

    @cached_property
    def version(self) -> str:
        """The server's full version, from the server."""
        said = docker(
            "run", "--rm", "--network=none", self._image, "sh", "-c", f"{BIN_DIR.format(major='*')}/postgres -V"
        )
        found = re.search(r"\d+\.\d+", said)
        if not found:
            raise CommandError(f"postgres -V says {said!r}, which names no version")
        return found[0]

    @property
    def _bin_dir(self) -> str:
        return BIN_DIR.format(major=self.version.partition(".")[0])

    # --- hooks; they run under the API's lock --------------------------------------------------------------------

    def _before_create(self, call: Call) -> None:
        refuse_creation(call.parameters)
        choose_version(call.parameters.get("EngineVersion"), self.version)

    def _after_create(self, call: Call, result: dict[str, Any]) -> Mapping[str, Any]:
        parameters = call.parameters
        instance = self._instance(parameters["DBInstanceIdentifier"])
        instance.engine_version = self.version
        instance.status = "creating"
        if instance.storage_type == "gp3":
            instance.iops = instance.iops or GP3_IOPS
            instance.storage_throughput = instance.storage_throughput or GP3_THROUGHPUT
        service = self._service(instance)
        self._services[service.name] = service
        verifier = scram_verifier(parameters["MasterUserPassword"], secrets.token_bytes(16))
        sql = creation_sql(parameters["MasterUsername"], verifier, parameters.get("DBName"))
        clients = self._clients(instance)
        self._submit(instance, lambda: self._create(service, instance.address, sql, clients), "available")
        shown = {**result["DBInstance"], "EngineVersion": self.version, "DBInstanceStatus": instance.status}
        return {"DBInstance": visible(shown)}

    def _after_describe(self, call: Call, result: dict[str, Any]) -> Mapping[str, Any]:
        return {**result, "DBInstances": [visible(instance) for instance in result["DBInstances"]]}

    def _describe_versions(self, call: Call) -> Mapping[str, Any]:
        engine, wanted = call.parameters.get("Engine"), call.parameters.get("EngineVersion")
        major = self.version.partition(".")[0]
        if engine not in (None, ENGINE) or wanted not in (None, self.version, major):
            return {"DBEngineVersions": []}
        version = {
            "Engine": ENGINE,
            "EngineVersion": self.version,
            "MajorEngineVersion": major,
            "DBParameterGroupFamily": f"{ENGINE}{major}",
            "DBEngineDescription": "PostgreSQL",
            "DBEngineVersionDescription": f"PostgreSQL {self.version}",
            "ValidUpgradeTarget": [],
            "Status": "available",
        }
        return {"DBEngineVersions": [version]}

    def _before_modify(self, call: Call) -> None:
        if call.parameters.get("MasterUserPassword") is not None:
            self._refuse_unless_available(call, "modified")
        if call.parameters.get("EngineVersion"):
            choose_version(call.parameters["EngineVersion"], self.version)
        if call.parameters.get("NewDBInstanceIdentifier"):
            message = "The embedded cloud cannot rename a DB instance: its endpoint and its container bear the name."
            raise ApiError("InvalidParameterCombination", message)

    def _after_modify(self, call: Call, result: dict[str, Any]) -> Mapping[str, Any] | None:
        instance = self._instance(result["DBInstance"]["DBInstanceIdentifier"])
        instance.engine_version = self.version
        password = call.parameters.get("MasterUserPassword")
        if password is None:
            return None
        sql = password_sql(instance.master_username, scram_verifier(password, secrets.token_bytes(16)))
        service = self._services[container_name(instance.db_instance_identifier)]
        instance.status = "resetting-master-credentials"
        self._submit(instance, lambda: self._execute(service, sql), "available")
        return {"DBInstance": {**result["DBInstance"], "DBInstanceStatus": instance.status}}

    def _after_stop(self, call: Call, result: dict[str, Any]) -> Mapping[str, Any]:
        return self._change(result, "stopping", lambda service: docker("stop", service.name), "stopped")

    def _after_start(self, call: Call, result: dict[str, Any]) -> Mapping[str, Any]:
        return self._change_parameters(result, "starting")

    def _before_reboot(self, call: Call) -> None:
        self._refuse_unless_available(call, "rebooted")

    def _after_reboot(self, call: Call, result: dict[str, Any]) -> Mapping[str, Any]:
        return self._change_parameters(result, "rebooting")

    def _after_delete(self, call: Call, result: dict[str, Any]) -> None:
        name = container_name(result["DBInstance"]["DBInstanceIdentifier"])
        service = self._services.pop(name)
        self._names.remove(result["DBInstance"]["Endpoint"]["Address"])
        self._enqueue(service.remove, name)

    def _refuse(self, call: Call) -> Mapping[str, Any]:
        raise ApiError("InvalidParameterCombination", f"The embedded cloud has no {call.action}.")

    def _refuse_unless_available(self, call: Call, participle: str) -> None:
        name = call.parameters["DBInstanceIdentifier"]
        instance = self._instance(name)
        if instance.status != "available":
            message = (
                f"Database instance {name} is not in available state and cannot be {participle}: {instance.status}."
            )
            raise ApiError("InvalidDBInstanceState", message)

    # --- work that takes its time --------------------------------------------------------------------------------

    def _clients(self, instance: Any) -> str:
        (group,) = instance.db_parameter_groups()
        return clients_line(value_of(group, FORCE_SSL))

    def _change_parameters(self, result: Mapping[str, Any], passing: str) -> Mapping[str, Any]:
        """What the parameter group says by now holds from the restart on."""
        clients = self._clients(self._instance(result["DBInstance"]["DBInstanceIdentifier"]))
        return self._change(result, passing, lambda service: self._restart(service, clients), "available")

    def _change(
        self, result: Mapping[str, Any], passing: str, work: Callable[[Service], object], reached: str
    ) -> Mapping[str, Any]:
        """Let an instance pass through a status until its container is where it shall be."""
        instance = self._instance(result["DBInstance"]["DBInstanceIdentifier"])
        service = self._services[container_name(instance.db_instance_identifier)]
        instance.status = passing
        self._submit(instance, lambda: work(service), reached)
        return {"DBInstance": {**result["DBInstance"], "DBInstanceStatus": passing}}

    def _submit(self, instance: Any, work: Callable[[], object], reached: str) -> None:
        def finish() -> None:
            status = "failed"
            try:
                work()
                status = reached
            finally:
                with self._api.lock:
                    instance.status = status
                log.info("database %s is %s", instance.db_instance_identifier, status)

        self._enqueue(finish, instance.db_instance_identifier)

    def _enqueue(self, work: Callable[[], object], what: str) -> None:
        def guarded() -> None:
            try:
                work()
            except Exception:
                log.exception("work on database %s failed", what)

        self._queue.submit(guarded)

    def _create(self, service: Service, endpoint: str, sql: str, clients: str) -> None:
        certificate, key = certificates.issue([endpoint], [service.address])
        script = INITIALIZE.format(
            data=DATA_DIR,
            bin=self._bin_dir,
            administrator=ADMINISTRATOR,
            port=PORT,
            socket=SOCKET_DIR,
            certificate=certificate.decode(),
            key=key.decode(),
            clients=clients,
        )
        service.remove()
        service.create_volume()
        initialize = ["run", "--rm", "--interactive", "--network=none", *labels(service.kind)]
        docker(*initialize, *service.mounts(), service.image, "sh", "-eu", text=script)
        service.create()
        self._await(service)
        self._execute(service, sql)
        self._names.set(endpoint, service.address)

    def _restart(self, service: Service, clients: str) -> None:
        # One that is stopped runs for its file to be changed.
        docker("start", service.name)
        docker("exec", "--user=postgres", service.name, "sh", "-c", ADMIT.format(clients=clients, data=DATA_DIR))
        docker("restart", service.name)
        self._await(service)

    def _await(self, service: Service) -> None:
        ready = ("exec", service.name, f"{self._bin_dir}/pg_isready", f"--host={SOCKET_DIR}", "--quiet")
        wait_until(lambda: docker_succeeds(*ready), f"PostgreSQL answers in {service.name}", START_TIMEOUT_SECONDS)

    def _execute(self, service: Service, sql: str) -> None:
        """Run SQL as RDS's own superuser, through the socket that only this machine reaches."""
        psql = [f"{self._bin_dir}/psql", "--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1"]
        target = [f"--host={SOCKET_DIR}", f"--username={ADMINISTRATOR}", "--dbname=postgres"]
        docker("exec", "--interactive", "--user=postgres", service.name, *psql, *target, text=sql)

    def _instance(self, name: str) -> Any:
        (instance,) = self._api.backends("rds").describe_db_instances(name)
        return instance

    def _service(self, instance: Any) -> Service:
        return Service(
            name=container_name(instance.db_instance_identifier),
            kind=settings.KIND_DATABASE,
            image=self._image,
            address=free_address({service.address for service in self._services.values()}),
            command=[f"{self._bin_dir}/postgres", "-D", f"{DATA_DIR}/cluster"],
            # A fast shutdown: the default signal waits until the last client has gone.
            options=["--user=postgres", "--stop-signal=SIGINT", "--shm-size=256m"],
            volume=DATA_DIR,
        )

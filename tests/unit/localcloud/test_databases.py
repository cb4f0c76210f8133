# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from base64 import b64decode
from ipaddress import IPv4Address
from typing import Any

import pytest

from localcloud.databases import (
    choose_version,
    clients_line,
    creation_sql,
    free_address,
    password_sql,
    refuse_creation,
    scram_verifier,
    visible,
)
from localcloud.wire import ApiError

GOOD = {"Engine": "postgres", "MasterUsername": "academy_user", "MasterUserPassword": "correct-horse-battery"}


@pytest.mark.parametrize("wanted", [None, "15", "15.14"])
def test_what_is_there_is_chosen(wanted: str | None) -> None:
    assert choose_version(wanted, "15.14") == "15.14"


@pytest.mark.parametrize("wanted", ["16", "15.1", "1", "14.9", ""])
def test_another_version_is_refused_as_rds_does(wanted: str) -> None:
    with pytest.raises(ApiError) as refusal:
        choose_version(wanted, "15.14")
    assert refusal.value.code == "InvalidParameterCombination"
    assert refusal.value.message == f"Cannot find version {wanted} for postgres"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"Engine": "mysql"}, "The embedded cloud has postgres"),
        ({"ManageMasterUserPassword": True}, "give MasterUserPassword"),
    ],
)
def test_what_is_not_there_is_refused(change: dict[str, Any], said: str) -> None:
    refuse_creation(GOOD)
    with pytest.raises(ApiError, match=said):
        refuse_creation({**GOOD, **change})


def test_the_verifier_is_that_of_rfc_7677() -> None:
    assert scram_verifier("pencil", b64decode("W22ZaJ0SNY7soEsUEjb6gQ==")) == (
        "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:"
        "wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="
    )


def test_the_master_user_owns_its_database_and_is_no_superuser() -> None:
    sql = creation_sql("academy_user", "VERIFIER", "academy")
    assert "CREATE ROLE \"academy_user\" LOGIN CREATEDB CREATEROLE PASSWORD 'VERIFIER' IN ROLE rds_superuser;" in sql
    assert 'CREATE DATABASE "academy" OWNER "academy_user";' in sql
    assert " SUPERUSER" not in sql


@pytest.mark.parametrize("database", [None, "postgres"])
def test_the_database_postgres_exists_always(database: str | None) -> None:
    assert "CREATE DATABASE" not in creation_sql("academy_user", "VERIFIER", database)


@pytest.mark.parametrize(("force_ssl", "kind"), [("1", "hostssl"), ("0", "host"), (None, "host")])
def test_clients_without_tls_are_let_in_only_where_the_parameter_says_so(force_ssl: str | None, kind: str) -> None:
    assert clients_line(force_ssl) == f"{kind} all all all scram-sha-256"


def test_names_are_quoted() -> None:
    assert password_sql('a"b', "V") == 'ALTER ROLE "a""b" PASSWORD \'V\';\n'


def test_the_lowest_free_address_is_taken() -> None:
    first, second, third = (IPv4Address(f"172.31.241.{n}") for n in (1, 2, 3))
    assert free_address(set()) == first
    assert free_address({first, third}) == second


def test_an_instance_that_is_being_created_has_no_endpoint() -> None:
    instance = {"DBInstanceStatus": "creating", "Endpoint": {"Address": "a"}, "Engine": "postgres"}
    assert visible(instance) == {"DBInstanceStatus": "creating", "Engine": "postgres"}
    available = {**instance, "DBInstanceStatus": "available"}
    assert visible(available) == available

# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""On the story's cloud: its security groups open what they say, to whom they say, and nothing else."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from ipaddress import IPv4Address

import pytest

from localcloud import demo, settings
from tests import support
from tests.e2e.test_story import API_HOST, MESSAGING_HOST, VIDEO_HOST, awake
from tests.namespaces import OPEN, SILENT, outcome

SSH, POSTGRESQL = 22, 5432
# This machine is an operator by the one address, and nobody by the other.
OPERATOR, NOBODY = settings.GATEWAY, settings.RESOLVER
PATIENCE_SECONDS = 3
BOUND_SECONDS = 15
SILENCE_STATUS = 124  # of timeout(1)


def from_here(address: str, port: int, source: IPv4Address = OPERATOR) -> str:
    """What becomes of a connection from this machine."""
    here = (str(source), 0)
    return outcome(lambda: socket.create_connection((address, port), PATIENCE_SECONDS, here).close())


def from_host(name: str, address: str, port: int) -> str:
    """What becomes of a connection from a host."""
    attempt = ("timeout", str(PATIENCE_SECONDS), "bash", "-c", f"</dev/tcp/{address}/{port}")
    done = support.on_host(str(support.instance(name)["instance_id"]), *attempt)
    return {0: OPEN, SILENCE_STATUS: SILENT}.get(done.returncode, done.stderr)


def becomes(wanted: str, attempt: Callable[[], str]) -> bool:
    """Whether an attempt ends like this within seconds after the call before it, also on a machine that is busy."""
    deadline = time.monotonic() + BOUND_SECONDS
    while (found := attempt()) != wanted and time.monotonic() < deadline:
        time.sleep(0.05)
    return found == wanted


@pytest.fixture(scope="module")
def api() -> str:
    return str(support.instance(API_HOST)["address"])


@pytest.fixture(scope="module")
def database() -> str:
    """Its private address, by its name, as a host finds it."""
    found = demo.database()
    assert found
    host = str(support.instance(MESSAGING_HOST)["instance_id"])
    return support.on_host(host, "getent", "hosts", found["endpoint"].partition(":")[0]).stdout.split()[0]


def test_a_worker_reaches_the_database_and_the_api_and_nobodys_ssh(api: str, database: str) -> None:
    assert from_host(MESSAGING_HOST, database, POSTGRESQL) == OPEN
    assert from_host(MESSAGING_HOST, api, demo.API_PORT) == OPEN
    assert from_host(MESSAGING_HOST, api, SSH) == SILENT


def test_the_api_reaches_the_database_and_no_worker(database: str) -> None:
    assert from_host(API_HOST, database, POSTGRESQL) == OPEN
    assert from_host(API_HOST, str(support.instance(MESSAGING_HOST)["address"]), SSH) == SILENT


def test_only_an_operators_address_reaches_the_hosts(api: str) -> None:
    worker = str(support.instance(MESSAGING_HOST)["address"])
    for address, port in ((api, SSH), (api, demo.API_PORT), (worker, SSH)):
        assert (from_here(address, port), from_here(address, port, NOBODY)) == (OPEN, SILENT), (address, port)


def test_not_even_an_operator_reaches_the_database(database: str) -> None:
    assert from_here(database, POSTGRESQL) == SILENT


def test_a_host_that_was_started_is_no_more_open_than_before() -> None:
    with awake(VIDEO_HOST):
        address = str(support.instance(VIDEO_HOST)["address"])
        assert (from_here(address, SSH), from_here(address, SSH, NOBODY)) == (OPEN, SILENT)


def test_what_is_authorized_opens_and_what_is_revoked_closes(api: str) -> None:
    ec2 = demo.client("ec2")
    named = [{"Name": "group-name", "Values": ["academy-api-sg"]}]
    (group,) = (found["GroupId"] for found in ec2.describe_security_groups(Filters=named)["SecurityGroups"])
    ranges = [{"CidrIp": f"{NOBODY}/32"}]
    permissions = [{"IpProtocol": "tcp", "FromPort": SSH, "ToPort": SSH, "IpRanges": ranges}]

    def attempt() -> str:
        return from_here(api, SSH, NOBODY)

    assert attempt() == SILENT
    ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=permissions)
    try:
        assert becomes(OPEN, attempt)
    finally:
        ec2.revoke_security_group_ingress(GroupId=group, IpPermissions=permissions)
    assert becomes(SILENT, attempt)

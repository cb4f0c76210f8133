# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""An empty account for the provisioning playbook, and ways to look at it and to meddle with it."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from localcloud import demo, operator_key, settings
from tests import support

PLAYBOOK = "playbooks/provision.yml"
TEARDOWN = "playbooks/teardown.yml"
LOCAL = "inventories/local"


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind((settings.API_HOST, 0))
        return int(listener.getsockname()[1])


@dataclass(frozen=True)
class Account:
    """The embedded cloud's API alone, empty at first."""

    url: str

    def client(self, service: str) -> Any:
        return demo.client(service, self.url)

    def _get(self, page: str) -> dict[str, Any]:
        with urllib.request.urlopen(f"{self.url}/_localcloud/{page}", timeout=10) as answer:
            return dict(json.load(answer))

    def is_ready(self) -> bool:
        try:
            return bool(self._get("health")["status"] == "ready")
        except OSError:
            return False

    def calls(self) -> dict[str, int]:
        return self._get("calls")

    def push(self, repository: str) -> None:
        """Let a repository have an image."""
        urllib.request.urlopen(f"{self.url}/_localcloud/pushes/{repository}", timeout=10).close()

    def writes(self) -> dict[str, int]:
        return self._get("calls?writes=1")

    def instances(self, name: str = "*") -> list[dict[str, Any]]:
        pages = (
            self.client("ec2")
            .get_paginator("describe_instances")
            .paginate(Filters=[{"Name": "tag:Name", "Values": [name]}])
        )
        return [instance for page in pages for found in page["Reservations"] for instance in found["Instances"]]

    def arguments(self, playbook: str, inventory: str = LOCAL) -> tuple[str, ...]:
        """ansible-playbook's arguments for that inventory's hosts, against this account."""
        return "-i", f"{inventory}/hosts.yml", playbook, "-e", f"aws_endpoint_url={self.url}"

    def provision(self, name: str, *arguments: str, inventory: str = LOCAL) -> support.Run:
        """Run the playbook on the hosts of an inventory, against this account."""
        return support.playbook(*self.arguments(PLAYBOOK, inventory), *arguments, name=f"provision-{name}")

    def teardown(self, name: str, *arguments: str, inventory: str = LOCAL) -> support.Run:
        return support.playbook(*self.arguments(TEARDOWN, inventory), *arguments, name=f"teardown-{name}")


@pytest.fixture(scope="module")
def account() -> Iterator[Account]:
    operator_key.ensure_operator_key()
    port = free_port()
    server = subprocess.Popen(
        [sys.executable, "-m", "tests.integration.provision.control_plane", str(port)],
        cwd=support.ROOT,
        stdin=subprocess.PIPE,
    )
    account = Account(f"http://{settings.API_HOST}:{port}")
    try:
        support.wait_until(account.is_ready, "the API answers")
        yield account
    finally:
        server.communicate(timeout=30)

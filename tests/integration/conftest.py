# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""An empty account for playbooks and policies, and ways to look at it and to meddle with it."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from localcloud import demo, operator_key, settings
from tests import support

PLAYBOOK = "playbooks/provision.yml"
WITH_DOORS = "tests/integration/provision/provision_and_doors.yml"
TEARDOWN = "playbooks/teardown.yml"
PLAN = "playbooks/plan.yml"
LOCAL = "inventories/local"
# Arguments of a run whom nothing limits.
OWNER = (
    "-e",
    f"aws_access_key={settings.OPERATOR_ACCESS_KEY}",
    "-e",
    f"aws_secret_key={settings.OPERATOR_SECRET_KEY}",
)


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind((settings.API_HOST, 0))
        return int(listener.getsockname()[1])


@dataclass(frozen=True)
class Account:
    """The embedded cloud's API alone, empty at first.

    Playbooks call it as the operator, whom the published policies limit. Clients of tests call it as its owner, whom
    nothing limits, and are the hands of all others who meddle with it.
    """

    url: str
    operator: Path  # the operator's keys, as ansible-playbook takes them

    def client(self, service: str) -> Any:
        return demo.client(service, self.url)

    def _get(self, page: str) -> dict[str, Any]:
        with urllib.request.urlopen(f"{self.url}/_localcloud/{page}", timeout=10) as answer:
            return dict(json.load(answer))

    def become(self, **circumstances: Any) -> None:
        """Make the account one like that."""
        request = urllib.request.Request(
            f"{self.url}/_localcloud/{settings.ACCOUNT_PAGE}?{urlencode(circumstances)}", method="POST"
        )
        urllib.request.urlopen(request, timeout=10).close()

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

    def grow_old(self, certificate: str, days_left: int) -> None:
        """Let a certificate end in so many days, or have ended."""
        urllib.request.urlopen(f"{self.url}/_localcloud/ages/{days_left}/{certificate}", timeout=10).close()

    def writes(self) -> dict[str, int]:
        """Without those of the deploy lock, which passes with its run; test_deploy_lock.py looks at them."""
        return {call: count for call, count in self._get("calls?writes=1").items() if not call.startswith("ssm.")}

    def instances(self, name: str = "*") -> list[dict[str, Any]]:
        pages = (
            self.client("ec2")
            .get_paginator("describe_instances")
            .paginate(Filters=[{"Name": "tag:Name", "Values": [name]}])
        )
        return [instance for page in pages for found in page["Reservations"] for instance in found["Instances"]]

    def grants(self) -> dict[str, Any]:
        """What was allowed and denied to whom."""
        return self._get("grants")

    def arguments(self, *playbooks: str, inventory: str = LOCAL) -> tuple[str, ...]:
        """ansible-playbook's arguments for that inventory's hosts, against this account.

        The policies are those of one deployment: another inventory's is the owner's.
        """
        operator = ("-e", f"@{self.operator}") if inventory == LOCAL else ()
        return "-i", f"{inventory}/hosts.yml", *playbooks, "-e", f"aws_endpoint_url={self.url}", *operator

    def provision(self, name: str, *arguments: str, inventory: str = LOCAL) -> support.Run:
        """Provision the hosts of an inventory, against this account, and open or close its doors."""
        command = self.arguments(WITH_DOORS, inventory=inventory)
        return support.playbook(*command, *arguments, name=f"provision-{name}")

    def plan(self, name: str, *arguments: str, status: int) -> dict[str, Any]:
        """What playbooks/plan.yml reports, which ends with that exit status and writes nothing into the account."""
        before, file = self.writes(), self.operator.with_name(f"plan-{name}.json")
        run = support.playbook(
            *self.arguments(PLAN), *arguments, "-e", f"plan_report_file={file}", name=f"plan-{name}"
        ).expect(status)
        assert self.writes() == before
        report: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        assert f"\n{report['summary']}\n" in run.output
        return report

    def teardown(self, name: str, *arguments: str, inventory: str = LOCAL) -> support.Run:
        return support.playbook(*self.arguments(TEARDOWN, inventory=inventory), *arguments, name=f"teardown-{name}")


@pytest.fixture(scope="session")
def operator_grants() -> dict[str, dict[str, Any]]:
    """Module of tests → what was allowed and denied on its account."""
    return {}


@pytest.fixture(scope="module")
def account(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    operator_grants: dict[str, dict[str, Any]],
) -> Iterator[Account]:
    operator_key.ensure_operator_key()
    port = free_port()
    server = subprocess.Popen(
        [sys.executable, "-m", "tests.integration.provision.control_plane", str(port)],
        cwd=support.ROOT,
        stdin=subprocess.PIPE,
    )
    operator = tmp_path_factory.mktemp("operator", numbered=True) / "keys.json"
    account = Account(f"http://{settings.API_HOST}:{port}", operator)
    try:
        support.wait_until(account.is_ready, "the API answers")
        keys = {f"aws_{name}": value for name, value in account._get("operator").items()}
        operator.write_text(json.dumps({**keys, "preflight_permissions": True}), encoding="utf-8")
        yield account
        module = request.module.__name__.rpartition(".")[2]
        operator_grants[module] = account.grants()
        support.LOG_DIR.mkdir(parents=True, exist_ok=True)
        (support.LOG_DIR / f"grants-{module}.json").write_text(json.dumps(operator_grants[module], indent=2))
    finally:
        server.communicate(timeout=30)

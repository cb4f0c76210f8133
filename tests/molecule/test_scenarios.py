# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every molecule scenario of the repository, on the shared embedded cloud."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest
import yaml

from tests import support

SCENARIOS = sorted(directory.parent.name for directory in support.ROOT.glob("molecule/*/molecule.yml"))
# A scenario mostly waits, for its host and for SSH; each has a host of its own.
AT_ONCE = 3
TIMEOUT_SECONDS = 1200
ENVIRONMENT = {
    # molecule reads neither ansible.cfg's collections path nor anybody's activated environment.
    "ANSIBLE_COLLECTIONS_PATH": str(support.ROOT / ".collections"),
    "ANSIBLE_CONFIG": str(support.ROOT / "ansible.cfg"),
    # What a scenario alone would make for itself is there already.
    "MOLECULE_CREATE": "create",
}


def run_scenario(scenario: str) -> support.Run:
    molecule = str(Path(sys.executable).with_name("molecule"))
    return support.run(
        molecule, "test", "-s", scenario,
        name=f"molecule-{scenario}", environment=ENVIRONMENT, timeout_seconds=TIMEOUT_SECONDS,
    )  # fmt: skip


@pytest.fixture(scope="module")
def runs() -> Iterator[Mapping[str, Future[support.Run]]]:
    """All scenarios, a few at a time. What several of them need of AWS is there before they start."""
    support.playbook(
        "molecule/shared/release.yml",
        "--inventory=molecule/shared/inventory",
        "--extra-vars=deployment_name=molecule",
        f"--extra-vars=local_project_dir={support.ROOT}",
        name="molecule-release",
    ).expect()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        yield {scenario: pool.submit(run_scenario, scenario) for scenario in SCENARIOS}
        # After the first failure pytest asks for no more.
        pool.shutdown(wait=True, cancel_futures=True)


def roles_of_hosts() -> set[str]:
    """The roles that configure.yml applies on hosts, and what those of the services share."""
    plays = yaml.safe_load((support.ROOT / "playbooks" / "configure.yml").read_text(encoding="utf-8"))
    applied = {
        role["role"].rpartition(".")[2]
        for play in plays
        if play.get("connection") != "local"
        for role in play.get("roles", [])
    }
    assert len(applied) >= 8
    return applied | {"container"}


def test_every_role_of_a_host_has_a_scenario() -> None:
    assert roles_of_hosts() - set(SCENARIOS) == set()


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_scenario(scenario: str, runs: Mapping[str, Future[support.Run]]) -> None:
    runs[scenario].result().expect()

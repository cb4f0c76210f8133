# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every molecule scenario of the repository, on the shared embedded cloud."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Future

import pytest
import yaml

from tests import scenarios, support


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
    assert roles_of_hosts() - set(scenarios.NAMES) == set()


@pytest.mark.parametrize("scenario", scenarios.NAMES)
def test_scenario(scenario: str, scenario_runs: Mapping[str, Future[support.Run]]) -> None:
    scenario_runs[scenario].result().expect()

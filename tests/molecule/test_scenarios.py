# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every molecule scenario of the repository, on the shared embedded cloud."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests import support

SCENARIOS = sorted(directory.parent.name for directory in support.ROOT.glob("molecule/*/molecule.yml"))


def test_there_are_scenarios() -> None:
    assert {"docker", "swap", "transcode_volume"} <= set(SCENARIOS)


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_scenario(scenario: str) -> None:
    environment = {
        # molecule reads neither ansible.cfg's collections path nor anybody's activated environment.
        "ANSIBLE_COLLECTIONS_PATH": str(support.ROOT / ".collections"),
        "ANSIBLE_CONFIG": str(support.ROOT / "ansible.cfg"),
    }
    molecule = str(Path(sys.executable).with_name("molecule"))
    support.run(molecule, "test", "-s", scenario, name=f"molecule-{scenario}", environment=environment).expect()

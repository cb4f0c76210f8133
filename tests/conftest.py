# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fixtures and settings of every test."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import Future

import hypothesis
import pytest

from tests import scenarios, support

# How long one example takes says more of what else the machine does than of the code.
hypothesis.settings.register_profile("project", deadline=None)
hypothesis.settings.load_profile("project")


@pytest.fixture(scope="session")
def machine_before() -> dict[str, list[str]]:
    """This machine as it was before the first test that touches it."""
    return support.machine()


@pytest.fixture(scope="session")
def every_argument() -> set[str]:
    """The arguments of every process seen while playbooks ran."""
    return set()


@pytest.fixture(scope="session")
def scenario_runs() -> Iterator[Mapping[str, Future[support.Run]]]:
    """Molecule's scenarios, which begin when the first test asks for them, and run beside those that follow."""
    with scenarios.running() as runs:
        yield runs

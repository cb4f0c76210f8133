# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fixtures and settings of every test."""

from __future__ import annotations

import hypothesis
import pytest

from tests import support

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

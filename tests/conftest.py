# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fixtures of every test."""

from __future__ import annotations

import pytest

from tests import support


@pytest.fixture(scope="session")
def machine_before() -> dict[str, list[str]]:
    """This machine as it was before the first test that touches it."""
    return support.machine()

# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every input of a role stands in its defaults, required ones as comments, and in its argument specs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

ROLES = sorted((Path(__file__).resolve().parents[2] / "roles").iterdir())
COMMENTED = re.compile(r"^# (\w+):$", re.MULTILINE)


@pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)
def test_inputs(role: Path) -> None:
    entry_points = yaml.safe_load((role / "meta/argument_specs.yml").read_text(encoding="utf-8"))["argument_specs"]
    defaults = (role / "defaults/main.yml").read_text(encoding="utf-8")
    specified = {name for entry_point in entry_points.values() for name in entry_point.get("options", {})}
    assert set(yaml.safe_load(defaults) or {}) | set(COMMENTED.findall(defaults)) == specified


@pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)
def test_a_required_input_has_no_default(role: Path) -> None:
    entry_points = yaml.safe_load((role / "meta/argument_specs.yml").read_text(encoding="utf-8"))["argument_specs"]
    defaults = yaml.safe_load((role / "defaults/main.yml").read_text(encoding="utf-8")) or {}
    required = {
        name
        for entry_point in entry_points.values()
        for name, option in entry_point.get("options", {}).items()
        if option.get("required")
    }
    assert not required & set(defaults)

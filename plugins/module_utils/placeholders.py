# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which values of an inventory nobody has filled in yet."""

from __future__ import annotations

from collections.abc import Mapping

PLACEHOLDER = "CHANGE-ME"
# Ansible shows all variables once more in this one.
ALL_VARIABLES = "vars"


def unfilled(variables: Mapping[str, object]) -> list[str]:
    """The names of the variables with a placeholder somewhere in their value, as it is written."""
    return sorted(name for name, value in variables.items() if name != ALL_VARIABLES and _contains(value))


def filled(variables: Mapping[str, object]) -> set[str]:
    """The names of the variables that somebody gave a value."""
    return {name for name, value in variables.items() if value is not None and value != ""} - {*unfilled(variables)}


def _contains(value: object) -> bool:
    if isinstance(value, str):
        return PLACEHOLDER in value
    # Nothing else that looks like them: Ansible's own, such as hostvars, would resolve every template in them.
    if isinstance(value, dict):
        return any(_contains(item) for item in value.values())
    return isinstance(value, list) and any(_contains(item) for item in value)

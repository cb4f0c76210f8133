# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Variables one by one: what cannot be resolved hides nothing else."""

from __future__ import annotations

from ansible.parsing.dataloader import DataLoader
from ansible.template import trust_as_template

from plugins.plugin_utils.variables import table_rows


def test_rows_of_a_table_may_be_templates_and_what_is_none_is_kept() -> None:
    given = {
        "A": {"value": trust_as_template("{{ missing }}"), "minimum": trust_as_template("{{ least }}")},
        "B": {"value": "x", "choices": trust_as_template("{{ missing }}")},
        "C": "no row",
        "D": {"value": trust_as_template("{{ least }}")},
    }
    rows, resolved = table_rows(given, {"least": 5}, DataLoader())
    assert rows == {"A": {"value": None, "minimum": 5}, "C": "no row", "D": {"value": None}}
    assert resolved.values == {"B": "x", "D": 5}
    assert resolved.unresolved == {"A": "missing", "B": "missing"}

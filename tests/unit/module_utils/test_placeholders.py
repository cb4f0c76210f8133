# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which values of an inventory nobody has filled in yet."""

from __future__ import annotations

import pytest

from plugins.module_utils.placeholders import filled, unfilled


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("CHANGE-ME", True),
        ("https://CHANGE-ME:8000", True),
        (["academy", "CHANGE-ME"], True),
        ({"name": {"value": "CHANGE-ME"}}, True),
        ("academy", False),
        ("", False),
        (None, False),
        (8000, False),
        ({"CHANGE-ME": "x"}, False),
    ],
)
def test_unfilled(value: object, found: bool) -> None:
    assert unfilled({"owner": value, "aws_region": "x"}) == (["owner"] if found else [])


def test_all_are_named_at_once() -> None:
    variables = {"release": "CHANGE-ME", "owner": "CHANGE-ME"}
    assert unfilled({**variables, "vars": variables}) == ["owner", "release"]


def test_a_vault_that_nobody_filled_in_has_nothing() -> None:
    variables: dict[str, object] = {"a": None, "b": "", "c": "CHANGE-ME", "d": "x", "e": 0, "f": False, "g": []}
    assert filled(variables) == {"d", "e", "f", "g"}

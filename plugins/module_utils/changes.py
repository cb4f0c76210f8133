# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How decisions say what they found and what they want instead."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

MISSING = "missing"


def reason(comparisons: Iterable[tuple[str, Any, Any]]) -> str:
    """Each (property, found, wanted) that differs; empty when everything is as it should be."""
    return "; ".join(f"{name}: {found} -> {wanted}" for name, found, wanted in comparisons if found != wanted)


def with_reasons(reasons: Iterable[tuple[Mapping[str, Any], str]]) -> list[dict[str, Any]]:
    """What there is a reason to make or to mend, with it; the rest is left alone."""
    return [{**wanted, "reason": why} for wanted, why in reasons if why]

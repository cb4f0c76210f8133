# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Policies as AWS tells them: in another order, and without the list around a single element."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any


def canonical(policy: Any) -> Any:
    """Equal for policies that mean the same."""
    if isinstance(policy, Mapping):
        return {key: canonical(value if isinstance(value, list) else [value]) for key, value in policy.items()}
    if isinstance(policy, list):
        return sorted(map(canonical, policy), key=lambda element: json.dumps(element, sort_keys=True))
    return policy


def as_text(policy: Any) -> str:
    """The policy in one line, to be compared and to be read."""
    return json.dumps(canonical(policy), sort_keys=True, separators=(",", ":"))

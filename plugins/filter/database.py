# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether databases have settled, for templates."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible_collections.academy.deploy.plugins.module_utils.database import settled


class FilterModule:
    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"databases_settled": settled}

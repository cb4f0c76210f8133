# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names of queues, for templates."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible_collections.academy.deploy.plugins.module_utils.queues import with_dead_letter_queues


class FilterModule:
    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"with_dead_letter_queues": with_dead_letter_queues}

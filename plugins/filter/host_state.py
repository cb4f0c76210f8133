# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What differs on a host from what a role keeps, for templates. All of them read what host_state_info returns."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..module_utils.host_state import is_settled, outdated_images, path_differences


class FilterModule:
    def filters(self) -> dict[str, Callable[..., Any]]:
        return {
            "container_is_settled": is_settled,
            "outdated_images": outdated_images,
            "path_differences": path_differences,
        }

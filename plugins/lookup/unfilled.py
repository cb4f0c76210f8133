# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Thin lookup over module_utils/placeholders.py. No filter: those see values only once they are resolved."""

from __future__ import annotations

from typing import Any

from ansible.plugins.lookup import LookupBase

from ..module_utils.placeholders import unfilled

DOCUMENTATION = r"""
name: unfilled
short_description: Names of the variables that still hold a placeholder
description:
  - Looks at the host's variables as they are written, without resolving any template in them.
version_added: 0.1.0
author:
  - academy.deploy contributors (@academy)
options: {}
"""

EXAMPLES = r"""
that: query('academy.deploy.unfilled') | length == 0
"""

RETURN = r"""
_raw:
  description: The names, sorted.
  type: list
  elements: str
"""


class LookupModule(LookupBase):  # type: ignore[misc]
    def run(self, terms: list[Any], variables: dict[str, Any] | None = None, **kwargs: Any) -> list[str]:
        return unfilled(variables or {})

# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Print the rules as docs/localcloud.md shows them."""

from __future__ import annotations

from localcloud.strict import table

print(table())

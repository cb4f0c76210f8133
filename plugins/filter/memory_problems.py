# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Thin filter over module_utils/memory.py."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ..module_utils.memory import memory_problems, running_limits_mib

DOCUMENTATION = r"""
name: memory_problems
short_description: Say why a container's memory limit does not fit its host
description:
  - The limits of all containers of a host, plus 400 MiB for the system, must fit into the memory that the kernel shows.
  - The memory of the instance type is what the kernel shows, rounded up to a full GiB.
version_added: 0.1.0
author:
  - academy.deploy contributors (@academy)
options:
  _input:
    description: Name of the container.
    type: str
    required: true
  limit_mib:
    description: Its limit in MiB. V(0) means none.
    type: int
    required: true
  expected_mib:
    description: Limits of containers that are meant for the host, by name, whether they run yet or not.
    type: dict
    required: true
  host:
    description: >-
      The host, as M(academy.deploy.host_state_info) returns it with its containers. Running ones count, and the memory
      that the kernel shows.
    type: dict
    required: true
  instance_min_mib:
    description: Memory that the instance type must at least have. V(0) demands none.
    type: int
    required: true
"""

EXAMPLES = r"""
that: "'academy-api' | academy.deploy.memory_problems(1200, {}, host_state, 0) | length == 0"
"""

RETURN = r"""
_value:
  description: One sentence for each problem.
  type: list
  elements: str
"""


def problems(
    name: str, limit_mib: int, expected_mib: Mapping[str, int], host: Mapping[str, Any], instance_min_mib: int
) -> list[str]:
    # What a neighbour is meant to have wins over what it has: its own role is about to change it.
    others = {**running_limits_mib(host["containers"]), **{name: int(limit) for name, limit in expected_mib.items()}}
    return memory_problems(name, limit_mib, others, host["memory_total_mib"], instance_min_mib)


class FilterModule:
    def filters(self) -> dict[str, Callable[..., object]]:
        return {"memory_problems": problems}

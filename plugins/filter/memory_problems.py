# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Thin filter over module_utils/memory.py."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ..module_utils.memory import memory_problems

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
  containers:
    description: The containers that run on the host, as C(community.docker.docker_container_info) returns them.
    type: list
    elements: dict
    required: true
  total_mib:
    description: Memory that the kernel shows.
    type: int
    required: true
  instance_min_mib:
    description: Memory that the instance type must at least have. V(0) demands none.
    type: int
    required: true
"""

EXAMPLES = r"""
that: "'academy-api' | academy.deploy.memory_problems(1200, [], 1900, 0) | length == 0"
"""

RETURN = r"""
_value:
  description: One sentence for each problem.
  type: list
  elements: str
"""

BYTES_PER_MIB = 1024**2


def problems(
    name: str, limit_mib: int, containers: Iterable[Mapping[str, Any]], total_mib: int, instance_min_mib: int
) -> list[str]:
    limits = {
        container["Name"].lstrip("/"): container["HostConfig"]["Memory"] // BYTES_PER_MIB for container in containers
    }
    return memory_problems(name, limit_mib, limits, total_mib, instance_min_mib)


class FilterModule:
    def filters(self) -> dict[str, Callable[..., object]]:
        return {"memory_problems": problems}

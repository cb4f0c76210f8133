# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What differs on a host from what a role keeps, for templates. All of them read what host_state_info returns."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from ..module_utils.docker import plan_docker
from ..module_utils.host_state import is_settled, missing_packages, outdated_images, path_differences
from ..module_utils.volume import mount_differences
from ..module_utils.watchdog import plan_watchdog, watchdog_problems


def docker_changes(
    state: Mapping[str, Any], packages: Sequence[str], paths: Iterable[Mapping[str, Any]]
) -> dict[str, Any]:
    return asdict(plan_docker(state, packages, paths))


def watchdog_changes(
    state: Mapping[str, Any], paths: Iterable[Mapping[str, Any]], units: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    return asdict(plan_watchdog(state, paths, units))


class FilterModule:
    def filters(self) -> dict[str, Callable[..., Any]]:
        return {
            "container_is_settled": is_settled,
            "docker_changes": docker_changes,
            "missing_packages": missing_packages,
            "mount_differences": mount_differences,
            "outdated_images": outdated_images,
            "path_differences": path_differences,
            "watchdog_changes": watchdog_changes,
            "watchdog_problems": watchdog_problems,
        }

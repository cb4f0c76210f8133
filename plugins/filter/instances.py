# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Decisions about instances, for templates."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible_collections.academy.deploy.plugins.module_utils.instances import (
    host_refusals,
    instance_changes,
    instance_refusals,
    instance_volumes,
    instances_named,
    launch_refusals,
    launch_subnets,
    spread,
)


class FilterModule:
    def filters(self) -> dict[str, Callable[..., Any]]:
        return {
            "host_refusals": host_refusals,
            "instance_changes": instance_changes,
            "instance_refusals": instance_refusals,
            "instance_volumes": instance_volumes,
            "instances_named": instances_named,
            "launch_refusals": launch_refusals,
            "launch_subnets": launch_subnets,
            "spread": spread,
        }

# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Decisions about instances, for templates."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible_collections.academy.deploy.plugins.module_utils.instances import (
    foreign_refusals,
    host_refusals,
    instance_changes,
    instance_refusals,
    instance_volumes,
    kept_tags,
    launch_refusals,
    launch_subnets,
    own_instances,
    spread,
    volume_tag_changes,
    volume_type_changes,
)
from ansible_collections.academy.deploy.plugins.module_utils.spot import (
    launch_template_changes,
    request_tag_changes,
    spot_market_options,
    spot_refusals,
    spot_template_name,
)


class FilterModule:
    def filters(self) -> dict[str, Callable[..., Any]]:
        return {
            "foreign_refusals": foreign_refusals,
            "host_refusals": host_refusals,
            "instance_changes": instance_changes,
            "instance_refusals": instance_refusals,
            "instance_volumes": instance_volumes,
            "kept_tags": kept_tags,
            "own_instances": own_instances,
            "launch_refusals": launch_refusals,
            "launch_subnets": launch_subnets,
            "launch_template_changes": launch_template_changes,
            "request_tag_changes": request_tag_changes,
            "spot_market_options": spot_market_options,
            "spot_refusals": spot_refusals,
            "spot_template_name": spot_template_name,
            "spread": spread,
            "volume_tag_changes": volume_tag_changes,
            "volume_type_changes": volume_type_changes,
        }

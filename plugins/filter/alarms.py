# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Decisions about alarms, for templates."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible_collections.academy.deploy.plugins.module_utils.alarms import (
    alarm_changes,
    alarm_problems,
    desired_alarms,
    email_subscriptions,
    missing_instances,
    topic_changes,
    topic_policy,
    untagged_alarms,
)
from ansible_collections.academy.deploy.plugins.module_utils.names import alarm_arn, topic_arn


class FilterModule:
    def filters(self) -> dict[str, Callable[..., Any]]:
        return {
            "alarm_arn": alarm_arn,
            "alarm_changes": alarm_changes,
            "alarm_problems": alarm_problems,
            "desired_alarms": desired_alarms,
            "email_subscriptions": email_subscriptions,
            "missing_instances": missing_instances,
            "topic_arn": topic_arn,
            "topic_changes": topic_changes,
            "topic_policy": topic_policy,
            "untagged_alarms": untagged_alarms,
        }

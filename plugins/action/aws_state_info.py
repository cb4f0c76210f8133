# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The whole AWS side of the deployment in one concurrent pass."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from ..module_utils.aws_calls import ReadError
from ..module_utils.aws_state import UnfitNetworkError, observe
from ..plugin_utils.aws_action import AwsInfoAction

NAMES = {"type": "list", "elements": "str"}


class ActionModule(AwsInfoAction):
    SPECIFICATION: ClassVar[Mapping[str, Any]] = {
        "caller": {"type": "bool"},
        "minimum_zones": {"type": "int"},
        "vpc_id": {"type": "str"},
        "subnet_ids": NAMES,
        "security_group_names": NAMES,
        "role_names": NAMES,
        "queue_names": NAMES,
        "repository_names": NAMES,
        "log_group_prefix": {"type": "str"},
        "alarm_prefix": {"type": "str"},
        "topic_arns": NAMES,
        "function_names": NAMES,
        "schedule_names": NAMES,
        "db_instance_identifier": {"type": "str"},
        "db_subnet_group_name": {"type": "str"},
        "instance_filters": {"type": "dict"},
        "instance_types": NAMES,
        "image_parameters": NAMES,
        "launch_template_names": NAMES,
        "load_balancer_names": NAMES,
        "target_group_names": NAMES,
        "bucket_names": NAMES,
        "certificates": NAMES,
        "public_names": NAMES,
    }
    RULES: ClassVar[Mapping[str, Any]] = {"required_by": {"security_group_names": ["minimum_zones"]}}

    def answer(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        try:
            return observe(parameters, self.client)
        except UnfitNetworkError as error:
            return {**error.state, "failed": True, "msg": str(error)}
        except ReadError as error:
            return {"failed": True, "msg": error.told()}

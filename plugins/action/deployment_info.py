# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Everything in an account and region that belongs to one deployment."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from ..module_utils.aws_calls import ReadError
from ..module_utils.deployment_state import Deployment, read_deployment
from ..plugin_utils.aws_action import AwsInfoAction


class ActionModule(AwsInfoAction):
    SPECIFICATION: ClassVar[Mapping[str, Any]] = {
        "deployment_name": {"type": "str", "required": True},
        "untagged": {"type": "dict", "default": {}},
    }

    def answer(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        whose = Deployment(parameters["deployment_name"], parameters["untagged"])
        try:
            return {"resources": read_deployment(whose, self.client)}
        except ReadError as error:
            return {"failed": True, "msg": error.told()}

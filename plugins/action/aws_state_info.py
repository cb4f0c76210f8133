# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The account of the credentials, images and load balancers, in one concurrent pass."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from ..module_utils.aws_calls import ReadError
from ..module_utils.aws_state import observe
from ..plugin_utils.aws_action import AwsInfoAction


class ActionModule(AwsInfoAction):
    SPECIFICATION: ClassVar[Mapping[str, Any]] = {
        "caller": {"type": "bool"},
        "container_images": {"type": "list", "elements": "str"},
        "image_parameters": {"type": "list", "elements": "str"},
        "load_balancer_names": {"type": "list", "elements": "str"},
    }

    def answer(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        try:
            return observe(parameters, self.client)
        except ReadError as error:
            return {"failed": True, "msg": error.told()}

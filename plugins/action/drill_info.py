# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The hosts of a drill, and why it cannot be held now."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from ..module_utils.aws_calls import ReadError
from ..module_utils.aws_state import observe
from ..module_utils.drill import drill_refusals
from ..plugin_utils.aws_action import AwsInfoAction

NAMES = {"type": "list", "elements": "str", "required": True}
STATES = ["pending", "running", "stopping", "stopped"]


class ActionModule(AwsInfoAction):
    SPECIFICATION: ClassVar[Mapping[str, Any]] = {
        "deployment_name": {"type": "str", "required": True},
        "host_names": NAMES,
        "queue_names": NAMES,
    }

    def answer(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        names, queues = parameters["host_names"], parameters["queue_names"]
        filters = {
            "tag:Name": names,
            "tag:Project": parameters["deployment_name"],
            "instance-state-name": STATES,
        }
        try:
            state = observe({"instance_filters": filters, "queue_names": queues}, self.client)
        except ReadError as error:
            return {"failed": True, "msg": error.told()}
        if refused := drill_refusals(names, queues, state["instances"], state["queues"]):
            return {"failed": True, "msg": "\n".join(refused)}
        return {"instance_ids": {instance["tags"]["Name"]: instance["instance_id"] for instance in state["instances"]}}

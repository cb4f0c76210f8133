# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The digest and the platforms of one image in ECR."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from ..module_utils.ecr_image import ImageError, find_image
from ..plugin_utils.aws_action import AwsInfoAction


class ActionModule(AwsInfoAction):
    SPECIFICATION: ClassVar[Mapping[str, Any]] = {
        "repository_name": {"type": "str", "required": True},
        "registry_id": {"type": "str"},
        "image_tag": {"type": "str"},
        "image_digest": {"type": "str"},
    }
    RULES: ClassVar[Mapping[str, Any]] = {
        "mutually_exclusive": [("image_tag", "image_digest")],
        "required_one_of": [("image_tag", "image_digest")],
    }

    def answer(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        client = self.client("ecr")
        try:
            return find_image(client, client.meta.region_name, parameters)
        except ImageError as error:
            return {"failed": True, "msg": str(error)}

# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which releases were shipped, and which one a rollback goes back to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, ClassVar

from ..module_utils.aws_calls import ReadError
from ..module_utils.aws_state import observe
from ..module_utils.releases import digests, going_back, read_releases, releases_name, shipped
from ..plugin_utils.aws_action import AwsInfoAction


class ActionModule(AwsInfoAction):
    SPECIFICATION: ClassVar[Mapping[str, Any]] = {"deployment_name": {"type": "str", "required": True}}

    def answer(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        asked = {"releases_parameter": releases_name(parameters["deployment_name"])}
        try:
            releases = read_releases(observe(asked, self.client)["releases"])
        except ReadError as error:
            return {"failed": True, "msg": error.told()}
        before = going_back(releases)
        return {
            "releases": [asdict(release) for release in releases],
            "before": before.release if before else "",
            "shipped": shipped(releases),
            "digests": digests(releases),
        }

# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Thin filter over module_utils/services.py."""

from __future__ import annotations

from collections.abc import Callable

from ..module_utils.services import Table
from ..module_utils.services import image_definitions as _image_definitions

DOCUMENTATION = r"""
name: image_definitions
short_description: Which Dockerfile becomes the image of which service
version_added: 0.1.0
author:
  - academy.deploy contributors (@academy)
options:
  _input:
    description: The rows of all services.
    type: dict
    required: true
"""

EXAMPLES = r"""
images_definitions: "{{ services | academy.deploy.image_definitions }}"
"""

RETURN = r"""
_value:
  description: For each service C(name) of the image and C(dockerfile).
  type: list
  elements: dict
"""


def image_definitions(services: Table) -> list[dict[str, str]]:
    return _image_definitions(services)


class FilterModule:
    def filters(self) -> dict[str, Callable[..., object]]:
        return {"image_definitions": image_definitions}

# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Thin filter over module_utils/environment_file.py."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from ..module_utils.environment_file import redact

DOCUMENTATION = r"""
name: redact_secrets
short_description: Replace secrets in a text by their names
description:
  - Makes log lines and error messages fit to be shown.
  - Values of fewer than 6 characters stay, because masking such words would hide nothing and make the text unreadable.
version_added: 0.1.0
author:
  - academy.deploy contributors (@academy)
positional: secrets
options:
  _input:
    description: The text.
    type: str
    required: true
  secrets:
    description: Names and values that must not be shown.
    type: dict
    required: true
"""

EXAMPLES = r"""
msg: "{{ log_lines | academy.deploy.redact_secrets({'DB_PASSWORD': database_password}) }}"
"""

RETURN = r"""
_value:
  description: The text, each secret replaced by its name in brackets.
  type: str
"""


def redact_secrets(text: str, secrets: Mapping[str, object]) -> str:
    return redact(text, secrets)


class FilterModule:
    def filters(self) -> dict[str, Callable[..., object]]:
        return {"redact_secrets": redact_secrets}

# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Thin filter over module_utils/environment_file.py."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from ansible.errors import AnsibleFilterError

from ..module_utils.environment_file import EnvironmentFileError, environment

DOCUMENTATION = r"""
name: environment_values
short_description: Settings and secrets as one environment of strings
description:
  - Merges settings and secrets into what M(community.docker.docker_container) takes as C(env).
  - Fails with everything that is wrong at once, naming variables and never values.
version_added: 0.1.0
author:
  - academy.deploy contributors (@academy)
positional: secrets
options:
  _input:
    description: Names and values that are no secrets.
    type: dict
    required: true
  secrets:
    description: Names and values that are secrets.
    type: dict
    required: true
"""

EXAMPLES = r"""
env: "{{ {'DEBUG': false} | academy.deploy.environment_values({'SECRET_KEY': application_secret_key}) }}"
"""

RETURN = r"""
_value:
  description: The environment, sorted by name.
  type: dict
"""


def environment_values(settings: Mapping[str, object], secrets: Mapping[str, object]) -> dict[str, str]:
    try:
        return environment(settings, secrets)
    except EnvironmentFileError as error:
        raise AnsibleFilterError(f"cannot compose the environment:\n{error}") from error


class FilterModule:
    def filters(self) -> dict[str, Callable[..., object]]:
        return {"environment_values": environment_values}

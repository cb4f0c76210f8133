# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Thin filter over module_utils/application_environment.py."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ansible.errors import AnsibleFilterError

from ..module_utils import services as rows_of
from ..module_utils.application_environment import ServiceEnvironmentError, Table, checked_environment
from ..module_utils.findings import texts


def service_environment(
    table: Table, service: str, host: str, own: Mapping[str, Any], services: rows_of.Table
) -> dict[str, dict[str, Any]]:
    problems = texts(rows_of.row_findings(services))
    if problems:
        raise AnsibleFilterError("\n".join(problems))
    try:
        settings, secrets = checked_environment(table, service, host, own, rows_of.rows(services))
    except ServiceEnvironmentError as error:
        raise AnsibleFilterError(f"the environment of {service} is not right:\n{error}") from error
    return {"settings": settings, "secrets": secrets}


class FilterModule:
    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"service_environment": service_environment}

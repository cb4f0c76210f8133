# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Decisions about the starter, for templates."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.academy.deploy.plugins.module_utils.archive import archive_of, code_sha256
from ansible_collections.academy.deploy.plugins.module_utils.names import function_arn, role_arn, rule_arn
from ansible_collections.academy.deploy.plugins.module_utils.starter import (
    function_changes,
    invoke_statement,
    other_settings_changes,
    permission_changes,
    schedule_changes,
    starter_settings,
    starter_workers,
)
from ansible_collections.academy.deploy.plugins.module_utils.tree import read_entries


def code_digest(path: str) -> str:
    """What Lambda will say of the code below a directory once it has it."""
    if not os.path.isdir(path):
        raise AnsibleFilterError(f"code_digest needs a directory, and {path!r} is none")
    return str(code_sha256(archive_of(read_entries(path))))


class FilterModule:
    def filters(self) -> dict[str, Callable[..., Any]]:
        return {
            "code_digest": code_digest,
            "function_arn": function_arn,
            "function_changes": function_changes,
            "invoke_statement": invoke_statement,
            "other_settings_changes": other_settings_changes,
            "permission_changes": permission_changes,
            "role_arn": role_arn,
            "rule_arn": rule_arn,
            "schedule_changes": schedule_changes,
            "starter_settings": starter_settings,
            "starter_workers": starter_workers,
        }

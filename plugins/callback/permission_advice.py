# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""After a call that IAM refused: which of the published policies would have allowed it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ansible import constants
from ansible.plugins.callback import CallbackBase
from ansible_collections.academy.deploy.plugins.module_utils.operator_policy import DOCUMENTS, advice, read_documents

DOCUMENTATION = r"""
name: permission_advice
type: notification
short_description: Name the policy that a refused AWS call lacks
description:
  - AWS names the action and the resource of a call that it refuses. What follows says which of
    C(docs/operator-policy-*.json) grants that action, whichever module has failed.
version_added: 0.1.0
author:
  - academy.deploy contributors (@academy)
requirements:
  - C(callbacks_enabled = academy.deploy.permission_advice) in C(ansible.cfg)
"""


def messages(result: Mapping[str, Any]) -> Iterator[str]:
    """What a failed task says, each item of its loop too."""
    for part in (result, *(part for part in result.get("results", []) if isinstance(part, Mapping))):
        if part.get("failed"):
            yield str(part.get("msg", ""))


class CallbackModule(CallbackBase):  # type: ignore[misc]
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "notification"
    CALLBACK_NAME = "academy.deploy.permission_advice"
    CALLBACK_NEEDS_ENABLED = True

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:
        documents = read_documents(DOCUMENTS)
        found = {advice(message, documents): message for message in messages({"failed": True, **result._result})}
        for told, message in found.items():
            # Our own actions have said it already.
            if told and told not in message:
                self._display.display(told, color=constants.COLOR_ERROR)

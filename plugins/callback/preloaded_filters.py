# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Says nothing: it is a callback because Ansible calls those before it makes the first process for a task."""

from __future__ import annotations

from typing import Any

from ansible.plugins.callback import CallbackBase
from ansible.plugins.loader import filter_loader

DOCUMENTATION = r"""
name: preloaded_filters
type: aggregate
short_description: Load this collection's filters once per run
description:
  - Ansible runs each task on each host in a process of its own. The first filter of a collection that such a process
    needs makes it read and compile the files of all, which is more work than most tasks are.
  - What is loaded before the first task, all those processes inherit. docs/performance.md has what that is worth.
  - Nothing but time depends on it.
version_added: 0.1.0
author:
  - academy.deploy contributors (@academy)
requirements:
  - C(callbacks_enabled = academy.deploy.preloaded_filters) in C(ansible.cfg)
"""


class CallbackModule(CallbackBase):  # type: ignore[misc]
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "academy.deploy.preloaded_filters"
    CALLBACK_NEEDS_ENABLED = True

    def v2_playbook_on_start(self, playbook: Any) -> None:
        # Whichever it is, the loader goes through the files of all.
        filter_loader.get("academy.deploy.tree_digest")

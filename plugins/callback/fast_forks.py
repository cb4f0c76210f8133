# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Says nothing: it is a callback because Ansible calls those before it forks the processes of its tasks."""

from __future__ import annotations

import gc
from typing import Any

from ansible.plugins.callback import CallbackBase
from ansible.plugins.loader import filter_loader

DOCUMENTATION = r"""
name: fast_forks
type: aggregate
short_description: Make the processes of tasks cheaper
description:
  - Ansible forks a process for each task on each host. What it would do again in each of them is done once here.
  - The first filter of a collection that such a process needs makes it read and compile the files of all, which is more
    work than most tasks are. What is loaded before the first task, all processes inherit.
  - Python's garbage collector goes through all that Ansible knows of inventory, roles and plugins, again and again, and
    copies every page of it that a process shares with the others. What is there when a play begins stays to the end, so
    the collector is told to leave it alone.
  - docs/performance.md has what that is worth. Nothing but time depends on it, and a little memory.
version_added: 0.1.0
author:
  - academy.deploy contributors (@academy)
requirements:
  - C(callbacks_enabled = academy.deploy.fast_forks) in C(ansible.cfg)
"""


class CallbackModule(CallbackBase):  # type: ignore[misc]
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "academy.deploy.fast_forks"
    CALLBACK_NEEDS_ENABLED = True

    def v2_playbook_on_start(self, playbook: Any) -> None:
        # Whichever it is, the loader goes through the files of all.
        filter_loader.get("academy.deploy.tree_digest")

    def v2_playbook_on_play_start(self, play: Any) -> None:
        gc.freeze()

# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""At the end of a run: its deploy lock ends, and what it shipped is recorded."""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from typing import Any

from ansible import constants
from ansible.plugins.callback import CallbackBase
from ansible_collections.academy.deploy.plugins.module_utils.deploy_lock import DIRECTORY, DONE, END, TROUBLE

DOCUMENTATION = r"""
name: deploy_lock
type: notification
short_description: End the deploy lock with the run
description:
  - Tells the process that M(academy.deploy.deploy_lock) has started how the run ended, and waits until it has ended the
    lock and recorded the release. No task can do that, because after a failure no task runs.
  - A run that is interrupted or killed calls no callback. Its lock ends by itself.
version_added: 0.1.0
author:
  - academy.deploy contributors (@academy)
requirements:
  - C(callbacks_enabled = academy.deploy.deploy_lock) in C(ansible.cfg)
"""
WAIT_SECONDS = 90
LOOK_SECONDS = 0.1


class CallbackModule(CallbackBase):  # type: ignore[misc]
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "notification"
    CALLBACK_NAME = "academy.deploy.deploy_lock"
    CALLBACK_NEEDS_ENABLED = True

    def v2_playbook_on_stats(self, stats: Any) -> None:
        directory = Path(constants.DEFAULT_LOCAL_TMP) / DIRECTORY
        if not directory.exists():
            return
        new = directory / f"{END}.new"
        new.write_text("failed" if stats.failures or stats.dark else "succeeded", encoding="utf-8")
        new.rename(directory / END)
        end = time.monotonic() + WAIT_SECONDS
        while not (directory / DONE).exists() and time.monotonic() < end:
            time.sleep(LOOK_SECONDS)
        told = directory / TROUBLE
        trouble = told.read_text(encoding="utf-8", errors="replace").strip() if told.exists() else "It had no keeper."
        if trouble or not (directory / DONE).exists():
            self._display.warning(
                "The deploy lock could not be kept or ended, or the release not recorded. A lock that is left ends by "
                f"itself within ten minutes. {trouble}"
            )
        # Another playbook of the same run takes the lock anew.
        shutil.rmtree(directory)

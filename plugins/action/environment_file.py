# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The values stay on the control node until the file itself travels: no module ever gets them as an argument."""

from __future__ import annotations

import base64
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ansible import constants
from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

from ..module_utils.environment_file import EnvironmentFileError, compare, describe, environment, parse, render, sha256

MODE = "0600"


class ActionModule(ActionBase):  # type: ignore[misc]
    TRANSFERS_FILES = True
    _supports_check_mode = True
    _supports_diff = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        _, arguments = self.validate_argument_spec(
            argument_spec={
                "path": {"type": "path", "required": True},
                "settings": {"type": "dict", "default": {}},
                "secrets": {"type": "dict", "default": {}},
            }
        )
        path = arguments["path"]
        try:
            wanted = environment(arguments["settings"], arguments["secrets"])
        except EnvironmentFileError as error:
            raise AnsibleActionFail(f"cannot write {path}:\n{error}") from error
        before, after = self._read(path, task_vars), render(wanted)
        written = self._write(path, after, task_vars)
        if written.get("failed"):
            raise AnsibleActionFail(f"cannot write {path}: {written.get('msg', 'the copy failed')}")
        change = compare(parse(before), wanted)
        marks = {**dict.fromkeys(change.added, "  (new)"), **dict.fromkeys(change.changed, "  (changed)")}
        result.update(
            changed=written.get("changed", False),
            sha256=sha256(after),
            names_changed=[*change.added, *change.removed, *change.changed],
        )
        if self._task.diff:
            result["diff"] = {
                "before_header": path,
                "after_header": path,
                "before": describe(before) if before else "",
                "after": describe(after, marks),
            }
        return result

    def _read(self, path: str, task_vars: dict[str, Any] | None) -> str:
        status = self._execute_remote_stat(path, all_vars=task_vars, follow=False, checksum=False)
        if not status["exists"]:
            return ""
        answer = self._execute_module("ansible.legacy.slurp", module_args={"src": path}, task_vars=task_vars)
        if answer.get("failed"):
            raise AnsibleActionFail(f"cannot read {path}: {answer.get('msg')}")
        return base64.b64decode(answer["content"]).decode("utf-8", "surrogateescape")

    def _write(self, path: str, text: str, task_vars: dict[str, Any] | None) -> Mapping[str, Any]:
        """Let the copy action do it, from a private file on the control node."""
        descriptor, name = tempfile.mkstemp(dir=constants.DEFAULT_LOCAL_TMP)
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as file:
                file.write(text)
            task = self._task.copy()
            # Its own diff would show the values.
            task.diff = False
            task.args = {"src": name, "dest": path, "mode": MODE, "owner": "root", "group": "root"}
            copy = self._shared_loader_obj.action_loader.get(
                "ansible.legacy.copy",
                task=task,
                connection=self._connection,
                play_context=self._play_context,
                loader=self._loader,
                templar=self._templar,
                shared_loader_obj=self._shared_loader_obj,
            )
            answer: Mapping[str, Any] = copy.run(task_vars=task_vars)
            return answer
        finally:
            Path(name).unlink()

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

from ..module_utils.environment_file import (
    FILE_MODE,
    Change,
    EnvironmentFileError,
    compare,
    describe,
    environment,
    names_told,
    parse,
    render,
    sha256,
    wanted_path,
)
from ..module_utils.host_state import path_differences

OWNER = "root"


def _diff(
    path: str, status: Mapping[str, Any], before: str, values: Mapping[str, str], change: Change
) -> dict[str, str]:
    marks = {**dict.fromkeys(change.added, "  (new)"), **dict.fromkeys(change.changed, "  (changed)")}
    return {
        "before_header": path,
        "after_header": path,
        "before": _access(status) + describe(before, known=values) if status["kind"] == "file" else "",
        "after": _access({"owner": OWNER, "group": OWNER, "mode": FILE_MODE}) + describe(render(values), marks),
    }


def _access(status: Mapping[str, Any]) -> str:
    return f"owner {status['owner']}, group {status['group']}, mode {status['mode']}\n"


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
            values = environment(arguments["settings"], arguments["secrets"])
        except EnvironmentFileError as error:
            raise AnsibleActionFail(f"cannot write {path}:\n{error}") from error
        text = render(values)
        wanted = wanted_path(path, text)
        found = self._run_module("academy.deploy.host_state_info", {"paths": [path]}, task_vars)["paths"]
        result.update(changed=bool(path_differences(found, [wanted])), sha256=sha256(text), names_changed=[], diff=[])
        if result["changed"]:
            status = found[path]
            before = self._read(path, task_vars) if status["kind"] == "file" else ""
            self._write(path, text, task_vars)
            change = compare(parse(before), values)
            removed = set(change.removed) & set(names_told(before, values))
            result["names_changed"] = [*change.added, *sorted(removed), *change.changed]
            result["diff"] = _diff(path, status, before, values, change)
        return result

    def _read(self, path: str, task_vars: dict[str, Any] | None) -> str:
        answer = self._run_module("ansible.legacy.slurp", {"src": path}, task_vars)
        return base64.b64decode(answer["content"]).decode("utf-8", "surrogateescape")

    def _run_module(self, name: str, arguments: dict[str, Any], task_vars: dict[str, Any] | None) -> Mapping[str, Any]:
        answer: Mapping[str, Any] = self._execute_module(name, module_args=arguments, task_vars=task_vars)
        if answer.get("failed"):
            raise AnsibleActionFail(f"{name} failed: {answer.get('msg')}")
        return answer

    def _write(self, path: str, text: str, task_vars: dict[str, Any] | None) -> None:
        """Let the copy action do it, from a private file on the control node."""
        descriptor, name = tempfile.mkstemp(dir=constants.DEFAULT_LOCAL_TMP)
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as file:
                file.write(text)
            task = self._task.copy()
            # Its own diff would show the values.
            task.diff = False
            task.args = {"src": name, "dest": path, "mode": FILE_MODE, "owner": OWNER, "group": OWNER}
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
            if answer.get("failed"):
                raise AnsibleActionFail(f"cannot write {path}: {answer.get('msg', 'the copy failed')}")
        finally:
            Path(name).unlink()

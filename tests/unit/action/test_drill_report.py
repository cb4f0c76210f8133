# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The report of a drill as a file, and how the task ends."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from ansible.errors import AnsibleActionFail
from ansible_collections.academy.deploy.plugins.action import drill_report
from ansible_collections.academy.deploy.plugins.modules import drill_report as documentation

AT = "2026-11-24T15:00:00.000Z"


def run(path: Path, *, ok: bool = True, **arguments: Any) -> dict[str, Any]:
    watched = {"ok": ok, "reason": "" if ok else "'taken' did not come", "hosts": ["one"], "steps": []}
    given = {
        "path": str(path),
        "about": {"worker": "video_worker", "instance_ids": {"one": "i-1"}},
        "sent_at": AT,
        "judged": {"verdict": "pass", "checks": []},
        "followed": {"watched": watched, "timeline": []},
        **arguments,
    }
    task = SimpleNamespace(args=given, async_val=0, check_mode=False, diff=False, environment=None, action="x")
    connection = SimpleNamespace(_shell=SimpleNamespace(tmpdir=None))
    made = drill_report.ActionModule(task, connection, SimpleNamespace(), None, None, None)
    result: dict[str, Any] = made.run(task_vars={})
    return result


def test_what_is_taken_is_what_is_documented() -> None:
    options = yaml.safe_load(documentation.DOCUMENTATION)["options"]
    assert {
        name: {key: option[key] for key in ("type", "required")} for name, option in options.items()
    } == drill_report.OPTIONS


def test_a_report_is_written_for_everybody(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "build" / "drill.json"
    assert run(file) == {"changed": True}
    assert stat.S_IMODE(file.stat().st_mode) == 0o644
    told = json.loads(file.read_text(encoding="utf-8"))
    assert (told["ok"], told["host"], told["worker"], told["steps"][0]["at"]) == (True, "one", "video_worker", AT)
    assert "one started for one job and stopped itself" in capsys.readouterr().out


def test_a_drill_that_fails_is_reported_too(tmp_path: Path) -> None:
    file = tmp_path / "drill.json"
    assert run(file, ok=False) == {"changed": True, "failed": True, "msg": "'taken' did not come"}
    assert json.loads(file.read_text(encoding="utf-8"))["reason"] == "'taken' did not come"


def test_wrong_arguments_are_refused(tmp_path: Path) -> None:
    with pytest.raises(AnsibleActionFail, match="more"):
        run(tmp_path / "drill.json", more=1)

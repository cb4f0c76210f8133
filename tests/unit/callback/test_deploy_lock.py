# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""At the end of a run its keeper is told how it ended, and what the keeper could not do is said."""

from __future__ import annotations

import configparser
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from ansible import constants
from ansible_collections.academy.deploy.plugins.callback import deploy_lock
from ansible_collections.academy.deploy.plugins.callback.deploy_lock import CallbackModule

from plugins.module_utils.deploy_lock import DIRECTORY, DONE, END, TROUBLE
from tests import support


@pytest.fixture
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(constants, "DEFAULT_LOCAL_TMP", str(tmp_path))
    monkeypatch.setattr(deploy_lock, "WAIT_SECONDS", 1)
    return tmp_path / DIRECTORY


def warnings(failures: dict[str, int], dark: dict[str, int]) -> list[str]:
    shown: list[str] = []
    callback = CallbackModule()
    callback._display = SimpleNamespace(warning=shown.append)
    callback.v2_playbook_on_stats(SimpleNamespace(failures=failures, dark=dark))
    return shown


@pytest.mark.parametrize(
    ("failures", "dark", "result"),
    [({}, {}, "succeeded"), ({"a": 1}, {}, "failed"), ({}, {"a": 1}, "failed")],
)
@pytest.mark.parametrize("trouble", ["", "ssm:PutParameter: refused"])
def test_the_keeper_hears_how_the_run_ended(
    directory: Path, failures: dict[str, int], dark: dict[str, int], result: str, trouble: str
) -> None:
    directory.mkdir()
    (directory / TROUBLE).write_text(trouble, encoding="utf-8")
    heard = []

    def keep() -> None:
        while not (directory / END).exists():
            time.sleep(0.01)
        heard.append((directory / END).read_text(encoding="utf-8"))
        (directory / DONE).touch()

    keeper = threading.Thread(target=keep, daemon=True)
    keeper.start()
    said = warnings(failures, dark)
    keeper.join(10)
    assert heard == [result]
    assert [trouble in line for line in said] == ([True] if trouble else [])
    # Another playbook of the same command begins anew.
    assert not directory.exists()


def test_a_keeper_that_is_gone_is_not_waited_for_for_ever(directory: Path) -> None:
    directory.mkdir()
    (directory / TROUBLE).touch()
    (said,) = warnings({}, {})
    assert "ends by itself within ten minutes" in said


def test_a_run_without_a_lock_says_nothing(directory: Path) -> None:
    assert warnings({"a": 1}, {}) == []


def test_our_runs_ask_for_it() -> None:
    config = configparser.ConfigParser()
    config.read(support.ROOT / "ansible.cfg", encoding="utf-8")
    assert CallbackModule.CALLBACK_NAME in config["defaults"]["callbacks_enabled"].split(", ")

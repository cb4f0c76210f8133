# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the operator's machine lacks is said, instead of a traceback."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
from ansible.errors import AnsibleActionFail
from ansible.parsing.dataloader import DataLoader

from plugins.action.environment_lint import ActionModule


def action() -> ActionModule:
    """One that has been given no vault password."""
    task = SimpleNamespace(check_mode=False)
    return ActionModule(task, None, None, DataLoader(), None, None)


def test_a_new_vault_needs_a_password(tmp_path: Path) -> None:
    vault = tmp_path / "vault.yml"
    with pytest.raises(AnsibleActionFail, match=r"(?s)--vault-password-file or --ask-vault-pass.*볼트 비밀번호"):
        action()._import(vault, {"vault_a": "one"}, {"overwrite": []})
    assert list(tmp_path.iterdir()) == []


def test_a_home_of_nobody_is_no_file() -> None:
    with pytest.raises(AnsibleActionFail, match=r"(?s)env_file: cannot read ~nobody-here.*읽을 수 없습니다"):
        action()._read("~nobody-here/.env")

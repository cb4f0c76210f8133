# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module as Ansible runs it, at its most talkative."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from localcloud import demo
from tests import support

PLAY = """
- hosts: localhost
  gather_facts: false
  tasks:
    - academy.deploy.rds_password_check:
        master_username: "{{ user }}"
        master_password: "{{ word }}"
      register: found
      failed_when: false
    - ansible.builtin.copy:
        content: "{{ found | to_json }}"
        dest: "{{ target }}"
        mode: "0600"
      no_log: true
    - ansible.builtin.fail:
        msg: "{{ found.msg }}"
      when: found.violations | length > 0
"""


def judge(directory: Path, name: str, word: str, *options: str) -> tuple[int, str, dict[str, Any]]:
    """Exit status, everything that was printed, and the module's result."""
    (directory / "play.yml").write_text(PLAY, encoding="utf-8")
    variables, target = directory / "variables.json", directory / "result.json"
    variables.write_text(json.dumps({"user": name, "word": word, "target": str(target)}), encoding="utf-8")
    done = subprocess.run(
        [
            Path(sys.executable).with_name("ansible-playbook"), directory / "play.yml", "--inventory=localhost,",
            "--connection=local", f"--extra-vars=ansible_python_interpreter={sys.executable}",
            f"--extra-vars=@{variables}", "-vvv", "--diff", *options,
        ],
        cwd=support.ROOT, env=demo.environment(os.environ), capture_output=True, text=True, check=False,
    )  # fmt: skip
    result = json.loads(target.read_text(encoding="utf-8")) if target.exists() else {}
    return done.returncode, done.stdout + done.stderr, result


# The second stands in sentences of the rules, where a mask would tell it; the third is one that Ansible could not mask.
@pytest.mark.parametrize("word", ["sp ace/quote'A1", "lower case", "$"])
def test_all_is_said_and_nothing_is_told(tmp_path: Path, word: str) -> None:
    status, output, result = judge(tmp_path, "admin", word)
    assert status == 2
    broken = {finding["rule"] for finding in result["violations"]}
    assert "username_reserved_by_rds" in broken
    assert any(rule.startswith("password_") for rule in broken)
    assert all(set(finding) == {"rule", "subject", "message"} for finding in result["violations"] + result["cautions"])
    assert "master_password: not shown" in output
    assert "********" not in json.dumps(result)
    assert result["changed"] is False
    if len(word) > 1 and word not in result["msg"]:
        assert word not in output


def test_a_good_one_passes(tmp_path: Path) -> None:
    word = "AcaDmY.x~y-z_12"
    status, output, result = judge(tmp_path, "academy_user", word)
    assert (status, result["violations"], result["cautions"]) == (0, [], [])
    assert word not in output


def test_check_mode_says_the_same(tmp_path: Path) -> None:
    """Only the file is not written then."""
    status, output, _ = judge(tmp_path, "admin", "short", "--check")
    assert status == 2
    assert "username_reserved_by_rds" in output
    assert "password_length" in output


def test_a_caution_is_shown(tmp_path: Path) -> None:
    status, output, result = judge(tmp_path, "academy_user", "AcaDm#x~")
    assert status == 0
    assert [finding["rule"] for finding in result["cautions"]] == ["password_short", "password_special_in_shells"]
    assert "[WARNING]: master_password: should have 12 characters" in output
    assert "AcaDm#x~" not in output

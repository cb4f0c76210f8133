# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module as Ansible runs it, at its most talkative."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from localcloud import demo
from tests import support

# A host for each of several judgements, all in one run.
PLAY = """
- hosts: all
  gather_facts: false
  tasks:
    - academy.deploy.rds_password_check:
        master_username: "{{ user }}"
        master_password: "{{ word }}"
      register: found
      failed_when: false
    - ansible.builtin.copy:
        content: "{{ found | to_json }}"
        dest: "{{ directory }}/{{ inventory_hostname }}.json"
        mode: "0600"
      no_log: true
    - ansible.builtin.fail:
        msg: "{{ found.msg }}"
      when: found.violations | length > 0
"""
# The second stands in sentences of the rules, where a mask would tell it; the third is one that Ansible could not mask.
WRONG = {"special": "sp ace/quote'A1", "lower": "lower case", "one": "$"}
GOOD, DOUBTFUL = "AcaDmY.x~y-z_12", "AcaDm#x~"


@dataclass(frozen=True)
class Judged:
    """Exit status, everything that was printed, and the module's result for each host."""

    status: int
    output: str
    results: dict[str, dict[str, Any]]


def judge(directory: Path, given: dict[str, tuple[str, str]], *options: str) -> Judged:
    """Run the module for the user and the password of each host."""
    (directory / "play.yml").write_text(PLAY, encoding="utf-8")
    variables = {"ansible_python_interpreter": sys.executable, "directory": str(directory)}
    hosts = {host: {"user": user, "word": word, **variables} for host, (user, word) in given.items()}
    inventory = directory / "hosts.yml"
    inventory.write_text(json.dumps({"all": {"hosts": hosts}}), encoding="utf-8")
    done = subprocess.run(
        [
            Path(sys.executable).with_name("ansible-playbook"), directory / "play.yml", f"--inventory={inventory}",
            "--connection=local", "-vvv", "--diff", *options,
        ],
        cwd=support.ROOT, env=demo.environment(os.environ), capture_output=True, text=True, check=False,
    )  # fmt: skip
    files = [(host, directory / f"{host}.json") for host in given]
    results = {host: json.loads(file.read_text(encoding="utf-8")) for host, file in files if file.exists()}
    return Judged(done.returncode, done.stdout + done.stderr, results)


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> Judged:
    given = {
        **{host: ("admin", word) for host, word in WRONG.items()},
        "good": ("academy_user", GOOD),
        "doubtful": ("academy_user", DOUBTFUL),
    }
    return judge(tmp_path_factory.mktemp("judged"), given)


def of_host(judged: Judged, host: str) -> list[tuple[str, str]]:
    """How many tasks a host did and how many failed, in the run's own words."""
    return re.findall(rf"^{host} +: ok=(\d+) .*failed=(\d+)", judged.output, re.MULTILINE)


@pytest.mark.parametrize("host", WRONG)
def test_all_is_said_and_nothing_is_told(judged: Judged, host: str) -> None:
    word, result = WRONG[host], judged.results[host]
    assert (judged.status, of_host(judged, host)) == (2, [("2", "1")])
    broken = {finding["rule"] for finding in result["violations"]}
    assert "username_reserved_by_rds" in broken
    assert any(rule.startswith("password_") for rule in broken)
    assert all(set(finding) == {"rule", "subject", "message"} for finding in result["violations"] + result["cautions"])
    assert "********" not in json.dumps(result)
    assert result["changed"] is False
    # Of each host, with the module's other arguments.
    assert judged.output.count("master_password: not shown") == len(judged.results)
    if len(word) > 1 and not any(word in other.get("msg", "") for other in judged.results.values()):
        assert word not in judged.output


def test_a_good_one_passes(judged: Judged) -> None:
    result = judged.results["good"]
    assert (of_host(judged, "good"), result["violations"], result["cautions"]) == ([("2", "0")], [], [])
    assert GOOD not in judged.output


def test_check_mode_says_the_same(tmp_path: Path) -> None:
    """Only the file is not written then."""
    judged = judge(tmp_path, {"wrong": ("admin", "short")}, "--check")
    assert (judged.status, judged.results) == (2, {})
    assert "username_reserved_by_rds" in judged.output
    assert "password_length" in judged.output


def test_a_caution_is_shown(judged: Judged) -> None:
    assert of_host(judged, "doubtful") == [("2", "0")]
    rules = [finding["rule"] for finding in judged.results["doubtful"]["cautions"]]
    assert rules == ["password_short", "password_special_in_shells"]
    assert "[WARNING]: master_password: should have 12 characters" in judged.output
    assert DOUBTFUL not in judged.output

# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What runs on the hosts runs with the Python of Amazon Linux 2023, 3.9: tried with it, and checked by the linter."""

from __future__ import annotations

import ast
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

from localcloud import demo
from tests import scenarios, support

PLUGINS = support.ROOT / "plugins"
WATCHDOG = "roles/watchdog/files/academy_watchdog.py"
# Roles that run on hosts beside those that have a scenario of their own.
ROLES = [*scenarios.NAMES, "hold", "host_configuration"]


def modules_of_hosts() -> list[str]:
    """Our modules that these roles' tasks use. What has an action plugin runs on the control node."""
    tasks = [
        file.read_text(encoding="utf-8") for role in ROLES for file in support.ROOT.glob(f"roles/{role}/tasks/*.yml")
    ]
    used = {"host_state_info", *re.findall(r"academy\.deploy\.(\w+):\s*$", "\n".join(tasks), re.MULTILINE)}
    return sorted(
        name
        for name in used
        if (PLUGINS / f"modules/{name}.py").exists() and not (PLUGINS / f"action/{name}.py").exists()
    )


def imported_by(file: Path) -> set[Path]:
    """The module_utils that a file imports."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    names = [node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.level and node.module]
    return {PLUGINS / f"module_utils/{name.removeprefix('module_utils.')}.py" for name in names}


def files_of_hosts() -> set[str]:
    found = {PLUGINS / f"modules/{name}.py" for name in modules_of_hosts()}
    while more := {one for file in found for one in imported_by(file)} - found:
        found |= more
    return {str(file.relative_to(support.ROOT)) for file in found} | {WATCHDOG}


def test_the_linter_knows_all_that_runs_on_hosts() -> None:
    configured = tomllib.loads((support.ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    listed = {
        f"{before}{name}{after}"
        for pattern in configured["tool"]["ruff"]["per-file-target-version"]
        for before, names, after in [re.fullmatch(r"([^{]*)(?:\{(.*)\})?(.*)", pattern).groups()]  # type: ignore[union-attr]
        for name in (names or "").split(",")
    }
    assert listed == files_of_hosts()


@pytest.fixture(scope="module")
def python() -> str:
    """Python 3.9, which no test environment of ours is made of."""
    asked = [shutil.which("python3.9") or "python3.9", "-c", "import sys; print(sys.executable)"]
    try:
        # For those who keep several by pyenv.
        found = subprocess.run(
            asked, env={**os.environ, "PYENV_VERSION": "3.9"}, capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("needs Python 3.9, that of Amazon Linux 2023, as python3.9 in PATH")
    return found.stdout.strip()


def test_modules_run_with_the_python_of_the_hosts(python: str, tmp_path: Path) -> None:
    """Sent as Ansible sends them. Without arguments each says which it misses, after all that it imports."""
    tasks = [
        {"name": name, f"academy.deploy.{name}": {}, "register": "found", "ignore_errors": True}
        for name in modules_of_hosts()
    ]
    kept = {"ansible.builtin.copy": {"dest": f"{tmp_path}/{{{{ name }}}}.json", "content": "{{ found | to_json }}"}}
    play = [
        {
            "hosts": "all",
            "gather_facts": False,
            "tasks": [step for task in tasks for step in (task, {**kept, "vars": {"name": task["name"]}})],
        }
    ]
    (tmp_path / "play.yml").write_text(yaml.safe_dump(play), encoding="utf-8")
    inventory = {"all": {"hosts": {"host": {"ansible_connection": "local", "ansible_python_interpreter": python}}}}
    (tmp_path / "hosts.yml").write_text(json.dumps(inventory), encoding="utf-8")
    program = Path(sys.executable).with_name("ansible-playbook")
    subprocess.run(
        [program, tmp_path / "play.yml", f"--inventory={tmp_path}/hosts.yml"],
        cwd=support.ROOT, env=demo.environment(os.environ), capture_output=True, check=True,
    )  # fmt: skip
    found = {name: json.loads((tmp_path / f"{name}.json").read_text(encoding="utf-8")) for name in modules_of_hosts()}
    assert found.pop("host_state_info")["failed"] is False
    assert len(found) >= 3
    for name, answer in found.items():
        assert answer["msg"].startswith("missing required arguments: "), (name, answer)


def test_the_watchdog_runs_with_the_python_of_the_hosts(python: str) -> None:
    done = subprocess.run([python, "-I", support.ROOT / WATCHDOG], capture_output=True, text=True, check=False)
    assert (done.returncode, "usage: " in done.stderr) == (2, True)

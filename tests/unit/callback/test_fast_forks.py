# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether the processes of a run find the filters loaded and their memory shared, and whether our runs ask for that."""

from __future__ import annotations

import configparser
import subprocess
import sys
from typing import Any

import yaml

from tests import support

NAME = "academy.deploy.fast_forks"
FILTERS = {file.stem for file in (support.ROOT / "plugins" / "filter").glob("*.py")}
PACKAGE = "ansible_collections.academy.deploy.plugins.filter."
PROGRAM = f"""
import gc, sys
from ansible.plugins.loader import callback_loader, init_plugin_loader

def loaded():
    return [name.removeprefix({PACKAGE!r}) for name in sys.modules if name.startswith({PACKAGE!r})]

init_plugin_loader([])
callback = callback_loader.get({NAME!r})
assert not loaded()
callback.v2_playbook_on_start(None)
print(*loaded())
assert gc.get_freeze_count() == 0
callback.v2_playbook_on_play_start(None)
print(gc.get_freeze_count(), len(gc.get_objects()))
"""


def test_processes_inherit_the_filters_and_share_what_is_known_when_a_play_begins() -> None:
    run = subprocess.run([sys.executable, "-c", PROGRAM], cwd=support.ROOT, capture_output=True, text=True, check=True)
    loaded, counts = run.stdout.splitlines()
    assert "redact_secrets" in FILTERS
    assert set(loaded.split()) == FILTERS
    left_alone, looked_at = map(int, counts.split())
    assert left_alone > 100 * looked_at


def configurations() -> tuple[configparser.ConfigParser, dict[str, Any]]:
    """Ansible's, and molecule's, which does not read it."""
    config = configparser.ConfigParser()
    config.read(support.ROOT / "ansible.cfg", encoding="utf-8")
    molecule = yaml.safe_load((support.ROOT / ".config" / "molecule" / "config.yml").read_text(encoding="utf-8"))
    return config, molecule


def test_it_is_enabled() -> None:
    config, molecule = configurations()
    assert NAME in config["defaults"]["callbacks_enabled"].split(", ")
    assert molecule["ansible"]["env"]["ANSIBLE_CALLBACKS_ENABLED"] == NAME


def test_molecule_looks_for_results_as_often_as_every_run() -> None:
    config, molecule = configurations()
    ours = molecule["ansible"]["cfg"]["defaults"]["internal_poll_interval"]
    assert ours == float(config["defaults"]["internal_poll_interval"]) > 0.001

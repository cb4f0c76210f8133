# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether every process of a run finds the filters loaded, and whether the runs of this repository ask for that."""

from __future__ import annotations

import configparser
import subprocess
import sys

import yaml

from tests import support

NAME = "academy.deploy.preloaded_filters"
FILTERS = {file.stem for file in (support.ROOT / "plugins" / "filter").glob("*.py")}
PACKAGE = "ansible_collections.academy.deploy.plugins.filter."
PROGRAM = f"""
import sys
from ansible.plugins.loader import callback_loader, init_plugin_loader

def loaded():
    return [name.removeprefix({PACKAGE!r}) for name in sys.modules if name.startswith({PACKAGE!r})]

init_plugin_loader([])
callback = callback_loader.get({NAME!r})
assert not loaded()
callback.v2_playbook_on_start(None)
print(*loaded())
"""


def test_all_are_loaded_when_a_playbook_begins() -> None:
    loaded = subprocess.run(
        [sys.executable, "-c", PROGRAM], cwd=support.ROOT, capture_output=True, text=True, check=True
    )
    assert len(FILTERS) > 10
    assert set(loaded.stdout.split()) == FILTERS


def test_it_is_enabled() -> None:
    config = configparser.ConfigParser()
    config.read(support.ROOT / "ansible.cfg", encoding="utf-8")
    molecule = yaml.safe_load((support.ROOT / ".config" / "molecule" / "config.yml").read_text(encoding="utf-8"))
    assert config["defaults"]["callbacks_enabled"] == NAME
    assert molecule["ansible"]["env"]["ANSIBLE_CALLBACKS_ENABLED"] == NAME

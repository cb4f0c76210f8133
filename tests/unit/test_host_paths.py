# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What cannot import the paths that lie on hosts carries the same ones, and nothing else carries any."""

from __future__ import annotations

import re
from pathlib import Path

from plugins.module_utils.host_paths import (
    DATA_DEVICE,
    RUN_DIRECTORY,
    WATCHDOG_SETTINGS,
)

ROOT = Path(__file__).resolve().parents[2]
HOME = "plugins/module_utils/host_paths.py"
SHARED = re.compile(r"(?:/run/academy|/etc/academy|/dev/sdf)(?![\w-])[\w./-]*")
# The program of a host, the roles' YAML and a playbook.
CARRIERS = {
    "roles/watchdog/files/academy_watchdog.py": {WATCHDOG_SETTINGS, RUN_DIRECTORY},
    "roles/hold/vars/main.yml": {RUN_DIRECTORY},
    "roles/transcode_volume/defaults/main.yml": {DATA_DEVICE},
    "playbooks/drill.yml": {RUN_DIRECTORY},
}


def is_documentation(path: Path) -> bool:
    return path.name == "argument_specs.yml" or path.is_relative_to(ROOT / "plugins/modules")


def test_who_carries_a_path_of_hosts() -> None:
    found = {
        str(path.relative_to(ROOT)): set(SHARED.findall(path.read_text(encoding="utf-8")))
        for top in ("inventories/guide", "playbooks", "plugins", "roles")
        for path in (ROOT / top).rglob("*")
        if path.suffix in {".j2", ".py", ".yml"} and not is_documentation(path)
    }
    assert {path: paths for path, paths in found.items() if paths and path != HOME} == CARRIERS

# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A second deployment beside the first, made as an operator makes one: an inventory copied and given another name."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests import support

FIRST = "academy"


def another_inventory(directory: Path, deployment_name: str, without: Sequence[str] = ()) -> str:
    """The local inventory under another deployment's name: its hosts but some, its aws_ec2 filter, its environment."""
    shutil.copytree(support.ROOT / "inventories", directory / "inventories", symlinks=True)
    inventory = directory / "inventories" / "local"
    hosts = (inventory / "hosts.yml").read_text(encoding="utf-8")
    for host in without:
        line = f"            {host}:\n"
        assert line in hosts
        hosts = hosts.replace(line, "")
    (inventory / "hosts.yml").unlink()  # a link to the guide's
    for file, before, after in (
        ("hosts.yml", f"{FIRST}-", f"{deployment_name}-"),
        ("aws_ec2.yml", f"Project: {FIRST}", f"Project: {deployment_name}"),
        ("group_vars/all/environment.yml", f"deployment_name: {FIRST}\n", f"deployment_name: {deployment_name}\n"),
    ):
        text = hosts if file == "hosts.yml" else (inventory / file).read_text(encoding="utf-8")
        assert before in text
        (inventory / file).write_text(text.replace(before, after), encoding="utf-8")
    return str(inventory)


def of(deployment_name: str, look: Any) -> dict[str, list[str]]:
    """What of a snapshot speaks of a deployment whose name is part of no other's."""
    entries = {kind: found.items() if isinstance(found, dict) else found for kind, found in look.items()}
    texts = {
        kind: [json.dumps(entry, sort_keys=True, default=str) for entry in found] for kind, found in entries.items()
    }
    return {kind: sorted(text for text in found if deployment_name in text) for kind, found in texts.items()}

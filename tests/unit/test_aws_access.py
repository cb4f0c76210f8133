# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""AWS is reached in one way, by modules and actions with the play's module_defaults, so that an environment which sets
neither endpoint nor keys leaves the operator's own credential chain in force."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import yaml

from tests.support import ROOT

HOME = ROOT / "inventories/guide/all/aws.yml"
# The only use of the connection: `omit` in it is understood there, and by no lookup.
DEFAULTS = 'group/academy.deploy.aws: "{{ aws_module_defaults }}"'
FOREIGN = re.compile(r"^\s*(?:- )?((?:amazon|community)\.aws\.[a-z0-9_]+):")
LOOKUP = re.compile(
    r"""\b(?:lookup|query|q)\(\s*["'](?:amazon|community)\.aws\.|^\s*-?\s*with_(?:amazon|community)\."""
)


def lines() -> Iterator[tuple[Path, str]]:
    for directory in ("roles", "playbooks", "inventories", "molecule"):
        for path in sorted((ROOT / directory).rglob("*.y*ml")):
            for line in path.read_text(encoding="utf-8").splitlines():
                yield path, line


def test_no_lookup_asks_aws() -> None:
    assert [f"{path}: {line}" for path, line in lines() if LOOKUP.search(line)] == []


def test_the_connection_is_handed_to_module_defaults_alone() -> None:
    uses = [(path, line.strip()) for path, line in lines() if "aws_module_defaults" in line and path != HOME]
    # As text in a diagnosis it is no use.
    assert [f"{path}: {line}" for path, line in uses if line not in {DEFAULTS} and not line.startswith("#")] == []
    assert len(uses) > 10


def test_the_lookup_that_once_failed_is_found() -> None:
    assert LOOKUP.search("""image_id: "{{ lookup('amazon.aws.ssm_parameter', name, **aws_module_defaults) }}" """)


def test_the_group_has_every_module_that_calls_aws_and_no_other() -> None:
    """One that it lacks would get no region and no keys, and each that nobody uses is looked up by every play."""
    runtime = yaml.safe_load((ROOT / "meta/runtime.yml").read_text(encoding="utf-8"))
    own = {
        path.stem
        for path in (ROOT / "plugins/modules").glob("*.py")
        if "amazon.aws.common.modules" in path.read_text(encoding="utf-8")
    }
    used = {found[1] for _, line in lines() if (found := FOREIGN.match(line))}
    assert len(used) > 20
    assert set(runtime["action_groups"]["aws"]) == own | used

# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Running molecule's scenarios, each on a host of its own, beside whatever else happens on the embedded cloud."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from tests import support

NAMES = sorted(directory.parent.name for directory in support.ROOT.glob("molecule/*/molecule.yml"))
# A scenario mostly waits, for its host and for SSH.
AT_ONCE = 4
TIMEOUT_SECONDS = 1200
# Whoever waits for something on the same cloud comes first.
COMMAND = (str(support.ROOT / "scripts" / "give_way.sh"), str(Path(sys.executable).with_name("molecule")), "test", "-s")
ENVIRONMENT = {
    # molecule reads neither ansible.cfg's collections path nor anybody's activated environment.
    "ANSIBLE_COLLECTIONS_PATH": str(support.ROOT / ".collections"),
    "ANSIBLE_CONFIG": str(support.ROOT / "ansible.cfg"),
    # What a scenario alone would make for itself is there already.
    "MOLECULE_CREATE": "create",
}


def prepare() -> None:
    """Create what several of them need of AWS."""
    support.playbook(
        "molecule/shared/release.yml",
        "--inventory=molecule/shared/inventory",
        "--extra-vars=deployment_name=molecule",
        f"--extra-vars=local_project_dir={support.ROOT}",
        name="molecule-release",
    ).expect()


def run(scenario: str, prepared: Future[None]) -> support.Run:
    """One of them, from its host's creation to its end."""
    prepared.result()
    return support.run(
        *COMMAND, scenario, name=f"molecule-{scenario}", environment=ENVIRONMENT, timeout_seconds=TIMEOUT_SECONDS
    )


@contextmanager
def running() -> Iterator[Mapping[str, Future[support.Run]]]:
    """Name → what becomes of it: all of them, a few at a time, from now on."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        prepared = pool.submit(prepare)
        # Those that take longest are among the last ones, and begin first.
        yield {name: pool.submit(run, name, prepared) for name in reversed(NAMES)}
        # After the first failure pytest asks for no more.
        pool.shutdown(wait=True, cancel_futures=True)

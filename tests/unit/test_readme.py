# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Both READMEs tell the same commands, and what they name is there."""

from __future__ import annotations

import re
from collections import Counter

import pytest

from tests import readme
from tests.support import ROOT

READMES = {"en": readme.ENGLISH, "ko": readme.KOREAN}
COMMANDS = {language: readme.commands(path.read_text(encoding="utf-8")) for language, path in READMES.items()}
# The copy that the reader makes of the production inventory, or of that one.
COPIES = ("inventories/live", "inventories/second")
PATH = re.compile(r"(?:inventories|playbooks|site)(?:/[\w./-]+|\.yml)")


def test_both_languages_tell_the_same_commands() -> None:
    english, korean = (Counter(command.split(" #")[0].strip() for command in COMMANDS[name]) for name in READMES)
    assert english - korean == korean - english == Counter()
    assert sum(english.values()) > 20


@pytest.mark.parametrize("language", READMES)
def test_every_file_that_a_command_names_exists(language: str) -> None:
    named = {path for command in COMMANDS[language] for path in PATH.findall(command)}
    for path in sorted(named):
        delivered = re.sub("|".join(COPIES), "inventories/production", path)
        # The vault is the reader's own.
        assert path.endswith("vault.yml") or (ROOT / delivered).exists(), path
    assert "playbooks/env.yml" in named


@pytest.mark.parametrize("language", READMES)
def test_what_a_real_account_runs_never_means_the_embedded_cloud(language: str) -> None:
    heading = {"en": "On a real account", "ko": "실제 계정에서"}[language]
    lines = readme.blocks(readme.section(READMES[language], heading))
    playbooks = [line for line in lines if line.startswith("ansible-playbook")]
    assert len(playbooks) >= 5
    assert [line for line in playbooks if "-i inventories/live" not in line] == []

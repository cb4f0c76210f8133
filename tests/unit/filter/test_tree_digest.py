# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from ansible.errors import AnsibleFilterError
from ansible_collections.academy.deploy.plugins.filter.tree_digest import DOCUMENTATION, tree_digest
from ansible_collections.academy.deploy.plugins.module_utils.tree import IGNORED


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    (tmp_path / "apps").mkdir()
    (tmp_path / "apps" / "views.py").write_text("def lectures(): ...\n")
    (tmp_path / "manage.py").write_text("import django\n")
    return tmp_path


def test_what_is_not_in_an_image_does_not_count(tree: Path) -> None:
    before = tree_digest(str(tree))
    for name in ("wheels/django.whl", "apps/__pycache__/views.pyc", ".env.deploy", "empty/.git/HEAD"):
        path = tree / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x")
    assert tree_digest(str(tree)) == before


def test_an_edit_counts(tree: Path) -> None:
    before = tree_digest(str(tree))
    (tree / "apps" / "views.py").write_text("def lectures(): pass\n")
    assert tree_digest(str(tree)) != before


def test_the_permission_to_run_counts(tree: Path) -> None:
    before = tree_digest(str(tree))
    (tree / "manage.py").chmod(0o755)
    assert tree_digest(str(tree)) != before


@pytest.mark.parametrize("target", ["apps", "manage.py", "nowhere"])
def test_a_link_counts_as_itself(tree: Path, target: str) -> None:
    before = tree_digest(str(tree))
    (tree / "link").symlink_to(target)
    assert tree_digest(str(tree)) != before


def test_the_place_and_the_time_do_not_count(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    copy = tmp_path_factory.mktemp("elsewhere") / "academy"
    (copy / "apps").mkdir(parents=True)
    for name in ("manage.py", "apps/views.py"):
        (copy / name).write_bytes((tree / name).read_bytes())
    assert tree_digest(f"{copy}/") == tree_digest(str(tree))


def test_what_to_ignore_can_be_chosen(tree: Path) -> None:
    before = tree_digest(str(tree), ignore=["*.md"])
    (tree / "README.md").write_text("x")
    assert tree_digest(str(tree), ignore=["*.md"]) == before


def test_a_missing_directory_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AnsibleFilterError, match="needs a directory"):
        tree_digest(str(tmp_path / "missing"))


def test_the_documented_default_is_the_real_one() -> None:
    assert tuple(yaml.safe_load(DOCUMENTATION)["options"]["ignore"]["default"]) == IGNORED

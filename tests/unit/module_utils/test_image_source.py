# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The source of images: what is refused, and what git says of a real directory."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from ansible_collections.academy.deploy.plugins.module_utils.image_source import (
    WorkTree,
    changed_files,
    missing_files,
    read_work_tree,
    source_findings,
    work_tree_findings,
)

HEAD, OTHER = "1a" * 20, "2b" * 20
GIT = ("git", "-c", "user.name=operator", "-c", "user.email=operator@example.com", "-c", "commit.gpgsign=false")


def test_what_is_not_there_is_named() -> None:
    assert source_findings("/src", []) == []
    (finding,) = source_findings("/src", ["docker/api/Dockerfile"])
    assert finding.text_en.startswith("images_source_dir: must be the academy's source tree on this machine (/src)")
    assert finding.found == "no docker/api/Dockerfile"
    assert "no docker/api/Dockerfile" in finding.text_ko


@pytest.mark.parametrize(
    ("release", "tree", "found"),
    [
        ("a", None, ""),
        (HEAD, WorkTree(HEAD, HEAD), ""),
        (HEAD[:7], WorkTree(HEAD, HEAD), ""),
        ("v1.2", WorkTree(HEAD, HEAD), ""),
        # A name of somebody's own may mean any tree.
        ("0a1b2c3d4e5f", WorkTree(HEAD, "", ("app.py",), own="0a1b2c3d4e5f"), ""),
        ("20261129", WorkTree(HEAD, ""), ""),
        ("0a1b2c3d4e5f", WorkTree(HEAD, "", own="f5e4d3c2b1a0"), HEAD[:12]),
        (OTHER[:7], WorkTree(HEAD, ""), HEAD[:12]),
        (OTHER, WorkTree(HEAD, ""), HEAD[:12]),
        (OTHER, WorkTree(HEAD, OTHER), HEAD[:12]),
        ("v1.1", WorkTree(HEAD, OTHER), HEAD[:12]),
        (HEAD, WorkTree(HEAD, HEAD, ("app.py", "new.py")), "changes in app.py, new.py"),
        ("v1.2", WorkTree(HEAD, HEAD, tuple("abcdefg")), "changes in a, b, c, d, e and 2 more"),
        (HEAD, WorkTree(refusal="fatal: detected dubious ownership"), "fatal: detected dubious ownership"),
    ],
)
def test_a_tree_is_what_its_release_names(release: str, tree: WorkTree | None, found: str) -> None:
    findings = work_tree_findings("/src", release, tree)
    assert [finding.found for finding in findings] == ([found] if found else [])
    for finding in findings:
        assert finding.text_en.startswith("release: ")
        assert "/src" in finding.rule.en
        assert "/src" in finding.rule.ko


@pytest.mark.parametrize(
    ("status", "files"),
    [
        ("", ()),
        (" M app.py\0?? new one.py\0", ("app.py", "new one.py")),
        ("R  new.py\0old.py\0 D gone.py\0", ("new.py", "gone.py")),
        ("?? wheels/a.whl\0?? .env\0 M apps/__pycache__/a.pyc\0?? .venv/bin/x\0", ()),
        ("?? 영상.py\0", ("영상.py",)),
    ],
)
def test_changes_that_would_get_into_an_image(status: str, files: tuple[str, ...]) -> None:
    assert changed_files(status) == files


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    directory = tmp_path / "academy"
    (directory / "docker").mkdir(parents=True)
    (directory / "docker/Dockerfile").write_text("FROM scratch\n", encoding="utf-8")
    git(directory, "init", "--quiet")
    commit(directory)
    return directory


def git(directory: Path, *arguments: str) -> str:
    done = subprocess.run([*GIT, *arguments], cwd=directory, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def commit(directory: Path) -> str:
    git(directory, "add", "--all")
    git(directory, "commit", "--quiet", "--allow-empty", "--message=x")
    return git(directory, "rev-parse", "HEAD")


def test_a_directory_without_git_is_no_work_tree(tmp_path: Path) -> None:
    assert read_work_tree(str(tmp_path), "a") is None


def test_a_machine_without_git_has_no_work_trees(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(repository))
    assert read_work_tree(str(repository), "a") is None


def test_what_git_cannot_read_is_no_clean_tree(repository: Path) -> None:
    (repository / ".git/HEAD").write_text("ref: refs/heads/none\n", encoding="utf-8")
    tree = read_work_tree(str(repository), "a")
    assert tree is not None
    assert "fatal" in tree.refusal


def test_git_tells_commit_release_and_changes_below_the_directory(repository: Path) -> None:
    first = commit(repository)
    git(repository, "tag", "--annotate", "--message=x", "v1")
    head = commit(repository)
    source = str(repository / "docker")
    assert read_work_tree(source, head[:8]) == WorkTree(head, head)
    assert read_work_tree(source, "v1") == WorkTree(head, first)
    assert read_work_tree(source, "-x") == WorkTree(head)
    (repository / "elsewhere").touch()
    (repository / "docker/Dockerfile").write_text("FROM other\n", encoding="utf-8")
    (repository / "docker/new").mkdir()
    (repository / "docker/new/file").touch()
    assert read_work_tree(source, head) == WorkTree(head, head, ("docker/Dockerfile", "docker/new/file"))


def test_files_that_are_not_there(repository: Path) -> None:
    assert missing_files(str(repository / "none"), ["a"]) == ["such directory"]
    assert missing_files(str(repository), ["docker/Dockerfile", "docker", "b", "b"]) == ["docker", "b"]

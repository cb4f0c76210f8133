# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a source tree has what its images are built from, and is the one that the release names."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass

from .findings import Finding, Words
from .tree import DIGEST_LENGTH, IGNORED, digest_of, is_ignored, read_entries

SHOWN = 5
SHORT = 12
# Short as people and git write them. A date is none.
COMMIT = re.compile(r"(?=[0-9]*[a-f])[0-9a-f]{7,40}|[0-9a-f]{40}")
NO_REPOSITORY = "not a git repository"


@dataclass(frozen=True)
class WorkTree:
    """A directory as git has it. Where git refuses to look, `refusal` says why."""

    head: str = ""
    named: str = ""  # the commit that the release names, if it names one there
    changed: tuple[str, ...] = ()  # what differs from the commit at `head`
    own: str = ""  # the name of its content, where the release may be that
    refusal: str = ""


# --- pure decisions ---------------------------------------------------------------------------------------------------


def source_findings(directory: str, missing: Sequence[str]) -> list[Finding]:
    """The source tree of the images, and which of what is built from it is not there."""
    return [
        Finding(
            "images_source",
            "images_source_dir",
            f"no {name}",
            Words(
                f"must be the academy's source tree on this machine ({directory}), unless ECR has all images of the "
                "release",
                f"ECR에 릴리스 이미지가 모두 있지 않으면 이 컴퓨터의 소스 트리({directory})여야 합니다",
            ),
            Words(
                "Check it out there, or correct images_source_dir or images_definitions.",
                "그곳에 체크아웃하거나 images_source_dir 또는 images_definitions를 고치십시오.",
            ),
        )
        for name in missing
    ]


def work_tree_findings(directory: str, release: str, tree: WorkTree | None) -> list[Finding]:
    """What would get into images under the name of another source; no tree where git keeps none there.

    A release that is no name of git's may mean any tree, unless it can only be a commit.
    """
    if tree is None:
        return []
    if tree.refusal:
        found = tree.refusal
        rule = Words(f"git must be able to read {directory}", f"git이 {directory}를 읽을 수 있어야 합니다")
        remedy = Words(
            "Do what it says, or build from a tree of your own.",
            "git의 안내를 따르거나 본인의 트리에서 빌드하십시오.",
        )
    elif tree.named not in ("", tree.head) or _is_strange(release, tree):
        found = tree.head[:SHORT]
        rule = Words(
            f"{directory} must be at the commit that the release names ({release})",
            f"{directory}는 릴리스가 가리키는 커밋({release})이어야 합니다",
        )
        remedy = Words(
            f"git -C {directory} checkout {release} (after a fetch, where it is new), or release the commit that is "
            "checked out.",
            f"git -C {directory} checkout {release}(새 커밋이면 먼저 fetch)를 실행하거나 현재 커밋을 릴리스하십시오.",
        )
    elif tree.named and tree.changed:
        more = f" and {len(tree.changed) - SHOWN} more" if len(tree.changed) > SHOWN else ""
        found = f"changes in {', '.join(tree.changed[:SHOWN])}{more}"
        rule = Words(
            f"{directory} must be what is committed as {release}: ECR keeps it under that name for good",
            f"{directory}는 {release}로 커밋된 내용과 같아야 합니다. ECR은 그 이름으로 영구히 보관합니다",
        )
        remedy = Words(
            "Commit and release that commit, or stash, remove or ignore (.gitignore) them.",
            "커밋하여 그 커밋을 릴리스하거나, stash하거나 지우거나 .gitignore에 넣으십시오.",
        )
    else:
        return []
    return [Finding("images_work_tree", "release", found, rule, remedy)]


def _is_strange(release: str, tree: WorkTree) -> bool:
    """Whether the release can only be a commit that is not there."""
    return not tree.named and release != tree.own and COMMIT.fullmatch(release) is not None


def changed_files(status: str) -> tuple[str, ...]:
    """Paths in what `git status --porcelain -z` prints, without those that never get into an image."""
    files, fields = [], iter(status.split("\0"))
    for field in fields:
        code, path = field[:2], field[3:]
        if not path:
            continue
        files.append(path)
        if "R" in code or "C" in code:
            next(fields)  # what it was called before
    return tuple(path for path in files if not any(is_ignored(part, IGNORED) for part in path.split("/")))


# --- reading ----------------------------------------------------------------------------------------------------------


def missing_files(directory: str, files: Sequence[str]) -> list[str]:
    if not os.path.isdir(directory):
        return ["such directory"]
    return [file for file in dict.fromkeys(files) if not os.path.isfile(os.path.join(directory, file))]


def read_work_tree(directory: str, release: str) -> WorkTree | None:
    """What git says of a directory; nothing where it keeps none there, or where there is no git."""
    try:
        head = _git(directory, "rev-parse", "--verify", "HEAD")
    except FileNotFoundError:
        return None
    if head.returncode:
        told = head.stderr.strip()
        return None if NO_REPOSITORY in told else WorkTree(refusal=told)
    named = _git(directory, "rev-parse", "--verify", "--quiet", f"{release}^{{commit}}")
    status = _git(directory, "status", "--porcelain", "--untracked-files=all", "-z", "--", ".")
    own = digest_of(read_entries(directory)) if len(release) == DIGEST_LENGTH else ""
    return WorkTree(head.stdout.strip(), named.stdout.strip(), changed_files(status.stdout), own)


def _git(directory: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["git", "-C", directory, *arguments],
        # A look must not take the lock that somebody's commit needs.
        env={**os.environ, "LC_ALL": "C.UTF-8", "GIT_OPTIONAL_LOCKS": "0"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )

# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.academy.deploy.plugins.module_utils.tree import (
    DIGEST_LENGTH,
    IGNORED,
    Entry,
    digest_of,
    is_ignored,
)

MANAGE = Entry("manage.py", "program", b"import django\n")
VIEWS = Entry("apps/views.py", "file", b"def lectures(): ...\n")


def test_the_order_does_not_count() -> None:
    assert digest_of([MANAGE, VIEWS]) == digest_of([VIEWS, MANAGE])
    assert len(digest_of([])) == DIGEST_LENGTH


@pytest.mark.parametrize(
    "other",
    [
        Entry("manage.py", "file", b"import django\n"),
        Entry("manage.py", "program", b"import django"),
        Entry("manage", "program", b".pyimport django\n"),
        Entry("Manage.py", "program", b"import django\n"),
    ],
)
def test_every_difference_counts(other: Entry) -> None:
    assert digest_of([MANAGE, VIEWS]) != digest_of([other, VIEWS])


def test_a_file_more_counts() -> None:
    assert len({digest_of([]), digest_of([MANAGE]), digest_of([MANAGE, VIEWS])}) == 3


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("__pycache__", True),
        ("views.cpython-311.pyc", True),
        ("wheels", True),
        (".mypy_cache", True),
        (".env.deploy", True),
        (".dockerignore", False),
        ("views.py", False),
        ("environment.py", False),
        ("wheels.py", False),
    ],
)
def test_is_ignored(name: str, expected: bool) -> None:
    assert is_ignored(name, IGNORED) is expected

# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a release is recorded, read again, and which one came before."""

from __future__ import annotations

from dataclasses import replace

import pytest

from plugins.module_utils.releases import (
    LONGEST_BYTES,
    Release,
    digests,
    going_back,
    read_releases,
    release_before,
    release_text,
    shipped,
)

TIMES = ("2026-01-31T09:26:00Z", "2026-01-31T09:30:00Z")
DIGESTS = {"academy-api": f"sha256:{1:064}", "academy-ai-worker-cpu": f"sha256:{2:064}"}
SHIPPED = Release("new", "succeeded", "deploy", "alice", "desk", *TIMES, digests=DIGESTS)


def test_a_release_is_read_as_it_was_written_the_newest_first() -> None:
    versions = [{"Version": number, "Value": release_text(SHIPPED)} for number in (1, 3, 2)]
    assert read_releases(versions) == [replace(SHIPPED, number=number) for number in (3, 2, 1)]


def test_a_later_version_of_a_record_may_say_more() -> None:
    value = release_text(SHIPPED).replace("{", '{"more": 1, ', 1)
    assert read_releases([{"Version": 1, "Value": value}]) == [replace(SHIPPED, number=1)]


@pytest.mark.parametrize("value", ["", "[]", "1", "{}", '{"release": "new"}'])
def test_what_is_no_record_is_left_out(value: str) -> None:
    assert read_releases([{"Version": 1, "Value": value}]) == []


def test_a_record_fits_into_a_parameter_whatever_is_shipped() -> None:
    many = {f"academy-worker-{number}": f"sha256:{number:064}" for number in range(60)}
    assert len(release_text(replace(SHIPPED, digests=dict(list(many.items())[:30]))).encode()) <= LONGEST_BYTES
    (read,) = read_releases([{"Version": 1, "Value": release_text(replace(SHIPPED, digests=many))}])
    assert read == replace(SHIPPED, digests={}, number=1)


@pytest.mark.parametrize(
    ("history", "before"),
    [
        ([], None),
        (["new"], None),
        (["old", "new"], "old"),
        (["older", "old", "new", "new"], "old"),
        # Where the last did not succeed, what runs is named, and the newest that did counts.
        (["older", "old", "-broken"], "old"),
        (["older", "-broken", "new"], "older"),
        # There and back again.
        (["old", "new", "old"], "new"),
    ],
)
def test_a_rollback_goes_to_the_last_other_release_that_succeeded(history: list[str], before: str | None) -> None:
    records = [
        replace(
            SHIPPED,
            release=release.strip("-"),
            result="failed" if release.startswith("-") else "succeeded",
            number=number,
        )
        for number, release in enumerate(history, 1)
    ]
    found = release_before(records[::-1], records[-1].release if records else "new")
    assert (found.release if found else None) == before


def test_what_was_shipped_is_what_came_up_by_image() -> None:
    records = [
        replace(SHIPPED, release=name, result=result, digests=dict.fromkeys(images, "sha256:1"))
        for name, result, images in (
            ("d", "succeeded", ["video"]),
            ("c", "failed", ["api"]),
            ("b", "succeeded", ["api", "video"]),
            ("a", "succeeded", ["api"]),
            ("b", "succeeded", ["api"]),
        )
    ]
    assert shipped(records) == {"video": ["d", "b"], "api": ["b", "a"]}


def test_the_digests_that_succeeded_are_told_by_image_and_each_once() -> None:
    ran = [("succeeded", {"api": "1"}), ("failed", {"api": "2"}), ("succeeded", {"api": "1", "video": "3"})]
    records = [replace(SHIPPED, result=result, digests=found) for result, found in ran]
    assert digests(records) == {"api": ["1"], "video": ["3"]}


@pytest.mark.parametrize(
    ("history", "target"),
    [
        ([], None),
        ([("site", "a")], None),
        ([("site", "a"), ("deploy", "b")], "a"),
        ([("site", "a"), ("deploy", "-b")], "a"),
        # Repeated, it completes itself, and never brings back what it led away from.
        ([("site", "a"), ("deploy", "b"), ("rollback", "a")], "a"),
        ([("site", "a"), ("deploy", "b"), ("rollback", "-a")], "a"),
        ([("site", "z"), ("site", "a"), ("deploy", "-b"), ("rollback", "-a")], "a"),
        ([("site", "a"), ("deploy", "b"), ("rollback", "a"), ("deploy", "c")], "a"),
    ],
)
def test_a_rollback_that_is_repeated_goes_where_the_last_one_went(
    history: list[tuple[str, str]], target: str | None
) -> None:
    records = [
        replace(
            SHIPPED,
            playbook=playbook,
            release=release.strip("-"),
            result="failed" if release.startswith("-") else "succeeded",
            number=number,
        )
        for number, (playbook, release) in enumerate(history, 1)
    ]
    found = going_back(records[::-1])
    assert (found.release if found else None) == target

# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What was shipped: the history of one SSM parameter, of which SSM keeps the last hundred versions by itself."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, Literal

ROLLBACK, SUCCEEDED = "rollback", "succeeded"
# A parameter of the standard tier, in bytes.
LONGEST_BYTES = 4096

Result = Literal["succeeded", "failed", "interrupted"]


@dataclass(frozen=True)
class Release:
    """One run that configured hosts: what it shipped, who ran it, and how it ended."""

    release: str
    result: str
    playbook: str
    owner: str
    host: str
    started_at: str
    ended_at: str
    # Image name and digest; empty where too many to be kept, or not known.
    digests: Mapping[str, str] = field(default_factory=dict)
    number: int = 0  # SSM's version; 0 before it is written


def releases_name(deployment_name: str) -> str:
    return f"/{deployment_name}/releases"


def release_text(release: Release) -> str:
    """The parameter's value: without digests where it would be too long."""
    content = asdict(release)
    del content["number"]
    text = json.dumps(content, ensure_ascii=False)
    if len(text.encode()) <= LONGEST_BYTES or not release.digests:
        return text
    return release_text(replace(release, digests={}))


def read_release(version: Mapping[str, Any]) -> Release | None:
    """A version, of SSM's answer; None where it is no record."""
    try:
        content = json.loads(version["Value"])
        known = {each.name for each in fields(Release)} - {"number"}
        return Release(number=int(version["Version"]), **{name: content[name] for name in known & set(content)})
    except (ValueError, TypeError, AttributeError):
        return None


def read_releases(versions: Iterable[Mapping[str, Any]]) -> list[Release]:
    """The records, the newest first."""
    found = (read_release(version) for version in versions)
    return sorted((release for release in found if release), key=lambda release: -release.number)


def release_before(releases: Sequence[Release], release: str) -> Release | None:
    """The newest that succeeded with another release than this: what a rollback goes back to."""
    return next((found for found in releases if found.result == SUCCEEDED and found.release != release), None)


def going_back(releases: Sequence[Release]) -> Release | None:
    """What a rollback goes to: one that is repeated goes where the last one went, whatever came of it."""
    last = releases[0] if releases else None
    if last and last.playbook == ROLLBACK:
        return last
    return release_before(releases, last.release if last else "")


def digests(releases: Sequence[Release]) -> dict[str, list[str]]:
    """By image the digests that came up in a run that succeeded."""
    succeeded = [item for found in releases if found.result == SUCCEEDED for item in found.digests.items()]
    return {image: [*dict.fromkeys(digest for name, digest in succeeded if name == image)] for image, _ in succeeded}


def shipped(releases: Sequence[Release]) -> dict[str, list[str]]:
    """By image the releases whose image came up in a run that succeeded; of the API's the database knows them."""
    succeeded = [found for found in releases if found.result == SUCCEEDED]
    images = dict.fromkeys(image for found in succeeded for image in found.digests)
    return {image: [*dict.fromkeys(each.release for each in succeeded if image in each.digests)] for image in images}

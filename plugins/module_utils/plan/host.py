# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What lies on a host: packages, directories, files and units, each compared with what a role wants of it.

A role of this kind reads by host_state_info and has the role host_configuration apply what is decided here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ..host_state import path_differences
from . import Change, Difference, Values, Verb

# In the order in which they are applied.
APPLIES = ("stopped", "packages", "directories", "files", "absent", "reloaded", "started", "restarted")
LISTS = {"directory": "directories", "file": "files", "absent": "absent"}
UNIT_DIRECTORY = "/etc/systemd/system/"
NOT_SHOWN = "not shown"
UP = {"active_state": "active", "unit_file_state": "enabled"}


def reads(
    paths: Iterable[Mapping[str, Any]], *others: str, packages: Sequence[str] = (), units: Sequence[str] = ()
) -> dict[str, Any]:
    """What host_state_info is asked. Contents are read only of files that hold no secret."""
    wanted = [*paths]
    return {
        "paths": [*(want["path"] for want in wanted), *others],
        "contents": [want["path"] for want in wanted if "content" in want and not want.get("secret")],
        "packages": [*packages],
        "units": [*units],
    }


def package_changes(found: Values, wanted: Iterable[str], why: str) -> list[Change]:
    return [
        Change(name, "create", (Difference("package", None, name),), why, {"packages": {}, "reloaded": {}})
        for name in wanted
        if found["packages"][name] is None
    ]


def path_changes(found: Values, wanted: Iterable[Mapping[str, Any]], why: str) -> list[Change]:
    """Directories, files and what must not be there, as host_state.path_differences takes them.

    A file is `secret` where its content must not be told.
    """
    changes = []
    for want in path_differences(found["paths"], wanted):
        now = found["paths"][want["path"]]
        verb: Verb = "create" if now["kind"] == "absent" else "remove" if want["kind"] == "absent" else "update"
        apply: dict[str, Values] = {LISTS[want["kind"]]: {"secret": False, **want}}
        is_unit = want["path"].startswith(UNIT_DIRECTORY) and want["kind"] != "directory"
        if is_unit and {"kind", "sha256"} & {*want["differs"]}:
            apply["reloaded"] = {}
        changes.append(Change(want["path"], verb, tuple(_differences(now, want, verb)), why, apply))
    return changes


def _differences(now: Values, want: Values, verb: Verb) -> Iterable[Difference]:
    if verb != "create" and "kind" in want["differs"]:
        yield Difference("kind", now["kind"], want["kind"])
    # Of what is made all is told.
    names = ("owner", "group", "mode", "sha256") if verb == "create" else want["differs"]
    for name in names:
        if name == "sha256" and "content" in want:
            before, after = now.get("content"), want["content"]
            yield Difference("content", *((NOT_SHOWN, NOT_SHOWN) if want.get("secret") else (before, after)))
        elif name in ("owner", "group"):
            yield Difference(name, now.get(name), want.get(name, "root"))
        elif name == "mode" and "mode" in want:
            yield Difference(name, now.get(name), want["mode"])


def is_rewritten(changes: Iterable[Change], path: str) -> bool:
    """Whether a file gets another content, or comes back."""
    return any(
        change.resource == path and {"content", "kind"} & {found.field for found in change.differences}
        for change in changes
    )


def unit_changes(name: str, found: Values, why: str, *, wanted: bool, outdated: str) -> list[Change]:
    """A unit that is up and knows its files, or is not there. `outdated` says what a running one has not read yet."""
    unit = found["units"][name]
    if not wanted:
        stopped = Difference("load_state", unit["load_state"], "not-found")
        return [Change(name, "remove", (stopped,), why, {"stopped": {}})] if unit["load_state"] != "not-found" else []
    differences = [Difference(key, unit[key], value) for key, value in UP.items() if unit[key] != value]
    apply: dict[str, Values] = {"started": {}} if differences else {}
    # One that ends and is started by systemd again and again counts as started for whoever starts it once more.
    if unit["active_state"] == "activating":
        apply["restarted"] = {}
    # One that does not run reads its files when it starts; one that runs is not restarted by being enabled.
    if outdated and unit["active_state"] == UP["active_state"]:
        differences.append(Difference("configuration", "older", outdated))
        apply["restarted"] = {}
    if unit["need_daemon_reload"]:
        differences.append(Difference("unit files", "changed since systemd read them", "read"))
        apply["reloaded"] = {}
    return [Change(name, "update", tuple(differences), why, apply)] if differences else []

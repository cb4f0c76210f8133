# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whatever happened to the proxy, exactly one container serves, and no connection is closed where none has to be."""

from __future__ import annotations

import hashlib
from copy import deepcopy
from typing import Any

import pytest

from plugins.module_utils.plan import Plan, applied
from plugins.module_utils.plan.proxy import DROP_IN_DIRECTORY, PACKAGE, ROLE, UNIT, paths, text
from plugins.module_utils.proxy import PATH, SOCKET

INPUTS: dict[str, Any] = {
    "services": {
        "api": {
            "name": "academy-api",
            "log_group": "/academy/academy-api",
            "dockerfile": "docker/api/Dockerfile",
            "memory_mib": 1400,
            "slots": {"a": 8001, "b": 8002},
        }
    },
    "proxy_service": "api",
    "api_port": 8000,
    "proxy_serving": "",
    "proxy_image": "",
}
DROP_IN = f"{DROP_IN_DIRECTORY}/restart.conf"
UP = {"load_state": "loaded", "active_state": "active", "unit_file_state": "enabled", "need_daemon_reload": False}
DOWN = {**UP, "active_state": "inactive", "unit_file_state": "disabled"}
RUNNING = {"status": "running", "running_seconds": 60.0}


def as_wanted(want: dict[str, Any]) -> dict[str, Any]:
    found = {"kind": want["kind"], "owner": "root", "group": "root", "mode": want["mode"]}
    if "content" in want:
        found |= {"content": want["content"], "sha256": hashlib.sha256(want["content"].encode()).hexdigest()}
    return found


def servers(serving: str) -> dict[str, Any]:
    return {slot: {"state": "ready" if slot == serving else "maint", "sessions": 0} for slot in ("a", "b")}


def state(serving: str = "a", **others: Any) -> dict[str, Any]:
    port = {"a": 8001, "b": 8002}[serving]
    found = {
        "packages": {PACKAGE: "3.0-1"},
        "paths": {want["path"]: as_wanted(want) for want in paths(INPUTS, text(INPUTS, serving))},
        "units": {UNIT: UP},
        "proxies": {SOCKET: servers(serving)},
        "containers": {f"academy-api-{serving}": {**RUNNING, "published_ports": [f"127.0.0.1:{port}:8000/tcp"]}},
    }
    return {**deepcopy(found), **others}


def with_record(content: str, **others: Any) -> dict[str, Any]:
    found = state(**others)
    found["paths"][PATH] |= {"content": content, "sha256": "other"}
    return found


NEW: dict[str, Any] = {
    "packages": {PACKAGE: None},
    "paths": {path: {"kind": "absent"} for path in state()["paths"]},
    "units": {UNIT: {**DOWN, "load_state": "not-found"}},
    "proxies": {SOCKET: {}},
    "containers": {},
}


def decided(found: dict[str, Any], **inputs: Any) -> Plan:
    return ROLE.decide({**INPUTS, **inputs}, found)


def needed(plan: Plan) -> dict[str, list[str]]:
    items = applied([*plan.changes, *plan.pending], ROLE.applies)
    return {name: [item["name"] for item in listed] for name, listed in items.items() if listed}


@pytest.mark.parametrize("serving", ["a", "b"])
def test_what_is_as_wanted_needs_nothing(serving: str) -> None:
    plan = decided(state(serving))
    assert (needed(plan), plan.known["slot"]) == ({}, serving)


def test_an_empty_host_gets_a_proxy_that_leads_to_the_first_container() -> None:
    plan = decided(NEW)
    assert needed(plan) == {
        "packages": [PACKAGE],
        "directories": [DROP_IN_DIRECTORY],
        "files": [DROP_IN, PATH],
        "reloaded": [PACKAGE, DROP_IN],
        "started": [UNIT],
    }
    assert plan.known["slot"] == "a"
    (written,) = [change for change in plan.changes if change.resource == PATH]
    assert written.apply["files"]["content"] == text(INPUTS, "a")


def test_another_container_takes_over_without_a_new_start() -> None:
    plan = decided(state("a"), proxy_serving="b")
    assert (needed(plan), plan.known["slot"]) == ({"switched": [UNIT]}, "b")


def test_nobody_is_led_to_an_image_that_is_not_the_one_that_was_brought_up() -> None:
    found = state("a")
    plan = decided(found, proxy_serving="b", proxy_image="new")
    assert [(one.subject, one.found) for one in plan.refusals] == [("academy-api-b", "no container")]
    found["containers"]["academy-api-b"] = {**RUNNING, "published_ports": [], "image": "another"}
    plan = decided(found, proxy_serving="b", proxy_image="new")
    assert [(one.subject, one.found) for one in plan.refusals] == [("academy-api-b", "another")]
    assert not plan.changes
    assert needed(decided(found, proxy_serving="b", proxy_image="another")) == {"switched": [UNIT]}


def test_a_proxy_that_is_down_is_started_with_another_one_and_told_nothing() -> None:
    plan = decided(state("a", units={UNIT: DOWN}, proxies={SOCKET: {}}), proxy_serving="b")
    assert needed(plan) == {"files": [PATH], "started": [UNIT]}


def test_a_package_that_was_removed_below_a_proxy_that_runs_has_it_started_and_enabled_again() -> None:
    plan = decided(state(packages={PACKAGE: None}))
    assert needed(plan) == {"packages": [PACKAGE], "reloaded": [PACKAGE], "started": [UNIT]}


def test_a_proxy_that_says_nothing_yet_is_told_what_is_recorded_anew_alone() -> None:
    silent = state("a", proxies={SOCKET: {}})
    assert needed(decided(silent)) == {}
    assert needed(decided(silent, proxy_serving="b")) == {"switched": [UNIT]}


@pytest.mark.parametrize(
    ("found", "slot"),
    [
        # Killed between the record and the socket, and in the middle of what the socket was told.
        (state("b", proxies={SOCKET: servers("a")}), "b"),
        (state("a", proxies={SOCKET: {**servers("a"), "b": {"state": "drain", "sessions": 3}}}), "a"),
        (state("a", proxies={SOCKET: {**servers("a"), "b": {"state": "ready", "sessions": 0}}}), "a"),
    ],
)
def test_a_proxy_that_runs_is_brought_to_what_the_record_says(found: dict[str, Any], slot: str) -> None:
    plan = decided(found)
    assert (needed(plan), plan.known["slot"]) == ({"switched": [UNIT]}, slot)


def test_a_record_of_a_container_that_does_not_run_is_corrected_where_another_one_serves() -> None:
    wrong = {**state("b"), "paths": state("a")["paths"]}
    plan = decided(wrong)
    # As any damaged file, and nobody is moved.
    assert (needed(plan), plan.known["slot"]) == ({"files": [PATH], "reread": [UNIT]}, "b")
    (written,) = [change for change in plan.changes if change.resource == PATH]
    assert written.apply["files"]["content"] == text(INPUTS, "b")
    # Who is recorded may be coming up while nobody else serves, and its caller knows better.
    right: list[dict[str, Any]] = [{"containers": {}}, {"proxies": {SOCKET: {}}}, {"containers": BOTH_RUN}]
    assert [decided({**wrong, **others}).known["slot"] for others in right] == ["a"] * 3
    assert decided(wrong, proxy_serving="a").known["slot"] == "a"


@pytest.mark.parametrize("content", ["", "global\n", text(INPUTS, "a")[:-20]])
def test_a_damaged_file_is_written_for_whom_serves_and_read_again(content: str) -> None:
    plan = decided(with_record(content, serving="b"))
    assert (needed(plan), plan.known["slot"]) == ({"files": [PATH], "reread": [UNIT]}, "b")


def test_a_damaged_file_of_a_proxy_that_is_down_is_written_for_the_container_that_runs() -> None:
    plan = decided(with_record("", serving="b", units={UNIT: DOWN}, proxies={SOCKET: {}}))
    assert (needed(plan), plan.known["slot"]) == ({"files": [PATH], "started": [UNIT]}, "b")


BOTH_RUN = {name: {**RUNNING, "published_ports": []} for name in ("academy-api-a", "academy-api-b")}


@pytest.mark.parametrize(
    ("others", "inputs", "slot"),
    [
        # Who serves at this moment is known better than who could.
        ({"containers": BOTH_RUN}, {}, "b"),
        ({"containers": BOTH_RUN}, {"proxy_serving": "a"}, "a"),
        ({"proxies": {SOCKET: {**servers("b"), "a": {"state": "ready", "sessions": 0}}}}, {}, "b"),
        (
            {"proxies": {SOCKET: {**servers("b"), "a": {"state": "drain", "sessions": 3}}}, "containers": BOTH_RUN},
            {},
            "b",
        ),
        ({"proxies": {SOCKET: {}}}, {}, "b"),
        ({"proxies": {SOCKET: {}}, "containers": {}}, {}, "a"),
    ],
)
def test_without_a_record_who_serves_is_found_out(others: dict[str, Any], inputs: dict[str, Any], slot: str) -> None:
    assert decided(with_record("", serving="b", **others), **inputs).known["slot"] == slot


def test_a_file_of_other_timeouts_is_written_and_read_again() -> None:
    assert needed(decided(with_record(text(INPUTS, "a").replace("75s", "1s")))) == {"files": [PATH], "reread": [UNIT]}


def test_the_port_is_left_to_the_container_of_before_until_that_is_gone() -> None:
    before = {"academy-api": {**RUNNING, "published_ports": ["0.0.0.0:8000:8000/tcp"]}}
    plan = decided({**NEW, "containers": before})
    assert not plan.missing
    assert "started" not in needed(plan)


def test_a_stranger_on_the_port_is_named() -> None:
    stranger = {"web": {**RUNNING, "published_ports": ["0.0.0.0:8000:80/tcp"]}}
    (found,) = decided({**NEW, "containers": stranger}).missing
    assert "the container web holds port 8000" in found.rule.en
    assert not decided({**NEW, "containers": {"web": {**stranger["web"], "running_seconds": None}}}).missing

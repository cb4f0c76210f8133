# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a plan tells of its changes, and what the tasks of its role get of them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from plugins.module_utils.findings import Finding, Words
from plugins.module_utils.plan import Change, Difference, Plan, Rule, applied, compare, diff, lines
from plugins.module_utils.plan.roles import DECISIONS
from tests import support

WANTED = {"size_gib": 8, "tags": {"Project": "a"}}


def changed(found: dict[str, Any] | None) -> list[Change]:
    return compare("thing", WANTED, found, "guide §1", lambda fields: {"things": {"fields": sorted(fields)}})


def test_what_is_as_wanted_needs_nothing() -> None:
    assert changed({**WANTED, "what nobody wants": 1}) == []


FINDING = Finding("id", "a", "", Words("", ""), Words("", ""))
WARNING = replace(FINDING, severity="warning")


@pytest.mark.parametrize(
    ("plan", "is_empty"),
    [
        (Plan(), True),
        # What differs and stays, what tasks would need, and what is not wise leave nothing to do.
        (Plan(expected=changed(None), known={"image": "a"}, tag="api"), True),
        (Plan([WARNING]), True),
        (Plan([FINDING]), False),
        (Plan(changes=changed(None)), False),
        (Plan(pending=changed(None)), False),
        (Plan(missing=[FINDING]), False),
        (Plan(unsettled=[FINDING]), False),
    ],
)
def test_a_role_whose_plan_is_empty_need_not_run(plan: Plan, is_empty: bool) -> None:
    assert plan.is_empty is is_empty


@pytest.mark.parametrize(
    ("found", "told", "shown"),
    [
        (None, ["+ thing: create (guide §1; --tags role)"], ("", 'size_gib: 8\ntags: {"Project": "a"}\n')),
        (
            {**WANTED, "size_gib": 4},
            ["~ thing: size_gib: 4 -> 8 (guide §1; --tags role)"],
            ("size_gib: 4\n", "size_gib: 8\n"),
        ),
        (
            {},
            [
                "~ thing: size_gib: none -> 8 (guide §1; --tags role)",
                '~ thing: tags: none -> {"Project": "a"} (guide §1; --tags role)',
            ],
            ("size_gib: none\ntags: none\n", 'size_gib: 8\ntags: {"Project": "a"}\n'),
        ),
    ],
)
def test_a_change_is_told_field_by_field(found: dict[str, Any] | None, told: list[str], shown: tuple[str, str]) -> None:
    changes = changed(found)
    assert lines(changes, "role") == told
    text = diff(changes[0])
    assert (text["before"], text["after"]) == shown


def test_of_a_mapping_only_what_differs_is_told() -> None:
    (change,) = changed({**WANTED, "tags": {"Project": "b", "Owner": "x", "Same": 1}})
    assert change.reason == "tags: Project b -> a, Owner x -> none, Same 1 -> none"


def test_what_is_removed_is_told_without_its_fields() -> None:
    change = Change("thing", "remove", (Difference("size_gib", 8, None),), "guide §1")
    assert lines([change], "role") == ["- thing: remove (guide §1; --tags role)"]
    assert (diff(change)["before"], diff(change)["after"]) == ("size_gib: 8\n", "")


@pytest.mark.parametrize(
    ("resource", "title"), [("vol-1", "vol-1 (api-1)"), ("api-1", "api-1"), ("api-1-spot", "api-1-spot")]
)
def test_of_several_hosts_the_host_is_named(resource: str, title: str) -> None:
    change = Change(resource, "create", (), "guide §1", host="api-1")
    assert lines([change], "role") == [f"+ {title}: create (guide §1; --tags role)"]
    assert diff(change)["after_header"] == f"{title} (guide §1)"


def test_tasks_get_the_changes_by_the_names_of_their_loops() -> None:
    assert applied(changed({**WANTED, "size_gib": 4}), ("things", "others")) == {
        "things": [{"name": "thing", "fields": ["size_gib"], "reason": "size_gib: 4 -> 8"}],
        "others": [],
    }


def test_a_loop_that_the_role_does_not_have_is_an_error() -> None:
    with pytest.raises(KeyError):
        applied(changed(None), ("others",))


def test_a_long_value_is_cut_in_a_line_and_not_in_a_diff() -> None:
    (change,) = compare("thing", {"policy": "x" * 500}, {"policy": ""}, "guide §1", lambda _: {})
    assert len(lines([change], "role")[0]) < 200
    assert "x" * 500 in diff(change)["after"]


def test_a_rule_is_asked_where_all_that_it_judges_is_there() -> None:
    finding = Finding("id", "a", "", Words("", ""), Words("", ""))
    rule = Rule(lambda a, b: [finding] if a > b else [], ("a", "b"))
    assert rule.findings({"a": 2}) == []
    assert rule.findings({"a": 2, "b": 1}) == [finding]


@pytest.mark.parametrize("role", [name for name, role in DECISIONS.items() if role.has_code])
def test_a_role_with_code_has_files(role: str) -> None:
    """Of a directory that does not exist there would be a digest too."""
    assert list((support.ROOT / "roles" / role / "files").glob("**/*.py"))


@pytest.mark.parametrize("role", DECISIONS)
def test_the_tasks_of_a_role_loop_over_what_its_decision_names(role: str) -> None:
    tasks = tasks_of(role)
    passed_on = tasks_of("host_configuration") if "name: academy.deploy.host_configuration" in tasks else ""
    for name in DECISIONS[role].applies:
        assert f"changes.{name}" in tasks or f"host_configuration.{name}" in passed_on


def tasks_of(role: str) -> str:
    return "".join(file.read_text(encoding="utf-8") for file in (support.ROOT / "roles" / role).glob("tasks/*.yml"))

# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What follows from the rows of services, and which rows are none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from plugins.module_utils.plan.roles import DECISIONS
from plugins.module_utils.services import (
    OPTIONS,
    ROWS,
    image_definitions,
    kinds_of_hosts,
    log_groups,
    memory_limits_mib,
    on_host,
    owners,
    repositories,
    role_findings,
    roles_of_host,
    row_findings,
    rows,
    starter_workers,
    stopping_containers,
    stopping_hosts,
    tag_of,
)
from tests.unit.rows import KIND, row
from tests.unit.rows import ROWS as GUIDE

ROLES = Path(__file__).resolve().parents[3] / "roles"
SERVICES: dict[str, Any] = {
    "api": row("academy-x", sends_to=["a-jobs", "b-jobs"]),
    "messaging": row("academy-y", receives_from=["b-jobs"]),
    "video": row("academy-z", receives_from=["a-jobs"], stops_itself=True),
}
API = {**KIND, "sends_to": ["a-jobs", "b-jobs"]}
MESSAGING = {
    **KIND, "containers": ["academy-y"], "log_groups": ["/academy/academy-y"], "receives_from": ["b-jobs"],
}  # fmt: skip
VIDEO = {
    "containers": ["academy-z"], "log_groups": ["/academy/academy-z"], "sends_to": [], "receives_from": ["a-jobs"],
    "stops_itself": True,
}  # fmt: skip


@pytest.mark.parametrize(
    ("groups", "expected"),
    [
        pytest.param(
            {"api": ["h-1", "h-2"], "messaging": ["h-3"], "video": ["h-4"]},
            {"small": API, "tiny": MESSAGING, "large": VIDEO},
            id="a host each",
        ),
        pytest.param(
            {"api": ["h-1", "h-2"], "messaging": ["h-2"], "video": []},
            {
                "small": {
                    **API,
                    "containers": ["academy-x", "academy-y"],
                    "log_groups": ["/academy/academy-x", "/academy/academy-y"],
                    "receives_from": ["b-jobs"],
                }
            },
            id="messaging on one of two API hosts",
        ),
        pytest.param(
            {"api": ["h-4"], "video": ["h-4"]},
            {
                "large": {
                    "containers": ["academy-x", "academy-z"],
                    "log_groups": ["/academy/academy-x", "/academy/academy-z"],
                    "sends_to": ["a-jobs", "b-jobs"],
                    "receives_from": ["a-jobs"],
                    "stops_itself": True,
                }
            },
            id="one that stops itself is enough",
        ),
        pytest.param({"api": ["unknown"]}, {}, id="a host whose kind is not known"),
    ],
)
def test_a_kind_may_do_what_the_services_on_its_hosts_need(
    groups: dict[str, list[str]], expected: dict[str, Any]
) -> None:
    kinds = {"h-1": "small", "h-2": "small", "h-3": "tiny", "h-4": "large"}
    assert kinds_of_hosts(SERVICES, groups, kinds) == expected


def test_the_starter_serves_the_services_whose_hosts_stop_themselves_each_with_its_own_queues_and_hosts() -> None:
    groups = {"api": ["a"], "messaging_worker": ["m"], "video_worker": ["v1", "v2"], "ai_worker": ["a2", "v2"]}
    # The second one has no host yet.
    services = {**GUIDE, "later_worker": row("later", receives_from=["later"], stops_itself=True)}
    assert starter_workers(services, groups) == {
        "video_worker": {"queues": ["videos"], "hosts": ["v1", "v2"]},
        "ai_worker": {"queues": ["lite", "basic"], "hosts": ["a2", "v2"]},
    }


def test_a_host_stops_itself_where_all_of_its_services_do() -> None:
    groups = {"instances": ["v", "both", "mixed", "a"], "video_worker": ["v", "both", "mixed"], "ai_worker": ["both"]}
    assert stopping_hosts(GUIDE, {**groups, "api": ["a", "mixed"]}) == ["both", "v"]


def test_a_service_with_slots_owns_two_containers_and_the_one_of_before() -> None:
    services = {"api": {**row("x"), "slots": {"a": 8001, "b": 8002}}, "video": row("y")}
    assert owners(services) == {"x": "x", "x-a": "x", "x-b": "x", "y": "y"}


@pytest.mark.parametrize(
    ("slots", "others"),
    [
        ({"a": 8001}, {}),
        ({"a": 8001, "b": 8001}, {}),
        ({"a": 80, "b": 8001}, {}),
        ({"a": "x", "b": 8001}, {}),
        ({"a": 8001, "b": 8002, "c": 8003}, {}),
        ({"a": 8001, "b": 8002}, {"stops_itself": True}),
    ],
)
def test_slots_that_cannot_take_turns_are_refused(slots: dict[str, Any], others: dict[str, Any]) -> None:
    (found,) = row_findings({"api": {**row("x"), "slots": slots, **others}})
    assert found.subject == "services.api.slots"


def test_what_all_services_need() -> None:
    assert repositories(SERVICES) == ["academy-x", "academy-y", "academy-z"]
    assert log_groups(SERVICES) == [f"/academy/{name}" for name in repositories(SERVICES)]
    assert image_definitions({"api": row("a")}) == [{"name": "a", "dockerfile": "docker/a/Dockerfile"}]


@pytest.mark.parametrize(
    ("groups", "variables", "roles"),
    [
        (["api"], [], ["swap", "docker", "api"]),
        (["api", "messaging_worker"], [], ["swap", "docker", "api", "messaging_worker"]),
        (
            ["video_worker"],
            ["transcode_volume_size_gib"],
            ["swap", "transcode_volume", "docker", "watchdog", "video_worker"],
        ),
        (["ai_worker", "new", "newer"], [], ["swap", "docker", "watchdog", "ai_worker", "worker"]),
    ],
)
def test_which_roles_configure_a_host(groups: list[str], variables: list[str], roles: list[str]) -> None:
    new = {name: row(name, receives_from=["jobs"], stops_itself=True) for name in ("new", "newer")}
    assert roles_of_host({**GUIDE, **new}, groups, variables) == roles


def test_what_a_host_needs_follows_from_its_groups() -> None:
    groups = ["instances", "video_worker", "api"]
    assert [*on_host(GUIDE, groups)] == ["api", "video_worker"]
    assert memory_limits_mib(GUIDE, groups) == {"api": 1400, "video_worker": 3200}
    assert stopping_containers(GUIDE, groups) == {"video_worker": "academy-video-worker"}
    assert (tag_of(GUIDE, "api"), tag_of({"new": row()}, "new"), tag_of({}, "gone")) == ("api", "worker", "gone")


# Numbers may come as text, from -e.
@pytest.mark.parametrize("change", [{}, {"memory_mib": "400"}, {"stops_itself": "yes"}, {"environment": {"A": "b"}}])
def test_a_row_that_is_right(change: dict[str, Any]) -> None:
    services = {"new": {**row(), **change}}
    assert row_findings(services) == []
    assert rows(services)["new"].memory_mib == 400


@pytest.mark.parametrize(
    ("services", "subjects"),
    [
        ({"new": "x"}, ["services.new"]),
        ({"new": {}}, [f"services.new.{name}" for name, spec in OPTIONS.items() if spec.get("required")]),
        ({"new": row(memory_mib="much")}, ["services.new.memory_mib"]),
        ({"new": row(stops_itself="maybe")}, ["services.new.stops_itself"]),
        ({"new": row(receives_from={})}, ["services.new.receives_from"]),
        ({"new": row(environment="A=b")}, ["services.new.environment"]),
        ({"new": row(recieves_from=["jobs"])}, ["services.new.recieves_from"]),
        ({"new": row("same"), "newer": row("same")}, ["services.newer.name"]),
    ],
)
def test_a_row_that_is_wrong(services: dict[str, Any], subjects: list[str]) -> None:
    found = row_findings(services)
    assert [finding.subject for finding in found] == subjects
    assert all(finding.rule.ko != finding.rule.en and finding.remedy.ko for finding in found)


def test_a_role_that_does_not_exist_is_named() -> None:
    known = [path.name for path in ROLES.iterdir()]
    assert role_findings({**GUIDE, "new": row()}, known) == []
    (finding,) = role_findings({"new": row(role="vidoe_worker")}, known)
    assert finding.subject == "services.new.role"
    assert "vidoe_worker" in finding.text_en


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)


@given(
    st.dictionaries(st.sampled_from(["api", "new"]), ANYTHING | st.dictionaries(st.sampled_from([*OPTIONS]), ANYTHING))
)
def test_nothing_follows_from_a_row_that_is_wrong(services: dict[str, Any]) -> None:
    wrong = {finding.subject.split(".")[1] for finding in row_findings(services)}
    assert services.keys() - wrong <= {*rows(services)}
    assert kinds_of_hosts(services, {"api": ["h"], "new": ["h"]}, {"h": "small"}).keys() <= {"small"}


@pytest.mark.parametrize("name", DECISIONS)
def test_every_role_that_takes_the_rows_judges_them(name: str) -> None:
    specs = yaml.safe_load((ROLES / name / "meta/argument_specs.yml").read_text(encoding="utf-8"))
    takes = "services" in specs["argument_specs"]["main"]["options"]
    assert (ROWS in DECISIONS[name].rules) == takes

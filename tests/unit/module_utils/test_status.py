# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host shows of its services, and the table of all: what could not be read never looks as if it were right."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from plugins.module_utils.deploy_lock import Lock, lock_name, lock_text
from plugins.module_utils.releases import Release, release_text
from plugins.module_utils.services import rows
from plugins.module_utils.status import digest_findings, host_room, host_services, report
from tests.unit.rows import row

NOW = datetime(2026, 11, 30, 9, 0, tzinfo=UTC)
REGISTRY = "123456789012.dkr.ecr.ap-northeast-2.amazonaws.com"
NEW, OLD = f"sha256:{'1' * 64}", f"sha256:{'2' * 64}"
URL = "http://localhost:8000/health"
SERVICES = rows(
    {
        "api": row("academy-api", 1400, role="api", slots={"a": 8001, "b": 8002}),
        "messaging_worker": row("academy-messaging-worker", receives_from=["jobs"]),
    }
)
SOCKET = "/var/lib/haproxy/stats"


def container(image_id: str = "new", **changes: Any) -> dict[str, Any]:
    return {"image_id": image_id, "status": "running", "health": "", "settled": True, **changes}


def server(state: str) -> dict[str, Any]:
    return {"state": state, "sessions": 0, "port": None}


def images(name: str) -> list[dict[str, Any]]:
    of = f"{REGISTRY}/{name}"
    return [
        {"id": "new", "references": [f"{of}:two", f"{of}@{NEW}"], "created_seconds": 2},
        {"id": "old", "references": [f"{of}@{OLD}"], "created_seconds": 1},
    ]


def found(**changes: Any) -> dict[str, Any]:
    """What host_state_info tells of a host on which everything runs."""
    return {
        "containers": {
            "academy-api-a": container("old"),
            "academy-api-b": container(),
            "academy-messaging-worker": container(),
        },
        "repositories": {f"{REGISTRY}/{service.name}": images(service.name) for service in SERVICES.values()},
        "proxies": {SOCKET: {"a": server("maint"), "b": server("ready")}},
        "answering": [URL],
        "disks": {"/": {"size_bytes": 1000, "available_bytes": 590}, "/empty": {"size_bytes": 0, "available_bytes": 0}},
        "swaps": [{"size_bytes": 2 * 1024**3, "used_bytes": 3 * 1024**2}],
        **changes,
    }


def seen(**changes: Any) -> dict[str, Any]:
    return host_services(SERVICES, REGISTRY, {"api": URL}, found(**changes))


def test_of_two_slots_the_one_that_the_proxy_leads_to_is_the_service() -> None:
    assert seen() == {
        "api": {"image": "academy-api", "container": "academy-api-b", "health": "healthy", "digest": NEW},
        "messaging_worker": {
            "image": "academy-messaging-worker",
            "container": "academy-messaging-worker",
            "health": "healthy",
            "digest": NEW,
        },
    }
    back = seen(proxies={SOCKET: {"a": server("ready"), "b": server("drain")}})["api"]
    assert (back["container"], back["digest"]) == ("academy-api-a", OLD)


@pytest.mark.parametrize(
    "servers", [{}, {"a": server("maint"), "b": server("maint")}, {"a": server("ready"), "b": server("ready")}]
)
def test_where_the_proxy_leads_to_none_or_both_nobody_knows_who_serves(servers: dict[str, Any]) -> None:
    nobody = seen(proxies={SOCKET: servers})["api"]
    assert (nobody["container"], nobody["health"], nobody["digest"]) == ("", "absent", "")


@pytest.mark.parametrize(
    ("changes", "health"),
    [
        ({}, "healthy"),
        ({"settled": False}, "starting"),
        ({"health": "unhealthy"}, "unhealthy"),
        ({"status": "exited"}, "exited"),
        ({"status": "restarting", "settled": True}, "restarting"),
    ],
)
def test_the_health_of_a_worker(changes: dict[str, Any], health: str) -> None:
    changed = {**found()["containers"], "academy-messaging-worker": container(**changes)}
    assert seen(containers=changed)["messaging_worker"]["health"] == health


def test_an_api_that_does_not_answer_is_not_healthy_whatever_docker_says() -> None:
    assert seen(answering=[])["api"]["health"] == "no healthy answer"


def test_the_digest_is_of_what_runs_and_not_of_what_its_name_says() -> None:
    foreign = {**found()["containers"], "academy-messaging-worker": container("foreign")}
    assert seen(containers=foreign)["messaging_worker"]["digest"] == ""


def test_room() -> None:
    assert host_room(found()) == {"disks": {"/": 41, "/empty": 0}, "swap_total_mib": 2048, "swap_used_mib": 3}


def test_a_service_that_runs_another_digest_than_the_release_was_resolved_to() -> None:
    wanted = {f"{service.name}:two": {"digest": NEW} for service in SERVICES.values()}
    assert digest_findings(seen(), wanted, "two") == []
    (told,) = digest_findings(seen(proxies={SOCKET: {"a": server("ready")}}), wanted, "two")
    assert told == f"api has to run academy-api:two ({NEW}), and academy-api-a runs {OLD}"
    told, other = digest_findings(seen(containers={}, proxies={SOCKET: {}}), wanted, "two")
    assert told.endswith("its proxy leads to no container")
    assert other.endswith("its container academy-messaging-worker is absent, and nobody knows of which digest")
    # What was not resolved was not shipped.
    assert digest_findings(seen(), {}, "two") == []


# --- all of them ----------------------------------------------------------------------------------------------------


def instance(name: str, state: str = "running", **tags: str) -> dict[str, Any]:
    return {"instance_id": f"i-{name}", "state": {"name": state}, "tags": {"Name": name, **tags}}


def queue(waiting: int = 0, in_flight: int = 0, delayed: int = 0) -> dict[str, Any]:
    counts = {"": waiting, "NotVisible": in_flight, "Delayed": delayed}
    return {"attributes": {f"ApproximateNumberOfMessages{name}": str(count) for name, count in counts.items()}}


def record(number: int, release: str, result: str = "succeeded") -> dict[str, Any]:
    shipped = Release(
        release, result, "deploy", "dev", "laptop", "2026-11-30T08:00:00Z", f"2026-11-30T08:0{number}:00Z"
    )
    return {"Version": number, "Value": release_text(shipped)}


TAGS = {service.name: {NEW: ["two"], OLD: ["one"]} for service in SERVICES.values()}
LOOK = {"services": seen(), "wrong": [], "host_release": "2023.10.20260105", **host_room(found())}
AWS: dict[str, Any] = {
    "instances": {"api-1": instance("api-1", Release="two"), "video-1": instance("video-1", "stopped", Release="two")},
    "queues": {"jobs": queue(3, 2, 1), "jobs-dlq": queue()},
    "image_tags": TAGS,
    "deploy_locks": [],
    "releases": [record(1, "one"), record(2, "two")],
}
HOSTS: dict[str, Any] = {
    "api-1": {"may_be_stopped": False, "look": LOOK, "why": ""},
    "video-1": {"may_be_stopped": True, "look": {}, "why": ""},
}


def told(given: str = "", hosts: dict[str, Any] = HOSTS, **aws: Any) -> dict[str, Any]:
    return report(given, {**HOSTS, **hosts}, ["jobs"], {**AWS, **aws}, NOW)


def looked(**changes: Any) -> dict[str, Any]:
    return {"api-1": {**HOSTS["api-1"], "look": {**LOOK, **changes}}}


def test_all_is_well_where_who_may_sleep_sleeps_with_the_release_that_was_shipped_last() -> None:
    found_report = told()
    assert (found_report["status"], found_report["attention"], found_report["unknown"]) == ("ok", [], [])
    assert found_report["release"] == "two"
    api, video = found_report["hosts"]
    assert [(each["service"], each["release"], each["is_wanted"]) for each in api["services"]] == [
        ("api", "two", True),
        ("messaging_worker", "two", True),
    ]
    assert (video["state"], video["services"], video["noted_release"]) == ("stopped", [], "two")
    assert (api["host_release"], video["host_release"]) == ("2023.10.20260105", "")
    # On the host's first line, and not on those of its other services.
    assert ["2023.10.20260105" in line for line in found_report["text"][2:6]] == [False, True, False, False]
    assert found_report["queues"] == [{"queue": "jobs", "waiting": 3, "in_flight": 2, "delayed": 1, "dead": 0}]
    assert found_report["lock"] == {"state": "free"}
    assert [each["release"] for each in found_report["releases"]] == ["two", "one"]
    text = "\n".join(found_report["text"])
    assert "video-1  sleeps" in text
    assert found_report["text"][-1] == "ok"
    json.dumps({key: value for key, value in found_report.items() if key != "text"})


SICK = {**seen(), "messaging_worker": {**seen()["messaging_worker"], "health": "restarting"}}


@pytest.mark.parametrize(
    ("given", "hosts", "aws", "status", "words"),
    [
        ("", {}, {"instances": {"video-1": AWS["instances"]["video-1"]}}, "attention", "api-1 has no instance"),
        (
            "",
            {},
            {"instances": {**AWS["instances"], "api-1": instance("api-1", "stopped")}},
            "attention",
            "api-1 is stopped, and must run",
        ),
        ("three", {}, {}, "attention", "api-1: api runs two instead of three"),
        ("three", {}, {}, "attention", "video-1 sleeps with two, and wakes up with it"),
        ("", looked(services=SICK), {}, "attention", "api-1: messaging_worker is restarting"),
        ("", looked(disks={"/": 85}), {}, "attention", "api-1: the disk at / is 85 % full"),
        ("", {}, {"queues": {"jobs": queue(), "jobs-dlq": queue(1)}}, "attention", "jobs: 1 failed"),
        ("", {}, {"queues": {"jobs": queue()}}, "attention", "jobs: there is no such queue"),
        (
            "",
            {},
            {"releases": [record(1, "two", "failed")]},
            "attention",
            "the last run that shipped (deploy, release two)",
        ),
        ("", {"api-1": {**HOSTS["api-1"], "look": {}, "why": "timed out"}}, {}, "unknown", "api-1 runs: timed out"),
        ("", {"api-1": {**HOSTS["api-1"], "look": {}}}, {}, "unknown", "api-1 runs: nobody has looked at it"),
        (
            "",
            {},
            {"instances": {**AWS["instances"], "video-1": instance("video-1", "stopping")}},
            "unknown",
            "video-1 is stopping",
        ),
        ("", {}, {"releases": []}, "unknown", "which release is wanted"),
        (
            "",
            looked(services={"api": {**seen()["api"], "digest": ""}}),
            {},
            "unknown",
            "api-1: which image api is of",
        ),
    ],
)
def test_what_is_told(given: str, hosts: dict[str, Any], aws: dict[str, Any], status: str, words: str) -> None:
    found_report = told(given, hosts, **aws)
    assert found_report["status"] == status
    assert any(each["en"].startswith(words) for each in found_report[status]), found_report[status]
    assert any(words in line for line in found_report["text"])
    assert found_report["text"][-1] == status


def test_an_image_without_a_tag_is_told_by_its_digest() -> None:
    api = told(image_tags={}, releases=[record(1, "two")])["hosts"][0]
    assert {each["release"] for each in api["services"]} == {"1" * 12}


def test_of_several_names_of_an_image_the_one_that_is_wanted_is_told() -> None:
    tags = {**TAGS, "academy-api": {NEW: ["1", "two"], OLD: []}}
    api = told(image_tags=tags)["hosts"][0]["services"][0]
    assert (api["release"], api["is_wanted"]) == ("two", True)


def test_who_deploys_is_told() -> None:
    lock = Lock(3, "run", "dev", "laptop", "deploy", "two", "2026-11-30T08:58:00Z", "2026-11-30T09:08:00Z")
    found_report = told(deploy_locks=[{"Name": lock_name("academy", 3), "Value": lock_text(lock)}])
    assert found_report["lock"]["state"] == "held"
    assert "lock / 배포 잠금: held: dev on laptop until 2026-11-30T09:08:00Z" in found_report["text"]

# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whatever was changed by hand on a container leads to what brings it back, and one that is as wanted to nothing.

The container is told as Docker tells of one that docker_container has made, so that nothing it compares is left out.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from copy import deepcopy
from datetime import UTC, datetime
from typing import Any

import pytest

from plugins.module_utils.environment_file import environment, render
from plugins.module_utils.host_state import parse_containers
from plugins.module_utils.plan import Plan, applied, diff, lines
from plugins.module_utils.plan.container import ROLE, paths
from plugins.module_utils.proxy import PATH as PROXY
from plugins.module_utils.proxy import configuration
from tests.unit.rows import ROWS

NOW = datetime(2026, 11, 23, 12, 0, 30, tzinfo=UTC)
MIB = 1024**2
REPOSITORY = "123456789012.dkr.ecr.ap-northeast-2.amazonaws.com/academy-api"
REFERENCE = f"{REPOSITORY}@sha256:new"
SECRET = "a-secret-of-the-application"
WATCHDOG = "/etc/academy/watchdog.json"
ENVIRONMENT = "/etc/academy/academy-api.env"

INPUTS: dict[str, Any] = {
    "inventory_hostname": "academy-api-1",
    "aws_account_id": "123456789012",
    "aws_region": "ap-northeast-2",
    "container_service": "api",
    "services": {},
    "group_names": ["api"],
    "worker_heartbeat": True,
    "worker_idle_stop_threshold": 5,
    "container_name": "academy-api",
    "container_repository": "academy-api",
    "container_image_tag": "1a2b3c4",
    "container_images": {},
    "container_succeeded_digests": [],
    "container_has_served": False,
    "container_database_identifier": "academy-db",
    # The image has the second one too, with the same value.
    "container_environment": {"DEBUG": False, "LANG": "C.UTF-8", "DB_PORT": 5432},
    "container_secrets": {"SECRET_KEY": SECRET},
    "container_command": ["python", "serve.py"],
    "container_health_command": ["true"],
    "container_published_ports": ["8000:8000"],
    "container_volumes": ["/mnt/transcode:/tmp"],
    "container_required_mounts": [{"path": "/mnt/transcode", "role": "transcode_volume"}],
    "container_idle_stop_threshold": 0,
    "container_stopping_neighbours": {},
    "container_slots": {},
    "container_allow_downtime": [],
    "container_run_tags": ["all"],
    "container_skip_tags": [],
    "container_heartbeat": True,
    "container_memory_mib": 1400,
    "container_swap_mib": 2048,
    "container_host_memory_min_mib": 2048,
    "container_expected_limits_mib": {"academy-api": 1400},
    "container_unwanted": ["academy-video-worker"],
    "container_stop_timeout_seconds": 30,
    "container_log_group": "/academy/academy-api",
    "container_health_url": "",
    "container_health_answer": {},
    "container_health_headers": {"Host": "api.example.com"},
    "container_preparations": [{"name": "migrate", "check": ["manage.py", "--check"], "apply": ["manage.py"]}],
}
STREAM = "/academy/academy-api:academy-api-1"
URL = "http://localhost:8000/health"
VALUES = environment(
    {**INPUTS["container_environment"], "DB_HOST": "db.local", "WORKER_HEARTBEAT_FILE": "/run/academy/heartbeat.json"},
    INPUTS["container_secrets"],
)
IMAGE = {"Config": {"Env": ["PATH=/bin", "LANG=C.UTF-8"], "Cmd": ["serve"], "Healthcheck": None}}
INSPECTED: dict[str, Any] = {
    "Id": "c1",
    "Name": "/academy-api",
    "Image": "sha256:1",
    "RestartCount": 0,
    "Config": {
        "Image": REFERENCE,
        "Env": [*(f"{name}={value}" for name, value in VALUES.items()), "PATH=/bin"],
        "Cmd": ["python", "serve.py"],
        "Healthcheck": {"Test": ["CMD", "true"]},
        "StopTimeout": 30,
    },
    "HostConfig": {
        "Memory": 1400 * MIB,
        "MemorySwap": 3448 * MIB,
        "RestartPolicy": {"Name": "unless-stopped"},
        "PortBindings": {"8000/tcp": [{"HostIp": "0.0.0.0", "HostPort": "8000"}]},
        "Binds": ["/run/academy/academy-api:/run/academy:rw", "/mnt/transcode:/tmp:rw"],
        "LogConfig": {
            "Type": "awslogs",
            "Config": {
                "awslogs-region": "ap-northeast-2",
                "awslogs-group": "/academy/academy-api",
                "awslogs-stream": "academy-api-1",
                "mode": "non-blocking",
                "max-buffer-size": "4m",
            },
        },
    },
    "State": {
        "Status": "running",
        "Running": True,
        "ExitCode": 0,
        "OOMKilled": False,
        "StartedAt": "2026-11-23T12:00:00.123456789Z",
        "Pid": 7,
        "Health": {"Status": "healthy"},
    },
    "Mounts": [{"Type": "bind", "Source": "/mnt/transcode", "Destination": "/tmp"}],
}


def as_wanted(want: dict[str, Any]) -> dict[str, Any]:
    found = {"kind": want["kind"], "owner": "root", "group": "root"}
    if "mode" in want:
        found["mode"] = want["mode"]
    if "content" in want:
        found["sha256"] = hashlib.sha256(want["content"].encode()).hexdigest()
    return found


def image(name: str, reference: str) -> dict[str, Any]:
    return {"id": name, "references": [reference]}


def state(
    change: Callable[[dict[str, Any]], object] = lambda _: None,
    *,
    identity: Callable[[str], object] = lambda _: 1,
    **others: Any,
) -> dict[str, Any]:
    """What is found where everything is as wanted, but for a change of the container as Docker tells of it."""
    inspected = deepcopy(INSPECTED)
    change(inspected)
    file = {"path": ENVIRONMENT, "kind": "file", "mode": "0600", "content": render(VALUES)}
    return {
        "answering": [],
        "commands": [],
        "architecture": "aarch64",
        "memory_total_mib": 1904,
        "mounts": [{"target": "/mnt/transcode"}],
        "docker_running": True,
        "image_room_bytes": 9000 * MIB,
        "paths": {want["path"]: as_wanted(want) for want in [*paths(INPUTS), file]},
        "containers": parse_containers([inspected], {"sha256:1": IMAGE}, NOW, identity),
        "repositories": {REPOSITORY: [image("sha256:1", REFERENCE)]},
        "aws": {
            "container_images": {
                "academy-api:1a2b3c4": {
                    "reference": REFERENCE,
                    "platforms": ["linux/arm64"],
                    "size_bytes": 200 * MIB,
                    "passes_signals": True,
                }
            },
            "db_instance": {"endpoint": {"address": "db.local"}},
            "log_streams": {STREAM: True},
        },
        **others,
    }


NEW = state(
    containers={},
    repositories={REPOSITORY: []},
    paths={path: {"kind": "absent"} for path in state()["paths"]},
)
LINUX = {"kind": "file", "owner": "root", "group": "root", "mode": "0600"}


def decided(found: dict[str, Any], **inputs: Any) -> Plan:
    return ROLE.decide({**INPUTS, **inputs}, found)


def needed(plan: Plan) -> dict[str, Any]:
    """What the tasks get, in short."""
    assert not [*plan.refusals, *plan.missing]
    items = applied([*plan.changes, *plan.pending], ROLE.applies)
    return {name: [item["name"] for item in listed] for name, listed in items.items() if listed}


RUN = {"containers": ["academy-api"], "settling": ["academy-api"]}


def test_what_is_as_wanted_needs_nothing() -> None:
    assert needed(decided(state())) == {}


def test_a_new_host_gets_everything_and_nothing_is_told_of_a_secret() -> None:
    plan = decided(NEW)
    assert needed(plan) == {
        "directories": ["/etc/academy", "/run/academy", "/run/academy/academy-api"],
        "files": ["/etc/tmpfiles.d/academy-api.conf"],
        "environment": [ENVIRONMENT],
        "pulled": [REFERENCE],
        **RUN,
    }
    told = [diff(change) for change in plan.changes], plan.known, applied(plan.changes, ROLE.applies)
    assert SECRET in str(VALUES)
    assert SECRET not in str(told)
    assert "db.local" in str(plan.known)


def config(key: str, value: Any) -> Callable[[dict[str, Any]], object]:
    return lambda found: found["Config"].update({key: value})


def host_config(key: str, value: Any) -> Callable[[dict[str, Any]], object]:
    return lambda found: found["HostConfig"].update({key: value})


def log_config(**options: str) -> Callable[[dict[str, Any]], object]:
    return lambda found: found["HostConfig"]["LogConfig"]["Config"].update(options)


def status(**changes: Any) -> Callable[[dict[str, Any]], object]:
    return lambda found: found["State"].update(changes)


def variable(name: str, value: str | None) -> Callable[[dict[str, Any]], object]:
    kept = [setting for setting in INSPECTED["Config"]["Env"] if not setting.startswith(f"{name}=")]
    return config("Env", kept if value is None else [*kept, f"{name}={value}"])


@pytest.mark.parametrize(
    ("change", "field"),
    [
        pytest.param(config("Image", f"{REPOSITORY}@sha256:old"), "image", id="another image"),
        pytest.param(config("Cmd", ["sleep", "600"]), "command_sha256", id="command"),
        pytest.param(config("Cmd", None), "command_sha256", id="the image's command"),
        pytest.param(config("Healthcheck", None), "health_command_sha256", id="no health check"),
        pytest.param(config("Healthcheck", {"Test": ["CMD", "false"]}), "health_command_sha256", id="health check"),
        pytest.param(variable("SECRET_KEY", "another"), "environment", id="value"),
        pytest.param(variable("SECRET_KEY", None), "environment", id="variable gone"),
        pytest.param(variable("MORE", "1"), "environment", id="another variable"),
        pytest.param(variable("PATH", "/other"), "environment", id="another value of the image's"),
        pytest.param(variable("LANG", "ko_KR"), "environment", id="another value of what the image has too"),
        pytest.param(config("StopTimeout", None), "stop_timeout_seconds", id="stop timeout"),
        pytest.param(host_config("Memory", 900 * MIB), "memory_bytes", id="memory"),
        pytest.param(host_config("Memory", 1400 * MIB + 4096), "memory_bytes", id="a page of memory"),
        pytest.param(host_config("MemorySwap", 1400 * MIB), "memory_swap_bytes", id="no swap"),
        pytest.param(host_config("RestartPolicy", {"Name": "no"}), "restart_policy", id="restart policy"),
        pytest.param(host_config("PortBindings", {}), "published_ports", id="no port"),
        pytest.param(
            host_config("PortBindings", {"8000/tcp": [{"HostIp": "127.0.0.1", "HostPort": "8000"}]}),
            "published_ports",
            id="at another address",
        ),
        pytest.param(host_config("Binds", None), "volumes", id="no volume"),
        pytest.param(
            host_config("Binds", [*INSPECTED["HostConfig"]["Binds"], "/:/host:rw"]), "volumes", id="another volume"
        ),
        pytest.param(host_config("LogConfig", {"Type": "json-file", "Config": {}}), "log_driver", id="log driver"),
        pytest.param(log_config(mode="blocking"), "log_options_sha256", id="log option"),
        pytest.param(log_config(tag="more"), "log_options_sha256", id="another log option"),
        pytest.param(status(Status="exited", Running=False), "state", id="stopped"),
        pytest.param(status(Status="created", Running=False), "state", id="never started"),
        pytest.param(status(Status="paused"), "state", id="paused"),
    ],
)
def test_what_differs_is_brought_back(change: Callable[[dict[str, Any]], object], field: str) -> None:
    plan = decided(state(change))
    assert needed(plan) == RUN
    assert field in [found.field for found in plan.changes[0].differences]
    item = plan.changes[0].apply["containers"]
    assert item["recreate"] is (field in {"command_sha256", "health_command_sha256"})
    assert item["restart"] is False


def test_a_stale_mount_is_a_restart() -> None:
    plan = decided(state(identity=str))
    assert needed(plan) == RUN
    assert plan.changes[0].apply["containers"]["restart"] is True
    assert [found.text for found in plan.changes[0].differences] == ['stale_mounts: ["/tmp"] -> []']


def test_a_stream_that_somebody_has_deleted_comes_back_with_a_restart() -> None:
    found = state()
    plan = decided({**found, "aws": {**found["aws"], "log_streams": {STREAM: False}}})
    assert needed(plan) == RUN
    assert plan.changes[0].apply["containers"]["restart"] is True
    assert [found.text for found in plan.changes[0].differences] == ["log_stream: missing -> present"]


@pytest.mark.parametrize("key", ["Cmd", "Healthcheck"])
def test_a_command_that_is_taken_back_leaves_the_images_own(key: str) -> None:
    inputs: dict[str, Any] = {"container_command": [], "container_health_command": []}
    own: dict[str, Any] = {"Cmd": ["serve"], "Healthcheck": None}

    def change(found: dict[str, Any]) -> None:
        found["Config"].update(own)

    assert needed(decided(state(change), **inputs)) == {}
    kept = own.pop(key)
    plan = decided(state(change), **inputs)
    assert needed(plan) == RUN
    assert plan.changes[0].apply["containers"]["recreate"] is True
    own[key] = kept


@pytest.mark.parametrize(
    ("inputs", "wanted"),
    [
        ({"container_memory_mib": 0}, {"Memory": 0, "MemorySwap": 0}),
        (
            {"container_published_ports": ["127.0.0.1:80:8000/udp", "[::1]:81:8000"]},
            {
                "PortBindings": {
                    "8000/udp": [{"HostIp": "127.0.0.1", "HostPort": "80"}],
                    "8000/tcp": [{"HostIp": "::1", "HostPort": "81"}],
                }
            },
        ),
        (
            {"container_volumes": ["/mnt/transcode:/tmp:ro"]},
            {"Binds": ["/mnt/transcode:/tmp:ro", "/run/academy/academy-api:/run/academy:rw"]},
        ),
    ],
)
def test_other_inputs_are_other_settings(inputs: dict[str, Any], wanted: dict[str, Any]) -> None:
    assert needed(decided(state(), **inputs)) == RUN
    assert needed(decided(state(lambda found: found["HostConfig"].update(wanted)), **inputs)) == {}


def test_variables_are_told_by_name_as_far_as_they_came_or_went() -> None:
    def change(found: dict[str, Any]) -> None:
        found["Config"]["Env"] = [
            "OLD=1",
            "PATH=/bin",
            *(f"{name}={VALUES[name]}" for name in VALUES if name != "DEBUG"),
        ]

    (changed,) = decided(state(change)).changes
    (found,) = changed.differences
    assert (found.before["names"], found.after["names"]) == (["OLD"], ["DEBUG"])


@pytest.mark.parametrize(
    ("file", "steps"),
    [
        ({"kind": "absent"}, {"environment": [ENVIRONMENT]}),
        ({**LINUX, "sha256": "0"}, {"environment": [ENVIRONMENT]}),
        ({**as_wanted({"kind": "file", "content": render(VALUES)}), "mode": "0644"}, {"environment": [ENVIRONMENT]}),
    ],
    ids=["deleted", "edited", "open to others"],
)
def test_the_file_of_the_environment_is_compared_by_itself(file: dict[str, Any], steps: dict[str, Any]) -> None:
    found = state()
    found["paths"][ENVIRONMENT] = file
    plan = decided(found)
    assert needed(plan) == steps
    assert SECRET not in str((diff(plan.changes[0]), plan.changes[0].apply))
    assert ENVIRONMENT in ROLE.reads(INPUTS)["paths"]
    assert ENVIRONMENT not in ROLE.reads(INPUTS)["contents"]


def test_a_directory_that_was_opened_is_closed() -> None:
    found = state()
    found["paths"]["/etc/academy"]["mode"] = "0755"
    assert needed(decided(found)) == {"directories": ["/etc/academy"]}


def test_without_a_heartbeat_nothing_is_shared() -> None:
    names = [want["path"] for want in paths({**INPUTS, "container_heartbeat": False})]
    assert not [name for name in names if "academy-api" in name]
    plan = decided(state(), container_heartbeat=False)
    assert {"volumes", "environment"} == {found.field for found in plan.changes[-1].differences}


@pytest.mark.parametrize(
    ("change", "steps"),
    [
        (status(), {}),
        (status(Health={"Status": "unhealthy"}), {"settling": ["academy-api"]}),
        (status(Health=None, StartedAt="2026-11-23T12:00:25.1Z"), {"settling": ["academy-api"]}),
        (status(Status="restarting"), {"settling": ["academy-api"]}),
    ],
    ids=["healthy", "unhealthy", "just started", "starting again and again"],
)
def test_a_container_that_is_not_healthy_is_waited_for(
    change: Callable[[dict[str, Any]], object], steps: dict[str, Any]
) -> None:
    plan = decided(state(change))
    assert needed(plan) == steps
    assert plan.changes == []


def test_one_with_a_url_is_waited_for_until_it_answers() -> None:
    starting = status(Health={"Status": "starting"})
    assert needed(decided(state(starting, answering=[URL]), container_health_url=URL)) == {}
    plan = decided(state(starting), container_health_url=URL)
    assert needed(plan) == {"answers": ["academy-api"]}
    assert plan.changes == []
    assert [found.reason for found in plan.pending] == ["health: no healthy answer -> healthy"]
    plan = decided(state(status(Status="exited", Running=False)), container_health_url=URL)
    assert needed(plan) == {"containers": ["academy-api"], "answers": ["academy-api"]}


def test_a_new_container_is_prepared_and_one_that_runs_where_its_check_says_so() -> None:
    def ran(exit_code: int | None) -> dict[str, Any]:
        return {"commands": [{"container": "academy-api", "argv": ["manage.py", "--check"], "exit_code": exit_code}]}

    plan = decided(state(**ran(0)))
    assert (needed(plan), plan.known["preparations"]) == ({}, [])
    plan = decided(state(**ran(1)))
    assert (needed(plan), plan.known["preparations"]) == ({"preparations": ["academy-api"]}, [])
    assert lines(plan.changes, plan.tag) == ["~ academy-api: migrate: pending -> done (guide §6.3; --tags api)"]
    # Another one's says nothing of it.
    others: dict[str, Any] = {"commands": [{**ran(1)["commands"][0], "container": "other"}]}
    assert needed(decided(state(**others))) == {}
    plan = decided(state(status(Status="exited", Running=False), **ran(None)))
    assert (needed(plan)["containers"], plan.known["preparations"]) == (["academy-api"], ["migrate"])
    assert "preparations" not in needed(plan)


def test_a_release_that_has_served_is_neither_prepared_nor_asked_whether_it_is() -> None:
    served = {"container_has_served": True}
    assert ROLE.reads({**INPUTS, **served})["commands"] == []
    plan = decided(NEW, **served)
    assert (needed(plan)["containers"], plan.known["preparations"]) == (["academy-api"], [])


def test_what_a_container_is_asked() -> None:
    asked = ROLE.reads({**INPUTS, "container_health_url": URL, "container_health_answer": {"status": "healthy"}})
    assert asked["addresses"] == [
        {"url": URL, "headers": {"Host": "api.example.com"}, "expected": {"status": "healthy"}}
    ]
    assert asked["commands"] == [{"container": "academy-api", "argv": ["manage.py", "--check"]}]


def test_a_preparation_that_only_warns_is_run_for_a_new_container_alone() -> None:
    warns = {"name": "lint", "check": ["lint", "--is-there"], "apply": ["lint"], "only_warns": True}
    preparations = [warns, *INPUTS["container_preparations"]]
    assert [each["argv"] for each in ROLE.reads({**INPUTS, "container_preparations": preparations})["commands"]] == [
        ["manage.py", "--check"]
    ]
    ran = {"container": "academy-api", "argv": ["lint", "--is-there"], "exit_code": 1}
    assert needed(decided(state(commands=[ran]), container_preparations=preparations)) == {}
    new = decided(state(older), container_preparations=preparations)
    assert new.known["preparations"] == ["lint", "migrate"]


def test_what_the_host_no_longer_runs_goes_with_all_that_is_left_of_it() -> None:
    found = state()
    own = found["containers"]["academy-api"]
    # It counts no more in the memory of the host.
    found["containers"] |= {"academy-video-worker": own, "other": {**own, "memory_bytes": 0, "published_ports": []}}
    for path in ("/etc/academy/academy-video-worker.env", "/run/academy/academy-video-worker"):
        found["paths"][path] = {**LINUX, "sha256": "0"}
    plan = decided(found)
    assert needed(plan) == {
        "unwanted": ["academy-video-worker"],
        "absent": ["/etc/academy/academy-video-worker.env", "/run/academy/academy-video-worker"],
    }
    assert lines(plan.changes, plan.tag)[0] == "- academy-video-worker: remove (guide §6.3; --tags api)"


def older(inspected: dict[str, Any]) -> None:
    """Made of the image of the release before."""
    inspected["Config"]["Image"] = f"{REPOSITORY}@sha256:old"
    inspected["Image"] = "sha256:7"


def test_with_a_release_the_images_go_that_nobody_needs_but_never_the_one_of_before() -> None:
    found = state(older)
    found["repositories"][REPOSITORY] += [image(f"sha256:{name}", f"old@{name}") for name in (5, 6, 7, 8)]
    another = {**found["containers"]["academy-api"], "memory_bytes": 0, "published_ports": []}
    found["containers"]["other"] = {**another, "image_id": "sha256:6"}
    found["containers"]["academy-video-worker"] = {**another, "image_id": "sha256:8"}
    assert needed(decided(found))["outdated"] == ["sha256:5", "sha256:8"]


@pytest.mark.parametrize("change", [lambda _: None, lambda inspected: inspected["HostConfig"].update(Memory=1)])
def test_without_a_release_nobody_knows_which_image_is_that_of_before(change: Callable[[dict[str, Any]], None]) -> None:
    found = state(change)
    found["repositories"][REPOSITORY] += [image(f"sha256:{name}", f"old@{name}") for name in (5, 6)]
    assert "outdated" not in needed(decided(found))
    assert "outdated" not in needed(decided({**found, "containers": {}}))


# --- what is said before anything is pulled -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("room_mib", "is_here", "refused"),
    [(1312, False, False), (1311, False, True), (1, True, False), (None, False, False)],
)
def test_an_image_without_room_is_refused_before_it_is_pulled(
    room_mib: int | None, is_here: bool, refused: bool
) -> None:
    there = state(older, image_room_bytes=None if room_mib is None else room_mib * MIB + 1)
    found = there if is_here else {**there, "repositories": {REPOSITORY: []}}
    plan = decided(found)
    assert [finding.id for finding in plan.refusals] == ["container_room"] * refused
    for finding in plan.refusals:
        assert "on academy-api-1" not in finding.rule.en
        assert "academy-api-1 needs 1312 MiB" in finding.rule.en
        assert finding.found == "1311 MiB"
        assert "docker system df" in finding.remedy.en
    assert bool(plan.changes) is not refused


def test_where_there_is_no_room_images_of_releases_that_failed_go_and_never_the_one_of_before_or_one_in_use() -> None:
    full = state(older, image_room_bytes=1311 * MIB)
    listed = [image(f"sha256:{name}", f"{REPOSITORY}@sha256:{name}") for name in ("before", "bad", "worse", 6, 7)]
    full["repositories"] = {REPOSITORY: listed}
    other = {**full["containers"]["academy-api"], "image_id": "sha256:6", "memory_bytes": 0, "published_ports": []}
    full["containers"]["other"] = other
    succeeded = {"container_succeeded_digests": ["sha256:before", "sha256:older"]}
    plan = decided(full, **succeeded)
    assert plan.refusals == []
    gone = [f"{REPOSITORY}@sha256:{name}" for name in ("bad", "worse")]
    assert needed(plan)["discarded"] == gone
    assert needed(plan)["pulled"] == [REFERENCE]
    assert [change.verb for change in plan.changes if change.resource in gone] == ["remove", "remove"]
    assert [each.apply["discarded"]["id"] for each in plan.changes if each.resource in gone] == [
        "sha256:bad",
        "sha256:worse",
    ]
    # Nobody knows which one is that of before, none is left that failed, or there is room enough.
    assert [finding.id for finding in decided(full).refusals] == ["container_room"]
    rest = {**full, "repositories": {REPOSITORY: [listed[0], *listed[3:]]}}
    assert [finding.id for finding in decided(rest, **succeeded).refusals] == ["container_room"]
    assert "discarded" not in needed(decided({**full, "image_room_bytes": 1312 * MIB}, **succeeded))


WORKER_ROW = {
    "video_worker": {**ROWS["video_worker"], "dockerfile": "docker/video/Dockerfile"},
    "api": {**ROWS["api"], "slots": {"a": 8001, "b": 8002}},
}


@pytest.mark.parametrize(
    ("service", "command", "passes", "warned"),
    [
        ("video_worker", [], False, True),
        ("video_worker", [], True, False),
        ("video_worker", [], None, False),
        ("video_worker", ["sh", "-c", "python worker.py"], True, True),
        ("video_worker", ["python", "worker.py"], False, False),
        # Nobody's job is hidden, and the proxy has taken its requests away.
        ("api", [], False, False),
    ],
)
def test_a_worker_that_hears_no_signal_is_named_and_runs(
    service: str, command: list[str], passes: bool | None, warned: bool
) -> None:
    found = state()
    found["aws"]["container_images"]["academy-api:1a2b3c4"]["passes_signals"] = passes
    inputs = {"services": WORKER_ROW, "container_service": service, "container_command": command}
    plan = decided(found, **inputs, container_leaves_proxy=False)
    assert [(finding.id, finding.severity) for finding in plan.refusals] == [("container_signals", "warning")] * warned
    for finding in plan.refusals:
        assert finding.subject == "docker/video/Dockerfile"
        assert "academy-api:1a2b3c4" in finding.rule.en
        assert "exec" in finding.remedy.en
    assert plan.changes


def test_another_container_on_the_port_is_named() -> None:
    other = {**state()["containers"]["academy-api"], "memory_bytes": 0}
    found = slotted(OLD)
    at = {"published_ports": ["0.0.0.0:8002:80/tcp"]}
    found["containers"] |= {"web": {**other, **at}, "ended": {**other, **at, "running_seconds": None}}
    found["containers"]["academy-video-worker"] = {**other, **at}
    (named,) = decided(found, **SLOTS).missing
    assert "the container web holds port 8002, which academy-api-b needs" in named.rule.en
    assert "docker rm --force web" in named.remedy.en
    # It is not in the way where that one serves.
    assert not decided(
        slotted(in_slot("a")) | {"containers": {**slotted(in_slot("a"))["containers"], "web": {**other, **at}}},
        **SLOTS,
    ).missing


# --- a host that served the API before ------------------------------------------------------------------------------

UNIT, DROP_IN = "haproxy.service", "/etc/systemd/system/haproxy.service.d/restart.conf"
LEFT: dict[str, Any] = {"services": WORKER_ROW, "group_names": ["video_worker"], "container_service": "video_worker"}


def left(content: str = configuration(8000, {"a": 8001, "b": 8002}, "a"), **unit: str) -> dict[str, Any]:
    found = state()
    found["paths"] |= {
        PROXY: {**LINUX, "content": content, "sha256": "1"} if content else {"kind": "absent"},
        DROP_IN: {**LINUX, "sha256": "2"} if content else {"kind": "absent"},
    }
    up = {"load_state": "loaded", "active_state": "active", "unit_file_state": "enabled", "need_daemon_reload": False}
    return {**found, "units": {UNIT: {**up, **unit}}}


def test_a_host_that_left_the_api_loses_its_proxy() -> None:
    plan = decided(left(), **LEFT)
    assert needed(plan) == {"stopped": [UNIT], "absent": [DROP_IN, PROXY], "reloaded": [DROP_IN]}
    # Stopped by a run that was killed.
    stopped = left(active_state="inactive", unit_file_state="disabled")
    assert needed(decided(stopped, **LEFT)) == {"absent": [DROP_IN, PROXY], "reloaded": [DROP_IN]}
    removed = left(load_state="not-found", active_state="inactive", unit_file_state="")
    assert needed(decided(removed, **LEFT)) == {"absent": [DROP_IN, PROXY], "reloaded": [DROP_IN]}


@pytest.mark.parametrize(
    ("found", "inputs"),
    [
        (left(""), {}),
        (left("global\n# managed by somebody else\n"), {}),
        (left(), {"group_names": ["video_worker", "api"]}),
        (left(), {"services": {}}),
    ],
)
def test_the_proxy_of_somebody_else_or_of_the_host_s_own_api_stays(
    found: dict[str, Any], inputs: dict[str, Any]
) -> None:
    assert not {"stopped", "absent"} & set(needed(decided(found, **{**LEFT, **inputs})))


def test_of_a_proxy_that_may_be_left_the_configuration_is_read() -> None:
    asked = ROLE.reads({**INPUTS, **LEFT})
    assert PROXY in asked["contents"]
    assert {PROXY, DROP_IN} <= {*asked["paths"]}
    assert asked["units"] == [UNIT]
    assert ROLE.reads({**INPUTS, **LEFT, "group_names": ["api"]})["units"] == []


def test_an_image_that_is_not_there_is_pulled_and_in_check_mode_preparations_wait_for_it() -> None:
    found = state(repositories={REPOSITORY: [image("sha256:0", f"{REPOSITORY}@sha256:old")]})
    plan = decided(found)
    assert needed(plan) == {"pulled": [REFERENCE]}
    assert (plan.known["is_here"], decided(state()).known["is_here"]) == (False, True)


SHARED: dict[str, Any] = {
    "container_stopping_neighbours": {"video_worker": "academy-video-worker"},
    "container_unwanted": [],
}


def shared_host(*known: str, names: tuple[str, ...] = ()) -> dict[str, Any]:
    found = state()
    found["paths"][WATCHDOG] = {"kind": "file", "content": json.dumps({"heartbeat_files": dict.fromkeys(known)})}
    found["containers"]["academy-video-worker"] = {
        **found["containers"]["academy-api"],
        "published_ports": [],
        "memory_bytes": 0,
        "environment_names": [*names],
    }
    return found


BOTH = ("academy-api", "academy-video-worker")


@pytest.mark.parametrize(
    ("found", "inputs", "refused", "missing"),
    [
        pytest.param(shared_host(*BOTH), SHARED, [], [], id="known to the watchdog"),
        pytest.param(
            shared_host("academy-api"), SHARED, [], ["does not name academy-video-worker, so nobody"], id="unknown"
        ),
        pytest.param(
            shared_host(*BOTH, names=("EC2_IDLE_STOP_THRESHOLD",)),
            {**SHARED, "container_run_tags": ["api"]},
            ["academy-video-worker has EC2_IDLE_STOP_THRESHOLD from before academy-api came"],
            [],
            id="a neighbour from before",
        ),
        pytest.param(
            shared_host(*BOTH, names=("EC2_IDLE_STOP_THRESHOLD",)), SHARED, [], [], id="whom this run brings up too"
        ),
        pytest.param(
            shared_host(*BOTH, names=("EC2_IDLE_STOP_THRESHOLD",)),
            {**SHARED, "container_skip_tags": ["video_worker"]},
            ["would stop the host"],
            [],
            id="whom this run leaves out",
        ),
        pytest.param(
            shared_host(*BOTH), {**SHARED, "container_idle_stop_threshold": 5}, ["among its settings"], [], id="itself"
        ),
        pytest.param(
            state(architecture="x86_64"),
            {},
            ['is built for linux/arm64, but academy-api-1 is linux/amd64: it would end in "exec format error"'],
            [],
            id="another processor",
        ),
        pytest.param(
            state(memory_total_mib=900),
            {},
            [
                "container_host_memory_min_mib: academy-api needs an instance with 2048 MiB",
                "container_memory_mib: the memory limits on this host (academy-api 1400 MiB) exceed 500 MiB",
            ],
            [],
            id="memory",
        ),
        pytest.param(
            state(),
            {
                "container_environment": {"QUOTED": "it's", "1A": "1", "B": "b"},
                "container_secrets": {"A": "", "B": "b"},
            },
            [
                "1A: a name has letters",
                "B: stands among the settings and among the secrets",
                "QUOTED: contains '",
                "A: is an empty secret",
            ],
            [],
            id="environment",
        ),
        pytest.param(
            state(
                aws={"container_images": {}, "db_instance": None, "log_streams": {}},
                mounts=[],
                docker_running=False,
                containers={},
                repositories={REPOSITORY: []},
            ),
            {},
            [],
            [
                "release: ECR has no image academy-api:1a2b3c4. Build and push it",
                "RDS has no instance academy-db with an endpoint",
                "container_log_group: CloudWatch has no log group /academy/academy-api, so what academy-api logs is "
                "lost. Create it: playbooks/provision.yml --tags logs.",
                "academy-api-1: Docker does not run. Run playbooks/configure.yml --limit academy-api-1 --tags docker",
                "/mnt/transcode: academy-api keeps its files there, but no disk is mounted on academy-api-1",
            ],
            id="what other roles make",
        ),
    ],
)
def test_what_is_refused(found: dict[str, Any], inputs: dict[str, Any], refused: list[str], missing: list[str]) -> None:
    plan = decided(found, **inputs)
    for findings, says in ((plan.refusals, refused), (plan.missing, missing)):
        assert len(findings) == len(says)
        for finding, expected in zip(findings, says, strict=True):
            assert expected in finding.text_en
            assert SECRET not in finding.text_en + finding.text_ko


def test_in_check_mode_all_is_told_of_a_host_that_has_nothing_yet() -> None:
    found = {**NEW, "docker_running": False, "aws": {"container_images": {}, "db_instance": None, "log_streams": {}}}
    plan = decided(found)
    assert f"+ {REPOSITORY}:1a2b3c4: create (guide §6.3; --tags api)" in lines(plan.changes, plan.tag)
    assert plan.known["settings"]["DB_HOST"] == "not-created-yet"


@pytest.mark.parametrize(
    ("inputs", "subjects"),
    [
        ({}, []),
        ({"container_published_ports": ["8000"]}, ["container_published_ports"]),
        ({"container_published_ports": ["1-2:1-2", "localhost:1:1", "::1:1:1"]}, ["container_published_ports"] * 3),
        ({"container_volumes": ["/data", "/a:b"]}, ["container_volumes"] * 2),
    ],
)
def test_ports_and_volumes_have_one_form(inputs: dict[str, Any], subjects: list[str]) -> None:
    assert [finding.subject for finding in ROLE.findings({**INPUTS, **inputs})] == subjects


def test_what_is_read() -> None:
    asked = ROLE.reads({**INPUTS, **SHARED})
    assert asked["containers"] is True
    assert asked["repositories"] == [REPOSITORY]
    assert WATCHDOG in asked["paths"]
    assert WATCHDOG in asked["contents"]
    assert ROLE.asks is not None
    assert ROLE.asks(INPUTS) == {
        "container_images": ["academy-api:1a2b3c4"],
        "db_instance_identifier": "academy-db",
        "log_streams": [STREAM],
    }
    assert "db_instance_identifier" not in ROLE.asks({**INPUTS, "container_database_identifier": ""})


def test_what_was_resolved_for_all_hosts_is_not_asked_for_again_and_comes_before_what_is_found() -> None:
    assert ROLE.asks is not None
    known = state()["aws"]["container_images"]["academy-api:1a2b3c4"]
    once = {"academy-api:1a2b3c4": {**known, "reference": f"{REPOSITORY}@sha256:{'9' * 64}"}}
    assert ROLE.asks({**INPUTS, "container_images": once})["container_images"] == []
    assert decided(state(), container_images=once).known["image"] == f"{REPOSITORY}@sha256:{'9' * 64}"
    other = {"academy-api:other": once["academy-api:1a2b3c4"]}
    assert ROLE.asks({**INPUTS, "container_images": other})["container_images"] == ["academy-api:1a2b3c4"]
    assert decided(state(), container_images=other).changes == []


# --- one of two behind the proxy ------------------------------------------------------------------------------------

SLOTS: dict[str, Any] = {
    "container_slots": {"a": 8001, "b": 8002},
    "container_health_url": URL,
    "container_heartbeat": False,
    "container_volumes": [],
    "container_required_mounts": [],
}
NEXT = "academy-api-b"


def in_slot(slot: str, **others: Any) -> Callable[[dict[str, Any]], None]:
    """The container as it runs in a slot."""

    def change(inspected: dict[str, Any]) -> None:
        inspected["Name"] = f"/academy-api-{slot}"
        port = str({"a": 8001, "b": 8002}[slot])
        inspected["HostConfig"]["PortBindings"] = {"8000/tcp": [{"HostIp": "127.0.0.1", "HostPort": port}]}
        inspected["HostConfig"]["Binds"] = []
        inspected["Config"]["Env"] = [
            text for text in inspected["Config"]["Env"] if not text.startswith("WORKER_HEARTBEAT_FILE")
        ]
        inspected["Config"].update(others)

    return change


def slotted(*changes: Callable[[dict[str, Any]], None], record: str = "a", used_mib: int = 200) -> dict[str, Any]:
    """A host on which these run, and what the proxy's configuration says of who serves."""
    found = state()
    inspected = [deepcopy(INSPECTED) for _ in changes]
    for change, one in zip(changes, inspected, strict=True):
        change(one)
    values = {name: value for name, value in VALUES.items() if name != "WORKER_HEARTBEAT_FILE"}
    file = {"path": ENVIRONMENT, "kind": "file", "mode": "0600", "content": render(values)}
    content = configuration(8000, SLOTS["container_slots"], record) if record else ""
    containers = parse_containers(inspected, {"sha256:1": IMAGE}, NOW, lambda _: 1)
    return {
        **found,
        "answering": [f"http://127.0.0.1:{port}/health" for port in (8001, 8002)],
        "containers": {
            name: {**container, "memory_used_bytes": used_mib * MIB} for name, container in containers.items()
        },
        "paths": {
            **{want["path"]: as_wanted(want) for want in [*paths({**INPUTS, **SLOTS}), file]},
            PROXY: {"kind": "file", "content": content},
        },
    }


OLD = in_slot("a", Image=f"{REPOSITORY}@sha256:old")


def legacy(inspected: dict[str, Any]) -> None:
    in_slot("a")(inspected)
    inspected["Name"] = "/academy-api"
    inspected["HostConfig"]["PortBindings"] = {"8000/tcp": [{"HostIp": "0.0.0.0", "HostPort": "8000"}]}


def test_the_container_that_serves_as_wanted_needs_nothing() -> None:
    plan = decided(slotted(in_slot("a")), **SLOTS)
    assert needed(plan) == {}
    assert (plan.known["container"], plan.known["slot"]) == ("academy-api-a", "a")
    assert plan.known["health_url"] == "http://127.0.0.1:8001/health"


def test_a_release_comes_up_in_the_other_slot_before_the_one_that_serves_goes() -> None:
    plan = decided(slotted(OLD), **SLOTS)
    assert needed(plan) == {
        "containers": [NEXT],
        "answers": [NEXT],
        "switched": ["academy-api"],
        "retired": ["academy-api-a"],
        "grown": [NEXT],
    }
    assert plan.known["is_spare"]
    assert plan.known["published_ports"] == ["127.0.0.1:8002:8000"]
    (new,) = [change for change in plan.changes if change.resource == NEXT]
    # What the old one uses, and the reserve, are not the new one's yet.
    assert new.apply["containers"]["memory_bytes"] == (1904 - 400 - 200) * MIB
    assert new.apply["grown"]["memory_bytes"] == 1400 * MIB


def test_where_there_is_room_for_both_the_new_one_has_all_of_its_memory_at_once() -> None:
    plan = decided({**slotted(OLD), "memory_total_mib": 3800}, **SLOTS)
    assert "grown" not in needed(plan)
    assert next(change for change in plan.changes if change.resource == NEXT).apply["containers"]["memory_bytes"] == (
        1400 * MIB
    )


def test_what_serves_tells_what_is_a_release_and_not_what_is_left_of_the_time_before_slots() -> None:
    def left_over(inspected: dict[str, Any]) -> None:
        legacy(inspected)
        inspected["State"].update(Status="exited", Running=False)

    found = slotted(OLD, left_over)
    found["repositories"][REPOSITORY].append(image("sha256:5", "old@5"))
    assert needed(decided(found, **SLOTS))["outdated"] == ["sha256:5"]


def test_what_docker_changes_of_a_running_container_moves_nobody() -> None:
    def smaller(inspected: dict[str, Any]) -> None:
        in_slot("a")(inspected)
        inspected["HostConfig"]["Memory"] = 900 * MIB

    assert needed(decided(slotted(smaller), **SLOTS)) == {"containers": ["academy-api-a"], "answers": ["academy-api-a"]}


def test_a_run_that_ended_before_the_switch_is_gone_on_with() -> None:
    plan = decided(slotted(OLD, in_slot("b")), **SLOTS)
    assert needed(plan) == {"switched": ["academy-api"], "retired": ["academy-api-a"]}


def test_a_run_that_ended_after_the_switch_leaves_the_one_before_to_be_removed() -> None:
    assert needed(decided(slotted(OLD, in_slot("b"), record="b"), **SLOTS)) == {"retired": ["academy-api-a"]}


def test_one_that_failed_is_removed_when_the_one_that_serves_is_wanted_again() -> None:
    failed = in_slot("b", Image=f"{REPOSITORY}@sha256:bad")
    assert needed(decided(slotted(in_slot("a"), failed), **SLOTS)) == {"retired": [NEXT]}


def test_a_container_that_does_not_run_is_repaired_where_it_is() -> None:
    def ended(inspected: dict[str, Any]) -> None:
        OLD(inspected)
        inspected["State"].update(Status="exited", Running=False)

    plan = decided(slotted(ended), **SLOTS)
    assert needed(plan) == {"containers": ["academy-api-a"], "answers": ["academy-api-a"]}
    assert not plan.known["is_spare"]


def test_a_host_without_room_for_both_needs_consent_and_then_is_without_any_for_a_while() -> None:
    found = slotted(OLD, used_mib=760)
    (refused,) = decided(found, **SLOTS).refusals
    assert refused.subject == "deploy_allow_downtime"
    assert "760 MiB" in refused.rule.en
    plan = decided(found, **SLOTS, container_allow_downtime=["academy-api-1"])
    assert needed(plan) == {
        "displaced": ["academy-api-a"],
        "containers": [NEXT],
        "answers": [NEXT],
        "switched": ["academy-api"],
    }
    assert not plan.known["is_spare"]


def test_a_container_of_the_time_before_the_proxy_gives_up_its_port_by_consent() -> None:
    found = slotted(legacy, record="")
    (refused,) = decided(found, **SLOTS).refusals
    assert "academy-api on academy-api-1 holds the API's port itself" in refused.rule.en
    # Somebody else's consent is none.
    assert decided(found, **SLOTS, container_allow_downtime=["academy-api-2"]).refusals == [refused]
    plan = decided(found, **SLOTS, container_allow_downtime=["academy-api-1"])
    assert needed(plan) == {
        "containers": ["academy-api-a"],
        "answers": ["academy-api-a"],
        "grown": ["academy-api-a"],
        "yielding": ["academy-api"],
        "switched": ["academy-api"],
    }


def test_the_limits_of_two_slots_count_once_for_their_neighbours() -> None:
    services = {
        "api": {
            "name": "academy-api",
            "log_group": "/x",
            "dockerfile": "x",
            "memory_mib": 900,
            "slots": SLOTS["container_slots"],
        }
    }
    found = slotted(in_slot("a"), in_slot("b"))
    neighbour = {
        "services": services,
        "container_name": "beside",
        "container_memory_mib": 448,
        "container_expected_limits_mib": {"academy-api": 900, "beside": 448},
        "container_host_memory_min_mib": 0,
        "container_heartbeat": False,
    }
    found["paths"] |= {path: {"kind": "absent"} for path in ("/etc/academy/beside.env", "/run/academy/beside")}
    assert not decided(found, **neighbour).refusals


def test_both_slots_are_asked_for_their_answer_and_their_memory() -> None:
    asked = ROLE.reads({**INPUTS, **SLOTS})
    assert [address["url"] for address in asked["addresses"]] == [
        "http://127.0.0.1:8001/health",
        "http://127.0.0.1:8002/health",
    ]
    assert asked["memory_of"] == ["academy-api", "academy-api-a", NEXT]
    assert [command["container"] for command in asked["commands"]] == ["academy-api-a", NEXT]
    assert PROXY in asked["contents"]

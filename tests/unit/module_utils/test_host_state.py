# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host's own tools print becomes its state, and a wanted path differs in exactly what differs."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from typing import Any

import pytest

from plugins.module_utils.host_state import (
    environment_hashes,
    environment_sha256,
    meminfo_bytes,
    outdated_images,
    parse_containers,
    parse_newer,
    parse_packages,
    parse_repository,
    parse_units,
    path_differences,
    sha256_of,
)

NOW = datetime(2026, 11, 23, 12, 0, 30, tzinfo=UTC)
SECRET = "a-secret-of-the-application"

DOCKER_UNIT = """\
Id=docker.service
LoadState=loaded
ActiveState=active
SubState=running
UnitFileState=enabled
NeedDaemonReload=no
FragmentPath=/usr/lib/systemd/system/docker.service
ActiveEnterTimestamp=@1795435205
"""
# systemd answers a mount point under the name of its unit, and what does not exist without a file.
UNKNOWN_UNIT = """\
Id=mnt-transcode.mount
LoadState=not-found
ActiveState=inactive
SubState=dead
UnitFileState=
NeedDaemonReload=yes
FragmentPath=
ActiveEnterTimestamp=
"""

INSPECTED: dict[str, Any] = {
    "Id": "c1",
    "Name": "/academy-api",
    "Image": "sha256:1",
    "RestartCount": 2,
    "Config": {
        "Image": "registry/academy-api@sha256:2",
        "Env": [f"DB_PASSWORD={SECRET}", "PATH=/bin"],
        "Cmd": [SECRET],
        "Healthcheck": {"Test": ["CMD", SECRET]},
        "StopTimeout": 30,
    },
    "HostConfig": {
        "Memory": 1400 * 1024**2,
        "MemorySwap": 3448 * 1024**2,
        "RestartPolicy": {"Name": "unless-stopped"},
        "PortBindings": {"8000/tcp": [{"HostIp": "0.0.0.0", "HostPort": "80"}], "9000/tcp": None},
        "Binds": ["/run/academy/academy-api:/run/academy:rw", "/mnt/transcode:/tmp:rw"],
        "LogConfig": {"Type": "splunk", "Config": {"splunk-token": SECRET}},
    },
    "State": {
        "Status": "running",
        "Running": True,
        "ExitCode": 0,
        "OOMKilled": False,
        "StartedAt": "2026-11-23T12:00:00.123456789Z",
        "Pid": 7,
        "Health": {"Status": "healthy", "Log": [{"Output": SECRET}]},
    },
    "Mounts": [
        {"Type": "bind", "Source": "/mnt/transcode", "Destination": "/tmp"},
        {"Type": "bind", "Source": "/run/academy/academy-api", "Destination": "/run/academy"},
        {"Type": "volume", "Name": "v1", "Source": "/var/lib/docker/volumes/v1/_data", "Destination": "/data"},
    ],
}
# What lies at each path of the host: a disk that came after the container had been started, and what has not changed.
LIES_AT = {"/mnt/transcode": 1, "/proc/7/root/tmp": 2, "/run/academy/academy-api": 3, "/proc/7/root/run/academy": 3}
STOPPED = {
    **INSPECTED,
    "Name": "/once",
    "Image": "sha256:gone",
    "Config": {"Image": "registry/academy-api@sha256:2", "Env": None, "Cmd": None},
    "HostConfig": {
        "Memory": 0,
        "MemorySwap": 0,
        "RestartPolicy": {"Name": "no"},
        "PortBindings": None,
        "Binds": None,
        "LogConfig": {"Type": "json-file", "Config": None},
    },
    "State": {
        "Status": "exited",
        "Running": False,
        "ExitCode": 137,
        "OOMKilled": True,
        "StartedAt": "0001-01-01T00:00:00Z",
        "Pid": 0,
    },
}

IMAGES: dict[str, Any] = {"sha256:1": {"Config": {"Env": ["PATH=/bin"], "Cmd": ["serve"], "Healthcheck": None}}}
NOTHING = sha256_of([])

FILE = {
    "kind": "file",
    "owner": "root",
    "group": "root",
    "mode": "0644",
    "sha256": hashlib.sha256(b"text\n").hexdigest(),
}
WANTED = {"path": "/a", "mode": "0644", "content": "text\n"}


@pytest.mark.parametrize(
    ("output", "asked", "packages"),
    [
        ("", [], {}),
        ("docker 25.0.8-1.amzn2023\n", ["docker"], {"docker": "25.0.8-1.amzn2023"}),
        ("package git is not installed\ndocker 25-1\n", ["git", "docker"], {"git": None, "docker": "25-1"}),
        ("kernel 6.1-1\nkernel 6.1-2\n", ["kernel"], {"kernel": "6.1-2"}),
        ("a 1\u2028docker 25-1\nb 2\x85docker 25-1\n", ["docker"], {"docker": None}),
        ("error: cannot open Packages database\n", ["docker"], {"docker": None}),
    ],
)
def test_packages(output: str, asked: list[str], packages: dict[str, str | None]) -> None:
    assert parse_packages(output, asked) == packages


@pytest.mark.parametrize(
    ("query", "newer"),
    [
        ("kernel 99\nglibc 98\npackage dbus is not installed\n", []),
        ("kernel 99\nkernel 101\nkernel 102\nglibc 98\n", ["kernel"]),
        # In the second of the boot it may be either.
        ("systemd 100\nglibc 1000\n", ["glibc", "systemd"]),
        ("", []),
    ],
)
def test_packages_that_are_newer_than_the_boot(query: str, newer: list[str]) -> None:
    assert parse_newer(query, "@100\n") == newer


@pytest.mark.parametrize("timestamp", ["", "n/a", "Mon 2026-11-30 12:00:00 UTC"])
def test_a_boot_whose_time_nobody_knows_is_no_answer(timestamp: str) -> None:
    with pytest.raises(ValueError, match="invalid literal"):
        parse_newer("kernel 99", timestamp)


def test_units_are_told_by_the_names_that_were_asked_for() -> None:
    units = parse_units(f"{DOCKER_UNIT}\n{UNKNOWN_UNIT}", ["docker.service", "/mnt/transcode"])
    assert units == {
        "docker.service": {
            "id": "docker.service",
            "load_state": "loaded",
            "active_state": "active",
            "sub_state": "running",
            "unit_file_state": "enabled",
            "need_daemon_reload": False,
            "fragment_path": "/usr/lib/systemd/system/docker.service",
            "active_enter_seconds": 1795435205,
        },
        "/mnt/transcode": {
            "id": "mnt-transcode.mount",
            "load_state": "not-found",
            "active_state": "inactive",
            "sub_state": "dead",
            "unit_file_state": "",
            "need_daemon_reload": True,
            "fragment_path": "",
            "active_enter_seconds": None,
        },
    }


def test_a_line_of_a_unit_ends_at_a_line_feed_alone() -> None:
    shown = DOCKER_UNIT.replace("docker.service\nActive", "docker\u2028ActiveState=failed.service\nActive")
    unit = parse_units(shown, ["docker.service"])["docker.service"]
    assert (unit["active_state"], unit["fragment_path"]) == (
        "active",
        "/usr/lib/systemd/system/docker\u2028ActiveState=failed.service",
    )


def test_units_that_cannot_be_told_apart_are_refused() -> None:
    with pytest.raises(ValueError, match="shows 1 units, but 2"):
        parse_units(DOCKER_UNIT, ["a.service", "b.service"])


def test_containers() -> None:
    containers = parse_containers([INSPECTED, STOPPED], IMAGES, NOW, LIES_AT.get)
    assert containers == {
        "academy-api": {
            "id": "c1",
            "image": "registry/academy-api@sha256:2",
            "image_id": "sha256:1",
            "environment_names": ["DB_PASSWORD", "PATH"],
            "environment_sha256": environment_sha256(environment_hashes({"DB_PASSWORD": SECRET, "PATH": "/bin"})),
            "command_sha256": sha256_of([SECRET]),
            "health_command_sha256": sha256_of(["CMD", SECRET]),
            "image_defaults": {
                "environment": environment_hashes({"PATH": "/bin"}),
                "command_sha256": sha256_of(["serve"]),
                "health_command_sha256": NOTHING,
            },
            "environment": {},
            "status": "running",
            "health": "healthy",
            "exit_code": 0,
            "out_of_memory": False,
            "restart_count": 2,
            "restart_policy": "unless-stopped",
            "stop_timeout_seconds": 30,
            "memory_bytes": 1400 * 1024**2,
            "memory_swap_bytes": 3448 * 1024**2,
            "published_ports": ["0.0.0.0:80:8000/tcp"],
            "volumes": ["/mnt/transcode:/tmp:rw", "/run/academy/academy-api:/run/academy:rw"],
            "log_driver": "splunk",
            "log_options_sha256": sha256_of({"splunk-token": SECRET}),
            "running_seconds": 30,
            "settled": True,
            "stale_mounts": ["/tmp"],
            "memory_used_bytes": None,
        },
        "once": {
            "id": "c1",
            "image": "registry/academy-api@sha256:2",
            "image_id": "sha256:gone",
            "environment_names": [],
            "environment_sha256": environment_sha256({}),
            "command_sha256": NOTHING,
            "health_command_sha256": NOTHING,
            "image_defaults": {"environment": {}, "command_sha256": NOTHING, "health_command_sha256": NOTHING},
            "environment": {},
            "status": "exited",
            "health": "",
            "exit_code": 137,
            "out_of_memory": True,
            "restart_count": 2,
            "restart_policy": "no",
            "stop_timeout_seconds": None,
            "memory_bytes": 0,
            "memory_swap_bytes": 0,
            "published_ports": [],
            "volumes": [],
            "log_driver": "json-file",
            "log_options_sha256": sha256_of({}),
            "running_seconds": None,
            "settled": False,
            "stale_mounts": [],
            "memory_used_bytes": None,
        },
    }
    assert SECRET in json.dumps(INSPECTED)
    assert SECRET not in json.dumps(containers)


def test_of_a_container_s_environment_only_what_is_asked_for_is_told() -> None:
    inspected = {**INSPECTED, "Config": {**INSPECTED["Config"], "Env": [f"DB_PASSWORD={SECRET}", "STEPS=a=b", "DEBUG"]}}
    found = parse_containers([inspected], {}, NOW, LIES_AT.get, ["STEPS", "MISSING"])["academy-api"]
    assert found["environment_names"] == ["DB_PASSWORD", "DEBUG", "STEPS"]
    assert found["environment"] == {"STEPS": "a=b"}
    assert SECRET not in json.dumps(found)


@pytest.mark.parametrize(
    ("lies_at", "stale"),
    [
        pytest.param({}, [], id="as it was started"),
        pytest.param({"/run/academy/academy-api": None}, ["/run/academy"], id="removed"),
        pytest.param({"/run/academy/academy-api": 4, "/mnt/transcode": 5}, ["/run/academy", "/tmp"], id="made anew"),
        pytest.param(dict.fromkeys(LIES_AT), [], id="ended while it was looked at"),
    ],
)
def test_what_a_container_holds_on_to(lies_at: dict[str, int | None], stale: list[str]) -> None:
    found = {**LIES_AT, "/proc/7/root/tmp": 1, **lies_at}
    assert parse_containers([INSPECTED], IMAGES, NOW, found.get)["academy-api"]["stale_mounts"] == stale


@pytest.mark.parametrize(
    ("statistics", "used"),
    [
        pytest.param({}, None, id="not asked"),
        pytest.param({"memory_stats": {}}, None, id="does not run"),
        pytest.param({"memory_stats": None}, None, id="no statistics"),
        pytest.param({"memory_stats": {"usage": 900, "stats": {"inactive_file": 200}}}, 700, id="cgroup v2"),
        pytest.param(
            {"memory_stats": {"usage": 900, "stats": {"inactive_file": 1, "total_inactive_file": 300}}},
            600,
            id="cgroup v1",
        ),
        pytest.param({"memory_stats": {"usage": 900, "stats": {"inactive_file": 901}}}, 900, id="counted later"),
        pytest.param({"memory_stats": {"usage": 900}}, 900, id="without details"),
    ],
)
def test_what_a_container_uses_of_memory(statistics: dict[str, Any], used: int | None) -> None:
    found = parse_containers([INSPECTED], IMAGES, NOW, LIES_AT.get, statistics={"c1": statistics})["academy-api"]
    assert found["memory_used_bytes"] == used


def test_repository() -> None:
    listed: list[dict[str, Any]] = [
        {"Id": "1", "Created": 9, "RepoTags": ["<none>:<none>"], "RepoDigests": ["registry/api@sha256:a"]},
        {"Id": "2", "Created": 8, "RepoTags": ["registry/api:2"], "RepoDigests": None},
        {"Id": "3", "Created": 7, "RepoTags": ["registry/api-two:1", "api:1"], "RepoDigests": ["other/registry/api@b"]},
        {"Id": "4", "Created": 6, "RepoTags": None, "RepoDigests": None},
    ]
    assert parse_repository(listed, "registry/api") == [
        {"id": "1", "references": ["<none>:<none>", "registry/api@sha256:a"]},
        {"id": "2", "references": ["registry/api:2"]},
    ]


@pytest.mark.parametrize(
    ("images", "used", "outdated"),
    [
        pytest.param([], [], [], id="the first one"),
        pytest.param(["new"], [], [], id="nothing else"),
        pytest.param(["new", "before", "b", "a"], ["before"], ["b", "a"], id="older ones"),
        pytest.param(["before", "a"], ["before"], ["a"], id="the new one was not there yet"),
        pytest.param(["new", "before", "a"], ["before", "a"], [], id="somebody else uses it"),
    ],
)
def test_outdated_images(images: list[str], used: list[str], outdated: list[str]) -> None:
    listed = [{"id": name, "references": [f"api@{name}"]} for name in images]
    assert outdated_images(listed, "api@new", [{"image_id": name} for name in used]) == outdated


@pytest.mark.parametrize(
    ("state", "settled"),
    [
        ({}, True),
        ({"Health": None}, True),
        ({"Health": {"Status": "starting"}}, False),
        ({"Health": {"Status": "unhealthy"}}, False),
        ({"Status": "restarting"}, False),
        ({"Status": "paused"}, False),
        ({"Status": "exited", "Running": False}, False),
        ({"StartedAt": "2026-11-23T12:00:20.1Z"}, False),
    ],
)
def test_a_container_is_settled_once_it_has_been_running_for_a_while(state: dict[str, Any], settled: bool) -> None:
    inspected = {**INSPECTED, "State": {**INSPECTED["State"], **state}}
    assert parse_containers([inspected], {}, NOW, LIES_AT.get)["academy-api"]["settled"] is settled


def test_an_environment_is_known_by_its_hash_whatever_its_order() -> None:
    one, same = {"A": "1", "B": "2"}, {"B": "2", "A": "1"}
    assert environment_sha256(environment_hashes(one)) == environment_sha256(environment_hashes(same))
    for other in ({"A": "2", "B": "1"}, {"A": "1"}, {"A": "1", "B": "2", "C": ""}, {"A": "1\nB=2"}):
        assert environment_sha256(environment_hashes(one)) != environment_sha256(environment_hashes(other))


def test_meminfo() -> None:
    text = "MemTotal:  10 kB\nMemAvailable:    2048 kB\n"
    assert meminfo_bytes(text, "MemAvailable") == 2048 * 1024
    assert meminfo_bytes(text, "SwapTotal") == 0


@pytest.mark.parametrize(
    ("found", "want", "differs"),
    [
        pytest.param(FILE, WANTED, [], id="as wanted"),
        pytest.param(FILE, {"path": "/a"}, [], id="nothing but its being there is wanted"),
        pytest.param({"kind": "absent"}, WANTED, ["kind"], id="deleted"),
        pytest.param({**FILE, "kind": "directory"}, WANTED, ["kind"], id="a directory instead"),
        pytest.param({**FILE, "kind": "link"}, WANTED, ["kind"], id="a link instead"),
        pytest.param({**FILE, "mode": "0666"}, WANTED, ["mode"], id="mode"),
        pytest.param({**FILE, "owner": "ec2-user"}, WANTED, ["owner"], id="owner"),
        pytest.param({**FILE, "group": "wheel"}, WANTED, ["group"], id="group"),
        pytest.param({**FILE, "owner": "app"}, {**WANTED, "owner": "app"}, [], id="another owner is wanted"),
        pytest.param(FILE, {**WANTED, "content": "other\n"}, ["sha256"], id="content"),
        pytest.param({**FILE, "mode": "0600"}, {**WANTED, "content": ""}, ["mode", "sha256"], id="two things"),
        pytest.param({"kind": "absent"}, {"path": "/a", "kind": "absent"}, [], id="absent as wanted"),
        pytest.param(FILE, {"path": "/a", "kind": "absent"}, ["kind"], id="there, but not wanted"),
        pytest.param(
            {**FILE, "kind": "directory", "mode": "0755"},
            {"path": "/a", "kind": "directory", "mode": "0700"},
            ["mode"],
            id="open directory",
        ),
    ],
)
def test_path_differences(found: dict[str, Any], want: dict[str, Any], differs: list[str]) -> None:
    assert path_differences({"/a": found}, [want]) == ([{**want, "differs": differs}] if differs else [])


def test_a_file_too_large_to_be_hashed_differs() -> None:
    found = {name: value for name, value in FILE.items() if name != "sha256"}
    assert path_differences({"/a": found}, [WANTED]) == [{**WANTED, "differs": ["sha256"]}]


def test_differing_paths_keep_their_order() -> None:
    paths = {"/b": {"kind": "absent"}, "/a": {"kind": "absent"}, "/c": FILE}
    found = path_differences(paths, [{"path": "/b", "kind": "directory"}, {"path": "/c"}, {"path": "/a"}])
    assert [want["path"] for want in found] == ["/b", "/a"]

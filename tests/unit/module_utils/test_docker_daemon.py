# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options of the daemon are found wherever they stand, and containers that it does not know by what holds them."""

from __future__ import annotations

import pytest

from plugins.module_utils.docker_daemon import containers_of_shims, daemon_options, unseen

FRAGMENT, SYSCONFIG = "/usr/lib/systemd/system/docker.service", "/etc/sysconfig/docker"
MOUNTS, OTHER = "/etc/systemd/system/docker.service.d/mounts.conf", "/etc/systemd/system/docker.service.d/other.conf"
COMMAND = "/usr/bin/dockerd -H fd:// --containerd=/run/containerd/containerd.sock $OPTIONS $DOCKER_STORAGE_OPTIONS"
FILES = {FRAGMENT: f"[Service]\nExecStart={COMMAND}\n", MOUNTS: "[Unit]\nRequiresMountsFor=/mnt\n"}
OWN = {"host": FRAGMENT, "containerd": FRAGMENT}


def shown(command: str = COMMAND, drop_ins: str = MOUNTS, environment: str = "") -> str:
    return (
        f"FragmentPath={FRAGMENT}\nDropInPaths={drop_ins}\n"
        f"ExecStart={{ path=/usr/bin/dockerd ; argv[]={command} ; ignore_errors=no ; start_time=[n/a] ; pid=0 }}\n"
        f"Environment={environment}\nEnvironmentFiles={SYSCONFIG} (ignore_errors=yes)\n"
        "EnvironmentFiles=/etc/sysconfig/docker-storage (ignore_errors=yes)\n"
    )


@pytest.mark.parametrize(
    ("sysconfig", "options"),
    [
        ("", {}),
        ('OPTIONS="--default-ulimit nofile=32768:65536"\n', {"default-ulimit": SYSCONFIG}),
        ('OPTIONS="--log-opt max-size=10m"\n', {"log-opt": SYSCONFIG}),
        ("# OPTIONS=--debug\n;OPTIONS=--debug\n", {}),
        ("OPTIONS='-D --log-driver=none'\n", {"debug": SYSCONFIG, "log-driver": SYSCONFIG}),
        ('OPTIONS="--debug"\nOPTIONS="--icc=false"\n', {"icc": SYSCONFIG}),
        ('OPTIONS="--debug \\\n  --log-opt max-file=3"\n', {"debug": SYSCONFIG, "log-opt": SYSCONFIG}),
        ("OPTIONS=--log-opt\\ max-size=1m\n", {"log-opt": SYSCONFIG}),
        ("OPTIONS='--debug\n", {"debug": SYSCONFIG}),
        ('OPTIONS="--icc=false\n  --debug"\n', {"icc": SYSCONFIG, "debug": SYSCONFIG}),
        ("OPTIONS=--icc=false --debug\n", {"icc": SYSCONFIG, "debug": SYSCONFIG}),
        ('OTHER="--debug"\n', {}),
    ],
)
def test_options_of_a_file_of_the_environment(sysconfig: str, options: dict[str, str]) -> None:
    files = {**FILES, SYSCONFIG: sysconfig}
    assert daemon_options(shown(), lambda path: files.get(path, "")) == {**OWN, **options}


def test_options_of_a_drop_in_and_of_its_environment() -> None:
    files = {**FILES, OTHER: '[Service]\nExecStart=\nExecStart=dockerd …\nEnvironment="OPTIONS=-g /data"\n'}
    text = shown("/usr/bin/dockerd --log-driver none ${OPTIONS}", f"{OTHER} {MOUNTS}", '"OPTIONS=-g /data" A=1')
    assert daemon_options(text, lambda path: files.get(path, "")) == {"log-driver": OTHER, "data-root": OTHER}


def test_a_unit_that_does_not_exist_has_none() -> None:
    assert daemon_options("FragmentPath=\nDropInPaths=\nEnvironment=\n", lambda path: "") == {}


SHIM = ["/usr/bin/containerd-shim-runc-v2", "-namespace", "moby", "-id"]


def test_what_a_shim_holds_runs_and_an_empty_one_is_left_behind() -> None:
    processes = [
        (1, 0, ["/sbin/init", ""]),
        (9, 2, [""]),
        (10, 1, [*SHIM, "held", "-address", "/run/containerd.sock"]),
        (11, 10, ["python", ""]),
        (12, 11, ["ffmpeg", ""]),
        (13, 10, ["sh", ""]),
        (20, 1, [*SHIM, "empty", ""]),
        (30, 1, [SHIM[0], "-namespace", "k8s.io", "-id", "other", ""]),
        (31, 30, ["pause", ""]),
    ]
    assert containers_of_shims(processes) == {"held": 11}


def test_a_container_that_comes_or_goes_meanwhile_is_not_unseen() -> None:
    assert unseen({"old": 1, "known": 2, "going": 3}, {"known"}, {"old", "known", "coming"}) == {"old": 1}

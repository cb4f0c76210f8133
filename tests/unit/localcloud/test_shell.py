# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest

from localcloud.shell import EngineError, docker_command, socket_url


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, "unix:///var/run/docker.sock"),
        ({"DOCKER_HOST": ""}, "unix:///var/run/docker.sock"),
        ({"DOCKER_HOST": "unix:///run/user/0/docker.sock"}, "unix:///run/user/0/docker.sock"),
    ],
)
def test_socket_url(environment: dict[str, str], expected: str) -> None:
    assert socket_url(environment) == expected


@pytest.mark.parametrize("url", ["tcp://192.0.2.1:2375", "ssh://root@example.com"])
def test_an_engine_elsewhere_is_refused_by_name(url: str) -> None:
    with pytest.raises(EngineError, match=f"DOCKER_HOST is {url}.*Unset DOCKER_HOST"):
        socket_url({"DOCKER_HOST": url})


def test_every_command_names_its_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///run/other.sock")
    assert docker_command("ps") == ["docker", "--host=unix:///run/other.sock", "ps"]
    assert docker_command("ps", host="unix:///builder.sock") == ["docker", "--host=unix:///builder.sock", "ps"]

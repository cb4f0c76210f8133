# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A proxy's configuration as the record of who serves, and what a running one shows."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from plugins.module_utils.proxy import ServerState, configuration, parse_servers, refusal, serving

SERVERS = {"blue": 8001, "green": 8002}
TEXT = configuration(8000, SERVERS, "green")
HEADER = "# pxname,svname,qcur,qmax,scur,smax,status,type,addr,\n"


def test_all_but_one_server_are_disabled() -> None:
    assert TEXT.startswith("# managed by academy.deploy\n")
    assert "\n    bind *:8000\n" in TEXT
    assert TEXT.endswith("\nbackend api\n    server blue 127.0.0.1:8001 disabled\n    server green 127.0.0.1:8002\n")


def test_the_order_in_which_servers_are_given_does_not_matter() -> None:
    assert configuration(8000, dict(reversed(SERVERS.items())), "green") == TEXT


@pytest.mark.parametrize("program", [name for name in ("haproxy", "haproxy-3.0") if shutil.which(name)])
def test_haproxy_takes_it_without_a_warning(tmp_path: Path, program: str) -> None:
    path = tmp_path / "haproxy.cfg"
    path.write_text(TEXT)
    done = subprocess.run([program, "-c", "-q", "-f", str(path)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize(
    ("port", "servers", "server", "said"),
    [
        (8000, SERVERS, "red", "red is none of the servers blue, green"),
        (8000, {"blue": 8000}, "blue", "ports have to be different"),
        (8000, {"blue": 8001, "green": 8001}, "blue", "ports have to be different"),
        (8000, {"blue": 0}, "blue", "from 1 to 65535"),
        (8000, {"blue": 65536}, "blue", "from 1 to 65535"),
        (8000, {"blue disabled": 8001}, "blue disabled", "not a name: blue disabled"),
        (8000, {"blue\n": 8001}, "blue\n", "not a name"),
    ],
)
def test_what_is_no_configuration_is_refused(port: int, servers: dict[str, int], server: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        configuration(port, servers, server)


@pytest.mark.parametrize("server", SERVERS)
def test_the_configuration_tells_who_serves(server: str) -> None:
    assert serving(configuration(8000, SERVERS, server)) == server


@pytest.mark.parametrize(
    "text",
    [
        "",
        TEXT.rstrip("\n"),
        TEXT.replace("8002", "8002 disabled"),
        TEXT.replace(" disabled", ""),
        TEXT.replace("disabled", "disab"),
        TEXT.replace("127.0.0.1:8001", ""),
        TEXT.replace("server blue", "server green"),
        TEXT.replace("backend api\n    server", "backend other\n    server"),
        TEXT + "backend api\n",
        TEXT[: TEXT.index("    server")],
    ],
)
def test_a_damaged_configuration_tells_nothing(text: str) -> None:
    assert serving(text) is None


def test_servers_of_other_backends_do_not_count() -> None:
    other = "\nbackend other\n    server red 127.0.0.1:9000\n"
    assert serving(TEXT + other) == "green"
    assert serving(TEXT + other, backend="other") == "red"
    assert serving(TEXT.replace("\nbackend", "\n\tbackend").replace("    ", "  \t")) == "green"


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ("0,0,0,0,no check,2,127.0.0.1:8001,", ServerState("ready", 0, 8001)),
        ("1,1,4,9,DRAIN,2,127.0.0.1:8001,", ServerState("drain", 5, 8001)),
        ("0,0,2,9,MAINT,2,127.0.0.1:8001,", ServerState("maint", 2, 8001)),
        ("0,0,0,9,MAINT (via api/green),2,[::1]:8001,", ServerState("maint", 0, 8001)),
        ("0,0,0,9,UP 1/3,2,,", ServerState("ready", 0, None)),
    ],
)
def test_a_running_proxy_shows_its_servers(row: str, expected: ServerState) -> None:
    assert parse_servers(f"{HEADER}other,blue,0,0,7,7,MAINT,2,,\napi,blue,{row}\n\n") == {"blue": expected}


def test_a_proxy_without_the_backend_has_no_servers() -> None:
    assert parse_servers(f"{HEADER}\n") == {}


@pytest.mark.parametrize("said", ["", "\n", "Permission denied\n", "Unknown command: show stat\n"])
def test_what_are_no_servers_is_said(said: str) -> None:
    with pytest.raises(ValueError, match="HAProxy shows no servers"):
        parse_servers(said)


@pytest.mark.parametrize(("said", "left"), [("\n\n", ""), ("\nNo such server.\n\n", "No such server.")])
def test_only_a_refusal_is_said(said: str, left: str) -> None:
    assert refusal(said) == left

# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from localcloud import cloud, machine, operator_machine, settings
from localcloud.__main__ import main
from localcloud.cloud import CloudError
from localcloud.operator_machine import OperatorError, enter, enter_command, environment, ruleset, with_home
from localcloud.operator_user import Keys

PUBLIC, PRIVATE = IPv4Address("203.0.113.16"), IPv4Address("172.31.4.5")
OTHER_PUBLIC, OTHER_PRIVATE = IPv4Address("203.0.113.17"), IPv4Address("172.31.9.9")
OWNERS = {OTHER_PUBLIC: OTHER_PRIVATE, PUBLIC: PRIVATE}


def chain(text: str, name: str) -> list[str]:
    """The rules of a chain."""
    found = re.search(rf"chain {name} {{\n(.*?)\n  }}", text, re.DOTALL)
    assert found
    return [line.strip() for line in found[1].splitlines()[1:]]


def test_the_table_lets_public_addresses_names_and_tls_in_and_refuses_the_rest() -> None:
    assert chain(ruleset(OWNERS), "entrance") == [
        'iifname != "academy-op0" accept',
        "ct state established,related accept",
        "ip daddr { 203.0.113.16, 203.0.113.17 } accept",
        "ip daddr 172.31.0.2 udp dport 53 accept",
        "ip daddr 172.31.0.2 tcp dport { 53, 443 } accept",
        "reject with icmp host-unreachable",
    ]
    assert chain(ruleset(OWNERS), "translation") == [
        'iifname "academy-op0" dnat to ip daddr map { 203.0.113.16 : 172.31.4.5, 203.0.113.17 : 172.31.9.9 }',
        'iifname "academy-lc0" ip saddr { 172.31.4.5, 172.31.9.9 } '
        "dnat to ip daddr map { 203.0.113.16 : 172.31.4.5, 203.0.113.17 : 172.31.9.9 }",
    ]
    assert chain(ruleset(OWNERS), "origin") == [
        'oifname "academy-lc0" ct status dnat snat to ip saddr map { 172.31.4.5 : 203.0.113.16, '
        "172.31.9.9 : 203.0.113.17 }"
    ]


def test_nothing_begins_a_connection_to_the_operator() -> None:
    assert chain(ruleset(OWNERS), "exit") == [
        'iifname "academy-lc0" oifname != "academy-op0" ip daddr 203.0.113.0/24 reject',
        'oifname != "academy-op0" accept',
        "ct state established,related accept",
        "reject with icmp host-unreachable",
    ]


def test_the_table_names_no_address_where_there_is_no_host() -> None:
    assert "203.0.113.1" not in ruleset({})
    assert chain(ruleset({}), "entrance")[-1] == "reject with icmp host-unreachable"


@pytest.mark.skipif(not shutil.which("nft"), reason="nftables is not installed: the embedded cloud installs it")
def test_nftables_understands_the_table_and_replaces_the_one_before() -> None:
    load = 'printf "%s" "$1" | nft --file -; printf "%s" "$2" | nft --file -; nft list ruleset'
    shown = subprocess.run(
        ["unshare", "--net", "sh", "-ec", load, "sh", ruleset(OWNERS), ruleset({OTHER_PUBLIC: OTHER_PRIVATE})],
        text=True, capture_output=True, check=False,
    )  # fmt: skip
    assert (shown.returncode, shown.stderr) == (0, "")
    assert "203.0.113.17 : 172.31.9.9" in shown.stdout
    assert "203.0.113.16" not in shown.stdout


@pytest.mark.parametrize(
    "name",
    [
        "ANSIBLE_CONFIG", "AWS_PROFILE", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_SESSION_TOKEN",
        "BOTO_CONFIG", "CURL_CA_BUNDLE", "DOCKER_CONTEXT", "DOCKER_HOST", "HTTPS_PROXY", "MOTO_ACCOUNT_ID",
        "NODE_EXTRA_CA_CERTS", "all_proxy", "http_proxy", "no_proxy", "REQUESTS_CA_BUNDLE", "SSH_AUTH_SOCK",
        "SSL_CERT_FILE", "XDG_CONFIG_HOME",
    ],
)  # fmt: skip
def test_what_leads_elsewhere_does_not_come_along(name: str) -> None:
    assert name not in environment({name: "x"}, Keys("key", "secret"))


def test_the_rest_comes_along_and_the_account_is_set() -> None:
    inherited = {"PATH": "/a:/b", "LANG": "ko_KR.UTF-8", "TERM": "xterm", "HOME": "/root", "AWS_REGION": "us-east-1"}
    assert environment(inherited, Keys("key", "secret")) == {
        "PATH": "/a:/b",
        "LANG": "ko_KR.UTF-8",
        "TERM": "xterm",
        "HOME": "/run/academy-operator",
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_REGION": "ap-northeast-2",
        "AWS_DEFAULT_REGION": "ap-northeast-2",
        "AWS_CA_BUNDLE": "/etc/ssl/certs/ca-certificates.crt",
    }


def test_the_user_has_another_home_and_nobody_else() -> None:
    passwd = "root:x:0:0:root:/root:/bin/bash\nme:x:1000:1000::/home/me:/bin/sh\nten:x:10:0::/ten:/bin/sh\n\n"
    assert with_home(passwd, 0, Path("/run/academy-operator")) == passwd.replace(":/root:", ":/run/academy-operator:")


def test_a_command_arrives_in_one_piece() -> None:
    command = enter_command(["sh", "-c", 'echo "a  b"'])
    assert command[0] == "nsenter"
    assert command[-4:] == ["operator", "sh", "-c", 'echo "a  b"']


def test_without_a_cloud_there_is_none_to_enter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(operator_machine, "NAMESPACE", tmp_path / "net")
    with pytest.raises(OperatorError, match="`up`"):
        enter(["true"])


def test_the_command_line_passes_a_command_on(monkeypatch: pytest.MonkeyPatch) -> None:
    commands: list[list[str]] = []
    monkeypatch.setattr(cloud, "enter", commands.append)
    main(["operator", "--", "ansible-playbook", "site.yml", "--tags", "api", "--", "x"])
    main(["operator"])
    assert commands == [["ansible-playbook", "site.yml", "--tags", "api", "--", "x"], []]


def test_the_cloud_is_not_run_from_within(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(settings, "OPERATOR_HOME", tmp_path)
    with pytest.raises(CloudError, match="exit"):
        cloud.enter(["true"])


@pytest.fixture
def waiting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[subprocess.Popen[bytes]]:
    """A process in a namespace of its own, which stands for the operator's."""
    process = subprocess.Popen(["unshare", "--net", "sleep", "60"])
    own = Path("/proc/self/ns/net").stat().st_ino
    while Path(f"/proc/{process.pid}/ns/net").stat().st_ino == own:
        pass
    monkeypatch.setattr(operator_machine, "NAMESPACE", Path(f"/proc/{process.pid}/ns/net"))
    yield process
    process.kill()
    process.wait()


def test_what_still_runs_there_is_found_and_ended(waiting: subprocess.Popen[bytes]) -> None:
    assert operator_machine.processes_inside() == [waiting.pid]
    operator_machine.end(lambda: [waiting.pid] if waiting.poll() is None else [])
    assert waiting.returncode is not None


def test_the_public_network_may_not_overlap_either(monkeypatch: pytest.MonkeyPatch) -> None:
    routes = '[{"dst": "203.0.113.0/25", "dev": "tun0"}, {"dst": "203.0.113.0/29", "dev": "academy-op0"}]'
    monkeypatch.setattr(machine, "run", lambda *_: routes)
    with pytest.raises(
        machine.MachineError, match=r"203\.0\.113\.0/29 for the operator's machine.*203\.0\.113\.0/25 on tun0\."
    ):
        machine.refuse_overlap()

# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How long a host may take to answer, why one does not, and what is said of it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from plugins.module_utils.reachability import (
    Command,
    answer_seconds,
    changed_address_findings,
    host_finding,
    nobody_finding,
    reason,
)

NOW = datetime(2026, 1, 31, 12, 0, 0)
COMMAND = Command("inventories/production", "ap-northeast-2")
ENVIRONMENT = "inventories/production/group_vars/all/environment.yml"
TRIED = "timed out waiting for ping module test: Failed to connect to the host via ssh: "
SILENT = f"{TRIED}ssh: connect to host 203.0.113.5 port 22: Connection timed out"
DENIED = f"{TRIED}ec2-user@203.0.113.5: Permission denied (publickey)."
REFUSED = f"{TRIED}ssh: connect to host 203.0.113.5 port 22: Connection refused"
OTHER = f"{TRIED}Host key verification failed."
SENT = 'Data could not be sent to remote host "203.0.113.5". Make sure this host can be reached over ssh: '
MINE = ["198.51.100.7/32"]


@pytest.mark.parametrize("zone", [UTC, None], ids=["aware", "naive"])
@pytest.mark.parametrize(
    ("age_seconds", "seconds"),
    [(0, 300), (1, 299), (200, 100), (290, 10), (299, 10), (301, 10), (86400, 10), (-3600, 300)],
)
def test_a_host_that_was_just_started_has_what_is_left_of_its_boot(age_seconds: int, seconds: int, zone: Any) -> None:
    launched = NOW.replace(tzinfo=UTC) - timedelta(seconds=age_seconds)
    for value in (launched, launched.isoformat()):
        assert answer_seconds(value, NOW.replace(tzinfo=zone), 10, 300) == seconds


@pytest.mark.parametrize(
    ("message", "found"),
    [
        (SILENT, "silent"),
        (SILENT.replace("Connection", "Operation"), "silent"),
        (DENIED, "denied"),
        (f"{TRIED}Received disconnect: Too many authentication failures", "denied"),
        (REFUSED, "refused"),
        (OTHER, "other"),
        # How the module's own sentence begins says nothing.
        ("timed out waiting for ping module test: ping test failed", "other"),
    ],
)
def test_what_ssh_says_is_the_reason(message: str, found: str) -> None:
    assert reason(message) == found


@pytest.mark.parametrize(
    ("answer", "cidrs", "is_found"),
    [
        ("198.51.100.7\n", MINE, False),
        ("198.51.100.7", ["198.51.100.0/24"], False),
        ("203.0.113.9\n", MINE, True),
        ("203.0.113.9\n", [], True),
        ("2001:db8::1", MINE, True),
        ("2001:db8::1", ["2001:db8::/64"], False),
        (None, MINE, False),
        ("", MINE, False),
        ("<html>Log in to the hotel's network</html>", MINE, False),
        ("198.51.100.7, 203.0.113.9", MINE, False),
    ],
)
def test_a_new_address_is_a_warning_and_no_address_is_none(
    answer: str | None, cidrs: list[str], is_found: bool
) -> None:
    findings = changed_address_findings(answer, cidrs)
    assert [finding.severity for finding in findings] == ["warning"][: int(is_found)]
    for finding in findings:
        address = str(answer).strip()
        assert f'operator_cidrs: ["{address}/{128 if ":" in address else 32}"]' in finding.text_en
        assert address in finding.text_ko


@pytest.mark.parametrize(
    ("messages", "answer", "says", "is_silent_about"),
    [
        (
            [SILENT, SILENT],
            "203.0.113.9",
            [
                "AWS sees this machine as 203.0.113.9",
                "operator_cidrs alone (198.51.100.7/32)",
                f'Set operator_cidrs: ["203.0.113.9/32"] in {ENVIRONMENT}',
                "ansible-playbook site.yml -i inventories/production --tags network",
                "then this again",
            ],
            ["network ACL"],
        ),
        ([SILENT], "198.51.100.7", ["lets in 198.51.100.7", "something else", "network ACL", "firewall"], ["Set "]),
        ([SILENT], None, ["could not be asked", "curl https://checkip.amazonaws.com", "--tags network"], ["sees this"]),
        ([SILENT], "no address", ["could not be asked"], ["sees this", "no address"]),
        ([OTHER], None, ["could not be asked"], []),
        # Whoever denies has been reached, whatever AWS sees.
        ([SILENT, DENIED], "203.0.113.9", ["SSH answers"], ["203.0.113.9", "--tags network"]),
        ([REFUSED], "203.0.113.9", ["SSH answers"], ["203.0.113.9"]),
    ],
)
def test_where_nobody_answers_the_operators_address_decides_what_is_said(
    messages: list[str], answer: str | None, says: list[str], is_silent_about: list[str]
) -> None:
    hosts = {f"host-{number}": message for number, message in enumerate(messages)}
    finding = nobody_finding(hosts, answer, MINE, ENVIRONMENT, COMMAND)
    assert finding.severity == "error"
    assert finding.text_en.startswith(f"{', '.join(hosts)}: ")
    assert [text for text in says if text not in finding.text_en] == []
    assert [text for text in is_silent_about if text in finding.text_en] == []
    # The same commands, files and addresses in Korean.
    for text in ("--tags network", ENVIRONMENT, "203.0.113.9", "198.51.100.7"):
        assert (text in finding.text_en) == (text in finding.text_ko)


@pytest.mark.parametrize(
    ("message", "said", "remedy"),
    [
        (SILENT, "'ssh: connect to host 203.0.113.5 port 22: Connection timed out'", "get-console-output"),
        (DENIED, "Permission denied (publickey)'", "instance_key_name"),
        (REFUSED, "Connection refused'", "reboot-instances"),
        (OTHER, "'Host key verification failed'", "Fix what it says"),
        (SENT + SILENT.removeprefix(TRIED), "'ssh: connect to host", "get-console-output"),
    ],
)
def test_one_host_gets_what_ssh_said_and_what_to_do(message: str, said: str, remedy: str) -> None:
    finding = host_finding("academy-ai-worker-1", "i-0123", message, COMMAND)
    for text in (said, "academy-ai-worker-1 (i-0123)", "--limit academy-ai-worker-1"):
        assert text in finding.text_en
        assert text in finding.text_ko
    assert remedy in finding.text_en

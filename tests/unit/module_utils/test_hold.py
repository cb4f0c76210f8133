# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Until when a host is held, when its start is tried again, and which workers are alive on it."""

from __future__ import annotations

import os
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar, trust_as_template
from jinja2.nativetypes import NativeEnvironment

from plugins.module_utils.hold import heartbeats, hold_end, hold_time, is_brought_up, is_restarted, to_renew

ROLE = Path(__file__).resolve().parents[3] / "roles" / "hold"
NOW = datetime(2026, 1, 31, 23, 30, 0, 999999)


@pytest.mark.parametrize("now", [NOW, NOW.replace(tzinfo=UTC)], ids=["naive", "aware"])
def test_a_hold_is_a_lease_that_is_written_in_utc(now: datetime) -> None:
    # With the starter's minute a host is free within ten.
    assert hold_time(now) == "2026-01-31T23:39:00Z"
    assert hold_end("2026-01-31T23:39:00Z") == datetime(2026, 1, 31, 23, 39, tzinfo=UTC)


@pytest.mark.parametrize(
    ("until", "is_renewed"),
    [
        # This run began at 23:10.
        ("2026-01-31T23:18:59Z", False),
        ("2026-01-31T23:19:00Z", True),
        ("2026-01-31T23:38:59Z", True),
        # It has slept meanwhile, and nobody has ended it.
        ("2026-01-31T23:25:00Z", True),
        ("2026-01-31T23:39:00Z", False),
        # Somebody's own.
        ("2099-01-31T09:30:00Z", False),
        ("soon", False),
        ("", False),
    ],
)
def test_a_run_renews_its_own_holds_and_nobody_elses(until: str, is_renewed: bool) -> None:
    assert to_renew({"i-1": until}, "2026-01-31T23:10:00Z", NOW.replace(tzinfo=UTC)) == (["i-1"] if is_renewed else [])


@pytest.mark.parametrize(
    ("status", "restarts", "seconds", "expected"),
    [
        ("running", 0, 5, False),
        ("running", 2, 5, False),
        ("running", 3, 5, True),
        ("running", 3, 299, True),
        ("running", 3, 300, False),
        ("restarting", 3, None, True),
        ("restarting", 1, None, False),
        ("exited", 9, None, False),
    ],
)
def test_who_is_restarted_again_and_again(status: str, restarts: int, seconds: int | None, expected: bool) -> None:
    assert is_restarted({"status": status, "restart_count": restarts, "running_seconds": seconds}) == expected


@pytest.mark.parametrize("value", ["", "tomorrow", "2026-02-01", "2026-02-01T00:30:00+09:00", "2026-02-30T00:00:00Z"])
def test_what_is_no_time_ends_never(value: str) -> None:
    with pytest.raises(ValueError, match=r"does not match format|day is out of range"):
        hold_end(value)


@pytest.mark.parametrize(
    ("code", "reason", "again"),
    [
        ("IncorrectSpotRequestState", "Client.UserInitiatedShutdown", True),
        ("IncorrectSpotRequestState", "Client.InstanceInitiatedShutdown", True),
        ("IncorrectSpotRequestState", None, True),
        ("IncorrectInstanceState", "Client.UserInitiatedShutdown", True),
        # Only EC2 starts it, in minutes or in days.
        ("IncorrectSpotRequestState", "Server.SpotInstanceShutdown", False),
        ("InsufficientInstanceCapacity", "Client.UserInitiatedShutdown", False),
        ("UnauthorizedOperation", None, False),
    ],
)
def test_what_is_refused_too_soon_is_tried_again(code: str, reason: str | None, again: bool) -> None:
    refusal = f"Unable to start instances: An error occurred ({code}) when calling the StartInstances operation: No."
    seen = {"state_reason": {"code": reason}} if reason else {}
    assert is_over({"failed": True, "msg": refusal}, seen) != again


def test_a_start_that_succeeded_is_not_tried_again() -> None:
    assert is_over({"changed": True}, {"state_reason": {"code": "Client.UserInitiatedShutdown"}})


def is_over(asked: dict[str, Any], settled: dict[str, Any]) -> bool:
    """The role's own condition, by EC2's answers to the start and to the question before."""
    values = yaml.safe_load((ROLE / "vars" / "main.yml").read_text(encoding="utf-8"))
    (block,) = yaml.safe_load((ROLE / "tasks" / "wake.yml").read_text(encoding="utf-8"))
    (start,) = [task for task in block["block"] if "amazon.aws.ec2_instance" in task]
    variables = {
        "__hold_too_soon": values["__hold_too_soon"],
        "__hold_interrupted": trust_as_template(values["__hold_interrupted"]),
        "__hold_asked": asked,
        "__hold_settled": {"instances": [settled]},
    }
    templar = Templar(loader=DataLoader(), variables=variables)
    return bool(templar.evaluate_conditional(trust_as_template(start["until"])))


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({}, {}),
        ({"a": '{"state": "idle", "at": 1, "empty_polls": 3}'}, {"a": False}),
        ({"a": '{"state": "busy", "at": 1}', "b": '{"state":"idle"}'}, {"a": True, "b": False}),
        ({"a": '{"at": 1,\n"state"\n:\t"busy"}', "b": '{"state":"busy"}'}, {"a": True, "b": True}),
        ({"a": '{"state": "busybody"}', "b": "", "c": '{"estate": "busy"}'}, {"a": False, "b": False, "c": False}),
    ],
)
def test_who_is_alive_and_who_has_a_job(tmp_path: Path, files: dict[str, str], expected: dict[str, bool]) -> None:
    for name, content in files.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "heartbeat.json").write_text(content, encoding="utf-8")
    # Ended in the middle of a job, elsewhere, or only pretending.
    for name in ("old", "deep/er", "link", "other"):
        (tmp_path / name).mkdir(parents=True)
    busy = tmp_path / "other" / "other.json"
    for path in (busy, tmp_path / "deep" / "er" / "heartbeat.json", tmp_path / "old" / "heartbeat.json"):
        path.write_text('{"state": "busy"}', encoding="utf-8")
    os.utime(tmp_path / "old" / "heartbeat.json", (1, 1))
    (tmp_path / "link" / "heartbeat.json").symlink_to(busy)
    found = subprocess.run(command(str(tmp_path)), check=True, capture_output=True, text=True)
    assert heartbeats(found.stdout) == expected


def command(directory: str) -> list[str]:
    """The role's own command, for another directory."""
    values = yaml.safe_load((ROLE / "vars" / "main.yml").read_text(encoding="utf-8"))
    values["__hold_heartbeat_directory"] = directory
    made = NativeEnvironment().from_string(values.pop("__hold_find")).render(values)
    return [str(part) for part in made]


@pytest.mark.parametrize(
    ("services", "run_tags", "skip_tags", "all_of_them"),
    [
        (["api"], ["all"], [], True),
        (["api"], ["all"], ["api"], False),
        (["api"], ["all"], ["swap"], True),
        (["api"], ["swap"], [], False),
        (["api"], ["swap", "api"], [], True),
        (["api", "messaging_worker"], ["api"], [], False),
        (["api", "messaging_worker"], ["api", "messaging_worker"], [], True),
        (["api", "messaging_worker"], ["all"], ["messaging_worker"], False),
    ],
)
def test_a_host_is_brought_up_with_all_of_its_services(
    services: list[str], run_tags: list[str], skip_tags: list[str], all_of_them: bool
) -> None:
    assert is_brought_up(services, run_tags, skip_tags) == all_of_them

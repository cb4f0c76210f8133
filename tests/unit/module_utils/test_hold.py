# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which hosts a run starts, holds, leaves and names as behind, and until when it holds them."""

from __future__ import annotations

import os
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from jinja2.nativetypes import NativeEnvironment

from plugins.module_utils.hold import (
    containers_on,
    heartbeats,
    hold_end,
    hold_epoch,
    hold_runs_out,
    hold_until,
    is_brought_up,
    is_too_soon,
    wake_plan,
)

ROLE = Path(__file__).resolve().parents[3] / "roles" / "hold"
NOW = datetime(2026, 1, 31, 23, 30, 0, 999999)
HOST = "academy-video-worker-1"
RELEASE = "new"


def host(state: str | None, *, worker: bool = True, **tags: str) -> dict[str, Any]:
    """What the inventory says of a host; nothing of AWS's where there is no instance."""
    found = {} if state is None else {"aws_state": {"name": state}, "aws_tags": {"Name": HOST, **tags}}
    return {"instance_may_be_stopped": worker, **found}


@pytest.mark.parametrize("now", [NOW, NOW.replace(tzinfo=UTC)], ids=["naive", "aware"])
def test_a_hold_is_written_in_utc_for_people_and_in_seconds_for_the_host(now: datetime) -> None:
    value = hold_until(now, 60)
    assert value == "2026-02-01T00:30:00Z"
    assert hold_end(value) == datetime(2026, 2, 1, 0, 30, tzinfo=UTC)
    assert hold_epoch(value) == 1769905800


@pytest.mark.parametrize("value", ["", "tomorrow", "2026-02-01", "2026-02-01T00:30:00+09:00", "2026-02-30T00:00:00Z"])
def test_what_is_no_time_ends_never(value: str) -> None:
    with pytest.raises(ValueError, match=r"does not match format|day is out of range"):
        hold_end(value)


@pytest.mark.parametrize(
    ("value", "runs_out"),
    [
        ("2026-02-01T00:30:00Z", False),
        ("2026-02-01T00:00:01Z", False),
        ("2026-02-01T00:00:00Z", True),
        ("2026-01-31T23:30:00Z", True),
    ],
)
@pytest.mark.parametrize("now", [NOW, NOW.replace(tzinfo=UTC)], ids=["naive", "aware"])
def test_a_hold_is_renewed_only_when_little_of_it_is_left(now: datetime, value: str, runs_out: bool) -> None:
    assert hold_runs_out(value, now) == runs_out


HOLD, WAKE, LEFT = "hold", "wake", "left"


@pytest.mark.parametrize(
    ("seen", "wake", "becomes", "behind"),
    [
        (host("running"), False, HOLD, None),
        (host("running"), True, HOLD, None),
        (host("running", HoldUntil="2026-01-31T09:30:00Z"), False, HOLD, None),
        (host("running", worker=False), False, "", None),
        (host("running", worker=False), True, "", None),
        (host("stopped", Release="old"), False, LEFT, "old"),
        (host("stopped"), False, LEFT, "none"),
        (host("stopped", Release=RELEASE), False, LEFT, None),
        (host("stopping", Release="old"), False, LEFT, "old"),
        (host("pending", Release="old"), False, LEFT, "old"),
        (host("stopped", Release="old"), True, WAKE, None),
        # Its release says nothing of its settings.
        (host("stopped", Release=RELEASE), True, WAKE, None),
        (host("stopping"), True, WAKE, None),
        (host("pending"), True, WAKE, None),
        (host(None), False, LEFT, None),
        (host(None), True, LEFT, None),
        # A human's business.
        (host("stopped", worker=False, Release="old"), True, LEFT, None),
    ],
)
def test_what_becomes_of_a_host(seen: dict[str, Any], wake: bool, becomes: str, behind: str | None) -> None:
    plan = wake_plan([HOST], {HOST: seen, "academy-other-1": host("stopped")}, RELEASE, wake)
    assert {name for name in (HOLD, WAKE, LEFT) if plan[name]} == ({becomes} if becomes else set())
    assert plan["behind"] == ({HOST: behind} if behind else {})


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
    assert is_too_soon(refusal, {"state_reason": {"code": reason}} if reason else {}) == again


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
    found = subprocess.run(look(str(tmp_path)), check=True, capture_output=True, text=True)
    assert heartbeats(found.stdout.splitlines()) == expected


def look(directory: str) -> list[str]:
    """The role's own command, for another directory."""
    values = yaml.safe_load((ROLE / "vars" / "main.yml").read_text(encoding="utf-8"))
    values["__hold_heartbeat_directory"] = directory
    made = NativeEnvironment().from_string(values.pop("__hold_find")).render(values)
    return [str(part) for part in made]


GROUPS = {"all": ["a", "b", "c"], "api": ["a"], "messaging_worker": ["a"], "video_worker": ["b", "c"]}
CONTAINERS = {
    "api": "academy-api",
    "messaging_worker": "academy-messaging-worker",
    "video_worker": "v",
    "ai_worker": "x",
}


@pytest.mark.parametrize(
    ("hosts", "containers"),
    [
        ([], []),
        (["a"], ["academy-api", "academy-messaging-worker"]),
        (["b", "c"], ["v"]),
        (["c", "a"], ["academy-api", "academy-messaging-worker", "v"]),
    ],
)
def test_containers_on(hosts: list[str], containers: list[str]) -> None:
    assert containers_on(hosts, GROUPS, CONTAINERS) == containers


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

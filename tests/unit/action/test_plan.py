# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tasks tell that decide for roles: refusals and nothing else, and all that can be told without AWS."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.academy.deploy.plugins.action import plan, plan_info

from plugins.module_utils.plan import Plan
from tests.unit.actions import action
from tests.unit.rows import row

HOST: dict[str, Any] = {"inventory_hostname": "h", "group_names": ["thumbnail_worker"], "hostvars": {}, "groups": {}}
SERVICES = {"thumbnail_worker": row(receives_from=["jobs"])}
CONTAINER = {
    **HOST,
    "services": SERVICES,
    "host_services": ["thumbnail_worker"],
    "worker_environment": {},
    "release": "1a2b3c4",
    "aws_region": "ap-northeast-2",
    "aws_account_id": "123456789012",
    "container_environment": {"A": "b"},
    "container_secrets": {},
    "worker_idle_stop_threshold": 5,
    "worker_heartbeat": True,
}


@pytest.mark.parametrize("checks", [True, False])
def test_a_refused_input_is_told_by_the_message_alone(checks: bool) -> None:
    result = action(plan, checks=checks, role="swap").run(task_vars={**HOST, "swap_size_gib": -1})
    assert result.keys() == {"failed", "settled", "msg"}
    assert result["msg"].startswith("[ERROR] swap_size_gib: must be 0")
    assert "[오류] swap_size_gib: " in result["msg"]


def test_what_is_refused_of_a_host_is_told_by_the_message_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    made = action(plan, checks=False, role="swap")
    refused = plan.DECISIONS["swap"].findings({"swap_size_gib": -1, "swap_file_path": "/swapfile"})
    monkeypatch.setattr(made, "_plan", lambda *_: Plan(refused))
    result = made.run(task_vars={**HOST, "swap_size_gib": 2})
    assert result.keys() == {"failed", "settled", "msg"}
    assert len(result["msg"].splitlines()) == 2


@pytest.mark.parametrize(
    ("wrong", "expected"),
    [
        ({}, [("unknown", "h: thumbnail_worker")]),
        ({"container_published_ports": ["x"]}, [("refused", "container_published_ports")]),
        (
            {"container_published_ports": ["x"], "container_volumes": ["y"]},
            [("refused", "container_published_ports"), ("refused", "container_volumes")],
        ),
    ],
)
def test_inputs_of_containers_are_judged_where_aws_was_not_read(
    monkeypatch: pytest.MonkeyPatch, wrong: dict[str, Any], expected: list[tuple[str, str]]
) -> None:
    made = action(plan_info, aws={})
    monkeypatch.setattr(plan_info, "roles_of_host", lambda *_: [])
    monkeypatch.setattr(made, "read_host", lambda *_: {})
    entries = made.run(task_vars={**CONTAINER, **wrong})["entries"]
    assert [(entry["kind"], entry["resource"]) for entry in entries] == expected

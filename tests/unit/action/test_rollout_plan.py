# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the task takes and knows of the hosts, and what it returns; nothing leaves the process but one question."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import yaml
from ansible.parsing.dataloader import DataLoader
from ansible_collections.academy.deploy.plugins.action.rollout_plan import OPTIONS, ActionModule
from ansible_collections.academy.deploy.plugins.modules import rollout_plan as documentation

from plugins.module_utils.hold import hold_end
from tests import support
from tests.unit.rows import row

API, WORKER = "academy-api-1", "academy-video-worker-1"
SILENT = "ssh: connect to host 203.0.113.5 port 22: Connection timed out"


def host(*, worker: bool, **found: Any) -> dict[str, Any]:
    known = {"instance_may_be_stopped": worker, "inventory_dir": "inventories/live", "aws_region": "ap-northeast-2"}
    aws = {"aws_instance_id": "i-1", "aws_state": {"name": "running"}, "aws_launch_time": datetime.now(UTC).isoformat()}
    return {**known, **aws, **found}


def plan(hostvars: dict[str, Any], *, checks: bool = False, **arguments: Any) -> dict[str, Any]:
    task = SimpleNamespace(args=arguments, async_val=0, check_mode=checks, diff=False, environment=None, action="x")
    connection = SimpleNamespace(_shell=SimpleNamespace(tmpdir=None))
    made = ActionModule(task, connection, SimpleNamespace(), DataLoader(), None, None)
    variables = {
        "hostvars": hostvars,
        "groups": {"api": [API], "video_worker": [WORKER]},
        "ansible_run_tags": ["all"],
        "ansible_skip_tags": [],
    }
    return dict(made.run(task_vars=variables))


def test_what_is_taken_and_returned_is_what_is_documented() -> None:
    documented = yaml.safe_load(documentation.DOCUMENTATION)["options"]
    told = {
        name: {key: option[key] for key in ("type", "elements", "default") if key in option}
        for name, option in documented.items()
    }
    assert told == OPTIONS
    returned = yaml.safe_load(documentation.RETURN)
    assert set(returned) == set(plan({})) - {"changed"}


def test_without_hosts_it_tells_only_until_when_one_is_held() -> None:
    answer = plan({})
    assert 8 * 60 < (hold_end(answer["held_until"]) - datetime.now(UTC)).total_seconds() <= 9 * 60
    assert answer["answering"] == answer["notes"] == []


def test_what_is_known_of_the_hosts_decides() -> None:
    held = {"aws_tags": {"HoldUntil": "2026-01-31T09:30:00Z", "Release": "old"}, "reachability_answer": {"elapsed": 1}}
    absent = {name: host(worker=False)[name] for name in ("instance_may_be_stopped", "inventory_dir", "aws_region")}
    hosts = {API: host(worker=False), WORKER: host(worker=True, **held), "absent": absent}
    asked: dict[str, Any] = {
        "hosts": [WORKER, "absent"],
        "asked": [API, WORKER],
        "release": "new",
        "services": {"video_worker": row("v")},
    }
    answer = plan(hosts, **asked, answer_seconds=10, boot_seconds=300)
    assert answer["answering"] == answer["to_hold"] == answer["to_release"] == [WORKER]
    # The host of the API is not in the play any more.
    assert answer["waiting"] == [WORKER]
    assert list(answer["answer_seconds"]) == [WORKER]
    assert 290 <= answer["answer_seconds"][WORKER] <= 300
    assert plan(hosts, checks=True, **asked)["to_release"] == []


def test_where_no_host_answers_the_address_is_asked_for() -> None:
    silent = {API: host(worker=False, reachability_answer={"failed": True, "msg": SILENT})}
    with support.address_service("203.0.113.99") as url:
        answer = plan(silent, hosts=[API], operator_address_url=url, operator_cidrs=["198.51.100.7/32"])
        assert "AWS sees this machine as 203.0.113.99" in answer["nobody_answers"]
        assert list(answer["unreached"]) == [API]
        both = {**silent, WORKER: host(worker=True, reachability_answer={"elapsed": 1})}
        assert plan(both, hosts=[API, WORKER], operator_address_url=url)["nobody_answers"] == ""
    assert "could not be asked" in plan(silent, hosts=[API], operator_address_url=url)["nobody_answers"]
    assert "could not be asked" in plan(silent, hosts=[API])["nobody_answers"]

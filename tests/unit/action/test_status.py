# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The tasks of status.yml: what they take, what they ask of a host and of whose account, and who is told as unread."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from ansible.errors import AnsibleActionFail
from ansible_collections.academy.deploy.plugins.action import status_info, status_report
from ansible_collections.academy.deploy.plugins.modules import status_info as info_documentation
from ansible_collections.academy.deploy.plugins.modules import status_report as report_documentation

from tests.unit.actions import action
from tests.unit.rows import row

SLOTS = {"a": 8001, "b": 8002}
REPOSITORY = "123456789012.dkr.ecr.ap-northeast-2.amazonaws.com/academy-api"
HOST: dict[str, Any] = {
    "inventory_hostname": "api-1",
    "group_names": ["api"],
    "hostvars": {},
    "groups": {},
    "services": {"api": row("academy-api", role="api", slots=SLOTS)},
    "deployment_name": "academy",
    "release": "two",
    "aws_region": "ap-northeast-2",
    "aws_account_id": "123456789012",
    "aws_private_ip_address": "172.31.0.9",
    "api_port": 8000,
    "transcode_volume_mount_point": "/mnt/transcode",
}
NOTHING: dict[str, Any] = {
    "containers": {},
    "repositories": {REPOSITORY: []},
    "proxies": {},
    "answering": [],
    "disks": {},
    "swaps": [],
    "packages": {"system-release": "2023.10.20260105-1.amzn2023"},
}


@pytest.mark.parametrize(
    ("kind", "documentation"), [(status_info, info_documentation), (status_report, report_documentation)]
)
def test_what_is_taken_is_what_is_documented(kind: Any, documentation: Any) -> None:
    documented = yaml.safe_load(documentation.DOCUMENTATION)["options"]
    keys = ("type", "elements", "required", "default")
    assert {
        name: {key: option[key] for key in keys if key in option} for name, option in documented.items()
    } == kind.OPTIONS


def test_a_host_is_asked_for_what_its_services_are_and_compared_with_the_digests(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = action(status_info, container_images={"academy-api:two": {"digest": "sha256:1"}})
    asked: dict[str, Any] = {}
    monkeypatch.setattr(made, "read_host", lambda wanted, _: asked.update(wanted) or NOTHING)
    result = made.run(task_vars=HOST)
    assert asked == {
        "containers": True,
        "repositories": [REPOSITORY],
        "proxies": ["/var/lib/haproxy/stats"],
        "addresses": [
            {
                "url": "http://localhost:8000/health",
                "headers": {"Host": "172.31.0.9"},
                "expected": {"status": "healthy"},
            }
        ],
        "disks": ["/", "/mnt/transcode"],
        "packages": ["system-release"],
    }
    assert result["host_release"] == "2023.10.20260105"
    assert result["services"]["api"]["health"] == "absent"
    assert result["wrong"] == ["api has to run academy-api:two (sha256:1), and its proxy leads to no container"]


def test_a_host_that_cannot_be_looked_at_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise AnsibleActionFail("no Python")

    made = action(status_info)
    monkeypatch.setattr(made, "read_host", fail)
    result = made.run(task_vars=HOST)
    assert (result["failed"], result["msg"]) == (True, "no Python")
    assert "services" not in result


def test_another_account_is_told_of_by_nothing_but_its_number(monkeypatch: pytest.MonkeyPatch) -> None:
    made = action(status_info, hosts=["api-1"], queue_names=["jobs"])
    caller = {"account": "210987654321", "arn": "arn:aws:iam::210987654321:user/x"}
    found = {"caller": caller, "instances": [], "queues": {"jobs": {}}}
    asked: dict[str, Any] = {}
    monkeypatch.setattr(made, "read_aws", lambda wanted: asked.update(wanted) or found)
    result = made.run(task_vars=HOST)
    assert result["failed"]
    assert "belongs to 210987654321" in result["msg"]
    assert "queues" not in result
    assert asked["queue_names"] == ["jobs", "jobs-dlq"]
    assert asked["instance_filters"]["tag:Project"] == "academy"


@pytest.mark.parametrize(
    ("release", "look", "wanted", "unknown"),
    [
        ("two", {"msg": "Connection timed out", "unreachable": True}, "two", "api-1 runs: Connection timed out"),
        ("CHANGE-ME", {}, "", "which release is wanted"),
    ],
)
def test_what_could_not_be_read_or_is_not_filled_in_is_unknown(
    release: str, look: dict[str, Any], wanted: str, unknown: str, capsys: pytest.CaptureFixture[str]
) -> None:
    instance = {"instance_id": "i-1", "state": {"name": "running"}, "tags": {"Name": "api-1"}}
    aws = {"instances": {"api-1": instance}, "queues": {}, "image_tags": {}, "deploy_locks": [], "releases": []}
    made = action(status_report)
    made._task.args = {"aws": aws, "hosts": ["api-1"], "queue_names": [], "release": release, "result": "looked"}
    hostvars = {"api-1": {"instance_may_be_stopped": False, "looked": look}}
    told = made.run(task_vars={"hostvars": hostvars})["report"]
    assert (told["status"], told["release"]) == ("unknown", wanted)
    assert any(note["en"].startswith(unknown) for note in told["unknown"])
    assert unknown in capsys.readouterr().out

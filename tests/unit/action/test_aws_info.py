# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tasks that read AWS in their own process take, and how they fail; nothing leaves the process."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml
from ansible.errors import AnsibleActionFail
from ansible_collections.academy.deploy.plugins.action import aws_state_info, drill_info, ecr_image_info, release_info
from ansible_collections.academy.deploy.plugins.modules import aws_state_info as aws_state_info_documentation
from ansible_collections.academy.deploy.plugins.modules import drill_info as drill_info_documentation
from ansible_collections.academy.deploy.plugins.modules import ecr_image_info as ecr_image_info_documentation
from ansible_collections.academy.deploy.plugins.modules import release_info as release_info_documentation
from ansible_collections.academy.deploy.plugins.plugin_utils import aws_action
from boto3.session import Session
from botocore import xform_name
from botocore.stub import Stubber

from tests.unit import aws_clients
from tests.unit.actions import action

DOCUMENTATION = [
    (aws_state_info, aws_state_info_documentation),
    (drill_info, drill_info_documentation),
    (release_info, release_info_documentation),
    (ecr_image_info, ecr_image_info_documentation),
]


def stubbed(monkeypatch: pytest.MonkeyPatch, made: Any, service: str) -> Stubber:
    client = aws_clients.client(service)
    monkeypatch.setattr(made, "client", lambda name: {service: client}[name])
    stub = Stubber(client)
    stub.activate()
    return stub


@pytest.mark.parametrize(("kind", "module"), DOCUMENTATION)
def test_what_is_taken_is_what_is_documented(kind: Any, module: Any) -> None:
    documented = yaml.safe_load(module.DOCUMENTATION)["options"]
    assert kind.ActionModule.SPECIFICATION.keys() == documented.keys()
    for name, option in kind.ActionModule.SPECIFICATION.items():
        told = {
            key: documented[name][key] for key in ("type", "elements", "required", "default") if key in documented[name]
        }
        assert told == option


def test_the_answer_comes_in_check_mode_too(monkeypatch: pytest.MonkeyPatch) -> None:
    made = action(aws_state_info, caller="yes")
    sts = stubbed(monkeypatch, made, "sts")
    sts.add_response("get_caller_identity", {"Account": "123456789012", "Arn": "arn:aws:iam::123456789012:user/x"})
    result = made.run(task_vars={})
    assert not result.get("skipped")
    assert result["changed"] is False
    assert result["caller"] == {"account": "123456789012", "arn": "arn:aws:iam::123456789012:user/x"}


def test_the_connection_is_what_the_task_says() -> None:
    made = action(aws_state_info, endpoint_url="http://127.0.0.1:1")
    made.take(made._task.args, made.SPECIFICATION)
    client = made.client("sts")
    assert (client.meta.region_name, client.meta.endpoint_url) == (aws_clients.REGION, "http://127.0.0.1:1")


def test_the_endpoints_of_aws_are_read_once_for_all_clients(monkeypatch: pytest.MonkeyPatch) -> None:
    sessions: list[Session] = []

    def session(**options: Any) -> Session:
        sessions.append(Session(**options))
        return sessions[-1]

    monkeypatch.setattr(aws_action, "Session", session)
    made = action(aws_state_info)
    made.take(made._task.args, made.SPECIFICATION)
    assert [made.client(service).meta.service_model.service_name for service in ("sts", "sqs")] == ["sts", "sqs"]
    assert len(sessions) == 1


def test_a_connection_that_boto3_cannot_make_is_an_error_that_names_it() -> None:
    made = action(aws_state_info, profile="nobody", access_key=None, secret_key=None)
    made.take(made._task.args, made.SPECIFICATION)
    with pytest.raises(AnsibleActionFail, match=r"Couldn't connect to AWS: .*\(nobody\)"):
        made.client("sts")


@pytest.mark.parametrize(
    ("kind", "arguments", "message"),
    [
        (aws_state_info, {"queue_name": "academy-video-jobs"}, "queue_name"),
        (drill_info, {}, "deployment_name, host_names, queue_names"),
        (ecr_image_info, {"repository_name": "a"}, "image_tag, image_digest"),
        (ecr_image_info, {"repository_name": "a", "image_tag": "b", "image_digest": "c"}, "mutually exclusive"),
        (aws_state_info, {"caller": True, "profile": "one"}, "profile and access tokens"),
    ],
)
def test_wrong_arguments_are_refused(kind: Any, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(AnsibleActionFail, match=message):
        action(kind, **arguments).run(task_vars={})


@pytest.mark.parametrize(
    ("kind", "arguments", "call", "message"),
    [
        (aws_state_info, {"caller": True}, "sts:GetCallerIdentity", "read caller"),
        (aws_state_info, {"image_parameters": ["/a"]}, "ssm:GetParameter", "read images /a"),
        (
            ecr_image_info,
            {"repository_name": "api", "image_tag": "b"},
            "ecr:BatchGetImage",
            "look up an image in the repository api",
        ),
    ],
)
def test_a_refusal_of_aws_names_what_was_read(
    monkeypatch: pytest.MonkeyPatch, kind: Any, arguments: dict[str, Any], call: str, message: str
) -> None:
    made = action(kind, **arguments)
    service, operation = call.split(":")
    stubbed(monkeypatch, made, service).add_client_error(xform_name(operation), "AccessDenied", "not you")
    result = made.run(task_vars={})
    assert result["failed"] is True
    assert re.match(rf"Cannot {message} \({call}\): .*AccessDenied.*not you", result["msg"])


def test_a_drill_s_hosts_and_why_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    made = action(drill_info, deployment_name="academy", host_names=["one", "two"], queue_names=["jobs"])
    instance = {"tags": {"Name": "one"}, "instance_id": "i-1"}
    state = {"instances": [instance], "queues": {"jobs": {"attributes": {}}}}
    monkeypatch.setattr(drill_info, "observe", lambda asked, client: state)
    result = made.run(task_vars={})
    assert result["failed"]
    assert result["msg"].startswith("two: must have one instance, found 0")
    state["instances"] = [instance, {"tags": {"Name": "two"}, "instance_id": "i-2"}]
    assert made.run(task_vars={})["instance_ids"] == {"one": "i-1", "two": "i-2"}

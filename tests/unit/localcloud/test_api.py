# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The API as boto3 sees it: real signing, real parsing, and the hooks between."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from typing import Any, cast

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from localcloud import settings
from localcloud.api import Api
from localcloud.wire import ApiError, Call


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Iterator[Api]:
    monkeypatch.setattr(settings, "API_PORT", 0)
    api = Api()
    api.start()
    yield api
    api.stop()


def url(api: Api) -> str:
    return f"http://{settings.API_HOST}:{api.port}"


def client(api: Api, service: str) -> Any:
    return cast(Any, boto3).client(
        service,
        endpoint_url=url(api),
        region_name=settings.REGION,
        aws_access_key_id=settings.OPERATOR_ACCESS_KEY,
        aws_secret_access_key=settings.OPERATOR_SECRET_KEY,
        config=Config(retries={"max_attempts": 0}),
    )


def refuse(call: Call) -> None:
    raise ApiError("InvalidParameterValue", f"no {call.action}")


@pytest.mark.parametrize(
    ("service", "operation", "arguments"),
    [
        ("ec2", "describe_vpcs", {}),  # the EC2 protocol
        ("iam", "list_roles", {}),  # query
        ("sqs", "list_queues", {}),  # JSON, compatible with query
        ("ecr", "describe_repositories", {}),  # JSON
        ("lambda", "list_functions", {}),  # REST with JSON
    ],
)
def test_a_refusal_arrives_in_every_protocol(api: Api, service: str, operation: str, arguments: Any) -> None:
    client_of_service = client(api, service)
    action = client_of_service.meta.method_to_api_mapping[operation]
    api.hooks.register(service, action, before=refuse)
    with pytest.raises(ClientError) as refused:
        getattr(client_of_service, operation)(**arguments)
    assert refused.value.response["Error"]["Code"] == "InvalidParameterValue"
    assert refused.value.response["Error"]["Message"] == f"no {action}"
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400


def test_a_queue_has_the_url_by_which_its_client_came(api: Api) -> None:
    sqs = client(api, "sqs")

    def come_by_the_front(request: Any, **_: Any) -> None:
        request.headers["Host"] = "sqs.ap-northeast-2.amazonaws.com"
        request.headers["X-Forwarded-Proto"] = "https"

    sqs.meta.events.register("before-send.sqs", come_by_the_front)
    created = sqs.create_queue(QueueName="by-the-front")["QueueUrl"]
    assert created == f"https://sqs.ap-northeast-2.amazonaws.com/{settings.ACCOUNT_ID}/by-the-front"
    assert sqs.get_queue_url(QueueName="by-the-front")["QueueUrl"] == created
    assert client(api, "sqs").get_queue_url(QueueName="by-the-front")["QueueUrl"].startswith(f"{url(api)}/")


def test_a_hook_sees_parameters_and_result_as_boto3_names_them(api: Api) -> None:
    seen: list[Any] = []

    def see(call: Call, result: dict[str, Any]) -> None:
        seen.append((call.parameters, result))

    api.hooks.register("sqs", "CreateQueue", after=see)
    created = client(api, "sqs").create_queue(QueueName="seen", Attributes={"VisibilityTimeout": "60"})
    [(parameters, result)] = seen
    assert parameters == {"QueueName": "seen", "Attributes": {"VisibilityTimeout": "60"}}
    assert result == {"QueueUrl": created["QueueUrl"]}


def test_a_hook_may_replace_the_result(api: Api) -> None:
    def add(call: Call, result: dict[str, Any]) -> Mapping[str, Any]:
        return {"Vpcs": [{**vpc, "State": "pending"} for vpc in result["Vpcs"]]}

    api.hooks.register("ec2", "DescribeVpcs", after=add)
    vpcs = client(api, "ec2").describe_vpcs()["Vpcs"]
    assert [(vpc["CidrBlock"], vpc["State"]) for vpc in vpcs] == [(str(settings.VPC_CIDR), "pending")]


def test_a_hook_may_answer_what_moto_does_not_know(api: Api) -> None:
    def answer(call: Call) -> Mapping[str, Any]:
        return {"downloadUrl": "http://layers/1", "layerDigest": call.parameters["layerDigest"]}

    api.hooks.register("ecr", "GetDownloadUrlForLayer", instead=answer)
    digest = f"sha256:{0:064}"
    answered = client(api, "ecr").get_download_url_for_layer(repositoryName="academy", layerDigest=digest)
    assert (answered["downloadUrl"], answered["layerDigest"]) == ("http://layers/1", digest)


def test_nothing_follows_a_call_that_failed(api: Api) -> None:
    def fail(call: Call, result: dict[str, Any]) -> None:
        raise AssertionError("called after a failure")

    api.hooks.register("sqs", "GetQueueUrl", after=fail)
    with pytest.raises(ClientError) as failed:
        client(api, "sqs").get_queue_url(QueueName="missing")
    assert failed.value.response["Error"]["Code"] == "AWS.SimpleQueueService.NonExistentQueue"


@pytest.mark.filterwarnings("ignore:Exception.ApiError.")  # moto tells that the service's model lacks this code
def test_a_broken_hook_is_an_error_of_the_service(api: Api) -> None:
    def breaks(call: Call) -> None:
        raise KeyError("broken")

    api.hooks.register("sts", "GetCallerIdentity", before=breaks)
    with pytest.raises(ClientError) as failed:
        client(api, "sts").get_caller_identity()
    assert failed.value.response["Error"]["Code"] == "InternalFailure"


def get(api: Api, path: str, method: str = "GET") -> Any:
    request = urllib.request.Request(f"{url(api)}/_localcloud/{path}", method=method)
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)


def test_counts_calls_and_tells_writes_apart(api: Api) -> None:
    sqs = client(api, "sqs")
    sqs.create_queue(QueueName="counted")
    sqs.list_queues()
    sqs.list_queues()
    assert get(api, "calls") == {"sqs.CreateQueue": 1, "sqs.ListQueues": 2}
    assert get(api, "calls?writes=1") == {"sqs.CreateQueue": 1}
    assert get(api, "calls/reset", "POST") == {}
    assert get(api, "calls") == {}


def test_is_healthy_only_when_everything_is_up(api: Api) -> None:
    with pytest.raises(urllib.error.HTTPError) as starting:
        get(api, "health")
    assert starting.value.code == 503
    api.ready()
    assert get(api, "health") == {"status": "ready"}


def test_other_parts_may_serve_pages_of_their_own(api: Api) -> None:
    def page(environ: Any, start_response: Any) -> list[bytes]:
        start_response("200 OK", [("Content-Type", "application/json")])
        return [json.dumps(environ["PATH_INFO"]).encode()]

    assert api.mount("own", page) == "/_localcloud/own"
    assert get(api, "own/a/b") == "/a/b"

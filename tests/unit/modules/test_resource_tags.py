# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The tags of what no other module tags, in each service's own words, against botocore's models of the services."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from ansible_collections.academy.deploy.plugins.modules.resource_tags import WORDS, ensure, service_of
from botocore.stub import Stubber

from tests.unit import aws_clients

ARNS = {
    "ecr": "arn:aws:ecr:ap-northeast-2:123456789012:repository/academy-api",
    "cloudwatch": "arn:aws:cloudwatch:ap-northeast-2:123456789012:alarm:academy-jobs-dlq-not-empty",
    "events": "arn:aws:events:ap-northeast-2:123456789012:rule/academy-starter",
}
WANTED = {"Project": "academy", "Owner": "demo"}


@pytest.fixture(params=list(WORDS))
def service(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def stub(service: str) -> Iterator[Stubber]:
    with Stubber(aws_clients.client(service)) as stubber:
        yield stubber
        stubber.assert_no_pending_responses()


def told(service: str, **tags: str) -> dict[str, Any]:
    return {WORDS[service][1]: [{"Key": key, "Value": value} for key, value in tags.items()]}


def test_what_differs_is_set_and_what_is_foreign_removed(service: str, stub: Stubber) -> None:
    arn_word, tags_word, keys_word = WORDS[service]
    which = {arn_word: ARNS[service]}
    stub.add_response("list_tags_for_resource", told(service, Owner="demo", Foreign="x"), which)
    stub.add_response("untag_resource", {}, {**which, keys_word: ["Foreign"]})
    stub.add_response("tag_resource", {}, {**which, tags_word: [{"Key": "Project", "Value": "academy"}]})
    result = ensure(stub.client, service, [ARNS[service]], WANTED, check_mode=False)
    assert (result["changed"], result["resources"], result["missing"]) == (True, [ARNS[service]], [])
    assert result["diff"]["after"] == {ARNS[service]: WANTED}


def test_what_is_as_it_should_be_is_left_alone(service: str, stub: Stubber) -> None:
    stub.add_response("list_tags_for_resource", told(service, **WANTED, **{"aws:cloudformation": "x"}))
    assert ensure(stub.client, service, [ARNS[service]], WANTED, check_mode=False)["changed"] is False


def test_check_mode_only_says_so_even_of_what_does_not_exist_yet(service: str, stub: Stubber) -> None:
    code = "RepositoryNotFoundException" if service == "ecr" else "ResourceNotFoundException"
    stub.add_client_error("list_tags_for_resource", code)
    result = ensure(stub.client, service, [ARNS[service]], WANTED, check_mode=True)
    assert (result["changed"], result["missing"]) == (True, [ARNS[service]])
    stub.add_client_error("list_tags_for_resource", code)
    with pytest.raises(ValueError, match="Create them first"):
        ensure(stub.client, service, [ARNS[service]], WANTED, check_mode=False)


def test_the_service_is_the_arns_own() -> None:
    assert {service_of([arn]) for arn in ARNS.values()} == set(WORDS)


@pytest.mark.parametrize("arns", [[], ["academy-api"], ["arn:aws:s3:::bucket:x"], list(ARNS.values())])
def test_anything_but_arns_of_one_service_is_refused(arns: list[str]) -> None:
    with pytest.raises(ValueError, match="resource_arns: must be ARNs of one of"):
        service_of(arns)

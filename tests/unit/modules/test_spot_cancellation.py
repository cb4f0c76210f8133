# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Cancelling Spot requests in every state, against the embedded cloud's own, which launches again as EC2 does."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from ansible_collections.academy.deploy.plugins.modules.spot_cancellation import cancel

from localcloud import fixes, settings
from localcloud.api import Api
from localcloud.spot import NoHosts, Spot
from plugins.module_utils.deployment_state import KINDS, Deployment, _read_kind
from tests import support

# A region of its own, so that no other test sees what these leave behind.
REGION = "ca-central-1"
PERSISTENT = {"SpotInstanceType": "persistent", "InstanceInterruptionBehavior": "stop"}


@pytest.fixture(scope="module")
def ec2() -> Iterator[Any]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(settings, "API_PORT", 0)
        patch.setattr(settings, "REGION", REGION)
        api = Api()
        fixes.install(api)
        Spot(api, NoHosts(), relaunch_seconds=1, settle_seconds=0)
        api.start()
        yield boto3.client(
            "ec2",
            endpoint_url=f"http://{settings.API_HOST}:{api.port}",
            region_name=REGION,
            aws_access_key_id=settings.OPERATOR_ACCESS_KEY,
            aws_secret_access_key=settings.OPERATOR_SECRET_KEY,
        )
        api.stop()


def launch(ec2: Any, **changes: Any) -> tuple[str, str]:
    """An instance and its request."""
    image = ec2.describe_images(Filters=[{"Name": "architecture", "Values": ["arm64"]}])["Images"][0]["ImageId"]
    market = {"MarketType": "spot", "SpotOptions": PERSISTENT}
    (launched,) = ec2.run_instances(
        ImageId=image, InstanceType="t4g.small", MinCount=1, MaxCount=1, InstanceMarketOptions=market, **changes
    )["Instances"]
    return launched["InstanceId"], launched["SpotInstanceRequestId"]


def request(ec2: Any, name: str) -> dict[str, Any]:
    (found,) = ec2.describe_spot_instance_requests(SpotInstanceRequestIds=[name])["SpotInstanceRequests"]
    return dict(found)


def test_the_request_of_a_stopped_host_is_cancelled_and_launches_nothing(ec2: Any) -> None:
    instance, name = launch(ec2)
    ec2.stop_instances(InstanceIds=[instance])
    assert request(ec2, name)["State"] == "disabled"

    foreseen = cancel(ec2, [name], check_mode=True)
    assert (foreseen["changed"], foreseen["cancelled"], foreseen["instance_ids"]) == (True, [name], [instance])
    assert foreseen["diff"] == {"before": {name: "disabled"}, "after": {name: "cancelled"}}
    assert request(ec2, name)["State"] == "disabled"

    done = cancel(ec2, [name], check_mode=False)
    assert (done["changed"], done["cancelled"], done["instance_ids"]) == (True, [name], [])
    assert (request(ec2, name)["State"], request(ec2, name)["InstanceId"]) == ("cancelled", instance)
    assert cancel(ec2, [name], check_mode=False)["changed"] is False


def test_a_running_host_stays_and_is_named(ec2: Any) -> None:
    instance, name = launch(ec2)
    assert cancel(ec2, [name], check_mode=False)["instance_ids"] == [instance]
    again = cancel(ec2, [name], check_mode=False)
    assert (again["changed"], again["instance_ids"]) == (False, [instance])


def test_what_was_launched_again_is_named_and_found_by_its_request(ec2: Any) -> None:
    tags = [{"Key": "Project", "Value": "academy"}, {"Key": "Role", "Value": "video-worker"}]
    instance, name = launch(ec2, TagSpecifications=[{"ResourceType": "spot-instances-request", "Tags": tags}])
    ec2.terminate_instances(InstanceIds=[instance])
    support.wait_until(lambda: request(ec2, name)["InstanceId"] != instance, "another instance", 10)
    another = request(ec2, name)["InstanceId"]
    (kind,) = [kind for kind in KINDS if kind.name == "instances"]
    for cancelled in ([name], []):
        done = cancel(ec2, [name], check_mode=False)
        assert (done["cancelled"], done["instance_ids"]) == (cancelled, [another])
        (found,) = _read_kind(kind, ec2, Deployment("academy", {}))
        assert (found["id"], found["spot_request_id"], found["tags"]["Role"]) == (another, name, "video-worker")


def test_a_request_that_is_forgotten_and_none_at_all_need_nothing(ec2: Any) -> None:
    nothing = {"changed": False, "cancelled": [], "instance_ids": [], "diff": {"before": {}, "after": {}}}
    for names in ([], ["sir-00000000"]):
        assert cancel(ec2, names, check_mode=False) == nothing

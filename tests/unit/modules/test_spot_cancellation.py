# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Cancelling Spot requests in every state, against the embedded cloud's own, which launches again as EC2 does."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from ansible_collections.academy.deploy.plugins.modules.spot_cancellation import cancel

from localcloud import settings
from plugins.module_utils.deployment_state import KINDS, Deployment, _read_kind
from tests import support
from tests.unit.localcloud.strict.world import REGION, World

PERSISTENT = {"SpotInstanceType": "persistent", "InstanceInterruptionBehavior": "stop"}
SPOT = {"MarketType": "spot", "SpotOptions": PERSISTENT}


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(settings, "API_PORT", 0)
        patch.setattr(settings, "REGION", REGION)
        world = World()
        world.spot._relaunch_seconds = 1
        yield world
        world.api.stop()


def launch(world: World, **changes: Any) -> tuple[str, str]:
    """An instance and its request."""
    instance = world.run(InstanceMarketOptions=SPOT, **changes)
    (found,) = world.ec2.describe_instances(InstanceIds=[instance])["Reservations"]
    return instance, found["Instances"][0]["SpotInstanceRequestId"]


def request(world: World, name: str) -> dict[str, Any]:
    (found,) = world.ec2.describe_spot_instance_requests(SpotInstanceRequestIds=[name])["SpotInstanceRequests"]
    return dict(found)


def test_the_request_of_a_stopped_host_is_cancelled_and_launches_nothing(world: World) -> None:
    instance, name = launch(world)
    world.ec2.stop_instances(InstanceIds=[instance])
    assert request(world, name)["State"] == "disabled"

    foreseen = cancel(world.ec2, [name], check_mode=True)
    assert (foreseen["changed"], foreseen["cancelled"], foreseen["instance_ids"]) == (True, [name], [instance])
    assert foreseen["diff"] == {"before": {name: "disabled"}, "after": {name: "cancelled"}}
    assert request(world, name)["State"] == "disabled"

    done = cancel(world.ec2, [name], check_mode=False)
    assert (done["changed"], done["cancelled"], done["instance_ids"]) == (True, [name], [])
    assert (request(world, name)["State"], request(world, name)["InstanceId"]) == ("cancelled", instance)
    assert cancel(world.ec2, [name], check_mode=False)["changed"] is False


def test_a_running_host_stays_and_is_named(world: World) -> None:
    instance, name = launch(world)
    assert cancel(world.ec2, [name], check_mode=False)["instance_ids"] == [instance]
    again = cancel(world.ec2, [name], check_mode=False)
    assert (again["changed"], again["instance_ids"]) == (False, [instance])


def test_what_was_launched_again_is_named_and_found_by_its_request(world: World) -> None:
    tags = [{"Key": "Project", "Value": "academy"}, {"Key": "Role", "Value": "video-worker"}]
    instance, name = launch(world, TagSpecifications=[{"ResourceType": "spot-instances-request", "Tags": tags}])
    world.ec2.terminate_instances(InstanceIds=[instance])
    support.wait_until(lambda: request(world, name)["InstanceId"] != instance, "another instance", 10)
    another = request(world, name)["InstanceId"]
    (kind,) = [kind for kind in KINDS if kind.name == "instances"]
    for cancelled in ([name], []):
        done = cancel(world.ec2, [name], check_mode=False)
        assert (done["cancelled"], done["instance_ids"]) == (cancelled, [another])
        (found,) = _read_kind(kind, world.ec2, Deployment("academy", {}))
        assert (found["id"], found["spot_request_id"], found["tags"]["Role"]) == (another, name, "video-worker")


def test_a_request_that_is_forgotten_and_none_at_all_need_nothing(world: World) -> None:
    nothing = {"changed": False, "cancelled": [], "instance_ids": [], "diff": {"before": {}, "after": {}}}
    for names in ([], ["sir-00000000"]):
        assert cancel(world.ec2, names, check_mode=False) == nothing

# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Spot requests and interruptions, by the API as any client sees it; no hosts."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from localcloud import fixes, settings
from localcloud.__main__ import main
from localcloud.api import Api
from localcloud.spot import NoHosts, Notice, Request, Spot, request_of, request_tags, standing, wish
from tests import support

# A region of its own, so that no other test sees what these leave behind.
REGION = "eu-west-3"
STOPS = {"SpotInstanceType": "persistent", "InstanceInterruptionBehavior": "stop"}
TIME = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
STOP, STOPPED = Notice("stop", TIME), Notice("stop", TIME, done=True)
END, ENDED = Notice("terminate", TIME), Notice("terminate", TIME, done=True)


@pytest.mark.parametrize(
    ("kind", "instance", "cancelled", "notice", "expected"),
    [
        ("persistent", "pending", False, None, ("active", "fulfilled")),
        ("persistent", "running", False, None, ("active", "fulfilled")),
        ("persistent", "stopping", False, None, ("active", "marked-for-stop")),
        ("persistent", "stopped", False, None, ("disabled", "instance-stopped-by-user")),
        ("persistent", "running", False, STOP, ("active", "marked-for-stop")),
        ("persistent", "stopped", False, STOP, ("disabled", "instance-stopped-by-user")),
        ("persistent", "stopping", False, STOPPED, ("active", "marked-for-stop")),
        ("persistent", "stopped", False, STOPPED, ("disabled", "instance-stopped-no-capacity")),
        ("persistent", "terminated", False, None, ("open", "pending-evaluation")),
        ("persistent", "running", True, None, ("cancelled", "request-canceled-and-instance-running")),
        ("persistent", "shutting-down", True, None, ("cancelled", "instance-terminated-by-user")),
        ("one-time", "running", False, None, ("active", "fulfilled")),
        ("one-time", "running", False, END, ("closed", "instance-terminated-no-capacity")),
        ("one-time", "terminated", False, ENDED, ("closed", "instance-terminated-no-capacity")),
        ("one-time", "terminated", False, None, ("closed", "instance-terminated-by-user")),
    ],
)
def test_a_request_stands_as_the_user_guide_has_it(
    kind: str, instance: str, cancelled: bool, notice: Notice | None, expected: tuple[str, str]
) -> None:
    assert standing(kind, instance, cancelled=cancelled, notice=notice) == expected


def test_a_notice_says_what_and_when_and_the_end_alone_has_a_termination_time() -> None:
    time = "2026-01-02T03:04:05Z"
    assert STOP.documents() == {"instance-action": f'{{"action": "stop", "time": "{time}"}}'}
    assert END.documents() == {
        "instance-action": f'{{"action": "terminate", "time": "{time}"}}',
        "termination-time": time,
    }
    assert STOPPED.documents() == {}


def test_a_launch_asks_for_spot_with_ec2s_defaults() -> None:
    assert wish({}) is None
    assert wish({"InstanceMarketOptions": {"MarketType": "capacity-block"}}) is None
    plain = wish({"InstanceMarketOptions": {"MarketType": "spot"}})
    assert plain is not None
    assert (plain.kind, plain.behavior, plain.max_price) == ("one-time", "terminate", None)
    asked = wish({"InstanceMarketOptions": {"MarketType": "spot", "SpotOptions": {**STOPS, "MaxPrice": "0.02"}}})
    assert asked is not None
    assert (asked.kind, asked.behavior, asked.max_price) == ("persistent", "stop", "0.02")


def test_the_request_has_the_tags_meant_for_it_the_launchs_over_the_templates() -> None:
    def layer(kind: str, **tags: str) -> dict[str, Any]:
        listed = [{"Key": key, "Value": value} for key, value in tags.items()]
        return {"TagSpecifications": [{"ResourceType": kind, "Tags": listed}]}

    assert request_tags(
        layer("spot-instances-request", Project="academy", Owner="a"),
        layer("spot-instances-request", Owner="b"),
        layer("instance", Name="host"),
        {},
    ) == {"Project": "academy", "Owner": "b"}


class Cloud:
    """The API with Spot requests, and short ways to use it."""

    def __init__(self) -> None:
        self.api = Api()
        fixes.install(self.api)
        self.spot = Spot(self.api, NoHosts(), relaunch_seconds=2, settle_seconds=0)
        self.api.start()
        self.ec2: Any = boto3.client(
            "ec2",
            endpoint_url=f"http://{settings.API_HOST}:{self.api.port}",
            region_name=REGION,
            aws_access_key_id=settings.OPERATOR_ACCESS_KEY,
            aws_secret_access_key=settings.OPERATOR_SECRET_KEY,
        )
        self.image = self.ec2.describe_images(Filters=[{"Name": "architecture", "Values": ["arm64"]}])["Images"][0]

    def launch(self, options: dict[str, str] | None = None, **changes: Any) -> str:
        asked = {
            "ImageId": self.image["ImageId"],
            "InstanceType": "t4g.medium",
            "InstanceMarketOptions": {"MarketType": "spot", "SpotOptions": options or STOPS},
            **changes,
        }
        launched = self.ec2.run_instances(
            MinCount=1, MaxCount=1, **{name: value for name, value in asked.items() if value is not None}
        )
        return str(launched["Instances"][0]["InstanceId"])

    def instance(self, instance_id: str) -> dict[str, Any]:
        return dict(self.ec2.describe_instances(InstanceIds=[instance_id])["Reservations"][0]["Instances"][0])

    def request(self, instance_id: str) -> dict[str, Any]:
        (found,) = self.ec2.describe_spot_instance_requests(
            Filters=[
                {"Name": "spot-instance-request-id", "Values": [self.instance(instance_id)["SpotInstanceRequestId"]]}
            ]
        )["SpotInstanceRequests"]
        return dict(found)

    def standing(self, instance_id: str) -> tuple[str, str, str]:
        request = self.request(instance_id)
        return self.instance(instance_id)["State"]["Name"], request["State"], request["Status"]["Code"]

    def cancel(self, instance_id: str) -> str:
        request = self.request(instance_id)["SpotInstanceRequestId"]
        answer = self.ec2.cancel_spot_instance_requests(SpotInstanceRequestIds=[request])
        return str(answer["CancelledSpotInstanceRequests"][0]["State"])

    def profile(self) -> str:
        arn = f"arn:aws:iam::{settings.ACCOUNT_ID}:instance-profile/spot-worker"
        iam = self.api.backends("iam")
        if not any(profile.arn == arn for profile in iam.get_instance_profiles()):
            iam.create_instance_profile("spot-worker", "/", [])
        return arn

    def order(self, path: str, method: str = "POST", query: str = "") -> tuple[str, dict[str, str]]:
        told: list[str] = []
        environ = {"PATH_INFO": path, "REQUEST_METHOD": method, "QUERY_STRING": query, "wsgi.input": io.BytesIO()}
        body = b"".join(self.spot(environ, lambda status, _headers: told.append(status)))
        return told[0], json.loads(body)

    def own(self, instance_id: str) -> Request:
        found = request_of(self.api.backends("ec2"), instance_id)
        assert found is not None
        return found

    def await_standing(self, instance_id: str, *expected: str) -> None:
        support.wait_until(lambda: self.standing(instance_id) == expected, " ".join(expected), 5)


@pytest.fixture(scope="module")
def cloud() -> Iterator[Cloud]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(settings, "API_PORT", 0)
        patch.setattr(settings, "REGION", REGION)
        cloud = Cloud()
        yield cloud
        cloud.api.stop()


def test_a_spot_launch_shows_itself_and_its_request(cloud: Cloud) -> None:
    tags = [{"Key": "Project", "Value": "academy"}]
    instance = cloud.launch(TagSpecifications=[{"ResourceType": "spot-instances-request", "Tags": tags}])
    assert cloud.instance(instance)["InstanceLifecycle"] == "spot"
    request = cloud.request(instance)
    assert request["InstanceId"] == instance
    assert (request["Type"], request["InstanceInterruptionBehavior"]) == ("persistent", "stop")
    assert (request["State"], request["Status"]["Code"]) == ("active", "fulfilled")
    assert request["LaunchSpecification"]["InstanceType"] == "t4g.medium"
    assert request["Tags"] == tags
    found = cloud.ec2.describe_spot_instance_requests(
        Filters=[{"Name": "tag:Project", "Values": ["academy"]}, {"Name": "state", "Values": ["active"]}]
    )["SpotInstanceRequests"]
    assert [entry["InstanceId"] for entry in found] == [instance]


def test_an_on_demand_launch_has_no_request(cloud: Cloud) -> None:
    instance = cloud.instance(cloud.launch(InstanceMarketOptions=None))
    assert "InstanceLifecycle" not in instance
    assert "SpotInstanceRequestId" not in instance


def test_a_launch_template_counts_as_the_launch_does(cloud: Cloud) -> None:
    tags = [{"Key": "Project", "Value": "other"}]
    disk = {"VolumeSize": 20, "VolumeType": "gp3", "Encrypted": True, "DeleteOnTermination": True}
    cloud.ec2.create_launch_template(
        LaunchTemplateName="spot-worker",
        LaunchTemplateData={
            "InstanceMarketOptions": {"MarketType": "spot", "SpotOptions": STOPS},
            "IamInstanceProfile": {"Arn": cloud.profile()},
            "MetadataOptions": {"HttpTokens": "required", "HttpPutResponseHopLimit": 3},
            "BlockDeviceMappings": [{"DeviceName": cloud.image["RootDeviceName"], "Ebs": disk}],
            "TagSpecifications": [{"ResourceType": "spot-instances-request", "Tags": tags}],
        },
    )
    template = {"LaunchTemplateName": "spot-worker"}
    instance = cloud.launch(InstanceMarketOptions=None, LaunchTemplate=template)
    described = cloud.instance(instance)
    assert described["InstanceLifecycle"] == "spot"
    assert described["MetadataOptions"]["HttpPutResponseHopLimit"] == 3
    assert described["IamInstanceProfile"]["Arn"] == cloud.profile()
    assert [mapping["DeviceName"] for mapping in described["BlockDeviceMappings"]] == [cloud.image["RootDeviceName"]]
    assert cloud.request(instance)["Tags"] == tags


def test_a_stopped_one_is_disabled_and_starts_again(cloud: Cloud) -> None:
    instance = cloud.launch()
    cloud.ec2.stop_instances(InstanceIds=[instance])
    assert cloud.standing(instance) == ("stopped", "disabled", "instance-stopped-by-user")
    cloud.ec2.start_instances(InstanceIds=[instance])
    assert cloud.standing(instance) == ("running", "active", "fulfilled")


def test_its_request_settles_before_it_can_be_started_again(cloud: Cloud) -> None:
    cloud.spot._settle_seconds = 600
    try:
        instance = cloud.launch()
    finally:
        cloud.spot._settle_seconds = 0
    cloud.ec2.stop_instances(InstanceIds=[instance])
    assert cloud.standing(instance) == ("stopped", "active", "marked-for-stop")
    assert not cloud.own(instance).startable
    cloud.own(instance)._settled_at = 0  # when its time comes
    assert cloud.standing(instance) == ("stopped", "disabled", "instance-stopped-by-user")
    assert cloud.own(instance).startable
    # Who stops what has stopped changes nothing.
    cloud.ec2.stop_instances(InstanceIds=[instance])
    assert cloud.own(instance).startable


def test_an_interruption_is_announced_then_stops_it_until_it_is_over(cloud: Cloud) -> None:
    instance = cloud.launch()
    notice = cloud.spot.interrupt(instance, 0.7)
    assert cloud.standing(instance) == ("running", "active", "marked-for-stop")
    assert cloud.own(instance).notice == notice
    cloud.await_standing(instance, "stopped", "disabled", "instance-stopped-no-capacity")
    assert not cloud.own(instance).startable
    assert cloud.instance(instance)["StateReason"]["Code"] == "Server.SpotInstanceShutdown"
    assert cloud.order(f"/{instance}/over") == ("200 OK", {"instance": instance})
    assert cloud.standing(instance) == ("running", "active", "fulfilled")
    assert cloud.own(instance).notice is None


def test_who_stops_it_before_its_time_may_start_it_again(cloud: Cloud) -> None:
    instance = cloud.launch()
    cloud.spot.interrupt(instance, 0.3)
    cloud.ec2.stop_instances(InstanceIds=[instance])
    support.wait_until(lambda: cloud.own(instance).notice is None, "the time of the notice passes", 5)
    assert cloud.standing(instance) == ("stopped", "disabled", "instance-stopped-by-user")
    assert cloud.own(instance).startable


def test_a_one_time_instance_ends_with_its_interruption(cloud: Cloud) -> None:
    instance = cloud.launch({"SpotInstanceType": "one-time"})
    cloud.spot.interrupt(instance, 0)
    cloud.await_standing(instance, "terminated", "closed", "instance-terminated-no-capacity")


def test_a_persistent_request_brings_another_one_unless_it_was_cancelled(cloud: Cloud) -> None:
    instance = cloud.launch(IamInstanceProfile={"Arn": cloud.profile()})
    request = cloud.request(instance)["SpotInstanceRequestId"]
    cloud.ec2.terminate_instances(InstanceIds=[instance])
    (found,) = cloud.ec2.describe_spot_instance_requests(SpotInstanceRequestIds=[request])["SpotInstanceRequests"]
    assert (found["State"], found["Status"]["Code"]) == ("open", "pending-evaluation")
    own = cloud.own(instance)
    support.wait_until(lambda: own.instance_id != instance, "another instance", 10)
    another = own.instance_id
    assert cloud.standing(another) == ("running", "active", "fulfilled")
    assert cloud.instance(another)["SpotInstanceRequestId"] == request
    assert cloud.instance(another)["IamInstanceProfile"]["Arn"] == cloud.profile()

    assert cloud.cancel(another) == "cancelled"
    assert cloud.standing(another) == ("running", "cancelled", "request-canceled-and-instance-running")
    cloud.ec2.terminate_instances(InstanceIds=[another])
    assert cloud.standing(another) == ("terminated", "cancelled", "instance-terminated-by-user")


def test_an_open_request_that_is_cancelled_brings_nothing(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cloud.spot, "_relaunch_seconds", 600)
    instance = cloud.launch()
    own = cloud.own(instance)
    cloud.ec2.terminate_instances(InstanceIds=[instance])
    assert cloud.cancel(instance) == "cancelled"
    cloud.spot._relaunch(own)  # when its time comes
    assert own.instance_id == instance


def test_cancelling_a_disabled_request_terminates_its_instance(cloud: Cloud) -> None:
    instance = cloud.launch()
    cloud.ec2.stop_instances(InstanceIds=[instance])
    assert cloud.cancel(instance) == "cancelled"
    assert cloud.instance(instance)["State"]["Name"] == "terminated"


def test_there_is_no_other_way_to_spot(cloud: Cloud) -> None:
    with pytest.raises(ClientError, match="UnsupportedOperation"):
        cloud.ec2.request_spot_instances(LaunchSpecification={"ImageId": cloud.image["ImageId"]})
    with pytest.raises(ClientError, match=r"InvalidSpotInstanceRequestID\.NotFound"):
        cloud.ec2.cancel_spot_instance_requests(SpotInstanceRequestIds=["sir-00000000"])


def test_the_command_line_gives_orders(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    url = f"http://{settings.API_HOST}:{cloud.api.port}/_localcloud/{settings.SPOT_PAGE}"
    monkeypatch.setattr("localcloud.cloud.SPOT_URL", url)
    instance = cloud.launch()
    assert main(["interrupt", instance, "--seconds", "0"]) == 0
    assert f"{instance} has its notice: stop at" in capsys.readouterr().out
    cloud.await_standing(instance, "stopped", "disabled", "instance-stopped-no-capacity")
    assert main(["interrupt", instance, "--over"]) == 0
    assert cloud.standing(instance) == ("running", "active", "fulfilled")
    assert main(["interrupt", instance, "--over"]) == 1
    assert "not stopped by an interruption" in capsys.readouterr().err


def test_orders_that_cannot_be_say_why(cloud: Cloud) -> None:
    instance, plain = cloud.launch(), cloud.launch(InstanceMarketOptions=None)
    for path, method, query, status, text in (
        (f"/{plain}/interrupt", "POST", "", "409 Conflict", "no Spot instance"),
        (f"/{instance}/over", "POST", "", "409 Conflict", "not stopped by an interruption"),
        (f"/{instance}/interrupt", "GET", "", "405 Method Not Allowed", "POST"),
        (f"/{instance}/interrupt", "POST", "seconds=soon", "400 Bad Request", "soon"),
        (f"/{instance}/other", "POST", "", "404 Not Found", "other"),
    ):
        told, content = cloud.order(path, method, query)
        assert told == status
        assert text in content["error"]
    told, content = cloud.order(f"/{instance}/interrupt", query="seconds=60")
    assert (told, content["action"]) == ("200 OK", "stop")
    assert "already" in cloud.order(f"/{instance}/interrupt")[1]["error"]

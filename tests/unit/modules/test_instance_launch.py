# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Launching where there is capacity, against the embedded cloud in its worse circumstances."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from ansible_collections.academy.deploy.plugins.module_utils.aws_calls import ReadError
from ansible_collections.academy.deploy.plugins.module_utils.launch import LaunchError, launch_parameters
from ansible_collections.academy.deploy.plugins.modules import instance_launch
from ansible_collections.academy.deploy.plugins.modules.instance_launch import ensure
from botocore.config import Config

from localcloud import fixes, settings, strict
from localcloud.api import Api
from localcloud.guard import Guard
from localcloud.keys import Keys
from localcloud.spot import NoHosts, Spot, set_reason
from localcloud.strict.rule import Account
from plugins.module_utils.plan.instance import METADATA_OPTIONS, instance_volumes

# A region of its own, so that no other test sees what these leave behind.
REGION = "eu-west-2"
VOLUMES = {"instance_root_volume_size_gib": 20, "instance_data_volume_size_gib": 100}


class Cloud:
    """The API without hosts, and all that a launch names."""

    def __init__(self) -> None:
        self.api = Api()
        fixes.install(self.api)
        self.account: Account = strict.install(self.api)
        Spot(self.api, NoHosts())
        Keys(self.api, Guard(self.api), NoHosts())
        self.api.start()
        self.ec2, self.iam = self.client("ec2"), self.client("iam")
        subnets = self.ec2.describe_subnets()["Subnets"]
        self.subnets = {subnet["AvailabilityZone"][-1]: subnet["SubnetId"] for subnet in subnets}
        self.vpc = subnets[0]["VpcId"]
        self.group = self.ec2.create_security_group(GroupName="workers", Description="test", VpcId=self.vpc)["GroupId"]
        self.ec2.create_key_pair(KeyName="key")
        self.ec2.create_launch_template(
            LaunchTemplateName="spot",
            LaunchTemplateData={
                "InstanceMarketOptions": {
                    "MarketType": "spot",
                    "SpotOptions": {"SpotInstanceType": "persistent", "InstanceInterruptionBehavior": "stop"},
                }
            },
        )
        self.make_profile("role")

    def client(self, service: str) -> Any:
        return boto3.client(  # type: ignore[call-overload]
            service,
            endpoint_url=f"http://{settings.API_HOST}:{self.api.port}",
            region_name=REGION,
            aws_access_key_id=settings.OPERATOR_ACCESS_KEY,
            aws_secret_access_key=settings.OPERATOR_SECRET_KEY,
            # A zone without capacity is an error of the server, which botocore tries again.
            config=Config(retries={"total_max_attempts": 1}),
        )

    def make_profile(self, name: str) -> None:
        trust = '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": '
        self.iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust + '{"Service": "ec2.amazonaws.com"}}]}')
        self.iam.create_instance_profile(InstanceProfileName=name)
        self.iam.add_role_to_instance_profile(InstanceProfileName=name, RoleName=name)

    def wanted(self, **changes: Any) -> dict[str, Any]:
        name = "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-arm64"
        return {
            "subnet_ids": [self.subnets["b"], self.subnets["a"]],
            "vpc_id": self.vpc,
            "image_id": self.client("ssm").get_parameter(Name=name)["Parameter"]["Value"],
            "instance_type": "t4g.medium",
            "key_name": "key",
            "instance_profile": "role",
            "security_group": "workers",
            "volumes": instance_volumes(VOLUMES),
            "metadata_options": {**METADATA_OPTIONS},
            "cpu_credits": "unlimited",
            "tags": {"Project": "academy", "Role": "video-worker"},
            **changes,
        }

    def ensure(self, name: str, check_mode: bool = False, **changes: Any) -> dict[str, Any]:
        states = ["pending", "running", "stopping", "stopped"]
        filters = {"tag:Name": name, "instance-state-name": states}
        result: dict[str, Any] = ensure(self.ec2, name, filters, self.wanted(**changes), check_mode)
        return result

    def become(self, **circumstances: str) -> None:
        self.account.circumstances.change(circumstances)

    def instances(self, name: str) -> list[dict[str, Any]]:
        found = self.ec2.describe_instances(Filters=[{"Name": "tag:Name", "Values": [name]}])["Reservations"]
        return [instance for reservation in found for instance in reservation["Instances"]]


@pytest.fixture(scope="module")
def made() -> Iterator[Cloud]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(settings, "API_PORT", 0)
        patch.setattr(settings, "REGION", REGION)
        cloud = Cloud()
        yield cloud
        cloud.api.stop()
        for service in ("iam", "kms"):
            cloud.api.backends(service).reset()


@pytest.fixture
def cloud(made: Cloud, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cloud]:
    monkeypatch.setattr(instance_launch, "POLL_SECONDS", 0.05)
    yield made
    made.become(on_demand_vcpus="640", spot_vcpus="640", iam_seconds="0", full_zones="", plan="PAID")
    made.ec2.reset_ebs_default_kms_key_id()


def test_it_is_launched_as_asked_and_once(cloud: Cloud) -> None:
    assert cloud.ensure("once", check_mode=True) == {"changed": True, "instance_id": "", "subnet_id": ""}
    assert cloud.instances("once") == []
    made = cloud.ensure("once")
    (found,) = cloud.instances("once")
    assert made == {"changed": True, "instance_id": found["InstanceId"], "subnet_id": cloud.subnets["b"]}
    assert (found["State"]["Name"], found["InstanceType"], found["KeyName"]) == ("running", "t4g.medium", "key")
    assert found["PublicIpAddress"]
    assert [group["GroupId"] for group in found["SecurityGroups"]] == [cloud.group]
    assert found["IamInstanceProfile"]["Arn"].endswith("/role")
    options = found["MetadataOptions"]
    assert (options["HttpTokens"], options["HttpPutResponseHopLimit"]) == ("required", 2)
    assert {tag["Key"]: tag["Value"] for tag in found["Tags"]} == {
        "Project": "academy", "Role": "video-worker", "Name": "once",
    }  # fmt: skip
    filters = [{"Name": "attachment.instance-id", "Values": [found["InstanceId"]]}]
    volumes = cloud.ec2.describe_volumes(Filters=filters)["Volumes"]
    assert sorted((one["Size"], one["Encrypted"], len(one["Tags"])) for one in volumes) == [
        (20, True, 3), (100, True, 3),
    ]  # fmt: skip
    assert cloud.ensure("once") == {**made, "changed": False}
    assert len(cloud.instances("once")) == 1


def test_a_type_without_credits_is_launched_without_their_mode_and_a_spot_instance_by_its_template(
    cloud: Cloud,
) -> None:
    assert cloud.ensure("c7g", instance_type="c7g.large", cpu_credits=None)["changed"]
    with pytest.raises(ReadError) as error:
        cloud.ensure("c7g-credits", instance_type="c7g.large")
    assert "InstanceCreditSpecification.NotSupported" in str(error.value.cause)
    assert cloud.ensure("spot", launch_template="spot")["changed"]
    assert cloud.instances("spot")[0]["InstanceLifecycle"] == "spot"


def test_where_a_zone_has_no_capacity_the_next_is_taken_and_where_none_has_all_are_named(cloud: Cloud) -> None:
    cloud.become(full_zones=f"{REGION}b")
    assert cloud.ensure("next")["subnet_id"] == cloud.subnets["a"]
    cloud.become(full_zones=f"{REGION}a,{REGION}b")
    with pytest.raises(LaunchError, match=r"none: EC2 has no capacity for a t4g\.medium in the zones of") as error:
        cloud.ensure("none")
    assert all(cloud.subnets[zone] in str(error.value) for zone in "ab")
    assert cloud.instances("none") == []


def test_a_profile_that_ec2_does_not_know_yet_is_waited_for_and_not_for_ever(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    cloud.become(iam_seconds="2")
    cloud.make_profile("new")
    begun = time.monotonic()
    assert cloud.ensure("slow", instance_profile="new")["changed"]
    assert time.monotonic() - begun > 1
    monkeypatch.setattr(instance_launch, "PROFILE_SECONDS", 0.2)
    with pytest.raises(ReadError) as error:
        cloud.ensure("never", instance_profile="nobody")
    assert "Invalid IAM Instance Profile" in str(error.value.cause)


def test_a_quota_that_is_reached_is_told_with_what_to_do(cloud: Cloud) -> None:
    cloud.become(on_demand_vcpus="0", spot_vcpus="0")
    with pytest.raises(LaunchError, match=r"EC2 does not launch it, VcpuLimitExceeded: .* playbooks/preflight.yml"):
        cloud.ensure("quota")
    with pytest.raises(LaunchError, match=r"MaxSpotInstanceCountExceeded: .* for Spot"):
        cloud.ensure("spot-quota", launch_template="spot")


def test_an_instance_that_never_ran_says_why(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    real = cloud.ec2.run_instances

    def end(reason: str) -> None:
        """Let what is launched be pending, and end in a moment for that reason."""

        def run(**parameters: Any) -> Any:
            launched = real(**parameters)
            instance = cloud.api.backends("ec2").get_instance(launched["Instances"][0]["InstanceId"])
            instance.terminate()
            set_reason(instance, reason)
            launched["Instances"][0]["State"]["Name"] = "pending"
            return launched

        monkeypatch.setattr(cloud.ec2, "run_instances", run)

    end("Client.InternalError: Client error on launch")
    with pytest.raises(LaunchError, match=r"became terminated .* Client error on launch\. Mostly the key") as error:
        cloud.ensure("key")
    assert cloud.instances("key")[0]["InstanceId"] in str(error.value)
    # For want of capacity the next zone is tried, as if EC2 had said so at once.
    end("Server.InsufficientInstanceCapacity: There is not enough capacity")
    with pytest.raises(LaunchError, match="EC2 has no capacity"):
        cloud.ensure("late")
    assert [one["SubnetId"] for one in cloud.instances("late")] == [cloud.subnets["b"], cloud.subnets["a"]]


def test_one_that_stays_pending_is_given_up(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(instance_launch, "BEGIN_SECONDS", 0.2)
    cloud.ensure("pending")
    instance = cloud.api.backends("ec2").get_instance(cloud.instances("pending")[0]["InstanceId"])
    instance._state.name = "pending"
    filters = {"tag:Name": "pending"}
    with pytest.raises(LaunchError, match=r"still pending after 0\.2 s"):
        ensure(cloud.ec2, "pending", filters, None, check_mode=False)
    instance._state.name = "running"
    assert not ensure(cloud.ec2, "pending", filters, None, check_mode=False)["changed"]


def test_what_was_launched_before_and_is_gone_or_has_no_group_says_so(cloud: Cloud) -> None:
    with pytest.raises(LaunchError, match="is gone"):
        ensure(cloud.ec2, "gone", {"tag:Name": "gone"}, None, check_mode=False)
    with pytest.raises(LaunchError, match="no security group missing"):
        cloud.ensure("groupless", security_group="missing")


def test_nothing_is_said_of_credits_and_templates_that_are_not_asked_for(cloud: Cloud) -> None:
    parameters = launch_parameters("x", cloud.wanted(cpu_credits=None), "subnet-1", "sg-1")
    assert not {"CreditSpecification", "LaunchTemplate"} & parameters.keys()

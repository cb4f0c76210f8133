# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A volume with a key of the account's own: who may not hand it to EC2 starts its host in vain, and is told nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest

from localcloud import fixes, settings
from localcloud.api import Api
from localcloud.guard import Guard
from localcloud.keys import GRANT, MANAGED, Keys
from localcloud.spot import NoHosts

# A region of its own, so that no other test sees what these leave behind.
REGION = "eu-north-1"
ROOT = {"DeviceName": "/dev/xvda", "Ebs": {"VolumeSize": 8, "VolumeType": "gp3", "Encrypted": True}}


class Cloud:
    """The API under IAM, and clients of its owner and of users."""

    def __init__(self) -> None:
        self.api = Api()
        fixes.install(self.api)
        Keys(self.api, Guard(self.api), NoHosts())
        self.api.start()
        self.ec2 = self.client("ec2")
        self.image = self.ec2.describe_images(Filters=[{"Name": "architecture", "Values": ["arm64"]}])["Images"][0]

    def client(self, service: str, key: str = "", secret: str = "") -> Any:
        return boto3.client(  # type: ignore[call-overload]
            service,
            endpoint_url=f"http://{settings.API_HOST}:{self.api.port}",
            region_name=REGION,
            aws_access_key_id=key or settings.OPERATOR_ACCESS_KEY,
            aws_secret_access_key=secret or settings.OPERATOR_SECRET_KEY,
        )

    def somebody(self, name: str, *actions: str) -> Any:
        """Who may do that and nothing else, as a client of EC2."""
        iam = self.client("iam")
        iam.create_user(UserName=name)
        statement = {"Sid": "All", "Effect": "Allow", "Action": ["ec2:*", *actions], "Resource": "*"}
        document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        iam.put_user_policy(UserName=name, PolicyName="p", PolicyDocument=document)
        key = iam.create_access_key(UserName=name)["AccessKey"]
        return self.client("ec2", key["AccessKeyId"], key["SecretAccessKey"])

    def launch(self, ec2: Any) -> str:
        launched = ec2.run_instances(
            ImageId=self.image["ImageId"],
            InstanceType="t4g.small",
            MinCount=1,
            MaxCount=1,
            BlockDeviceMappings=[ROOT],
        )
        return str(launched["Instances"][0]["InstanceId"])

    def state(self, instance_id: str) -> tuple[str, str]:
        (found,) = self.ec2.describe_instances(InstanceIds=[instance_id])["Reservations"][0]["Instances"]
        return found["State"]["Name"], found.get("StateReason", {}).get("Code", "")


@pytest.fixture
def cloud(monkeypatch: pytest.MonkeyPatch) -> Iterator[Cloud]:
    monkeypatch.setattr(settings, "API_PORT", 0)
    monkeypatch.setattr(settings, "REGION", REGION)
    cloud = Cloud()
    yield cloud
    cloud.api.stop()
    for service in ("ec2", "kms", "iam"):
        cloud.api.backends(service).reset()


def test_who_may_not_grant_the_key_starts_in_vain(cloud: Cloud) -> None:
    plain, granted = cloud.somebody("plain"), cloud.somebody("granted", GRANT)
    assert plain.get_ebs_default_kms_key_id()["KmsKeyId"] == MANAGED
    before = cloud.launch(plain)
    assert cloud.state(before)[0] == "running"
    # It has been made, and is told by its number, which its alias leads to.
    aliases = {alias["AliasName"]: alias.get("TargetKeyId") for alias in cloud.client("kms").list_aliases()["Aliases"]}
    assert plain.get_ebs_default_kms_key_id()["KmsKeyId"].endswith(f":key/{aliases[MANAGED]}")

    key = cloud.client("kms").create_key()["KeyMetadata"]["Arn"]
    cloud.ec2.modify_ebs_default_kms_key_id(KmsKeyId=key)
    assert plain.get_ebs_default_kms_key_id()["KmsKeyId"] == key
    assert cloud.state(cloud.launch(plain)) == ("terminated", "Client.InternalError")

    own = cloud.launch(granted)
    assert cloud.state(own)[0] == "running"
    for starter, expected in ((plain, ("stopped", "Client.InternalError")), (granted, ("running", ""))):
        cloud.ec2.stop_instances(InstanceIds=[own])
        starter.start_instances(InstanceIds=[own])
        assert cloud.state(own) == expected
    # The key of a volume stays.
    cloud.ec2.stop_instances(InstanceIds=[before])
    plain.start_instances(InstanceIds=[before])
    assert cloud.state(before)[0] == "running"

    cloud.ec2.reset_ebs_default_kms_key_id()
    assert plain.get_ebs_default_kms_key_id()["KmsKeyId"] == MANAGED
    assert cloud.state(cloud.launch(plain))[0] == "running"

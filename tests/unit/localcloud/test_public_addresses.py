# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Public addresses, by the API as any client sees it; no hosts."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Address
from typing import Any, cast

import boto3
import pytest
from botocore.exceptions import ClientError
from moto.ec2.models import elastic_ip_addresses, elastic_network_interfaces
from moto.ec2.models.elastic_network_interfaces import NetworkInterface

from localcloud import fixes, settings
from localcloud.api import Api
from localcloud.public_addresses import PublicAddresses, next_address

FIRST, LAST = settings.FIRST_PUBLIC_ADDRESS, settings.LAST_PUBLIC_ADDRESS
EVERYTHING = {IPv4Address(address) for address in range(int(FIRST), int(LAST) + 1)}


@pytest.mark.parametrize(
    ("last", "taken", "expected"),
    [
        (None, set(), FIRST),
        (None, {FIRST, FIRST + 1}, FIRST + 2),
        (FIRST, set(), FIRST + 1),
        (FIRST, {FIRST + 1}, FIRST + 2),
        (LAST, set(), FIRST),
        (LAST - 1, {LAST, FIRST}, FIRST + 1),
        (FIRST + 5, EVERYTHING - {FIRST + 5}, FIRST + 5),
        (FIRST, EVERYTHING, None),
    ],
)
def test_addresses_are_handed_out_in_turn(
    last: IPv4Address | None, taken: set[IPv4Address], expected: IPv4Address | None
) -> None:
    assert next_address(last, taken) == expected


@pytest.fixture
def addresses(monkeypatch: pytest.MonkeyPatch) -> Iterator[PublicAddresses]:
    # What the addresses replace, so that other tests have moto's own again.
    monkeypatch.setattr(elastic_network_interfaces, "random_public_ip", None)
    monkeypatch.setattr(elastic_ip_addresses, "random_ip", None)
    monkeypatch.setattr(NetworkInterface, "public_ip", None, raising=False)
    monkeypatch.setattr(settings, "API_PORT", 0)
    api = Api()
    api.backends("ec2").reset()
    fixes.install(api)
    addresses = PublicAddresses(api)
    monkeypatch.setattr(settings, "API_PORT", 0)
    api.start()
    monkeypatch.setattr(settings, "API_URL", f"http://{settings.API_HOST}:{api.port}")
    yield addresses
    api.stop()
    api.backends("ec2").reset()


@pytest.fixture
def ec2(addresses: PublicAddresses) -> Any:
    return cast(Any, boto3).client(
        "ec2",
        endpoint_url=settings.API_URL,
        region_name=settings.REGION,
        aws_access_key_id=settings.OPERATOR_ACCESS_KEY,
        aws_secret_access_key=settings.OPERATOR_SECRET_KEY,
    )


def launch(ec2: Any, number: int = 1, **options: Any) -> list[str]:
    image = ec2.describe_images(Owners=["amazon"], Filters=[{"Name": "architecture", "Values": ["arm64"]}])["Images"][0]
    launched = ec2.run_instances(
        ImageId=image["ImageId"], InstanceType="t4g.micro", MinCount=number, MaxCount=number, **options
    )["Instances"]
    return [instance["InstanceId"] for instance in launched]


def described(ec2: Any, instance_id: str) -> Any:
    return ec2.describe_instances(InstanceIds=[instance_id])["Reservations"][0]["Instances"][0]


def test_every_public_address_is_documentation_space_and_has_one_owner(ec2: Any, addresses: PublicAddresses) -> None:
    ids = launch(ec2, 2)
    elastic = ec2.allocate_address(Domain="vpc")["PublicIp"]
    instances = [described(ec2, instance_id) for instance_id in ids]
    public = [*(IPv4Address(instance["PublicIpAddress"]) for instance in instances), IPv4Address(elastic)]
    assert len(set(public)) == 3
    assert set(public) <= EVERYTHING
    expected = {
        IPv4Address(instance["PublicIpAddress"]): IPv4Address(instance["PrivateIpAddress"]) for instance in instances
    }
    assert addresses.owners() == expected
    assert addresses.owner(public[0]) == expected[public[0]]
    assert addresses.owner(public[2]) is None
    name = f"ec2-{str(public[0]).replace('.', '-')}.ap-northeast-2.compute.amazonaws.com"
    assert instances[0]["PublicDnsName"] == name


def test_a_start_brings_another_address_and_a_stop_takes_it(ec2: Any, addresses: PublicAddresses) -> None:
    [instance_id] = launch(ec2)
    before = described(ec2, instance_id)["PublicIpAddress"]
    addresses.changed.clear()
    ec2.stop_instances(InstanceIds=[instance_id])
    assert addresses.changed.is_set()
    assert "PublicIpAddress" not in described(ec2, instance_id)
    assert addresses.owners() == {}
    ec2.start_instances(InstanceIds=[instance_id])
    after = described(ec2, instance_id)["PublicIpAddress"]
    assert after != before
    assert list(addresses.owners()) == [IPv4Address(after)]


def test_an_elastic_address_leads_somewhere_until_its_instance_ends(ec2: Any, addresses: PublicAddresses) -> None:
    subnet = ec2.describe_subnets()["Subnets"][0]["SubnetId"]
    interface = {"DeviceIndex": 0, "SubnetId": subnet, "AssociatePublicIpAddress": False, "DeleteOnTermination": True}
    [instance_id] = launch(ec2, NetworkInterfaces=[interface])
    assert addresses.owners() == {}
    elastic = ec2.allocate_address(Domain="vpc")
    ec2.associate_address(InstanceId=instance_id, AllocationId=elastic["AllocationId"])
    assert list(addresses.owners()) == [IPv4Address(elastic["PublicIp"])]
    addresses.changed.clear()
    ec2.terminate_instances(InstanceIds=[instance_id])
    assert addresses.changed.is_set()
    assert addresses.owners() == {}


def test_where_all_are_taken_ec2_says_so(ec2: Any, addresses: PublicAddresses, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "LAST_PUBLIC_ADDRESS", FIRST)
    assert ec2.allocate_address(Domain="vpc")["PublicIp"] == str(FIRST)
    with pytest.raises(ClientError, match="InsufficientAddressCapacity"):
        ec2.allocate_address(Domain="vpc")

# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the account knows of what calls refer to, on a control plane of moto's."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import pytest

from localcloud import demo, fixes, settings
from localcloud.api import Api
from localcloud.knowledge import knowledge
from localcloud.permissions import Knows, needs

TAGS = [{"Key": "Project", "Value": "academy"}]
LAUNCH = {"ImageId": "ami-1", "KeyName": "key", "IamInstanceProfile": {"Name": "profile"}}


@dataclass(frozen=True)
class Plane:
    api: Api

    @property
    def knows(self) -> Knows:
        return knowledge(self.api)

    def client(self, service: str) -> Any:
        return _client(service, f"http://{settings.API_HOST}:{self.api.port}")


_client = cache(demo.client)


@pytest.fixture(scope="module")
def plane() -> Iterator[Plane]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(settings, "API_PORT", 0)
        api = Api()
        fixes.install(api)
        api.start()
    yield Plane(api)
    api.stop()
    for service in ("acm", "cloudwatch", "ec2", "ecr", "elbv2", "iam", "rds", "sqs"):
        api.backends(service).reset()


def make_alarm(plane: Plane) -> str:
    plane.client("cloudwatch").put_metric_alarm(
        AlarmName="alarm", Namespace="n", MetricName="m", Statistic="Sum", Period=60, EvaluationPeriods=1,
        Threshold=1, ComparisonOperator="GreaterThanThreshold", Tags=TAGS,
    )  # fmt: skip
    return f"arn:aws:cloudwatch:{settings.REGION}:{settings.ACCOUNT_ID}:alarm:alarm"


def make_queue(plane: Plane) -> str:
    plane.client("sqs").create_queue(QueueName="queue", tags={"Project": "academy"})
    return f"arn:aws:sqs:{settings.REGION}:{settings.ACCOUNT_ID}:queue"


def make_repository(plane: Plane) -> str:
    made = plane.client("ecr").create_repository(repositoryName="repository", tags=TAGS)
    return str(made["repository"]["repositoryArn"])


def subnets(plane: Plane) -> list[str]:
    return [found["SubnetId"] for found in plane.client("ec2").describe_subnets()["Subnets"]][:2]


def make_subnet_group(plane: Plane) -> str:
    made = plane.client("rds").create_db_subnet_group(
        DBSubnetGroupName="group", DBSubnetGroupDescription="d", SubnetIds=subnets(plane), Tags=TAGS
    )
    return str(made["DBSubnetGroup"]["DBSubnetGroupArn"])


def make_load_balancer(plane: Plane) -> str:
    made = plane.client("elbv2").create_load_balancer(Name="balancer", Subnets=subnets(plane), Tags=TAGS)
    return str(made["LoadBalancers"][0]["LoadBalancerArn"])


def make_certificate(plane: Plane) -> str:
    requested = plane.client("acm").request_certificate(DomainName="a.example", ValidationMethod="DNS", Tags=TAGS)
    return str(requested["CertificateArn"])


def make_volume(plane: Plane) -> str:
    made = plane.client("ec2").create_volume(
        AvailabilityZone=f"{settings.REGION}a", Size=1, TagSpecifications=[{"ResourceType": "volume", "Tags": TAGS}]
    )
    return f"arn:aws:ec2:{settings.REGION}:{settings.ACCOUNT_ID}:volume/{made['VolumeId']}"


@pytest.mark.parametrize(
    "make",
    [make_alarm, make_certificate, make_queue, make_repository, make_subnet_group, make_load_balancer, make_volume],
)
def test_tags_are_told_of_what_is_there(plane: Plane, make: Callable[[Plane], str]) -> None:
    arn = make(plane)
    assert plane.knows.tags_of(arn) == {"Project": "academy"}
    assert plane.knows.tags_of(f"{arn}x") == {}
    assert plane.knows.tags_of(arn.replace(arn.rpartition(":")[2], "*")) == {}


def test_of_other_services_nothing_is_told(plane: Plane) -> None:
    assert plane.knows.tags_of(f"arn:aws:sns:{settings.REGION}:{settings.ACCOUNT_ID}:topic") is None


def test_a_launch_by_a_template_is_judged_by_what_the_template_says(plane: Plane) -> None:
    iam, ec2 = plane.client("iam"), plane.client("ec2")
    iam.create_role(RoleName="role", AssumeRolePolicyDocument="{}")
    iam.create_instance_profile(InstanceProfileName="profile")
    assert plane.knows.role_of("profile") is None
    iam.add_role_to_instance_profile(InstanceProfileName="profile", RoleName="role")
    made = ec2.create_launch_template(LaunchTemplateName="template", LaunchTemplateData=LAUNCH)
    found = {
        need.resource.rpartition(":")[2]
        for need in needs(
            "ec2", "RunInstances", {"LaunchTemplate": {"LaunchTemplateName": "template"}}, settings.REGION, plane.knows
        )
        if need.resource
    }
    template = made["LaunchTemplate"]["LaunchTemplateId"]
    assert {"image/ami-1", "key-pair/key", "role/role", f"launch-template/{template}"} <= found


@pytest.mark.parametrize("named", [{"LaunchTemplateName": "none"}, {"LaunchTemplateId": "lt-00000000000000000"}])
def test_a_template_that_is_not_there_says_nothing(plane: Plane, named: dict[str, str]) -> None:
    parameters = {"LaunchTemplate": named}
    assert plane.knows.expand("ec2.RunInstances", parameters) == parameters


def test_an_association_is_an_instance_s(plane: Plane) -> None:
    ec2 = plane.client("ec2")
    image = ec2.describe_images(Owners=["amazon"])["Images"][0]["ImageId"]
    (launched,) = ec2.run_instances(ImageId=image, InstanceType="t4g.small", MinCount=1, MaxCount=1)["Instances"]
    plane.client("iam").create_instance_profile(InstanceProfileName="other")
    made = ec2.associate_iam_instance_profile(InstanceId=launched["InstanceId"], IamInstanceProfile={"Name": "other"})
    association = made["IamInstanceProfileAssociation"]["AssociationId"]
    replaced = "ec2.ReplaceIamInstanceProfileAssociation"
    assert plane.knows.expand(replaced, {"AssociationId": association})["InstanceId"] == launched["InstanceId"]
    assert plane.knows.expand(replaced, {"AssociationId": "none"}) == {"AssociationId": "none"}


@pytest.mark.parametrize(
    ("given", "group"),
    [({"EngineVersion": "16"}, "default:postgres-16"), ({"EngineVersion": "15.7", "OptionGroupName": "own"}, "own")],
)
def test_a_database_has_an_option_group_that_iam_is_asked_for(plane: Plane, given: dict[str, str], group: str) -> None:
    parameters = {"DBInstanceIdentifier": "academy-db", "Engine": "postgres", **given}
    expanded = plane.knows.expand("rds.CreateDBInstance", parameters)
    assert expanded == {**parameters, "OptionGroupName": group}

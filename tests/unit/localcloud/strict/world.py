# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""An account for the strict layer's tests: an API in process, and short ways to make what a refusal needs."""

from __future__ import annotations

import dataclasses
import io
import itertools
import json
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any, cast

import boto3
from botocore.config import Config

from localcloud import fixes, settings, strict
from localcloud.api import Api
from localcloud.spot import NoHosts, Spot
from localcloud.strict.rule import Account, Rule
from localcloud.wire import ApiError, Call

# A region of its own, so that no other test sees what these leave behind.
REGION = "us-west-2"
ACCOUNT_ARN = f"{REGION}:{settings.ACCOUNT_ID}"

Attempt = Callable[["World"], object]


@dataclass(frozen=True)
class Case:
    """A rule at work: what it refuses and how, its near miss, and what moto alone answers to the bad call."""

    rule: str
    code: str
    bad: Attempt
    good: Attempt
    moto: str | None = None


class World:
    """The account. Every method makes something new, under a name of its own, and returns how to name it."""

    def __init__(self) -> None:
        self.now = 0.0
        self.disabled: set[str] = set()
        self._numbers = itertools.count(1)
        self._subnet_numbers = itertools.count(1)
        self.api = Api()
        fixes.install(self.api)
        self.account = strict.install(
            self.api, [self._switchable(rule) for rule in strict.RULES], clock=lambda: self.now
        )
        self.spot = Spot(self.api, NoHosts(), settle_seconds=600)
        self.api.start()

    def _switchable(self, rule: Rule) -> Rule:
        def check(call: Call, account: Account) -> ApiError | None:
            return None if rule.identifier in self.disabled else rule.check(call, account)

        return dataclasses.replace(rule, check=check)

    def name(self) -> str:
        return f"strict-{next(self._numbers)}"

    @cache  # noqa: B019  # one world lives as long as the tests
    def client(self, service: str) -> Any:
        return cast(Any, boto3).client(
            service,
            endpoint_url=f"http://{settings.API_HOST}:{self.api.port}",
            region_name=REGION,
            aws_access_key_id=settings.OPERATOR_ACCESS_KEY,
            aws_secret_access_key=settings.OPERATOR_SECRET_KEY,
            # The server shall refuse, not the client.
            config=Config(retries={"max_attempts": 0}, parameter_validation=False),
        )

    @property
    def ec2(self) -> Any:
        return self.client("ec2")

    @property
    def rds(self) -> Any:
        return self.client("rds")

    @property
    def sqs(self) -> Any:
        return self.client("sqs")

    @property
    def elbv2(self) -> Any:
        return self.client("elbv2")

    @property
    def iam(self) -> Any:
        return self.client("iam")

    @property
    def events(self) -> Any:
        return self.client("events")

    @property
    def functions(self) -> Any:
        return self.client("lambda")

    # --- network ------------------------------------------------------------------------------------------------

    @cached_property
    def vpc(self) -> str:
        return str(self.api.backends("ec2").get_default_vpc().id)

    @cached_property
    def other_vpc(self) -> str:
        return str(self.ec2.create_vpc(CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"])

    @cached_property
    def other_subnet(self) -> str:
        created = self.ec2.create_subnet(VpcId=self.other_vpc, CidrBlock="10.9.1.0/24", AvailabilityZone=self.zone("a"))
        return str(created["Subnet"]["SubnetId"])

    def zone(self, letter: str) -> str:
        return f"{REGION}{letter}"

    @cache  # noqa: B019
    def subnet(self, letter: str) -> str:
        found = self.ec2.describe_subnets(
            Filters=[
                {"Name": "availability-zone", "Values": [self.zone(letter)]},
                {"Name": "vpc-id", "Values": [self.vpc]},
                {"Name": "default-for-az", "Values": ["true"]},
            ]
        )
        return str(found["Subnets"][0]["SubnetId"])

    def new_subnet(self) -> str:
        """Another subnet of the first zone."""
        block = f"172.31.{128 + next(self._subnet_numbers)}.0/24"
        created = self.ec2.create_subnet(VpcId=self.vpc, CidrBlock=block, AvailabilityZone=self.zone("a"))
        return str(created["Subnet"]["SubnetId"])

    def subnet_with_instance(self) -> str:
        subnet = self.new_subnet()
        self.run(SubnetId=subnet)
        return subnet

    def group(self, **changes: Any) -> str:
        wanted = {"GroupName": self.name(), "Description": "test", "VpcId": self.vpc, **changes}
        return str(self.ec2.create_security_group(**wanted)["GroupId"])

    @cached_property
    def other_group(self) -> str:
        return self.group(VpcId=self.other_vpc)

    def group_named_default(self) -> str:
        """The default group of a VPC of its own."""
        vpc = self.ec2.create_vpc(CidrBlock="10.8.0.0/16")["Vpc"]["VpcId"]
        return str(self.api.backends("ec2").get_security_group_from_name("default", vpc).id)

    def authorize(self, group: str | None = None, **changes: Any) -> None:
        permission = {
            "IpProtocol": "tcp",
            "FromPort": 22,
            "ToPort": 22,
            "IpRanges": [{"CidrIp": "192.0.2.1/32"}],
            **changes,
        }
        wanted = {name: value for name, value in permission.items() if value is not None}
        self.ec2.authorize_security_group_ingress(GroupId=group or self.group(), IpPermissions=[wanted])

    # --- instances and volumes ----------------------------------------------------------------------------------

    @cache  # noqa: B019
    def image(self, architecture: str = "arm64") -> str:
        name = f"/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-{architecture}"
        return str(self.client("ssm").get_parameter(Name=name)["Parameter"]["Value"])

    def run(self, **changes: Any) -> str:
        wanted = {
            "ImageId": self.image(),
            "InstanceType": "t4g.small",
            "MinCount": 1,
            "MaxCount": 1,
            "SubnetId": self.subnet("a"),
            **changes,
        }
        launched = self.ec2.run_instances(**{name: value for name, value in wanted.items() if value is not None})
        return str(launched["Instances"][0]["InstanceId"])

    def run_from_template(self, **data: Any) -> str:
        """An instance of which the launch itself says nothing but the subnet."""
        name = self.name()
        wanted = {"ImageId": self.image(), "InstanceType": "t4g.small", **data}
        self.ec2.create_launch_template(LaunchTemplateName=name, LaunchTemplateData=wanted)
        return self.run(ImageId=None, InstanceType=None, LaunchTemplate={"LaunchTemplateName": name})

    def instance_in(self, state: str) -> str:
        """An instance in a state that moto passes through in no time."""
        identifier = self.run()
        self.api.backends("ec2").get_instance_by_id(identifier)._state.name = state
        return identifier

    def stopped(self) -> str:
        identifier = self.run()
        self.ec2.stop_instances(InstanceIds=[identifier])
        return identifier

    def volume(self, **changes: Any) -> str:
        wanted = {"AvailabilityZone": self.zone("a"), "Size": 10, "VolumeType": "gp3", **changes}
        return str(self.ec2.create_volume(**wanted)["VolumeId"])

    def attached(self) -> tuple[str, str]:
        """A volume and the instance to which it is attached at /dev/sdf."""
        volume, instance = self.volume(), self.run()
        self.ec2.attach_volume(VolumeId=volume, InstanceId=instance, Device="/dev/sdf")
        return volume, instance

    # --- databases ----------------------------------------------------------------------------------------------

    def subnet_group(self, *subnets: str, name: str | None = None) -> str:
        name = name or self.name()
        wanted = subnets or (self.subnet("a"), self.subnet("b"))
        self.rds.create_db_subnet_group(DBSubnetGroupName=name, DBSubnetGroupDescription="test", SubnetIds=wanted)
        return name

    @cached_property
    def databases_group(self) -> str:
        return self.subnet_group()

    def database(self, **changes: Any) -> str:
        wanted = {
            "DBInstanceIdentifier": self.name(),
            "Engine": "postgres",
            "EngineVersion": "16.6",
            "DBInstanceClass": "db.t4g.micro",
            "AllocatedStorage": 20,
            "StorageType": "gp3",
            "MasterUsername": "academy",
            "MasterUserPassword": "correct-horse",
            "DBSubnetGroupName": self.databases_group,
            **changes,
        }
        created = self.rds.create_db_instance(**{name: value for name, value in wanted.items() if value is not None})
        return str(created["DBInstance"]["DBInstanceIdentifier"])

    def modified_database(self, **changes: Any) -> None:
        self.rds.modify_db_instance(DBInstanceIdentifier=self.database(), ApplyImmediately=True, **changes)

    # --- queues -------------------------------------------------------------------------------------------------

    def queue(self, name: str | None = None, **attributes: str) -> str:
        created = self.sqs.create_queue(QueueName=name or self.name(), Attributes=attributes)
        return str(created["QueueUrl"])

    def redriven(self, target: str, receives: Any = 3) -> str:
        """A queue whose failed messages go to another, of that name."""
        arn = f"arn:aws:sqs:{ACCOUNT_ARN}:{target}"
        policy = {"deadLetterTargetArn": arn, "maxReceiveCount": receives}
        return self.queue(RedrivePolicy=json.dumps(policy))

    def deleted_queue(self) -> str:
        name = self.name()
        self.sqs.delete_queue(QueueUrl=self.queue(name))
        return name

    # --- load balancers -----------------------------------------------------------------------------------------

    def load_balancer(self, **changes: Any) -> str:
        wanted = {"Name": self.name(), "Subnets": [self.subnet("a"), self.subnet("b")], **changes}
        return str(self.elbv2.create_load_balancer(**wanted)["LoadBalancers"][0]["LoadBalancerArn"])

    def target_group(self, **changes: Any) -> str:
        wanted = {"Name": self.name(), "Protocol": "HTTP", "Port": 8000, "VpcId": self.vpc, **changes}
        return str(self.elbv2.create_target_group(**wanted)["TargetGroups"][0]["TargetGroupArn"])

    def register(self, target: str) -> None:
        self.elbv2.register_targets(TargetGroupArn=self.target_group(), Targets=[{"Id": target}])

    def listener(self, **changes: Any) -> str:
        wanted = {"LoadBalancerArn": changes.get("LoadBalancerArn") or self.load_balancer(), "Protocol": "HTTP"}
        wanted |= {"Port": 80, **changes}
        if "DefaultActions" not in wanted:
            wanted["DefaultActions"] = [{"Type": "forward", "TargetGroupArn": self.target_group()}]
        return str(self.elbv2.create_listener(**wanted)["Listeners"][0]["ListenerArn"])

    def secure_listener(self, certificate: str, **changes: Any) -> str:
        return self.listener(Protocol="HTTPS", Port=443, Certificates=[{"CertificateArn": certificate}], **changes)

    def certificate(self, *, issued: bool = True) -> str:
        requested = self.client("acm").request_certificate(DomainName="example.com", ValidationMethod="DNS")
        arn = str(requested["CertificateArn"])
        if issued:
            self.api.backends("acm")._certificates[arn].status = "ISSUED"
        return arn

    @property
    def zone_name(self) -> str:
        return "strict.example"

    def hosted_zone(self, **changes: str) -> str:
        wanted = {"Name": self.zone_name, "CallerReference": self.name(), **changes}
        return str(self.client("route53").create_hosted_zone(**wanted)["HostedZone"]["Id"])

    # --- identity -----------------------------------------------------------------------------------------------

    @staticmethod
    def policy(**changes: Any) -> str:
        statement = {"Effect": "Allow", "Action": "ec2:DescribeInstances", "Resource": "*", **changes}
        return json.dumps({"Version": "2012-10-17", "Statement": [statement]})

    @staticmethod
    def long_policy(characters: int) -> str:
        return World.policy(Resource=f"arn:aws:s3:::{'b' * characters}")

    @staticmethod
    def trust(**changes: Any) -> str:
        principal = {"Service": ["ec2.amazonaws.com", "lambda.amazonaws.com"]}
        statement = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": principal, **changes}
        statement = {name: value for name, value in statement.items() if value is not None}
        return json.dumps({"Version": "2012-10-17", "Statement": [statement]})

    def role(self, name: str | None = None, trust: str | None = None, **changes: Any) -> str:
        name = name or self.name()
        self.iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust or self.trust(), **changes)
        return name

    def inline(self, document: str, role: str | None = None) -> None:
        self.iam.put_role_policy(RoleName=role or self.role(), PolicyName=self.name(), PolicyDocument=document)

    def managed(self, document: str | None = None) -> str:
        created = self.iam.create_policy(PolicyName=self.name(), PolicyDocument=document or self.policy())
        return str(created["Policy"]["Arn"])

    def role_with_managed(self, number: int) -> str:
        role = self.role()
        for _ in range(number):
            self.iam.attach_role_policy(RoleName=role, PolicyArn=self.managed())
        return role

    def profile(self, *, with_role: bool = True) -> str:
        name = self.name()
        self.iam.create_instance_profile(InstanceProfileName=name)
        if with_role:
            self.iam.add_role_to_instance_profile(InstanceProfileName=name, RoleName=self.role())
        return name

    # --- the rest -----------------------------------------------------------------------------------------------

    def log_group(self, name: str | None = None, **changes: Any) -> str:
        name = name or self.name()
        self.client("logs").create_log_group(logGroupName=name, **changes)
        return name

    def repository(self, name: str | None = None, **changes: Any) -> str:
        name = name or self.name()
        self.client("ecr").create_repository(repositoryName=name, **changes)
        return name

    def lifecycle(self, *selections: dict[str, Any], priorities: list[int] | None = None) -> None:
        rules = [
            {
                "rulePriority": priority,
                "selection": {
                    "tagStatus": "untagged",
                    "countType": "imageCountMoreThan",
                    "countNumber": 3,
                    **selection,
                },
                "action": {"type": "expire"},
            }
            for priority, selection in zip(priorities or itertools.count(1), selections, strict=False)
        ]
        policy = json.dumps({"rules": rules})
        self.client("ecr").put_lifecycle_policy(repositoryName=self.repository(), lifecyclePolicyText=policy)

    def rule(self, name: str | None = None, **changes: Any) -> str:
        name = name or self.name()
        self.events.put_rule(Name=name, **{"ScheduleExpression": "rate(1 minute)", **changes})
        return name

    def targets(self, *targets: dict[str, Any]) -> None:
        function = f"arn:aws:lambda:{ACCOUNT_ARN}:function:f"
        wanted = [{"Id": str(number), "Arn": function, **target} for number, target in enumerate(targets)]
        self.events.put_targets(Rule=self.rule(), Targets=wanted)

    def alarm(self, **changes: Any) -> None:
        wanted = {
            "AlarmName": self.name(),
            "Namespace": "AWS/SQS",
            "MetricName": "ApproximateNumberOfMessagesVisible",
            "Statistic": "Sum",
            "Period": 60,
            "EvaluationPeriods": 2,
            "Threshold": 1.0,
            "ComparisonOperator": "GreaterThanThreshold",
            **changes,
        }
        self.client("cloudwatch").put_metric_alarm(**wanted)

    @staticmethod
    def archive() -> bytes:
        content = io.BytesIO()
        with zipfile.ZipFile(content, "w") as archive:
            archive.writestr("module.py", "def handler(event, context): ...")
        return content.getvalue()

    def function(self, **changes: Any) -> str:
        wanted = {
            "FunctionName": self.name(),
            "Runtime": "python3.13",
            "Handler": "module.handler",
            "Role": f"arn:aws:iam::{settings.ACCOUNT_ID}:role/{self.role()}",
            "Code": {"ZipFile": self.archive()},
            **changes,
        }
        created = self.functions.create_function(**{name: value for name, value in wanted.items() if value is not None})
        return str(created["FunctionName"])

    def permission(self, function: str, statement: str) -> None:
        self.functions.add_permission(
            FunctionName=function,
            StatementId=statement,
            Action="lambda:InvokeFunction",
            Principal="events.amazonaws.com",
        )

    def topic(self) -> str:
        return str(self.client("sns").create_topic(Name=self.name())["TopicArn"])

    def subscribe(self, protocol: str, endpoint: str) -> None:
        self.client("sns").subscribe(TopicArn=self.topic(), Protocol=protocol, Endpoint=endpoint)

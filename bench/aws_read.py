# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The peer of the provisioning part: read with boto3, all at once, what its roles read. Nothing is compared or printed.

python -m bench.aws_read
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from localcloud import demo

THREADS = 8


Read = Callable[[], Any]


def queues(sqs: Any) -> Iterator[Read]:
    for url in sqs.list_queues(QueueNamePrefix="academy-").get("QueueUrls", []):
        yield partial(sqs.get_queue_attributes, QueueUrl=url, AttributeNames=["All"])
        yield partial(sqs.list_queue_tags, QueueUrl=url)


def roles(iam: Any) -> Iterator[Read]:
    for role in (found["RoleName"] for found in iam.list_roles()["Roles"]):
        yield partial(iam.get_role, RoleName=role)
        yield partial(iam.list_attached_role_policies, RoleName=role)
        # A function's role has none.
        yield partial(iam.list_instance_profiles_for_role, RoleName=role)
        for policy in iam.list_role_policies(RoleName=role)["PolicyNames"]:
            yield partial(iam.get_role_policy, RoleName=role, PolicyName=policy)


def repositories(ecr: Any) -> Iterator[Read]:
    for repository in ecr.describe_repositories()["repositories"]:
        yield partial(ecr.get_lifecycle_policy, repositoryName=repository["repositoryName"])
        yield partial(ecr.list_tags_for_resource, resourceArn=repository["repositoryArn"])


def log_groups(logs: Any) -> Iterator[Read]:
    for prefix in ("/academy/", "/aws/rds/instance/academy-db/"):
        for group in logs.describe_log_groups(logGroupNamePrefix=prefix)["logGroups"]:
            yield partial(logs.list_tags_for_resource, resourceArn=group["arn"].removesuffix(":*"))


def hosts(ec2: Any) -> Iterator[Read]:
    for instance in demo.instances():
        yield partial(
            ec2.describe_instance_attribute,
            InstanceId=instance["InstanceId"],
            Attribute="instanceInitiatedShutdownBehavior",
        )
    yield ec2.describe_volumes
    yield ec2.describe_security_groups
    yield ec2.describe_subnets


def database(rds: Any) -> Iterator[Read]:
    yield rds.describe_db_instances
    for group in rds.describe_db_subnet_groups()["DBSubnetGroups"]:
        yield partial(rds.list_tags_for_resource, ResourceName=group["DBSubnetGroupArn"])
    for group in rds.describe_db_parameter_groups()["DBParameterGroups"]:
        if group["DBParameterGroupName"].startswith("academy-"):
            yield partial(rds.list_tags_for_resource, ResourceName=group["DBParameterGroupArn"])
            yield partial(rds.describe_db_parameters, DBParameterGroupName=group["DBParameterGroupName"])


def alarms(cloudwatch: Any) -> Iterator[Read]:
    for alarm in cloudwatch.describe_alarms(AlarmNamePrefix="academy-")["MetricAlarms"]:
        yield partial(cloudwatch.list_tags_for_resource, ResourceARN=alarm["AlarmArn"])


def functions(lambda_: Any) -> Iterator[Read]:
    for function in (found["FunctionName"] for found in lambda_.list_functions()["Functions"]):
        yield partial(lambda_.get_function, FunctionName=function)
        yield partial(lambda_.get_policy, FunctionName=function)
        yield partial(lambda_.get_function_event_invoke_config, FunctionName=function)


def schedules(events: Any) -> Iterator[Read]:
    for rule in events.list_rules()["Rules"]:
        yield partial(events.list_targets_by_rule, Rule=rule["Name"])
        yield partial(events.list_tags_for_resource, ResourceARN=rule["Arn"])


def topics(sns: Any) -> Iterator[Read]:
    for topic in (found["TopicArn"] for found in sns.list_topics()["Topics"]):
        yield partial(sns.get_topic_attributes, TopicArn=topic)
        yield partial(sns.list_subscriptions_by_topic, TopicArn=topic)
        yield partial(sns.list_tags_for_resource, ResourceArn=topic)


def main() -> None:
    sections = {
        "cloudwatch": alarms, "ec2": hosts, "ecr": repositories, "events": schedules, "iam": roles,
        "lambda": functions, "logs": log_groups, "rds": database, "sns": topics, "sqs": queues,
    }  # fmt: skip
    clients = {service: demo.client(service) for service in sections}
    with ThreadPoolExecutor(THREADS) as pool:
        reads = pool.map(lambda service: list(sections[service](clients[service])), sections)
        pending = [pool.submit(read) for section in list(reads) for read in section]
        for read in pending:
            read.result()


if __name__ == "__main__":
    main()

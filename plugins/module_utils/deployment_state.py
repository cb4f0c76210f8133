# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Finding everything that a deployment made: by its Project tag, and by exact name what a tag was never put on.

Names alone never decide: `academy` is the beginning of `academy-b`. Where the tags of a thing cost a call of their own
and its name follows from the deployment's, only those are looked at whose names begin so, or are given. Queues,
repositories, alarms and subnet groups are named freely, and may once have been named otherwise: all are looked at.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from .aws_calls import Client, ReadError, Record, ask, ask_all
from .aws_state import NO_ENTITY, NO_QUEUE, THREADS, filters_of, read_bucket, tags_of
from .ecr_image import NO_REPOSITORY
from .queues import MESSAGE_COUNTS, message_count
from .spot import LIVING_STATES, STANDING_STATES

PROJECT = "Project"
# ELB tells the tags of so many at once.
TAGGED_AT_ONCE = 20
# And SQS the addresses of so many queues.
MOST_QUEUES = 1000


@dataclass(frozen=True)
class Deployment:
    """Whose things are looked for, and by kind the exact names of those that may lack the tag."""

    name: str
    untagged: Mapping[str, Sequence[str]]

    def may_own(self, kind: str, name: str) -> bool:
        """Whether it is worth a call to read its tags."""
        return name.startswith((f"{self.name}-", f"/{self.name}/")) or name in self.untagged.get(kind, ())

    def owns(self, kind: str, name: str, tags: Mapping[str, str]) -> bool:
        """Another deployment's tag is the end of it, whatever the name."""
        return tags[PROJECT] == self.name if PROJECT in tags else name in self.untagged.get(kind, ())

    @property
    def filters(self) -> list[Record]:
        return filters_of({f"tag:{PROJECT}": self.name})


def _each(look: Callable[[Any], Record | None], things: Sequence[Any]) -> list[Record]:
    """A look at each of them, many at the same time, without those that are none of ours or gone."""
    with ThreadPoolExecutor(THREADS) as pool:
        return [found for found in pool.map(look, things) if found is not None]


# --- what starts and watches the hosts ------------------------------------------------------------------------------


def _rules(events: Client, whose: Deployment) -> list[Record]:
    found = []
    for rule in ask_all(events, "list_rules", "Rules", NamePrefix=whose.name):
        if whose.may_own("rules", rule["Name"]):
            tags = ask(events, "list_tags_for_resource", "ResourceNotFoundException", ResourceARN=rule["Arn"]) or {}
            found.append({"name": rule["Name"], "tags": tags_of(tags.get("Tags", []))})
    return found


def _functions(client: Client, whose: Deployment) -> list[Record]:
    found = []
    for function in ask_all(client, "list_functions", "Functions"):
        if whose.may_own("functions", function["FunctionName"]):
            tags = ask(client, "list_tags", "ResourceNotFoundException", Resource=function["FunctionArn"]) or {}
            found.append({"name": function["FunctionName"], "tags": tags.get("Tags", {})})
    return found


def _alarms(cloudwatch: Client, whose: Deployment) -> list[Record]:
    """An alarm without tags is known by its name's beginning and the topic that it tells, the deployment's alone."""
    topics = tuple(f":{name}" for name in whose.untagged.get("topics", ()))

    def look(alarm: Record) -> Record:
        name, arn = alarm["AlarmName"], alarm["AlarmArn"]
        tags = ask(cloudwatch, "list_tags_for_resource", "ResourceNotFoundException", ResourceARN=arn) or {}
        known = tags_of(tags.get("Tags", []))
        untagged = PROJECT not in known
        if untagged and whose.may_own("alarms", name) and any(told.endswith(topics) for told in alarm["AlarmActions"]):
            known = {**known, PROJECT: whose.name}
        return {"name": name, "tags": known, "untagged": untagged}

    return _each(look, ask_all(cloudwatch, "describe_alarms", "MetricAlarms", AlarmTypes=["MetricAlarm"]))


def _topics(sns: Client, whose: Deployment) -> list[Record]:
    found = []
    for topic in ask_all(sns, "list_topics", "Topics"):
        arn, name = topic["TopicArn"], topic["TopicArn"].rpartition(":")[2]
        if whose.may_own("topics", name):
            tags = ask(sns, "list_tags_for_resource", "ResourceNotFound", "NotFoundException", ResourceArn=arn) or {}
            found.append({"name": name, "tags": tags_of(tags.get("Tags", []))})
    return found


# --- load balancer --------------------------------------------------------------------------------------------------


def _elb_tags(elbv2: Client, arns: Sequence[str]) -> dict[str, dict[str, str]]:
    tags = {}
    for start in range(0, len(arns), TAGGED_AT_ONCE):
        answer = ask(elbv2, "describe_tags", ResourceArns=list(arns[start : start + TAGGED_AT_ONCE]))
        tags.update({found["ResourceArn"]: tags_of(found["Tags"]) for found in answer["TagDescriptions"]})
    return tags


def _load_balancers(elbv2: Client, whose: Deployment) -> list[Record]:
    found = ask_all(elbv2, "describe_load_balancers", "LoadBalancers")
    tags = _elb_tags(elbv2, [balancer["LoadBalancerArn"] for balancer in found])
    records = []
    for balancer in found:
        arn, name = balancer["LoadBalancerArn"], balancer["LoadBalancerName"]
        if whose.owns("load_balancers", name, tags[arn]):
            answer = ask(elbv2, "describe_load_balancer_attributes", LoadBalancerArn=arn)
            attributes = {attribute["Key"]: attribute["Value"] for attribute in answer["Attributes"]}
            protected = attributes.get("deletion_protection.enabled") == "true"
            records.append({"name": name, "id": arn, "tags": tags[arn], "protected": protected})
    return records


def _target_groups(elbv2: Client, whose: Deployment) -> list[Record]:
    found = ask_all(elbv2, "describe_target_groups", "TargetGroups")
    tags = _elb_tags(elbv2, [group["TargetGroupArn"] for group in found])
    return [{"name": group["TargetGroupName"], "tags": tags[group["TargetGroupArn"]]} for group in found]


def _buckets(s3: Client, whose: Deployment) -> list[Record]:
    """Of the load balancer's access logs, by its exact name."""
    found = {name: read_bucket(s3, name) for name in whose.untagged.get("buckets", ())}
    return [{"name": name, "tags": bucket["tags"]} for name, bucket in found.items() if bucket is not None]


# --- EC2 ------------------------------------------------------------------------------------------------------------


def _name(record: Record) -> str:
    return tags_of(record.get("Tags", [])).get("Name", "")


def _ec2(record: Record, identifier: str, **details: Any) -> Record:
    """What EC2 itself has filtered by the tag."""
    return {"id": identifier, "name": _name(record), "tags": tags_of(record.get("Tags", [])), **details}


def _instances(ec2: Client, whose: Deployment) -> list[Record]:
    """Also those of the deployment's Spot requests: what EC2 launches again for one may have no tags."""
    requests = ask_all(ec2, "describe_spot_instance_requests", "SpotInstanceRequests", Filters=whose.filters)
    requested = {found["InstanceId"]: tags_of(found["Tags"]) for found in requests if found.get("InstanceId")}
    ways = [whose.filters, *([filters_of({"instance-id": sorted(requested)})] if requested else [])]
    alive = filters_of({"instance-state-name": LIVING_STATES})
    answers = [ask_all(ec2, "describe_instances", "Reservations", Filters=[*way, *alive]) for way in ways]
    instances = {
        instance["InstanceId"]: instance
        for answer in answers
        for reservation in answer
        for instance in reservation["Instances"]
    }
    records = []
    for name, instance in instances.items():
        tags = {**requested.get(name, {}), **tags_of(instance.get("Tags", []))}
        attribute = ask(
            ec2,
            "describe_instance_attribute",
            "InvalidInstanceID.NotFound",
            InstanceId=name,
            Attribute="disableApiTermination",
        )
        records.append(
            {
                "id": name,
                "name": tags.get("Name", ""),
                "tags": tags,
                "state": instance["State"]["Name"],
                "protected": bool((attribute or {}).get("DisableApiTermination", {}).get("Value")),
                "spot_request_id": instance.get("SpotInstanceRequestId", ""),
                "root_device": instance.get("RootDeviceName", ""),
                "disks": {
                    mapping["DeviceName"]: {
                        "id": mapping["Ebs"]["VolumeId"],
                        "ends_with_it": mapping["Ebs"]["DeleteOnTermination"],
                    }
                    for mapping in instance.get("BlockDeviceMappings", [])
                },
            }
        )
    return records


def _spot_requests(ec2: Client, whose: Deployment) -> list[Record]:
    alive = filters_of({"state": STANDING_STATES})
    found = ask_all(ec2, "describe_spot_instance_requests", "SpotInstanceRequests", Filters=[*whose.filters, *alive])
    return [_ec2(request, request["SpotInstanceRequestId"], state=request["State"]) for request in found]


def _launch_templates(ec2: Client, whose: Deployment) -> list[Record]:
    found = ask_all(ec2, "describe_launch_templates", "LaunchTemplates", Filters=whose.filters)
    return [
        {**_ec2(template, template["LaunchTemplateId"]), "name": template["LaunchTemplateName"]} for template in found
    ]


def _key_pairs(ec2: Client, whose: Deployment) -> list[Record]:
    answer = ask(ec2, "describe_key_pairs", Filters=whose.filters)
    return [{**_ec2(pair, pair["KeyPairId"]), "name": pair["KeyName"]} for pair in answer["KeyPairs"]]


def _volumes(ec2: Client, whose: Deployment) -> list[Record]:
    found = ask_all(ec2, "describe_volumes", "Volumes", Filters=whose.filters)
    return [
        _ec2(
            volume,
            volume["VolumeId"],
            size_gib=volume["Size"],
            ends_with_instance=any(attachment["DeleteOnTermination"] for attachment in volume["Attachments"]),
        )
        for volume in found
        if volume["State"] != "deleting"
    ]


def _snapshots(ec2: Client, whose: Deployment) -> list[Record]:
    found = ask_all(ec2, "describe_snapshots", "Snapshots", OwnerIds=["self"], Filters=whose.filters)
    return [
        _ec2(
            snapshot,
            snapshot["SnapshotId"],
            volume_id=snapshot["VolumeId"],
            size_gib=snapshot["VolumeSize"],
            state=snapshot["State"],
        )
        for snapshot in found
    ]


def _security_groups(ec2: Client, whose: Deployment) -> list[Record]:
    found = ask_all(ec2, "describe_security_groups", "SecurityGroups", Filters=whose.filters)
    return [
        {
            **_ec2(group, group["GroupId"], description=group["Description"], vpc_id=group["VpcId"]),
            "name": group["GroupName"],
        }
        for group in found
    ]


def _addresses(ec2: Client, whose: Deployment) -> list[Record]:
    answer = ask(ec2, "describe_addresses", Filters=whose.filters)
    return [_ec2(address, address["AllocationId"], address=address["PublicIp"]) for address in answer["Addresses"]]


# --- RDS ------------------------------------------------------------------------------------------------------------


def _databases(rds: Client, whose: Deployment) -> list[Record]:
    return [
        {
            "name": instance["DBInstanceIdentifier"],
            "id": instance["DBInstanceArn"],
            "tags": tags_of(instance.get("TagList", [])),
            "status": instance["DBInstanceStatus"],
            "protected": instance.get("DeletionProtection", False),
        }
        for instance in ask_all(rds, "describe_db_instances", "DBInstances")
    ]


def _database_snapshots(rds: Client, whose: Deployment) -> list[Record]:
    return [
        {
            "name": snapshot["DBSnapshotIdentifier"],
            "tags": tags_of(snapshot.get("TagList", [])),
            "size_gib": snapshot.get("AllocatedStorage", 0),
        }
        for snapshot in ask_all(rds, "describe_db_snapshots", "DBSnapshots", SnapshotType="manual")
    ]


def _subnet_groups(rds: Client, whose: Deployment) -> list[Record]:
    def look(group: Record) -> Record:
        arn = group["DBSubnetGroupArn"]
        tags = ask(rds, "list_tags_for_resource", "DBSubnetGroupNotFoundFault", ResourceName=arn) or {}
        return {"name": group["DBSubnetGroupName"], "tags": tags_of(tags.get("TagList", []))}

    return _each(look, ask_all(rds, "describe_db_subnet_groups", "DBSubnetGroups"))


def _parameter_groups(rds: Client, whose: Deployment) -> list[Record]:
    found = []
    for group in ask_all(rds, "describe_db_parameter_groups", "DBParameterGroups"):
        name, arn = group["DBParameterGroupName"], group["DBParameterGroupArn"]
        if whose.may_own("parameter_groups", name):
            tags = ask(rds, "list_tags_for_resource", "DBParameterGroupNotFound", ResourceName=arn) or {}
            found.append({"name": name, "tags": tags_of(tags.get("TagList", []))})
    return found


# --- queues, images, logs, permissions ------------------------------------------------------------------------------


def _queues(sqs: Client, whose: Deployment) -> list[Record]:
    def look(url: Any) -> Record | None:
        name = str(url).rpartition("/")[2]
        answer = ask(sqs, "list_queue_tags", *NO_QUEUE, QueueUrl=url)
        if answer is None:  # listed for a while after its end
            return None
        tags = answer.get("Tags", {})
        if not whose.owns("queues", name, tags):
            return None
        counts = ask(sqs, "get_queue_attributes", *NO_QUEUE, QueueUrl=url, AttributeNames=list(MESSAGE_COUNTS))
        return counts and {"name": name, "tags": tags, "messages": message_count(counts["Attributes"])}

    # Not asked for so many at once, SQS tells no more than these.
    return _each(look, ask_all(sqs, "list_queues", "QueueUrls", MaxResults=MOST_QUEUES))


def _repositories(ecr: Client, whose: Deployment) -> list[Record]:
    def look(repository: Record) -> Record | None:
        name, arn = repository["repositoryName"], repository["repositoryArn"]
        answer = ask(ecr, "list_tags_for_resource", NO_REPOSITORY, resourceArn=arn) or {}
        tags = tags_of(answer.get("tags", []))
        if not whose.owns("repositories", name, tags):
            return None
        images = ask_all(ecr, "list_images", "imageIds", NO_REPOSITORY, repositoryName=name)
        return {"name": name, "tags": tags, "images": len({image["imageDigest"] for image in images})}

    return _each(look, ask_all(ecr, "describe_repositories", "repositories"))


def _holds_logs(logs: Client, group: Record) -> bool:
    """What CloudWatch says of the bytes comes late, so that a stream counts too."""
    if group.get("storedBytes"):
        return True
    name = group["logGroupName"]
    answer = ask(logs, "describe_log_streams", "ResourceNotFoundException", logGroupName=name, limit=1)
    return bool((answer or {}).get("logStreams"))


def _log_groups(logs: Client, whose: Deployment) -> list[Record]:
    found = []
    for group in ask_all(logs, "describe_log_groups", "logGroups"):
        name, arn = group["logGroupName"], group["arn"].removesuffix(":*")
        if whose.may_own("log_groups", name):
            tags = ask(logs, "list_tags_for_resource", "ResourceNotFoundException", resourceArn=arn) or {}
            found.append({"name": name, "tags": tags.get("tags", {}), "holds_logs": _holds_logs(logs, group)})
    return found


def _profiles(iam: Client, whose: Deployment) -> list[Record]:
    found = []
    for profile in ask_all(iam, "list_instance_profiles", "InstanceProfiles"):
        name = profile["InstanceProfileName"]
        if whose.may_own("instance_profiles", name):
            answer = ask(iam, "get_instance_profile", NO_ENTITY, InstanceProfileName=name) or {"InstanceProfile": {}}
            found.append({"name": name, "tags": tags_of(answer["InstanceProfile"].get("Tags", []))})
    return found


def _roles(iam: Client, whose: Deployment) -> list[Record]:
    found = []
    for role in ask_all(iam, "list_roles", "Roles"):
        name = role["RoleName"]
        if whose.may_own("roles", name):
            tags = ask(iam, "list_role_tags", NO_ENTITY, RoleName=name) or {}
            found.append({"name": name, "tags": tags_of(tags.get("Tags", []))})
    return found


# --- all of it ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Kind:
    name: str
    service: str
    read: Callable[[Client, Deployment], list[Record]]


KINDS = (
    Kind("rules", "events", _rules),
    Kind("functions", "lambda", _functions),
    Kind("alarms", "cloudwatch", _alarms),
    Kind("topics", "sns", _topics),
    Kind("load_balancers", "elbv2", _load_balancers),
    Kind("target_groups", "elbv2", _target_groups),
    Kind("spot_requests", "ec2", _spot_requests),
    Kind("instances", "ec2", _instances),
    Kind("launch_templates", "ec2", _launch_templates),
    Kind("key_pairs", "ec2", _key_pairs),
    Kind("databases", "rds", _databases),
    Kind("volumes", "ec2", _volumes),
    Kind("queues", "sqs", _queues),
    Kind("repositories", "ecr", _repositories),
    Kind("log_groups", "logs", _log_groups),
    Kind("instance_profiles", "iam", _profiles),
    Kind("roles", "iam", _roles),
    Kind("subnet_groups", "rds", _subnet_groups),
    Kind("parameter_groups", "rds", _parameter_groups),
    Kind("security_groups", "ec2", _security_groups),
    Kind("snapshots", "ec2", _snapshots),
    Kind("database_snapshots", "rds", _database_snapshots),
    Kind("addresses", "ec2", _addresses),
    Kind("buckets", "s3", _buckets),
)


def _read_kind(kind: Kind, client: Client, whose: Deployment) -> list[Record]:
    try:
        found = kind.read(client, whose)
    except ReadError as error:
        error.section = kind.name
        raise
    owned = [
        {"untagged": PROJECT not in record["tags"], **record}
        for record in found
        if whose.owns(kind.name, record["name"], record["tags"])
    ]
    return sorted(owned, key=lambda record: (record["name"], record.get("id", "")))


def read_deployment(whose: Deployment, make_client: Callable[[str], Client]) -> dict[str, list[Record]]:
    """Everything there is, by kind. Clients are made here, because making them is not safe in threads."""
    clients = {service: make_client(service) for service in sorted({kind.service for kind in KINDS})}
    with ThreadPoolExecutor(THREADS) as pool:
        answers = list(pool.map(lambda kind: _read_kind(kind, clients[kind.service], whose), KINDS))
    return {kind.name: answer for kind, answer in zip(KINDS, answers, strict=True)}

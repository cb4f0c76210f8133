# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading the AWS side of the deployment: every section at the same time, nothing written.

What does not exist is left out or None. An answer that is an error names the section and the call.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from datetime import datetime
from functools import partial
from typing import Any

from ansible.module_utils.common.dict_transformations import camel_dict_to_snake_dict

from .aws_calls import Client, ReadError, Record, ask, ask_all
from .ecr_image import NO_REPOSITORY, read_container_image
from .network import NetworkError, Subnet, choose_network, subnet_filters

# As many as a client of boto3 has connections.
THREADS = 10
ANYWHERE = "0.0.0.0/0"
CERTIFICATES = ("validate_certs", "aws_ca_bundle")


class UnfitNetworkError(NetworkError):
    """The network does not fit; the rest was read all the same."""

    def __init__(self, message: str, state: Record) -> None:
        super().__init__(message)
        self.state = state


def filters_of(values: Mapping[str, Any]) -> list[Record]:
    """Filters as EC2 takes them, of names and one value or several."""
    return [
        {"Name": name, "Values": list(value) if isinstance(value, (list, tuple)) else [value]}
        for name, value in values.items()
    ]


def tags_of(tags: Sequence[Mapping[str, str]]) -> dict[str, str]:
    """Tags as a dictionary, of AWS's list."""
    return {tag["Key"]: tag["Value"] for tag in tags}


def _snake(record: Record) -> Record:
    """A record without policies and tags, whose keys are data."""
    snake: Record = camel_dict_to_snake_dict(record)
    return snake


def _tagged(record: Record, tags_key: str = "Tags") -> Record:
    tags = tags_of(record.get(tags_key, []))
    return {**_snake({key: value for key, value in record.items() if key != tags_key}), "tags": tags}


# --- STS ------------------------------------------------------------------------------------------------------------


def read_caller(sts: Client, _: bool) -> Record:
    answer = ask(sts, "get_caller_identity")
    return {"account": answer["Account"], "arn": answer["Arn"]}


# --- the account ----------------------------------------------------------------------------------------------------


def _or_untold(read: Callable[[], Any]) -> Any:
    """What AWS tells, or why it does not: who may not ask is not refused for it."""
    try:
        return read()
    except ReadError as error:
        return {"untold": str(error.cause)}


def read_account_plan(freetier: Client, _: bool) -> Record:
    """An account that is older than these plans has none."""

    def told() -> Record:
        answer = ask(freetier, "get_account_plan_state", "ResourceNotFoundException") or {}
        return {"type": answer.get("accountPlanType", "")}

    found: Record = _or_untold(told)
    return found


def read_quota(quotas: Client, code: str) -> Any:
    return _or_untold(lambda: ask(quotas, "get_service_quota", ServiceCode="ec2", QuotaCode=code)["Quota"]["Value"])


EBS_ALIAS = "alias/aws/ebs"


def read_default_key(ec2: Client, _: bool) -> Any:
    """By which EC2 encrypts volumes where nobody names a key."""
    return _or_untold(lambda: ask(ec2, "get_ebs_default_kms_key_id")["KmsKeyId"])


def read_managed_key(kms: Client, _: bool) -> Any:
    """The number of the key that AWS manages for EBS; empty where there is none yet."""

    def told() -> str:
        aliases = ask_all(kms, "list_aliases", "Aliases")
        return next((alias.get("TargetKeyId", "") for alias in aliases if alias["AliasName"] == EBS_ALIAS), "")

    return _or_untold(told)


# --- IAM ------------------------------------------------------------------------------------------------------------

NO_ENTITY = "NoSuchEntity"


def read_role(iam: Client, name: str) -> Record | None:
    answer = ask(iam, "get_role", NO_ENTITY, RoleName=name)
    if answer is None:
        return None
    role = answer["Role"]
    attached = ask_all(iam, "list_attached_role_policies", "AttachedPolicies", NO_ENTITY, RoleName=name)
    inline: Record = {}
    for policy in ask_all(iam, "list_role_policies", "PolicyNames", NO_ENTITY, RoleName=name):
        found = ask(iam, "get_role_policy", NO_ENTITY, RoleName=name, PolicyName=policy)
        if found is not None:
            inline[str(policy)] = found["PolicyDocument"]
    return {
        "arn": role["Arn"],
        "description": role.get("Description", ""),
        "trust_policy": role["AssumeRolePolicyDocument"],
        "managed_policies": sorted(policy["PolicyArn"] for policy in attached),
        "inline_policies": inline,
        "tags": tags_of(role.get("Tags", [])),
    }


def read_instance_profile(iam: Client, name: str) -> Record | None:
    answer = ask(iam, "get_instance_profile", NO_ENTITY, InstanceProfileName=name)
    if answer is None:
        return None
    profile = answer["InstanceProfile"]
    return {
        "arn": profile["Arn"],
        "roles": [role["RoleName"] for role in profile["Roles"]],
        "tags": tags_of(profile.get("Tags", [])),
    }


# --- SQS ------------------------------------------------------------------------------------------------------------

NO_QUEUE = ("AWS.SimpleQueueService.NonExistentQueue", "QueueDoesNotExist")


def read_queue(sqs: Client, name: str) -> Record | None:
    answer = ask(sqs, "get_queue_url", *NO_QUEUE, QueueName=name)
    if answer is None:
        return None
    url = answer["QueueUrl"]
    found = ask(sqs, "get_queue_attributes", *NO_QUEUE, QueueUrl=url, AttributeNames=["All"])
    tags = ask(sqs, "list_queue_tags", *NO_QUEUE, QueueUrl=url)
    if found is None or tags is None:  # deleted meanwhile
        return None
    attributes = found["Attributes"]
    return {
        "url": url,
        "arn": attributes["QueueArn"],
        "attributes": attributes,
        "redrive_policy": json.loads(attributes.get("RedrivePolicy") or "null"),
        "tags": tags.get("Tags", {}),
    }


# --- ECR ------------------------------------------------------------------------------------------------------------


def read_repository(ecr: Client, name: str) -> Record | None:
    found = ask_all(ecr, "describe_repositories", "repositories", NO_REPOSITORY, repositoryNames=[name])
    if not found:
        return None
    (repository,) = found
    arn = repository["repositoryArn"]
    lifecycle = ask(ecr, "get_lifecycle_policy", "LifecyclePolicyNotFoundException", NO_REPOSITORY, repositoryName=name)
    tags = ask(ecr, "list_tags_for_resource", NO_REPOSITORY, resourceArn=arn) or {}
    return {
        "arn": arn,
        "uri": repository["repositoryUri"],
        "image_tag_mutability": repository["imageTagMutability"],
        "scan_on_push": repository.get("imageScanningConfiguration", {}).get("scanOnPush", False),
        "lifecycle_policy": json.loads(lifecycle["lifecyclePolicyText"]) if lifecycle else None,
        "tags": tags_of(tags.get("tags", [])),
    }


def read_image_tags(ecr: Client, name: str) -> Record:
    """The tags of each image of a repository, by its digest."""
    images = ask_all(ecr, "describe_images", "imageDetails", NO_REPOSITORY, repositoryName=name)
    return {image["imageDigest"]: sorted(image.get("imageTags", [])) for image in images}


# --- CloudWatch Logs ------------------------------------------------------------------------------------------------


def read_log_groups(logs: Client, prefixes: Sequence[str]) -> Record:
    """Those whose names begin so, or so."""
    groups = {}
    for group in (
        group
        for prefix in prefixes
        for group in ask_all(logs, "describe_log_groups", "logGroups", logGroupNamePrefix=prefix)
    ):
        arn = group["arn"].removesuffix(":*")
        tags = ask(logs, "list_tags_for_resource", "ResourceNotFoundException", resourceArn=arn) or {}
        groups[group["logGroupName"]] = {
            "arn": arn,
            "retention_days": group.get("retentionInDays"),
            "tags": tags.get("tags", {}),
        }
    return groups


def read_log_stream(logs: Client, name: str) -> bool | None:
    """Whether a group has the stream, both named as <group>:<stream>; None where there is no group."""
    group, _, stream = name.partition(":")
    asked = {"logGroupName": group, "logStreamNamePrefix": stream}
    answer = ask(logs, "describe_log_streams", "ResourceNotFoundException", **asked)
    # In the order of their names, so that it is the first of those that begin like it.
    return None if answer is None else any(found["logStreamName"] == stream for found in answer["logStreams"])


# --- CloudWatch alarms and SNS ---------------------------------------------------------------------------------------


def read_alarms(cloudwatch: Client, prefix: str) -> Record:
    """As CloudWatch tells them, because what an alarm says is told to the service in the same words; and their tags."""
    found = ask_all(cloudwatch, "describe_alarms", "MetricAlarms", AlarmNamePrefix=prefix, AlarmTypes=["MetricAlarm"])
    alarms = {}
    for alarm in found:
        arn = alarm["AlarmArn"]
        tags = ask(cloudwatch, "list_tags_for_resource", "ResourceNotFoundException", ResourceARN=arn) or {}
        alarms[alarm["AlarmName"]] = {**alarm, "tags": tags_of(tags.get("Tags", []))}
    return alarms


def read_topic(sns: Client, arn: str) -> Record | None:
    missing = ("NotFound", "NotFoundException")
    found = ask(sns, "get_topic_attributes", *missing, TopicArn=arn)
    if found is None:
        return None
    subscriptions = ask_all(sns, "list_subscriptions_by_topic", "Subscriptions", *missing, TopicArn=arn)
    tags = ask(sns, "list_tags_for_resource", "ResourceNotFound", "ResourceNotFoundException", ResourceArn=arn) or {}
    return {
        "policy": json.loads(found["Attributes"].get("Policy") or "null"),
        "subscriptions": [
            {
                "protocol": subscription["Protocol"],
                "endpoint": subscription["Endpoint"],
                # Until its owner has answered the mail, it has no name of its own and cannot be removed.
                "confirmed": subscription["SubscriptionArn"].startswith("arn:"),
                # Listed for some days more.
                "deleted": subscription["SubscriptionArn"] == "Deleted",
            }
            for subscription in subscriptions
        ],
        "tags": tags_of(tags.get("Tags", [])),
    }


# --- Lambda and EventBridge ------------------------------------------------------------------------------------------

NO_RESOURCE = "ResourceNotFoundException"


# What Lambda does where nobody said otherwise.
DEFAULT_RETRIES = 2


def read_retries(functions: Client, name: str) -> int:
    """How often a failed asynchronous invocation is tried again."""
    found = ask(functions, "get_function_event_invoke_config", NO_RESOURCE, FunctionName=name) or {}
    return int(found.get("MaximumRetryAttempts", DEFAULT_RETRIES))


def read_function(functions: Client, name: str) -> Record | None:
    answer = ask(functions, "get_function", NO_RESOURCE, FunctionName=name)
    if answer is None:
        return None
    found = answer["Configuration"]
    policy = ask(functions, "get_policy", NO_RESOURCE, FunctionName=name)
    return {
        "arn": found["FunctionArn"],
        "description": found.get("Description", ""),
        "runtime": found.get("Runtime"),
        "handler": found.get("Handler"),
        "role": found["Role"],
        "timeout_seconds": found["Timeout"],
        "memory_mib": found["MemorySize"],
        "architecture": ", ".join(found["Architectures"]),
        "environment": found.get("Environment", {}).get("Variables", {}),
        "code_sha256": found["CodeSha256"],
        "log_group": found["LoggingConfig"]["LogGroup"],
        "retries": read_retries(functions, name),
        "statements": json.loads(policy["Policy"])["Statement"] if policy else [],
        "tags": answer.get("Tags", {}),
    }


def read_schedule(events: Client, name: str) -> Record | None:
    found = ask(events, "describe_rule", NO_RESOURCE, Name=name)
    if found is None:
        return None
    targets = ask_all(events, "list_targets_by_rule", "Targets", NO_RESOURCE, Rule=name)
    tags = ask(events, "list_tags_for_resource", NO_RESOURCE, ResourceARN=found["Arn"]) or {}
    return {
        "arn": found["Arn"],
        "description": found.get("Description", ""),
        "schedule": found.get("ScheduleExpression"),
        "event_pattern": found.get("EventPattern"),
        "state": found["State"],
        "role": found.get("RoleArn"),
        "targets": targets,
        "tags": tags_of(tags.get("Tags", [])),
    }


# --- RDS ------------------------------------------------------------------------------------------------------------


def read_database(rds: Client, identifier: str) -> Record | None:
    found = ask_all(
        rds,
        "describe_db_instances",
        "DBInstances",
        "DBInstanceNotFound",
        "DBInstanceNotFoundFault",
        DBInstanceIdentifier=identifier,
    )
    return _tagged(found[0], "TagList") if found else None


def read_subnet_group(rds: Client, name: str) -> Record | None:
    found = ask_all(
        rds, "describe_db_subnet_groups", "DBSubnetGroups", "DBSubnetGroupNotFoundFault", DBSubnetGroupName=name
    )
    if not found:
        return None
    group = found[0]
    arn = group["DBSubnetGroupArn"]
    tags = ask(rds, "list_tags_for_resource", "DBSubnetGroupNotFoundFault", ResourceName=arn) or {}
    return {
        "arn": arn,
        "vpc_id": group["VpcId"],
        "description": group["DBSubnetGroupDescription"],
        "subnet_ids": sorted(subnet["SubnetIdentifier"] for subnet in group["Subnets"]),
        "tags": tags_of(tags.get("TagList", [])),
    }


def read_parameter_group(rds: Client, name: str) -> Record | None:
    """With the value of each parameter that has one, whoever set it: RDS calls its own what was set to its default."""
    missing = "DBParameterGroupNotFound"
    found = ask_all(rds, "describe_db_parameter_groups", "DBParameterGroups", missing, DBParameterGroupName=name)
    if not found:
        return None
    tags = ask(rds, "list_tags_for_resource", missing, ResourceName=found[0]["DBParameterGroupArn"]) or {}
    parameters = ask_all(rds, "describe_db_parameters", "Parameters", missing, DBParameterGroupName=name)
    return {
        "parameters": {one["ParameterName"]: one["ParameterValue"] for one in parameters if "ParameterValue" in one},
        "tags": tags_of(tags.get("TagList", [])),
    }


# --- load balancers -------------------------------------------------------------------------------------------------


def _attributes(answer: Record) -> dict[str, str]:
    return {attribute["Key"]: attribute["Value"] for attribute in answer.get("Attributes", [])}


def _tags_of_elb(elbv2: Client, arn: str, *missing: str) -> dict[str, str]:
    answer = ask(elbv2, "describe_tags", *missing, ResourceArns=[arn]) or {"TagDescriptions": []}
    return tags_of([tag for found in answer["TagDescriptions"] for tag in found["Tags"]])


def _read_listeners(elbv2: Client, arn: str) -> list[Record]:
    """As told, because its actions are told to the service; with all that has calls of its own."""
    missing = ("LoadBalancerNotFound", "ListenerNotFound")
    return [
        {**listener, **_read_listener(elbv2, listener["ListenerArn"], secure=listener["Protocol"] == "HTTPS")}
        for listener in ask_all(elbv2, "describe_listeners", "Listeners", *missing, LoadBalancerArn=arn)
    ]


def _read_listener(elbv2: Client, arn: str, *, secure: bool) -> Record:
    """The rules that come before what it does otherwise, the certificates beside its own, its attributes and tags."""
    missing = "ListenerNotFound"
    operation = "describe_listener_certificates"
    certificates = ask_all(elbv2, operation, "Certificates", missing, ListenerArn=arn) if secure else []
    return {
        "Rules": [
            rule
            for rule in ask_all(elbv2, "describe_rules", "Rules", missing, ListenerArn=arn)
            if not rule["IsDefault"]
        ],
        "MoreCertificates": sorted(one["CertificateArn"] for one in certificates if not one.get("IsDefault")),
        "Attributes": _attributes(ask(elbv2, "describe_listener_attributes", missing, ListenerArn=arn) or {}),
        "Tags": _tags_of_elb(elbv2, arn, missing),
    }


def read_load_balancer(elbv2: Client, name: str) -> Record | None:
    missing = "LoadBalancerNotFound"
    found = ask_all(elbv2, "describe_load_balancers", "LoadBalancers", missing, Names=[name])
    if not found:
        return None
    arn = found[0]["LoadBalancerArn"]
    attributes = ask(elbv2, "describe_load_balancer_attributes", missing, LoadBalancerArn=arn) or {}
    return {
        **_snake(found[0]),
        "attributes": _attributes(attributes),
        "listeners": _read_listeners(elbv2, arn),
        "tags": _tags_of_elb(elbv2, arn, missing),
    }


def read_target_group(elbv2: Client, name: str) -> Record | None:
    """With its targets, each with its port, its state and, unless it is healthy, why."""
    missing = "TargetGroupNotFound"
    found = ask_all(elbv2, "describe_target_groups", "TargetGroups", missing, Names=[name])
    if not found:
        return None
    arn = found[0]["TargetGroupArn"]
    attributes = ask(elbv2, "describe_target_group_attributes", missing, TargetGroupArn=arn) or {}
    health = ask(elbv2, "describe_target_health", missing, TargetGroupArn=arn) or {}
    return {
        **_snake(found[0]),
        "attributes": _attributes(attributes),
        "targets": [
            {
                "id": told["Target"]["Id"],
                "port": int(told["Target"]["Port"]),
                "state": told["TargetHealth"]["State"],
                "reason": told["TargetHealth"].get("Reason", ""),
                "description": told["TargetHealth"].get("Description", ""),
            }
            for told in health.get("TargetHealthDescriptions", [])
        ],
        "tags": _tags_of_elb(elbv2, arn, missing),
    }


# --- buckets --------------------------------------------------------------------------------------------------------


def read_bucket(s3: Client, name: str) -> Record | None:
    """With what was set of it; nothing of what lies in it."""
    if ask(s3, "get_bucket_location", "NoSuchBucket", Bucket=name) is None:
        return None

    def asked(operation: str, *missing: str) -> Record:
        answer: Record = ask(s3, operation, "NoSuchBucket", *missing, Bucket=name) or {}
        return answer

    block = asked("get_public_access_block", "NoSuchPublicAccessBlockConfiguration")
    rules = asked("get_bucket_lifecycle_configuration", "NoSuchLifecycleConfiguration").get("Rules", [])
    return {
        "policy": json.loads(asked("get_bucket_policy", "NoSuchBucketPolicy").get("Policy", "{}")),
        "public_access_block": block.get("PublicAccessBlockConfiguration", {}),
        "lifecycle": [
            {
                "status": rule["Status"],
                "prefix": rule.get("Filter", {}).get("Prefix"),
                "expiration": rule.get("Expiration"),
            }
            for rule in rules
        ],
        "tags": tags_of(asked("get_bucket_tagging", "NoSuchTagSet").get("TagSet", [])),
    }


# --- certificates and DNS -------------------------------------------------------------------------------------------

NO_CERTIFICATE = "ResourceNotFoundException"


def _read_certificate(acm: Client, arn: str) -> Record | None:
    answer = ask(acm, "describe_certificate", NO_CERTIFICATE, CertificateArn=arn)
    tags = ask(acm, "list_tags_for_certificate", NO_CERTIFICATE, CertificateArn=arn)
    if answer is None or tags is None:
        return None
    found = answer["Certificate"]
    ends = found.get("NotAfter")
    return {
        **_snake(found),
        "expires_in_days": (ends - datetime.now(ends.tzinfo)).days if ends else None,
        "tags": tags_of(tags.get("Tags", [])),
    }


def read_certificates(acm: Client, wanted: str) -> list[Record]:
    """The certificate that has this ARN, or all that were made for this name."""
    if wanted.startswith("arn:"):
        arns = [wanted]
    else:
        summaries = ask_all(acm, "list_certificates", "CertificateSummaryList")
        arns = [found["CertificateArn"] for found in summaries if found["DomainName"].lower() == wanted.lower()]
    return [found for arn in arns if (found := _read_certificate(acm, arn)) is not None]


def _is_above(zone: Record, name: str) -> bool:
    private = zone.get("Config", {}).get("PrivateZone", False)
    return not private and f".{name.rstrip('.')}.".lower().endswith(f".{zone['Name'].lower()}")


def read_hosted_zone(route53: Client, name: str) -> Record | None:
    """The account's public zone that is nearest above a name, with its records."""
    zones = [zone for zone in ask_all(route53, "list_hosted_zones", "HostedZones") if _is_above(zone, name)]
    if not zones:
        return None
    zone = max(zones, key=lambda each: len(each["Name"]))
    zone_id = zone["Id"].rpartition("/")[2]
    records = ask_all(
        route53, "list_resource_record_sets", "ResourceRecordSets", "NoSuchHostedZone", HostedZoneId=zone_id
    )
    return {
        "id": zone_id,
        "name": zone["Name"].rstrip("."),
        "records": [
            {
                "name": record["Name"].rstrip(".").lower(),
                "type": record["Type"],
                "values": [value["Value"] for value in record.get("ResourceRecords", [])],
                "alias": record.get("AliasTarget", {}).get("DNSName", "").rstrip(".").lower(),
            }
            for record in records
        ],
    }


# --- SSM ------------------------------------------------------------------------------------------------------------


def read_image(ssm: Client, parameter: str) -> str | None:
    """The id of the machine image that a public or own parameter names."""
    answer = ask(ssm, "get_parameter", "ParameterNotFound", Name=parameter)
    return str(answer["Parameter"]["Value"]) if answer else None


def read_lock_generations(ssm: Client, path: str) -> list[Record]:
    """The parameters right below a path, as deploy_lock.read_locks takes them."""
    return ask_all(ssm, "get_parameters_by_path", "Parameters", Path=path)


def read_release_history(ssm: Client, name: str) -> list[Record]:
    """Every version of a parameter that SSM still has, as releases.read_releases takes them."""
    return ask_all(ssm, "get_parameter_history", "Parameters", "ParameterNotFound", Name=name)


# --- EC2 ------------------------------------------------------------------------------------------------------------


def read_subnets(ec2: Client, filters: Mapping[str, Any]) -> list[Subnet]:
    found = ask_all(ec2, "describe_subnets", "Subnets", Filters=filters_of(filters))
    return [Subnet(subnet["SubnetId"], subnet["VpcId"], subnet["AvailabilityZone"]) for subnet in found]


def read_route_tables(ec2: Client, _: bool) -> Any:
    """Of every VPC: the subnets that each names, whether it is for the VPC's others, and whether it leads out."""
    return _or_untold(lambda: _route_tables(ec2))


def _route_tables(ec2: Client) -> list[Record]:
    return [
        {
            "vpc_id": table["VpcId"],
            "subnet_ids": [one["SubnetId"] for one in table["Associations"] if "SubnetId" in one],
            "is_main": any(one.get("Main") for one in table["Associations"]),
            "leads_out": any(
                route.get("DestinationCidrBlock") == ANYWHERE and route.get("State") == "active"
                for route in table["Routes"]
            ),
        }
        for table in ask_all(ec2, "describe_route_tables", "RouteTables")
    ]


def read_security_groups(ec2: Client, names: Sequence[str]) -> list[Record]:
    """Of every VPC: a name means one group in each."""
    if not names:
        return []
    found = ask_all(ec2, "describe_security_groups", "SecurityGroups", Filters=filters_of({"group-name": names}))
    return [_tagged(group) for group in found]


def read_instance_types(ec2: Client, types: Sequence[str]) -> Record:
    """Those that exist in the region, with the zones that offer them."""
    if not types:
        return {}
    filters = filters_of({"instance-type": types})
    offerings = ask_all(
        ec2,
        "describe_instance_type_offerings",
        "InstanceTypeOfferings",
        LocationType="availability-zone",
        Filters=filters,
    )
    return {
        found["InstanceType"]: {
            "memory_mib": found["MemoryInfo"]["SizeInMiB"],
            "architectures": sorted(found["ProcessorInfo"]["SupportedArchitectures"]),
            "has_cpu_credits": found["BurstablePerformanceSupported"],
            "vcpus": found["VCpuInfo"]["DefaultVCpus"],
            "is_free": found["FreeTierEligible"],
            "zones": sorted(
                offering["Location"] for offering in offerings if offering["InstanceType"] == found["InstanceType"]
            ),
        }
        for found in ask_all(ec2, "describe_instance_types", "InstanceTypes", Filters=filters)
    }


def _read_shutdown_behavior(ec2: Client, instance_id: str) -> str | None:
    attribute = "instanceInitiatedShutdownBehavior"
    answer = ask(
        ec2, "describe_instance_attribute", "InvalidInstanceID.NotFound", InstanceId=instance_id, Attribute=attribute
    )
    behavior: str | None = (answer or {}).get("InstanceInitiatedShutdownBehavior", {}).get("Value")
    return behavior


def _read_volumes(ec2: Client, instance_ids: Sequence[str]) -> list[Record]:
    filters = filters_of({"attachment.instance-id": instance_ids})
    return [_tagged(volume) for volume in ask_all(ec2, "describe_volumes", "Volumes", Filters=filters)]


def read_free_volumes(ec2: Client, names: Sequence[str]) -> list[Record]:
    """Those that are attached to nothing and carry one of these Name tags."""
    filters = filters_of({"tag:Name": names, "status": ["available"]})
    return [_tagged(volume) for volume in ask_all(ec2, "describe_volumes", "Volumes", Filters=filters)] if names else []


def _requests_behind(ec2: Client, instances: Sequence[Record]) -> dict[str, Record]:
    """The requests of those that are Spot instances."""
    ids = [instance["spot_instance_request_id"] for instance in instances if "spot_instance_request_id" in instance]
    if not ids:
        return {}
    filters = filters_of({"spot-instance-request-id": ids})
    found = ask_all(ec2, "describe_spot_instance_requests", "SpotInstanceRequests", Filters=filters)
    return {request["SpotInstanceRequestId"]: _tagged(request) for request in found}


def read_launch_templates(ec2: Client, names: Sequence[str]) -> Record:
    """Those that there are, each with what its default version says."""
    if not names:
        return {}
    filters = filters_of({"launch-template-name": names})
    templates = {}
    for template in ask_all(ec2, "describe_launch_templates", "LaunchTemplates", Filters=filters):
        versions = ask_all(
            ec2,
            "describe_launch_template_versions",
            "LaunchTemplateVersions",
            "InvalidLaunchTemplateId.NotFound",
            LaunchTemplateId=template["LaunchTemplateId"],
            Versions=["$Default"],
        )
        if versions:
            templates[template["LaunchTemplateName"]] = {
                "launch_template_id": template["LaunchTemplateId"],
                "default_version": template["DefaultVersionNumber"],
                "latest_version": template["LatestVersionNumber"],
                "data": _snake(versions[0]["LaunchTemplateData"]),
                "tags": tags_of(template.get("Tags", [])),
            }
    return templates


def read_instances(ec2: Client, filters: Mapping[str, Any]) -> list[Record]:
    """Each with its volumes by device, what becomes of it when it shuts itself down, and the request behind it."""
    reservations = ask_all(ec2, "describe_instances", "Reservations", Filters=filters_of(filters))
    instances = [_tagged(instance) for reservation in reservations for instance in reservation["Instances"]]
    ids = [instance["instance_id"] for instance in instances]
    volumes = _read_volumes(ec2, ids) if ids else []
    requests = _requests_behind(ec2, instances)
    return [
        {
            **instance,
            "instance_initiated_shutdown_behavior": _read_shutdown_behavior(ec2, instance["instance_id"]),
            "spot_request": requests.get(instance.get("spot_instance_request_id", "")),
            "volumes": {
                attachment["device"]: volume
                for volume in volumes
                for attachment in volume["attachments"]
                if attachment["instance_id"] == instance["instance_id"]
            },
        }
        for instance in instances
    ]


# --- all of it ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Section:
    """A part of the answer: what is read because of which option, at once or each name on its own."""

    name: str
    option: str
    service: str
    read: Callable[[Client, Any], Any]
    each: bool = False


SECTIONS = (
    Section("caller", "caller", "sts", read_caller),
    Section("account_plan", "account_plan", "freetier", read_account_plan),
    Section("vcpu_quotas", "vcpu_quotas", "service-quotas", read_quota, each=True),
    Section("ebs_default_key", "ebs_default_key", "ec2", read_default_key),
    Section("ebs_managed_key", "ebs_managed_key", "kms", read_managed_key),
    Section("roles", "role_names", "iam", read_role, each=True),
    Section("instance_profiles", "role_names", "iam", read_instance_profile, each=True),
    Section("queues", "queue_names", "sqs", read_queue, each=True),
    Section("repositories", "repository_names", "ecr", read_repository, each=True),
    Section("image_tags", "image_repositories", "ecr", read_image_tags, each=True),
    Section("log_groups", "log_group_prefixes", "logs", read_log_groups),
    Section("log_streams", "log_streams", "logs", read_log_stream, each=True),
    Section("alarms", "alarm_prefix", "cloudwatch", read_alarms),
    Section("topics", "topic_arns", "sns", read_topic, each=True),
    Section("functions", "function_names", "lambda", read_function, each=True),
    Section("schedules", "schedule_names", "events", read_schedule, each=True),
    Section("db_instance", "db_instance_identifier", "rds", read_database),
    Section("db_subnet_group", "db_subnet_group_name", "rds", read_subnet_group),
    Section("db_parameter_group", "db_parameter_group_name", "rds", read_parameter_group),
    Section("subnets", "subnet_filters", "ec2", read_subnets),
    Section("route_tables", "route_tables", "ec2", read_route_tables),
    Section("security_groups", "security_group_names", "ec2", read_security_groups),
    Section("instances", "instance_filters", "ec2", read_instances),
    Section("free_volumes", "free_volume_names", "ec2", read_free_volumes),
    Section("instance_types", "instance_types", "ec2", read_instance_types),
    Section("load_balancers", "load_balancer_names", "elbv2", read_load_balancer, each=True),
    Section("target_groups", "target_group_names", "elbv2", read_target_group, each=True),
    Section("buckets", "bucket_names", "s3", read_bucket, each=True),
    Section("certificates", "certificates", "acm", read_certificates, each=True),
    Section("hosted_zones", "public_names", "route53", read_hosted_zone, each=True),
    Section("images", "image_parameters", "ssm", read_image, each=True),
    Section("deploy_locks", "lock_path", "ssm", read_lock_generations),
    Section("releases", "releases_parameter", "ssm", read_release_history),
    Section("launch_templates", "launch_template_names", "ec2", read_launch_templates),
)


@dataclass(frozen=True)
class Job:
    """What is read in a thread of its own."""

    section: Section
    what: Any

    def run(self, client: Client) -> Any:
        try:
            return self.section.read(client, self.what)
        except ReadError as error:
            error.section = f"{self.section.name} {self.what}" if self.section.each else self.section.name
            raise


def read(options: Mapping[str, Any], make_client: Callable[[str], Client]) -> Record:
    """The sections whose option is given. Clients are made here, because making them is not safe in threads."""
    # Of what is downloaded from a registry's storage, by the options of the connection.
    certificates = {name: options.get(name) for name in CERTIFICATES}
    images = Section(
        "container_images", "container_images", "ecr", partial(read_container_image, certificates), each=True
    )
    sections = [section for section in (*SECTIONS, images) if options.get(section.option) is not None]
    jobs = [
        Job(section, what)
        for section in sections
        for what in (options[section.option] if section.each else [options[section.option]])
    ]
    clients = {service: make_client(service) for service in sorted({section.service for section in sections})}
    state: Record = {section.name: {} for section in sections}
    with ThreadPoolExecutor(THREADS) as pool:
        answers = list(pool.map(lambda job: job.run(clients[job.section.service]), jobs))
    for job, answer in zip(jobs, answers, strict=True):
        if not job.section.each:
            state[job.section.name] = answer
        elif answer is not None:
            state[job.section.name][job.what] = answer
    return state


def observe(options: Mapping[str, Any], make_client: Callable[[str], Client]) -> Record:
    """What is read, and of the subnets the network that they make up."""
    if not options.get("minimum_zones"):
        return read(options, make_client)
    vpc_id, subnet_ids = options.get("vpc_id") or "", options.get("subnet_ids") or []
    state = read({**options, "subnet_filters": subnet_filters(vpc_id, subnet_ids)}, make_client)
    groups = state.pop("security_groups", [])
    try:
        network = choose_network(state.pop("subnets"), vpc_id, subnet_ids, options["minimum_zones"])
    except NetworkError as error:
        raise UnfitNetworkError(str(error), state) from error
    return {
        **state,
        "network": asdict(network),
        "security_groups": {group["group_name"]: group for group in groups if group["vpc_id"] == network.vpc_id},
    }

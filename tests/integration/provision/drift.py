# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What others do to an account, one property at a time, and a look at everything that they could have changed."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable, Iterable
from typing import Any

from plugins.module_utils.plan.identity import FUNCTIONS, trust_policy
from tests.integration.conftest import Account

# What a look, or making a thing again, changes by itself.
VOLATILE = {
    "AlarmConfigurationUpdatedTimestamp",
    "CreateDate",
    "CreatedTimestamp",
    "Id",
    "InstanceProfileId",
    "LastModified",
    "LastModifiedTimestamp",
    "LatestRestorableTime",
    # What is repaired of parameters holds once somebody has restarted the database.
    "ParameterApplyStatus",
    "RevisionId",
    "ResponseMetadata",
    "RoleId",
    "StateTransitionedTimestamp",
    "StateUpdatedTimestamp",
    "createdAt",
    "creationTime",
    "lastEvaluatedAt",
}
OPEN_DOOR = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}


def _steady(value: Any) -> Any:
    """Whatever the order of an answer, and without what is volatile."""
    if isinstance(value, dict):
        return {key: _steady(content) for key, content in value.items() if key not in VOLATILE}
    if isinstance(value, list):
        return sorted(map(_steady, value), key=lambda element: json.dumps(element, sort_keys=True, default=str))
    return value


def _by_name(look: Any, groups: list[dict[str, Any]]) -> Any:
    """The same with security groups named: one that is made again has another id."""
    text = json.dumps(look, default=str)
    for group in groups:
        text = text.replace(group["GroupId"], group["GroupName"])
    return json.loads(text)


def _role(iam: Any, name: str) -> dict[str, Any]:
    policies = iam.list_role_policies(RoleName=name)["PolicyNames"]
    return {
        "role": iam.get_role(RoleName=name)["Role"],
        "attached": iam.list_attached_role_policies(RoleName=name)["AttachedPolicies"],
        "inline": {policy: iam.get_role_policy(RoleName=name, PolicyName=policy) for policy in policies},
    }


def _repository(ecr: Any, repository: dict[str, Any]) -> dict[str, Any]:
    try:
        lifecycle = json.loads(
            ecr.get_lifecycle_policy(repositoryName=repository["repositoryName"])["lifecyclePolicyText"]
        )
    except ecr.exceptions.LifecyclePolicyNotFoundException:
        lifecycle = None
    return {
        "repository": repository,
        "lifecycle": lifecycle,
        "tags": ecr.list_tags_for_resource(resourceArn=repository["repositoryArn"])["tags"],
    }


def _queue(sqs: Any, url: str) -> dict[str, Any]:
    attributes = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    redrive = json.loads(attributes.pop("RedrivePolicy", "{}"))
    return {
        "attributes": attributes,
        "redrive": {key: str(value) for key, value in redrive.items()},
        "tags": sqs.list_queue_tags(QueueUrl=url).get("Tags", {}),
    }


def _topic(sns: Any, arn: str) -> dict[str, Any]:
    return {
        "policy": json.loads(sns.get_topic_attributes(TopicArn=arn)["Attributes"]["Policy"]),
        "subscriptions": [
            (found["Protocol"], found["Endpoint"])
            for found in sns.list_subscriptions_by_topic(TopicArn=arn)["Subscriptions"]
        ],
        "tags": sns.list_tags_for_resource(ResourceArn=arn)["Tags"],
    }


def _function(functions: Any, name: str) -> dict[str, Any]:
    found = functions.get_function(FunctionName=name)
    try:
        policy = json.loads(functions.get_policy(FunctionName=name)["Policy"])
    except functions.exceptions.ResourceNotFoundException:
        policy = None
    invoked = functions.list_function_event_invoke_configs(FunctionName=name)["FunctionEventInvokeConfigs"]
    retries = [config["MaximumRetryAttempts"] for config in invoked]
    return {
        "configuration": found["Configuration"],
        "tags": found.get("Tags", {}),
        "policy": policy,
        "retries": retries,
    }


def _queues(sqs: Any) -> Any:
    return {"queues": {url: _queue(sqs, url) for url in sqs.list_queues().get("QueueUrls", [])}}


def _identity(iam: Any) -> Any:
    return {
        "roles": {role["RoleName"]: _role(iam, role["RoleName"]) for role in iam.list_roles()["Roles"]},
        "profiles": [
            iam.get_instance_profile(InstanceProfileName=profile["InstanceProfileName"])["InstanceProfile"]
            for profile in iam.list_instance_profiles()["InstanceProfiles"]
        ],
    }


def _repositories(ecr: Any) -> Any:
    return {"repositories": [_repository(ecr, found) for found in ecr.describe_repositories()["repositories"]]}


def _log_groups(logs: Any) -> Any:
    groups = logs.describe_log_groups()["logGroups"]
    return {
        "log groups": [
            {**group, "tags": logs.list_tags_for_resource(resourceArn=group["arn"].removesuffix(":*"))["tags"]}
            for group in groups
        ]
    }


def _alarms(cloudwatch: Any) -> Any:
    alarms = cloudwatch.describe_alarms()["MetricAlarms"]
    return {
        "alarms": [
            {**alarm, "tags": cloudwatch.list_tags_for_resource(ResourceARN=alarm["AlarmArn"])["Tags"]}
            for alarm in alarms
        ]
    }


def _topics(sns: Any) -> Any:
    return {"topics": {topic["TopicArn"]: _topic(sns, topic["TopicArn"]) for topic in sns.list_topics()["Topics"]}}


def _functions(functions: Any) -> Any:
    return {"functions": [_function(functions, one["FunctionName"]) for one in functions.list_functions()["Functions"]]}


def _rules(events: Any) -> Any:
    return {
        "rules": [
            {
                **rule,
                "targets": events.list_targets_by_rule(Rule=rule["Name"])["Targets"],
                "tags": events.list_tags_for_resource(ResourceARN=rule["Arn"])["Tags"],
            }
            for rule in events.list_rules()["Rules"]
        ]
    }


def _databases(rds: Any) -> Any:
    groups = rds.describe_db_subnet_groups()["DBSubnetGroups"]
    parameters = rds.describe_db_parameter_groups()["DBParameterGroups"]
    return {
        "database": rds.describe_db_instances()["DBInstances"],
        "subnet groups": [
            {**group, "Tags": rds.list_tags_for_resource(ResourceName=group["DBSubnetGroupArn"])["TagList"]}
            for group in groups
        ],
        "parameter groups": [
            {
                "group": group,
                "tags": rds.list_tags_for_resource(ResourceName=group["DBParameterGroupArn"])["TagList"],
                "parameters": {
                    one["ParameterName"]: one.get("ParameterValue")
                    for one in rds.describe_db_parameters(DBParameterGroupName=group["DBParameterGroupName"])[
                        "Parameters"
                    ]
                },
            }
            for group in parameters
            if group["DBParameterGroupName"].startswith("academy-")
        ],
    }


def _machines(ec2: Any) -> Any:
    reservations = ec2.describe_instances()["Reservations"]
    return {
        "security groups": ec2.describe_security_groups()["SecurityGroups"],
        "instances": [instance for reservation in reservations for instance in reservation["Instances"]],
        "volumes": ec2.describe_volumes()["Volumes"],
        "keys": ec2.describe_key_pairs()["KeyPairs"],
    }


LOOKS: dict[str, Callable[[Any], Any]] = {
    "sqs": _queues,
    "iam": _identity,
    "ecr": _repositories,
    "logs": _log_groups,
    "cloudwatch": _alarms,
    "sns": _topics,
    "lambda": _functions,
    "events": _rules,
    "rds": _databases,
    "ec2": _machines,
}


def snapshot(account: Account, services: Iterable[str] = tuple(LOOKS)) -> Any:
    """Everything of the deployment's kinds that there is in the account, or in some services."""
    look: dict[str, Any] = {}
    for service in services:
        look |= LOOKS[service](account.client(service))
    return _steady(_by_name(look, account.client("ec2").describe_security_groups()["SecurityGroups"]))


def owners(look: Any) -> set[str]:
    """The values of all Owner tags, however a service writes tags."""
    if isinstance(look, list):
        return {owner for element in look for owner in owners(element)}
    if not isinstance(look, dict):
        return set()
    if look.get("Key") == "Owner":
        return {look["Value"]}
    inner = {owner for content in look.values() for owner in owners(content)}
    return inner | ({look["Owner"]} if isinstance(look.get("Owner"), str) else set())


Change = Callable[[Account], Any]


def _queue_url(account: Account, name: str) -> str:
    return str(account.client("sqs").get_queue_url(QueueName=name)["QueueUrl"])


def _attribute(queue: str, name: str, value: str) -> Change:
    return lambda account: account.client("sqs").set_queue_attributes(
        QueueUrl=_queue_url(account, queue), Attributes={name: value}
    )


def _redrive_count(queue: str, receives: int) -> Change:
    target = f"arn:aws:sqs:ap-northeast-2:123456789012:{queue}-dlq"
    return _attribute(queue, "RedrivePolicy", json.dumps({"deadLetterTargetArn": target, "maxReceiveCount": receives}))


def _tag_queue(account: Account) -> None:
    account.client("sqs").tag_queue(QueueUrl=_queue_url(account, "academy-video-jobs"), Tags={"Owner": "others"})


def _untag_queue(account: Account) -> None:
    account.client("sqs").untag_queue(QueueUrl=_queue_url(account, "academy-video-jobs-dlq"), TagKeys=["Project"])


def _delete_queue(queue: str) -> Change:
    return lambda account: account.client("sqs").delete_queue(QueueUrl=_queue_url(account, queue))


def _iam(operation: str, **parameters: Any) -> Change:
    return lambda account: getattr(account.client("iam"), operation)(**parameters)


def _attach_managed_policy(account: Account) -> None:
    iam = account.client("iam")
    policy = iam.create_policy(PolicyName="open-door", PolicyDocument=json.dumps(OPEN_DOOR))["Policy"]
    iam.attach_role_policy(RoleName="academy-api-role", PolicyArn=policy["Arn"])


def _trust_others(account: Account) -> None:
    trust = {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}
    account.client("iam").update_assume_role_policy(
        RoleName="academy-video-worker-role",
        PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [trust]}),
    )


def _delete_profile(account: Account) -> None:
    name = "academy-messaging-worker-role"
    account.client("iam").remove_role_from_instance_profile(InstanceProfileName=name, RoleName=name)
    account.client("iam").delete_instance_profile(InstanceProfileName=name)


def _delete_role(account: Account) -> None:
    """Of a host whose profile is gone already."""
    iam, name = account.client("iam"), "academy-messaging-worker-role"
    iam.delete_role_policy(RoleName=name, PolicyName="academy-host")
    iam.delete_role(RoleName=name)


def _ecr(operation: str, **parameters: Any) -> Change:
    return lambda account: getattr(account.client("ecr"), operation)(**parameters)


def _tag_repository(account: Account) -> None:
    arn = "arn:aws:ecr:ap-northeast-2:123456789012:repository/academy-api"
    account.client("ecr").tag_resource(resourceArn=arn, tags=[{"Key": "Foreign", "Value": "x"}])


KEEP_FIVE = json.dumps(
    {
        "rules": [
            {
                "rulePriority": 1,
                "selection": {"tagStatus": "any", "countType": "imageCountMoreThan", "countNumber": 5},
                "action": {"type": "expire"},
            }
        ]
    }
)


def _group_id(account: Account, name: str) -> str:
    found = account.client("ec2").describe_security_groups(Filters=[{"Name": "group-name", "Values": [name]}])
    return str(found["SecurityGroups"][0]["GroupId"])


def _delete_group(account: Account) -> None:
    """One that nothing uses as long as the stage is closed."""
    account.client("ec2").delete_security_group(GroupId=_group_id(account, "academy-alb-sg"))


def _rule(operation: str, group: str, **permission: Any) -> Change:
    return lambda account: getattr(account.client("ec2"), operation)(
        GroupId=_group_id(account, group), IpPermissions=[permission]
    )


def _from(port: int, protocol: str = "tcp", **sources: Any) -> dict[str, Any]:
    return {"IpProtocol": protocol, "FromPort": port, "ToPort": port, **sources}


def _let_group_in(account: Account) -> None:
    source = {"GroupId": _group_id(account, "default")}
    account.client("ec2").authorize_security_group_ingress(
        GroupId=_group_id(account, "rds-academy-sg"), IpPermissions=[_from(5432, UserIdGroupPairs=[source])]
    )


def _let_prefix_list_in(account: Account) -> None:
    ec2 = account.client("ec2")
    prefixes = ec2.create_managed_prefix_list(PrefixListName="theirs", MaxEntries=1, AddressFamily="IPv4")["PrefixList"]
    ec2.authorize_security_group_ingress(
        GroupId=_group_id(account, "academy-api-sg"),
        IpPermissions=[_from(22, PrefixListIds=[{"PrefixListId": prefixes["PrefixListId"]}])],
    )


def _tag_ec2(find: Callable[[Account], str], key: str, value: str) -> Change:
    return lambda account: account.client("ec2").create_tags(
        Resources=[find(account)], Tags=[{"Key": key, "Value": value}]
    )


def _instance_id(account: Account, name: str) -> str:
    return str(account.instances(name)[0]["InstanceId"])


def _volume_id(account: Account, name: str, device: str) -> str:
    (host,) = account.instances(name)
    return next(str(each["Ebs"]["VolumeId"]) for each in host["BlockDeviceMappings"] if each["DeviceName"] == device)


def _data_volume_id(account: Account) -> str:
    return _volume_id(account, "academy-video-worker-2", "/dev/sdf")


def _volume_type(name: str, device: str) -> Change:
    return lambda account: account.client("ec2").modify_volume(
        VolumeId=_volume_id(account, name, device), VolumeType="gp2"
    )


def _untag_root_volume(account: Account) -> None:
    volume = _volume_id(account, "academy-api-1", "/dev/xvda")
    account.client("ec2").delete_tags(Resources=[volume], Tags=[{"Key": "Owner"}])


def _association_id(account: Account, name: str) -> str:
    filters = [{"Name": "instance-id", "Values": [_instance_id(account, name)]}]
    found = account.client("ec2").describe_iam_instance_profile_associations(Filters=filters)
    return str(found["IamInstanceProfileAssociations"][0]["AssociationId"])


def _give_other_profile(account: Account) -> None:
    account.client("ec2").replace_iam_instance_profile_association(
        AssociationId=_association_id(account, "academy-ai-worker-1"),
        IamInstanceProfile={"Name": "academy-video-worker-role"},
    )


def _take_profile(account: Account) -> None:
    account.client("ec2").disassociate_iam_instance_profile(
        AssociationId=_association_id(account, "academy-video-worker-1")
    )


def _metadata(**options: Any) -> Change:
    return lambda account: account.client("ec2").modify_instance_metadata_options(
        InstanceId=_instance_id(account, "academy-api-1"), **options
    )


def _move_to_default_group(account: Account) -> None:
    account.client("ec2").modify_instance_attribute(
        InstanceId=_instance_id(account, "academy-messaging-worker-1"), Groups=[_group_id(account, "default")]
    )


def _logs(operation: str, **parameters: Any) -> Change:
    return lambda account: getattr(account.client("logs"), operation)(**parameters)


def _database(**change: Any) -> Change:
    return lambda account: account.client("rds").modify_db_instance(
        DBInstanceIdentifier="academy-db", ApplyImmediately=True, **change
    )


def _move_database(account: Account) -> None:
    _database(VpcSecurityGroupIds=[_group_id(account, "default")])(account)


def _tag_rds(kind: str, name: str) -> Change:
    return lambda account: account.client("rds").add_tags_to_resource(
        ResourceName=f"arn:aws:rds:ap-northeast-2:123456789012:{kind}:{name}",
        Tags=[{"Key": "Owner", "Value": "others"}],
    )


def _attach_parameters(account: Account) -> None:
    """A parameter group of somebody's, as the database of a guide's reader may have."""
    account.client("rds").create_db_parameter_group(
        DBParameterGroupName="theirs", DBParameterGroupFamily="postgres15", Description="test"
    )
    _database(DBParameterGroupName="theirs")(account)


def _set_parameter(name: str, value: str) -> Change:
    return lambda account: account.client("rds").modify_db_parameter_group(
        DBParameterGroupName=PARAMETER_GROUP,
        Parameters=[{"ParameterName": name, "ParameterValue": value, "ApplyMethod": "pending-reboot"}],
    )


def _take_subnet(account: Account) -> None:
    rds = account.client("rds")
    (group,) = rds.describe_db_subnet_groups(DBSubnetGroupName="academy-db-subnets")["DBSubnetGroups"]
    rds.modify_db_subnet_group(
        DBSubnetGroupName="academy-db-subnets",
        DBSubnetGroupDescription=group["DBSubnetGroupDescription"],
        SubnetIds=[subnet["SubnetIdentifier"] for subnet in group["Subnets"]][:-1],
    )


PARAMETER_GROUP = "academy-db-postgres15"
TOPIC_ARN = "arn:aws:sns:ap-northeast-2:123456789012:academy-alarms"
ALARM_ARN = "arn:aws:cloudwatch:ap-northeast-2:123456789012:alarm"
RUNNING_ALARM = "academy-ai-worker-1-running-too-long"
DEAD_LETTER_ALARM = "academy-video-jobs-dlq-not-empty"


def _alarm(alarm: str, **change: Any) -> Change:
    """Put the alarm again with something else in it."""

    def put(account: Account) -> None:
        cloudwatch = account.client("cloudwatch")
        (now,) = cloudwatch.describe_alarms(AlarmNames=[alarm])["MetricAlarms"]
        taken = cloudwatch.meta.service_model.operation_model("PutMetricAlarm").input_shape.members
        cloudwatch.put_metric_alarm(**{**{key: value for key, value in now.items() if key in taken}, **change})

    return put


def _cloudwatch(operation: str, **parameters: Any) -> Change:
    return lambda account: getattr(account.client("cloudwatch"), operation)(**parameters)


def _sns(operation: str, **parameters: Any) -> Change:
    return lambda account: getattr(account.client("sns"), operation)(**parameters)


STARTER = "academy-starter"
STARTER_ARN = f"arn:aws:lambda:ap-northeast-2:123456789012:function:{STARTER}"


def _lambda(operation: str, **parameters: Any) -> Change:
    return lambda account: getattr(account.client("lambda"), operation)(**parameters)


def _configure(**change: Any) -> Change:
    return _lambda("update_function_configuration", FunctionName=STARTER, **change)


def _rule_of_starter(operation: str, **parameters: Any) -> Change:
    return lambda account: getattr(account.client("events"), operation)(**parameters)


def _other_code() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("theirs.py", "handler = None")
    return buffer.getvalue()


def _wider_permission(account: Account) -> None:
    functions = account.client("lambda")
    functions.remove_permission(FunctionName=STARTER, StatementId="InvokeBySchedule")
    functions.add_permission(
        FunctionName=STARTER,
        StatementId="InvokeBySchedule",
        Action="lambda:InvokeFunction",
        Principal="events.amazonaws.com",
    )


def _give_other_role(account: Account) -> None:
    """One that is gone afterwards."""
    iam = account.client("iam")
    made = iam.create_role(RoleName="theirs", AssumeRolePolicyDocument=json.dumps(trust_policy(FUNCTIONS)))
    _configure(Role=made["Role"]["Arn"])(account)
    iam.delete_role(RoleName="theirs")


def _foreign_permission(account: Account) -> None:
    account.client("lambda").add_permission(
        FunctionName=STARTER, StatementId="theirs", Action="lambda:InvokeFunction", Principal="sns.amazonaws.com"
    )


SSH = _from(22, IpRanges=[{"CidrIp": "172.31.0.1/32"}])
ANYWHERE = {"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}
LOGS_ARN = "arn:aws:logs:ap-northeast-2:123456789012:log-group:/academy/academy-video-worker"

DRIFTS: dict[str, Change] = {
    # First, because SQS gives a name out again only a minute later.
    "queue: deleted": _delete_queue("academy-ai-jobs-basic"),
    "dead-letter queue: deleted": _delete_queue("academy-ai-jobs-premium-dlq"),
    "queue: visibility timeout": _attribute("academy-video-jobs", "VisibilityTimeout", "30"),
    "queue: retention": _attribute("academy-messaging-jobs", "MessageRetentionPeriod", "60"),
    "queue: receive wait": _attribute("academy-ai-jobs-lite", "ReceiveMessageWaitTimeSeconds", "0"),
    "dead-letter queue: retention": _attribute("academy-ai-jobs-lite-dlq", "MessageRetentionPeriod", "60"),
    "queue: redrive count": _redrive_count("academy-ai-jobs-lite", 100),
    "queue: no redrive": _attribute("academy-ai-jobs-premium", "RedrivePolicy", ""),
    "queue: tag": _tag_queue,
    "dead-letter queue: tag removed": _untag_queue,
    "role: trust policy": _trust_others,
    "role: description": _iam("update_role_description", RoleName="academy-ai-worker-role", Description="?"),
    "role: managed policy": _attach_managed_policy,
    "role: tag": _iam("tag_role", RoleName="academy-api-role", Tags=[{"Key": "Owner", "Value": "others"}]),
    "role: inline policy changed": _iam(
        "put_role_policy", RoleName="academy-api-role", PolicyName="academy-host", PolicyDocument=json.dumps(OPEN_DOOR)
    ),
    "role: inline policy removed": _iam(
        "delete_role_policy", RoleName="academy-ai-worker-role", PolicyName="academy-host"
    ),
    "role: foreign inline policy": _iam(
        "put_role_policy", RoleName="academy-api-role", PolicyName="foreign", PolicyDocument=json.dumps(OPEN_DOOR)
    ),
    "profile: without its role": _iam(
        "remove_role_from_instance_profile", InstanceProfileName="academy-api-role", RoleName="academy-api-role"
    ),
    "profile: tag": _iam(
        "tag_instance_profile",
        InstanceProfileName="academy-ai-worker-role",
        Tags=[{"Key": "Owner", "Value": "others"}],
    ),
    "profile: deleted": _delete_profile,
    "role: deleted": _delete_role,
    "repository: mutability": _ecr(
        "put_image_tag_mutability", repositoryName="academy-api", imageTagMutability="MUTABLE"
    ),
    "repository: no scan on push": _ecr(
        "put_image_scanning_configuration",
        repositoryName="academy-api",
        imageScanningConfiguration={"scanOnPush": False},
    ),
    "repository: lifecycle policy": _ecr(
        "put_lifecycle_policy", repositoryName="academy-video-worker", lifecyclePolicyText=KEEP_FIVE
    ),
    "repository: no lifecycle policy": _ecr("delete_lifecycle_policy", repositoryName="academy-messaging-worker"),
    "repository: tag": _tag_repository,
    "repository: deleted": _ecr("delete_repository", repositoryName="academy-ai-worker-cpu", force=True),
    "security group: rule": _rule(
        "authorize_security_group_ingress", "academy-api-sg", **_from(22, IpRanges=[{"CidrIp": "0.0.0.0/0"}])
    ),
    "security group: IPv6 rule": _rule(
        "authorize_security_group_ingress", "academy-api-sg", **_from(22, Ipv6Ranges=[{"CidrIpv6": "::/0"}])
    ),
    "security group: rule of another protocol": _rule(
        "authorize_security_group_ingress", "academy-api-sg", **_from(53, "udp", IpRanges=[{"CidrIp": "10.0.0.0/8"}])
    ),
    "security group: rule of a group": _let_group_in,
    "security group: rule of a prefix list": _let_prefix_list_in,
    "security group: rule removed": _rule("revoke_security_group_ingress", "academy-worker-sg", **SSH),
    "security group: egress removed": _rule("revoke_security_group_egress", "academy-worker-sg", **ANYWHERE),
    "security group: egress added": _rule(
        "authorize_security_group_egress", "academy-api-sg", **_from(25, IpRanges=[{"CidrIp": "10.0.0.0/8"}])
    ),
    "security group: tag": _tag_ec2(lambda account: _group_id(account, "rds-academy-sg"), "Owner", "others"),
    "security group: deleted": _delete_group,
    "instance: tag": _tag_ec2(lambda account: _instance_id(account, "academy-video-worker-2"), "Owner", "others"),
    "volume: tag": _tag_ec2(_data_volume_id, "Owner", "others"),
    "volume: type": _volume_type("academy-video-worker-2", "/dev/sdf"),
    "root volume: tag removed": _untag_root_volume,
    "root volume: type": _volume_type("academy-api-1", "/dev/xvda"),
    "instance: other profile": _give_other_profile,
    "instance: no profile": _take_profile,
    "instance: metadata tokens": _metadata(HttpTokens="optional"),
    "instance: metadata hops": _metadata(HttpPutResponseHopLimit=1),
    "instance: security groups": _move_to_default_group,
    "log group: retention": _logs("put_retention_policy", logGroupName="/academy/academy-api", retentionInDays=365),
    "log group: kept for ever": _logs("delete_retention_policy", logGroupName="/academy/academy-ai-worker-cpu"),
    "log group: tag": _logs("tag_resource", resourceArn=LOGS_ARN, tags={"Owner": "others"}),
    "log group: deleted": _logs("delete_log_group", logGroupName="/academy/academy-messaging-worker"),
    "alarm: threshold": _alarm("academy-messaging-jobs-dlq-not-empty", Threshold=100.0),
    "alarm: age": _alarm("academy-video-jobs-waiting-too-long", Threshold=345600.0),
    "alarm: comparison": _alarm("academy-ai-jobs-lite-dlq-not-empty", ComparisonOperator="LessThanOrEqualToThreshold"),
    "alarm: metric": _alarm(
        "academy-ai-jobs-basic-dlq-not-empty", MetricName="NumberOfMessagesSent", AlarmDescription="?"
    ),
    "alarm: nobody is told": _alarm(
        "academy-ai-jobs-premium-dlq-not-empty", AlarmActions=[], OKActions=[], InsufficientDataActions=[TOPIC_ARN]
    ),
    "alarm: periods": _alarm("academy-video-worker-1-running-too-long", EvaluationPeriods=168, DatapointsToAlarm=1),
    "alarm: other host": _alarm(
        "academy-video-worker-2-running-too-long", Dimensions=[{"Name": "InstanceId", "Value": "i-gone"}]
    ),
    "alarm: missing data": _alarm(RUNNING_ALARM, TreatMissingData="missing", Period=7200, Statistic="Average"),
    "alarm: actions disabled": _cloudwatch("disable_alarm_actions", AlarmNames=[RUNNING_ALARM]),
    "alarm: tag": _cloudwatch(
        "tag_resource",
        ResourceARN=f"{ALARM_ARN}:academy-video-jobs-dlq-not-empty",
        Tags=[{"Key": "Owner", "Value": "?"}],
    ),
    "alarm: tag removed": _cloudwatch(
        "untag_resource", ResourceARN=f"{ALARM_ARN}:academy-ai-jobs-lite-dlq-not-empty", TagKeys=["Project"]
    ),
    "schedule: tag": lambda account: account.client("events").tag_resource(
        ResourceARN="arn:aws:events:ap-northeast-2:123456789012:rule/academy-starter",
        Tags=[{"Key": "Owner", "Value": "others"}],
    ),
    "alarm: deleted": _cloudwatch("delete_alarms", AlarmNames=[DEAD_LETTER_ALARM]),
    "topic: policy": _sns(
        "set_topic_attributes", TopicArn=TOPIC_ARN, AttributeName="Policy", AttributeValue=json.dumps(OPEN_DOOR)
    ),
    "topic: subscription": _sns("subscribe", TopicArn=TOPIC_ARN, Protocol="email", Endpoint="others@example.com"),
    "topic: tag": _sns("tag_resource", ResourceArn=TOPIC_ARN, Tags=[{"Key": "Owner", "Value": "others"}]),
    "function: code": _lambda("update_function_code", FunctionName=STARTER, ZipFile=_other_code()),
    "function: timeout": _configure(Timeout=3),
    "function: memory": _configure(MemorySize=128),
    "function: environment": _configure(Environment={"Variables": {"STARTER": "{}"}}),
    "function: role": _give_other_role,
    "function: handler": _configure(Handler="theirs.handler"),
    "function: runtime": _configure(Runtime="python3.12"),
    "function: description": _configure(Description="?"),
    "function: log group": _configure(LoggingConfig={"LogGroup": "/academy/academy-api"}),
    "function: retries": _lambda("put_function_event_invoke_config", FunctionName=STARTER, MaximumRetryAttempts=2),
    "function: processors": _lambda(
        "update_function_code", FunctionName=STARTER, ZipFile=_other_code(), Architectures=["x86_64"]
    ),
    "function: tag": _lambda("tag_resource", Resource=STARTER_ARN, Tags={"Owner": "others"}),
    "function: foreign permission": _foreign_permission,
    "function: wider permission": _wider_permission,
    "schedule: rate": _rule_of_starter("put_rule", Name=STARTER, ScheduleExpression="rate(1 hour)"),
    "schedule: disabled": _rule_of_starter("disable_rule", Name=STARTER),
    "schedule: other target": _rule_of_starter(
        "put_targets", Rule=STARTER, Targets=[{"Id": STARTER, "Arn": STARTER_ARN, "Input": "{}"}]
    ),
    "schedule: foreign target": _rule_of_starter(
        "put_targets", Rule=STARTER, Targets=[{"Id": "theirs", "Arn": f"{STARTER_ARN}-theirs"}]
    ),
    "starter's log group: retention": _logs(
        "put_retention_policy", logGroupName="/academy/starter", retentionInDays=365
    ),
    "starter's role: inline policy": _iam(
        "put_role_policy",
        RoleName="academy-starter-role",
        PolicyName="academy-starter",
        PolicyDocument=json.dumps(OPEN_DOOR),
    ),
    "subnet group: tag": _tag_rds("subgrp", "academy-db-subnets"),
    "subnet group: subnets": _take_subnet,
    "database: backups": _database(BackupRetentionPeriod=1),
    "database: deletion protection": _database(DeletionProtection=False),
    "database: public": _database(PubliclyAccessible=True),
    "database: storage maximum": _database(MaxAllocatedStorage=200),
    "database: storage type": _database(StorageType="gp2"),
    # Of the same size: a smaller one than the guide's there is not.
    "database: class": _database(DBInstanceClass="db.t3.micro"),
    "database: minor versions": _database(AutoMinorVersionUpgrade=False),
    "database: tags of snapshots": _database(CopyTagsToSnapshot=False),
    "database: security groups": _move_database,
    "database: extended support": _database(EngineLifecycleSupport="open-source-rds-extended-support"),
    "database: tag": _tag_rds("db", "academy-db"),
    "database: log export": _database(CloudwatchLogsExportConfiguration={"DisableLogTypes": ["postgresql"]}),
    "database: parameter group": _attach_parameters,
    "database's log group: kept for ever": _logs(
        "delete_retention_policy", logGroupName="/aws/rds/instance/academy-db/postgresql"
    ),
    "parameter group: TLS": _set_parameter("rds.force_ssl", "0"),
    "parameter group: tag": _tag_rds("pg", PARAMETER_GROUP),
}

# What playbooks/plan.yml tells of each of them: how its lines begin, with "volume" for a volume's id.
TOLD: dict[str, tuple[str, ...]] = {
    "queue: deleted": ("+ academy-ai-jobs-basic: create",),
    "dead-letter queue: deleted": ("+ academy-ai-jobs-premium-dlq: create",),
    "queue: visibility timeout": ("~ academy-video-jobs: visibility_timeout_seconds: 30 -> 10800",),
    "queue: retention": ("~ academy-messaging-jobs: retention_seconds: 60 -> 345600",),
    "queue: receive wait": ("~ academy-ai-jobs-lite: receive_wait_seconds: 0 -> 20",),
    "dead-letter queue: retention": ("~ academy-ai-jobs-lite-dlq: retention_seconds: 60 -> 1209600",),
    "queue: redrive count": ("~ academy-ai-jobs-lite: redrive_policy: ",),
    "queue: no redrive": ("~ academy-ai-jobs-premium: redrive_policy: {} -> ",),
    "queue: tag": ("~ academy-video-jobs: tags: Owner others -> demo",),
    "dead-letter queue: tag removed": ("~ academy-video-jobs-dlq: tags: Project none -> academy",),
    "role: trust policy": ("~ role academy-video-worker-role: trust_policy: ",),
    "role: description": ("~ role academy-ai-worker-role: description: ? -> Hosts of kind ai-worker",),
    "role: managed policy": (
        '~ role academy-api-role: managed_policies: ["arn:aws:iam::123456789012:policy/open-door"] -> []',
    ),
    "role: tag": ("~ role academy-api-role: tags: Owner others -> demo",),
    "role: inline policy changed": tuple(
        f"~ inline policy academy-host of academy-api-role: statement {statement}: "
        for statement in ("1", "PullImages", "LogInToRegistry", "WriteLogs", "SendJobs")
    ),
    "role: inline policy removed": ("+ inline policy academy-host of academy-ai-worker-role: create",),
    "role: foreign inline policy": ("- inline policy foreign of academy-api-role: remove",),
    "profile: without its role": ('~ instance profile academy-api-role: roles: [] -> ["academy-api-role"]',),
    "profile: tag": ("~ instance profile academy-ai-worker-role: tags: Owner others -> demo",),
    "profile: deleted": ("+ instance profile academy-messaging-worker-role: create",),
    "role: deleted": (
        "+ role academy-messaging-worker-role: create",
        "+ inline policy academy-host of academy-messaging-worker-role: create",
    ),
    "repository: mutability": ("~ academy-api: image_tag_mutability: MUTABLE -> IMMUTABLE",),
    "repository: no scan on push": ("~ academy-api: scan_on_push: false -> true",),
    "repository: lifecycle policy": ("~ academy-video-worker: lifecycle_policy: ",),
    "repository: no lifecycle policy": ("~ academy-messaging-worker: lifecycle_policy: null -> ",),
    "repository: tag": ("~ academy-api: tags: Foreign x -> none",),
    "repository: deleted": ("+ academy-ai-worker-cpu: create",),
    "security group: rule": ("~ academy-api-sg: ingress tcp 22 0.0.0.0/0: allowed -> none",),
    "security group: IPv6 rule": ("~ academy-api-sg: ingress tcp 22 ::/0: allowed -> none",),
    "security group: rule of another protocol": ("~ academy-api-sg: ingress udp 53 10.0.0.0/8: allowed -> none",),
    "security group: rule of a group": ("~ rds-academy-sg: ingress tcp 5432 sg-",),
    "security group: rule of a prefix list": ("~ academy-api-sg: ingress tcp 22 pl-",),
    "security group: rule removed": (
        "~ academy-worker-sg: ingress tcp 22 172.31.0.1/32 (SSH from the operators): none -> allowed",
    ),
    "security group: egress removed": ("~ academy-worker-sg: egress all 0.0.0.0/0: none -> allowed",),
    "security group: egress added": ("~ academy-api-sg: egress tcp 25 10.0.0.0/8: allowed -> none",),
    "security group: tag": ("~ rds-academy-sg: tags: Owner others -> demo",),
    "security group: deleted": ("+ academy-alb-sg: create",),
    "instance: tag": ("~ academy-video-worker-2: tags: Owner others -> demo",),
    "volume: tag": ("~ volume (academy-video-worker-2): tags: Owner others -> demo",),
    "volume: type": ("~ volume (academy-video-worker-2): volume_type: gp2 -> gp3",),
    "root volume: tag removed": ("~ volume (academy-api-1): tags: Owner none -> demo",),
    "root volume: type": ("~ volume (academy-api-1): volume_type: gp2 -> gp3",),
    "instance: other profile": (
        "~ academy-ai-worker-1: instance_profile: academy-video-worker-role -> academy-ai-worker-role",
    ),
    "instance: no profile": ("~ academy-video-worker-1: instance_profile: none -> academy-video-worker-role",),
    "instance: metadata tokens": ("~ academy-api-1: http_tokens: optional -> required",),
    "instance: metadata hops": ("~ academy-api-1: http_put_response_hop_limit: 1 -> 2",),
    "instance: security groups": (
        '~ academy-messaging-worker-1: security_groups: ["default"] -> ["academy-worker-sg"]',
    ),
    "log group: retention": ("~ /academy/academy-api: retention_days: 365 -> 14",),
    "log group: kept for ever": ("~ /academy/academy-ai-worker-cpu: retention_days: for ever -> 14",),
    "log group: tag": ("~ /academy/academy-video-worker: tags: Owner others -> demo",),
    "log group: deleted": ("+ /academy/academy-messaging-worker: create",),
    "alarm: threshold": ("~ academy-messaging-jobs-dlq-not-empty: threshold: 100.0 -> 1.0",),
    "alarm: age": ("~ academy-video-jobs-waiting-too-long: threshold: 345600.0 -> 21600.0",),
    "alarm: comparison": ("~ academy-ai-jobs-lite-dlq-not-empty: comparison: LessThanOrEqualToThreshold -> ",),
    "alarm: metric": (
        "~ academy-ai-jobs-basic-dlq-not-empty: metric_name: NumberOfMessagesSent -> ",
        "~ academy-ai-jobs-basic-dlq-not-empty: description: ? -> ",
    ),
    "alarm: nobody is told": tuple(
        f"~ academy-ai-jobs-premium-dlq-not-empty: {actions}_actions: "
        for actions in ("alarm", "ok", "insufficient_data")
    ),
    "alarm: periods": (
        "~ academy-video-worker-1-running-too-long: evaluation_periods: 168 -> 12",
        "~ academy-video-worker-1-running-too-long: datapoints_to_alarm: 1 -> none",
    ),
    "alarm: other host": ("~ academy-video-worker-2-running-too-long: dimensions: InstanceId i-gone -> i-",),
    "alarm: missing data": (
        f"~ {RUNNING_ALARM}: treat_missing_data: missing -> notBreaching",
        f"~ {RUNNING_ALARM}: period_seconds: 7200 -> 3600",
        f"~ {RUNNING_ALARM}: statistic: Average -> SampleCount",
    ),
    "alarm: actions disabled": (f"~ {RUNNING_ALARM}: actions_enabled: false -> true",),
    # Of an alarm that is deleted further down, and not told.
    "alarm: tag": (),
    "alarm: tag removed": ("~ academy-ai-jobs-lite-dlq-not-empty: tags: Project none -> academy",),
    "schedule: tag": ("~ schedule rule academy-starter: tags: Owner others -> demo",),
    "alarm: deleted": (f"+ {DEAD_LETTER_ALARM}: create",),
    "topic: policy": ("~ topic academy-alarms: policy: ",),
    "topic: subscription": ('~ topic academy-alarms: subscriptions: ["email others@example.com"] -> []',),
    "topic: tag": ("~ topic academy-alarms: tags: Owner others -> demo",),
    "function: code": ("~ function academy-starter: code_sha256: ",),
    "function: timeout": ("~ function academy-starter: timeout_seconds: 3 -> 45",),
    "function: memory": ("~ function academy-starter: memory_mib: 128 -> 256",),
    "function: environment": ("~ function academy-starter: environment: STARTER {} -> ",),
    "function: role": ("~ function academy-starter: role: arn:aws:iam::123456789012:role/theirs -> ",),
    "function: handler": ("~ function academy-starter: handler: theirs.handler -> ",),
    "function: runtime": ("~ function academy-starter: runtime: python3.12 -> python3.13",),
    "function: description": ("~ function academy-starter: description: ? -> ",),
    "function: log group": ("~ function academy-starter: log_group: /academy/academy-api -> /academy/starter",),
    "function: retries": ("~ function academy-starter: retries: 2 -> 0",),
    "function: processors": ("~ function academy-starter: architecture: x86_64 -> arm64",),
    "function: tag": ("~ function academy-starter: tags: Owner others -> demo",),
    "function: foreign permission": ("- permission theirs of function academy-starter: remove",),
    "function: wider permission": ("~ permission InvokeBySchedule of function academy-starter: statement: ",),
    "schedule: rate": (
        "~ schedule rule academy-starter: schedule: rate(1 hour) -> rate(1 minute)",
        "~ schedule rule academy-starter: description: ",
    ),
    "schedule: disabled": ("~ schedule rule academy-starter: state: DISABLED -> ENABLED",),
    # Both in one list.
    "schedule: other target": ("~ schedule rule academy-starter: targets: ",),
    "schedule: foreign target": (),
    "starter's log group: retention": ("~ /academy/starter: retention_days: 365 -> 14",),
    "starter's role: inline policy": tuple(
        f"~ inline policy academy-starter of academy-starter-role: statement {statement}: "
        for statement in ("1", "EndHolds", "SeeInstances", "StartWorkers", "WriteLogs", "CountJobs")
    ),
    "subnet group: tag": ("~ academy-db-subnets: tags: Owner others -> demo",),
    "subnet group: subnets": ("~ academy-db-subnets: subnet_ids: ",),
    "database: backups": ("~ academy-db: backup_retention_days: 1 -> 7",),
    "database: deletion protection": ("~ academy-db: deletion_protection: false -> true",),
    "database: public": ("~ academy-db: publicly_accessible: true -> false",),
    "database: storage maximum": ("~ academy-db: max_allocated_storage_gib: 200 -> 100",),
    "database: storage type": ("~ academy-db: storage_type: gp2 -> gp3",),
    "database: class": ("~ academy-db: instance_class: db.t3.micro -> db.t4g.micro",),
    "database: minor versions": ("~ academy-db: auto_minor_version_upgrade: false -> true",),
    "database: tags of snapshots": ("~ academy-db: copy_tags_to_snapshot: false -> true",),
    "database: security groups": ('~ academy-db: security_groups: ["sg-',),
    "database: extended support": ("~ academy-db: extended_support: true -> false",),
    "database: tag": ("~ academy-db: tags: Owner others -> demo",),
    "database: log export": ('~ academy-db: exported_logs: ["upgrade"] -> ["postgresql", "upgrade"]',),
    "database: parameter group": (f"~ academy-db: parameter_group: theirs -> {PARAMETER_GROUP}",),
    "database's log group: kept for ever": (
        "~ /aws/rds/instance/academy-db/postgresql: retention_days: for ever -> 14",
    ),
    "parameter group: TLS": (f"~ {PARAMETER_GROUP}: parameters: rds.force_ssl 0 -> 1",),
    "parameter group: tag": (f"~ {PARAMETER_GROUP}: tags: Owner others -> demo",),
}

# By which an operator knows what is the deployment's: who has lost the tag belongs to somebody else.
TAKEN: dict[str, Change] = {
    "security group": _tag_ec2(lambda account: _group_id(account, "rds-academy-sg"), "Project", "others"),
    "volume": _tag_ec2(_data_volume_id, "Project", "others"),
}

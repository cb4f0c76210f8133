# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The provisioning playbook from an empty account on: checked, created, repeated, meddled with, repaired, refused.

One account, one story: each test finds what the one before left.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from base64 import b64decode
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from localcloud import demo, settings
from tests import support
from tests.integration.conftest import OWNER, Account
from tests.integration.provision.drift import DRIFTS, TAKEN, TOLD, TOPIC_ARN, owners, snapshot
from tests.unit.rows import ROWS, row

HOSTS = {
    "academy-api-1": "t4g.small",
    "academy-messaging-worker-1": "t4g.micro",
    "academy-video-worker-1": "t4g.medium",
    "academy-video-worker-2": "t4g.medium",
    "academy-ai-worker-1": "t4g.small",
}
DATABASE_LOGS = ("/aws/rds/instance/academy-db/postgresql", "/aws/rds/instance/academy-db/upgrade")
REPOSITORIES = ("academy-api", "academy-messaging-worker", "academy-video-worker", "academy-ai-worker-cpu")
SHARED_HOST = "tests/integration/provision/shared_host.yml"
ALWAYS_ON = "academy-messaging-worker-1"
# The roles in their order, each with the kinds of a snapshot that are its own.
KINDS = {
    "network": ("security groups",),
    "identity": ("roles", "profiles"),
    "queues": ("queues",),
    "logs": ("log groups",),
    "database": ("database", "subnet groups", "parameter groups"),
    "registry": ("repositories",),
    "instance": ("instances", "volumes", "keys"),
    "starter": ("functions", "rules"),
    "alarms": ("topics", "alarms"),
}
# The calls that create what a plan names, by the names of its resources.
CREATING = {
    "ec2.CreateSecurityGroup": r".*-sg",
    "iam.CreateRole": r"role .*",
    "iam.PutRolePolicy": r"inline policy .*",
    "iam.CreateInstanceProfile": r"instance profile .*",
    "sqs.CreateQueue": r"academy-[\w-]*-jobs(-lite|-basic|-premium)?(-dlq)?",
    "rds.CreateDBSubnetGroup": r"academy-db-subnets",
    "rds.CreateDBParameterGroup": r"academy-db-postgres15",
    "rds.CreateDBInstance": r"academy-db",
    "ecr.CreateRepository": r"academy-(api|messaging-worker|video-worker|ai-worker-cpu)",
    "logs.CreateLogGroup": r"/academy/.*|/aws/rds/instance/academy-db/.*",
    "ec2.RunInstances": r"academy-.*-\d",
    "lambda.CreateFunction": r"function .*",
    "lambda.AddPermission": r"permission .*",
    "events.PutRule": r"schedule rule .*",
    "sns.CreateTopic": r"topic .*",
    "cloudwatch.PutMetricAlarm": r"academy-.*-(not-empty|too-long|failing|not-invoked)",
}
# The calls that give what was created its other properties.
COMPLETING = {
    "cloudwatch.TagResource",
    "ec2.AuthorizeSecurityGroupIngress",
    "ec2.ImportKeyPair",
    "ecr.PutImageScanningConfiguration",
    "ecr.PutLifecyclePolicy",
    "ecr.TagResource",
    "events.PutTargets",
    "events.TagResource",
    "iam.AddRoleToInstanceProfile",
    "lambda.PutFunctionEventInvokeConfig",
    "lambda.UpdateFunctionConfiguration",
    "logs.PutRetentionPolicy",
    # Support of a new database is on until it is switched off.
    "rds.ModifyDBInstance",
    "sns.SetTopicAttributes",
    "sqs.SetQueueAttributes",
    "sqs.TagQueue",
}
# Tasks that repair what others change: of hosts one thing each, and of two their volumes' tags and type too.
REPAIRED_HOSTS = {**dict.fromkeys(HOSTS, 1), "academy-api-1": 3, "academy-video-worker-2": 3}
REPAIRED = {
    "network": 1,
    "identity": 3,
    "queues": 1,
    "logs": 1,
    "database": 4,
    "registry": 2,
    "instance": 0,
    "starter": 6,
    "alarms": 4,
}


# How a run's lines name the role of a task, where it has one, and for whom a task changed something.
TASK_OF_ROLE = re.compile(r"^TASK \[(?:academy\.deploy\.(\w+) : )?")
CHANGED = re.compile(r"^changed: \[([\w-]+)")


def unchanged(changed: dict[str, int]) -> bool:
    return changed != {} and not any(changed.values())


def database(account: Account) -> dict[str, Any]:
    (instance,) = account.client("rds").describe_db_instances(DBInstanceIdentifier="academy-db")["DBInstances"]
    return dict(instance)


def queue_attributes(account: Account, name: str) -> dict[str, str]:
    sqs = account.client("sqs")
    url = sqs.get_queue_url(QueueName=name)["QueueUrl"]
    return dict(sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"])


def queue_names(account: Account) -> list[str]:
    return sorted(url.rpartition("/")[2] for url in account.client("sqs").list_queues()["QueueUrls"])


def numbers_of_alarms(account: Account, *names: str) -> dict[str, tuple[int, float]]:
    """How many periods beyond which threshold raise each of them."""
    found = account.client("cloudwatch").describe_alarms(AlarmNames=names)["MetricAlarms"]
    return {alarm["AlarmName"]: (alarm["EvaluationPeriods"], alarm["Threshold"]) for alarm in found}


def inbound(account: Account, group: str) -> set[tuple[int, str]]:
    """(port, source) of each rule; a group is named."""
    groups = account.client("ec2").describe_security_groups()["SecurityGroups"]
    names = {found["GroupId"]: found["GroupName"] for found in groups}
    (found,) = [found for found in groups if found["GroupName"] == group]
    return {
        (rule["FromPort"], source)
        for rule in found["IpPermissions"]
        for source in [
            *(block["CidrIp"] for block in rule["IpRanges"]),
            *(block["CidrIpv6"] for block in rule["Ipv6Ranges"]),
            *(names[pair["GroupId"]] for pair in rule["UserIdGroupPairs"]),
        ]
    }


def changed_by(run: support.Run) -> set[str]:
    """For whom a successful run changed something, or in check mode would."""
    return changed_hosts(run.expect().changed())


def changed_hosts(changed: dict[str, int]) -> set[str]:
    return {host for host, count in changed.items() if count}


def whose(role: str) -> set[str]:
    return set(HOSTS) if role == "instance" else {"localhost"}


def changed_of_roles(run: support.Run) -> dict[str, set[str]]:
    """The same role by role, from the lines of a successful run."""
    found: dict[str, set[str]] = {}
    role = ""
    for line in run.expect().output.splitlines():
        if task := TASK_OF_ROLE.match(line):
            role = task[1] or ""
        elif host := CHANGED.match(line):
            found.setdefault(role, set()).add(host[1])
    assert set().union(*found.values()) == changed_hosts(run.changed())
    return found


def test_check_mode_on_an_empty_account_predicts_of_every_role_and_writes_nothing(account: Account) -> None:
    foreseen = changed_of_roles(account.provision("check", "--check", "--diff"))
    assert foreseen == {role: whose(role) for role in KINDS}
    assert account.writes() == {}


@pytest.fixture(scope="module")
def planned(account: Account) -> dict[str, Any]:
    """What playbooks/plan.yml tells of an empty account."""
    return account.plan("empty", status=2)


def test_the_plan_of_an_empty_account_creates_all_and_refuses_nothing(planned: dict[str, Any]) -> None:
    assert planned["status"] == "differs"
    assert {entry["verb"] for entry in planned["differences"]} == {"create"}
    assert [planned[name] for name in ("refused", "expected", "unknown", "compared_hosts")] == [[]] * 4


def test_credentials_that_aws_does_not_take_are_no_difference_and_no_pass(account: Account) -> None:
    keys = ("-e", "aws_access_key=AKIAEXPIREDEXPIRED00", "-e", "aws_secret_key=a-key-that-nobody-knows")
    report = account.plan("expired", *keys, status=2)
    assert (report["status"], report["differences"], report["refused"]) == ("unknown", [], [])
    (entry,) = report["unknown"]
    assert entry["resource"] == "AWS"
    assert "InvalidClientTokenId" in entry["lines"][0]


def test_the_first_run_changes_what_check_mode_foresaw(account: Account) -> None:
    assert changed_of_roles(account.provision("create")) == {role: whose(role) for role in KINDS}


def test_what_the_plan_wanted_to_create_was_created(account: Account, planned: dict[str, Any]) -> None:
    """By the calls that the account has seen. Any other one belongs to what is created."""
    resources = [entry["resource"] for entry in planned["differences"]]
    calls = {
        call: len([resource for resource in resources if re.fullmatch(pattern, resource)])
        for call, pattern in CREATING.items()
    }
    writes = account.writes()
    assert {call: writes.pop(call) for call in CREATING} == calls
    assert sum(calls.values()) == len(resources)
    assert writes.keys() <= COMPLETING


def test_the_plan_of_what_was_created_is_empty(account: Account) -> None:
    assert account.plan("shared", "--limit", "localhost", status=0)["status"] == "clean"
    # Of hosts that run nothing is known here, and that is no pass.
    report = account.plan("created", status=2)
    assert (report["status"], report["differences"], report["refused"]) == ("unknown", [], [])
    assert {entry["host"] for entry in report["unknown"]} == set(HOSTS)


def test_instances_are_as_the_guide_and_the_facts_want_them(account: Account) -> None:
    volumes = {volume["VolumeId"]: volume for volume in account.client("ec2").describe_volumes()["Volumes"]}
    for name, instance_type in HOSTS.items():
        (host,) = account.instances(name)
        tags = {tag["Key"]: tag["Value"] for tag in host["Tags"]}
        kind = name.removeprefix("academy-").rpartition("-")[0]
        sizes = {
            mapping["DeviceName"]: volumes[mapping["Ebs"]["VolumeId"]]["Size"]
            for mapping in host["BlockDeviceMappings"]
        }
        assert host["InstanceType"] == instance_type
        assert tags == {"Name": name, "Project": "academy", "Environment": "local", "Owner": "demo", "Role": kind}
        assert host["MetadataOptions"]["HttpTokens"] == "required"
        assert host["MetadataOptions"]["HttpPutResponseHopLimit"] == 2
        assert host["IamInstanceProfile"]["Arn"].endswith(f"instance-profile/academy-{kind}-role")
        assert sizes.pop("/dev/xvda") >= 20
        assert sizes == ({"/dev/sdf": 100} if kind == "video-worker" else {})
    assert all(volume["Encrypted"] and volume["VolumeType"] == "gp3" for volume in volumes.values())
    zones = {account.instances(f"academy-video-worker-{n}")[0]["Placement"]["AvailabilityZone"] for n in (1, 2)}
    assert len(zones) == 2


def test_the_database_is_as_the_guide_and_the_facts_want_it(account: Account) -> None:
    found = database(account)
    expected = {
        "DBInstanceClass": "db.t4g.micro",
        "Engine": "postgres",
        "AllocatedStorage": 20,
        "MaxAllocatedStorage": 100,
        "StorageType": "gp3",
        "StorageEncrypted": True,
        "PubliclyAccessible": False,
        "DeletionProtection": True,
        "MultiAZ": False,
        "BackupRetentionPeriod": 7,
        "CopyTagsToSnapshot": True,
        "EngineLifecycleSupport": "open-source-rds-extended-support-disabled",
        "AutoMinorVersionUpgrade": True,
        "DBName": "academy",
        "EnabledCloudwatchLogsExports": ["postgresql", "upgrade"],
        "DBParameterGroups": [
            {"DBParameterGroupName": "academy-db-postgres15", "ParameterApplyStatus": "in-sync"},
        ],
    }
    assert {key: found[key] for key in expected} == expected
    assert len(found["DBSubnetGroup"]["Subnets"]) >= 2


@pytest.mark.parametrize(
    ("queue", "visibility", "receives"),
    [
        ("academy-video-jobs", 10800, 3),
        ("academy-messaging-jobs", 300, 5),
        ("academy-ai-jobs-lite", 3600, 3),
        ("academy-ai-jobs-basic", 3600, 3),
        ("academy-ai-jobs-premium", 3600, 3),
    ],
)
def test_queues_hand_failed_messages_on(account: Account, queue: str, visibility: int, receives: int) -> None:
    jobs, dead_letters = queue_attributes(account, queue), queue_attributes(account, f"{queue}-dlq")
    redrive = json.loads(jobs["RedrivePolicy"])
    assert int(jobs["VisibilityTimeout"]) == visibility
    assert int(jobs["ReceiveMessageWaitTimeSeconds"]) == 20
    assert redrive["deadLetterTargetArn"] == dead_letters["QueueArn"]
    assert int(redrive["maxReceiveCount"]) == receives
    assert int(dead_letters["MessageRetentionPeriod"]) > int(jobs["MessageRetentionPeriod"])


def test_security_groups_let_operators_in_and_nobody_else(account: Account) -> None:
    assert inbound(account, "academy-alb-sg") == set()
    assert inbound(account, "academy-api-sg") == {
        (22, "172.31.0.1/32"), (8000, "172.31.0.1/32"), (8000, "academy-worker-sg"),
    }  # fmt: skip
    assert inbound(account, "academy-worker-sg") == {(22, "172.31.0.1/32")}
    assert inbound(account, "rds-academy-sg") == {(5432, "academy-api-sg"), (5432, "academy-worker-sg")}


def test_log_groups_forget_and_repositories_are_immutable_and_tagged(account: Account) -> None:
    groups = account.client("logs").describe_log_groups()["logGroups"]
    names = [*DATABASE_LOGS, *(f"/academy/{name}" for name in (*REPOSITORIES, "starter"))]
    assert {group["logGroupName"]: group["retentionInDays"] for group in groups} == dict.fromkeys(names, 14)
    ecr = account.client("ecr")
    for repository in ecr.describe_repositories()["repositories"]:
        tags = ecr.list_tags_for_resource(resourceArn=repository["repositoryArn"])["tags"]
        policy = json.loads(
            ecr.get_lifecycle_policy(repositoryName=repository["repositoryName"])["lifecyclePolicyText"]
        )
        assert repository["imageTagMutability"] == "IMMUTABLE"
        assert repository["imageScanningConfiguration"] == {"scanOnPush": True}
        assert {"Key": "Project", "Value": "academy"} in tags
        assert [rule["selection"]["tagStatus"] for rule in policy["rules"]] == ["untagged"]


def test_alarms_watch_every_queue_every_host_that_stops_itself_and_the_starter(account: Account) -> None:
    alarms = account.client("cloudwatch").describe_alarms()["MetricAlarms"]
    watched = sorted(alarm["Dimensions"][0]["Value"] for alarm in alarms)
    stopping = [account.instances(name)[0]["InstanceId"] for name in HOSTS if "video" in name or "ai" in name]
    assert watched == sorted([*stopping, *queue_names(account), *["academy-starter"] * 2])
    (topic,) = account.client("sns").list_topics()["Topics"]
    assert {action for alarm in alarms for action in alarm["AlarmActions"]} == {topic["TopicArn"]}


def test_a_second_run_changes_nothing(account: Account) -> None:
    before = account.writes()
    assert unchanged(account.provision("again").expect().changed())
    assert account.writes() == before


def invoke_starter(account: Account) -> list[dict[str, Any]]:
    """What the starter, run with its own role's keys, says that it did."""
    answer = account.client("lambda").invoke(FunctionName="academy-starter", LogType="Tail")
    lines = b64decode(answer["LogResult"]).decode().splitlines()
    assert "FunctionError" not in answer, lines
    return [json.loads(line) for line in lines if line.startswith("{")]


def states_of(account: Account, *names: str) -> list[str]:
    return [account.instances(name)[0]["State"]["Name"] for name in names]


def test_the_starter_starts_a_worker_for_a_job_and_ends_a_hold_that_is_over(account: Account) -> None:
    ec2, sqs = account.client("ec2"), account.client("sqs")
    workers = ("academy-video-worker-1", "academy-video-worker-2", "academy-ai-worker-1")
    ids = [account.instances(name)[0]["InstanceId"] for name in workers]
    ec2.stop_instances(InstanceIds=ids)
    ec2.create_tags(Resources=ids[1:], Tags=[{"Key": "HoldUntil", "Value": "2026-01-31T09:30:00Z"}])
    url = sqs.get_queue_url(QueueName="academy-video-jobs")["QueueUrl"]
    sqs.send_message(QueueUrl=url, MessageBody="{}")
    actions = [line["action"] for line in invoke_starter(account)]
    assert sorted(actions) == ["end hold", "end hold", "none", "start"]
    *video, ai = states_of(account, *workers)
    assert (sorted(video), ai) == (["running", "stopped"], "stopped")
    assert {line["reason"] for line in invoke_starter(account)} == {"1 starting already", "no message to be had"}
    sqs.purge_queue(QueueUrl=url)
    ec2.start_instances(InstanceIds=ids)
    logs = account.client("logs").filter_log_events(logGroupName="/academy/starter")["events"]
    assert any('"action": "start"' in event["message"] for event in logs)


def test_a_stopped_worker_and_what_a_deployment_leaves_on_an_instance_are_no_drift(account: Account) -> None:
    account.client("ec2").stop_instances(InstanceIds=[account.instances("academy-video-worker-1")[0]["InstanceId"]])
    # One that others change further down, too: repairing it takes neither away, and starts nobody.
    for name in ("academy-api-1", "academy-video-worker-2"):
        account.client("ec2").create_tags(
            Resources=[account.instances(name)[0]["InstanceId"]],
            Tags=[{"Key": "HoldUntil", "Value": "2026-01-31T09:30:00Z"}, {"Key": "Release", "Value": "3f8a1c0d94b2"}],
        )
    before = account.writes()
    assert unchanged(account.provision("deployed", "--tags", "instance").expect().changed())
    assert account.writes() == before


@pytest.fixture(scope="module")
def looks(account: Account) -> list[Any]:
    """The account as it was provisioned, then after each change by others."""
    return [snapshot(account)]


@pytest.mark.parametrize("drift", DRIFTS)
def test_others_change_one_thing(account: Account, looks: list[Any], drift: str) -> None:
    before = account.writes()
    DRIFTS[drift](account)
    services = {call.partition(".")[0] for call, count in account.writes().items() if count > before.get(call, 0)}
    looks.append({**looks[-1], **snapshot(account, services)})
    assert looks[-1] != looks[-2]


def test_the_plan_tells_every_one_of_these_changes_and_nothing_else(account: Account) -> None:
    report = account.plan("drift", status=2)
    lines = [re.sub(r"vol-\w+", "volume", line) for entry in report["differences"] for line in entry["lines"]]
    # One sleeps, and was never deployed to.
    wanted = ["~ academy-video-worker-1: release: none", *(line for drift in DRIFTS for line in TOLD[drift])]
    assert [line for line in lines if sum(map(line.startswith, wanted)) != 1] == []
    assert [begin for begin in wanted if sum(line.startswith(begin) for line in lines) != 1] == []
    assert report["refused"] == []


def test_check_mode_names_whom_others_have_changed_and_writes_nothing(account: Account) -> None:
    before = account.writes()
    assert changed_by(account.provision("drift-check", "--check")) == {"localhost", *REPAIRED_HOSTS}
    assert account.writes() == before


@pytest.mark.parametrize("role", KINDS)
def test_a_role_repairs_what_others_changed_of_its_own_and_touches_nothing_else(
    account: Account, looks: list[Any], role: str
) -> None:
    wanted = {"localhost": REPAIRED[role], **(REPAIRED_HOSTS if role == "instance" else dict.fromkeys(HOSTS, 0))}
    assert account.provision(f"drift-{role}", "--tags", role).expect().changed() == wanted
    looks.append(snapshot(account))
    assert looks[-1] == {**looks[-2], **{kind: looks[0][kind] for kind in KINDS[role]}}


def test_together_they_have_repaired_everything(looks: list[Any]) -> None:
    assert looks[-1] == looks[0]


def test_what_others_took_as_theirs_the_owner_alone_takes_back(account: Account) -> None:
    look = snapshot(account)
    for take in TAKEN.values():
        take(account)
    for role, resource in (("network", "security-group"), ("instance", "volume")):
        refused = account.provision(f"taken-{role}", "--tags", role).expect(2)
        told = f"ec2:CreateTags on resource: arn:aws:ec2:ap-northeast-2:123456789012:{resource}/"
        assert f"is not authorized to perform: {told}" in " ".join(refused.output.split())
    account.provision("taken-back", "--tags", "network,instance", *OWNER).expect()
    assert snapshot(account) == look


@pytest.mark.parametrize(("inventory", "address"), [("local", "PrivateIpAddress"), ("production", "PublicIpAddress")])
def test_a_stopped_host_does_not_hide_the_others(
    account: Account, tmp_path: Path, inventory: str, address: str
) -> None:
    shutil.copytree(support.ROOT / "inventories", tmp_path / "inventories", symlinks=True)
    source = tmp_path / "inventories" / inventory / "aws_ec2.yml"
    connection = {
        "endpoint_url": account.url,
        "access_key": settings.OPERATOR_ACCESS_KEY,
        "secret_key": settings.OPERATOR_SECRET_KEY,
    }
    source.write_text(yaml.safe_dump({**yaml.safe_load(source.read_text(encoding="utf-8")), **connection}), "utf-8")
    listing = subprocess.run(
        [Path(sys.executable).with_name("ansible-inventory"), "-i", source.parent, "--list"],
        cwd=support.ROOT, env=demo.environment(os.environ), check=True, capture_output=True,
    )  # fmt: skip
    found = json.loads(listing.stdout, object_hook=lambda value: value.get("__ansible_unsafe", value))
    variables = found["_meta"]["hostvars"]
    running = set(HOSTS) - {"academy-video-worker-1"}
    assert set(found["running"]["hosts"]) == running
    assert {name: variables[name]["ansible_host"] for name in running} == {
        name: account.instances(name)[0][address] for name in running
    }
    assert variables["academy-video-worker-1"]["aws_state"]["name"] == "stopped"


def refused(account: Account, name: str, *arguments: str) -> str:
    """What a run says that must end before it has changed anything."""
    before = account.writes()
    run = account.provision(f"refuse-{name}", *arguments).expect(2)
    assert account.writes() == before
    return " ".join(run.output.split())


def test_what_roles_refuse_is_told_at_once_before_anything_is_changed(account: Account) -> None:
    wanted: dict[str, tuple[Any, tuple[str, ...]]] = {
        "operator_cidrs": (["0.0.0.0/0"], ("the whole world",)),
        "stage": ("open", ("stage: open needs a public name",)),
        "database_backup_retention_days": (1, ("database_backup_retention_days",)),
        "logs_retention_days": (10, ("logs_retention_days",)),
        "instance_type": ("t4g.small", ("instance_memory_min_mib", "instance_allow_type_change")),
        "alarms_worker_running_hours": (169, ("alarms_worker_running_hours",)),
    }
    values = json.dumps({name: value for name, (value, _) in wanted.items()})
    told = refused(account, "values", "--limit", "localhost,academy-video-worker-2", "-e", values)
    assert [word for _, words in wanted.values() for word in words if word not in told] == []


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("placeholder", ["-e", "owner=CHANGE-ME"], "owner: still CHANGE-ME"),
        ("account", ["-e", "aws_account_id='000000000000'"], "belongs to account 000000000000"),
        (
            "placement",
            ["-i", SHARED_HOST, "-e", "queues_receive_wait_seconds=5"],
            "academy-api-1: video_worker would stop this host",
        ),
    ],
)
def test_a_role_alone_refuses_what_is_wrong_with_all(
    account: Account, name: str, arguments: list[str], message: str
) -> None:
    assert message in refused(account, name, "--tags", "queues", *arguments)


def test_a_data_disk_is_neither_grown_nor_left_to_end_with_its_host(account: Account) -> None:
    ec2, (host,) = account.client("ec2"), account.instances("academy-video-worker-2")
    theirs = [{"DeviceName": "/dev/sdf", "Ebs": {"DeleteOnTermination": True}}]
    ec2.modify_instance_attribute(InstanceId=host["InstanceId"], BlockDeviceMappings=theirs)
    before = account.writes()
    size = ("-e", "transcode_volume_size_gib=200")
    run = account.provision("refuse-volume", "--limit", "academy-video-worker-2", *size).expect(2)
    told = " ".join(run.output.split())
    assert "100 GiB at /dev/sdf" in told
    assert account.writes() == before
    command = re.search(f"--instance-id {host['InstanceId']} --block-device-mappings '(.*?)'", told)
    assert command is not None, told
    ec2.modify_instance_attribute(InstanceId=host["InstanceId"], BlockDeviceMappings=json.loads(command[1]))
    assert account.instances("academy-video-worker-2") == [host]


OTHER_JOBS = {
    key: {"name": f"academy-{name}", "visibility_timeout_seconds": 7200, "max_receive_count": 2}
    for key, name in {
        "video": "video-jobs",
        "messaging": "messaging-jobs",
        "ai_lite": "ai-jobs-lite",
        "ai_basic": "ai-jobs-basic",
        "ai_premium": "ai-jobs-premium",
        "another": "another-jobs",
    }.items()
}


def starter(account: Account) -> tuple[Any, ...]:
    found = account.client("lambda").get_function_configuration(FunctionName="academy-starter")
    keys = ("Timeout", "MemorySize", "Architectures", "LoggingConfig")
    return (
        *(found[key] for key in keys),
        json.loads(found["Environment"]["Variables"]["STARTER"])["groups"],
        account.client("events").describe_rule(Name="academy-starter")["State"],
    )


def statements(account: Account, role: str, policy: str) -> list[dict[str, Any]]:
    found = account.client("iam").get_role_policy(RoleName=role, PolicyName=policy)
    return list(found["PolicyDocument"]["Statement"])


def may_write_to(account: Account, group: str) -> bool:
    return f":log-group:{group}:" in json.dumps(statements(account, "academy-starter-role", "academy-starter"))


# Everybody stops its host, the API receives jobs, and there is one service more.
OTHER_SERVICES = {
    **{service: {**found, "stops_itself": True} for service, found in ROWS.items()},
    "api": {**ROWS["api"], "stops_itself": True, "receives_from": ["academy-video-jobs"]},
    "video_worker": {**ROWS["video_worker"], "receives_from": ["academy-ai-jobs-lite"]},
    "another": row("academy-another"),
}
DATABASE_NUMBERS = ("AllocatedStorage", "MaxAllocatedStorage", "BackupRetentionPeriod", "DBInstanceClass")
ALARMS_OF_OTHER_VALUES = {
    **{f"{host}-running-too-long": (24, 55.0) for host in HOSTS},
    "academy-video-jobs-waiting-too-long": (1, 90000.0),
    "academy-another-jobs-waiting-too-long": (1, 90000.0),
    "academy-another-jobs-dlq-not-empty": (1, 1.0),
}
# For each role: other values for what it exposes, and what AWS then says.
PARAMETERS: dict[str, tuple[dict[str, Any], Callable[[Account], Any], Any]] = {
    "network": (
        {"operator_cidrs": ["198.51.100.7/32"], "api_port": 8001},
        lambda account: inbound(account, "academy-api-sg"),
        {(22, "198.51.100.7/32"), (8001, "198.51.100.7/32"), (8001, "academy-worker-sg")},
    ),
    "identity": (
        {"services": OTHER_SERVICES, "starter_log_group": "/academy/other-starter"},
        lambda account: (
            [statement["Sid"] for statement in statements(account, "academy-api-role", "academy-host")],
            may_write_to(account, "/academy/other-starter"),
        ),
        (["ReceiveJobs", "WriteLogs", "LogInToRegistry", "PullImages", "SeeInstances", "StopItself"], True),
    ),
    "queues": (
        {
            "queues_jobs": OTHER_JOBS,
            "queues_receive_wait_seconds": 10,
            "queues_retention_days": 5,
            "queues_dead_letter_retention_days": 9,
        },
        lambda account: (
            [
                queue_attributes(account, "academy-video-jobs")[name]
                for name in ("VisibilityTimeout", "ReceiveMessageWaitTimeSeconds", "MessageRetentionPeriod")
            ]
            + [queue_attributes(account, "academy-video-jobs-dlq")["MessageRetentionPeriod"]]
            + [name for name in queue_names(account) if "another" in name]
        ),
        ["7200", "10", str(5 * 86400), str(9 * 86400), "academy-another-jobs", "academy-another-jobs-dlq"],
    ),
    "database": (
        {
            "database_allocated_storage_gib": 30,
            "database_max_allocated_storage_gib": 150,
            "database_backup_retention_days": 14,
            "database_instance_class": "db.t4g.small",
        },
        lambda account: [database(account)[name] for name in DATABASE_NUMBERS],
        [30, 150, 14, "db.t4g.small"],
    ),
    "registry": (
        {"services": OTHER_SERVICES, "registry_untagged_expiry_days": 3},
        lambda account: {
            found["repositoryName"]: json.loads(
                account.client("ecr").get_lifecycle_policy(repositoryName=found["repositoryName"])[
                    "lifecyclePolicyText"
                ]
            )["rules"][0]["selection"]["countNumber"]
            for found in account.client("ecr").describe_repositories()["repositories"]
        },
        dict.fromkeys((*REPOSITORIES, "academy-another"), 3),
    ),
    "logs": (
        {"services": OTHER_SERVICES, "starter_log_group": "/academy/other-starter", "logs_retention_days": 7},
        lambda account: {
            group["logGroupName"]: group["retentionInDays"]
            for group in account.client("logs").describe_log_groups()["logGroups"]
        },
        # What the starter wrote to before stays as it is.
        {
            **dict.fromkeys(DATABASE_LOGS, 7),
            **{f"/academy/{name}": 7 for name in (*REPOSITORIES, "academy-another", "other-starter")},
            "/academy/starter": 14,
        },
    ),
    "instance": (
        {
            "instance_security_group": "academy-worker-sg",
            "instance_type": "c7g.large",
            "instance_allow_type_change": [*HOSTS],
        },
        # The one that was stopped runs, as the role says of a change of type.
        lambda account: {
            (host["InstanceType"], host["State"]["Name"], host["SecurityGroups"][0]["GroupName"])
            for host in account.instances()
        },
        {("c7g.large", "running", "academy-worker-sg")},
    ),
    "starter": (
        {
            "services": OTHER_SERVICES,
            "starter_grace_seconds": 90,
            "starter_log_group": "/academy/other-starter",
            "starter_timeout_seconds": 30,
            "starter_memory_mib": 192,
            "starter_architecture": "x86_64",
            "starter_enabled": False,
        },
        starter,
        (
            30,
            192,
            ["x86_64"],
            {"LogFormat": "Text", "LogGroup": "/academy/other-starter"},
            [
                {"name": name, "queues": OTHER_SERVICES[name]["receives_from"], "hosts": hosts, "grace_seconds": 90}
                for name, hosts in {
                    "api": ["academy-api-1"],
                    "messaging_worker": ["academy-messaging-worker-1"],
                    "video_worker": ["academy-video-worker-1", "academy-video-worker-2"],
                    "ai_worker": ["academy-ai-worker-1"],
                }.items()
            ],
            "DISABLED",
        ),
    ),
    "alarms": (
        {
            "queues_jobs": OTHER_JOBS,
            "services": OTHER_SERVICES,
            "alarms_worker_running_hours": 24,
            "alarms_job_waiting_min_seconds": 90000,
            "alarms_emails": ["ops@example.com"],
        },
        lambda account: (
            numbers_of_alarms(account, *ALARMS_OF_OTHER_VALUES),
            [found["Endpoint"] for found in account.client("sns").list_subscriptions()["Subscriptions"]],
        ),
        (ALARMS_OF_OTHER_VALUES, ["ops@example.com"]),
    ),
}


def tagged_by_others(account: Account, role: str) -> list[bool]:
    """Whether what a role makes carries another owner's tag, kind by kind; a key is made for launches and then kept."""
    look = snapshot(account)
    return ["others" in owners(look[kind]) for kind in KINDS[role] if kind != "keys"]


def test_other_values_are_predicted_and_then_kept(account: Account) -> None:
    values: dict[str, Any] = {"owner": "others"}
    for role, (own, look, wanted) in PARAMETERS.items():
        # One run is given them all.
        assert {**own, **values} == {**values, **own}
        values |= own
        assert look(account) != wanted, role
        assert not any(tagged_by_others(account, role))
    account.become(unanswered_emails="ops@example.com")
    kept = predicted_then_kept(account, "all", tuple(KINDS), values)
    account.become(unanswered_emails="")
    assert "[WARNING] alarms_emails: hears of no alarm yet" in " ".join(kept.output.split())
    for role, (_, look, wanted) in PARAMETERS.items():
        assert look(account) == wanted, role
        assert all(tagged_by_others(account, role)), role


def test_the_values_of_before_come_back_and_what_others_deleted(account: Account, looks: list[Any]) -> None:
    account.client("lambda").delete_function(FunctionName="academy-starter")
    account.client("sns").delete_topic(TopicArn=TOPIC_ARN)
    iam, role = account.client("iam"), "academy-starter-role"
    for policy in iam.list_role_policies(RoleName=role)["PolicyNames"]:
        iam.delete_role_policy(RoleName=role, PolicyName=policy)
    iam.delete_role(RoleName=role)
    # Lambda cannot assume the new role for longer than the run takes to get there.
    account.become(iam_seconds=45)
    allowed = {"instance_allow_type_change": [*HOSTS], "database_allow_smaller_class": ["academy-db"]}
    account.provision("restore", "-e", json.dumps(allowed)).expect()
    account.become(iam_seconds=0)
    assert unchanged(account.provision("restored").expect().changed())
    look = snapshot(account)
    assert {kind: look[kind] for kind in KINDS["starter"]} == {kind: looks[0][kind] for kind in KINDS["starter"]}
    assert look["topics"] == looks[0]["topics"]


def test_a_newer_image_replaces_no_host_and_a_terminated_host_gets_it(account: Account) -> None:
    ec2 = account.client("ec2")
    (old,) = account.instances(ALWAYS_ON)
    (image,) = [
        found["ImageId"]
        for found in ec2.describe_images(Filters=[{"Name": "architecture", "Values": ["arm64"]}])["Images"]
        if found["ImageId"] != old["ImageId"]
    ][:1]
    account.client("ssm").put_parameter(Name="/academy/newer-image", Value=image, Type="String")
    newer = ("--tags", "instance", "-e", "instance_ami_parameter=/academy/newer-image")
    assert unchanged(account.provision("newer-image", *newer).expect().changed())

    ec2.terminate_instances(InstanceIds=[old["InstanceId"]])
    zone = old["Placement"]["AvailabilityZone"]
    account.become(full_zones=zone)
    changed = account.provision("terminated", *newer).expect().changed()
    account.become(full_zones="")
    assert {host: count for host, count in changed.items() if count} == {ALWAYS_ON: 1}
    (new,) = [host for host in account.instances(ALWAYS_ON) if host["State"]["Name"] == "running"]
    assert (new["InstanceId"] != old["InstanceId"], new["ImageId"]) == (True, image)
    assert new["Placement"]["AvailabilityZone"] != zone


def test_no_host_is_made_or_repaired_beside_a_namesake(account: Account) -> None:
    messages: dict[str | None, str] = {
        None: "its Project tag is missing",
        "other": "its Project tag is other",
        "academy": "one instance may carry this Name tag, found 2",
    }
    ec2 = account.client("ec2")
    (host,) = [host for host in account.instances(ALWAYS_ON) if host["State"]["Name"] == "running"]
    namesakes = []
    for project in messages:
        tags = {"Name": ALWAYS_ON, **({"Project": project} if project else {})}
        (namesake,) = ec2.run_instances(
            ImageId=host["ImageId"], InstanceType="t4g.micro", MinCount=1, MaxCount=1,
            TagSpecifications=[
                {"ResourceType": "instance", "Tags": [{"Key": key, "Value": value} for key, value in tags.items()]}
            ],
        )["Instances"]  # fmt: skip
        namesakes.append(namesake["InstanceId"])
    before = account.writes()
    run = account.provision("namesakes", "--tags", "instance").expect(2)
    told = " ".join(run.output.split())
    assert [word for word in (*messages.values(), *namesakes) if word not in told] == []
    assert account.writes() == before
    ec2.terminate_instances(InstanceIds=namesakes)
    assert unchanged(account.provision("no-namesake", "--tags", "instance").expect().changed())


def test_what_rds_did_by_itself_stays_and_what_others_did_is_repaired(account: Account) -> None:
    rds = account.client("rds")
    rds.modify_db_instance(
        DBInstanceIdentifier="academy-db", AllocatedStorage=40, EngineVersion="15.99", ApplyImmediately=True
    )
    # Since others attached and changed parameters; nobody is cut off to have the repaired ones hold.
    waiting = account.provision("autoscaled", "--tags", "database").expect()
    assert unchanged(waiting.changed())
    assert "[WARNING] academy-db: must be restarted" in " ".join(waiting.output.split())
    rds.reboot_db_instance(DBInstanceIdentifier="academy-db")
    rds.modify_db_instance(
        DBInstanceIdentifier="academy-db", BackupRetentionPeriod=1, DeletionProtection=False, ApplyImmediately=True
    )
    weakened = account.provision("weakened", "--tags", "database").expect()
    assert weakened.changed() == {"localhost": 1} | dict.fromkeys(HOSTS, 0)
    assert "must be restarted" not in weakened.output
    found = database(account)
    assert (found["AllocatedStorage"], found["EngineVersion"]) == (40, "15.99")
    assert (found["BackupRetentionPeriod"], found["DeletionProtection"]) == (7, True)


def test_other_names_make_other_groups_and_leave_the_old(account: Account) -> None:
    names = {"api": "academy-web-sg", "worker": "academy-jobs-sg", "alb": "academy-alb-sg"}
    names["database"] = "rds-academy-sg"
    predicted_then_kept(account, "names", ("network",), {"network_security_group_names": names})
    found = {group["GroupName"] for group in account.client("ec2").describe_security_groups()["SecurityGroups"]}
    assert found >= {*names.values(), "academy-api-sg", "academy-worker-sg"}
    assert inbound(account, "rds-academy-sg") == {(5432, "academy-web-sg"), (5432, "academy-jobs-sg")}


def test_other_subnets_are_those_of_the_database(account: Account) -> None:
    zones = {
        subnet["AvailabilityZone"]: subnet["SubnetId"]
        for subnet in account.client("ec2").describe_subnets()["Subnets"]
        if subnet["DefaultForAz"]
    }
    two = [zones[zone] for zone in sorted(zones)[:2]]
    assert subnets_of_the_database(account) > set(two)
    predicted_then_kept(account, "subnets", ("database",), {"subnet_ids": two})
    assert subnets_of_the_database(account) == set(two)


@pytest.mark.parametrize(
    ("consent", "value", "attribute"),
    [
        ("database_allow_smaller_class", "db.t4g.micro", "DBInstanceClass"),
        ("database_allow_shorter_backups", 7, "BackupRetentionPeriod"),
    ],
)
def test_the_database_becomes_less_only_where_it_is_named(
    account: Account, consent: str, value: object, attribute: str
) -> None:
    rds = account.client("rds")
    rds.modify_db_instance(
        DBInstanceIdentifier="academy-db",
        DBInstanceClass="db.t4g.small",
        BackupRetentionPeriod=14,
        ApplyImmediately=True,
    )
    arguments = ("--tags", "database", "-e", "database_apply_immediately=true")
    # The other variable's consent is none.
    smaller = {"database_allow_smaller_class": ["academy-db"]} if "backups" in consent else {}
    before = account.writes()
    run = account.provision("others-named", *arguments, "-e", json.dumps({**smaller, consent: ["academy-b-db"]}))
    if not smaller:
        assert "database_instance_class" in run.expect(2).output
        assert account.writes() == before
    assert database(account)[attribute] != value
    account.provision("named", *arguments, "-e", json.dumps({**smaller, consent: ["academy-db"]})).expect()
    assert database(account)[attribute] == value


def test_messages_that_are_there_are_lost_only_where_their_queue_is_named(account: Account) -> None:
    sqs = account.client("sqs")
    url = sqs.get_queue_url(QueueName="academy-messaging-jobs")["QueueUrl"]
    sqs.send_message(QueueUrl=url, MessageBody="a week old")
    shorter = {"queues_retention_days": 1}
    before = account.writes()
    run = account.provision("shorter", "--tags", "queues", "-e", json.dumps(shorter)).expect(2)
    assert '"queues_allow_shorter_retention": ["academy-messaging-jobs"]' in " ".join(run.output.split())
    assert "academy-video-jobs: 86400 s of retention wanted" not in run.output
    assert account.writes() == before
    consent = {**shorter, "queues_allow_shorter_retention": ["academy-messaging-jobs"]}
    account.provision("shorter-named", "--tags", "queues", "-e", json.dumps(consent)).expect()
    assert queue_attributes(account, "academy-messaging-jobs")["MessageRetentionPeriod"] == "86400"


def subnets_of_the_database(account: Account) -> set[str]:
    (group,) = account.client("rds").describe_db_subnet_groups()["DBSubnetGroups"]
    return {subnet["SubnetIdentifier"] for subnet in group["Subnets"]}


def predicted_then_kept(account: Account, name: str, roles: tuple[str, ...], values: dict[str, Any]) -> support.Run:
    """Check mode foresees the change and writes nothing; it is made once, and then nothing is left to do: that run."""
    arguments = ("--tags", ",".join(roles), "--extra-vars", json.dumps(values))
    before = account.writes()
    foreseen = changed_of_roles(account.provision(f"foresee-{name}", "--check", "--diff", *arguments))
    assert account.writes() == before
    assert foreseen == changed_of_roles(account.provision(f"modify-{name}", *arguments))
    assert foreseen.keys() == set(roles)
    kept = account.provision(f"modified-{name}", *arguments).expect()
    assert unchanged(kept.changed())
    return kept

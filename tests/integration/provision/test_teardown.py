# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Two deployments side by side, one of which is refused its end, listed, killed on the way, ended, and made again.

The name of the one that goes is the beginning of the other's. One account, one story: each test finds what the one
before left.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from localcloud import settings
from tests import support
from tests.integration.conftest import PLAYBOOK, TEARDOWN, Account
from tests.integration.provision.drift import snapshot
from tests.integration.provision.side_by_side import another_inventory, of

OTHER = "academy-b"
CONFIRM = ("-e", "confirm=academy")
TAGS = {"Project": "academy", "Environment": "local", "Role": "test"}
PROJECT = [{"Key": "Project", "Value": "academy"}]
OWN = [{"Key": key, "Value": value} for key, value in TAGS.items()]
TOPIC_ARN = "arn:aws:sns:ap-northeast-2:123456789012:academy-alarms"
LOGS = f"academy-alb-logs-{settings.ACCOUNT_ID}"
JOBS, DEAD_LETTERS = "academy-video-jobs", "academy-messaging-jobs-dlq"
NAMED = ("-e", f"teardown_purge_queues={JOBS},{DEAD_LETTERS}", "-e", "teardown_allow_untagged=academy-api")
# Nobody waits for the lease of a run that was killed.
BROKEN = ("-e", "deploy_break_lock=true")
# What the other deployment shows as well without them.
NOT_NEEDED = ("academy-messaging-worker-1", "academy-video-worker-2", "academy-ai-worker-1")
MOMENT_TIMEOUT_SECONDS = 240


@pytest.fixture(scope="module")
def empty(account: Account) -> Any:
    """The account before anything was made in it."""
    return kinds(account)


@pytest.fixture(scope="module")
def inventory(tmp_path_factory: pytest.TempPathFactory) -> str:
    return another_inventory(tmp_path_factory.mktemp("other"), OTHER, NOT_NEEDED)


@pytest.fixture(scope="module")
def other(account: Account, inventory: str, empty: Any) -> dict[str, list[str]]:
    """The deployment that stays, as it was before the one that goes came into being."""
    assert not any(of(OTHER, empty).values())
    account.provision("other", inventory=inventory).expect()
    return of(OTHER, kinds(account))


def kinds(account: Account) -> Any:
    """The snapshot, without instances that are no more."""
    found = snapshot(account)
    return {**found, "instances": [each for each in found["instances"] if each["State"]["Name"] != "terminated"]}


def unchanged(run: support.Run) -> bool:
    return set(run.expect().changed().values()) == {0}


def queue_url(account: Account, name: str) -> str:
    return str(account.client("sqs").get_queue_url(QueueName=name)["QueueUrl"])


def refused(account: Account, name: str, *arguments: str) -> str:
    """What a teardown says that must end before it has removed anything."""
    before = account.writes()
    run = account.teardown(name, *arguments).expect(2)
    assert account.writes() == before
    return " ".join(run.output.split())


def test_both_are_created_and_the_first_is_as_it_was(account: Account, other: dict[str, list[str]]) -> None:
    assert {kind for kind, found in other.items() if not found} == set()
    account.provision("beside").expect()
    assert of(OTHER, kinds(account)) == other


def test_the_second_is_changed_and_the_first_is_as_it_was(account: Account, other: dict[str, list[str]]) -> None:
    changes = {"logs_retention_days": 7, "queues_retention_days": 5, "owner": "somebody"}
    run = account.provision(
        "change-beside", "--tags", "network,queues,logs,registry", "-e", json.dumps(changes)
    ).expect()
    assert run.changed()["localhost"] == 4
    assert of(OTHER, kinds(account)) == other


def launch(account: Account, kinds_of_tags: tuple[str, ...], tags: list[dict[str, str]], **more: Any) -> str:
    ec2 = account.client("ec2")
    (image, *_) = ec2.describe_images(Filters=[{"Name": "architecture", "Values": ["arm64"]}])["Images"]
    launched = ec2.run_instances(
        ImageId=image["ImageId"],
        InstanceType="t4g.small",
        MinCount=1,
        MaxCount=1,
        TagSpecifications=[{"ResourceType": kind, "Tags": tags} for kind in kinds_of_tags],
        **more,
    )
    return str(launched["Instances"][0]["InstanceId"])


def spot_host_at_rest(account: Account) -> None:
    """Its end would open its request again; cancelling that ends it, because it is stopped."""
    options = {"SpotInstanceType": "persistent", "InstanceInterruptionBehavior": "stop"}
    spot = {"MarketType": "spot", "SpotOptions": options}
    tags = [*OWN, {"Key": "Name", "Value": "academy-at-rest"}]
    host = launch(account, ("instance", "volume", "spot-instances-request"), tags, InstanceMarketOptions=spot)
    account.client("ec2").stop_instances(InstanceIds=[host])


def spot_states(account: Account) -> list[str]:
    """Of all requests, those of earlier runs too."""
    found = account.client("ec2").describe_spot_instance_requests()["SpotInstanceRequests"]
    return sorted(request["State"] for request in found)


def test_there_is_more_to_remove(account: Account) -> None:
    """A load balancer, a Spot request, what was named otherwise once, and what a killed run had not tagged yet."""
    ec2, elbv2 = account.client("ec2"), account.client("elbv2")
    subnets = [found["SubnetId"] for found in ec2.describe_subnets()["Subnets"] if found["DefaultForAz"]][:2]
    vpc_id = ec2.describe_vpcs()["Vpcs"][0]["VpcId"]
    balancer = elbv2.create_load_balancer(Name="academy-alb", Subnets=subnets, Tags=OWN)["LoadBalancers"][0]
    target_group = elbv2.create_target_group(
        Name="academy-api", Protocol="HTTP", Port=8000, VpcId=vpc_id, Tags=PROJECT
    )["TargetGroups"][0]
    elbv2.create_listener(
        LoadBalancerArn=balancer["LoadBalancerArn"], Protocol="HTTP", Port=80,
        DefaultActions=[{"Type": "forward", "TargetGroupArn": target_group["TargetGroupArn"]}],
    )  # fmt: skip
    template = {"InstanceType": "t4g.small"}
    makers: tuple[tuple[str, Callable[[dict[str, Any]], Any]], ...] = (
        ("launch-template", lambda tags: ec2.create_launch_template(
            LaunchTemplateName="academy-video-worker", LaunchTemplateData=template, **tags)),
        ("elastic-ip", lambda tags: ec2.allocate_address(Domain="vpc", **tags)),
    )  # fmt: skip
    for kind, make in makers:
        make({"TagSpecifications": [{"ResourceType": kind, "Tags": PROJECT}]})
    spot_host_at_rest(account)
    account.client("sqs").create_queue(QueueName="media-jobs", tags=TAGS)
    account.client("cloudwatch").put_metric_alarm(
        AlarmName="media-jobs-dlq-not-empty",
        Namespace="AWS/SQS",
        MetricName="NumberOfMessagesSent",
        Statistic="Sum",
        Period=60,
        EvaluationPeriods=1,
        Threshold=1,
        ComparisonOperator="GreaterThanThreshold",
        Tags=PROJECT,
    )
    account.client("rds").create_db_subnet_group(
        DBSubnetGroupName="media-subnets", DBSubnetGroupDescription="test", SubnetIds=subnets, Tags=PROJECT
    )
    account.client("s3").create_bucket(Bucket=LOGS, CreateBucketConfiguration={"LocationConstraint": settings.REGION})
    account.push("academy-api")
    arn = "arn:aws:{}:ap-northeast-2:123456789012:{}"
    account.client("ecr").untag_resource(resourceArn=arn.format("ecr", "repository/academy-api"), tagKeys=["Project"])
    account.client("events").untag_resource(
        ResourceARN=arn.format("events", "rule/academy-starter"), TagKeys=["Project"]
    )
    account.client("cloudwatch").untag_resource(
        ResourceARN=arn.format("cloudwatch", f"alarm:{JOBS}-dlq-not-empty"), TagKeys=["Project"]
    )


FOREIGN: dict[str, Callable[[Account], Any]] = {
    "a queue of that beginning": lambda account: account.client("sqs").create_queue(QueueName="academy-others"),
    "a role of that beginning": lambda account: account.client("iam").create_role(
        RoleName="academy-others-role",
        AssumeRolePolicyDocument=json.dumps(
            {
                "Version": "2012-10-17",
                "Statement": [
                    {"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}
                ],
            }
        ),
    ),
    "an alarm that tells others": lambda account: account.client("cloudwatch").put_metric_alarm(
        AlarmName="academy-others", Namespace="AWS/SQS", MetricName="NumberOfMessagesSent", Statistic="Sum", Period=60,
        EvaluationPeriods=1, Threshold=1, ComparisonOperator="GreaterThanThreshold",
        AlarmActions=[f"{TOPIC_ARN}-of-others"],
    ),
    "a log group of another deployment": lambda account: account.client("logs").create_log_group(
        logGroupName="/academy/others", tags={"Project": "others"}
    ),
    "a key pair of that beginning": lambda account: account.client("ec2").create_key_pair(KeyName="academy-others"),
}  # fmt: skip


@pytest.fixture(scope="module")
def foreign(account: Account) -> dict[str, list[str]]:
    for make in FOREIGN.values():
        make(account)
    found = of("others", kinds(account))
    assert sum(map(len, found.values())) >= len(FOREIGN)
    return found


def test_a_deployment_that_was_not_named_is_refused(account: Account) -> None:
    assert "found academy-b. This inventory's is academy" in refused(account, "unnamed", "-e", "confirm=academy-b")


def test_everything_that_somebody_has_to_decide_is_said_at_once(account: Account) -> None:
    """Messages, images and logs need their names, of which a part is none; what is protected or foreign is left."""
    sqs, ec2, elbv2 = map(account.client, ("sqs", "ec2", "elbv2"))
    for name in (JOBS, DEAD_LETTERS):
        sqs.send_message(QueueUrl=queue_url(account, name), MessageBody="somebody's job")
    sqs.receive_message(QueueUrl=queue_url(account, JOBS), VisibilityTimeout=900)  # in flight still counts
    host = account.instances("academy-api-1")[0]["InstanceId"]
    worker = account.instances("academy-video-worker-1")[0]["InstanceId"]
    bastion = launch(account, ("instance", "volume"), [*PROJECT, {"Key": "Name", "Value": "bastion"}])
    (balancer,) = elbv2.describe_load_balancers()["LoadBalancers"]

    def protect(*, really: bool) -> None:
        ec2.modify_instance_attribute(InstanceId=host, DisableApiTermination={"Value": really})
        elbv2.modify_load_balancer_attributes(
            LoadBalancerArn=balancer["LoadBalancerArn"],
            Attributes=[{"Key": "deletion_protection.enabled", "Value": str(really).lower()}],
        )
        ec2.modify_instance_attribute(
            InstanceId=worker,
            BlockDeviceMappings=[{"DeviceName": "/dev/sdf", "Ebs": {"DeleteOnTermination": really}}],
        )

    protect(really=True)
    message = refused(
        account, "undecided", *CONFIRM, "-e", f"teardown_purge_queues={DEAD_LETTERS},{JOBS}-dlq"
    )  # fmt: skip
    assert f"{JOBS}: must be empty to be removed, found 1 messages" in message
    assert f"{DEAD_LETTERS}: must be empty" not in message
    assert f'{{"teardown_purge_queues": ["{DEAD_LETTERS}", "{JOBS}-dlq", "{JOBS}"]}}' in message
    assert "repository academy-api: must be empty to be removed without a Project tag, found 1 images" in message
    assert f"academy-api-1 ({host}): is protected against termination" in message
    assert f"academy-video-worker-1 ({worker}): vol-" in message
    assert "academy-alb: is protected against deletion" in message
    assert f"instance bastion ({bastion}): carries the Project tag of this deployment, but not Environment" in message
    assert "volume bastion (vol-" in message
    protect(really=False)
    (disk,) = ec2.describe_volumes(Filters=[{"Name": "attachment.instance-id", "Values": [bastion]}])["Volumes"]
    ec2.create_tags(Resources=[bastion, disk["VolumeId"]], Tags=[{"Key": "Project", "Value": "others"}])


def test_check_mode_lists_what_would_go_and_writes_nothing(account: Account, foreign: dict[str, list[str]]) -> None:
    before, look = account.writes(), kinds(account)
    run = account.teardown("check", *CONFIRM, *NAMED, "--check").expect()
    assert account.writes() == before
    assert kinds(account) == look
    assert run.changed() == {"localhost": 1}
    for line in (
        "schedule rule academy-starter", "function academy-starter", f"alarm {JOBS}-dlq-not-empty",
        "topic academy-alarms", "load balancer academy-alb", "target group academy-api",
        "Spot request academy-at-rest (sir-", "instance academy-video-worker-2 (i-",
        "launch template academy-video-worker (lt-", "key pair academy-operator (key-",
        "database academy-db, after a final snapshot", "after a snapshot", f"queue {JOBS}, with 1 messages",
        "repository academy-api, without a Project tag, with 1 images", "queue media-jobs",
        "alarm media-jobs-dlq-not-empty", "database subnet group media-subnets",
        "log group /academy/starter", "log group /aws/rds/instance/academy-db/postgresql",
        "database parameter group academy-db-postgres15", "instance profile academy-api-role",
        "role academy-starter-role", "database subnet group academy-db-subnets", "security group rds-academy-sg (sg-",
    ):  # fmt: skip
        assert line in run.output
    assert OTHER not in run.output
    assert "others" not in run.output


# When to kill, and what is gone by then.
MOMENTS = {
    "instances": support.task("hosts | Remove the launch templates"),
    "disks": support.task("disks | Delete the data disks"),
    "queues": rf"^changed: \[localhost\] => \(item={DEAD_LETTERS}\)",
    "rules of the groups": r"^changed: \[localhost\] => \(item=academy-api-sg\)",
}


@pytest.mark.parametrize("moment", MOMENTS)
def test_it_is_killed_on_the_way(account: Account, moment: str) -> None:
    name = f"teardown-killed-{moment.replace(' ', '-')}"
    with support.background_playbook(*account.arguments(TEARDOWN), *CONFIRM, *NAMED, *BROKEN, name=name) as run:
        run.wait_for_line(MOMENTS[moment], MOMENT_TIMEOUT_SECONDS)


def test_a_second_run_finishes_it_and_says_what_still_costs_money(account: Account) -> None:
    run = account.teardown("finish", *CONFIRM, *NAMED, *BROKEN).expect()
    assert account.client("ssm").get_parameters_by_path(Path="/academy/lock")["Parameters"] == []
    snapshots = account.client("ec2").describe_snapshots(OwnerIds=["self"], Filters=[
        {"Name": "tag:Project", "Values": ["academy"]}])["Snapshots"]  # fmt: skip
    (final,) = account.client("rds").describe_db_snapshots(SnapshotType="manual")["DBSnapshots"]
    (address,) = account.client("ec2").describe_addresses()["Addresses"]
    assert len({found["VolumeId"] for found in snapshots}) == len(snapshots) == 2
    assert {(tag["Key"], tag["Value"]) for tag in snapshots[0]["Tags"]} >= {("Owner", "demo"), ("Role", "teardown")}
    assert final["DBSnapshotIdentifier"].startswith("academy-db-final-2")
    for command in (
        *(f"--snapshot-id {found['SnapshotId']}" for found in snapshots),
        f"--db-snapshot-identifier {final['DBSnapshotIdentifier']}",
        f"--allocation-id {address['AllocationId']}",
        f"aws s3 rb --force s3://{LOGS}",
    ):
        assert command in " ".join(run.output.split())


def test_nothing_is_left_but_what_others_have(
    account: Account, empty: Any, other: dict[str, list[str]], foreign: dict[str, list[str]]
) -> None:
    now = kinds(account)
    assert of(OTHER, now) == other
    assert of("others", now) == foreign
    kept = {kind: set(found) | set(foreign[kind]) for kind, found in other.items()}
    there_before = {kind: set(found) for kind, found in of("", empty).items()}
    assert {kind: set(found) - kept[kind] - there_before[kind] for kind, found in of("", now).items()} == {
        kind: set() for kind in now
    }
    assert account.client("ec2").describe_launch_templates()["LaunchTemplates"] == []
    assert spot_states(account) == ["cancelled"]
    assert LOGS in [bucket["Name"] for bucket in account.client("s3").list_buckets()["Buckets"]]
    assert account.client("elbv2").describe_load_balancers()["LoadBalancers"] == []
    assert account.client("elbv2").describe_target_groups()["TargetGroups"] == []
    functions = account.client("lambda").list_functions()["Functions"]
    assert [found["FunctionName"] for found in functions] == [f"{OTHER}-starter"]
    assert [found["Name"] for found in account.client("events").list_rules()["Rules"]] == [f"{OTHER}-starter"]


def test_a_run_after_that_finds_nothing(account: Account) -> None:
    before = account.writes()
    run = account.teardown("again", *CONFIRM)
    assert unchanged(run)
    assert "Nothing is there." in run.output
    assert account.writes() == before


def test_the_other_deployment_is_converged_as_ever(account: Account, inventory: str) -> None:
    assert unchanged(account.provision("other-again", inventory=inventory))


def test_sqs_gives_no_name_out_at_once(account: Account) -> None:
    """A queue that is deleted while the run is on its way to it has to wait for its 60 seconds."""
    sqs = account.client("sqs")

    def is_made() -> bool:
        try:
            sqs.create_queue(QueueName=JOBS)
        except sqs.exceptions.QueueDeletedRecently:
            return False
        return True

    # The teardown before this may have been less than a minute ago.
    support.wait_until(is_made, f"SQS gives {JOBS} out again", 90)
    arguments = (*account.arguments(PLAYBOOK), "--tags", "queues")
    with support.background_playbook(*arguments, name="provision-waits") as run:
        run.wait_for_line(support.task("Ask AWS for the account of the credentials"), MOMENT_TIMEOUT_SECONDS)
        sqs.delete_queue(QueueUrl=queue_url(account, JOBS))
        waiting = r"^FAILED - RETRYING: \[localhost\]: Create or update the queues"
        run.wait_for_line(waiting, MOMENT_TIMEOUT_SECONDS)
        run.finish().expect()
    assert queue_url(account, JOBS)


def test_a_part_is_set_up_again_and_what_is_to_be_kept_is_kept_and_named(account: Account) -> None:
    """And a snapshot that is not wanted not made, and no host launched for the Spot request of one at rest.

    All of it comes up again in tests/e2e/test_production.py: here only of what something may be kept, with a host whose
    data disk could be.
    """
    part = ("--tags", "network,identity,logs,database,registry,instance", "--limit", "localhost,academy-video-worker-1")
    account.provision("set-up-again", *part).expect()
    account.push("academy-api")
    spot_host_at_rest(account)
    at_rest = ["cancelled", "disabled"]
    support.wait_until(lambda: spot_states(account) == at_rest, "its request notices that it was stopped", 90)
    wishes = {
        "teardown_delete_images": False, "teardown_snapshot_data_disks": False,
        "teardown_final_database_snapshot": False,
    }  # fmt: skip
    before = final_snapshots(account)
    run = account.teardown("keep", *CONFIRM, "-e", json.dumps(wishes)).expect()
    assert final_snapshots(account) == before
    assert spot_states(account) == ["cancelled", "cancelled"]
    repositories = account.client("ecr").describe_repositories()["repositories"]
    own = [found["repositoryName"] for found in repositories if OTHER not in found["repositoryName"]]
    assert own == ["academy-api"]
    assert "ecr delete-repository --region ap-northeast-2 --force --repository-name academy-api" in " ".join(
        run.output.split()
    )
    account.teardown("keep-no-longer", *CONFIRM).expect()
    own_instances = [host for host in account.instances("academy-*") if OTHER not in json.dumps(host["Tags"])]
    assert {host["State"]["Name"] for host in own_instances} == {"terminated"}
    assert OTHER in str(account.client("ecr").describe_repositories()["repositories"])
    assert "academy-api'" not in str(account.client("ecr").describe_repositories()["repositories"])


def final_snapshots(account: Account) -> list[str]:
    """Those that somebody asked for: the automatic ones go with their database."""
    found = account.client("rds").describe_db_snapshots()["DBSnapshots"]
    return [
        snapshot["DBSnapshotIdentifier"]
        for snapshot in found
        if not snapshot["DBSnapshotIdentifier"].startswith("rds:")
    ]

# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A Spot video worker beside an on-demand one: checked, created, repeated, meddled with, repaired, refused.

One account, one story: each test finds what the one before left.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests import support
from tests.integration.conftest import Account

SPOT, PLAIN = "academy-video-worker-1", "academy-video-worker-2"
TEMPLATE = f"{SPOT}-spot"
TAGS = {"Project": "academy", "Environment": "local", "Owner": "demo", "Role": "video-worker"}
ALL_IT_NEEDS = "network,identity,instance"
# What no two instances have in common, and what makes a Spot instance one.
OWN = {
    "AmiLaunchIndex", "BlockDeviceMappings", "ClientToken", "IamInstanceProfile", "InstanceId", "LaunchTime",
    "NetworkInterfaces", "Placement", "PrivateDnsName", "PrivateIpAddress", "PublicDnsName", "PublicIpAddress",
    "SubnetId", "Tags",
}  # fmt: skip
# What a deploy does with hosts that sleep; the rest of it needs hosts.
WAKE_PLAY = [
    {
        "name": "Wake",
        "hosts": "video_worker",
        "connection": "local",
        "strategy": "free",
        "gather_facts": False,
        "module_defaults": {"group/academy.deploy.aws": "{{ aws_module_defaults }}"},
        "vars": {
            "ansible_python_interpreter": "{{ ansible_playbook_python }}",
            "aws_instance_id": "{{ ids[inventory_hostname] }}",
        },
        "tasks": [
            {
                "name": "Stop",
                "amazon.aws.ec2_instance": {
                    "instance_ids": ["{{ aws_instance_id }}"],
                    "state": "stopped",
                    "wait": False,
                },
                "when": "inventory_hostname == sleeper",
            },
            {"name": "Wake", "ansible.builtin.include_role": {"name": "academy.deploy.hold", "tasks_from": "wake"}},
            {"name": "Go on", "ansible.builtin.debug": {"msg": "{{ inventory_hostname }} goes on"}},
        ],
    }
]
SPOTS_OWN = {"InstanceLifecycle", "SpotInstanceRequestId"}


def provision(
    account: Account, name: str, *arguments: str, host: str = SPOT, market: str = "spot", tags: str = "instance"
) -> support.Run:
    limits = ("--limit", f"localhost,{host}", "--tags", tags)
    return account.provision(f"spot-{name}", *limits, "-e", f"instance_market_type={market}", *arguments)


def unchanged(account: Account, name: str, **choice: str) -> bool:
    before = account.writes()
    changed = provision(account, name, **choice).expect().changed()
    return changed != {} and not any(changed.values()) and account.writes() == before


def only(account: Account, name: str) -> dict[str, Any]:
    (host,) = [host for host in account.instances(name) if host["State"]["Name"] != "terminated"]
    return host


def request(account: Account) -> dict[str, Any]:
    ids = [only(account, SPOT)["SpotInstanceRequestId"]]
    (found,) = account.client("ec2").describe_spot_instance_requests(SpotInstanceRequestIds=ids)["SpotInstanceRequests"]
    return dict(found)


def tags(record: dict[str, Any]) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in record["Tags"] if not tag["Key"].startswith("aws:")}


def volumes(account: Account, host: dict[str, Any]) -> dict[str, Any]:
    attached = {mapping["DeviceName"]: mapping["Ebs"] for mapping in host["BlockDeviceMappings"]}
    ids = [ebs["VolumeId"] for ebs in attached.values()]
    found = {volume["VolumeId"]: volume for volume in account.client("ec2").describe_volumes(VolumeIds=ids)["Volumes"]}
    return {
        device: (
            *(found[ebs["VolumeId"]][name] for name in ("Size", "VolumeType", "Encrypted")), ebs["DeleteOnTermination"],
        )
        for device, ebs in attached.items()
    }  # fmt: skip


def test_check_mode_on_an_empty_account_predicts_and_writes_nothing(account: Account) -> None:
    run = provision(account, "check", "--check", "--diff", tags=ALL_IT_NEEDS).expect()
    assert run.changed()[SPOT] == 1
    assert all(f"+ {resource}: create" in run.output for resource in (TEMPLATE, SPOT))
    assert account.writes() == {}


def test_it_is_asked_for_by_a_template_and_can_be_stopped(account: Account) -> None:
    changed = provision(account, "create", tags=ALL_IT_NEEDS).expect().changed()
    assert changed[SPOT] == len(("key", "template", "instance"))
    host = only(account, SPOT)
    assert host["InstanceLifecycle"] == "spot"
    assert tags(host) == {**TAGS, "Name": SPOT}
    found = request(account)
    assert (found["Type"], found["InstanceInterruptionBehavior"], found["State"]) == ("persistent", "stop", "active")
    assert tags(found) == {**TAGS, "Name": SPOT}
    (template,) = account.client("ec2").describe_launch_templates()["LaunchTemplates"]
    assert (template["LaunchTemplateName"], tags(template)) == (TEMPLATE, TAGS)


def test_for_the_rest_it_is_as_an_on_demand_one(account: Account) -> None:
    assert provision(account, "plain", host=PLAIN, market="on-demand").expect().changed()[PLAIN] == 1
    spot, plain = only(account, SPOT), only(account, PLAIN)
    assert set(spot) - set(plain) == SPOTS_OWN
    assert {key: spot[key] for key in plain if key not in OWN} == {key: plain[key] for key in plain if key not in OWN}
    assert spot["IamInstanceProfile"]["Arn"] == plain["IamInstanceProfile"]["Arn"]
    assert spot["MetadataOptions"]["HttpPutResponseHopLimit"] == 2
    assert volumes(account, spot) == volumes(account, plain)
    assert set(volumes(account, spot)) == {"/dev/xvda", "/dev/sdf"}
    ec2, attribute = account.client("ec2"), "instanceInitiatedShutdownBehavior"
    for host in (spot, plain):
        shown = ec2.describe_instance_attribute(InstanceId=host["InstanceId"], Attribute=attribute)
        assert shown["InstanceInitiatedShutdownBehavior"]["Value"] == "stop"


def test_a_second_run_changes_nothing_and_a_stopped_one_stays_stopped(account: Account) -> None:
    assert unchanged(account, "again")
    account.client("ec2").stop_instances(InstanceIds=[only(account, SPOT)["InstanceId"]])
    assert unchanged(account, "stopped")
    support.wait_until(lambda: request(account)["State"] == "disabled", "its request notices", 90)
    assert only(account, SPOT)["State"]["Name"] == "stopped"


def test_template_request_and_instance_are_repaired(account: Account) -> None:
    ec2 = account.client("ec2")
    (template,) = ec2.describe_launch_templates()["LaunchTemplates"]
    identifier, theirs = template["LaunchTemplateId"], [{"Key": "Owner", "Value": "others"}]
    ec2.create_launch_template_version(
        LaunchTemplateId=identifier,
        LaunchTemplateData={"InstanceMarketOptions": {"MarketType": "spot"}, "InstanceType": "t4g.nano"},
    )
    ec2.modify_launch_template(LaunchTemplateId=identifier, DefaultVersion="2")
    host = only(account, SPOT)
    ec2.create_tags(Resources=[identifier, host["SpotInstanceRequestId"], host["InstanceId"]], Tags=theirs)

    before = account.writes()
    foreseen = provision(account, "drift-check", "--check", "--diff").expect()
    assert foreseen.changed()[SPOT] == 1
    drifted = (TEMPLATE, f"{host['SpotInstanceRequestId']} ({SPOT})", SPOT)
    assert all(f"~ {resource}: tags: " in foreseen.output for resource in drifted)
    assert account.writes() == before
    repaired = provision(account, "drift").expect().changed()
    assert repaired[SPOT] == len(("template", "request", "instance"))

    versions = ec2.describe_launch_template_versions(LaunchTemplateId=identifier, Versions=["$Default"])
    (data,) = [version["LaunchTemplateData"] for version in versions["LaunchTemplateVersions"]]
    options = {"SpotInstanceType": "persistent", "InstanceInterruptionBehavior": "stop"}
    assert data["InstanceMarketOptions"] == {"MarketType": "spot", "SpotOptions": options}
    assert "InstanceType" not in data
    assert tags(request(account)) == tags(only(account, SPOT)) == {**TAGS, "Name": SPOT}
    assert tags(ec2.describe_launch_templates()["LaunchTemplates"][0]) == TAGS
    assert unchanged(account, "repaired")


@pytest.mark.parametrize(
    ("name", "choice", "options", "words"),
    [
        ("was-spot", {"market": "on-demand"}, {}, ["on-demand wanted", "is spot", "cancel-spot-instance-requests"]),
        ("was-plain", {"host": PLAIN}, {}, ["spot wanted", "is on-demand", "terminate-instances"]),
        (
            "always",
            {"host": "academy-api-1"},
            {"spot_instance_type": "one-time"},
            ["academy-api-1 must run always", "found one-time", "cannot be stopped"],
        ),
        ("type", {}, {"type": "t4g.large"}, ["never changes the type of a Spot instance"]),
    ],
)
def test_it_refuses(
    account: Account, name: str, choice: dict[str, str], options: dict[str, str], words: list[str]
) -> None:
    wanted: dict[str, Any] = {"spot_instance_type": "persistent", "instance_interruption_behavior": "stop", **options}
    values: dict[str, Any] = {"instance_type": wanted.pop("type")} if "type" in wanted else {}
    before = account.writes()
    extra = json.dumps({**values, "instance_spot_options": wanted})
    run = provision(account, f"refuse-{name}", "-e", extra, **choice).expect(2)
    told = " ".join(run.output.split())
    assert all(word in told for word in words)
    assert account.writes() == before


def test_one_that_cannot_be_stopped_any_more_is_refused(account: Account) -> None:
    ec2 = account.client("ec2")
    ec2.start_instances(InstanceIds=[only(account, SPOT)["InstanceId"]])
    ec2.cancel_spot_instance_requests(SpotInstanceRequestIds=[request(account)["SpotInstanceRequestId"]])
    run = provision(account, "cancelled").expect(2)
    assert "a request that is cancelled" in " ".join(run.output.split())


def test_a_one_time_namesake_is_refused(account: Account) -> None:
    ec2 = account.client("ec2")
    old = only(account, SPOT)
    ec2.terminate_instances(InstanceIds=[old["InstanceId"]])
    named = [{"Key": key, "Value": value} for key, value in {**TAGS, "Name": SPOT}.items()]
    ec2.run_instances(
        ImageId=old["ImageId"], InstanceType="t4g.medium", MinCount=1, MaxCount=1,
        InstanceMarketOptions={"MarketType": "spot"},
        TagSpecifications=[{"ResourceType": "instance", "Tags": named}],
    )  # fmt: skip
    run = provision(account, "one-time").expect(2)
    assert "spot_instance_type one-time and instance_interruption_behavior terminate" in " ".join(run.output.split())
    ec2.terminate_instances(InstanceIds=[only(account, SPOT)["InstanceId"]])
    assert provision(account, "replaced").expect().changed()[SPOT] == 1
    assert request(account)["State"] == "active"


def test_a_deploy_wakes_one_that_has_just_stopped_and_names_the_one_that_it_cannot_wake(
    account: Account, tmp_path: Path
) -> None:
    ec2 = account.client("ec2")
    ids = {name: only(account, name)["InstanceId"] for name in (SPOT, PLAIN)}
    ec2.terminate_instances(InstanceIds=[ids[PLAIN]])
    play = tmp_path / "wake.yml"
    play.write_text(json.dumps(WAKE_PLAY), encoding="utf-8")
    extra = json.dumps({"ids": ids, "sleeper": SPOT, "hold_start_timeout_seconds": 60})
    run = support.playbook(*account.arguments(str(play)), "-e", extra, name="spot-wake").expect(2)
    told = " ".join(run.output.split())
    # It was asked more than once.
    assert f"RETRYING: [{SPOT} -> localhost]: wake | Start the instance" in told
    assert f"{SPOT} goes on" in told
    assert f"{PLAIN} goes on" not in told
    refused = (
        rf"{PLAIN} \({ids[PLAIN]}\) could not be started, and stays as it is: it is terminated \((.*?)\), and had 60"
    )
    reason = re.search(refused, told)
    assert reason is not None
    assert reason[1] != "no reason told"
    assert f"-e wake_workers=true --limit {PLAIN}" in told
    reservations = ec2.describe_instances(InstanceIds=list(ids.values()))["Reservations"]
    found = {host["InstanceId"]: host for one in reservations for host in one["Instances"]}
    assert {name: found[ids[name]]["State"]["Name"] for name in ids} == {SPOT: "running", PLAIN: "terminated"}
    assert "HoldUntil" in tags(found[ids[SPOT]])
    assert "HoldUntil" not in tags(found[ids[PLAIN]])

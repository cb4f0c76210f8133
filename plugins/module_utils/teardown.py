# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a teardown must not do without being told so, what it does, and what it leaves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .consent import consented_names
from .database import readiness
from .names import alarm_topic_name, starter_name
from .queues import with_dead_letter_queues

Resources = Mapping[str, Sequence[Mapping[str, Any]]]

# What bears a copy of data and stays; removed by hand, because nothing brings it back.
KEPT = ("snapshots", "database_snapshots", "addresses")
# One word for each kind, in the order of removal.
WORDS = {
    "rules": "schedule rule",
    "functions": "function",
    "alarms": "alarm",
    "topics": "topic",
    "load_balancers": "load balancer",
    "target_groups": "target group",
    "spot_requests": "Spot request",
    "instances": "instance",
    "launch_templates": "launch template",
    "key_pairs": "key pair",
    "databases": "database",
    "volumes": "volume",
    "queues": "queue",
    "repositories": "repository",
    "log_groups": "log group",
    "instance_profiles": "instance profile",
    "roles": "role",
    "subnet_groups": "database subnet group",
    "security_groups": "security group",
}

# What everything that was made here carries beside Project, which a team may well have put on its other things.
OWN_TAGS = ("Environment", "Role")
# What holds data or costs money by the hour, and how to tag it.
TAGGED_BY = {
    "load_balancers": "aws elbv2 add-tags --resource-arns",
    "instances": "aws ec2 create-tags --resources",
    "databases": "aws rds add-tags-to-resource --resource-name",
    "volumes": "aws ec2 create-tags --resources",
}


def names_without_tags(
    deployment_name: str,
    jobs: Mapping[str, Mapping[str, Any]],
    repositories: Sequence[str],
    log_groups: Sequence[str],
) -> dict[str, list[str]]:
    """By kind, what is created before it is tagged: an interrupted run may have left it without tags."""
    starter = starter_name(deployment_name)
    return {
        "queues": with_dead_letter_queues(job["name"] for job in jobs.values()),
        "repositories": list(repositories),
        "log_groups": list(log_groups),
        "topics": [alarm_topic_name(deployment_name)],
        "rules": [starter],
        "functions": [starter],
    }


def confirmation_problems(confirm: str, deployment_name: str) -> list[str]:
    """Why nothing may be removed, if the deployment was not named."""
    if confirm == deployment_name:
        return []
    return [
        f"confirm: must be the name of the deployment that is to be removed, found {confirm or 'nothing'}. This "
        f"inventory's is {deployment_name}: to remove it with everything in it, run again with -e "
        f"confirm={deployment_name}."
    ]


def _foreign_refusals(resources: Resources) -> list[str]:
    """What carries the deployment's Project tag and was not made here, as far as its other tags tell."""
    return [
        f"{_title(kind, found)}: carries the Project tag of this deployment, but not {' and '.join(missing)}, as all "
        "that was made here does: it may be somebody else's. To keep it, give it another Project tag: "
        f"{command} {found['id']} --tags Key=Project,Value=<another>. To have it removed, give it those that are "
        f"missing: {command} {found['id']} --tags {' '.join(f'Key={tag},Value=<any>' for tag in missing)}."
        for kind, command in TAGGED_BY.items()
        for found in resources[kind]
        for missing in [[tag for tag in OWN_TAGS if tag not in found["tags"]]]
        if missing
    ]


def queue_refusals(queues: Sequence[Mapping[str, Any]], purge: Sequence[str]) -> list[str]:
    """The queues that hold messages and were not named."""
    named = consented_names(purge, "teardown_purge_queues")
    full = [queue["name"] for queue in queues if queue["messages"] and queue["name"] not in named]
    consent = ", ".join(f'"{name}"' for name in [*named, *full])
    return [
        f"{queue['name']}: must be empty to be removed, found {queue['messages']} messages (waiting, in flight or "
        "delayed). Let them be worked off, or save them; if they may be lost, name the queue: "
        f"-e '{{\"teardown_purge_queues\": [{consent}]}}'."
        for queue in queues
        if queue["name"] in full
    ]


def _untagged_refusals(resources: Resources, allowed: Sequence[str], delete_images: bool) -> list[str]:
    """What has the name of ours, no Project tag, and something in it: perhaps made by hand, as the guide says."""
    named = consented_names(allowed, "teardown_allow_untagged")
    holding = [
        *(
            ("repositories", found, f"{found['images']} images")
            for found in removable_repositories(resources, delete_images)
            if found["images"]
        ),
        *(("log_groups", found, "logs") for found in resources["log_groups"] if found["holds_logs"]),
    ]
    refused = [
        (kind, found["name"], what) for kind, found, what in holding if found["untagged"] and found["name"] not in named
    ]
    consent = ", ".join(f'"{name}"' for name in [*named, *(name for _, name, _ in refused)])
    return [
        f"{WORDS[kind]} {name}: must be empty to be removed without a Project tag, found {what} in it. If this "
        "deployment's, have it tagged: playbooks/provision.yml --tags registry,logs. If it may be lost, name it: "
        f"-e '{{\"teardown_allow_untagged\": [{consent}]}}'."
        for kind, name, what in refused
    ]


def _database_refusals(database: Mapping[str, Any], final_snapshot: bool) -> list[str]:
    name, status = database["name"], database["status"]
    if status == "deleting" or readiness(status) != "broken" or not (final_snapshot or database["protected"]):
        return []
    if status in ("stopped", "stopping"):
        remedy = f"Start it (aws rds start-db-instance --db-instance-identifier {name}) and run again"
    else:
        remedy = f"Mend it (aws rds describe-events --source-type db-instance --source-identifier {name}) and run again"
    if not database["protected"]:
        end = "if its data may be lost: -e teardown_final_database_snapshot=false."
    else:
        end = "its protection against deletion, which would be lifted here, cannot be lifted before."
    return [f"{name}: must be available to be removed, found {status}. {remedy}; {end}"]


def _instance_refusals(instance: Mapping[str, Any], disk_snapshots: bool) -> list[str]:
    name = f"{instance['name'] or 'no name'} ({instance['id']})"
    if instance["protected"]:
        return [
            f"{name}: is protected against termination, which somebody meant. Lift it: aws ec2 "
            f"modify-instance-attribute --instance-id {instance['id']} --no-disable-api-termination"
        ]
    if not disk_snapshots:
        return []
    return [
        f"{name}: {disk['id']} at {device} would be deleted with it, before its snapshot. Correct that: aws ec2 "
        f"modify-instance-attribute --instance-id {instance['id']} --block-device-mappings "
        f'\'[{{"DeviceName": "{device}", "Ebs": {{"DeleteOnTermination": false}}}}]\'; if its data may be lost: '
        "-e teardown_snapshot_data_disks=false."
        for device, disk in instance["disks"].items()
        if device != instance["root_device"] and disk["ends_with_it"]
    ]


def _load_balancer_refusals(balancer: Mapping[str, Any]) -> list[str]:
    if not balancer["protected"]:
        return []
    return [
        f"{balancer['name']}: is protected against deletion, which somebody meant. Lift it: aws elbv2 "
        f"modify-load-balancer-attributes --load-balancer-arn {balancer['id']} "
        "--attributes Key=deletion_protection.enabled,Value=false"
    ]


def teardown_refusals(
    resources: Resources, purge: Sequence[str], untagged: Sequence[str], options: Mapping[str, bool]
) -> list[str]:
    """Everything that somebody has to decide or to mend before the first thing is removed."""
    return [
        *_foreign_refusals(resources),
        *queue_refusals(resources["queues"], purge),
        *_untagged_refusals(resources, untagged, options["delete_images"]),
        *(p for found in resources["databases"] for p in _database_refusals(found, options["final_snapshot"])),
        *(p for found in resources["instances"] for p in _instance_refusals(found, options["disk_snapshots"])),
        *(p for found in resources["load_balancers"] for p in _load_balancer_refusals(found)),
    ]


def data_volumes(resources: Resources) -> list[Mapping[str, Any]]:
    """Those that outlive their instance."""
    return [volume for volume in resources["volumes"] if not volume["ends_with_instance"]]


def unsaved_volumes(resources: Resources, role: str) -> list[Mapping[str, Any]]:
    """Data volumes of which no earlier, interrupted teardown has made a snapshot."""
    saved = {
        snapshot["volume_id"]
        for snapshot in resources["snapshots"]
        if snapshot["state"] != "error" and snapshot["tags"].get("Role") == role
    }
    return [volume for volume in data_volumes(resources) if volume["id"] not in saved]


def removable_repositories(resources: Resources, delete_images: bool) -> list[Mapping[str, Any]]:
    return [found for found in resources["repositories"] if delete_images or not found["images"]]


def _title(kind: str, found: Mapping[str, Any]) -> str:
    name, identifier = found["name"], found.get("id", "")
    # An ARN says no more than the name.
    shown = f" ({identifier})" if name and identifier and not identifier.startswith("arn:") else identifier * (not name)
    return f"{WORDS[kind]} {name}{shown}"


def _manner(kind: str, found: Mapping[str, Any], options: Mapping[str, bool]) -> str:
    if kind == "databases":
        return ", after a final snapshot" if options["final_snapshot"] else ", without a snapshot"
    if kind == "volumes" and found["ends_with_instance"]:
        return ", with its instance"
    if kind == "volumes":
        return ", after a snapshot" if options["disk_snapshots"] else ", without a snapshot"
    if kind == "queues" and found["messages"]:
        return f", with {found['messages']} messages"
    if kind == "repositories" and found["images"]:
        return f", with {found['images']} images"
    return ""


def teardown_steps(resources: Resources, options: Mapping[str, bool]) -> list[str]:
    """What is removed, in that order, one line each."""
    chosen = {**resources, "repositories": removable_repositories(resources, options["delete_images"])}
    return [
        _title(kind, found) + ", without a Project tag" * found["untagged"] + _manner(kind, found, options)
        for kind in WORDS
        for found in chosen[kind]
    ]


def remains(resources: Resources, options: Mapping[str, bool]) -> list[str]:
    """What should be gone by now and is not."""
    return [f"{line}: still there" for line in teardown_steps(resources, options)]


def costs(resources: Resources, delete_images: bool, region: str) -> list[str]:
    """What was kept and goes on costing money, each with the command that ends it."""
    kept = [
        *(
            (
                f"snapshot {found['id']} of {found['volume_id']}, {found['size_gib']} GiB",
                f"aws ec2 delete-snapshot --region {region} --snapshot-id {found['id']}",
            )
            for found in resources["snapshots"]
        ),
        *(
            (
                f"database snapshot {found['name']}, {found['size_gib']} GiB",
                f"aws rds delete-db-snapshot --region {region} --db-snapshot-identifier {found['name']}",
            )
            for found in resources["database_snapshots"]
        ),
        *(
            (
                f"address {found['address']} ({found['id']})",
                f"aws ec2 release-address --region {region} --allocation-id {found['id']}",
            )
            for found in resources["addresses"]
        ),
        *(
            (
                f"repository {found['name']} with {found['images']} images",
                f"aws ecr delete-repository --region {region} --force --repository-name {found['name']}",
            )
            for found in resources["repositories"]
            if found["images"] and not delete_images
        ),
    ]
    return [f"{what}: {command}" for what, command in kept]

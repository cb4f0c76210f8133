# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Everything that belongs to a deployment, in the order of its removal, and what nobody consented to lose.

Decided anew whenever what takes long has ended: a data disk is deleted once its snapshot is seen to be complete, and
what a database uses once the database is gone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ..consent import consented_names
from ..database import database_log_groups, readiness
from ..findings import NOT_SHOWN, Finding, Words
from ..names import alarm_topic_name, starter_name
from ..queues import with_dead_letter_queues
from ..services import ROWS, log_groups, repositories
from ..tags import role_tags
from . import Change, Difference, Plan, Role, Values

Resources = Mapping[str, Sequence[Values]]

ROLE_TAG = "teardown"
# What bears a copy of data and stays; removed by hand, because nothing brings it back.
KEPT = ("snapshots", "database_snapshots", "addresses", "buckets")
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
    "parameter_groups": "database parameter group",
    "security_groups": "security group",
}
# What the tasks need to know of a thing beyond its name.
ARGUMENTS = ("id", "description", "vpc_id")

# What everything that was made here carries beside Project, which a team may well have put on its other things.
OWN_TAGS = ("Environment", "Role")
# What holds data or costs money by the hour, and how to tag it.
TAGGED_BY = {
    "load_balancers": "aws elbv2 add-tags --resource-arns",
    "instances": "aws ec2 create-tags --resources",
    "databases": "aws rds add-tags-to-resource --resource-name",
    "volumes": "aws ec2 create-tags --resources",
}


def reads(inputs: Values) -> Values:
    """Whose things are looked for, and by kind what may lack a tag: an interrupted run creates before it tags."""
    starter = starter_name(inputs["deployment_name"])
    return {
        "name": inputs["deployment_name"],
        "untagged": {
            "queues": with_dead_letter_queues(job["name"] for job in inputs["queues_jobs"].values()),
            "repositories": repositories(inputs["services"]),
            "log_groups": [
                *log_groups(inputs["services"]),
                inputs["starter_log_group"],
                *database_log_groups(inputs["database_identifier"]),
            ],
            "topics": [alarm_topic_name(inputs["deployment_name"])],
            "rules": [starter],
            "functions": [starter],
            "buckets": [inputs["load_balancer_access_logs_bucket"]],
        },
    }


# --- what is refused ------------------------------------------------------------------------------------------------


def confirmation_findings(confirm: str, deployment_name: str) -> list[Finding]:
    """Why nothing may be removed, if the deployment was not named."""
    if confirm == deployment_name:
        return []
    command = f"-e confirm={deployment_name}"
    return [
        Finding(
            "teardown_confirm",
            "confirm",
            confirm or "nothing",
            Words(
                "must be the name of the deployment that is to be removed",
                "제거할 배포의 이름이어야 합니다",
            ),
            Words(
                f"This inventory's is {deployment_name}: to remove it with everything in it, run again with {command}.",
                f"이 인벤토리의 배포는 {deployment_name}입니다. 모두 제거하려면 {command}(으)로 다시 실행하십시오.",
            ),
        )
    ]


def _foreign_findings(found: Resources) -> list[Finding]:
    """What carries the deployment's Project tag and was not made here, as far as its other tags tell."""
    return [
        Finding(
            "teardown_foreign",
            _title(kind, thing),
            NOT_SHOWN,
            Words(
                f"carries the Project tag of this deployment, but not {' and '.join(missing)}, as all that was made "
                "here does: it may be somebody else's",
                f"이 배포의 Project 태그는 있지만 여기서 만든 모든 것에 있는 {', '.join(missing)} 태그가 없습니다. "
                "다른 사람의 것일 수 있습니다",
            ),
            Words(f"To keep it, give it another Project tag: {keep}. To have it removed, give it those that are "
                  f"missing: {remove}.",
                  f"남기려면 다른 Project 태그를 붙이십시오: {keep}. 제거하려면 없는 태그를 붙이십시오: {remove}."),
        )
        for kind, command in TAGGED_BY.items()
        for thing in found[kind]
        for missing in [[tag for tag in OWN_TAGS if tag not in thing["tags"]]]
        if missing
        for keep in [f"{command} {thing['id']} --tags Key=Project,Value=<another>"]
        for remove in [f"{command} {thing['id']} --tags {' '.join(f'Key={tag},Value=<any>' for tag in missing)}"]
    ]  # fmt: skip


def queue_findings(queues: Sequence[Values], purge: Any) -> list[Finding]:
    """The queues that hold messages and were not named."""
    named = consented_names(purge, "teardown_purge_queues")
    full = [queue for queue in queues if queue["messages"] and queue["name"] not in named]
    command = _consent("teardown_purge_queues", [*named, *(queue["name"] for queue in full)])
    return [
        Finding(
            "teardown_queue_not_empty",
            queue["name"],
            f"{queue['messages']} messages (waiting, in flight or delayed)",
            Words("must be empty to be removed", "비어 있어야 제거할 수 있습니다"),
            Words(
                f"Let them be worked off, or save them; if they may be lost, name the queue: {command}.",
                f"메시지를 처리하거나 저장하십시오. 잃어도 된다면 큐를 지정하십시오: {command}.",
            ),
        )
        for queue in full
    ]


def _consent(variable: str, names: Iterable[str]) -> str:
    listed = ", ".join(f'"{name}"' for name in names)
    return f"-e '{{\"{variable}\": [{listed}]}}'"


def _untagged_findings(inputs: Values, found: Resources) -> list[Finding]:
    """What has the name of ours, no Project tag, and something in it: perhaps made by hand, as the guide says."""
    named = consented_names(inputs["teardown_allow_untagged"], "teardown_allow_untagged")
    holding = [
        *(("repositories", thing, f"{thing['images']} images") for thing in removable(inputs, found)["repositories"]
          if thing["images"]),
        *(("log_groups", thing, "logs") for thing in found["log_groups"] if thing["holds_logs"]),
    ]  # fmt: skip
    refused = [row for row in holding if row[1]["untagged"] and row[1]["name"] not in named]
    command = _consent("teardown_allow_untagged", [*named, *(thing["name"] for _, thing, _ in refused)])
    tagging = "playbooks/provision.yml --tags registry,logs"
    return [
        Finding(
            "teardown_untagged",
            _title(kind, thing),
            f"{what} in it",
            Words(
                "must be empty to be removed without a Project tag",
                "Project 태그가 없으면 비어 있어야 제거할 수 있습니다",
            ),
            Words(
                f"If this deployment's, have it tagged: {tagging}. If it may be lost, name it: {command}.",
                f"이 배포의 것이면 태그를 붙이십시오: {tagging}. 잃어도 된다면 지정하십시오: {command}.",
            ),
        )
        for kind, thing, what in refused
    ]


def _database_findings(inputs: Values, database: Values) -> list[Finding]:
    """A database that can be deleted only once it is available again."""
    name, status, protected = database["name"], database["status"], database["protected"]
    if status == "deleting" or readiness(status) != "broken":
        return []
    if not (inputs["teardown_final_database_snapshot"] or protected):
        return []
    if status in ("stopped", "stopping"):
        command = f"aws rds start-db-instance --db-instance-identifier {name}"
        remedy = Words(f"Start it ({command}) and run again", f"시작한 뒤({command}) 다시 실행하십시오")
    else:
        command = f"aws rds describe-events --source-type db-instance --source-identifier {name}"
        remedy = Words(f"Repair it ({command}) and run again", f"복구한 뒤({command}) 다시 실행하십시오")
    end = (
        Words(
            "its protection against deletion, which would be lifted here, cannot be lifted before.",
            "그 전에는 여기서 해제할 삭제 방지를 해제할 수 없습니다.",
        )
        if protected
        else Words(
            "if its data may be lost: -e teardown_final_database_snapshot=false.",
            "데이터를 잃어도 된다면: -e teardown_final_database_snapshot=false.",
        )
    )
    return [
        Finding(
            "teardown_database",
            name,
            status,
            Words("must be available to be removed", "available 상태여야 제거할 수 있습니다"),
            Words(f"{remedy.en}; {end.en}", f"{remedy.ko}. {end.ko}"),
        )
    ]


def _instance_findings(inputs: Values, instance: Values) -> list[Finding]:
    name = f"{instance['name'] or 'no name'} ({instance['id']})"
    command = f"aws ec2 modify-instance-attribute --instance-id {instance['id']}"
    if instance["protected"]:
        return [
            _protected_finding(
                name,
                Words("termination", "종료"),
                f"{command} --no-disable-api-termination",
            )
        ]
    if not inputs["teardown_snapshot_data_disks"]:
        return []
    return [
        Finding(
            "teardown_disk_ends_with_host",
            name,
            NOT_SHOWN,
            Words(
                f"{disk['id']} at {device} would be deleted with it, before its snapshot",
                f"{device}의 {disk['id']}이(가) 스냅샷을 만들기 전에 인스턴스와 함께 삭제됩니다",
            ),
            Words(f"Correct that: {correct}; if its data may be lost: -e teardown_snapshot_data_disks=false.",
                  f"고치십시오: {correct}. 데이터를 잃어도 된다면: -e teardown_snapshot_data_disks=false."),
        )
        for device, disk in instance["disks"].items()
        if device != instance["root_device"] and disk["ends_with_it"]
        for correct in [
            f"{command} --block-device-mappings "
            f'\'[{{"DeviceName": "{device}", "Ebs": {{"DeleteOnTermination": false}}}}]\''
        ]
    ]  # fmt: skip


def _load_balancer_findings(inputs: Values, balancer: Values) -> list[Finding]:
    """Under its name everybody is served: that of the deployment does not do."""
    named = consented_names(inputs["teardown_allow_protected"], "teardown_allow_protected")
    if not balancer["protected"] or balancer["name"] in named:
        return []
    command = (
        f"aws elbv2 modify-load-balancer-attributes --load-balancer-arn {balancer['id']} "
        "--attributes Key=deletion_protection.enabled,Value=false"
    )
    consent = _consent("teardown_allow_protected", [*named, balancer["name"]])
    return [_protected_finding(balancer["name"], Words("deletion", "삭제"), f"{consent}, or {command}")]


def _protected_finding(name: str, against: Words, command: str) -> Finding:
    return Finding(
        "teardown_protected",
        name,
        NOT_SHOWN,
        Words(
            f"is protected against {against.en}, which somebody meant",
            f"누군가 의도적으로 {against.ko} 방지를 설정했습니다",
        ),
        Words(f"Lift it: {command}", f"해제하십시오: {command}"),
    )


def refusals(inputs: Values, found: Resources) -> list[Finding]:
    """Everything that somebody has to decide or to repair before the first thing is removed."""
    return [
        *confirmation_findings(inputs["teardown_confirm"], inputs["deployment_name"]),
        *_foreign_findings(found),
        *queue_findings(found["queues"], inputs["teardown_purge_queues"]),
        *_untagged_findings(inputs, found),
        *(finding for thing in found["databases"] for finding in _database_findings(inputs, thing)),
        *(finding for thing in found["instances"] for finding in _instance_findings(inputs, thing)),
        *(finding for thing in found["load_balancers"] for finding in _load_balancer_findings(inputs, thing)),
    ]


# --- what takes long ------------------------------------------------------------------------------------------------


def own_snapshot_state(volume: Values, found: Resources) -> str:
    """`completed` or `pending`, of the snapshot that this or an earlier teardown made of a volume; `` without one."""
    states = {
        snapshot["state"]
        for snapshot in found["snapshots"]
        if snapshot["volume_id"] == volume["id"] and snapshot["tags"].get("Role") == ROLE_TAG
    }
    return next((state for state in ("completed", "pending") if state in states), "")


def unsettled_findings(inputs: Values, found: Resources) -> list[Finding]:
    """What has to come to its end before anything else is removed."""
    minutes = inputs["teardown_wait_minutes"]
    databases = [
        (database["name"], database["status"])
        for database in found["databases"]
        if database["status"] == "deleting" or readiness(database["status"]) == "busy"
    ]
    snapshots = [
        (f"snapshot of {volume['id']}", "pending")
        for volume in found["volumes"]
        if inputs["teardown_snapshot_data_disks"] and own_snapshot_state(volume, found) == "pending"
    ]
    return [
        Finding(
            "teardown_settling",
            name,
            state,
            Words(
                f"must come to its end before the rest is removed, within teardown_wait_minutes ({minutes})",
                f"나머지를 제거하기 전에 teardown_wait_minutes({minutes}분) 안에 끝나야 합니다",
            ),
            Words(
                "See its progress in the AWS console, and run again.",
                "AWS 콘솔에서 진행 상황을 확인하고 다시 실행하십시오.",
            ),
        )
        for name, state in (*databases, *snapshots)
    ]


# --- what is removed ------------------------------------------------------------------------------------------------


def removable(inputs: Values, found: Resources) -> Resources:
    """Without the repositories that are kept because of the images in them."""
    kept = [thing for thing in found["repositories"] if thing["images"] and not inputs["teardown_delete_images"]]
    return {**found, "repositories": [thing for thing in found["repositories"] if thing not in kept]}


def _title(kind: str, thing: Values) -> str:
    name, identifier = thing["name"], thing.get("id", "")
    # An ARN says no more than the name.
    shown = f" ({identifier})" if name and identifier and not identifier.startswith("arn:") else identifier * (not name)
    return f"{WORDS[kind]} {name}{shown}"


def _manner(inputs: Values, kind: str, thing: Values) -> str:
    if kind == "databases":
        return ", after a final snapshot" if inputs["teardown_final_database_snapshot"] else ", without a snapshot"
    if kind == "volumes" and thing["ends_with_instance"]:
        return ", with its instance"
    if kind == "volumes":
        return ", after a snapshot" if inputs["teardown_snapshot_data_disks"] else ", without a snapshot"
    if kind == "queues" and thing["messages"]:
        return f", with {thing['messages']} messages"
    if kind == "repositories" and thing["images"]:
        return f", with {thing['images']} images"
    return ""


def _apply(inputs: Values, kind: str, thing: Values, found: Resources) -> dict[str, Values]:
    """What the tasks have to do by now."""
    item = {"name": thing["name"], **{key: thing[key] for key in ARGUMENTS if key in thing}}
    if kind == "volumes":
        return _apply_to_disk(inputs, item, thing, found)
    if kind == "instances":
        # EC2 opens a request again when its instance ends, unless it is cancelled; one without tags is known so alone.
        request, standing = thing["spot_request_id"], {request["id"] for request in found["spot_requests"]}
        return {kind: item, **({"spot_requests": {"id": request}} if request and request not in standing else {})}
    if kind == "databases":
        item["final_snapshot"] = inputs["teardown_final_database_snapshot"]
        return {kind: item, **({"protected_databases": item} if thing["protected"] else {})}
    if kind == "load_balancers" and thing["protected"]:
        return {kind: item, "protected_load_balancers": item}
    if kind == "repositories":
        item["force"] = inputs["teardown_delete_images"]
    return {kind: item}


def _apply_to_disk(inputs: Values, item: Values, volume: Values, found: Resources) -> dict[str, Values]:
    """A snapshot, and once that is complete the end; nothing where the instance takes the disk along."""
    if volume["ends_with_instance"]:
        return {}
    if not inputs["teardown_snapshot_data_disks"] or own_snapshot_state(volume, found) == "completed":
        return {"volumes": item}
    return {
        "disk_snapshots": {
            **item,
            "tags": {**role_tags(inputs["deployment_tags"], ROLE_TAG), "Name": volume["name"]},
        }
    }


def changes(inputs: Values, found: Resources) -> list[Change]:
    chosen = removable(inputs, found)
    return [
        Change(
            _title(kind, thing) + ", without a Project tag" * thing["untagged"] + _manner(inputs, kind, thing),
            "remove",
            tuple(Difference(key, value, None) for key, value in thing.items() if isinstance(value, (str, int))),
            f"belongs to {inputs['deployment_name']}",
            _apply(inputs, kind, thing, found),
        )
        for kind in WORDS
        for thing in chosen[kind]
    ]


# --- what stays -----------------------------------------------------------------------------------------------------


def kept_findings(inputs: Values, found: Resources) -> list[Finding]:
    """What is kept and goes on costing money, each with the command that ends it."""
    removed, region = removable(inputs, found)["repositories"], f"--region {inputs['aws_region']}"
    kept = [
        *(
            (
                f"snapshot {thing['id']} of {thing['volume_id']}, {thing['size_gib']} GiB",
                f"aws ec2 delete-snapshot {region} --snapshot-id {thing['id']}",
            )
            for thing in found["snapshots"]
        ),
        *(
            (
                f"database snapshot {thing['name']}, {thing['size_gib']} GiB",
                f"aws rds delete-db-snapshot {region} --db-snapshot-identifier {thing['name']}",
            )
            for thing in found["database_snapshots"]
        ),
        *(
            (
                f"address {thing['address']} ({thing['id']})",
                f"aws ec2 release-address {region} --allocation-id {thing['id']}",
            )
            for thing in found["addresses"]
        ),
        *(
            (
                f"repository {thing['name']} with {thing['images']} images",
                f"aws ecr delete-repository {region} --force --repository-name {thing['name']}",
            )
            for thing in found["repositories"]
            if thing not in removed
        ),
        *(
            (f"bucket {thing['name']} of access logs", f"aws s3 rb --force s3://{thing['name']} {region}")
            for thing in found["buckets"]
        ),
    ]
    return [
        Finding(
            "teardown_kept",
            what,
            NOT_SHOWN,
            Words("is kept, and billed every month", "남아 있으며 매달 요금이 청구됩니다"),
            Words(f"To remove it: {command}", f"제거하려면: {command}"),
            severity="warning",
        )
        for what, command in kept
    ]


def public_name_findings(public_name: str) -> list[Finding]:
    """What the teardown does not touch: it lies in DNS, where others have theirs, and costs nothing."""
    if not public_name:
        return []
    return [
        Finding(
            "teardown_public_name",
            public_name,
            NOT_SHOWN,
            Words(
                "its records in DNS and its certificate are kept; a name that leads to a load balancer which is gone "
                "may be taken over by somebody else",
                "DNS 레코드와 인증서는 남습니다. 없어진 로드 밸런서를 가리키는 이름은 다른 사람이 차지할 수 있습니다",
            ),
            Words(
                "Remove the records where the domain is administered, then the certificate: aws acm list-certificates, "
                "aws acm delete-certificate --certificate-arn <its ARN>.",
                "도메인을 관리하는 곳에서 레코드를 지운 뒤 인증서를 지우십시오: aws acm list-certificates, "
                "aws acm delete-certificate --certificate-arn <ARN>.",
            ),
            severity="warning",
        )
    ]


def decide(inputs: Values, found: Values) -> Plan:
    return Plan(
        [*refusals(inputs, found), *kept_findings(inputs, found), *public_name_findings(inputs["public_name"])],
        changes(inputs, found),
        unsettled=unsettled_findings(inputs, found),
    )


ROLE = Role(
    reads,
    decide,
    applies=(*WORDS, "protected_databases", "protected_load_balancers", "disk_snapshots"),
    rules=(ROWS,),
    of_deployment=True,
)

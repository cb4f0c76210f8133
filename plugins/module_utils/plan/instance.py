# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""One instance for each host of the play, and what about an existing one only a human may decide."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from ..consent import consented_names
from ..findings import NOT_SHOWN, Finding, Words, of_hosts
from ..host_paths import DATA_DEVICE
from ..instances import (
    launch_findings,
    launch_subnets,
    memory_findings,
    name_findings,
    offer,
    subnet_findings,
    volume_findings,
)
from ..names import role_name
from ..services import ROWS
from ..spot import SPOT, market_findings, spot_findings
from ..tags import deployment_tags, own_tags, role_tags, shown_findings, standing_tags
from . import Change, Plan, Role, Rule, Values, compare

WHY = "guide §6-§9"
# Terminated instances keep their name for an hour, and are no instances any more.
STATES = ("pending", "running", "stopping", "stopped")
# Amazon Linux 2023's.
ROOT_DEVICE = "/dev/xvda"
VOLUME_TYPE = "gp3"
REQUEST_RESOURCE = "spot-instances-request"
# Containers reach the metadata service over a second hop, and a host's watchdog reads there whether it is held. All
# options, because the module would replace those left out by weaker defaults of its own.
METADATA_OPTIONS: Mapping[str, Any] = {
    "http_endpoint": "enabled",
    "http_tokens": "required",
    "http_put_response_hop_limit": 2,
    "http_protocol_ipv6": "disabled",
    "instance_metadata_tags": "enabled",
}


def reads(inputs: Values) -> Values:
    """One look at AWS for all hosts, which share a network."""
    hosts: Mapping[str, Values] = inputs["hosts"]
    network = next(iter(hosts.values()), {})
    return {
        **{name: network.get(name) for name in ("vpc_id", "subnet_ids")},
        # One host needs one zone.
        "minimum_zones": 1,
        # Whoever they belong to.
        "instance_filters": {"tag:Name": [*hosts], "instance-state-name": [*STATES]},
        "instance_types": sorted({host["instance_type"] for host in hosts.values()}),
        "image_parameters": sorted({host["instance_ami_parameter"] for host in hosts.values()}),
        "launch_template_names": [
            template_name(host) for host, own in hosts.items() if own["instance_market_type"] == SPOT
        ],
    }


def template_name(host: str) -> str:
    """The launch template by which a host is asked for as a Spot instance."""
    return f"{host}-spot"


def kind_tags(host: Values) -> dict[str, str]:
    return role_tags(host["deployment_tags"], host["instance_kind"])


def instance_tags(host: Values) -> dict[str, str]:
    return {**kind_tags(host), "Name": host["inventory_hostname"]}


def instance_filters(host: Values) -> dict[str, Any]:
    return {
        "tag:Name": host["inventory_hostname"],
        "tag:Project": host["deployment_name"],
        "instance-state-name": [*STATES],
    }


def _volume(device: str, size_gib: int, delete_on_termination: bool) -> dict[str, Any]:
    return {
        "device_name": device,
        "ebs": {
            "volume_type": VOLUME_TYPE,
            "volume_size": size_gib,
            "encrypted": True,
            "delete_on_termination": delete_on_termination,
        },
    }


def instance_volumes(host: Values) -> list[dict[str, Any]]:
    """The volumes of a new instance. The data volume outlives it: it holds work."""
    root = _volume(ROOT_DEVICE, host["instance_root_volume_size_gib"], delete_on_termination=True)
    if not host["instance_data_volume_size_gib"]:
        return [root]
    return [root, _volume(DATA_DEVICE, host["instance_data_volume_size_gib"], delete_on_termination=False)]


def _name_and_project(instance: Values) -> tuple[str | None, str | None]:
    tags = instance.get("tags", {})
    return tags.get("Name"), tags.get("Project")


def own_instances(host: Values, instances: Sequence[Values]) -> list[Values]:
    """Those of the instances that are this host of this deployment, by their tags."""
    own = (host["inventory_hostname"], host["deployment_name"])
    return [instance for instance in instances if _name_and_project(instance) == own]


def foreign_findings(host: Values, instances: Sequence[Values]) -> list[Finding]:
    """Why no host may be launched beside an instance that carries its name and not the deployment's tag."""
    return [
        Finding(
            "instance_foreign",
            host["inventory_hostname"],
            NOT_SHOWN,
            Words(
                f"{instance['instance_id']} carries this Name tag, but its Project tag is {project or 'missing'}: a "
                "second instance beside it would be paid for and work on the same queue",
                f"{instance['instance_id']}의 Name 태그가 같지만 Project 태그는 {project or '없음'}입니다. "
                "인스턴스를 하나 더 만들면 비용이 들고 같은 큐를 처리합니다",
            ),
            Words(
                "To hand it over to this deployment: aws ec2 create-tags --resources "
                f"{instance['instance_id']} --tags Key=Project,Value={host['deployment_name']}. Otherwise rename it, "
                "or the host.",
                f"이 배포에 넘기려면 aws ec2 create-tags --resources {instance['instance_id']} --tags "
                f"Key=Project,Value={host['deployment_name']}. 아니면 인스턴스나 호스트의 이름을 바꾸십시오.",
            ),
        )
        for instance in instances
        for name, project in [_name_and_project(instance)]
        if name == host["inventory_hostname"] and project != host["deployment_name"]
    ]


def _root_device(instance: Values) -> str:
    return str(instance.get("root_device_name", ROOT_DEVICE))


def _attached_findings(host: str, variable: str, size_gib: int, volume: Values | None, device: str) -> list[Finding]:
    """Whether a volume is what it should be, which it cannot become."""
    if volume is None:
        return [
            Finding(
                "volume_missing",
                variable,
                "no volume there",
                Words(
                    f"{host} should have {size_gib} GiB at {device}",
                    f"{host}의 {device}에 {size_gib} GiB 볼륨이 있어야 합니다",
                ),
                Words(
                    "Attach one by hand, or terminate the instance and run again.",
                    "볼륨을 직접 연결하거나, 인스턴스를 종료하고 다시 실행하십시오.",
                ),
            )
        ]
    findings = []
    if volume["size"] != size_gib:
        findings.append(
            Finding(
                "volume_size",
                variable,
                NOT_SHOWN,
                Words(
                    f"{size_gib} GiB wanted, but {host} has {volume['volume_id']} with {volume['size']} GiB at {device}"
                    ": a volume with data is neither shrunk nor replaced here, and no variable allows it",
                    f"{size_gib} GiB이어야 하지만 {host}의 {device}에는 {volume['size']} GiB의 "
                    f"{volume['volume_id']}이(가) 있습니다. 데이터가 있는 볼륨은 "
                    "줄이거나 교체하지 않으며, 허용하는 변수도 없습니다",
                ),
                Words(
                    "Set the variable to what it is, or grow the volume and its file system by hand.",
                    "변수를 현재 값으로 설정하거나, 볼륨과 파일 시스템을 직접 늘리십시오.",
                ),
            )
        )
    if not volume["encrypted"]:
        findings.append(
            Finding(
                "volume_encryption",
                host,
                NOT_SHOWN,
                Words(
                    f"{volume['volume_id']} at {device} is not encrypted, and cannot become so",
                    f"{device}의 {volume['volume_id']}은(는) 암호화되지 않았고 나중에 암호화할 수 없습니다",
                ),
                Words(
                    "Copy it by an encrypted snapshot, or terminate the instance and run again.",
                    "암호화된 스냅샷으로 복사하거나, 인스턴스를 종료하고 다시 실행하십시오.",
                ),
            )
        )
    return findings


def _termination_findings(host: str, instance_id: str, volume: Values | None) -> list[Finding]:
    if volume is None or not any(attachment["delete_on_termination"] for attachment in volume["attachments"]):
        return []
    mapping = f'[{{"DeviceName": "{DATA_DEVICE}", "Ebs": {{"DeleteOnTermination": false}}}}]'
    command = f"aws ec2 modify-instance-attribute --instance-id {instance_id} --block-device-mappings '{mapping}'"
    return [
        Finding(
            "volume_termination",
            host,
            NOT_SHOWN,
            Words(
                f"the data volume must outlive its host, because it holds work, but {volume['volume_id']} at "
                f"{DATA_DEVICE} would be deleted with {instance_id}",
                f"데이터 볼륨은 호스트보다 오래 남아야 하지만 {DATA_DEVICE}의 {volume['volume_id']}은(는) "
                f"{instance_id}와 함께 삭제됩니다",
            ),
            Words(f"Correct that: {command}.", f"다음으로 고치십시오: {command}."),
        )
    ]


def _shutdown_findings(host: str, instance: Values) -> list[Finding]:
    if (instance["instance_initiated_shutdown_behavior"] or "stop") == "stop":
        return []
    command = (
        f"aws ec2 modify-instance-attribute --instance-id {instance['instance_id']} "
        "--instance-initiated-shutdown-behavior Value=stop"
    )
    return [
        Finding(
            "instance_shutdown",
            host,
            NOT_SHOWN,
            Words(
                f"a host that shuts itself down must be stopped by it, but {instance['instance_id']} would be "
                "terminated",
                f"스스로 종료하는 호스트는 중지되어야 하지만 {instance['instance_id']}은(는) 삭제(terminate)됩니다",
            ),
            Words(f"Correct that: {command}.", f"다음으로 고치십시오: {command}."),
        )
    ]


def _type_findings(host: Values, instance: Values) -> list[Finding]:
    """Why an instance must not become one of another type."""
    name, wanted, found = host["inventory_hostname"], host["instance_type"], instance["instance_type"]
    consent = "instance_allow_type_change"
    if found == wanted:
        return []
    if host["instance_market_type"] == SPOT:
        return [
            Finding(
                "instance_type_spot",
                "instance_type",
                NOT_SHOWN,
                Words(
                    f"{wanted} wanted, but {name} is a {found}, and EC2 never changes the type of a Spot instance",
                    f"{wanted}이어야 하지만 {name}은(는) {found}이며, EC2는 스팟 인스턴스의 유형을 바꾸지 않습니다",
                ),
                Words(
                    "Set the variable to what it is, or replace the instance.",
                    "변수를 현재 값으로 설정하거나 인스턴스를 교체하십시오.",
                ),
            )
        ]
    if name in consented_names(host[consent], consent):
        return []
    command = f'-e \'{{"{consent}": ["{name}"]}}\''
    return [
        Finding(
            "instance_type_change",
            "instance_type",
            NOT_SHOWN,
            Words(
                f"{wanted} wanted, but {name} is a {found} ({instance['state']['name']}): changing it stops a running "
                "host and starts a stopped one",
                f"{wanted}이어야 하지만 {name}은(는) {found}({instance['state']['name']})입니다. 유형을 바꾸면 실행 "
                "중인 호스트는 중지되고 중지된 호스트는 시작됩니다",
            ),
            Words(f"If that is meant, name the host: {command}.", f"의도한 것이면 호스트를 지정하십시오: {command}."),
        )
    ]


def instance_findings(host: Values, matches: Sequence[Values]) -> list[Finding]:
    """Why the existing instance of a host must not be touched; nothing for a host yet to be created."""
    name = host["inventory_hostname"]
    if not matches:
        return []
    if len(matches) > 1:
        ids = ", ".join(sorted(instance["instance_id"] for instance in matches))
        return [
            Finding(
                "instance_namesakes",
                name,
                f"{len(matches)}: {ids}",
                Words("one instance may carry this Name tag", "이 Name 태그를 가진 인스턴스는 하나뿐이어야 합니다"),
                Words("Terminate or rename all but one.", "하나만 남기고 종료하거나 이름을 바꾸십시오."),
            )
        ]
    (instance,) = matches
    attached, root_device, data_gib = instance["volumes"], _root_device(instance), host["instance_data_volume_size_gib"]
    data = attached.get(DATA_DEVICE)
    findings = [
        *market_findings(name, instance, host["instance_market_type"]),
        *_shutdown_findings(name, instance),
        *_type_findings(host, instance),
        *_attached_findings(
            name,
            "instance_root_volume_size_gib",
            host["instance_root_volume_size_gib"],
            attached.get(root_device),
            root_device,
        ),
    ]
    if data_gib:
        findings += _attached_findings(name, "transcode_volume_size_gib", data_gib, data, DATA_DEVICE)
        findings += _termination_findings(name, instance["instance_id"], data)
    return findings


def refusals(host: Values, found: Values) -> list[Finding]:
    """Everything for which this host is neither launched nor updated."""
    matches = own_instances(host, found["instances"])
    findings = [*foreign_findings(host, found["instances"]), *instance_findings(host, matches)]
    if not matches:
        findings += launch_findings(host, found)
    elif not offer(host, found)["zones"]:
        findings += subnet_findings(host, found)
    return [*findings, *memory_findings(host, found)]


def spread(items: Sequence[Any], host: str, hosts: Sequence[str]) -> Any:
    """Each host its own of a few items, in turn, always the same."""
    return items[sorted(hosts).index(host) % len(items)]


def _specified_tags(data: Values) -> dict[str, dict[str, str]]:
    return {
        specification["resource_type"]: {tag["key"]: tag["value"] for tag in specification["tags"]}
        for specification in data.get("tag_specifications", [])
    }


def _template_fields(template: Values) -> dict[str, Any]:
    data = template["data"]
    return {
        "market_options": data.get("instance_market_options"),
        "tags_of_launched": _specified_tags(data),
        "other_data": {
            name: value for name, value in data.items() if name not in ("instance_market_options", "tag_specifications")
        },
        "default_version": template["default_version"],
        "tags": own_tags(template["tags"]),
    }


def template_changes(host: Values, templates: Mapping[str, Values]) -> list[Change]:
    """The launch template says that the instance is a Spot instance, and nothing else."""
    name = template_name(host["inventory_hostname"])
    template = templates.get(name)
    market_options = {"market_type": SPOT, "spot_options": dict(host["instance_spot_options"])}
    wanted = {
        "market_options": market_options,
        "tags_of_launched": {REQUEST_RESOURCE: instance_tags(host)},
        "tags": kind_tags(host),
        **({"other_data": {}, "default_version": template["latest_version"]} if template else {}),
    }
    item = {"market_options": market_options, "request_tags": instance_tags(host), "tags": kind_tags(host)}
    found = _template_fields(template) if template else None
    return compare(name, wanted, found, WHY, lambda _: {"templates": item})


def request_changes(host: Values, matches: Sequence[Values]) -> list[Change]:
    """The request behind a Spot instance is found again by its tags."""
    tags = instance_tags(host)
    return [
        change
        for instance in matches
        for request in [instance.get("spot_request")]
        if request
        for change in compare(
            request["spot_instance_request_id"],
            {"tags": tags},
            {"tags": own_tags(request["tags"])},
            WHY,
            lambda _: {"requests": {"tags": tags}},
        )
    ]


def launch_change(host: Values, found: Values, inventory: Sequence[str]) -> list[Change]:
    """A missing instance, of the image that is the newest now, in the zone of this host."""
    name = host["inventory_hostname"]
    offered = offer(host, found)
    subnet = spread(launch_subnets(found["network"]["subnets"], offered["zones"]), name, inventory)
    tags, is_spot = kind_tags(host), host["instance_market_type"] == SPOT
    launch = {
        "instance_type": host["instance_type"],
        "image_id": found["images"][host["instance_ami_parameter"]],
        "subnet_id": subnet["subnet_id"],
        "security_group": host["instance_security_group"],
        "instance_profile": role_name(host["deployment_name"], host["instance_kind"]),
        "metadata_options": {**METADATA_OPTIONS},
        "volumes": instance_volumes(host),
        "key_name": host["instance_key_name"],
        # EC2 refuses a launch that names a credit mode for a type without credits.
        **({"cpu_credits": host["instance_cpu_credits"]} if offered["has_cpu_credits"] else {}),
        "tags": tags,
        **({"launch_template": {"name": template_name(name)}} if is_spot else {}),
    }
    key_pair = {
        "key_name": host["instance_key_name"],
        "public_key_file": host["instance_public_key_file"],
        "tags": role_tags(host["deployment_tags"], "instance"),
    }
    filters = {"filters": instance_filters(host)}
    wanted = {**launch, "zone": subnet["zone"], "market_type": host["instance_market_type"]}
    return compare(
        name,
        wanted,
        None,
        WHY,
        lambda _: {"key_pairs": key_pair, "launches": {**launch, **filters}, "waits": filters},
    )


def _profile_name(instance: Values) -> str | None:
    arn = instance.get("iam_instance_profile", {}).get("arn")
    return arn.rpartition("/")[2] if arn else None


def instance_changes(host: Values, instance: Values) -> list[Change]:
    """What EC2 can change of an existing instance. The image is never compared: a newer one replaces no host."""
    profile = role_name(host["deployment_name"], host["instance_kind"])
    wanted = {
        "instance_type": host["instance_type"],
        "instance_profile": profile,
        "tags": instance_tags(host),
        # What a region does not know cannot be changed.
        **{name: value for name, value in METADATA_OPTIONS.items() if name in instance["metadata_options"]},
    }
    # The groups of an instance with a second interface are its owner's business: ec2_instance does not touch them.
    if len(instance["network_interfaces"]) == 1:
        wanted["security_groups"] = [host["instance_security_group"]]
    found = {
        **instance["metadata_options"],
        "instance_type": instance["instance_type"],
        "instance_profile": _profile_name(instance),
        "tags": standing_tags(instance["tags"]),
        "security_groups": sorted(group["group_name"] for group in instance["security_groups"]),
    }
    update = {
        "instance_id": instance["instance_id"],
        "instance_type": host["instance_type"],
        "instance_profile": profile,
        "security_group": host["instance_security_group"],
        "subnet_id": instance["subnet_id"],
        "metadata_options": {**METADATA_OPTIONS},
        # What is not named here is removed, and what a deployment set must stay.
        "tags": {**kind_tags(host), **deployment_tags(instance["tags"])},
    }
    return compare(host["inventory_hostname"], wanted, found, WHY, lambda _: {"updates": update})


def volume_changes(host: Values, instance: Values) -> list[Change]:
    """Tags of every volume, by which it is found on its own too, and the type of those of a launch, which EBS changes
    while it works and nothing is lost."""
    launched = {_root_device(instance), *([DATA_DEVICE] if host["instance_data_volume_size_gib"] else [])}
    return [
        change
        for device, volume in instance["volumes"].items()
        for change in _changes_of_volume(volume, instance_tags(host), is_launched=device in launched)
    ]


def _changes_of_volume(volume: Values, tags: Values, *, is_launched: bool) -> list[Change]:
    wanted = {"tags": tags, **({"volume_type": VOLUME_TYPE} if is_launched else {})}
    found = {"tags": own_tags(volume["tags"]), "volume_type": volume["volume_type"]}
    items = {
        "tags": ("volume_tags", {"tags": tags}),
        "volume_type": ("volume_types", {"zone": volume["availability_zone"], "volume_type": VOLUME_TYPE}),
    }
    return compare(volume["volume_id"], wanted, found, WHY, lambda fields: dict(items[field] for field in fields))


def host_changes(host: Values, found: Values, inventory: Sequence[str]) -> list[Change]:
    """What a host that is not refused needs."""
    matches = own_instances(host, found["instances"])
    changes = []
    if host["instance_market_type"] == SPOT:
        changes += [*template_changes(host, found["launch_templates"]), *request_changes(host, matches)]
    if not matches:
        return [*changes, *launch_change(host, found, inventory)]
    return [*changes, *instance_changes(host, matches[0]), *volume_changes(host, matches[0])]


def pending_changes(host: Values, found: Values) -> list[Change]:
    """A launch that was begun by a run that was interrupted."""
    return [
        Change(host["inventory_hostname"], "create", (), WHY, {"waits": {"filters": instance_filters(host)}})
        for instance in own_instances(host, found["instances"])
        if instance["state"]["name"] == "pending"
    ]


def decide(inputs: Values, found: Values) -> Plan:
    hosts, inventory = inputs["hosts"], inputs["inventory"]
    refused = {name: refusals(host, found) for name, host in hosts.items()}
    judged = {name: host for name, host in hosts.items() if not refused[name]}
    return Plan(
        of_hosts(refused),
        [
            replace(change, host=name)
            for name, host in judged.items()
            for change in host_changes(host, found, inventory)
        ],
        [replace(change, host=name) for name, host in judged.items() for change in pending_changes(host, found)],
    )


ROLE = Role(
    reads,
    decide,
    applies=(
        "key_pairs",
        "templates",
        "requests",
        "launches",
        "updates",
        "volume_tags",
        "volume_types",
        "waits",
    ),
    rules=(
        ROWS,
        Rule(name_findings, ("inventory_hostname", "deployment_name")),
        Rule(shown_findings, ("deployment_tags",)),
        Rule(
            volume_findings,
            (
                "inventory_hostname",
                "group_names",
                "instance_root_volume_size_gib",
                "instance_data_volume_size_gib",
            ),
        ),
        Rule(
            spot_findings,
            ("inventory_hostname", "instance_market_type", "instance_spot_options", "instance_may_be_stopped"),
        ),
    ),
    each_host=True,
)

# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Both inventories, resolved as Ansible resolves them, against the guide's table (§13) and the corrections to it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any

import botocore.session
import pytest
import yaml
from botocore import xform_name

from plugins.module_utils.placeholders import unfilled
from plugins.module_utils.plan.container import completed
from plugins.module_utils.services import (
    image_definitions,
    kinds_of_hosts,
    log_groups,
    owners,
    repositories,
    row_findings,
    starter_workers,
)

ROOT = Path(__file__).resolve().parents[2]
EC2_INSTANCE: Any = botocore.session.get_session().get_service_model("ec2").shape_for("Instance")
INVENTORIES = ["production", "local"]
SHOWN = [
    "ai_worker_job_max_seconds", "ai_worker_lease_seconds", "ai_worker_visibility_seconds", "aws_region",
    "database_allocated_storage_gib", "database_backup_retention_days", "database_engine_major", "database_identifier",
    "database_instance_class", "database_max_allocated_storage_gib", "deployment_name", "drill_queue_names",
    "drill_threshold", "group_names", "groups", "host_services", "instance_ami_parameter", "instance_kind",
    "instance_may_be_stopped", "instance_memory_min_mib", "instance_root_volume_size_gib", "instance_security_group",
    "instance_type", "logs_retention_days", "network_security_group_names", "queues_jobs", "services", "stage",
    "starter_log_group", "transcode_volume_mount_point", "transcode_volume_size_gib",
    "video_worker_visibility_seconds", "worker_heartbeat", "worker_idle_stop_threshold",
]  # fmt: skip
# ansible-inventory shows templates; this play shows what they resolve to, as any play would see it.
SHOW_PLAY = [
    {
        "name": "Show",
        "hosts": "instances",
        "connection": "local",
        "gather_facts": False,
        "tasks": [
            {
                "name": "Show",
                # An action that needs no process on the host.
                "ansible.builtin.debug": {"msg": "{{ dict(shown | zip(values)) | to_json }}"},
                "vars": {
                    "shown": SHOWN,
                    "values": [f"{{{{ {name} | default(none) }}}}" for name in SHOWN],
                },
            }
        ],
    }
]


# Somebody lets hosts work for another service too; what was a host of its own for it stays as it is.
SHARED = {
    "messaging_worker": {"hosts": {"academy-api-1": None}},
    "ai_worker": {"hosts": {"academy-video-worker-2": None}},
}


@pytest.fixture(scope="session")
def resolved(tmp_path_factory: pytest.TempPathFactory) -> Any:
    @cache
    def resolve(inventory: str, shared: bool = False, extra: str = "{}") -> dict[str, dict[str, Any]]:
        sources = tmp_path_factory.mktemp("sources")
        more = sources / "hosts.yml"
        more.write_text(yaml.safe_dump({"all": {"children": SHARED if shared else {}}}), encoding="utf-8")
        play = sources / "show.yml"
        play.write_text(yaml.safe_dump(SHOW_PLAY), encoding="utf-8")
        environment = {key: value for key, value in os.environ.items() if not key.startswith("AWS_")}
        shown = subprocess.run(
            [
                Path(sys.executable).with_name("ansible-playbook"), play,
                "-i", f"inventories/{inventory}/hosts.yml", "-i", more, "-e", extra,
            ],
            cwd=ROOT,
            env={**environment, "ANSIBLE_CALLBACK_RESULT_FORMAT": "json"},
            check=True,
            capture_output=True,
            text=True,
        ).stdout  # fmt: skip
        results = re.findall(r"^ok: \[(\S+)\] => (\{.*?^\})", shown, re.MULTILINE | re.DOTALL)
        return {host: json.loads(json.loads(result)["msg"]) for host, result in results}

    return resolve


@pytest.mark.parametrize("inventory", INVENTORIES)
@pytest.mark.parametrize(
    ("host", "machine"),
    [
        ("academy-api-1", ("api", "t4g.small", 30)),
        ("academy-messaging-worker-1", ("messaging-worker", "t4g.micro", 20)),
        ("academy-video-worker-1", ("video-worker", "t4g.medium", 20)),
        ("academy-video-worker-2", ("video-worker", "t4g.medium", 20)),
        ("academy-ai-worker-1", ("ai-worker", "t4g.small", 20)),
    ],
)
def test_machines(resolved: Any, inventory: str, host: str, machine: tuple[str, str, int]) -> None:
    kind, instance_type, root_gib = machine
    values = resolved(inventory)[host]
    assert values["instance_kind"] == kind
    assert values["instance_type"] == instance_type
    assert values["instance_root_volume_size_gib"] == root_gib
    assert values["instance_security_group"] == ("academy-api-sg" if kind == "api" else "academy-worker-sg")
    assert values["instance_ami_parameter"].endswith("al2023-ami-kernel-default-arm64")
    assert host.startswith(f"{values['deployment_name']}-")


@pytest.mark.parametrize("inventory", INVENTORIES)
def test_video_workers_alone_have_a_disk_and_at_most_two_run(resolved: Any, inventory: str) -> None:
    disks = {
        host: (values["transcode_volume_size_gib"], values["transcode_volume_mount_point"])
        for host, values in resolved(inventory).items()
        if values["transcode_volume_size_gib"]
    }
    assert disks == dict.fromkeys(["academy-video-worker-1", "academy-video-worker-2"], (100, "/mnt/transcode"))


@pytest.mark.parametrize("inventory", INVENTORIES)
@pytest.mark.parametrize(
    ("host", "service", "limits"),
    [
        ("academy-api-1", "api", (1400, 0)),
        ("academy-messaging-worker-1", "messaging_worker", (448, 0)),
        ("academy-video-worker-1", "video_worker", (3200, 5)),
        ("academy-video-worker-2", "video_worker", (3200, 5)),
        ("academy-ai-worker-1", "ai_worker", (1200, 5)),
    ],
)
def test_each_service_has_a_host_of_its_own_and_only_video_and_ai_stop_it(
    resolved: Any, inventory: str, host: str, service: str, limits: tuple[int, int]
) -> None:
    limit_mib, threshold = limits
    values = resolved(inventory)[host]
    name, here = values["services"][service]["name"], container(values, service)
    assert values["host_services"] == [service]
    assert values["services"][service]["log_group"] == f"/academy/{name}"
    assert here["container_expected_limits_mib"] == {name: limit_mib}
    # The API's have been one, and are two that take turns.
    assert {*here["container_unwanted"]} == {
        other for other, owner in owners(values["services"]).items() if owner != name
    }
    assert here["container_slots"] == ({"a": 8001, "b": 8002} if service == "api" else {})
    assert here["container_idle_stop_threshold"] == threshold
    assert here["container_heartbeat"] is values["instance_may_be_stopped"] is (threshold > 0)
    assert name in {image["name"] for image in image_definitions(values["services"])}


def container(values: dict[str, Any], service: str) -> dict[str, Any]:
    """What the role container takes for a service of a host from the rows."""
    names = ("services", "group_names", "worker_heartbeat", "worker_idle_stop_threshold")
    return {**completed({"container_service": service, **{name: values[name] for name in names}})}


def kinds(hosts: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """What each kind of host may do."""
    shared = hosts["academy-api-1"]
    return kinds_of_hosts(
        shared["services"], shared["groups"], {name: host["instance_kind"] for name, host in hosts.items()}
    )


@pytest.mark.parametrize("inventory", INVENTORIES)
def test_workers_are_limited_in_time_by_their_queues(resolved: Any, inventory: str) -> None:
    video, ai = (resolved(inventory)[f"academy-{kind}-worker-1"] for kind in ("video", "ai"))
    assert (video["video_worker_visibility_seconds"], video["instance_memory_min_mib"]) == (10800, 4096)
    assert ai["ai_worker_visibility_seconds"] == ai["ai_worker_job_max_seconds"] == 3600
    assert ai["ai_worker_lease_seconds"] == 3540
    assert video["worker_idle_stop_threshold"] == video["drill_threshold"] == 5
    assert video["drill_queue_names"] == ["academy-video-jobs"]


def test_another_queue_of_the_ai_worker_counts_for_its_lease(resolved: Any) -> None:
    table = {name: deepcopy(resolved("local")["academy-api-1"][name]) for name in ("queues_jobs", "services")}
    another = {"name": "academy-ai-jobs-another", "visibility_timeout_seconds": 1800, "max_receive_count": 3}
    table["queues_jobs"]["another"] = another
    table["services"]["ai_worker"]["receives_from"].append(another["name"])
    ai = resolved("local", extra=json.dumps(table))["academy-ai-worker-1"]
    assert (ai["ai_worker_visibility_seconds"], ai["ai_worker_lease_seconds"]) == (1800, 1740)


@pytest.mark.parametrize("inventory", INVENTORIES)
def test_a_shared_host_is_the_larger_machine_and_stops_only_when_nobody_works(resolved: Any, inventory: str) -> None:
    hosts = resolved(inventory, shared=True)
    api, video = hosts["academy-api-1"], hosts["academy-video-worker-2"]
    assert (api["host_services"], api["instance_kind"], api["instance_type"]) == (
        ["api", "messaging_worker"], "api", "t4g.small"
    )  # fmt: skip
    assert (video["host_services"], video["instance_kind"], video["instance_type"]) == (
        ["video_worker", "ai_worker"], "video-worker", "t4g.medium"
    )  # fmt: skip
    assert (api["instance_may_be_stopped"], video["instance_may_be_stopped"]) == (False, True)
    of_api, of_video = container(api, "api"), container(video, "video_worker")
    of_ai = container(hosts["academy-ai-worker-1"], "ai_worker")
    assert of_api["container_idle_stop_threshold"] == of_video["container_idle_stop_threshold"] == 0
    assert container(hosts["academy-video-worker-1"], "video_worker")["container_idle_stop_threshold"] == 5
    assert of_video["container_heartbeat"] is True
    assert of_video["container_stopping_neighbours"] == {"ai_worker": "academy-ai-worker-cpu"}
    assert of_api["container_stopping_neighbours"] == of_ai["container_stopping_neighbours"] == {}
    api_containers = ["academy-api", "academy-api-a", "academy-api-b"]
    assert of_video["container_unwanted"] == [*api_containers, "academy-messaging-worker"]
    assert of_video["container_expected_limits_mib"] == {"academy-video-worker": 3200, "academy-ai-worker-cpu": 1200}
    may = kinds(hosts)
    assert may["api"]["receives_from"] == ["academy-messaging-jobs"]
    assert may["video-worker"]["containers"] == ["academy-video-worker", "academy-ai-worker-cpu"]
    assert len(may["video-worker"]["receives_from"]) == 4
    assert may["ai-worker"] == kinds(resolved(inventory))["ai-worker"]


@pytest.mark.parametrize(("inventory", "major"), [("production", 16), ("local", 15)])
def test_shared(resolved: Any, inventory: str, major: int) -> None:
    values = resolved(inventory)["academy-api-1"]
    names = ["academy-api", "academy-messaging-worker", "academy-video-worker", "academy-ai-worker-cpu"]
    assert values["aws_region"] == "ap-northeast-2"
    assert values["stage"] == "test"
    assert values["database_engine_major"] == major
    assert values["database_identifier"] == "academy-db"
    assert values["database_instance_class"] == "db.t4g.micro"
    assert (values["database_allocated_storage_gib"], values["database_max_allocated_storage_gib"]) == (20, 100)
    assert values["database_backup_retention_days"] >= 7
    assert repositories(values["services"]) == names
    assert log_groups(values["services"]) == [f"/academy/{name}" for name in names]
    assert values["starter_log_group"] == "/academy/starter"
    assert values["logs_retention_days"] in {7, 14}
    assert {queue["name"]: queue["visibility_timeout_seconds"] for queue in values["queues_jobs"].values()} == {
        "academy-video-jobs": 10800,
        "academy-messaging-jobs": 300,
        "academy-ai-jobs-lite": 3600,
        "academy-ai-jobs-basic": 3600,
        "academy-ai-jobs-premium": 3600,
    }


@pytest.mark.parametrize("inventory", INVENTORIES)
def test_the_rows_are_right_and_each_has_hosts(resolved: Any, inventory: str) -> None:
    values = resolved(inventory)["academy-api-1"]
    assert row_findings(values["services"]) == []
    assert all(values["groups"].get(service) for service in values["services"])


@pytest.mark.parametrize("inventory", INVENTORIES)
def test_identities(resolved: Any, inventory: str) -> None:
    hosts = resolved(inventory)
    values = hosts["academy-api-1"]
    found, queues = kinds(hosts), [queue["name"] for queue in values["queues_jobs"].values()]
    assert set(found) == {host["instance_kind"] for host in hosts.values()}
    assert {kind for kind, may in found.items() if may["stops_itself"]} == {"video-worker", "ai-worker"}
    assert {kind: may["sends_to"] for kind, may in found.items() if may["sends_to"]} == {"api": queues}
    assert sorted(queue for may in found.values() for queue in may["receives_from"]) == sorted(queues)
    assert [name for may in found.values() for name in may["containers"]] == repositories(values["services"])


@pytest.mark.parametrize("inventory", INVENTORIES)
def test_who_stops_itself_is_started_again(resolved: Any, inventory: str) -> None:
    workers = {
        "video_worker": {
            "queues": ["academy-video-jobs"],
            "hosts": ["academy-video-worker-1", "academy-video-worker-2"],
        },
        "ai_worker": {
            "queues": [f"academy-ai-jobs-{name}" for name in ("lite", "basic", "premium")],
            "hosts": ["academy-ai-worker-1"],
        },
    }
    values = resolved(inventory)["academy-api-1"]
    assert starter_workers(values["services"], values["groups"]) == workers
    # Only the video host that works for it too is started for an AI job.
    workers["ai_worker"]["hosts"].append("academy-video-worker-2")
    values = resolved(inventory, shared=True)["academy-api-1"]
    assert starter_workers(values["services"], values["groups"]) == workers


@pytest.mark.parametrize("inventory", INVENTORIES)
def test_what_aws_answers_is_asked_with_the_inventorys_own_connection(inventory: str) -> None:
    """The inventory plugin knows no variables, so these values stand twice."""
    directory = ROOT / "inventories" / inventory
    source = yaml.safe_load((directory / "aws_ec2.yml").read_text(encoding="utf-8"))
    ours = yaml.safe_load((directory / "group_vars" / "all" / "environment.yml").read_text(encoding="utf-8"))
    assert source["regions"] == [ours["aws_region"]]
    assert source["filters"]["tag:Project"] == ours["deployment_name"]
    for option in ("endpoint_url", "access_key", "secret_key"):
        assert source.get(option) == ours.get(f"aws_{option}")


@pytest.mark.parametrize("inventory", INVENTORIES)
def test_what_should_be_and_what_is_never_share_a_name(inventory: str) -> None:
    """aws_ec2 gives each host everything EC2 says about it, and a host's variable wins over a group's."""
    as_is = {f"aws_{xform_name(member)}" for member in EC2_INSTANCE.members}
    listing = subprocess.run(
        [Path(sys.executable).with_name("ansible-inventory"), "-i", f"inventories/{inventory}/hosts.yml", "--list"],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    for host, variables in json.loads(listing.stdout)["_meta"]["hostvars"].items():
        assert not as_is & set(variables), host


def test_a_production_inventory_asks_for_what_only_its_owner_knows() -> None:
    text = (ROOT / "inventories/production/group_vars/all/environment.yml").read_text(encoding="utf-8")
    assert unfilled(yaml.safe_load(text)) == [
        "alarms_emails", "application_r2_endpoint", "application_r2_public_base_url", "aws_account_id", "owner",
        "release",
    ]  # fmt: skip


def test_no_secret_stands_in_the_production_inventory() -> None:
    text = (ROOT / "inventories/production/group_vars/all/environment.yml").read_text(encoding="utf-8")
    values = yaml.safe_load(text)
    secrets = [name for name in values if name.endswith(("password", "token", "secret_key", "access_key"))]
    assert secrets
    assert all(str(values[name]).startswith("{{ vault_") for name in secrets)
    assert "aws_access_key" not in values

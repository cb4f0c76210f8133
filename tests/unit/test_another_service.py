# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A fifth service is data: every plan and everything that is derived knows it, and no code was touched."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

import pytest

from plugins.module_utils.application_environment import checked_environment
from plugins.module_utils.plan import Plan
from plugins.module_utils.plan.container import completed
from plugins.module_utils.plan.roles import ROLES
from plugins.module_utils.plan.watchdog import settings
from plugins.module_utils.preflight import Subject, groups_of, judge
from plugins.module_utils.services import image_definitions, roles_of_host, rows, tag_of
from tests import another_service as another
from tests.unit.inputs import collected, collected_of, judged

# What AWS tells of an empty account.
NOTHING = (
    "roles", "instance_profiles", "log_groups", "repositories", "queues", "functions", "schedules", "topics", "alarms",
)  # fmt: skip
# The inputs of a role that it is given beside the inventory.
GIVEN = {"alarms_starter_invoked": True, "code_sha256": "abc="}


class Product(NamedTuple):
    """A copy of the product with the service in it."""

    touched: list[str]
    control: Subject
    hosts: dict[str, Subject]
    table: dict[str, Any]
    findings: list[str]
    inputs: dict[str, Any]


@pytest.fixture(scope="module")
def product(tmp_path_factory: pytest.TempPathFactory) -> Product:
    directory = another.copy(tmp_path_factory.mktemp("product"))
    touched = another.add(directory)
    control, hosts, table, values = collected_of(directory / "inventories/local/hosts.yml")
    findings, inputs, _ = judge(control, hosts, [])
    kinds = {host: subject.values["instance_kind"] for host, subject in hosts.items()}
    inputs = {**inputs, "groups": groups_of(hosts), "kinds": kinds, **GIVEN}
    values |= {name: f"secret-of-{name}" for name, row in table.items() if row.get("secret")}
    rows_of_table = {name: {**row, "value": values[name]} if name in values else row for name, row in table.items()}
    return Product(touched, control, hosts, rows_of_table, [finding.text_en for finding in findings], inputs)


def plan(product: Product, role: str) -> Plan:
    return ROLES[role].decide(product.inputs, {**{kind: {} for kind in NOTHING}, "instances": []})


def test_it_is_six_files_of_data(product: Product) -> None:
    assert product.touched == [
        "examples/academy/docker/thumbnail-worker/Dockerfile",
        "inventories/guide/all/queues.yml",
        "inventories/guide/all/services.yml",
        "inventories/guide/hosts.yml",
        "inventories/guide/thumbnail_worker.yml",
        "inventories/local/group_vars/thumbnail_worker.yml",
    ]


def test_the_preflight_finds_nothing_wrong_with_it_and_judges_what_runs_there(product: Product) -> None:
    assert product.findings == [finding.text_en for finding in judged({})] == []
    assert {"watchdog_look_seconds", "worker_environment", "instance_type"} <= set(product.hosts[another.HOST].options)


@pytest.mark.parametrize(
    ("role", "resources"),
    [
        ("registry", [another.CONTAINER]),
        ("logs", [f"/academy/{another.CONTAINER}"]),
        ("queues", [f"{another.QUEUE}-dlq", another.QUEUE]),
        (
            "identity",
            [
                "role academy-thumbnail-worker-role",
                "inline policy academy-host of academy-thumbnail-worker-role",
                "instance profile academy-thumbnail-worker-role",
            ],
        ),
        (
            "alarms",
            [
                f"{another.QUEUE}-dlq-not-empty",
                f"{another.QUEUE}-waiting-too-long",
                f"{another.HOST}-running-too-long",
            ],
        ),
    ],
)
def test_aws_gets_what_it_needs(product: Product, role: str, resources: list[str]) -> None:
    found = [change.resource for change in plan(product, role).changes]
    assert [name for name in found if "thumbnail" in name] == resources


def test_it_may_take_its_jobs_and_stop_itself_and_no_other_service_may_do_so_for_it(product: Product) -> None:
    policies = {
        change.resource: json.dumps(change.apply["policies"]["document"])
        for change in plan(product, "identity").changes
        if "policies" in change.apply
    }
    own = policies.pop("inline policy academy-host of academy-thumbnail-worker-role")
    assert {"ReceiveJobs", "StopItself"} <= {statement["Sid"] for statement in json.loads(own)["Statement"]}
    assert another.QUEUE in own
    assert "academy-video-jobs" not in own
    # The API sends to every queue, and the starter counts what waits there.
    assert {name.rpartition(" ")[2] for name, policy in policies.items() if another.QUEUE in policy} == {
        "academy-api-role", "academy-starter-role",
    }  # fmt: skip


def test_the_starter_starts_it_and_the_watchdog_of_its_host_knows_it(product: Product) -> None:
    (function,) = [change for change in plan(product, "starter").changes if "functions" in change.apply]
    groups = json.loads(function.apply["functions"]["environment"]["STARTER"])["groups"]
    assert [(group["queues"], group["hosts"]) for group in groups if group["name"] == another.SERVICE] == [
        ([another.QUEUE], [another.HOST])
    ]
    host = product.hosts[another.HOST]
    told = settings({**host.values, **watchdog_times(), "group_names": host.groups})
    assert [*told["heartbeat_files"]] == [another.CONTAINER]


def watchdog_times() -> dict[str, float | str]:
    minutes = dict.fromkeys(("broken", "boot_grace", "restart_window"), 1.0)
    return {
        **{f"watchdog_{name}_minutes": value for name, value in minutes.items()},
        "watchdog_heartbeat_seconds": 180,
        "watchdog_release_seconds": 90,
        "watchdog_scratch_directory": "",
        "watchdog_leftover_hours": 24,
    }


def test_its_image_is_built_from_its_dockerfile(product: Product) -> None:
    assert image_definitions(product.inputs["services"])[-1] == {
        "name": another.CONTAINER, "dockerfile": "docker/thumbnail-worker/Dockerfile",
    }  # fmt: skip


def test_its_container_is_run_by_the_role_of_those_that_have_none(product: Product) -> None:
    host, services = product.hosts[another.HOST], product.inputs["services"]
    assert roles_of_host(services, host.groups, host.values) == ["swap", "docker", "watchdog", "worker"]
    assert tag_of(services, another.SERVICE) == "worker"
    names = ("services", "worker_heartbeat", "worker_idle_stop_threshold")
    inputs = completed(
        {
            **{name: host.values[name] for name in names},
            "group_names": host.groups,
            "container_service": another.SERVICE,
        }
    )
    assert (inputs["container_memory_mib"], inputs["container_idle_stop_threshold"]) == (448, 5)
    assert (inputs["container_heartbeat"], inputs["container_stopping_neighbours"]) == (True, {})
    assert another.CONTAINER not in inputs["container_unwanted"]


def test_it_gets_the_settings_of_every_worker_and_its_own(product: Product) -> None:
    host = product.hosts[another.HOST]
    own = {**host.values["worker_environment"], **host.values["services"][another.SERVICE]["environment"]}
    found, secrets = checked_environment(
        product.table, another.SERVICE, another.HOST, own, rows(product.inputs["services"])
    )
    assert found["THUMBNAIL_WORKER_ID"] == another.HOST
    assert found["THUMBNAIL_SQS_QUEUE_NAME"] == another.QUEUE
    assert {"WORKER_WAIT_SECONDS", "DB_NAME", "DJANGO_SETTINGS_MODULE"} <= found.keys()
    assert "DB_PASSWORD" in secrets
    assert "VIDEO_WORKER_ID" not in found


def test_the_others_stay_as_they_are(product: Product) -> None:
    _, hosts, _, _ = collected()
    assert {*product.hosts} - {*hosts} == {another.HOST}
    assert all(product.hosts[host].groups == subject.groups for host, subject in hosts.items())

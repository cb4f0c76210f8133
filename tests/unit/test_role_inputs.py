# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every input of a role stands in its defaults, required ones as comments, and in its argument specs.

What a role of AWS exposes is tried with another value, or there is a reason why not.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.integration.provision import test_doors, test_provision, test_spot

ROLES = sorted((Path(__file__).resolve().parents[2] / "roles").iterdir())
COMMENTED = re.compile(r"^# (\w+):$", re.MULTILINE)


@pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)
def test_inputs(role: Path) -> None:
    entry_points = yaml.safe_load((role / "meta/argument_specs.yml").read_text(encoding="utf-8"))["argument_specs"]
    defaults = (role / "defaults/main.yml").read_text(encoding="utf-8")
    specified = {name for entry_point in entry_points.values() for name in entry_point.get("options", {})}
    assert set(yaml.safe_load(defaults) or {}) | set(COMMENTED.findall(defaults)) == specified


@pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)
def test_a_required_input_has_no_default(role: Path) -> None:
    entry_points = yaml.safe_load((role / "meta/argument_specs.yml").read_text(encoding="utf-8"))["argument_specs"]
    defaults = yaml.safe_load((role / "defaults/main.yml").read_text(encoding="utf-8")) or {}
    required = {
        name
        for entry_point in entry_points.values()
        for name, option in entry_point.get("options", {}).items()
        if option.get("required")
    }
    assert not required & set(defaults)


def options(role: str) -> set[str]:
    path = ROLES[0].parent / role / "meta/argument_specs.yml"
    return set(yaml.safe_load(path.read_text(encoding="utf-8"))["argument_specs"]["main"]["options"])


# Tried with other values by a test of its own.
TRIED_BY: dict[str, dict[str, Callable[..., Any]]] = {
    "network": {
        "network_security_group_names": test_provision.test_other_names_make_other_groups_and_leave_the_old,
        "stage": test_doors.test_opening_lets_everybody_in_by_https_and_nobody_to_the_api,
        "network_step": test_doors.test_nobody_is_let_in_before_the_api_has_its_settings,
        "certificate_arn": test_doors.test_opening_lets_everybody_in_by_https_and_nobody_to_the_api,
    },
    "load_balancer": {
        "certificate_arn": test_doors.test_opening_lets_everybody_in_by_https_and_nobody_to_the_api,
        "load_balancer_replace_records": test_doors.test_a_name_that_leads_elsewhere_is_moved_only_by_consent,
    },
    "queues": {
        "queues_allow_shorter_retention": (
            test_provision.test_messages_that_are_there_are_lost_only_where_their_queue_is_named
        ),
    },
    "database": {
        "database_allow_shorter_backups": test_provision.test_the_database_becomes_less_only_where_it_is_named,
        "database_allow_smaller_class": test_provision.test_the_database_becomes_less_only_where_it_is_named,
        "database_apply_immediately": test_provision.test_the_database_becomes_less_only_where_it_is_named,
        "subnet_ids": test_provision.test_other_subnets_are_those_of_the_database,
    },
    "instance": {
        "instance_ami_parameter": test_provision.test_a_newer_image_replaces_no_host_and_a_terminated_host_gets_it,
        "instance_market_type": test_spot.provision,
        "instance_spot_options": test_spot.test_it_refuses,
    },
}
# Of every role that has it.
IDENTITY = {
    "aws_region": "where everything is; another one is another deployment",
    "aws_account_id": "whose everything is; another one is refused by the account role",
    "deployment_name": "in every name; another one is another deployment, side by side in test_teardown.py",
    "deployment_tags": "changes with owner, in every row of PARAMETERS; of a certificate others' is taken back",
}
OTHER_NETWORK = "the account has one; what is chosen of several is decided in test_network.py"
ANOTHER_DATABASE = "another one is another database"
FIXED = "fixed at creation; another value is refused in test_database.py"
LAUNCH_ONLY = "of a launch alone; an existing host keeps its own"
JUDGED_ONLY = "judged, in test_instances.py, and never written"
ALL_OF_IT = "every test of test_doors.py has one; without, nothing is made there"
BALANCER_NAME = "another one is another load balancer"
NOT_TRIED = {
    "network": {
        "vpc_id": OTHER_NETWORK,
        "subnet_ids": OTHER_NETWORK,
        "database_port": "the database's, whose role refuses another one",
        "public_name": ALL_OF_IT,
        "load_balancer_name": BALANCER_NAME,
        "load_balancer_target_group_name": BALANCER_NAME,
    },
    "certificate": {
        "public_name": ALL_OF_IT,
        "certificate_arn": "read and never written",
        "certificate_wait_minutes": "how long a run waits; nothing in AWS",
    },
    "load_balancer": {
        "public_name": ALL_OF_IT,
        "vpc_id": OTHER_NETWORK,
        "subnet_ids": OTHER_NETWORK,
        "load_balancer_name": BALANCER_NAME,
        "load_balancer_target_group_name": BALANCER_NAME,
        "load_balancer_access_logs_bucket": "another one is another bucket",
        "load_balancer_security_group": "the network role's; the one that lost it gets it back in test_doors.py",
        "load_balancer_hosts": "the group api; one that is added, stopped or replaced is in test_doors.py",
        "api_port": "of targets that the embedded cloud knows by their hosts alone; in test_plan_load_balancer.py",
    },
    "logs": {"database_identifier": ANOTHER_DATABASE},
    "database": {
        "database_identifier": ANOTHER_DATABASE,
        "database_subnet_group_name": ANOTHER_DATABASE,
        "database_security_group": "the network role's; the database that lost it gets it back among the drifts",
        "database_name": FIXED,
        "database_master_username": FIXED,
        "database_engine_major": FIXED,
        "database_port": FIXED,
        "database_password": "of a new instance alone, and never read back",
        "database_wait_minutes": "how long a run waits; nothing in AWS",
        "vpc_id": OTHER_NETWORK,
    },
    "instance": {
        "instance_kind": "follows from the host's group",
        "instance_root_volume_size_gib": "another one is refused, in test_instances.py",
        "instance_data_volume_size_gib": "another one is refused, as transcode_volume_size_gib",
        "instance_cpu_credits": LAUNCH_ONLY,
        "instance_key_name": LAUNCH_ONLY,
        "instance_public_key_file": LAUNCH_ONLY,
        "instance_may_be_stopped": JUDGED_ONLY,
        "services": JUDGED_ONLY,
        "instance_memory_min_mib": JUDGED_ONLY,
        "vpc_id": LAUNCH_ONLY,
        "subnet_ids": LAUNCH_ONLY,
    },
    "alarms": {"alarms_starter_invoked": "follows starter_enabled, in the row of the starter"},
}


PARAMETERS = {**test_provision.PARAMETERS, **test_doors.PARAMETERS}


@pytest.mark.parametrize("role", [*PARAMETERS, "certificate"])
def test_what_a_role_of_aws_exposes_is_tried_or_there_is_a_reason(role: str) -> None:
    in_row = set(PARAMETERS[role][0]) if role in PARAMETERS else set()
    elsewhere = TRIED_BY.get(role, {})
    reasons = {**NOT_TRIED.get(role, {}), **{name: why for name, why in IDENTITY.items() if name in options(role)}}
    assert in_row | set(elsewhere) | set(reasons) >= options(role)
    # Neither outlives what it excuses.
    assert {*elsewhere, *reasons} <= options(role) - in_row
    assert not set(elsewhere) & set(reasons)
    assert all(name in inspect.getsource(test) for name, test in elsewhere.items())


def test_every_role_of_the_provisioning_that_keeps_something_has_a_row() -> None:
    """account and placement only look, lock passes with the run, and the certificate has nothing but its name."""
    plays = yaml.safe_load((ROLES[0].parents[1] / "playbooks/provision.yml").read_text(encoding="utf-8"))
    used = {role["role"].rpartition(".")[2] for play in plays for role in play.get("roles", [])}
    assert set(PARAMETERS) == used - {"account", "lock", "placement", "certificate"}
    assert set(test_provision.PARAMETERS) == set(test_provision.KINDS)

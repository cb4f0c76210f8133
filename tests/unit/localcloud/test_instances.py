# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

from localcloud import settings
from localcloud.api import Api
from localcloud.instances import (
    INIT_ON_UNIFIED_CGROUPS,
    Goal,
    Host,
    HostPlan,
    Instances,
    create_arguments,
    docker_volumes,
)
from localcloud.volumes import Volumes

PLAN = HostPlan(
    instance_id="i-0123456789abcdef0",
    image="academy-localcloud/host:abc",
    address="172.31.5.6",
    hostname="ip-172-31-5-6.ap-northeast-2.compute.internal",
    memory_mib=2048,
    unified_cgroups=False,
)


def test_a_host_has_its_instances_address_name_and_memory() -> None:
    arguments = create_arguments(PLAN)
    assert "--name=i-0123456789abcdef0" in arguments
    assert "--hostname=ip-172-31-5-6.ap-northeast-2.compute.internal" in arguments
    assert "--ip=172.31.5.6" in arguments
    assert "--memory=2048m" in arguments
    assert arguments[-1] == PLAN.image


def test_a_host_carries_the_labels_by_which_it_is_found_again() -> None:
    arguments = create_arguments(PLAN)
    assert f"--label={settings.LABEL}={settings.LABEL_VALUE}" in arguments
    assert f"--label={settings.LABEL_INSTANCE}={PLAN.instance_id}" in arguments


def test_dockers_store_and_swap_lie_on_volumes_of_the_instance() -> None:
    volumes = docker_volumes(PLAN.instance_id)
    assert set(volumes.values()) == {"/var/lib/docker", "/var/swap"}
    assert all(PLAN.instance_id in name for name in volumes)
    arguments = create_arguments(PLAN)
    assert all(f"--volume={name}:{directory}" in arguments for name, directory in volumes.items())


def test_a_host_sees_its_own_memory() -> None:
    assert f"--volume={settings.LXCFS_DIR}/proc/meminfo:/proc/meminfo:ro" in create_arguments(PLAN)


def test_a_host_has_the_control_groups_that_its_systemd_needs() -> None:
    whole = "--volume=/sys/fs/cgroup:/sys/fs/cgroup:rw"
    arguments = create_arguments(PLAN)
    assert {"--cgroupns=host", whole} <= set(arguments)
    unified = create_arguments(replace(PLAN, unified_cgroups=True))
    assert "--cgroupns=private" in unified
    assert whole not in unified
    # Its own part alone, which it makes writable before systemd starts.
    assert unified[unified.index(PLAN.image) + 1 :] == list(INIT_ON_UNIFIED_CGROUPS)


def test_whoever_waits_for_an_address_comes_after_who_leaves_it() -> None:
    """Of two members at one address the later one counts."""
    api = Api()
    instances = Instances(api, Volumes(api), PLAN.image)
    for name, goal in (("waits", Goal.RUNNING), ("leaves", Goal.TERMINATED)):
        group = SimpleNamespace(id=f"sg-{name}")
        host = Host(instances, SimpleNamespace(id=f"i-{name}", private_ip=PLAN.address, security_groups=[group]))
        host.goal = goal
        instances._hosts[host.id] = host
    assert [member.groups for member in instances.members()] == [("sg-leaves",), ("sg-waits",)]

# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Decisions about hosts that do not answer, for templates."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ansible_collections.academy.deploy.plugins.module_utils.findings import report
from ansible_collections.academy.deploy.plugins.module_utils.reachability import (
    LOOK,
    Command,
    answering,
    host_finding,
    look_seconds,
    nobody_finding,
    reason,
    unreached,
    workers_wait,
)
from ansible_collections.academy.deploy.plugins.module_utils.tags import RELEASE_TAG


def host_report(host: str, seen: Mapping[str, Any]) -> str:
    """What to do about one host, in English and in Korean."""
    command = Command(seen["inventory_dir"], seen["aws_region"])
    return "\n".join(report([host_finding(host, seen["aws_instance_id"], seen[LOOK]["msg"], command)]))


def nobody_report(hosts: Sequence[str], hostvars: Mapping[str, Any], answer: str | None, cidrs: Sequence[str]) -> str:
    """What to do where no host answers, and about each of them."""
    seen = {host: hostvars[host] for host in hosts}
    first = seen[hosts[0]]
    command = Command(first["inventory_dir"], first["aws_region"])
    messages = {host: found[LOOK]["msg"] for host, found in seen.items()}
    environment = f"{command.inventory}/group_vars/all/environment.yml"
    finding = nobody_finding(messages, answer, cidrs, environment, command)
    own = [
        host_finding(host, seen[host]["aws_instance_id"], message, command)
        for host, message in messages.items()
        if reason(message) != "silent"
    ]
    return "\n".join(report([finding, *own]))


def workers_wait_for(
    api_hosts: Sequence[str], hostvars: Mapping[str, Any], asked: Sequence[str], up: Sequence[str], release: str
) -> bool:
    """workers_wait, by what the inventory saw of the API's hosts."""
    releases = {host: hostvars[host].get("aws_tags", {}).get(RELEASE_TAG, "") for host in api_hosts}
    wait: bool = workers_wait(api_hosts, asked, up, releases, release)
    return wait


class FilterModule:
    def filters(self) -> dict[str, Callable[..., Any]]:
        return {
            "answering_hosts": answering,
            "host_report": host_report,
            "nobody_report": nobody_report,
            "reachability_reason": reason,
            "reachability_seconds": look_seconds,
            "unreached_hosts": unreached,
            "workers_wait": workers_wait_for,
        }

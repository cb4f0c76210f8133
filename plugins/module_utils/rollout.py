# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What becomes of each host of a run: which are held, started, configured and released, and which are left as they are.

By what the inventory last saw of a host, and by the results of the roles reachability and hold there.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from .findings import Finding, report
from .hold import heartbeats, is_brought_up, is_restarted
from .reachability import Command, host_finding, nobody_finding, reason
from .services import Service
from .tags import HOLD_TAG, RELEASE_TAG

# Results of the roles, as their argument specs tell of them.
ANSWER = "reachability_answer"
STARTED, WORKERS, CONTAINERS, INSTANCE = "hold_started", "hold_workers", "hold_containers", "hold_instance"
# What plan_info says of it.
COMPARED = "configure_plan"
# All that is read of a host. An instance that is not there yet has nothing of AWS's.
VARIABLES = (
    "instance_may_be_stopped", "inventory_dir", "aws_region", "aws_instance_id", "aws_launch_time", "aws_state",
    "aws_tags", ANSWER, COMPARED, STARTED, WORKERS, CONTAINERS, INSTANCE,
)  # fmt: skip
# Or on their way there: a host that is about to stop cannot be configured, and cannot be started yet.
ASLEEP = ("pending", "stopping", "stopped")
NO_RELEASE = "none"
NO_COMMAND = Command("", "")
# The service that brings the database to a release.
API = "api"


@dataclass(frozen=True)
class Host:
    """What is known of a host by now."""

    name: str
    may_be_stopped: bool
    state: str = "absent"
    instance_id: str = ""
    launched: Any = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    command: Command = NO_COMMAND
    has_answered: bool = False
    silence: str = ""  # what SSH said of a host that was asked and did not answer
    is_settled: bool = False  # it was compared, and none of its roles has anything to do
    is_started: bool = False  # by this run
    has_job: bool = False
    has_stopped: bool = False  # since it was asked

    @classmethod
    def of(cls, name: str, found: Mapping[str, Any]) -> Host:
        """From a host's VARIABLES, of which some may be missing."""
        answer = found.get(ANSWER, {})
        may_be_stopped = bool(found["instance_may_be_stopped"])
        last_seen = found.get(INSTANCE, {}).get("instances", [])
        return cls(
            name,
            may_be_stopped,
            found.get("aws_state", {}).get("name", "absent"),
            found.get("aws_instance_id", ""),
            found.get("aws_launch_time", ""),
            found.get("aws_tags", {}),
            Command(found["inventory_dir"], found["aws_region"]),
            has_answered=bool(answer) and not answer.get("failed"),
            silence=(answer["msg"] or "nothing") if answer.get("failed") else "",
            is_settled=found.get(COMPARED, {}).get("roles") == [],
            is_started=STARTED in found,
            has_job=_has_job(found),
            # A host that must always run has not stopped by itself.
            has_stopped=may_be_stopped and any(item["state"]["name"] != "running" for item in last_seen),
        )

    @property
    def runs(self) -> bool:
        return self.state == "running"

    @property
    def answers(self) -> bool:
        """Whether it can be configured: a host that answered may have stopped itself before it was held."""
        return self.has_answered and self.runs

    @property
    def was_asked(self) -> bool:
        return self.has_answered or bool(self.silence)

    @property
    def release(self) -> str:
        return self.tags.get(RELEASE_TAG, NO_RELEASE)


def _has_job(found: Mapping[str, Any]) -> bool:
    """Whether a worker says so that Docker does not restart again and again: such a one ends no job."""
    containers = found.get(CONTAINERS, {}).get("containers", {})
    return any(
        is_busy and not (name in containers and is_restarted(containers[name]))
        for name, is_busy in heartbeats(found.get(WORKERS, {}).get("stdout", "")).items()
    )


@dataclass(frozen=True)
class Run:
    """What a run is to do, and with which hosts it began."""

    release: str = ""  # empty where it ships none
    starts_workers: bool = False
    interrupts_jobs: bool = False
    checks: bool = False
    asked: Sequence[str] = ()
    tags: Sequence[str] = ("all",)
    skip_tags: Sequence[str] = ()
    groups: Mapping[str, Sequence[str]] = field(default_factory=dict)
    services: Mapping[str, Service] = field(default_factory=dict)

    def services_of(self, host: str) -> list[Service]:
        return [row for service, row in self.services.items() if host in self.groups.get(service, ())]


def names(hosts: Iterable[Host]) -> list[str]:
    return [host.name for host in hosts]


def to_start(run: Run, hosts: Sequence[Host]) -> list[str]:
    """The hosts that stopped themselves, where the run is to start them."""
    return names(host for host in hosts if run.starts_workers and host.may_be_stopped and host.state in ASLEEP)


def left(run: Run, hosts: Sequence[Host]) -> list[str]:
    """The hosts that do not run, and are left as they are."""
    started = to_start(run, hosts)
    return names(host for host in hosts if not host.runs and host.name not in started)


def behind(run: Run, hosts: Sequence[Host]) -> dict[str, str]:
    """Of those that are left the workers that have another release, with that release."""
    if not run.release:
        return {}
    kept = left(run, hosts)
    return {
        host.name: host.release
        for host in hosts
        if host.name in kept and host.may_be_stopped and host.state in ASLEEP and host.release != run.release
    }


def notes(run: Run, hosts: Sequence[Host]) -> list[str]:
    """What the operator is told of the hosts that are left."""
    kept, old = left(run, hosts), behind(run, hosts)
    told = [f"Not running, so left as they are: {', '.join(sorted(kept))}"] if kept else []
    if old:
        releases = ", ".join(f"{name} has {release}" for name, release in sorted(old.items()))
        told.append(
            f"Behind release {run.release}: {releases}. The next start brings up what they have. To start, update and "
            "release them, run this again with -e wake_workers=true."
        )
    return told


def images(run: Run, hosts: Iterable[str]) -> list[str]:
    """The repositories of all that these hosts run."""
    wanted = {row.name for host in hosts for row in run.services_of(host)}
    return [row.name for row in run.services.values() if row.name in wanted]


def busy(hosts: Sequence[Host]) -> list[str]:
    return names(host for host in hosts if host.has_job)


def waiting(run: Run, hosts: Sequence[Host], api_hosts: Sequence[Host]) -> list[str]:
    """The hosts whose workers would run ahead of the database, because no API host of the run has come up with it.

    A host has an earlier run's word for it in its tag. A run without any API host has no order to keep, nor has one
    that does not bring up the API.
    """
    api = names(api_hosts)
    if not set(api) & set(run.asked) or not is_brought_up([API], run.tags, run.skip_tags):
        return []
    up = names(host for host in hosts if host.answers)
    if set(api) & set(up) or any(host.release == run.release for host in api_hosts):
        return []
    return [name for name in up if name not in api]


def to_note(run: Run, hosts: Sequence[Host], excluded: Sequence[str]) -> list[str]:
    """The hosts whose services all have the release once this run has come to its end, and whose tag says otherwise."""
    return [
        host.name
        for host in hosts
        if host.answers
        and host.name not in excluded
        and host.release != run.release
        and is_brought_up([row.role for row in run.services_of(host.name)], run.tags, run.skip_tags)
    ]


def ships(run: Run, hosts: Sequence[Host], excluded: Sequence[str]) -> list[str]:
    """The images of the services that this run brings up on some host: it may be of some tags or some hosts."""
    brought = {
        row.name
        for host in hosts
        if host.answers and host.name not in excluded
        for row in run.services_of(host.name)
        if is_brought_up([row.role], run.tags, run.skip_tags)
    }
    return sorted(brought)


def unreached(hosts: Sequence[Host]) -> list[Host]:
    """The hosts that do not answer, without those that have stopped themselves meanwhile."""
    return [host for host in hosts if host.silence and not host.has_stopped]


def may_be_stopping(hosts: Sequence[Host]) -> list[str]:
    """Of a host that is on its way down sshd ends first, and its network last."""
    return names(host for host in unreached(hosts) if reason(host.silence) != "silent")


def _finding(host: Host) -> Finding:
    return host_finding(host.name, host.instance_id, host.silence, host.command)


def host_reports(hosts: Sequence[Host]) -> dict[str, str]:
    """What to do about each host that does not answer."""
    return {host.name: "\n".join(report([_finding(host)])) for host in unreached(hosts)}


def nobody_report(hosts: Sequence[Host], address: str | None, cidrs: Sequence[str]) -> str:
    """What to do where no host answers, and about each of those that were reached all the same."""
    silent = unreached(hosts)
    command = silent[0].command
    environment = f"{command.inventory}/group_vars/all/environment.yml"
    messages = {host.name: host.silence for host in silent}
    finding = nobody_finding(messages, address, cidrs, environment, command)
    return "\n".join(report([finding, *(_finding(host) for host in silent if reason(host.silence) != "silent")]))


def decide(run: Run, hosts: Sequence[Host], api_hosts: Sequence[Host]) -> dict[str, Any]:
    """All of it, of the hosts that are still part of the run; `api_hosts` are those of the whole inventory."""
    started, is_busy, waits = to_start(run, hosts), busy(hosts), waiting(run, hosts, api_hosts)
    answering = [host for host in hosts if host.answers]
    differing = [host for host in answering if not host.is_settled]
    stopping = names(host for host in differing if host.may_be_stopped)
    return {
        # Check mode has created and started nothing.
        "down": [] if run.checks else names(host for host in hosts if not host.may_be_stopped and not host.runs),
        "answering": names(answering),
        "settled": [host.name for host in answering if host not in differing],
        "to_ask": names(host for host in hosts if host.runs and (host.is_started or not host.was_asked)),
        # Whoever could stop in the middle of its configuration.
        "to_hold": stopping,
        "to_start": started,
        "images": images(run, started),
        "notes": notes(run, hosts),
        "to_read": [] if run.interrupts_jobs else stopping,
        "busy": is_busy,
        "to_configure": [name for name in names(differing) if name not in is_busy],
        "waiting": [name for name in waits if name not in is_busy],
        "to_note": to_note(run, hosts, [*is_busy, *waits]),
        "ships": ships(run, hosts, [*is_busy, *waits]),
        # Also what an earlier run has left.
        "to_release": [] if run.checks else names(host for host in hosts if HOLD_TAG in host.tags),
        "may_be_stopping": may_be_stopping(hosts),
        "unreached": host_reports(hosts),
    }

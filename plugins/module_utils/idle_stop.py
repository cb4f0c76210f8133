# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a worker host will stop itself, judged by what was read of it and by what IAM says of its role.

What cannot be told is unknown, and unknown is never a pass.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import PurePosixPath
from typing import Any

from .hold import HOLD_FORMAT, hold_end
from .simulation import ALLOWED, Decision, Simulation
from .tags import HOLD_TAG, RESERVED_PREFIX, own_tags

PASS, FAIL, UNKNOWN = "pass", "fail", "unknown"

THRESHOLD_VARIABLE = "EC2_IDLE_STOP_THRESHOLD"
HEARTBEAT_VARIABLE = "WORKER_HEARTBEAT_FILE"
WATCHDOG = "academy-watchdog.timer"
# A worker rewrites its heartbeat every 20 seconds.
HEARTBEAT_SECONDS = 180
RESTART_POLICIES = ("unless-stopped", "always")
# Containers are one hop further away from the metadata service than their host.
HOP_LIMIT_MIN = 2
ANOTHER_INSTANCE = "i-0ffffffffffffffff"
STOP = "ec2:StopInstances"
QUEUE_ACTIONS = ("sqs:GetQueueUrl", "sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:ChangeMessageVisibility")
# What IAM is asked: to stop the host itself, while it is held, others, and to work on its queues.
ITSELF, HELD, OTHERS, JOBS = "itself", "held", "others", "jobs"

Record = Mapping[str, Any]


@dataclass(frozen=True)
class Role:
    """The role of a host."""

    arn: str
    id: str


NO_ROLE = Role("arn:aws:iam:::", "")


@dataclass(frozen=True)
class Question(Simulation):
    """What IAM is asked about the role."""

    about: str


@dataclass(frozen=True)
class Container:
    """What decides of a container whether it stops its host, or lets others do so."""

    name: str
    running: bool
    restart_policy: str
    has_heartbeat: bool
    threshold: str | None = None  # None where the variable is not set


@dataclass(frozen=True)
class Host:
    """What was read on the host: the judged container, the others that run, and who decides for several of them."""

    container: Container
    others: Sequence[Container]
    watchdog_runs: bool
    beating: Collection[str]  # the containers with a fresh heartbeat


@dataclass(frozen=True)
class Observation:
    """What was read of one host, all at one moment. The host is None where it could not be read."""

    now: datetime
    instance: Record
    region: str
    decisions: Mapping[Question, Sequence[Decision]]
    queues: Mapping[str, Record | None]
    threshold: int
    host: Host | None = None


@dataclass(frozen=True)
class Check:
    """One judgement: what was found, and what to do where it is no pass."""

    id: str
    status: str
    evidence: str
    remedy: str = ""


def read_host(state: Record | None, container_name: str) -> Host | None:
    """The host by what host_state_info tells of it; None where that is nothing, or nothing of the container."""
    found = {
        name: Container(
            name,
            container["running_seconds"] is not None,
            container["restart_policy"] or "no",
            HEARTBEAT_VARIABLE in container["environment_names"],
            container["environment"].get(THRESHOLD_VARIABLE),
        )
        for name, container in (state or {}).get("containers", {}).items()
    }
    if state is None or container_name not in found:
        return None
    return Host(
        found.pop(container_name),
        [container for container in found.values() if container.running],
        state["units"][WATCHDOG]["active_state"] == "active",
        {
            PurePosixPath(path).parent.name
            for path, file in state["paths"].items()
            if file["kind"] == "file" and state["now_seconds"] - file["mtime"] < HEARTBEAT_SECONDS
        },
    )


def judge(seen: Observation) -> list[Check]:
    """Everything that must hold for the host to stop itself."""
    checks = [
        *_role_checks(seen),
        _metadata_service(seen.instance.get("metadata_options", {})),
        _threshold(seen),
        _restart_policy(seen.host),
        _shutdown_behavior(seen.instance),
        _market_type(seen.instance),
        _co_tenants(seen.host),
        *(_queue(name, queue, seen) for name, queue in seen.queues.items()),
        _hold(seen),
    ]
    return [replace(check, remedy="") if check.status == PASS else check for check in checks]


def verdict(checks: Sequence[Check]) -> str:
    """The worst of them."""
    found = {check.status for check in checks}
    return FAIL if FAIL in found else UNKNOWN if UNKNOWN in found else PASS


def problems(checks: Sequence[Check]) -> list[str]:
    """Why the host would run on, and what to do."""
    return [f"{check.id}: {check.evidence}. {check.remedy}" for check in checks if check.status == FAIL]


# --- what the role may do -------------------------------------------------------------------------------------------

REPAIR_IDENTITY = "Run playbooks/provision.yml --tags identity."
REPAIR_INSTANCE = "Run playbooks/provision.yml --tags instance."
REPAIR_QUEUES = "Run playbooks/provision.yml --tags queues."
# Of which all are given that a resource has, but for AWS's own.
TAG_KEYS = ("aws:resourcetag/", "ec2:resourcetag/")


def questions(
    instance: Record, queues: Mapping[str, Record | None], region: str, role: Role, now: datetime
) -> list[Question]:
    """All that IAM is asked, in as few calls as there are contexts."""
    own, account = str(instance["instance_id"]), role.arn.split(":")[4]
    # A session of a role on EC2 is named after its instance.
    caller = (("aws:userid", f"{role.id}:{own}"), ("aws:RequestedRegion", region))
    tags = {key: value for key, value in instance.get("tags", {}).items() if key != HOLD_TAG}

    def stop(about: str, target: str, tags: Mapping[str, str]) -> Question:
        context = (*caller, ("ec2:InstanceID", target), *_tag_keys("aws", tags), *_tag_keys("ec2", tags))
        return Question((STOP,), (f"arn:aws:ec2:{region}:{account}:instance/{target}",), context, about)

    alike: dict[tuple[tuple[str, str], ...], list[str]] = {}
    for queue in queues.values():
        if queue is not None:
            alike.setdefault(_tag_keys("aws", queue["tags"]), []).append(queue["arn"])
    return [
        stop(ITSELF, own, tags),
        stop(HELD, own, {**tags, HOLD_TAG: now.strftime(HOLD_FORMAT)}),
        # A neighbour with the same tags, and a stranger without any.
        stop(OTHERS, ANOTHER_INSTANCE, tags),
        stop(OTHERS, ANOTHER_INSTANCE, {}),
        *(Question(QUEUE_ACTIONS, tuple(arns), (*caller, *tagged), JOBS) for tagged, arns in alike.items()),
    ]


def _tag_keys(service: str, tags: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    return tuple((f"{service}:ResourceTag/{key}", value) for key, value in sorted(own_tags(tags).items()))


def _decided(seen: Observation, about: str) -> list[Decision]:
    """What IAM says to all of some questions; it does not know what it did not say."""
    decided = []
    for question, found in seen.decisions.items():
        if question.about == about:
            said = {(decision.action, decision.resource): decision for decision in found}
            unsaid = question.answered(UNKNOWN, "IAM did not say")
            decided += [_known(said.get((each.action, each.resource), each)) for each in unsaid]
    return decided


def _known(decision: Decision) -> Decision:
    """The decision, which is none where it depends on what was not given."""
    lacking = [key for key in decision.missing if not _is_absent(key.lower(), decision.action)]
    if not lacking:
        return decision
    because = f"it depends on {', '.join(lacking)}, which is not known here; {decision.because}"
    return decision._replace(outcome=UNKNOWN, because=because)


def _is_absent(key: str, action: str) -> bool:
    """Whether the call is known not to have a condition key: a tag that was not given, or another service's key."""
    if key.startswith(TAG_KEYS):
        return not key.partition("/")[2].startswith(RESERVED_PREFIX)
    return key.partition(":")[0] not in ("aws", action.partition(":")[0])


def _role_checks(seen: Observation) -> list[Check]:
    (may,) = _decided(seen, ITSELF)
    return [
        Check(
            "role_may_stop",
            {ALLOWED: PASS, UNKNOWN: UNKNOWN}.get(may.outcome, FAIL),
            f"{STOP} on {seen.instance['instance_id']}: {may.outcome} ({may.because})",
            f"The role must be allowed {STOP} on itself. {REPAIR_IDENTITY}",
        ),
        _refused(
            "role_stops_only_itself",
            f"{STOP} on another instance",
            _decided(seen, OTHERS),
            f"Limit it by aws:userid '*:${{ec2:InstanceID}}'. {REPAIR_IDENTITY}",
        ),
        _refused(
            "role_respects_hold",
            f"{STOP} on itself while tagged {HOLD_TAG}",
            _decided(seen, HELD),
            f"A deploy could not keep the host awake: demand Null aws:ResourceTag/{HOLD_TAG}. {REPAIR_IDENTITY}",
        ),
    ]


def _refused(check: str, what: str, decisions: Sequence[Decision], remedy: str) -> Check:
    worst = min(decisions, key=lambda decision: {ALLOWED: 0, UNKNOWN: 1}.get(decision.outcome, 2))
    status = {ALLOWED: FAIL, UNKNOWN: UNKNOWN}.get(worst.outcome, PASS)
    return Check(check, status, f"{what}: {worst.outcome} ({worst.because})", remedy)


# --- the host and its container -------------------------------------------------------------------------------------


def _metadata_service(options: Record) -> Check:
    endpoint, tokens = options.get("http_endpoint"), options.get("http_tokens")
    hops = options.get("http_put_response_hop_limit")
    evidence = f"endpoint {endpoint}, tokens {tokens}, hop limit {hops}"
    remedy = f"Needed: endpoint enabled, tokens required, hop limit {HOP_LIMIT_MIN} or more. {REPAIR_INSTANCE}"
    if endpoint is None or tokens is None or hops is None:
        return Check("metadata_service", UNKNOWN, evidence, remedy)
    right = endpoint == "enabled" and tokens == "required" and hops >= HOP_LIMIT_MIN
    return Check("metadata_service", PASS if right else FAIL, evidence, remedy)


NOT_READ = "the container was not read"
READ_LATER = "Judge it while the host is running."


def _threshold(seen: Observation) -> Check:
    check, remedy = "threshold", f"Run playbooks/configure.yml on this host; {THRESHOLD_VARIABLE} must be"
    if seen.host is None:
        return Check(check, UNKNOWN, NOT_READ, READ_LATER)
    container, wanted = seen.host.container, str(seen.threshold)
    evidence = f"{container.name}: {THRESHOLD_VARIABLE} is {container.threshold or 'not set'}"
    if not container.running:
        evidence = f"{container.name} is not running, so nothing counts empty polls"
        return Check(check, FAIL, evidence, f"Start it. {remedy} set.")
    if seen.host.others and container.threshold is None and container.has_heartbeat:
        runs = seen.host.watchdog_runs
        return Check(
            check,
            PASS if runs else FAIL,
            f"{evidence}: the host's watchdog decides for all its containers, and {'runs' if runs else 'does not run'}",
            "It must run on this host. Run playbooks/configure.yml --tags watchdog.",
        )
    right = seen.threshold >= 1 and container.threshold == wanted
    return Check(check, PASS if right else FAIL, f"{evidence}, wanted {wanted}", f"{remedy} {wanted}.")


def _restart_policy(host: Host | None) -> Check:
    check = "restart_policy"
    if host is None:
        return Check(check, UNKNOWN, NOT_READ, READ_LATER)
    found = host.container.restart_policy
    return Check(
        check,
        PASS if found in RESTART_POLICIES else FAIL,
        f"{host.container.name}: {found}",
        "After a start of the host nothing would count empty polls. Run playbooks/configure.yml on this host: "
        f"{' or '.join(RESTART_POLICIES)}.",
    )


def _shutdown_behavior(instance: Record) -> Check:
    found = instance.get("instance_initiated_shutdown_behavior")
    status = UNKNOWN if found is None else PASS if found == "stop" else FAIL
    remedy = (
        "A host that powers itself off must stop, not vanish: aws ec2 modify-instance-attribute "
        f"--instance-id {instance['instance_id']} --instance-initiated-shutdown-behavior stop"
    )
    return Check("shutdown_behavior", status, str(found or "not told"), remedy)


def _market_type(instance: Record) -> Check:
    check = "market_type"
    lifecycle, request = instance.get("instance_lifecycle"), instance.get("spot_request")
    if lifecycle is None:
        return Check(check, PASS, "on-demand")
    remedy = (
        "Only an instance of a persistent Spot request with interruption behaviour stop can be stopped: replace it."
    )
    if lifecycle != "spot":
        return Check(check, FAIL, str(lifecycle), remedy)
    if request is None:
        return Check(check, UNKNOWN, "Spot, but its request was not found", remedy)
    kind, behavior = request.get("type"), request.get("instance_interruption_behavior")
    state = request.get("state")
    right = kind == "persistent" and behavior == "stop" and state in ("active", "disabled")
    return Check(check, PASS if right else FAIL, f"Spot, {kind} request ({state}), interruption: {behavior}", remedy)


def _co_tenants(host: Host | None) -> Check:
    check = "co_tenants"
    if host is None:
        return Check(check, UNKNOWN, "the host's other containers were not read", READ_LATER)
    if not host.others:
        return Check(check, PASS, "no other container on the host")
    everybody = [host.container, *host.others]
    names = ", ".join(one.name for one in everybody)
    counting = [one.name for one in everybody if one.threshold is not None]
    silent = [one.name for one in everybody if not one.has_heartbeat]
    if counting or silent:
        evidence = (
            f"{', '.join(counting)} stops the host without asking the others"
            if counting
            else f"no heartbeat from {', '.join(silent)}"
        )
        return Check(
            check,
            FAIL,
            f"{names}: {evidence}",
            f"An idle neighbour would kill a running job. Several containers need {HEARTBEAT_VARIABLE} each and no "
            f"{THRESHOLD_VARIABLE}, or a host each.",
        )
    # Whether containers that are told where to write a heartbeat do so: an application may know nothing of it.
    if missing := [one.name for one in everybody if one.name not in host.beating]:
        return Check(
            check,
            UNKNOWN,
            f"{names}: told to write heartbeats, none stops the host by itself; no fresh heartbeat from "
            f"{', '.join(missing)}",
            "It writes none before its first poll: judge it again a minute later. Without heartbeats the watchdog "
            "takes a running container for one that works, and the host never stops: let the application write "
            f"{HEARTBEAT_VARIABLE}, or give each worker a host.",
        )
    return Check(check, PASS, f"{names}: all write heartbeats, none stops the host by itself")


# --- the queues -----------------------------------------------------------------------------------------------------


def _queue(name: str, queue: Record | None, seen: Observation) -> Check:
    check = f"queue {name}"
    if queue is None:
        return Check(check, FAIL, "does not exist", REPAIR_QUEUES)
    attributes, redrive = queue["attributes"], queue["redrive_policy"]
    visibility = int(attributes.get("VisibilityTimeout", 0))
    wait = int(attributes.get("ReceiveMessageWaitTimeSeconds", 0))
    decisions = [decision for decision in _decided(seen, JOBS) if decision.resource == queue["arn"]]
    refused = [decision for decision in decisions if decision.outcome not in (ALLOWED, UNKNOWN)]
    doubtful = [decision for decision in decisions if decision.outcome == UNKNOWN]
    evidence = (
        f"visibility {visibility} s, waits {wait} s, {redrive['maxReceiveCount'] if redrive else 'unlimited'} attempts"
    )
    for wrong, problem, remedy in (
        (refused, f"the role may not {_listed(refused)}", REPAIR_IDENTITY),
        (visibility == 0, "a message is seen again at once", REPAIR_QUEUES),
        (wait == 0, "an empty poll takes no time, so the threshold is reached within seconds", REPAIR_QUEUES),
        (redrive is None, "a job that always fails would keep the host awake", REPAIR_QUEUES),
    ):
        if wrong:
            return Check(check, FAIL, f"{evidence}: {problem}", remedy)
    if doubtful:
        problem = f"whether the role may {_listed(doubtful)} cannot be told"
        return Check(check, UNKNOWN, f"{evidence}: {problem}", REPAIR_IDENTITY)
    if '"Deny"' in attributes.get("Policy", ""):
        problem = "its own policy denies something, of which IAM's simulation knows nothing"
        return Check(
            check, UNKNOWN, f"{evidence}: {problem}", "Read that policy: it must not deny the host's role its jobs."
        )
    return Check(check, PASS, evidence)


def _listed(decisions: Sequence[Decision]) -> str:
    """Actions, and why."""
    reasons = dict.fromkeys(f"{decision.outcome}: {decision.because}" for decision in decisions)
    return f"{', '.join(decision.action for decision in decisions)} ({'; '.join(reasons)})"


def _hold(seen: Observation) -> Check:
    check, tag = "hold", seen.instance.get("tags", {}).get(HOLD_TAG)
    if tag is None:
        return Check(check, PASS, f"no tag {HOLD_TAG}")
    remedy = (
        f"aws ec2 delete-tags --region {seen.region} --resources {seen.instance['instance_id']} --tags Key={HOLD_TAG}"
    )
    try:
        until = hold_end(tag)
    except ValueError:
        return Check(check, FAIL, f"{HOLD_TAG} is '{tag}', which is no time", remedy)
    if until > seen.now:
        return Check(check, FAIL, f"held until {tag}", f"Wait for the deploy that holds it, or release it: {remedy}")
    return Check(
        check, UNKNOWN, f"held until {tag}, which is over", f"The starter removes it at its next tick; or: {remedy}"
    )

# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a worker host will stop itself, judged by what is seen of it.

What cannot be told is unknown, and unknown is never a pass.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from .hold import HOLD_FORMAT, hold_end
from .iam_decision import ALLOWED, DENIED, UNKNOWN, Decision, Request, decide
from .tags import HOLD_TAG

PASS, FAIL = "pass", "fail"

THRESHOLD_VARIABLE = "EC2_IDLE_STOP_THRESHOLD"
HEARTBEAT_VARIABLE = "WORKER_HEARTBEAT_FILE"
JUDGED_VARIABLES = (THRESHOLD_VARIABLE, HEARTBEAT_VARIABLE)
RESTART_POLICIES = ("unless-stopped", "always")
# Containers are one hop further away from the metadata service than their host.
HOP_LIMIT_MIN = 2
# They can take away what a role's policies allow.
NOT_READ = "; service control policies are not read"
ANOTHER_INSTANCE = "i-0ffffffffffffffff"
QUEUE_ACTIONS = ("sqs:GetQueueUrl", "sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:ChangeMessageVisibility")

Record = Mapping[str, Any]


@dataclass(frozen=True)
class Observation:
    """What was seen of one host, all at one moment. None is what could not be seen, or was not looked at."""

    now: datetime
    instance: Record
    account_id: str
    region: str
    # Documents by name; with a boundary that narrows them down they do not say everything.
    policies: Mapping[str, Record] | None
    boundary: str | None
    queues: Mapping[str, Record | None]
    threshold: int
    container: Record | None = None
    co_tenants: Sequence[Record] | None = None
    # Whether the host's watchdog runs, which decides for several workers.
    arbiter: bool | None = None
    # The containers that were seen to write their heartbeats.
    heartbeats: Collection[str] | None = None


@dataclass(frozen=True)
class Check:
    """One judgement: what was found, and what to do where it is no pass."""

    id: str
    status: str
    evidence: str
    remedy: str = ""


def judge(seen: Observation) -> list[Check]:
    """Everything that must hold for the host to stop itself."""
    checks = [
        *_role_checks(seen),
        _metadata_service(seen.instance.get("metadata_options", {})),
        _threshold(seen),
        _restart_policy(seen.container),
        _shutdown_behavior(seen.instance),
        _market_type(seen.instance),
        _co_tenants(seen),
        *(_queue(name, queue, seen) for name, queue in seen.queues.items()),
        _hold(seen),
    ]
    return [replace(check, remedy="") if check.status == PASS else check for check in checks]


def verdict(checks: Sequence[Check]) -> str:
    """The worst of them."""
    found = {check.status for check in checks}
    return FAIL if FAIL in found else UNKNOWN if UNKNOWN in found else PASS


# --- what the role may do -------------------------------------------------------------------------------------------

MEND_IDENTITY = "Run playbooks/provision.yml --tags identity."
MEND_INSTANCE = "Run playbooks/provision.yml --tags instance."
MEND_QUEUES = "Run playbooks/provision.yml --tags queues."


def _stop(seen: Observation, target: str, tags: Mapping[str, str]) -> Decision:
    """What happens when this host asks to stop an instance with these tags."""
    own = str(seen.instance["instance_id"])
    context = {
        "aws:userid": f"AROA:{own}",
        "ec2:instanceid": target,
        "aws:requestedregion": seen.region,
        **{f"aws:resourcetag/{key.lower()}": value for key, value in tags.items()},
        **{f"ec2:resourcetag/{key.lower()}": value for key, value in tags.items()},
    }
    arn = f"arn:aws:ec2:{seen.region}:{seen.account_id}:instance/{target}"
    return _decide(seen, Request("ec2:StopInstances", arn, context))


def _decide(seen: Observation, request: Request) -> Decision:
    if seen.policies is None:
        return Decision(DENIED, "the instance has no profile with a role")
    decision = decide(seen.policies, request)
    if seen.boundary and decision.outcome == ALLOWED:
        return Decision(UNKNOWN, f"the role's permissions boundary {seen.boundary} is not judged here")
    return decision


def _role_checks(seen: Observation) -> list[Check]:
    own = str(seen.instance["instance_id"])
    tags = {key: value for key, value in seen.instance.get("tags", {}).items() if key != HOLD_TAG}
    held = {**tags, HOLD_TAG: seen.now.strftime(HOLD_FORMAT)}
    may = _stop(seen, own, tags)
    # A neighbour with the same tags, and a stranger without any.
    others = [_stop(seen, ANOTHER_INSTANCE, tags), _stop(seen, ANOTHER_INSTANCE, {})]
    return [
        Check(
            "role_may_stop",
            {ALLOWED: PASS, DENIED: FAIL}.get(may.outcome, UNKNOWN),
            f"ec2:StopInstances on {own}: {may.outcome} ({may.because}){NOT_READ if may.outcome == ALLOWED else ''}",
            f"The role must be allowed ec2:StopInstances on itself. {MEND_IDENTITY}",
        ),
        _refused(
            "role_stops_only_itself",
            "ec2:StopInstances on another instance",
            others,
            f"Limit it by aws:userid '*:${{ec2:InstanceID}}'. {MEND_IDENTITY}",
        ),
        _refused(
            "role_respects_hold",
            f"ec2:StopInstances on itself while tagged {HOLD_TAG}",
            [_stop(seen, own, held)],
            f"A deploy could not keep the host awake: demand Null aws:ResourceTag/{HOLD_TAG}. {MEND_IDENTITY}",
        ),
    ]


def _refused(check: str, what: str, decisions: Sequence[Decision], remedy: str) -> Check:
    outcomes = [decision.outcome for decision in decisions]
    worst = next((outcome for outcome in (ALLOWED, UNKNOWN) if outcome in outcomes), DENIED)
    because = decisions[outcomes.index(worst)].because
    return Check(check, {ALLOWED: FAIL, DENIED: PASS}.get(worst, UNKNOWN), f"{what}: {worst} ({because})", remedy)


# --- the host and its container -------------------------------------------------------------------------------------


def _metadata_service(options: Record) -> Check:
    endpoint, tokens = options.get("http_endpoint"), options.get("http_tokens")
    hops = options.get("http_put_response_hop_limit")
    evidence = f"endpoint {endpoint}, tokens {tokens}, hop limit {hops}"
    remedy = f"Needed: endpoint enabled, tokens required, hop limit {HOP_LIMIT_MIN} or more. {MEND_INSTANCE}"
    if endpoint is None or tokens is None or hops is None:
        return Check("metadata_service", UNKNOWN, evidence, remedy)
    right = endpoint == "enabled" and tokens == "required" and hops >= HOP_LIMIT_MIN
    return Check("metadata_service", PASS if right else FAIL, evidence, remedy)


def environment(container: Record) -> dict[str, str]:
    """What the container was started with."""
    listed = (container.get("Config") or {}).get("Env") or []
    return {name: value for name, _, value in (str(entry).partition("=") for entry in listed)}


def _container_name(container: Record) -> str:
    return str(container.get("Name", "?")).lstrip("/")


def _is_positive(value: str | None) -> bool:
    return value is not None and value.isdecimal() and int(value) >= 1


def _threshold(seen: Observation) -> Check:
    check, remedy = "threshold", f"Run playbooks/configure.yml on this host; {THRESHOLD_VARIABLE} must be"
    if seen.container is None:
        return Check(check, UNKNOWN, "the container was not looked at", "Look at it while the host is running.")
    name, found = _container_name(seen.container), environment(seen.container).get(THRESHOLD_VARIABLE)
    evidence = f"{name}: {THRESHOLD_VARIABLE} is {found or 'not set'}"
    if not (seen.container.get("State") or {}).get("Running", False):
        return Check(check, FAIL, f"{name} is not running, so nothing counts empty polls", f"Start it. {remedy} set.")
    if seen.co_tenants and found is None and HEARTBEAT_VARIABLE in environment(seen.container):
        status = UNKNOWN if seen.arbiter is None else PASS if seen.arbiter else FAIL
        runs = {UNKNOWN: "was not looked at", PASS: "runs", FAIL: "does not run"}[status]
        return Check(
            check,
            status,
            f"{evidence}: the host's watchdog decides for all its containers, and {runs}",
            "It must run on this host. Run playbooks/configure.yml --tags watchdog.",
        )
    right = _is_positive(found) and str(found) == str(seen.threshold)
    return Check(check, PASS if right else FAIL, f"{evidence}, wanted {seen.threshold}", f"{remedy} {seen.threshold}.")


def _restart_policy(container: Record | None) -> Check:
    check = "restart_policy"
    if container is None:
        return Check(check, UNKNOWN, "the container was not looked at", "Look at it while the host is running.")
    found = ((container.get("HostConfig") or {}).get("RestartPolicy") or {}).get("Name") or "no"
    return Check(
        check,
        PASS if found in RESTART_POLICIES else FAIL,
        f"{_container_name(container)}: {found}",
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


def _co_tenants(seen: Observation) -> Check:
    check = "co_tenants"
    if seen.co_tenants is None:
        return Check(
            check, UNKNOWN, "the host's other containers were not looked at", "Look while the host is running."
        )
    if not seen.co_tenants:
        return Check(check, PASS, "no other container on the host")
    everybody = [*([seen.container] if seen.container is not None else []), *seen.co_tenants]
    counting = [one for one in everybody if THRESHOLD_VARIABLE in environment(one)]
    silent = [one for one in everybody if HEARTBEAT_VARIABLE not in environment(one)]
    names = ", ".join(_container_name(one) for one in everybody)
    if seen.container is not None and not counting and not silent:
        return _heartbeats(check, [_container_name(one) for one in everybody], seen.heartbeats)
    if not counting and silent:
        evidence = f"no heartbeat from {', '.join(_container_name(one) for one in silent)}"
    elif counting:
        evidence = f"{', '.join(_container_name(one) for one in counting)} stops the host without asking the others"
    else:
        return Check(
            check, UNKNOWN, f"{names}: the judged container was not looked at", "Look while the host is running."
        )
    return Check(
        check,
        FAIL,
        f"{names}: {evidence}",
        f"An idle neighbour would kill a running job. Several containers need {HEARTBEAT_VARIABLE} each and no "
        f"{THRESHOLD_VARIABLE}, or a host each.",
    )


def _heartbeats(check: str, names: Sequence[str], beating: Collection[str] | None) -> Check:
    """Whether containers that are told where to write a heartbeat do so: an application may know nothing of it."""
    evidence = f"{', '.join(names)}: told to write heartbeats, none stops the host by itself"
    if beating is None:
        return Check(
            check, UNKNOWN, f"{evidence}; whether they do was not looked at", "Look while the host is running."
        )
    if missing := [name for name in names if name not in beating]:
        return Check(
            check,
            UNKNOWN,
            f"{evidence}; no fresh heartbeat from {', '.join(missing)}",
            "It writes none before its first poll: look again a minute later. Without heartbeats the watchdog takes a "
            f"running container for one that works, and the host never stops: let the application write "
            f"{HEARTBEAT_VARIABLE}, or give each worker a host.",
        )
    return Check(check, PASS, f"{', '.join(names)}: all write heartbeats, none stops the host by itself")


# --- the queues -----------------------------------------------------------------------------------------------------


def _queue(name: str, queue: Record | None, seen: Observation) -> Check:
    check = f"queue {name}"
    if queue is None:
        return Check(check, FAIL, "does not exist", MEND_QUEUES)
    attributes, redrive = queue["attributes"], queue["redrive_policy"]
    visibility = int(attributes.get("VisibilityTimeout", 0))
    wait = int(attributes.get("ReceiveMessageWaitTimeSeconds", 0))
    decisions = {action: _decide(seen, Request(action, str(queue["arn"]), {})) for action in QUEUE_ACTIONS}
    refused = [action for action, decision in decisions.items() if decision.outcome == DENIED]
    doubtful = [action for action, decision in decisions.items() if decision.outcome == UNKNOWN]
    evidence = (
        f"visibility {visibility} s, waits {wait} s, {redrive['maxReceiveCount'] if redrive else 'unlimited'} attempts"
    )
    for wrong, problem, remedy in (
        (refused, f"the role may not {', '.join(refused)}", MEND_IDENTITY),
        (visibility == 0, "a message is seen again at once", MEND_QUEUES),
        (wait == 0, "an empty poll takes no time, so the threshold is reached within seconds", MEND_QUEUES),
        (redrive is None, "a job that always fails would keep the host awake", MEND_QUEUES),
    ):
        if wrong:
            return Check(check, FAIL, f"{evidence}: {problem}", remedy)
    if doubtful:
        return Check(
            check, UNKNOWN, f"{evidence}: whether the role may {', '.join(doubtful)} cannot be told", MEND_IDENTITY
        )
    return Check(check, PASS, evidence)


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


def reduced_container(container: Record) -> dict[str, Any]:
    """What is judged of a container, without the secrets that its environment holds."""
    kept = {name: value for name, value in environment(container).items() if name in JUDGED_VARIABLES}
    return {
        "Name": container.get("Name"),
        "Config": {"Env": [f"{name}={value}" for name, value in kept.items()]},
        "HostConfig": {"RestartPolicy": (container.get("HostConfig") or {}).get("RestartPolicy")},
        "State": {"Running": (container.get("State") or {}).get("Running", False)},
    }

# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""All plans of a deployment as one report: what differs, what is refused, what is expected, and what cannot be told."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

from ..findings import Finding, Words
from ..tags import HOLD_TAG, RELEASE_TAG
from . import MARKS, Change, Difference, Plan, Values, lines
from .instance import own_instances

Kind = Literal["differs", "refused", "missing", "warning", "expected", "unknown"]
Entry = dict[str, Any]
CLEAN, DIFFERS, UNKNOWN = "clean", "differs", "unknown"
RUNNING, STOPPED = "running", "stopped"
NO_ADDRESS = "runs, but the inventory has no address of it: name the whole inventory, -i inventories/<name>"
LISTS: Mapping[str, str] = {
    "differs": "differences",
    "refused": "refused",
    "warning": "warnings",
    "expected": "expected",
    "unknown": "unknown",
}
COUNTED: Mapping[str, str] = {
    "create": "to create",
    "update": "to update",
    "remove": "to remove",
    "refused": "refused",
    "unknown": "not compared",
    "warning": "to be seen to in time",
}
# What is told below the differences, each kind under its title.
QUIET: Mapping[str, str] = {
    "warning": "To be seen to in time:",
    "expected": "Expected, so there is nothing to do:",
    "unknown": "Could not be compared:",
}


def plan_entries(role: str, plan: Plan, host: str = "") -> list[Entry]:
    """What a role's plan says, of the control node or, where it is read there, of a host."""
    tag, begun = plan.tag or role, [change for change in plan.pending if change.verb == "create" or change.differences]
    return [
        *(
            _finding_entry("warning" if finding.severity == "warning" else "refused", role, host, finding)
            for finding in plan.refusals
        ),
        *(_finding_entry("missing", role, host, finding) for finding in plan.missing),
        *(_finding_entry("unknown", role, host, finding) for finding in plan.unsettled),
        *(_change_entry("differs", tag, host, change) for change in plan.changes),
        *(_change_entry("expected", tag, host, change) for change in plan.expected),
        *(_pending_entry(tag, host, change) for change in begun),
    ]


def unknown_entry(subject: str, why: str, host: str = "") -> Entry:
    """What could not be read, and why."""
    return {"kind": "unknown", "role": "", "host": host, "resource": subject, "lines": [f"? {subject}: {why}"]}


def account_entries(caller: Values, account_id: str) -> list[Entry]:
    """Credentials of another account compare nothing."""
    if caller["account"] == account_id:
        return []
    why = f"aws_account_id is {account_id}, but {caller['arn']} belongs to {caller['account']}"
    return [unknown_entry("AWS", f"{why}. Use the other account's credentials, or its inventory.")]


def states_of(instances: Values, found: Values) -> dict[str, dict[str, Any]]:
    """What AWS tells of each host that has an instance, by the inputs of the role that creates them."""
    return {
        host: {
            "state": instance["state"]["name"],
            "instance_id": instance["instance_id"],
            "release": instance["tags"].get(RELEASE_TAG, ""),
            "held_until": instance["tags"].get(HOLD_TAG, ""),
            "may_be_stopped": inputs["instance_may_be_stopped"],
        }
        for host, inputs in instances.get("hosts", {}).items()
        for instance in own_instances(inputs, found["instances"])
    }


def host_entries(host: str, seen: Values) -> list[Entry]:
    """A host that was not read, by what states_of tells of it.

    With the release that is `wanted` of its containers, and `why` a running one was not read.
    """
    state = seen["state"]
    if state == RUNNING:
        return [unknown_entry(host, seen["why"] or NO_ADDRESS, host)]
    if state == STOPPED and seen["may_be_stopped"]:
        why = "stopped; what lies on it is compared once it runs"
        return [_expected_entry(host, why), *deployment_entries(host, seen)]
    if state == STOPPED:
        return [_finding_entry("refused", "instance", host, _stopped_finding(host, seen))]
    return [unknown_entry(host, f"is {state}; compare again once it runs or is stopped", host)]


def _expected_entry(host: str, why: str) -> Entry:
    return {"kind": "expected", "role": "", "host": host, "resource": host, "why": why, "lines": [f"  {host}: {why}"]}


def deployment_entries(host: str, seen: Values) -> list[Entry]:
    """What the tags tell that deployments leave on a host: who still holds it, and what it would bring up at a boot."""
    held_until, release, wanted = seen["held_until"], seen["release"], seen["wanted"]
    held = f"held until {held_until} by a run that goes on, or that was interrupted; this ends by itself"
    entries = [_expected_entry(host, held)] if held_until else []
    if release != wanted:
        behind = Change(host, "update", (Difference("release", release or None, wanted),), "guide §6.2")
        wake = " -e wake_workers=true" if seen["state"] == STOPPED else ""
        told = f"{behind.differences[0].text} ({behind.why}; --limit {host}{wake})"
        entries.append(
            {**_change_entry("differs", "", "", behind), "host": host, "lines": [f"{MARKS['update']} {host}: {told}"]}
        )
    return entries


def _stopped_finding(host: str, seen: Values) -> Finding:
    start = f"aws ec2 start-instances --region {seen['aws_region']} --instance-ids {seen['instance_id']}"
    return Finding(
        "host_stopped",
        host,
        STOPPED,
        Words(
            "must be running (instance_may_be_stopped is false)",
            "실행 중이어야 합니다(instance_may_be_stopped가 false)",
        ),
        Words(f"Start it: {start}.", f"시작하십시오: {start}."),
    )


def _change_entry(kind: Kind, role: str, host: str, change: Change) -> Entry:
    told = lines([change], role, host) if kind == "differs" else [_expected_line(change)]
    return {"kind": kind, "role": role, "host": host or change.host, **change.as_dict(), "lines": told}


def _pending_entry(role: str, host: str, change: Change) -> Entry:
    """What was begun and is not done yet, which is not what it should be, and nothing to do either."""
    entry = _change_entry("unknown", role, host, change)
    what = "being created" if change.verb == "create" else f"{change.reason}, which is not done yet"
    return {**entry, "lines": [f"? {host + ': ' if host else ''}{change.title}: {what}"]}


def _expected_line(change: Change) -> str:
    fields = ", ".join(f"{found.field} {found.before} instead of {found.after}" for found in change.differences)
    return f"  {change.title}: {fields or change.verb} ({change.why})"


def _finding_entry(kind: Kind, role: str, host: str, finding: Finding) -> Entry:
    begin = f"{host}: " if host and host not in finding.text_en else ""
    mark = {"unknown": "?", "warning": " "}.get(kind, "!")
    told = [f"{mark} {begin}{finding.text_en}", f"  {begin}{finding.text_ko}"]
    return {"kind": kind, "role": role, "host": host, "resource": finding.subject, **finding.as_dict(), "lines": told}


def settled_entries(entries: Sequence[Entry]) -> list[Entry]:
    """What is missing is refused, unless something is to be created of which it may be part."""
    creates = any(entry["kind"] == "differs" and entry["verb"] == "create" for entry in entries)
    return [
        {**entry, "kind": "refused"} if entry["kind"] == "missing" else entry
        for entry in entries
        if not (creates and entry["kind"] == "missing")
    ]


def status_of(entries: Iterable[Entry]) -> str:
    """One word for all. What could not be compared may differ, so that it never passes."""
    kinds = {entry["kind"] for entry in entries}
    return DIFFERS if kinds & {"differs", "refused"} else UNKNOWN if UNKNOWN in kinds else CLEAN


def _summary(entries: Sequence[Entry]) -> str:
    counts = Counter(entry["verb"] if entry["kind"] == "differs" else entry["kind"] for entry in entries)
    told = ", ".join(f"{counts[name]} {title}" for name, title in COUNTED.items() if counts[name])
    return f"{status_of(entries)}: {told or 'all that was compared is as it should be'}"


def _text(entries: Sequence[Entry], last: str) -> list[str]:
    told = [line for entry in entries if entry["kind"] in ("differs", "refused") for line in entry["lines"]]
    for kind, title in QUIET.items():
        of_kind = [line for entry in entries if entry["kind"] == kind for line in entry["lines"]]
        told += ["", title, *of_kind] if of_kind else []
    return [*told, "", last]


def report(entries: Sequence[Entry], compared: Sequence[str]) -> dict[str, Any]:
    """The report for machines, as docs/outputs.md has it, with `text` for people, whose last line is the summary."""
    settled = settled_entries(entries)
    last = _summary(settled)
    return {
        "status": status_of(settled),
        "summary": last,
        "compared_hosts": sorted(compared),
        **{
            name: [
                {key: value for key, value in entry.items() if key != "kind"}
                for entry in settled
                if entry["kind"] == kind
            ]
            for kind, name in LISTS.items()
        },
        "text": _text(settled, last),
    }

# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which hosts may be Spot instances, how they are asked for, and what an existing one really is.

Only a Spot instance of a persistent request that EC2 stops can be stopped, and so can stop itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .changes import MISSING, reason
from .findings import Finding, Words, texts
from .tags import own_tags

ON_DEMAND, SPOT = "on-demand", "spot"
REQUEST_RESOURCE = "spot-instances-request"
# The only request whose instance can be stopped and whose work on its disks outlives an interruption.
WANTED_OPTIONS: Mapping[str, str] = {"spot_instance_type": "persistent", "instance_interruption_behavior": "stop"}
# In these states a request still stands behind its instance.
STANDING_STATES = ("open", "active", "disabled")
# In these an instance exists. Terminated ones are shown for an hour and are no instances any more.
LIVING_STATES = ("pending", "running", "stopping", "stopped", "shutting-down")
WHY_NOT: Mapping[tuple[str, str], Words] = {
    ("spot_instance_type", "one-time"): Words(
        "Its instance cannot be stopped, so a host with nothing to do would run and be paid for on and on.",
        "인스턴스를 중지할 수 없어 할 일이 없어도 계속 실행되고 과금됩니다.",
    ),
    ("instance_interruption_behavior", "terminate"): Words(
        "EC2 would terminate the host when it wants its capacity back, and what it was working on would be gone.",
        "EC2가 용량을 회수할 때 호스트를 종료하여 하던 작업이 사라집니다.",
    ),
    ("instance_interruption_behavior", "hibernate"): Words(
        "It needs an agent in the image, other instance types and a root volume as large as the memory.",
        "이미지의 에이전트, 다른 인스턴스 유형, 메모리만큼 큰 루트 볼륨이 필요합니다.",
    ),
}
UNKNOWN_OPTION = Words("Nothing is known of that.", "알 수 없는 값입니다.")


def spot_template_name(host: str) -> str:
    """The launch template by which a host is asked for as a Spot instance."""
    return f"{host}-spot"


def spot_market_options(options: Mapping[str, str]) -> dict[str, Any]:
    """How the launch template asks for Spot."""
    return {"market_type": SPOT, "spot_options": dict(options)}


def spot_findings(host: str, wanted: Mapping[str, Any]) -> list[Finding]:
    """Why this host must not be a Spot instance, or not such a one; nothing for an on-demand host."""
    if wanted["market_type"] != SPOT:
        return []
    findings = []
    for option, right in WANTED_OPTIONS.items():
        found = wanted["spot_options"].get(option, MISSING)
        if found != right:
            why = WHY_NOT.get((option, found), UNKNOWN_OPTION)
            findings.append(
                Finding(
                    "spot_options",
                    "instance_spot_options",
                    found,
                    Words(f"{host} should have {option} {right}", f"{host}의 {option}은(는) {right}이어야 합니다"),
                    Words(f"{why.en} Set {option} to {right}.", f"{why.ko} {option}을(를) {right}으로 설정하십시오."),
                )
            )
    if not wanted["may_be_stopped"]:
        findings.append(
            Finding(
                "spot_always_on",
                "instance_market_type",
                SPOT,
                Words(
                    f"{host} must run always (instance_may_be_stopped is false), but EC2 stops a Spot instance "
                    "whenever it wants its capacity back",
                    f"{host}은(는) 항상 실행되어야 하지만(instance_may_be_stopped: false) EC2는 스팟 인스턴스를 언제든 "
                    "중지합니다",
                ),
                Words(
                    "Set instance_market_type to on-demand for it.",
                    "이 호스트의 instance_market_type을 on-demand로 설정하십시오.",
                ),
            )
        )
    return findings


def spot_refusals(host: str, wanted: Mapping[str, Any]) -> list[str]:
    """The same as sentences."""
    return texts(spot_findings(host, wanted))


def _market_type(instance: Mapping[str, Any]) -> str:
    return str(instance.get("instance_lifecycle") or ON_DEMAND)


def _replacement(host: str, instance: Mapping[str, Any]) -> str:
    """How to get another instance for the host: a human's decision, because of what its disks hold."""
    request = instance.get("spot_request")
    cancel = (
        f"aws ec2 cancel-spot-instance-requests --spot-instance-request-ids {request['spot_instance_request_id']}; "
        if request
        else ""
    )
    return (
        f"To replace it, save what its disks hold, then: {cancel}aws ec2 terminate-instances --instance-ids "
        f"{instance['instance_id']}; and run again. A data volume stays behind, detached from the next instance."
    )


def _request_problem(request: Mapping[str, Any] | None) -> str:
    """What about the request behind a Spot instance keeps it from being stopped; empty if nothing does."""
    if request is None:
        return "no request, which AWS forgets hours after it was cancelled"
    found = {"spot_instance_type": request["type"], **request}
    wrong = [f"{option} {found.get(option)}" for option, right in WANTED_OPTIONS.items() if found.get(option) != right]
    if wrong:
        return f"a request with {' and '.join(wrong)}"
    return "" if request["state"] in STANDING_STATES else f"a request that is {request['state']}"


def market_refusals(host: str, instance: Mapping[str, Any], wanted: Mapping[str, Any]) -> list[str]:
    """Why the existing instance is of the wrong market: it cannot change that, and nobody replaces it silently."""
    name, found = instance["instance_id"], _market_type(instance)
    if found != wanted["market_type"]:
        return [
            f"instance_market_type: {wanted['market_type']} wanted, but {host} ({name}) is {found}, which an instance "
            f"is from its launch on. Set the variable to what it is, or replace it. {_replacement(host, instance)}"
        ]
    problem = _request_problem(instance.get("spot_request")) if found == SPOT else ""
    if not problem:
        return []
    return [
        f"{host}: a Spot instance can stop itself only while a persistent request that stops it stands, but {name} "
        f"has {problem}: it would run and be paid for on and on. {_replacement(host, instance)}"
    ]


def _specified_tags(data: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    return {
        specification["resource_type"]: {tag["key"]: tag["value"] for tag in specification["tags"]}
        for specification in data.get("tag_specifications", [])
    }


def launch_template_changes(template: Mapping[str, Any] | None, wanted: Mapping[str, Any]) -> list[str]:
    """Why a host's launch template has to be made or mended, in one sentence or none."""
    if template is None:
        return [f"launch template: {MISSING}"]
    data = template["data"]
    others = {
        name: value for name, value in data.items() if name not in ("instance_market_options", "tag_specifications")
    }
    why = reason(
        [
            ("market options", data.get("instance_market_options"), wanted["market_options"]),
            ("tags of what it launches", _specified_tags(data), {REQUEST_RESOURCE: wanted["request_tags"]}),
            ("other data", others, {}),
            ("newest version is the default", template["default_version"], template["latest_version"]),
            ("tags", own_tags(template["tags"]), wanted["tags"]),
        ]
    )
    return [why] if why else []


def request_tag_changes(matches: Sequence[Mapping[str, Any]], tags: Mapping[str, str]) -> list[str]:
    """Why the tags of the request behind the existing instance have to be mended, in one sentence or none."""
    requests = [request for instance in matches for request in [instance.get("spot_request")] if request]
    why = reason(("tags of the Spot request", own_tags(request["tags"]), dict(tags)) for request in requests)
    return [why] if why else []

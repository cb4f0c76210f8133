# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which hosts may be Spot instances, how they are asked for, and what an existing one really is.

Only a Spot instance of a persistent request that EC2 stops can be stopped, and so can stop itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .findings import NOT_SHOWN, Finding, Words

ON_DEMAND, SPOT = "on-demand", "spot"
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


def spot_findings(host: str, market_type: str, options: Mapping[str, Any], may_be_stopped: bool) -> list[Finding]:
    """Why this host must not be a Spot instance, or not such a one; nothing for an on-demand host."""
    if market_type != SPOT:
        return []
    findings = []
    for option, right in WANTED_OPTIONS.items():
        found = options.get(option, "missing")
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
    if not may_be_stopped:
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


def _market_type(instance: Mapping[str, Any]) -> str:
    return str(instance.get("instance_lifecycle") or ON_DEMAND)


def _replacement(instance: Mapping[str, Any]) -> Words:
    """How to get another instance for the host: a human's decision, because of what its disks hold."""
    request = instance.get("spot_request")
    cancel = (
        f"aws ec2 cancel-spot-instance-requests --spot-instance-request-ids {request['spot_instance_request_id']}; "
        if request
        else ""
    )
    commands = f"{cancel}aws ec2 terminate-instances --instance-ids {instance['instance_id']}"
    return Words(
        f"To replace it, save what its disks hold, then: {commands}; and run again. A data volume stays behind, "
        "detached from the next instance.",
        f"교체하려면 디스크의 내용을 저장한 뒤 {commands}; 그리고 다시 실행하십시오. 데이터 볼륨은 남지만 "
        "다음 인스턴스에 연결되지 않습니다.",
    )


def _request_problem(request: Mapping[str, Any] | None) -> Words | None:
    """What about the request behind a Spot instance keeps it from being stopped; nothing where it can be."""
    if request is None:
        return Words("no request, which AWS forgets hours after it was cancelled", "요청이 없습니다(취소됨)")
    found = {"spot_instance_type": request["type"], **request}
    wrong = [f"{option} {found.get(option)}" for option, right in WANTED_OPTIONS.items() if found.get(option) != right]
    if wrong:
        return Words(f"a request with {' and '.join(wrong)}", f"요청이 {', '.join(wrong)}입니다")
    if request["state"] in STANDING_STATES:
        return None
    return Words(f"a request that is {request['state']}", f"요청이 {request['state']} 상태입니다")


def market_findings(host: str, instance: Mapping[str, Any], market_type: str) -> list[Finding]:
    """Why the existing instance is of the wrong market: it cannot change that, and nobody replaces it silently."""
    name, found = instance["instance_id"], _market_type(instance)
    replacement = _replacement(instance)
    if found != market_type:
        return [
            Finding(
                "instance_market",
                "instance_market_type",
                NOT_SHOWN,
                Words(
                    f"{market_type} wanted, but {host} ({name}) is {found}, which an instance is from its launch on",
                    f"{market_type}이어야 하지만 {host}({name})은(는) {found}이며, 구매 방식은 시작할 때 정해집니다",
                ),
                Words(
                    f"Set the variable to what it is, or replace it. {replacement.en}",
                    f"변수를 현재 값으로 설정하거나 인스턴스를 교체하십시오. {replacement.ko}",
                ),
            )
        ]
    problem = _request_problem(instance.get("spot_request")) if found == SPOT else None
    if not problem:
        return []
    return [
        Finding(
            "spot_request",
            host,
            NOT_SHOWN,
            Words(
                "a Spot instance can stop itself only while a persistent request that stops it stands, but "
                f"{name} has {problem.en}: it would run and be paid for on and on",
                "스팟 인스턴스는 중지 방식의 persistent 요청이 있어야 스스로 중지할 수 있지만 "
                f"{name}의 {problem.ko}. 계속 실행되고 과금됩니다",
            ),
            replacement,
        )
    ]

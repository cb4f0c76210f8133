# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""When a drill may begin, and what it tells in the end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

COUNTS = ("ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible", "ApproximateNumberOfMessagesDelayed")
# What each step means, in English and in Korean.
STEPS = {
    "sent": ("one job put onto the queue", "작업 1건을 큐에 넣음"),
    "starting": ("the starter started a host", "starter가 호스트를 시작함"),
    "running": ("the host runs", "호스트 실행 중"),
    "taken": ("the worker took the job", "워커가 작업을 받음"),
    "processed": ("the job is done and gone from the queue", "작업 완료, 큐에서 삭제됨"),
    "stopped": ("the host stopped itself", "호스트가 스스로 정지함"),
}


def drill_refusals(
    names: Sequence[str],
    queue_names: Sequence[str],
    instances: Sequence[Mapping[str, Any]],
    queues: Mapping[str, Mapping[str, Any]],
) -> list[str]:
    """Why no job may be sent now: the drill touches nobody else's, and follows only what it can see."""
    found = [instance["tags"].get("Name") for instance in instances]
    problems = [
        f"{name}: must have one instance, found {found.count(name)}. Run playbooks/provision.yml --tags instance."
        for name in names
        if found.count(name) != 1
    ]
    for name in queue_names:
        if name not in queues:
            problems.append(f"{name}: the queue must exist, found none. Run playbooks/provision.yml --tags queues.")
            continue
        waiting, in_flight, delayed = (int(queues[name]["attributes"].get(count, 0)) for count in COUNTS)
        if waiting + in_flight + delayed:
            problems.append(
                f"{name}: must be empty, because a drill touches nobody else's jobs; found {waiting} visible, "
                f"{in_flight} in flight, {delayed} delayed. Run the drill when the workers are done."
            )
    return problems


def drill_report(
    about: Mapping[str, Any], sent_at: str, judged: Mapping[str, Any], followed: Mapping[str, Any]
) -> dict[str, Any]:
    """What build/drill.json holds. The job counts as processed by the first host that started for it."""
    watched = followed["watched"]
    hosts = list(watched["hosts"])
    return {
        "ok": watched["ok"],
        "reason": watched["reason"],
        **about,
        "host": hosts[0] if hosts else None,
        "instance_id": about["instance_ids"].get(hosts[0]) if hosts else None,
        "steps": [{"name": "sent", "at": sent_at, "seconds": 0.0}, *watched["steps"]],
        "timeline": followed["timeline"],
        "verdict": judged["verdict"],
        "checks": judged["checks"],
    }


def drill_table(report: Mapping[str, Any]) -> list[str]:
    """The report for people."""
    lines = [f"{'step':<10} {'after':>9}  {'UTC':<24}  meaning / 의미"]
    lines += [
        f"{step['name']:<10} {step['seconds']:>7.1f} s  {step['at']:<24}  {' / '.join(STEPS[step['name']])}"
        for step in report["steps"]
    ]
    if report["ok"]:
        return [
            *lines,
            f"{report['host']} started for one job and stopped itself / 작업 1건으로 시작하고 스스로 정지함",
        ]
    return [*lines, f"FAILED / 실패: {report['reason']}"]

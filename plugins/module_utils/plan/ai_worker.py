# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The AI worker's times. What runs it is decided like any other container."""

from __future__ import annotations

from ..findings import Finding, Words
from ..services import ROWS
from . import Plan, Role, Rule


def lease_findings(lease_seconds: int, visibility_seconds: int) -> list[Finding]:
    if 0 < lease_seconds < visibility_seconds:
        return []
    return [
        Finding(
            "ai_worker_lease",
            "ai_worker_lease_seconds",
            str(lease_seconds),
            Words(
                f"must be more than 0 and less than ai_worker_visibility_seconds ({visibility_seconds}), or whoever "
                "takes the message next would find the job still leased",
                f"0보다 크고 ai_worker_visibility_seconds({visibility_seconds})보다 작아야 합니다. 아니면 메시지를 "
                "다음에 받는 워커에게 작업이 아직 임대 중으로 보입니다",
            ),
            Words(
                "Correct it, or visibility_timeout_seconds of the AI queues in queues_jobs.",
                "고치거나 queues_jobs에서 AI 큐의 visibility_timeout_seconds를 고치십시오.",
            ),
        )
    ]


ROLE = Role(
    reads=lambda _: {},
    decide=lambda _inputs, _found: Plan(),
    rules=(
        ROWS,
        Rule(lease_findings, ("ai_worker_lease_seconds", "ai_worker_visibility_seconds")),
    ),
    on_host=True,
)

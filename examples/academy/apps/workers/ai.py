# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The AI worker: three queues, one for each tier, and a small computation in place of a model."""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from apps.api.config.environment import Environment
from apps.workers import storage
from apps.workers.loop import Context, Worker

# Those who pay are asked for first.
KINDS = ("ai-premium", "ai-basic", "ai-lite")
COMPUTATIONS: dict[str, Callable[[Sequence[float]], float]] = {
    "ai-lite": sum,
    "ai-basic": statistics.fmean,
    "ai-premium": statistics.pvariance,
}


def worker(environment: Environment) -> Worker:
    return Worker(
        environment.text("AI_WORKER_ID_CPU"),
        perform,
        lease_seconds=environment.integer("AI_LEASE_SECONDS", 3540),
        visibility_seconds=environment.integer("AI_VISIBILITY_SECONDS", 3600),
        extends_visibility=True,
        limit_seconds=environment.integer("AI_JOB_MAX_SECONDS", 3600),
    )


def perform(job: Mapping[str, Any], context: Context) -> dict[str, Any]:
    context.sleep(float(job.get("work_seconds", 0)))
    result = {"value": COMPUTATIONS[context.kind]([float(number) for number in job["numbers"]])}
    key = f"results/{job['id']}.json"
    storage.put_bytes("ai", key, json.dumps(result).encode())
    return {"key": key, **result}

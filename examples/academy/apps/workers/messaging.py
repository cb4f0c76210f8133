# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The messaging worker: always on. A message counts as sent when its row says so."""

from collections.abc import Mapping
from typing import Any

from apps.api.config.environment import Environment
from apps.workers.loop import Context, Worker

KINDS = ("messaging",)


def worker(environment: Environment) -> Worker:
    return Worker(environment.text("MESSAGING_WORKER_ID"), perform)


def perform(job: Mapping[str, Any], context: Context) -> dict[str, Any]:
    """Where a real academy calls its provider; the text itself is nobody's business afterwards."""
    context.check()
    return {"to": str(job["to"]), "characters": len(str(job["text"]))}

# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the workers did: one row for each job, however often SQS delivers its message."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.db import Error as DatabaseError
from django.db import models, transaction
from django.utils import timezone

RUNNING, DONE, FAILED = "running", "done", "failed"


class Job(models.Model):
    """One job; its id comes with the message, so that a second delivery finds the row of the first."""

    id: models.CharField[str, str] = models.CharField(max_length=100, primary_key=True)
    kind: models.CharField[str, str] = models.CharField(max_length=20)
    worker_id: models.CharField[str, str] = models.CharField(max_length=100)
    attempts: models.PositiveIntegerField[int, int] = models.PositiveIntegerField(default=0)
    state: models.CharField[str, str] = models.CharField(max_length=10)
    result: models.JSONField[Any, Any] = models.JSONField(default=dict)
    started_at: models.DateTimeField[datetime, datetime] = models.DateTimeField()
    leased_until: models.DateTimeField[datetime, datetime] = models.DateTimeField()
    finished_at: models.DateTimeField[datetime | None, datetime | None] = models.DateTimeField(null=True)

    class Meta:
        # Newest first; the key decides between two of the same moment.
        ordering = ("-started_at", "-id")

    def __str__(self) -> str:
        return f"{self.kind} {self.id}"


class LeasedError(RuntimeError):
    """Another worker has the job, and its time is not over."""


def begin(job_id: str, kind: str, worker_id: str, lease_seconds: int) -> Job | None:
    """Note that a worker begins a job; None when there is nothing left to do. Raises LeasedError."""
    now = timezone.now()
    with transaction.atomic():
        job = Job.objects.select_for_update().filter(pk=job_id).first()
        if job is None:
            job = Job(id=job_id, kind=kind)
        elif job.state != RUNNING:
            return None
        elif job.worker_id != worker_id and job.leased_until > now:
            raise LeasedError(f"{job} belongs to {job.worker_id} until {job.leased_until.isoformat()}")
        job.worker_id, job.state, job.attempts = worker_id, RUNNING, job.attempts + 1
        job.started_at, job.leased_until = now, now + timedelta(seconds=lease_seconds)
        job.save()
    return job


def can_begin() -> bool:
    """Whether the database answers, and has its tables."""
    try:
        Job.objects.exists()
    except DatabaseError:
        return False
    return True


def finish(job: Job, state: str, result: dict[str, Any]) -> None:
    """Note how a job ended."""
    job.state, job.result, job.finished_at = state, result, timezone.now()
    job.save()


def give_back(job: Job) -> None:
    """Let any worker take it at once."""
    job.leased_until = timezone.now()
    job.save()

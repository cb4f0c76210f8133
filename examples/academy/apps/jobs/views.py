# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""GET /api/jobs lists the newest jobs, of one kind with ?kind=…; POST puts a job on the queue of its kind.

GET /api/queues says how many jobs wait.
"""

import json
import uuid
from functools import cache
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError
from django.conf import settings
from django.http import HttpRequest, JsonResponse
from django.views.decorators.http import require_http_methods

from apps.api.answers import UNAUTHORIZED, answer, is_authorized
from apps.jobs.models import Job

LIST_LIMIT = 100


@require_http_methods(["GET", "HEAD", "POST"])
def jobs(request: HttpRequest) -> JsonResponse:
    return _create(request) if request.method == "POST" else _list(request)


def _list(request: HttpRequest) -> JsonResponse:
    found = Job.objects.all()
    if kind := request.GET.get("kind"):
        found = found.filter(kind=kind)
    return answer({"jobs": [_as_json(job) for job in found[:LIST_LIMIT]]})


def _create(request: HttpRequest) -> JsonResponse:
    if not is_authorized(request):
        return answer(UNAUTHORIZED, status=401)
    try:
        kind, job = parse(request.body)
    except ValueError as error:
        return answer({"error": str(error)}, status=400)
    try:
        _queues().send_message(QueueUrl=_url(settings.JOB_QUEUES[kind]), MessageBody=json.dumps(job))
    except (BotoCoreError, ClientError) as error:
        return answer({"error": f"the queue of {kind} did not take the job: {error}"}, status=503)
    return answer({"id": job["id"], "kind": kind}, status=202)


@require_http_methods(["GET", "HEAD"])
def queues(_request: HttpRequest) -> JsonResponse:
    try:
        return answer({"waiting": {kind: _waiting(queue) for kind, queue in settings.JOB_QUEUES.items()}})
    except (BotoCoreError, ClientError) as error:
        return answer({"error": f"the queues do not answer: {error}"}, status=503)


def _waiting(queue: str) -> int:
    found = _queues().get_queue_attributes(QueueUrl=_url(queue), AttributeNames=["ApproximateNumberOfMessages"])
    return int(found["Attributes"]["ApproximateNumberOfMessages"])


def parse(body: bytes) -> tuple[str, dict[str, Any]]:
    """The kind of a job and what its message says; an id of its own where the caller gives none. Raises ValueError."""
    try:
        document = json.loads(body)
    except ValueError:
        raise ValueError("the body is not JSON") from None
    if not isinstance(document, dict) or document.get("kind") not in settings.JOB_QUEUES:
        raise ValueError(f"the body must be a JSON object with a kind, one of {', '.join(settings.JOB_QUEUES)}")
    kind = document.pop("kind")
    return kind, {"id": str(uuid.uuid4()), **document}


@cache
def _queues() -> Any:
    return boto3.client("sqs", region_name=settings.AWS_REGION)


@cache
def _url(queue: str) -> str:
    return str(_queues().get_queue_url(QueueName=queue)["QueueUrl"])


def _as_json(job: Job) -> dict[str, Any]:
    return {
        "id": job.pk,
        "kind": job.kind,
        "worker_id": job.worker_id,
        "attempts": job.attempts,
        "state": job.state,
        "result": job.result,
        "started_at": job.started_at.isoformat(),
        "finished_at": job.finished_at.isoformat() if job.finished_at else None,
    }

# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""GET /api/lectures lists the newest lectures, POST creates one."""

import json
from typing import Any

from django.core.exceptions import ValidationError
from django.http import HttpRequest, JsonResponse
from django.views.decorators.http import require_http_methods

from apps.api.answers import UNAUTHORIZED, answer, is_authorized
from apps.lectures.models import Lecture

LIST_LIMIT = 100
FIELDS = ("title", "video_key")


@require_http_methods(["GET", "HEAD", "POST"])
def lectures(request: HttpRequest) -> JsonResponse:
    return _create(request) if request.method == "POST" else _list()


def _list() -> JsonResponse:
    return answer({"lectures": [_as_json(lecture) for lecture in Lecture.objects.all()[:LIST_LIMIT]]})


def _create(request: HttpRequest) -> JsonResponse:
    if not is_authorized(request):
        return answer(UNAUTHORIZED, status=401)
    try:
        lecture = Lecture(**_fields(request.body))
        lecture.full_clean()
    except ValueError as error:
        return answer({"error": str(error)}, status=400)
    except ValidationError as error:
        return answer({"error": error.message_dict}, status=400)
    lecture.save()
    return answer(_as_json(lecture), status=201)


def _fields(body: bytes) -> dict[str, str]:
    """Raise ValueError unless the body is a JSON object with known text fields only."""
    try:
        document = json.loads(body)
    except ValueError:
        raise ValueError("the body is not JSON") from None
    if not isinstance(document, dict) or not all(isinstance(value, str) for value in document.values()):
        raise ValueError("the body must be a JSON object of texts")
    unknown = sorted(set(document) - set(FIELDS))
    if unknown:
        raise ValueError(f"unknown: {', '.join(unknown)}; known: {', '.join(FIELDS)}")
    return document


def _as_json(lecture: Lecture) -> dict[str, Any]:
    return {
        "id": lecture.pk,
        "title": lecture.title,
        "video_key": lecture.video_key,
        "created_at": lecture.created_at.isoformat(),
    }

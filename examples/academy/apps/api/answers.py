# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What every view of the API shares: who may write, and how an answer looks."""

from typing import Any

from django.conf import settings
from django.http import HttpRequest, JsonResponse
from django.utils.crypto import constant_time_compare

UNAUTHORIZED = {"error": "send the header Authorization: Bearer <INTERNAL_WORKER_TOKEN>"}


def is_authorized(request: HttpRequest) -> bool:
    scheme, _separator, token = request.headers.get("Authorization", "").partition(" ")
    return scheme == "Bearer" and constant_time_compare(token, settings.INTERNAL_WORKER_TOKEN)


def answer(document: dict[str, Any], status: int = 200) -> JsonResponse:
    # Korean titles stay readable in a terminal.
    return JsonResponse(document, status=status, json_dumps_params={"ensure_ascii": False})

# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""GET /health: does the database answer?"""

import logging
from collections.abc import Callable

from django.conf import settings
from django.db import DEFAULT_DB_ALIAS, Error, connections
from django.http import HttpRequest, HttpResponseBase, JsonResponse

log = logging.getLogger(__name__)

PATH = "/health"

# A load balancer gives up after five seconds by default; connecting and asking together stay below.
CONNECT_TIMEOUT_SECONDS = 2
STATEMENT_TIMEOUT_MILLISECONDS = 2000


def ask_database() -> None:
    """Raise django.db.Error unless the database takes a new connection and answers on it, both within the bounds.

    A connection of its own: one that is already open says nothing about a changed password or used-up connections, and
    a frozen server would hold it for ever.
    """
    connection = connections[DEFAULT_DB_ALIAS].copy()
    connection.settings_dict["OPTIONS"] |= {
        "connect_timeout": CONNECT_TIMEOUT_SECONDS,
        "options": f"-c statement_timeout={STATEMENT_TIMEOUT_MILLISECONDS}",
    }
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
            cursor.fetchone()
    finally:
        connection.close()


def health() -> JsonResponse:
    """The reason of a failure goes to the log only: the answer is public."""
    try:
        ask_database()
    except Error as error:
        log.error("The database does not answer: %s", error)
        return JsonResponse({"status": "unhealthy", "database": "unavailable", "release": settings.RELEASE}, status=503)
    return JsonResponse({"status": "healthy", "database": "ok", "release": settings.RELEASE})


class HealthMiddleware:
    """Answer /health before any other middleware looks at the request."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if request.path == PATH and request.method in {"GET", "HEAD"}:
            return health()
        return self._get_response(request)

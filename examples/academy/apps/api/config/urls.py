# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The API's addresses. /health is not here: apps.api.health answers it before the host check."""

from django.urls import path

from apps.jobs.views import jobs, queues
from apps.lectures.views import lectures

urlpatterns = [
    path("api/jobs", jobs, name="jobs"),
    path("api/queues", queues, name="queues"),
    path("api/lectures", lectures, name="lectures"),
]

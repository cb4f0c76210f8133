# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The API's addresses. /health is not here: apps.api.health answers it before the host check."""

from django.urls import path

from apps.lectures import views

urlpatterns = [
    path("api/lectures", views.lectures, name="lectures"),
]

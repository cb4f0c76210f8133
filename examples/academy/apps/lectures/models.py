# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the academy teaches."""

from __future__ import annotations

from datetime import datetime

from django.db import models


class Lecture(models.Model):
    """One lecture; its video, if there is one, is an object in the R2 video bucket."""

    title: models.CharField[str, str] = models.CharField(max_length=200)
    video_key: models.CharField[str, str] = models.CharField(max_length=500, blank=True)
    created_at: models.DateTimeField[datetime, datetime] = models.DateTimeField(auto_now_add=True)

    class Meta:
        # Newest first; the key decides between two of the same moment.
        ordering = ("-created_at", "-pk")

    def __str__(self) -> str:
        return self.title

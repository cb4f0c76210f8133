# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The workers: nothing of HTTP. A variable that only one worker needs belongs to that worker, not here."""

from apps.api.config.settings.base import *  # noqa: F403 - Django settings are one flat namespace
from apps.api.config.settings.base import environment

environment.finish()

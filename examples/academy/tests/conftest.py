# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Settings for tests that need no database: its address refuses every connection."""

import os

import django

from tests.environment import COMPLETE

os.environ.update(COMPLETE)
django.setup()

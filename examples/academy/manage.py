#!/usr/bin/env python
# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Django's command line: `python manage.py migrate --no-input` inside the container."""

import os
import sys

from django.core.management import execute_from_command_line

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "apps.api.config.settings.prod")
    execute_from_command_line(sys.argv)

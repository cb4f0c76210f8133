# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where things lie on a host that several roles, playbooks or programs must find.

Those that cannot import this module carry the same words; tests/unit/test_host_paths.py lists and compares them.
"""

from __future__ import annotations

CONFIGURATION_DIRECTORY = "/etc/academy"
WATCHDOG_SETTINGS = f"{CONFIGURATION_DIRECTORY}/watchdog.json"
# In memory, so that a full root disk does not silence a worker: whoever writes no heartbeat is powered off.
RUN_DIRECTORY = "/run/academy"
HEARTBEAT = "heartbeat.json"
# Where EC2 attaches a video worker's data volume.
DATA_DEVICE = "/dev/sdf"


def heartbeat_directory(container: str) -> str:
    """On the host; the container finds it at RUN_DIRECTORY."""
    return f"{RUN_DIRECTORY}/{container}"

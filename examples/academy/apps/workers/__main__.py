# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run one worker: python -m apps.workers messaging | video | ai."""

from __future__ import annotations

import importlib
import logging
import os
import signal
import sys
import threading
from functools import partial
from pathlib import Path
from typing import Any

WORKERS = ("messaging", "video", "ai")


def main(arguments: list[str]) -> int:
    if len(arguments) != 1 or arguments[0] not in WORKERS:
        print(f"usage: python -m apps.workers {{{'|'.join(WORKERS)}}}", file=sys.stderr)
        return 2
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "apps.api.config.settings.worker")

    import django  # noqa: PLC0415 - what follows needs the settings

    django.setup()

    from django.conf import settings  # noqa: PLC0415

    from apps.api.config.environment import Environment  # noqa: PLC0415
    from apps.workers.heartbeat import Heartbeat  # noqa: PLC0415
    from apps.workers.host import stop_itself  # noqa: PLC0415
    from apps.workers.idle import Idleness  # noqa: PLC0415
    from apps.workers.loop import Loop  # noqa: PLC0415
    from apps.workers.queues import Queues  # noqa: PLC0415

    environment = Environment(os.environ)
    chosen: Any = importlib.import_module(f"apps.workers.{arguments[0]}")
    worker = chosen.worker(environment)
    idleness = Idleness(environment.integer("EC2_IDLE_STOP_THRESHOLD", 0))
    wait_seconds = environment.integer("WORKER_WAIT_SECONDS", 20)
    heartbeat_file = environment.text("WORKER_HEARTBEAT_FILE", "")
    heartbeat = Heartbeat(Path(heartbeat_file) if heartbeat_file else None)
    environment.finish()

    ended = threading.Event()
    # A poll is not broken off: what it had received would be invisible to everybody until its timeout is over.
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    signal.signal(signal.SIGINT, lambda *_: ended.set())

    names = [(kind, settings.JOB_QUEUES[kind]) for kind in chosen.KINDS]
    log = logging.getLogger("apps.workers")
    queues = Queues(names, wait_seconds, settings.AWS_REGION)
    # Not before: a queue that is missing or out of reach ends the process.
    log.info("%s works on %s", worker.worker_id, ", ".join(queue for _, queue in names))
    Loop(worker, queues, idleness, partial(stop_itself, settings.AWS_REGION), ended, heartbeat=heartbeat).run()
    log.info("ended")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host's watchdog reads of a worker: that it gets on, and whether it has work."""

from __future__ import annotations

import json
import logging
import os
import threading
import time
from pathlib import Path

log = logging.getLogger(__name__)

# Between two beats of one job; the watchdog expects one every 20 seconds.
BEAT_SECONDS = 10


class Heartbeat:
    """A file that is rewritten by every poll that was answered, and by a job as it gets on.

    No thread beats for them: what hangs falls silent, and so does a worker whose queue refuses it. What is not seen is
    an ffmpeg that lives on and does nothing.
    """

    def __init__(self, file: Path | None) -> None:
        """Without a file nothing is written."""
        self._file = file
        self._last = 0.0
        self._lock = threading.Lock()

    def idle(self, empty_polls: int) -> None:
        self._write("idle", empty_polls)

    def busy(self) -> None:
        self._write("busy", 0)

    def progress(self) -> None:
        """Called by a job as often as it likes, from any thread."""
        with self._lock:
            if time.monotonic() - self._last >= BEAT_SECONDS:
                self.busy()

    def _write(self, state: str, empty_polls: int) -> None:
        if self._file is None:
            return
        self._last = time.monotonic()
        new = self._file.with_suffix(".new")
        try:
            new.write_text(json.dumps({"state": state, "at": int(time.time()), "empty_polls": empty_polls}), "utf-8")
            os.replace(new, self._file)
        except OSError as error:
            # No reason to lose a job.
            log.warning("cannot write the heartbeat: %s", error)

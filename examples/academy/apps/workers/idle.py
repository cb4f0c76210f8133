# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""When a worker has been idle for long enough to stop its host. No clock, no AWS: a count of empty polls."""

from dataclasses import dataclass


@dataclass
class Idleness:
    """Counts empty polls in a row.

    A poll that failed is no empty poll: it says nothing about the queue. A threshold of 0 never stops anything.
    """

    threshold: int
    empty_polls: int = 0

    def note_empty_poll(self) -> None:
        self.empty_polls += 1

    def note_work(self) -> None:
        self.empty_polls = 0

    @property
    def is_over(self) -> bool:
        return 0 < self.threshold <= self.empty_polls

# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Queues and their messages, as everybody who asks for them knows them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from .names import DEAD_LETTER_SUFFIX


def with_dead_letter_queues(names: Iterable[str]) -> list[str]:
    """Each queue, and the one that its failed messages go to."""
    return [found for name in names for found in (name, name + DEAD_LETTER_SUFFIX)]


MESSAGE_COUNTS = (
    "ApproximateNumberOfMessages",
    "ApproximateNumberOfMessagesNotVisible",
    "ApproximateNumberOfMessagesDelayed",
)


def message_count(attributes: Mapping[str, str]) -> int:
    """All messages of a queue: waiting, in flight, delayed."""
    return sum(int(attributes.get(count, 0)) for count in MESSAGE_COUNTS)

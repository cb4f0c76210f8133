# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What all workers share: take a message, do the job once, delete the message; end cleanly, stop the host when idle."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from django.db import Error as DatabaseError
from django.db import close_old_connections

from apps.jobs import models
from apps.workers.heartbeat import BEAT_SECONDS, Heartbeat
from apps.workers.idle import Idleness
from apps.workers.queues import MalformedError, Message, Queues

log = logging.getLogger(__name__)

# After a failure, before anybody tries the same job or the same queue again.
RETRY_SECONDS = 60
POLL_RETRY_SECONDS = 5
# SQS ends a message's invisibility so long after its delivery, whatever is asked for.
VISIBILITY_LIMIT_SECONDS = 43200


class EndedError(Exception):
    """The process has been told to end."""


class OverTimeError(Exception):
    """The job took longer than any job may."""


class Context:
    """What a job asks now and then, and so shows that it gets on: may I go on?"""

    def __init__(
        self, kind: str, ended: threading.Event, limit_seconds: int, progress: Callable[[], None] = lambda: None
    ) -> None:
        """A limit of 0 is none. progress is called by everything that takes long."""
        self.kind = kind
        self.progress = progress
        self._ended = ended
        self._limit_seconds = limit_seconds
        self._begun = time.monotonic()

    def check(self) -> None:
        """Raise EndedError or OverTimeError."""
        self.progress()
        if self._ended.is_set():
            raise EndedError
        if self._limit_seconds and time.monotonic() - self._begun > self._limit_seconds:
            raise OverTimeError(f"longer than {self._limit_seconds} seconds")

    def sleep(self, seconds: float) -> None:
        """Wait, unless the process has been told to end meanwhile."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0 and not self._ended.wait(min(left, BEAT_SECONDS)):
            self.check()
        self.check()


@dataclass(frozen=True)
class Worker:
    """What one worker does, and for how long it may."""

    worker_id: str
    perform: Callable[[Mapping[str, Any], Context], dict[str, Any]]
    # For so long no other worker takes the job; 0 for as long as the queue keeps its message invisible.
    lease_seconds: int = 0
    # Set once when a job begins; 0 leaves the queue's own.
    visibility_seconds: int = 0
    # Whether the visibility is set again and again while the job runs.
    extends_visibility: bool = False
    limit_seconds: int = 0


class Loop:
    """A worker at its queues, until it is told to end or has stopped its host."""

    def __init__(
        self,
        worker: Worker,
        queues: Queues,
        idleness: Idleness,
        stop_host: Callable[[], bool],
        ended: threading.Event,
        *,
        heartbeat: Heartbeat,
    ) -> None:
        """stop_host says whether the host is going to stop."""
        self._worker = worker
        self._queues = queues
        self._idleness = idleness
        self._stop_host = stop_host
        self._ended = ended
        self._heartbeat = heartbeat
        self.is_busy = False

    def run(self) -> None:
        while not self._ended.is_set():
            try:
                message = self._queues.receive()
            except (BotoCoreError, ClientError) as error:
                log.error("cannot read the queue: %s", error)
                self._ended.wait(POLL_RETRY_SECONDS)
                continue
            if message is not None:
                self._idleness.note_work()
                self._heartbeat.busy()
                self._take(message)
                continue
            self._idleness.note_empty_poll()
            self._heartbeat.idle(self._idleness.empty_polls)
            if self._idleness.is_over:
                self._end_host()

    def _end_host(self) -> None:
        log.info("%d empty polls in a row: stopping this host", self._idleness.empty_polls)
        if self._stop_host():
            # Nothing is taken any more: whatever comes now waits in the queue for the host's next start.
            self._ended.wait()
        else:
            self._idleness.note_work()

    def _take(self, message: Message) -> None:
        if self._ended.is_set():
            self._queues.hide(message, 0)
            return
        self.is_busy = True
        try:
            self._do(message)
        except (BotoCoreError, ClientError, DatabaseError) as error:
            log.error("lost touch while working; the message comes back by itself: %s", error)
        finally:
            self.is_busy = False
            close_old_connections()

    def _do(self, message: Message) -> None:
        worker = self._worker
        try:
            work = message.job()
            lease_seconds = worker.lease_seconds or self._queues.visibility_seconds[message.kind]
            job = models.begin(work["id"], message.kind, worker.worker_id, lease_seconds)
        except (MalformedError, models.LeasedError) as reason:
            # Received too often, SQS moves a message to the dead letter queue.
            log.warning("left alone: %s", reason)
            self._queues.hide(message, RETRY_SECONDS)
            return
        except DatabaseError as error:
            log.error("given back, because the database did not take it: %s", error)
            self._queues.hide(message, RETRY_SECONDS)
            self._await_database()
            return
        if job is None:
            log.info("%s %s was finished before", message.kind, work["id"])
            self._queues.delete(message)
            return
        log.info("%s begins, attempt %d", job, job.attempts)
        if worker.visibility_seconds:
            self._queues.hide(message, worker.visibility_seconds)
        try:
            with self._extended(message):
                context = Context(message.kind, self._ended, worker.limit_seconds, self._heartbeat.progress)
                result = worker.perform(work, context)
        except EndedError:
            log.info("%s is given back: this process ends", job)
            models.give_back(job)
            self._queues.hide(message, 0)
        except OverTimeError as reason:
            log.error("%s failed for good: %s", job, reason)
            models.finish(job, models.FAILED, {"error": str(reason)})
            self._queues.delete(message)
        except Exception:
            log.exception("%s failed and comes back in %d seconds", job, RETRY_SECONDS)
            models.give_back(job)
            self._queues.hide(message, RETRY_SECONDS)
        else:
            models.finish(job, models.DONE, result)
            self._queues.delete(message)
            log.info("%s is done", job)

    def _await_database(self) -> None:
        """Take nothing until it answers: what is received in vain too often ends in the dead letter queue."""
        while not self._ended.wait(POLL_RETRY_SECONDS):
            close_old_connections()
            if models.can_begin():
                return

    @contextmanager
    def _extended(self, message: Message) -> Iterator[None]:
        """Keep the message invisible for as long as the block runs, if this worker does that."""
        if not self._worker.extends_visibility:
            yield
            return
        over = threading.Event()
        extender = threading.Thread(target=self._extend, args=[message, over], name="extender", daemon=True)
        extender.start()
        try:
            yield
        finally:
            over.set()
            extender.join()

    def _extend(self, message: Message, over: threading.Event) -> None:
        seconds = self._worker.visibility_seconds
        last = time.monotonic() + VISIBILITY_LIMIT_SECONDS - seconds
        while not over.wait(seconds / 3) and time.monotonic() < last:
            try:
                self._queues.hide(message, seconds)
            except (BotoCoreError, ClientError) as error:
                log.warning("cannot keep the message invisible, trying again: %s", error)

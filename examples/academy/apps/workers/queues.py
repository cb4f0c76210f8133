# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""One worker's queues, on real long polls."""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import boto3


class MalformedError(ValueError):
    """A message that is no job, and will not become one."""


@dataclass(frozen=True)
class Message:
    """A message that only this worker sees until its visibility timeout is over."""

    kind: str
    queue_url: str
    receipt: str
    body: str

    def job(self) -> dict[str, Any]:
        """What it says. Raises MalformedError."""
        try:
            document = json.loads(self.body)
        except ValueError:
            raise MalformedError("not JSON") from None
        if not isinstance(document, dict) or not isinstance(document.get("id"), str) or not document["id"]:
            raise MalformedError("not an object with an id")
        return document


def shares(seconds: int, count: int) -> list[int]:
    """How long to wait at each of several queues, so that one round over all of them takes the time of one poll.

    At least a second each: a poll of 0 seconds asks only some of the queue's servers, and may miss a message.
    """
    return [max(1, seconds // count + (1 if index < seconds % count else 0)) for index in range(count)]


class Queues:
    """The queues of a worker, asked in their order; after a message the next round begins behind its queue."""

    def __init__(self, names: Sequence[tuple[str, str]], wait_seconds: int, region: str) -> None:
        """Take (kind of job, queue) pairs; URLs are looked up at once: a missing queue is known at the start."""
        self._sqs = boto3.client("sqs", region_name=region)
        urls = [(kind, str(self._sqs.get_queue_url(QueueName=name)["QueueUrl"])) for kind, name in names]
        # How long a message of each queue stays invisible when nobody says otherwise.
        self.visibility_seconds = {kind: self._visibility(url) for kind, url in urls}
        self._waits = list(zip(urls, shares(wait_seconds, len(urls)), strict=True))

    def _visibility(self, url: str) -> int:
        found = self._sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["VisibilityTimeout"])
        return int(found["Attributes"]["VisibilityTimeout"])

    def receive(self) -> Message | None:
        """One round; None when every queue was empty."""
        for index, ((kind, url), seconds) in enumerate(self._waits):
            found = self._sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=1, WaitTimeSeconds=seconds)
            for message in found.get("Messages", []):
                self._waits = [*itertools.chain(self._waits[index + 1 :], self._waits[: index + 1])]
                return Message(kind, url, message["ReceiptHandle"], message["Body"])
        return None

    def hide(self, message: Message, seconds: int) -> None:
        """Keep the message invisible for so long from now; 0 lets anybody have it at once."""
        self._sqs.change_message_visibility(
            QueueUrl=message.queue_url, ReceiptHandle=message.receipt, VisibilityTimeout=seconds
        )

    def delete(self, message: Message) -> None:
        self._sqs.delete_message(QueueUrl=message.queue_url, ReceiptHandle=message.receipt)

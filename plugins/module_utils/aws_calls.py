# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""One call to AWS: what it answers, None for what does not exist, or an error that names the call."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

with suppress(ImportError):  # Whoever makes the clients says so.
    from botocore.exceptions import BotoCoreError, ClientError

Client = Any
Record = dict[str, Any]


class ReadError(Exception):
    """A call that AWS answered with an error, by the name that permissions have."""

    def __init__(self, action: str, cause: Exception) -> None:
        super().__init__(action)
        self.action = action
        self.cause = cause
        self.section = ""

    def told(self) -> str:
        return f"Cannot read {self.section} ({self.action}): {self.cause}"


def _call(client: Client, operation: str, call: Callable[[], Any], missing: Sequence[str]) -> Any:
    """What the call answers; None where AWS says that there is no such thing."""
    try:
        return call()
    except (BotoCoreError, ClientError) as error:
        code = getattr(error, "response", {}).get("Error", {}).get("Code")
        if code in missing:
            return None
        service, action = client.meta.service_model.service_name, client.meta.method_to_api_mapping[operation]
        raise ReadError(f"{service}:{action}", error) from error


def ask(client: Client, operation: str, *missing: str, **parameters: Any) -> Any:
    """The answer to one call; None where AWS gives one of these codes for a thing that is missing. Raises ReadError."""
    return _call(client, operation, partial(getattr(client, operation), **parameters), missing)


def ask_all(client: Client, operation: str, key: str, *missing: str, **parameters: Any) -> list[Record]:
    """All pages of a list, which is empty where there is no such thing. Raises ReadError."""

    def pages() -> Record:
        answer: Record = client.get_paginator(operation).paginate(**parameters).build_full_result()
        return answer

    answer = _call(client, operation, pages, missing) or {}
    found: list[Record] = answer.get(key, [])
    return found

# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What SQS takes as the body of a message."""

from __future__ import annotations

import json
from typing import Any

LONGEST_BYTES = 1024 * 1024


class MessageError(ValueError):
    """A body that SQS would refuse."""


def message_text(body: Any) -> str:
    """Text as it is, everything else as JSON."""
    text = body if isinstance(body, str) else json.dumps(body, ensure_ascii=False)
    size = len(text.encode())
    if not 1 <= size <= LONGEST_BYTES:
        raise MessageError(f"SQS takes 1 to {LONGEST_BYTES} bytes, found {size}. Shorten it.")
    return text

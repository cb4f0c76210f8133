# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Asks which address AWS sees the operator at."""

from __future__ import annotations

from http.client import HTTPException

from ansible.module_utils.urls import ConnectionError as UrlError
from ansible.module_utils.urls import open_url

# An address, of either kind, is shorter.
ADDRESS_BYTES = 100
ADDRESS_SECONDS = 3


def ask_address(url: str) -> str | None:
    """What the service says; nothing where there is none to ask, or it does not answer at once."""
    if not url:
        return None
    try:
        # Directly, as SSH goes: a proxy has another address.
        with open_url(url, use_proxy=False, timeout=ADDRESS_SECONDS) as response:
            return str(response.read(ADDRESS_BYTES).decode("utf-8", "replace"))
    except (OSError, ValueError, HTTPException, UrlError):
        return None

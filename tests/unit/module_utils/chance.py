# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Secrets as generators make them: each character by chance, which no strategy for texts draws."""

from __future__ import annotations

import random
import string

from hypothesis import strategies as st

HEX = "0123456789abcdef"
URL_SAFE = string.ascii_letters + string.digits + "-_"
# What Django's get_random_secret_key draws from.
DJANGO = string.ascii_lowercase + string.digits + "!@#$%^&*(-_=+)"
# What no reader of environment files changes.
PRINTABLE = "".join(sorted({*map(chr, range(0x21, 0x7F))} - {*"\"'\\`#$<{"}))
# In front, some reader takes it for the beginning of a comment.
COMMENT = "#"
ALPHANUMERIC = string.ascii_letters + string.digits
STRONG = [(HEX, 32), (HEX, 64), (ALPHANUMERIC, 20), (URL_SAFE, 43), (DJANGO, 50), (PRINTABLE, 24)]


def drawn(alphabet: str, length: int, seed: int) -> str:
    return "".join(random.Random(seed).choices(alphabet, k=length))


def secrets() -> st.SearchStrategy[str]:
    return st.builds(
        lambda kind, seed: drawn(kind[0], kind[1], seed),
        st.sampled_from(STRONG),
        st.integers(min_value=0, max_value=2**64),
    ).filter(lambda secret: not secret.startswith(COMMENT))

# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The operator's SSH key for hosts of the embedded cloud: one per machine, so that any checkout reaches them."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from localcloud import settings


def ensure_operator_key() -> None:
    """Make the key pair at settings.OPERATOR_KEY where it is missing."""
    settings.OPERATOR_KEY.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with _alone_in(settings.OPERATOR_KEY.parent):
        public_file = settings.OPERATOR_KEY.with_suffix(".pub")
        if not (settings.OPERATOR_KEY.exists() and public_file.exists()):
            _make_key(public_file)


@contextmanager
def _alone_in(directory: Path) -> Iterator[None]:
    """Two that make a pair at the same time would leave halves that do not belong together."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _make_key(public_file: Path) -> None:
    key = Ed25519PrivateKey.generate()
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
    )
    public = key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    settings.OPERATOR_KEY.unlink(missing_ok=True)
    with os.fdopen(os.open(settings.OPERATOR_KEY, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(private)
    public_file.write_bytes(public + b"\n")

# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whoever comes first makes the key, and everybody finds both halves of the same one."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_ssh_private_key

from localcloud import operator_key, settings

AT_ONCE = 8


def halves(key: Path) -> tuple[bytes, bytes]:
    """The public half that belongs to the private one, and the one that lies beside it."""
    private = load_ssh_private_key(key.read_bytes(), password=None)
    public = private.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
    return public, key.with_suffix(".pub").read_bytes().strip()


def test_all_who_come_at_once_find_one_pair(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    key = tmp_path / "operator" / "key"
    monkeypatch.setattr(settings, "OPERATOR_KEY", key)
    together = Barrier(AT_ONCE)

    def come() -> tuple[bytes, bytes]:
        together.wait()
        operator_key.ensure_operator_key()
        return halves(key)

    with ThreadPoolExecutor(AT_ONCE) as pool:
        found = [each.result() for each in [pool.submit(come) for _ in range(AT_ONCE)]]
    assert len({half for pair in found for half in pair}) == 1
    assert key.stat().st_mode & 0o777 == 0o600


def test_what_is_there_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "OPERATOR_KEY", tmp_path / "key")
    operator_key.ensure_operator_key()
    before = halves(settings.OPERATOR_KEY)
    operator_key.ensure_operator_key()
    assert halves(settings.OPERATOR_KEY) == before

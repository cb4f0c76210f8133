# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A deployment taken down: refused, listed, killed on the way, finished, and made again.

One account, one story: each test finds what the one before left.
"""

from __future__ import annotations

import pytest

from tests import support
from tests.integration.provision.conftest import Account
from tests.integration.provision.drift import snapshot

CONFIRM = ("-e", "confirm=academy")


def test_it_goes(account: Account) -> None:
    empty = snapshot(account)
    account.provision("teardown").expect()
    import time
    t=time.time(); run=account.teardown("check", *CONFIRM, "--check").expect(); print(run.output, time.time()-t)
    t=time.time(); run=account.teardown("all", *CONFIRM).expect(); print(run.output, time.time()-t)
    now = snapshot(account)
    print({k: (now[k], empty[k]) for k in now if now[k]!=empty[k]})
    assert 0

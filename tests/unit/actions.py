# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Action plugins as a task makes them, without the task."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from ansible.parsing.dataloader import DataLoader

from tests.unit import aws_clients

CONNECTION = {"region": aws_clients.REGION, "access_key": aws_clients.KEY, "secret_key": aws_clients.KEY}


def action(kind: Any, *, checks: bool = True, **arguments: Any) -> Any:
    """The plugin of a module, with a connection to AWS."""
    task = SimpleNamespace(
        args={**CONNECTION, **arguments}, async_val=0, check_mode=checks, diff=False, environment=None, action="x"
    )
    connection = SimpleNamespace(_shell=SimpleNamespace(tmpdir=None))
    return kind.ActionModule(task, connection, SimpleNamespace(), DataLoader(), None, None)

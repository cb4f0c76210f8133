# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from typing import Any

import pytest

from localcloud.status import describe, table

READY: dict[str, Any] = {
    "state": "ready",
    "pid": 7,
    "endpoint": "http://127.0.0.1:4599",
    "instances": [
        {"id": "i-1", "name": "academy-api-1", "state": "running", "address": "172.31.0.4", "type": "t4g.small"},
        {"id": "i-2", "name": "", "state": "stopped", "address": "172.31.0.5", "type": "t4g.medium"},
    ],
    "databases": [{"id": "academy-db", "status": "creating", "engine": "postgres 15.9", "address": None}],
    "load_balancers": [{"name": "academy", "state": "active", "dns_name": "academy-1.elb.amazonaws.com"}],
    "registry": {"host": "registry", "repositories": {}},
    "calls": {"ec2.RunInstances": 2, "sqs.CreateQueue": 5},
}


def test_shows_what_runs() -> None:
    assert describe(READY).splitlines() == [
        "The embedded cloud is up at http://127.0.0.1:4599 (process 7).",
        "",
        "Instances: 2",
        "  academy-api-1  i-1  t4g.small   172.31.0.4  running",
        "  -              i-2  t4g.medium  172.31.0.5  stopped",
        "",
        "Databases: 1",
        "  academy-db  postgres 15.9  creating  -",
        "",
        "Load balancers: 1",
        "  academy  active  academy-1.elb.amazonaws.com",
        "",
        "Repositories: none",
        "",
        "API calls: 7",
    ]


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ({"state": "down"}, "The embedded cloud is down."),
        ({"state": "starting", "step": "front"}, "The embedded cloud is not ready: starting front"),
        ({"state": "failed", "error": "no room"}, "The embedded cloud is not ready: failed no room"),
    ],
)
def test_says_why_it_is_not_up(content: dict[str, Any], text: str) -> None:
    assert describe(content) == text


def test_an_empty_table_has_no_lines() -> None:
    assert table([]) == []

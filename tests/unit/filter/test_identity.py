# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""From the roles that were found to the inline policies to be written."""

from __future__ import annotations

from typing import Any

from ansible_collections.academy.deploy.plugins.filter.identity import policy_changes

KIND: dict[str, Any] = {
    "containers": ["academy-x"],
    "log_groups": ["/academy/academy-x"],
    "sends_to": [],
    "receives_from": [],
    "stops_itself": False,
}
KINDS = {"api": KIND, "video-worker": KIND}
WHERE = ("academy", "ap-northeast-2", "123456789012")
LOG_GROUP = "/academy/starter"


def test_each_kind_is_judged_by_its_own_role() -> None:
    missing = policy_changes(KINDS, {}, *WHERE, starter_log_group=LOG_GROUP)
    assert [(change["role"], change["policy"], change["role_exists"]) for change in missing] == [
        ("academy-api-role", "academy-host", False),
        ("academy-video-worker-role", "academy-host", False),
        ("academy-starter-role", "academy-starter", False),
    ]
    roles = {
        "academy-api-role": {"inline_policies": {"academy-host": missing[0]["document"]}},
        "academy-video-worker-role": {"inline_policies": {"foreign": {}}},
        "academy-starter-role": {"inline_policies": {"academy-starter": missing[2]["document"]}},
    }
    found = policy_changes(KINDS, roles, *WHERE, starter_log_group=LOG_GROUP)
    assert [(change["role"], change["policy"], change["reason"]) for change in found] == [
        ("academy-video-worker-role", "academy-host", "missing"),
        ("academy-video-worker-role", "foreign", "not ours"),
    ]

# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which releases a host is brought to, what it needs for that, and whether it may be rebooted."""

from __future__ import annotations

from typing import Any

import pytest

from plugins.module_utils.findings import texts
from plugins.module_utils.plan import Plan, lines
from plugins.module_utils.plan.host_update import NEED_REBOOT, PACKAGE, ROLE

NOW, NEXT, LAST = "2023.9.20251208", "2023.10.20260105", "2023.10.20260202"
HOST = "academy-api-1"
UPGRADE = f"~ system-release: release: {NOW} -> {NEXT} (monthly update; --tags host_update)"


def inputs(release: str = NEXT, groups: tuple[str, ...] = ("api",), allowed: tuple[str, ...] = ()) -> dict[str, Any]:
    return {
        "host_update_release": release,
        "host_update_allow_downtime": [*allowed],
        "inventory_hostname": HOST,
        "group_names": [*groups],
    }


def host(release: str | None = NOW, newer: tuple[str, ...] = ()) -> dict[str, Any]:
    return {"packages": {PACKAGE: release and f"{release}-0.amzn2023"}, "newer_than_boot": [*newer]}


def decided(given: dict[str, Any], found: dict[str, Any]) -> Plan:
    return ROLE.decide(given, found)


@pytest.mark.parametrize(
    ("release", "is_one"),
    [
        (NEXT, True),
        ("2023.0.20230315", True),
        ("2023.12.20260817", True),
        ("", False),
        ("latest", False),
        ("2023", False),
        ("2023.10", False),
        ("2023.10.2026010", False),
        ("2023.10.202601055", False),
        ("2023.010.20260105", False),
        ("2022.0.20220215", False),
        ("2023.١.20260105", False),
        ("2023.10.20260105\n", False),
        (" 2023.10.20260105", False),
        ("--installroot=/", False),
    ],
)
def test_only_a_release_of_al2023_is_one(release: str, is_one: bool) -> None:
    refused = texts(ROLE.findings(inputs(release)))
    assert (refused == []) is is_one
    if not is_one:
        assert refused[0].startswith("host_release: must name a release of Amazon Linux 2023 (2023.<minor>.<YYYYMMDD>)")
        assert f"found {release!r}. `sudo dnf check-release-update`" in refused[0]


@pytest.mark.parametrize(
    ("present", "wanted", "told"),
    [
        (NOW, NEXT, [UPGRADE]),
        # By number, not by text: the tenth comes after the ninth, and in one minor the day decides.
        (NEXT, LAST, [UPGRADE.replace(NEXT, LAST).replace(NOW, NEXT)]),
        (NEXT, NEXT, []),
        # A host that nobody can tell the release of is upgraded.
        (None, NEXT, [UPGRADE.replace(f"{NOW} ->", " ->")]),
    ],
)
def test_a_host_is_brought_to_a_release_that_is_not_lower(present: str | None, wanted: str, told: list[str]) -> None:
    plan = decided(inputs(wanted), host(present))
    assert texts(plan.refusals) == []
    assert lines(plan.changes, "host_update") == told


@pytest.mark.parametrize(("present", "wanted"), [(NEXT, NOW), (LAST, NEXT), ("2023.11.20250101", LAST)])
def test_a_lower_release_is_refused(present: str, wanted: str) -> None:
    plan = decided(inputs(wanted), host(present))
    assert plan.changes == ()
    (text,) = texts(plan.refusals)
    assert text.startswith(f"host_release: must not be lower than {present}, which {HOST} has")
    assert f"found {wanted}. Name {present} or a later one." in text


def test_a_host_needs_a_reboot_for_what_runs_on_as_it_was() -> None:
    assert ROLE.reads(inputs()) == {"packages": [PACKAGE], "newer_than_boot": [*NEED_REBOOT]}
    assert {"kernel", "kernel6.12", "kernel6.18", "glibc", "systemd", "dbus"} <= {*NEED_REBOOT}
    # An earlier run may have upgraded it.
    plan = decided(inputs(NOW), host(newer=("kernel",)))
    assert (plan.changes, plan.known["newer_than_boot"]) == ([], ["kernel"])


@pytest.mark.parametrize(
    ("groups", "allowed", "reboots"),
    [
        (("video_worker",), (), True),
        (("messaging_worker",), (), True),
        (("api",), (), False),
        (("api", "messaging_worker"), (), False),
        (("api",), (HOST,), True),
        # Each whole: a part of a name is none.
        (("api",), ("academy-api-10", "academy-api"), False),
    ],
)
def test_a_host_of_the_api_is_rebooted_by_consent_alone(
    groups: tuple[str, ...], allowed: tuple[str, ...], reboots: bool
) -> None:
    assert decided(inputs(groups=groups, allowed=allowed), host()).known["may_reboot"] is reboots

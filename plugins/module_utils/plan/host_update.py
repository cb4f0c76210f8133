# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host runs a named release of Amazon Linux 2023, and is rebooted where only a boot brings all of it.

AL2023 is locked to the release of its package system-release: nothing is newer to dnf until a later release is named.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from ..findings import Finding, Words
from . import Change, Difference, Plan, Role, Rule, Values

WHY = "monthly update"
RELEASE = re.compile(r"2023\.(0|[1-9][0-9]*)\.(20[0-9]{6})")
VARIABLE = "host_release"
PACKAGE = "system-release"
# What goes on running as it was until the next boot: the list of dnf's needs-restarting, with all kernels of AL2023.
NEED_REBOOT = (
    "kernel", "kernel6.12", "kernel6.18", "glibc", "systemd", "dbus", "dbus-broker", "dbus-daemon", "linux-firmware",
    "microcode_ctl",
)  # fmt: skip
API = "api"
LIST = Words(
    "`sudo dnf check-release-update` on a host lists the releases that it can be updated to",
    "호스트에서 `sudo dnf check-release-update`를 실행하면 올릴 수 있는 릴리스가 나옵니다",
)


def order(release: str) -> tuple[int, int] | None:
    """What releases are compared by; None for what is none, such as `latest`."""
    found = RELEASE.fullmatch(release)
    return (int(found[1]), int(found[2])) if found else None


def release_findings(release: str) -> list[Finding]:
    if order(release):
        return []
    return [
        Finding(
            "host_release",
            VARIABLE,
            repr(release),
            Words(
                "must name a release of Amazon Linux 2023 (2023.<minor>.<YYYYMMDD>), so that all hosts get the one "
                "that was tried before",
                "모든 호스트가 미리 시험한 같은 릴리스를 받도록 Amazon Linux 2023의 릴리스"
                "(2023.<마이너>.<YYYYMMDD>)를 지정해야 합니다",
            ),
            Words(f"{LIST.en}: -e {VARIABLE}=<release>.", f"{LIST.ko}: -e {VARIABLE}=<릴리스>."),
        )
    ]


def lower_findings(wanted: str, present: str, on: str) -> list[Finding]:
    """dnf upgrade makes no package older, so a host with a later release would keep it."""
    now, then = order(present), order(wanted)
    if now is None or then is None or then >= now:
        return []
    return [
        Finding(
            "host_release_lower",
            VARIABLE,
            wanted,
            Words(
                f"must not be lower than {present}, which {on} has: no package would become older by it",
                f"{on}의 현재 릴리스 {present}보다 낮을 수 없습니다. 패키지는 더 낮은 버전이 되지 않습니다",
            ),
            Words(f"Name {present} or a later one. {LIST.en}.", f"{present} 또는 그 이후를 지정하십시오. {LIST.ko}."),
        )
    ]


def present_release(found: Values) -> str:
    """By the package, as dnf itself knows it. Empty where there is none."""
    return (found["packages"][PACKAGE] or "").partition("-")[0]


def may_reboot(groups: Sequence[str], on: str, allowed: Sequence[str]) -> bool:
    """Whether nobody waits for the host meanwhile, or somebody has agreed to do without it."""
    return API not in groups or on in allowed


def reads(_: Values) -> Values:
    return {"packages": [PACKAGE], "newer_than_boot": [*NEED_REBOOT]}


def decide(inputs: Values, found: Values) -> Plan:
    wanted, present, on = inputs["host_update_release"], present_release(found), inputs["inventory_hostname"]
    refusals = lower_findings(wanted, present, on)
    if refusals:
        return Plan(refusals)
    difference = Difference("release", present, wanted)
    return Plan(
        changes=[Change(PACKAGE, "update", (difference,), WHY)] if present != wanted else [],
        known={
            "newer_than_boot": found["newer_than_boot"],
            "may_reboot": may_reboot(inputs["group_names"], on, inputs["host_update_allow_downtime"]),
        },
    )


ROLE = Role(
    reads,
    decide,
    rules=(Rule(release_findings, ("host_update_release",)),),
    on_host=True,
)

# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The proxy on the API's port, behind which one of two containers serves while the other one is replaced (facts §15).

Its configuration file is the record of who serves. What runs is told over its socket, so that no connection is lost.
"""

from __future__ import annotations

from typing import Any

from ..findings import Finding, Words
from ..proxy import MARK, PATH, SOCKET, configuration, serving
from ..services import ROWS, rows, slot_name
from ..slots import holder_findings, holds_port, runs, serving_slot
from . import Change, Difference, Plan, Role, Values, host

WHY = "guide §6.3"
PACKAGE = "haproxy"
UNIT = "haproxy.service"
DROP_IN_DIRECTORY = f"{host.UNIT_DIRECTORY}{UNIT}.d"
READY, AWAY = "ready", "maint"


def slots_of(inputs: Values) -> dict[str, int]:
    """The ports of the containers, by their slot."""
    row = rows(inputs["services"]).get(inputs["proxy_service"])
    return {slot: int(port) for slot, port in row.slots.items()} if row else {}


def name_of(inputs: Values) -> str:
    row = rows(inputs["services"]).get(inputs["proxy_service"])
    return row.name if row else ""


def text(inputs: Values, slot: str) -> str:
    return configuration(inputs["api_port"], slots_of(inputs), slot)


def paths(inputs: Values, content: str) -> list[dict[str, Any]]:
    return [
        {"path": DROP_IN_DIRECTORY, "kind": "directory", "mode": "0755"},
        {
            "path": f"{DROP_IN_DIRECTORY}/restart.conf",
            "kind": "file",
            "mode": "0644",
            "content": "[Service]\nRestart=always\nRestartSec=1\n",
        },
        {"path": PATH, "kind": "file", "mode": "0644", "content": content},
    ]


def leaving_paths() -> list[dict[str, Any]]:
    """What the role keeps, of a host that is no longer the service's."""
    return [{"path": f"{DROP_IN_DIRECTORY}/restart.conf", "kind": "absent"}, {"path": PATH, "kind": "absent"}]


def leaving_changes(found: Values) -> list[Change]:
    """Nobody asks a proxy any more whose host has left. One that somebody else has configured is left alone."""
    files, unit = found["paths"], found["units"][UNIT]
    if not files[PATH].get("content", "").startswith(MARK):
        return []
    stopped = tuple(
        Difference(name, unit[name], value)
        for name, value in {"active_state": "inactive", "unit_file_state": "disabled"}.items()
        if unit["load_state"] != "not-found" and unit[name] != value
    )
    # The configuration goes last: by it a run that was killed is known.
    return [
        *([Change(UNIT, "remove", stopped, WHY, {"stopped": {}})] if stopped else []),
        *host.path_changes(found, leaving_paths(), WHY),
    ]


def reads(inputs: Values) -> Values:
    return {
        **host.reads(paths(inputs, ""), packages=[PACKAGE], units=[UNIT]),
        "containers": True,
        "proxies": [SOCKET],
    }


def at_work(inputs: Values, found: Values) -> str:
    """The one to which the proxy that runs leads; empty where there is none, or are several."""
    now = found["proxies"].get(SOCKET, {})
    ready = [str(slot) for slot, server in now.items() if server["state"] == READY and slot in slots_of(inputs)]
    return ready[0] if len(ready) == 1 else ""


def recorded(inputs: Values, found: Values) -> str:
    """Who is recorded; empty where the file is damaged.

    That is also a record of a container that does not run, while the proxy leads to one that does: a hand's.
    """
    known = serving(found["paths"][PATH].get("content", "")) or ""
    up = [slot for slot in slots_of(inputs) if runs(found["containers"], slot_name(name_of(inputs), slot))]
    is_wrong = known not in slots_of(inputs) or (known not in up and at_work(inputs, found) in up)
    return "" if is_wrong else known


def wanted_slot(inputs: Values, found: Values) -> str:
    """Who is to serve: whom the caller names, else who is recorded, else who serves at the moment, else the first."""
    slots = slots_of(inputs)
    return (
        str(inputs["proxy_serving"])
        or recorded(inputs, found)
        or at_work(inputs, found)
        or serving_slot(name_of(inputs), slots, "", found["containers"])
        or next(iter(slots))
    )


def switch_changes(inputs: Values, slot: str, found: Values) -> list[Change]:
    """What a proxy that runs has to be told: it is not started anew for that."""
    slots, now = slots_of(inputs), found["proxies"].get(SOCKET, {})
    states = {name: server["state"] for name, server in now.items()}
    wanted = {name: READY if name == slot else AWAY for name in slots}
    known = recorded(inputs, found)
    differences = [
        *([Difference("serving", known, slot)] if known not in ("", slot) else []),
        *([Difference("servers", states, wanted)] if states and states != wanted else []),
    ]
    return [Change(UNIT, "update", tuple(differences), WHY, {"switched": {"slot": slot}})] if differences else []


def image_findings(inputs: Values, slot: str, found: Values) -> list[Finding]:
    """Whether the container that is to serve still is the one that its caller has brought up."""
    name, wanted = slot_name(name_of(inputs), slot), str(inputs["proxy_image"])
    image = found["containers"].get(name, {}).get("image")
    if not wanted or image == wanted:
        return []
    return [
        Finding(
            "proxy_image",
            name,
            image or "no container",
            Words(
                f"must run {wanted} to be led to: somebody else has put another container in its place",
                f"{wanted}을(를) 실행해야 요청을 받을 수 있습니다. 다른 사람이 컨테이너를 바꾸었습니다",
            ),
            Words(
                "No request was led to it. Find out who did, and run again.",
                "이 컨테이너에는 요청을 보내지 않았습니다. 누가 바꾸었는지 확인하고 다시 실행하십시오.",
            ),
        )
    ]


def decide(inputs: Values, found: Values) -> Plan:
    slot = wanted_slot(inputs, found)
    if refusals := image_findings(inputs, slot, found):
        return Plan(refusals=refusals)
    is_running = found["units"][UNIT]["active_state"] == host.UP["active_state"]
    # The record of a proxy that runs is written by what moves its traffic.
    written = (recorded(inputs, found) if is_running else "") or slot
    packages = host.package_changes(found, [PACKAGE], WHY)
    files = host.path_changes(found, paths(inputs, text(inputs, written)), WHY)
    if packages:
        found = {**found, "units": {UNIT: {**found["units"][UNIT], "unit_file_state": "unknown"}}}
    outdated = is_running and host.is_rewritten(files, PATH)
    own = name_of(inputs)
    # The container of the time before the proxy, which the role that replaces it stops.
    has_port = holds_port(found["containers"], own, inputs["api_port"])
    reload = (Difference("configuration", "older", PATH),)
    unit = [] if has_port else host.unit_changes(UNIT, found, WHY, wanted=True, outdated="")
    return Plan(
        changes=[
            *packages,
            *files,
            *unit,
            *([Change(UNIT, "update", reload, WHY, {"reread": {}})] if outdated else []),
            *(switch_changes(inputs, slot, found) if is_running else []),
        ],
        missing=holder_findings(found["containers"], inputs["api_port"], [own], "api_port", "HAProxy"),
        known={"slots": slots_of(inputs), "slot": slot},
    )


ROLE = Role(reads, decide, applies=(*host.APPLIES, "reread", "switched"), rules=(ROWS,), on_host=True)
